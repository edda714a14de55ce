"""Moving priors in a browser: what it is given, and that it weighs as the updater does."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chromium import chromium
from escalation_forecast.elicit.translate import SEED
from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.explorer import Explorer, browser
from escalation_forecast.explorer import browser_payload as given
from escalation_forecast.explorer.browser_payload import decoded
from escalation_forecast.explorer.knobs import SHOWN, WIDTHS, Position, numbers, outcome_words, read_by
from escalation_forecast.prior_law import law
from escalation_forecast.schema import DataError
from escalation_forecast.update import Updater
from escalation_forecast.update.updater import kind_of
from escalation_forecast.update.war import CHAIN, CHAIN_CONSTANTS, HAZARD
from escalation_forecast.update.weights import Weights, smooth, weighted_mean

DRAWS, OUTCOME_DRAWS = 320, 500
SAME = 1e-6
ARMS, FORCE, WAR = "arms-race-annual/2026", "use-of-force/korea/12m", "wider-war/any/12m"
Places = dict[str, tuple[int, int]]  # name -> places on the sliders of place and width


@pytest.fixture(scope="module")
def made(updater: Updater) -> Explorer:
    return Explorer(updater)


@pytest.fixture(scope="module")
def payload(made: Explorer) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(given, "OUTCOME_DRAWS", OUTCOME_DRAWS)
        return given.payload(made, ARMS, draws=DRAWS)


def position(payload: dict[str, Any], at: tuple[int, int]) -> Position:
    return Position(payload["by"][at[0]], payload["widths"][at[1]])


def random_places(payload: dict[str, Any], names: list[str], rng: np.random.Generator) -> Places:
    """Somewhere else than home."""
    wide = {name: payload["knobs"][name]["wide"] for name in names}
    last = len(payload["by"])
    middle = len(WIDTHS) // 2
    return {
        n: (int(rng.integers(last)), int(rng.integers(len(WIDTHS))) if wide[n] else middle) for n in names
    }


def ratio(payload: dict[str, Any], places: Places, draws: dict[str, np.ndarray]) -> np.ndarray:
    """Log of new over old density by scipy, from the numbers that the browser has."""
    found = np.zeros(len(next(iter(draws.values()))))
    for name, (by, width) in places.items():
        knob = payload["knobs"][name]
        place = (width * len(payload["by"]) if knob["wide"] else 0) + by
        new, old = (
            law(knob["family"], {k: v[at] for k, v in knob["used"].items()}) for at in (place, knob["home"])
        )
        found += new.logpdf(draws[name]) - old.logpdf(draws[name])
    return found


def thin_weights(payload: dict[str, Any], places: Places) -> Weights:
    draws = {name: decoded(payload["knobs"][name]["draws"]) for name in places}
    return smooth(ratio(payload, places, draws).reshape(payload["shape"]))


def test_draws_are_those_of_the_run_evenly_spaced(updater: Updater, made: Explorer, payload: Any) -> None:
    kept = given.thinned(updater.draws.shape, DRAWS)
    assert (payload["shape"], payload["draws"]) == ([2, 160], 400)
    assert set(np.diff(kept.places[:160])) == {1, 2}
    assert kept.places[160] - kept.places[0] == 200
    for name, knob in payload["knobs"].items():
        whole = given.column(updater, made.knobs[name])[kept.places]
        seen = decoded(knob["draws"])
        np.testing.assert_allclose(seen, whole, rtol=1e-6, atol=1e-30)
        assert np.isfinite(law(knob["family"], numbers(updater.priors, made.knobs[name])).logpdf(seen)).all()


def test_rounding_does_not_reach_the_end_of_a_support() -> None:
    near = given._inside(np.array([1.0 - 1e-12, 1e-60, 0.5]), (0.0, 1.0))
    assert ((near > 0) & (near < 1)).all()
    assert near[2] == 0.5


def test_numbers_at_every_place_are_those_of_the_moved_priors(made: Explorer, payload: Any) -> None:
    rng = np.random.default_rng(0)
    for name, knob in payload["knobs"].items():
        at = random_places(payload, [name], rng)[name]
        place = (at[1] * len(payload["by"]) if knob["wide"] else 0) + at[0]
        priors = made.priors({name: position(payload, at)})
        wanted = numbers(priors, made.knobs[name])
        assert {key: column[place] for key, column in knob["used"].items()} == pytest.approx(
            wanted, rel=1e-12
        )
        quantiles = law(knob["family"], wanted).ppf(SHOWN)
        assert knob["quantiles"][place] == pytest.approx(list(quantiles), rel=1e-3)
        assert knob["used"].keys() == knob["written"].keys()


def test_outcomes_are_those_of_the_moved_priors(made: Explorer, payload: Any) -> None:
    seen = 0
    for name, knob in payload["knobs"].items():
        words = outcome_words(made.updater.priors, made.knobs[name])
        assert words.startswith(knob["outcome"])
        if not knob["outcome"]:
            assert (words, knob["sizes"]) == ("", [])
            continue
        at = (10, 2)
        priors = made.priors({name: position(payload, at)})
        found = read_by(priors, made.knobs[name])
        assert found is not None
        wanted = np.quantile(found[0].draws(PriorValues(priors, OUTCOME_DRAWS, SEED), found[1]), SHOWN)
        place = (at[1] * len(payload["by"]) if knob["wide"] else 0) + at[0]
        assert knob["sizes"][place] == pytest.approx(list(wanted), rel=2e-3, abs=1e-12)
        seen += 1
    assert seen > 5


def test_only_what_a_density_changes_is_offered(made: Explorer, payload: Any) -> None:
    by_id = {item.id: item for item in made.updater.items}
    kinds = set()
    for question in payload["questions"]:
        kind = kind_of(by_id[question["id"]])
        kinds.add(kind)
        assert question["part"] == ("chain" if kind == "war" else "model")
        assert question["knobs"]
        for name in question["knobs"]:
            prior = payload["knobs"][name]["prior"]
            assert (prior in CHAIN) is (kind == "war")
            assert prior not in (HAZARD, *CHAIN_CONSTANTS)
    assert kinds == {"paths", "ladder", "war"}
    for name in (f"{HAZARD}[CHN-JPN]", *CHAIN_CONSTANTS):
        assert given.part_of(made, name) == ""


def test_priors_of_another_subject_are_not_offered(payload: Any) -> None:
    by_id = {question["id"]: question["knobs"] for question in payload["questions"]}
    assert all("[korea]" in name or "[" not in name for name in by_id[FORCE])
    states = {name.partition("[")[2].rstrip("]") for name in by_id[ARMS]}
    assert not states & {"RUS", "USA", "AUS", "IND", "MYS", "THA"}


def test_weights_of_all_draws_give_what_the_updater_gives(made: Explorer, payload: Any) -> None:
    """Whether density alone moves an answer: the numbers of the browser on every draw, against an update."""
    updater = made.updater
    offered = {one.item.id: one for one in given.asked(made)}
    told = set()
    for question in payload["questions"]:
        one = offered[question["id"]]
        for name in question["knobs"][:2]:
            places = {name: (9, 2)}  # a quarter of an sd up
            view = made.view({name: position(payload, places[name])}, question["id"])
            if view.after is None or "simulated again" in view.verdict:
                continue
            column = given.column(updater, made.knobs[name])
            weights = smooth(ratio(payload, places, {name: column}).reshape(updater.draws.shape)).values
            values = one.values.reshape(updater.draws.shape)
            change = one.share * float((weights * values).sum() - values.mean())
            kind = kind_of(one.item)
            # A ladder is drawn: its answer has the noise of its own draws besides.
            tolerance = 4.0 * (view.change_mcse or 0.0) + 1e-3 if kind == "ladder" else 1e-7
            assert view.after - view.before == pytest.approx(change, abs=tolerance), (question["id"], name)
            told.add(kind)
    assert told == {"paths", "ladder", "war"}


def test_share_of_pool_is_exact(made: Explorer, payload: Any) -> None:
    """The pooled chance that an update aims at, by way of the tilted hazards, is what the share says."""
    from escalation_forecast.update.war import new_targets

    updater = made.updater
    one = next(one for one in given.asked(made) if one.item.id == FORCE)
    weights = np.random.default_rng(1).dirichlet(np.ones(updater.draws.n))
    new = new_targets(updater, weights, updater.priors)["korea"][12]
    old = updater.war.targets["korea"][12]
    assert 0.0 < one.share < 1.0
    assert one.share * float(weights @ one.values - one.values.mean()) == pytest.approx(new - old, abs=1e-12)


class Tags(HTMLParser):
    """Names and attributes of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def section(updater: Updater, made: Explorer, payload: Any) -> str:
    """The fragment of what is at hand already."""
    made.n = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(browser, "Explorer", lambda *_, **__: made)
        patch.setattr(browser, "payload", lambda *_, **__: payload)
        return browser.fragment(updater, ARMS, draws=DRAWS)


def test_fragment_stands_alone_and_is_small(section: str, payload: Any) -> None:
    tags = Tags()
    tags.feed(section)
    attributes = [(key, value) for _, attrs in tags.seen for key, value in attrs.items()]
    assert not [key for key, _ in attributes if key.startswith("on") or key in ("style", "src", "href")]
    classes = {name for key, value in attributes if key == "class" for name in (value or "").split()}
    assert all(name.startswith("ef-") for name in classes)
    assert not [value for key, value in attributes if key == "id"]
    assert not re.search(r"https?://(?!www\.w3\.org/)", section)
    assert not re.search(
        r"\beval\b|new Function|innerHTML|import\(|fetch\(|XMLHttpRequest", browser.program()
    )
    assert len(section.encode()) < 1_200_000
    text = re.search(r'<script type="application/json" class="ef-px-data">(.*?)</script>', section, re.DOTALL)
    assert text is not None
    assert "<" not in text[1]
    assert json.loads(text[1]) == payload
    assert payload["first"] == ARMS


def test_default_thinning_of_a_large_run_stays_small(payload: Any) -> None:
    """A payload of this many priors with a thousand draws, by its parts."""
    arrays = sum(len(knob["draws"]) for knob in payload["knobs"].values())
    arrays += sum(len(question["values"]) for question in payload["questions"])
    rest = len(json.dumps(payload)) - arrays
    assert rest + arrays * 1000 / DRAWS < 1_000_000


def test_hashes_are_of_what_stands_in_the_fragment(section: str) -> None:
    for kind in ("script", "style"):
        inside = re.search(rf"<{kind}>(.*?)</{kind}>", section, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert browser.hashes()[kind] == f"'sha256-{digest}'"


def test_text_cannot_end_the_data() -> None:
    assert json.loads(browser._json({"a": "</script><!--"})) == {"a": "</script><!--"}
    assert "<" not in browser._json({"a": "</script><!--"})


def test_page_on_priors_says_what_the_program_does() -> None:
    text = (Path(__file__).parents[1] / "docs" / "priors.md").read_text(encoding="utf-8")
    text = " ".join(text.partition("## Move it in a browser")[2].partition("\n## ")[0].split())
    default = inspect.signature(browser.page).parameters["draws"].default
    assert f"It keeps {default:,} of the draws (`draws=`, at least {given.FEWEST})" in text
    even = np.full((4, default // 4), 1.0 / default)
    limit = Weights(even, 0.0, 1.0, even).limit
    good = re.search(r"GOOD_K = ([\d.]+)", browser.program())
    assert good is not None
    assert f"*good* up to k {good[1]}, *doubtful* up to the limit for that many draws ({limit:.2f}" in text
    assert Weights(even, 0.0, 1.0, even).enough == default / 4
    for name in re.findall(r"`browser\.(\w+)", text):
        assert callable(getattr(browser, name))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda m: given.payload(m, draws=50), "draws is 50; give 200 or more"),
        (lambda m: given.payload(m, "wider-warr"), "no probability for `wider-warr`"),
        (lambda m: given.asked(m, "use-of-force/taiwan/5m"), "no probability for `use-of-force/taiwan/5m`"),
    ],
)
def test_hostile_input_gets_a_sentence(made: Explorer, what: Any, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        what(made)


def test_another_question_is_added(made: Explorer) -> None:
    names = {one.item.id for one in given.asked(made)}
    assert "tension-exceeds/news_korea/12m" not in names
    added = given.asked(made, "tension-exceeds/news_korea/12m")[-1]
    assert (added.group, added.item.id) == ("Chosen", "tension-exceeds/news_korea/12m")


# ---- In a real browser ----------------------------------------------------------------------------------

LISTEN = "document.addEventListener('ef-px-result', (event) => { window.seen = event.detail; })"
MOVE = """([name, of, value]) => {
  const slider = [...document.querySelectorAll('.ef-px input')].find((one) => one.dataset.knob === name && one.dataset.of === of);
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""  # noqa: E501
ASK = """(id) => {
  const chooser = document.querySelector('.ef-px-question');
  chooser.value = id;
  chooser.dispatchEvent(new Event('change', { bubbles: true }));
}"""
RESET = "document.querySelector('.ef-px-reset').click()"
SEEN = (
    "({ ...window.seen, weights: window.seen.weights && [...window.seen.weights], k: String(window.seen.k) })"
)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(chrome: Any, updater: Updater, section: str, tmp_path: Path) -> Iterator[Any]:
    """The whole page under its policy; nothing may be refused, fetched or logged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(browser, "fragment", lambda *_, **__: section)
        (tmp_path / "page.html").write_text(browser.page(updater), encoding="utf-8")
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "page.html" not in request.url else None)
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate(LISTEN)
    yield page
    assert said == []
    context.close()


@pytest.mark.slow
def test_browser_weighs_as_python_does(opened: Any, payload: Any) -> None:
    rng = np.random.default_rng(7)
    words = set()
    for question in payload["questions"]:
        opened.evaluate(RESET)
        opened.evaluate(ASK, question["id"])
        names = question["knobs"]
        values = decoded(question["values"]).reshape(payload["shape"])
        for some in [*([name] for name in names), names[:2], names]:
            opened.evaluate(RESET)
            places = random_places(payload, some, rng)
            for name, (by, width) in places.items():
                opened.evaluate(MOVE, [name, "by", by])
                if payload["knobs"][name]["wide"]:
                    opened.evaluate(MOVE, [name, "width", width])
            seen = opened.evaluate(SEEN)
            weights = thin_weights(payload, places)
            wanted = weighted_mean(values, weights.values)
            if np.isneginf(weights.k):
                assert seen["weights"] is None or seen["k"] == "-Infinity"
                continue
            assert float(seen["k"].replace("Infinity", "inf")) == pytest.approx(
                weights.k, abs=SAME, nan_ok=True
            )
            np.testing.assert_allclose(seen["weights"], weights.values.ravel(), atol=1e-9)
            assert seen["ess"] == pytest.approx(weights.ess, rel=SAME)
            assert seen["weighted"] == pytest.approx(wanted.value, abs=SAME)
            assert seen["plain"] == pytest.approx(values.mean(), abs=SAME)
            assert seen["mcse"] == pytest.approx(wanted.mcse, abs=SAME)
            assert seen["changeError"] == pytest.approx(question["share"] * wanted.moved, abs=SAME)
            assert (seen["word"] == "fit again") is bool(weights.reasons)
            assert seen["after"] == pytest.approx(anchored(question, wanted.value, values.mean()), abs=SAME)
            words.add(seen["word"])
    assert words >= {"good", "fit again"}


def anchored(question: Any, value: float, plain: float) -> float:
    """By the same log odds as the thinned draws, where nothing is pooled."""
    before, share = question["before"], question["share"]
    if share != 1.0 or not all(0.0 < p < 1.0 for p in (before, value, plain)):
        return float(np.clip(before + share * (value - plain), 0.0, 1.0))
    logit = np.log([before, value, plain]) - np.log1p([-before, -value, -plain])
    return float(1.0 / (1.0 + np.exp(-(logit[0] + logit[1] - logit[2]))))


@pytest.mark.slow
def test_weights_and_densities_by_themselves(chrome: Any) -> None:
    """The parts against scipy and `weights.smooth`, on ratios with thin, heavy and hopeless tails."""
    page = chrome.new_page()
    page.add_script_tag(content=browser._asset("weights.js"))
    laws: dict[str, dict[str, float]] = {
        "Normal": {"mu": 0.3, "sigma": 1.7},
        "LogNormal": {"mu": -0.4, "sigma": 0.6},
        "HalfNormal": {"sigma": 0.4},
        "StudentT": {"nu": 3.5, "mu": 0.2, "sigma": 0.9},
        "Beta": {"alpha": 0.7, "beta": 22.0},
        "Gamma": {"alpha": 180.5, "beta": 171.0},
        "Exponential": {"lam": 2.5},
    }
    assert set(laws) == set(given.FAMILIES) == set(page.evaluate("Object.keys(LOG_DENSITIES)"))
    for family, p in laws.items():
        x = law(family, p).ppf([1e-6, 0.01, 0.3, 0.5, 0.9, 1 - 1e-6])
        seen = page.evaluate("([f, p, x]) => x.map(LOG_DENSITIES[f](p))", [family, p, x.tolist()])
        np.testing.assert_allclose(seen, law(family, p).logpdf(x), rtol=1e-11, atol=1e-11)
    rng = np.random.default_rng(3)
    ks = []
    for shape in ((4, 250), (2, 160), (1, 300)):
        for heavy in (0.2, 0.6, 1.2, 3.0):
            chain = np.cumsum(rng.normal(size=shape), axis=1) if heavy == 0.6 else rng.standard_t(3, shape)
            log_ratio = heavy * chain / chain.std()
            values = (chain + rng.normal(size=shape) > 0).astype(float)
            wanted, flat = smooth(log_ratio), [log_ratio.ravel().tolist(), list(shape)]
            seen = page.evaluate(
                "([x, shape]) => { const w = smooth(Float64Array.from(x), shape);"
                " return { ...w, values: [...w.values] }; }",
                flat,
            )
            assert seen["k"] == pytest.approx(wanted.k, abs=1e-9)
            assert seen["ess"] == pytest.approx(wanted.ess, rel=1e-9)
            np.testing.assert_allclose(seen["values"], wanted.values.ravel(), rtol=1e-8, atol=1e-15)
            ks.append(wanted.k)
            mean = weighted_mean(values, wanted.values)
            got = page.evaluate(
                "([v, w, s]) => weightedMean(Float64Array.from(v), Float64Array.from(w), s)",
                [values.ravel().tolist(), seen["values"], list(shape)],
            )
            found = (got["value"], got["mcse"], got["moved"])
            assert found == pytest.approx((mean.value, mean.mcse, mean.moved), rel=1e-8)
    assert min(ks) < 0.3
    assert max(ks) > 0.7
    page.close()


@pytest.mark.slow
def test_file_of_the_browser_holds_the_moved_priors(
    opened: Any, payload: Any, made: Explorer, tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    for question in payload["questions"]:
        opened.evaluate(RESET)
        opened.evaluate(ASK, question["id"])
        places = random_places(payload, question["knobs"], rng)
        for name, (by, width) in places.items():
            opened.evaluate(MOVE, [name, "by", by])
            if payload["knobs"][name]["wide"]:
                opened.evaluate(MOVE, [name, "width", width])
        file = tmp_path / "my.toml"
        file.write_text(
            opened.evaluate("document.querySelector('.ef-px-toml').textContent"), encoding="utf-8"
        )
        wanted = made.priors({name: position(payload, at) for name, at in places.items()})
        assert [str(one) for one in wanted.diff(made.updater.priors.replace(file))] == []
        command = opened.evaluate("document.querySelector('.ef-px-command').textContent")
        assert command.split()[2:] == [
            "update", "my_priors.toml", "--run", f"runs/{payload['run']}", "--question", question["id"],
            "--refit", "auto",
        ]  # fmt: skip
    opened.click("button[data-field=toml]")
    opened.locator(".ef-px-copied", has_text="Priors copied.").wait_for()
    assert opened.evaluate("navigator.clipboard.readText()") == file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_keys_move_reset_and_announce(opened: Any, payload: Any) -> None:
    before = opened.evaluate("Object.keys(window).filter((name) => name !== 'seen').length")
    question = next(one for one in payload["questions"] if one["id"] == ARMS)
    name = question["knobs"][0]
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "ef-px-question"
    for _ in range(12):
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement.type") == "range":
            break
    assert opened.evaluate("document.activeElement.dataset.knob") == name
    words = opened.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate("document.activeElement.dataset.knob") == name  # the focus stays
    moved = opened.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert moved != words
    assert moved.startswith("+0.5 sd; ")
    assert opened.evaluate("window.seen.moved") == [name]
    opened.locator(".ef-px-said", has_text="with your priors").wait_for(state="attached")
    assert opened.evaluate("document.querySelector('.ef-px-said').getAttribute('aria-live')") == "polite"
    while opened.evaluate("document.activeElement.dataset.reset") != name:
        opened.keyboard.press("Tab")
    opened.keyboard.press("Enter")
    assert opened.evaluate("window.seen.moved") == []
    assert opened.evaluate("window.seen.after") == pytest.approx(question["before"])
    assert opened.evaluate("Object.keys(window).filter((name) => name !== 'seen').length") == before


@pytest.mark.slow
def test_what_cannot_be_told_is_said(opened: Any, payload: Any) -> None:
    force = next(one for one in payload["questions"] if one["id"] == FORCE)["knobs"][0]
    war = next(one for one in payload["questions"] if one["id"] == WAR)
    opened.evaluate(ASK, FORCE)
    opened.evaluate(MOVE, [force, "by", 9])
    told = opened.evaluate("window.seen.after")
    opened.evaluate(ASK, WAR)
    assert opened.evaluate("[window.seen.word, window.seen.after]") == ["not told here", None]
    assert "pooled again" in opened.inner_text(".ef-px-why")
    assert opened.inner_text(".ef-px-new") == "not known"
    opened.evaluate(MOVE, [war["knobs"][0], "by", 9])
    opened.evaluate(ASK, FORCE)  # what only the chain to war reads does not bear on use of force
    assert opened.evaluate("window.seen.after") == told


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_fits(opened: Any, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened.set_viewport_size({"width": width, "height": 900})
    opened.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme; }", scheme)
    opened.emulate_media(color_scheme=scheme)
    opened.evaluate(MOVE, [opened.evaluate("document.querySelector('.ef-px input').dataset.knob"), "by", 9])
    opened.bring_to_front()
    found = Axe().run(opened)
    assert found.violations_count == 0, found.generate_report()
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    dark = opened.evaluate("getComputedStyle(document.querySelector('.ef-px')).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") is (scheme == "light")


@pytest.mark.slow
def test_without_a_program_there_is_the_table(chrome: Any, section: str) -> None:
    context = chrome.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(section)
    assert page.locator("table").is_visible()
    assert not page.locator(".ef-px-app").is_visible()
    context.close()
