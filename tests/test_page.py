"""The page as text: its numbers are the run's, nothing foreign runs, and every kind of run has one."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation_forecast.archive import Run
from escalation_forecast.lateness import overdue
from escalation_forecast.ledger import Ledger
from escalation_forecast.page import moved, render, safety
from escalation_forecast.page.figures import indicators
from escalation_forecast.page.material import Material
from escalation_forecast.page.words import signed, window_name
from escalation_forecast.question_file import load_questions
from escalation_forecast.report.layout import percent
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from page_text import EARLIER, LATER, Tree, made, small, two_runs
from run_folder import answer, summary_of

HOSTILE = "<script>window.hit=1</script><img src=x onerror=window.hit=1>\"'&</script>"


@pytest.fixture(scope="module", autouse=True)
def found_once() -> Iterator[None]:
    """What every page of the same figures asks anew is found once for all of them."""
    hashed: dict[Any, str] = {}
    late: dict[Any, list[Any]] = {}
    hash_of, late_of = Store.content_hash, overdue

    def key(store: Store) -> Any:
        return store.as_of_date, len(store.observations)

    def remembered(store: Store) -> str:
        if key(store) not in hashed:
            hashed[key(store)] = hash_of(store)
        return hashed[key(store)]

    def once(store: Store, day: Any = None) -> list[Any]:
        if (store_key := (*key(store), day)) not in late:
            late[store_key] = list(late_of(store, day))
        return late[store_key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "content_hash", remembered)
        patch.setattr("escalation_forecast.lateness.overdue", once)
        yield


@pytest.fixture(scope="module")
def text(year_run: Run, known: Store) -> str:
    return render(year_run, store=known, explorer=False)


@pytest.fixture(scope="module")
def tree(text: str) -> Tree:
    return Tree(text)


# What it says ----------------------------------------------------------------------------------------


def test_every_answer_is_there_with_its_number_and_base_rate(year_run: Run, tree: Tree) -> None:
    rows = tree.all("li")
    for q in year_run.summary["questions"]:
        if q["kind"] != "binary":
            continue
        window = window_name(q["id"].split("/")[-1])
        wanted = f"{window} {percent(q['probability'])}"
        assert any(row.startswith(wanted) for row in rows), q["id"]
    keys = {
        str(a.get("data-key")) for tag, a in tree.found if tag == "div" and "qpart" in str(a.get("class"))
    }
    assert keys == {q["id"].rpartition("/")[0] for q in year_run.summary["questions"]}


def test_resolution_sheet_is_that_of_the_questions_file(year_run: Run, tree: Tree) -> None:
    asked = {q["question"] for q in year_run.summary["questions"]}
    sheets = tree.all("details", class_="resolution")
    for question in load_questions():
        if question.id not in asked:
            continue
        sheet = next(s for s in sheets if f"Id {question.id}" in s)
        for part in (question.text, question.resolver, question.fallback, *question.edge_cases):
            assert " ".join(part.split()) in sheet
        assert question.rule in sheet
    assert len(sheets) == len(asked)


def test_as_of_day_and_draft_cannot_be_missed(tree: Tree) -> None:
    assert "15 June 2026" in tree.all("p", class_="asof")[0]
    assert tree.all("div", class_="banner")[0].startswith("DRAFT")
    assert tree.all("title")[0].startswith("DRAFT")


def test_headings_are_in_order_and_ids_are_unique(tree: Tree) -> None:
    levels = [int(tag[1]) for tag, _ in tree.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    ids = Counter(a["id"] for _, a in tree.found if "id" in a)
    assert max(ids.values()) == 1
    named = {a["href"] for tag, a in tree.found if tag == "a" and str(a.get("href")).startswith("#")}
    assert named
    assert {str(n)[1:] for n in named} <= set(ids)


def test_every_chart_has_words_and_a_table(tree: Tree) -> None:
    charts = [a for tag, a in tree.found if tag == "svg"]
    assert len(charts) >= 6 + 5 + 14
    assert all(len(str(a["aria-label"])) > 80 for a in charts)
    assert len(tree.all("details", class_="numbers")) == len(charts)


def test_theatre_chart_reads_the_stored_quantiles(year_run: Run, text: str) -> None:
    latent = pd.read_parquet(year_run.folder / "latent.parquet")
    own = latent[latent["theatre"] == "taiwan"].reset_index(drop=True)
    found = re.search(r'id="data-latent-taiwan">(.*?)</script>', text)
    assert found is not None
    data = json.loads(found[1])
    assert data["n"] == len(data["readings"]) == len(own)
    for place_ in (0, 200, len(own) - 1):
        row = own.loc[place_]
        assert data["readings"][place_].startswith(f"{row['month']:%B %Y}")
        assert f"median {signed(row['q50'])}" in data["readings"][place_]
        assert f"80 % {signed(row['q10'])} to {signed(row['q90'])}" in data["readings"][place_]
    assert "forecast" in data["readings"][-1]
    assert "forecast" not in data["readings"][0]


def test_ladder_bars_count_the_coded_months(known: Store, year_run: Run, text: str) -> None:
    found = re.search(r'id="data-ladder-korea">(.*?)</script>', text)
    assert found is not None
    readings = json.loads(found[1])["readings"]
    coded = known.latest("ladder", "korea").set_index("period_start")["value"]
    # The fifth bar from the start of the forecast is long coded.
    end = pd.Timestamp(year_run.forecast.attrs["first_forecast_month"]) - pd.DateOffset(months=12 * 4 + 1)
    reading = next(r for r in readings if r.startswith(f"Twelve months to {end:%B %Y}"))
    window = coded[(coded.index > end - pd.DateOffset(months=12)) & (coded.index <= end)]
    for rung, name in ((2, "threat"), (3, "display of force"), (4, "use of force")):
        assert f"{name} {int((window == rung).sum())}" in reading


def test_late_indicators_are_those_that_are_overdue(known: Store, year_run: Run) -> None:
    material = Material(year_run.summary, year_run.folder, known, load_questions())
    found = indicators(material)
    late = {(one.series, one.unit) for one in overdue(known, material.as_of)}
    listed = known.indicators.set_index("indicator")
    for row in found["rows"]:
        if row["indicator"] in listed.index:
            units = str(listed.loc[row["indicator"], "units"]).split("+")
            assert bool(row["late"]) == any((row["series"], unit) in late for unit in units), row
    assert found["late"] == sum(bool(row["late"]) for row in found["rows"]) > 0
    world = next(row for row in found["rows"] if row["indicator"] == "news_world")
    newest = known.latest("gpr_world").sort_values("period_end").iloc[-1]
    assert world["figure"].startswith(f"{newest['value']:.4g} ")
    assert world["period"] == f"{newest['period_end']:%B %Y}"


def test_run_without_parts_says_so(known: Store, tmp_path: Path) -> None:
    text = made(known, tmp_path, answers=())
    for words in ("no answers", "no theatres", "not asked about war", "no table of spending"):
        assert words in text
    assert "made without an archive" in text
    Tree(text)


def test_changed_priors_and_prior_driven_numbers_are_labelled(known: Store, tmp_path: Path) -> None:
    share = {"discount": 0.02, "slope": 0.05, "base": 0.03, "change": 1.0, "label": "prior-driven"}
    text = made(
        known, tmp_path,
        answers=[answer("wider-war/any/12m", 0.025, prior_share=share)],
        priors_changed=[{"name": "phi", "default": "Beta(18, 2)", "used": "Beta(30, 2)"}],
    )  # fmt: skip
    tree = Tree(text)
    assert "phi: Beta(18, 2) by default, here Beta(30, 2)" in tree.all("div", class_="notice")[0]
    card = tree.all("article", class_="big")[0]
    for words in ("2.5 %", "1 in 40", "prior-driven", "2.0 % to 5.0 %", "± 0.4 points", "10 % (3 of 30"):
        assert words in card


def test_run_without_draws_says_why_it_has_no_explorer(known: Store, tmp_path: Path) -> None:
    run = small(summary_of(as_of="2026-06-15", theatres=[], spending=[], war=None), tmp_path)
    text = render(run, store=known)
    assert "not on this page: the run has no draws" in Tree(text).all("section", id="explorer")[0]
    assert "h-explorer" not in render(run, store=known, explorer=False)


def test_failed_run_has_a_page(known: Store, tmp_path: Path) -> None:
    health = {"passed": False, "reasons": ["R-hat is 1.4."]}
    summary = summary_of(as_of="2026-06-15", answers=(), published=False, diagnostics=health)
    with Ledger.open(f"sqlite:///{tmp_path / 'a.sqlite'}", str(tmp_path / "runs")) as ledger:
        ledger.fail(summary | {"theatres": [], "spending": [], "war": None})
        text = render(ledger.get(summary["run_id"]), ledger=ledger, store=known)
    banner = Tree(text).all("div", class_="banner")[0]
    assert "FAILED" in banner
    assert "R-hat is 1.4." in banner


# What changed ----------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Ledger]:
    with two_runs(tmp_path) as ledger:
        yield ledger


def test_unexplained_change_says_how_to_find_out(two: Ledger, known: Store) -> None:
    tree = Tree(render(two.get(LATER), ledger=two, store=known, explorer=False))
    row = next(r for r in tree.all("tr") if "20.0 %" in r)
    assert "29.0 %" in row
    assert "+9.0" in row
    assert any(f"explain {LATER} --since {EARLIER}" in code for code in tree.all("code"))


def test_parts_of_an_explained_change(two: Ledger, known: Store) -> None:
    own = {"run_id": LATER, "previous_id": EARLIER, "answer": "arms-race-regional/2026", "mcse": 0.004}
    steps = [
        ("time", "2026-05-01 to 2026-06-15", -0.01),
        ("news", "gpr_world", 0.06),
        ("news", "ladder and vetoes and launches", 0.05),
        ("sampling", "Monte Carlo", -0.01),
    ]
    two.put("explanations", [
        own | {"step": n, "kind": k, "label": label, "change": c} for n, (k, label, c) in enumerate(steps)
    ])  # fmt: skip
    text = render(two.get(LATER), ledger=two, store=known, explorer=False)
    row = next(r for r in Tree(text).all("tr") if "29.0 %" in r)
    for words in ("the date moved −1.0", "new figures +11.0", "sampling (usual ± 0.4) −1.0",
                  "3 series together",
                  "press (1985-2019 = 100) (gpr_world): +6.0 points (Monte Carlo error 0.4)"):  # fmt: skip
        assert words in row
    assert "--since" not in row


def test_first_run_and_unknown_earlier_run(two: Ledger, known: Store) -> None:
    text = render(two.get(EARLIER), ledger=two, store=known, explorer=False)
    assert "first run of its archive" in text
    with pytest.raises(DataError, match=r"no run 2222222222222222"):
        render(two.get(LATER), ledger=two, since="2" * 16, store=known, explorer=False)
    with pytest.raises(DataError, match="--archive"):
        render(two.load(LATER), since=EARLIER, store=known, explorer=False)


def test_the_newest_explained_run_is_taken(two: Ledger, known: Store) -> None:
    material = Material(two.get(LATER).summary, None, known, load_questions())
    found = moved.moved(material, two, None)
    assert found["earlier"]["run_id"] == EARLIER
    assert found["state"] == "compared"


# Nothing foreign runs --------------------------------------------------------------------------------


def test_hostile_strings_stay_text(known: Store, tmp_path: Path) -> None:
    rate = {"rate": 0.1, "events": 1, "trials": 10, "reference_class": HOSTILE}
    bad = answer(
        "wider-war/any/12m", title=HOSTILE, target=HOSTILE, note=HOSTILE, resolves_on=HOSTILE, base_rate=rate
    )
    changes: dict[str, Any] = {
        "answers": [bad],
        "priors_changed": [{"name": HOSTILE, "default": HOSTILE, "used": HOSTILE}],
        "skill": [{"kind": HOSTILE, "text": HOSTILE, "measured_on": "2026-01-01", "page": ""}],
        "diagnostics": {"passed": False, "reasons": [HOSTILE]},
        "draft": True,
    }  # fmt: skip
    tree, clean = Tree(made(known, tmp_path, **changes)), Tree(made(known, tmp_path))
    count = [sum(tag == "script" for tag, _ in one.found) for one in (tree, clean)]
    assert count[0] == count[1]
    assert not [a for _, a in tree.found if any(name.startswith("on") for name in a)]
    assert not [tag for tag, _ in tree.found if tag == "img"]
    assert any("window.hit=1" in words for words in tree.all("h3"))


def test_policy_allows_the_own_scripts_and_nothing_else(text: str) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert found is not None
    policy = found[1].replace("&#39;", "'")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    codes = safety.scripts_of(text)
    assert {base64.b64encode(hashlib.sha256(c.encode()).digest()).decode() for c in codes} == allowed
    assert len(codes) == 2
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_page_refers_to_nothing_outside(tree: Tree) -> None:
    for tag, attributes in tree.found:
        for name in ("src", "href", "srcset", "action", "data"):
            target = str(attributes.get(name, "#"))
            assert target.startswith(("#", "data:")) or tag == "a", (tag, target)
    links = [str(a["href"]) for tag, a in tree.found if tag == "a"]
    assert all(link.startswith(("#", "https://", "http://")) for link in links)


@pytest.mark.parametrize(
    "bad",
    ["javascript:alert(1)", " JAVASCRIPT:alert(1)", "data:text/html,x", "//x.y/z", "github: a/b@c", "http:///x",
     "http://[", "vbscript:x", "file:///etc"],
)  # fmt: skip
def test_only_addresses_of_the_web_become_links(bad: str) -> None:
    assert safety.link(bad) == ""
    assert safety.link("https://a.b/c?d") == "https://a.b/c?d"


@settings(max_examples=50)
@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_json_in_a_script_is_the_value_and_ends_nothing(value: Any) -> None:
    text = str(safety.json_text(value))
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")
