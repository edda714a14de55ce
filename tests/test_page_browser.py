"""The page in a real browser: from a disk with no network, by mouse and by keyboard, for everybody."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chromium import chromium
from escalation_forecast.archive import Run
from escalation_forecast.page import write_page
from escalation_forecast.page.serve import Pages, server
from escalation_forecast.report.layout import percent
from escalation_forecast.store import Store
from page_text import LATER, two_runs
from run_folder import answer, count, quantity
from whole_run import asked

pytestmark = pytest.mark.slow

SIZES = {"phone": (390, 844), "desk": (1280, 900)}
HOSTILE = "</script><script>window.hit=1</script><img src=x onerror='window.hit=1'>javascript:window.hit=1"


@dataclass
class Watched:
    """A page of the browser and what it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def file(year_run: Run, known: Store, few_futures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a draft with everything on it but the scenarios."""
    from conftest import QUESTIONS

    place = tmp_path_factory.mktemp("page") / "forecast.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("escalation_forecast.explorer.browser_payload.OUTCOME_DRAWS", 500)
        return write_page(year_run, place, store=known, questions=asked(QUESTIONS))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def opened(
    browser: Any, file: Path, size: str = "desk", scheme: str = "light", **options: Any
) -> Iterator[Watched]:
    """The file in a browser whose network is cut; what it logs and fetches is kept."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
    watched = Watched(context.new_page())
    page = watched.page
    page.route(
        "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
    )
    page.on("request", lambda request: watched.fetched.append(request.url))
    page.on("console", lambda message: watched.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: watched.said.append(f"error: {error}"))
    page.goto(file.as_uri())
    try:
        yield watched
    finally:
        context.close()
    # A browser counts the address of the icon, which is in the page, as fetched.
    assert [url for url in watched.fetched if not url.startswith("data:")] == [file.as_uri()]
    assert watched.said == []


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


def test_it_is_small(file: Path) -> None:
    assert file.stat().st_size < 5_000_000


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_that_axe_finds(browser: Any, file: Path, size: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, file, size, scheme) as watched:
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        found = Axe().run(page).response["violations"]
        grave = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not grave, [(v["id"], v["nodes"][0]["html"][:200]) for v in grave]


def test_phone_never_scrolls_sideways(browser: Any, file: Path) -> None:
    with opened(browser, file, "phone") as watched:
        page = watched.page
        wide = "document.documentElement.scrollWidth"
        assert page.evaluate(wide) <= 390
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert page.evaluate(wide) <= 390
        for tab in page.locator("[role=tab]").all():
            tab.click()
            assert page.evaluate(wide) <= 390
        for option in page.locator("[role=option]").all():
            option.dispatch_event("click")
            assert page.evaluate(wide) <= 390, option.get_attribute("data-key")
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate(wide) <= 320


def test_theatre_by_mouse_and_by_keyboard(browser: Any, file: Path, year_run: Run) -> None:
    stands = {t["theatre"]: t["label"] for t in year_run.summary["theatres"]}
    with opened(browser, file) as watched:
        page = watched.page
        shown = lambda: page.locator(".panel:visible h3").all_inner_texts()  # noqa: E731
        assert shown() == [stands["korea"]]
        page.click("#tab-taiwan")
        assert shown() == [stands["taiwan"]]
        assert stands["taiwan"] in page.inner_text("#said")
        page.keyboard.press("ArrowRight")
        assert (shown(), focused(page)) == ([stands["east_china_sea"]], "tab-east_china_sea")
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        assert shown() == [stands["korea"]]
        page.keyboard.press("ArrowLeft")
        assert focused(page) == "tab-global"
        assert page.locator("[role=tab][tabindex='0']").count() == 1
        assert page.locator("[role=tab][aria-selected=true]").get_attribute("id") == "tab-global"


def test_chart_is_read_off_by_pointer_and_by_keyboard(browser: Any, file: Path) -> None:
    with opened(browser, file) as watched:
        page = watched.page
        figure = page.locator("[data-chart=latent-korea]")
        read = figure.locator("output")
        figure.scroll_into_view_if_needed()
        assert read.inner_text().startswith("June 2026")
        box = figure.locator(".plot").bounding_box()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
        assert read.inner_text().startswith("June 2027, forecast")
        figure.locator("input[type=range]").focus()
        page.keyboard.press("ArrowLeft")
        assert read.inner_text().startswith("May 2027, forecast")
        assert figure.locator("input").get_attribute("aria-valuetext") == read.inner_text()
        page.click("#panel-korea [data-range=all]")
        page.keyboard.press("Tab")
        page.mouse.move(box["x"] + 0.3, box["y"] + 40)
        assert read.inner_text().startswith("January 1990")
        assert page.locator("[data-range=all][aria-pressed=true]").count() == 6


def test_question_by_search_mouse_and_keyboard(browser: Any, file: Path, year_run: Run) -> None:
    chances = {
        q["id"]: percent(q["probability"]) for q in year_run.summary["questions"] if q["kind"] == "binary"
    }
    with opened(browser, file) as watched:
        page = watched.page
        shown = lambda: page.locator(".qpart:visible").get_attribute("data-key")  # noqa: E731
        page.fill("#find", "taiwan use of force")
        assert page.locator("[role=option]:visible").count() == 1
        assert shown() == "use-of-force/taiwan"
        values = page.locator(".qpart:visible .val b").all_inner_texts()
        assert [v.replace("\xa0", " ") for v in values] == [
            chances[f"use-of-force/taiwan/{m}m"] for m in (3, 6, 12)
        ]
        assert page.locator(".resolution:visible").count() == 1
        page.fill("#find", "")
        page.select_option("#group", "Troops")
        assert shown().startswith("troops-exceed/")
        assert "of" in page.inner_text("#count")
        page.focus("#find")
        page.keyboard.press("ArrowDown")
        assert focused(page) == "listbox"
        before = shown()
        page.keyboard.press("ArrowDown")
        assert shown() != before
        chosen = page.locator("[role=option][aria-selected=true]")
        assert chosen.count() == 1
        assert page.locator("[role=listbox]").get_attribute("aria-activedescendant") == chosen.get_attribute(
            "id"
        )
        assert "within" in page.inner_text("#said")
        page.keyboard.press("End")
        page.keyboard.press("Home")
        assert shown() == before
        page.fill("#find", "no such thing")
        assert page.inner_text("#count").startswith("0 of")
        # A headline's link opens the question, whatever is filtered.
        page.click("#headline a.open >> nth=1")
        assert shown() == page.locator("#headline a.open >> nth=1").get_attribute("href").removeprefix("#q-")


def test_explorer_of_priors_works_under_the_policy(browser: Any, file: Path) -> None:
    with opened(browser, file) as watched:
        page = watched.page
        new = page.locator("#explorer .ef-px-new")
        before = new.inner_text()
        page.locator("#explorer input[type=range] >> nth=0").focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_function("text => document.querySelector('.ef-px-new').innerText !== text", arg=before)


def test_state_late_ones_and_colours(browser: Any, file: Path) -> None:
    with opened(browser, file, scheme="light") as watched:
        page = watched.page
        page.select_option("#state", "JPN")
        assert page.locator(".state:visible h3").all_inner_texts() == ["Japan"]
        rows = page.locator(".indicators tbody tr:visible")
        every = rows.count()
        page.check("#late")
        assert 0 < rows.count() < every
        assert rows.count() == page.locator(".indicators tr.late").count()
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(paper)
        page.click("#scheme")
        assert page.evaluate(paper) != light
        assert page.get_attribute("#scheme", "aria-pressed") == "true"
        page.click("#scheme")
        assert page.evaluate(paper) == light
    with opened(browser, file, scheme="dark") as watched:
        assert watched.page.evaluate(paper) != light


def test_paper_has_everything_and_no_controls(browser: Any, file: Path) -> None:
    with opened(browser, file, scheme="dark") as watched:
        page = watched.page
        page.emulate_media(media="print", color_scheme="dark")
        for css in (".panel", ".qpart", ".family", ".state", ".numbers table", ".modelcard"):
            hidden = page.evaluate(
                "css => [...document.querySelectorAll(css)].filter(e => !e.checkVisibility("
                "{contentVisibilityAuto: true})).length",
                css,
            )
            assert hidden == 0, css
        assert page.locator("button:visible, select:visible, input:visible, .toc:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert len(page.pdf(format="A4")) > 100_000


def test_without_scripts_everything_can_be_read(browser: Any, file: Path) -> None:
    with opened(browser, file, "phone", java_script_enabled=False) as watched:
        page = watched.page
        for css in (".panel", ".qpart", ".state", ".card"):
            assert page.locator(css).count() == page.locator(f"{css}:visible").count() > 1
        assert page.locator("#scheme:visible, [role=listbox]:visible, input[type=range]:visible").count() == 0


def test_skip_link_and_visible_focus(browser: Any, file: Path) -> None:
    with opened(browser, file) as watched:
        page = watched.page
        page.keyboard.press("Tab")
        assert focused(page) == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        assert focused(page) == "main"
        page.keyboard.press("Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"


@pytest.mark.parametrize("size", SIZES)
def test_list_of_runs(browser: Any, tmp_path: Path, size: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    icon = "<link rel='icon' href='data:,'>"
    with two_runs(tmp_path) as ledger:
        web = server(Pages(ledger, make=lambda record, **_: icon + f"page of {record.run_id}"), 0)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        try:
            page.goto(f"http://127.0.0.1:{web.server_address[1]}/")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("table").bounding_box()["width"] > 0.8 * width
            found = Axe().run(page).response["violations"]
            assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]
            page.click(f"a[href='/runs/{LATER}']")
            assert page.inner_text("body").strip() == f"page of {LATER}"
            assert said == []
        finally:
            context.close()
            web.shutdown()
            web.server_close()
            thread.join()


def test_hostile_run_and_catalogue_execute_nothing(
    browser: Any, year_run: Run, known: Store, tmp_path: Path
) -> None:
    """Whatever a data file may hold is shown as text."""
    from dataclasses import replace

    folder = tmp_path / "run"
    shutil.copytree(year_run.folder, folder)
    own = dict(year_run.summary)
    own["theatres"] = [t | {"label": HOSTILE} for t in own["theatres"]]
    rate = {"rate": 0.1, "events": 1, "trials": 10, "reference_class": HOSTILE}
    words = {"title": HOSTILE, "target": HOSTILE, "note": HOSTILE, "resolves_on": HOSTILE}
    own["questions"] = [
        answer(f"wider-war/{HOSTILE}/12m", 0.02, base_rate=rate, **words),
        count(f"arms-race-count/{HOSTILE}", {"2": 1.0}) | words,
        quantity("spending-growth/JPN/2026", 2.0) | words,
    ]
    own["skill"] = [{"kind": HOSTILE, "text": HOSTILE, "measured_on": "2026-01-01", "page": HOSTILE}]
    own["priors_changed"] = [{"name": HOSTILE, "default": HOSTILE, "used": HOSTILE}]
    own["diagnostics"] = own["diagnostics"] | {"reasons": [HOSTILE]}
    store = replace(
        known,
        indicators=known.indicators.assign(note=HOSTILE),
        series=known.series.assign(description=HOSTILE),
        sources=known.sources.assign(
            title=HOSTILE, citation=HOSTILE, url_or_repository="javascript:window.hit=1"
        ),
    )
    page_file = write_page(Run(folder, own), tmp_path / "page.html", store=store, explorer=False)
    with opened(browser, page_file) as watched:
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        for tab in page.locator("[role=tab]").all():
            tab.click()
        for option in page.locator("[role=option]").all():
            option.click()
        assert page.evaluate("window.hit") is None
        assert page.locator("img").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
        assert "window.hit=1" in page.inner_text("main")
