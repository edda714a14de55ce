"""What came of archived forecasts: answered once, corrected with a reason, scored beside others."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from escalation_forecast import realised
from escalation_forecast.alerts import Alert, deliver
from escalation_forecast.cli import app
from escalation_forecast.ledger import Ledger
from escalation_forecast.questions import bind, load_questions
from escalation_forecast.records import (
    Outcome,
    Score,
    import_crowd,
    resolve,
    resolve_by_hand,
    running_score,
    stored,
)
from escalation_forecast.records.scores import independent
from escalation_forecast.records.windows import Span
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from postgres_server import PostgresServer
from run_folder import answer, run_folder

TODAY = dt.date(2026, 11, 27)
ASKED = dt.date(2024, 11, 30)
PAGE = "https://ucdp.uu.se/"
FORCE, WAR, YEAR = "use-of-force/ukraine_nato/12m", "interstate-war/CHN-TWN/12m", "arms-race-annual/2025"
ASK = ("use-of-force", "interstate-war", "arms-race-annual", "tension-exceeds", "spending-growth")
Publish = Callable[..., str]


@pytest.fixture(scope="module", autouse=True)
def paths_read_once() -> Iterator[None]:
    """What happened, by the figures that a store holds, is worked out once for each set of them."""
    made: dict[Any, Any] = {}
    read = realised.paths_from_store

    def once(store: Store, **options: Any) -> Any:
        values = store.observations["value"]
        key = (store.as_of_date, len(values), values.sum(), *sorted(options.items()))
        if key not in made:
            made[key] = read(store, **options)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realised, "paths_from_store", once)
        yield


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path / "runs")) as opened:
        yield opened


@pytest.fixture
def publish(ledger: Ledger, whole_store: Store, tmp_path: Path) -> Publish:
    """Publishes a run as of a day with the answers named, worded as a forecast of that day words them."""

    def published(day: dt.date, *names: str, p: float = 0.25, **changes: Any) -> str:
        run_id = hashlib.sha256(f"{day}{names}{p}{changes}".encode()).hexdigest()[:16]
        questions = [one for one in load_questions() if one.id in {name.partition("/")[0] for name in names}]
        items = {item.id: item for item in bind(questions, whole_store.as_of(day), as_of=day)}
        entries = []
        for name in names:
            own: dict[str, Any] = {"resolves_on": items[name].resolves_on, "kind": items[name].rule.kind}
            if hasattr(items[name].params, "threshold") and items[name].question.id == "tension-exceeds":
                own["note"] = f"threshold {items[name].params.threshold:.4g}"
            if own["kind"] == "continuous":
                own["distribution"] = {"low": 1.0, "median": 2.0, "mean": 2.0, "high": 3.0}
            entries.append(answer(name, p if own["kind"] == "binary" else None, **{**own, **changes}))
        ledger.publish(run_folder(tmp_path / "made", run_id, as_of=str(day), questions=entries))
        return run_id

    return published


def outcomes(found: Outcome) -> dict[str, str]:
    return {one.answer: one.outcome for one in found.new}


def changed(store: Store, series: str, unit: str, month: str, value: float | None) -> Store:
    """The store with a month's figure replaced, or without it."""
    rows = store.observations
    hit = (rows["series"] == series) & (rows["unit"] == unit) & (rows["period_start"] == pd.Timestamp(month))
    assert hit.any()
    if value is None:
        return dataclasses.replace(store, observations=rows[~hit], where=store.where[~hit])
    return dataclasses.replace(store, observations=rows.assign(value=rows["value"].where(~hit, value)))


# Resolution by the program -------------------------------------------------------------------------


def test_answers_come_from_the_figures(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    growth = "spending-growth/JPN/2025"
    publish(ASKED, FORCE, "use-of-force/korea/12m", YEAR, "tension-exceeds/news_ukraine_nato/3m", growth)
    found = resolve(ledger, whole_store, today=TODAY)
    assert outcomes(found) == {
        FORCE: "yes",
        "use-of-force/korea/12m": "no",
        YEAR: "yes",
        "tension-exceeds/news_ukraine_nato/3m": "yes",
        growth: "9.675",
    }
    force = stored(ledger)[FORCE, ASKED]
    assert force.window == Span(dt.date(2024, 12, 1), dt.date(2025, 11, 30), True)
    assert force.resolved_on == TODAY
    figures = force.evidence["figures"]
    assert ["ukraine_nato", "2024-12", 0.0] in figures
    assert max(value for _, _, value in figures) >= 4
    year = stored(ledger)[YEAR, ASKED]
    assert (year.release, year.evidence["published_at"]) == ("2026", "2026-04-27")
    assert {label: round(value, 1) for label, _, value in year.evidence["figures"]} == {
        "CHN": 7.4, "JPN": 9.7, "KOR": 2.6, "TWN": 13.8,
    }  # fmt: skip


def test_answered_once(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, FORCE)
    assert len(resolve(ledger, whole_store, today=TODAY).new) == 1
    before = ledger.table("resolutions")
    again = resolve(ledger, whole_store, today=TODAY + dt.timedelta(days=1), check=True)
    assert again == Outcome()
    pd.testing.assert_frame_equal(before, ledger.table("resolutions"))


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2025-11-29", "waits"),
        ("2026-04-28", "waits"),  # published the day before, but an edition counts as of 1 June
        ("2026-05-31", "waits"),
        ("2026-06-01", "yes"),
    ],
)
def test_edition_counts_as_it_stands_on_the_first_of_june(
    ledger: Ledger, whole_store: Store, publish: Publish, today: str, expected: str
) -> None:
    publish(ASKED, YEAR)
    found = resolve(ledger, whole_store, today=dt.date.fromisoformat(today))
    assert outcomes(found).get(YEAR, "waits") == expected
    assert found.waiting == (expected == "waits")


def test_no_waits_for_a_month_that_broke_off(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    # The ladder of the last month reaches to 22 August; one window to the end of that month.
    publish(dt.date(2026, 5, 30), "use-of-force/taiwan/3m")
    publish(dt.date(2026, 4, 30), "use-of-force/taiwan/3m")
    found = resolve(ledger, whole_store, today=TODAY)
    assert [one.as_of for one in found.new] == [dt.date(2026, 4, 30)]
    assert found.waiting == 1


def test_yes_need_not_wait_for_the_end_of_its_window(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    publish(dt.date(2026, 3, 1), FORCE, "use-of-force/korea/12m")
    found = resolve(ledger, whole_store, today=TODAY)
    assert outcomes(found) == {FORCE: "yes"}
    assert found.waiting == 1


def test_two_runs_of_a_day_share_an_answer(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, FORCE, p=0.2)
    publish(ASKED, FORCE, p=0.3)
    assert len(resolve(ledger, whole_store, today=TODAY).new) == 1


def test_drafts_are_not_answered(ledger: Ledger, whole_store: Store, tmp_path: Path) -> None:
    draft = {"draft": True, "published": False, "questions": [answer(FORCE)]}
    ledger.add(run_folder(tmp_path / "made", as_of=str(ASKED), **draft))
    assert resolve(ledger, whole_store, today=TODAY) == Outcome()


def test_other_outcome_later_is_an_error_and_changes_nothing(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    publish(ASKED, "use-of-force/korea/12m")
    resolve(ledger, whole_store, today=TODAY)
    before = ledger.table("resolutions")
    other = changed(whole_store, "ladder", "korea", "2025-03-01", 4.0)
    assert resolve(ledger, other, today=TODAY) == Outcome()
    (conflict,) = resolve(ledger, other, today=TODAY, check=True).conflicts
    assert "use-of-force/korea/12m as of 2024-11-30: no" in str(conflict)
    assert "the figures say yes" in str(conflict)
    pd.testing.assert_frame_equal(before, ledger.table("resolutions"))
    gone = changed(whole_store, "ladder", "korea", "2025-03-01", None)
    (conflict,) = resolve(ledger, gone, today=TODAY, check=True).conflicts
    assert "it is open" in conflict.found


def test_correction_adds_a_row_and_keeps_the_old(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    name = "use-of-force/korea/12m"
    publish(ASKED, name)
    resolve(ledger, whole_store, today=TODAY)
    other = changed(whole_store, "ladder", "korea", "2025-03-01", 4.0)
    with pytest.raises(DataError, match="name them"):
        resolve(ledger, other, today=TODAY, correct="The coder had missed it.")
    found = resolve(ledger, other, answers=[name], today=TODAY, correct="The coder had missed it.")
    assert outcomes(found) == {name: "yes"}
    rows = ledger.table("resolutions")
    assert rows["status"].tolist() == ["false", "true"]
    assert rows["answer"].tolist() == [name, f"{name}~2"]
    now = stored(ledger)[name, ASKED]
    assert (now.status, now.version) == ("true", 2)
    assert now.evidence["corrects"] == "The coder had missed it."
    assert resolve(ledger, other, answers=[name], today=TODAY) == Outcome()
    back = resolve(ledger, whole_store, answers=[name], today=TODAY, correct="It was right.")
    assert [one.version for one in back.new] == [3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolves_on": "another release"}, "it was to resolve on `another release`"),
        ({"note": "threshold 9"}, "its threshold was 9"),
        ({"question": "gone"}, "there is no question `gone` any more"),
    ],
)
def test_what_was_asked_otherwise_is_not_judged(
    ledger: Ledger, whole_store: Store, publish: Publish, changes: dict[str, str], message: str
) -> None:
    publish(ASKED, "tension-exceeds/news_korea/3m", **changes)
    found = resolve(ledger, whole_store, today=TODAY)
    assert found.new == ()
    assert message in found.notes[0]


def test_unknown_answer_names_the_nearest(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, FORCE)
    with pytest.raises(DataError, match="did you mean `use-of-force"):
        resolve(ledger, whole_store, answers=["use-of-forces"], today=TODAY)


# Resolution by people ------------------------------------------------------------------------------


def test_maintainers_decide_what_is_theirs(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, WAR)
    assert resolve(ledger, whole_store, today=TODAY, propose=False) == Outcome(waiting=1)
    found = resolve(ledger, whole_store, today=TODAY)
    assert (found.new, [one.outcome for one in found.proposed]) == ((), ["no"])
    assert ledger.table("resolutions").empty
    given: dict[str, Any] = {"answers": ["interstate-war"], "confirm": "No war in UCDP 26.1.", "source": PAGE}
    assert outcomes(resolve(ledger, whole_store, today=TODAY, **given)) == {WAR: "no"}
    kept = stored(ledger)[WAR, ASKED]
    assert (kept.source, kept.evidence["by"], kept.evidence["text"]) == (PAGE, "hand", "No war in UCDP 26.1.")
    assert resolve(ledger, whole_store, today=TODAY, check=True) == Outcome()


def test_answer_by_hand_holds_for_all_forecasts_of_the_window(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    for day in ("2024-11-01", "2024-11-30", "2024-12-01"):
        publish(dt.date.fromisoformat(day), WAR)
    given: dict[str, Any] = {"evidence": "Two sources.", "source": PAGE, "today": TODAY}
    with pytest.raises(DataError, match="several windows"):
        resolve_by_hand(ledger, whole_store, WAR, True, **given)
    with pytest.raises(DataError, match=r"no forecast .* as of 2024-11-02; the nearest is of 2024-11-01"):
        resolve_by_hand(ledger, whole_store, WAR, True, as_of=dt.date(2024, 11, 2), **given)
    found = resolve_by_hand(ledger, whole_store, WAR, True, as_of=ASKED, **given)
    assert [str(one.as_of) for one in found.new] == ["2024-11-01", "2024-11-30"]
    assert resolve_by_hand(ledger, whole_store, WAR, True, as_of=ASKED, **given) == Outcome()
    with pytest.raises(DataError, match="stored on 2026-11-27, but now you say no"):
        resolve_by_hand(ledger, whole_store, WAR, False, as_of=ASKED, **given)
    corrected = resolve_by_hand(ledger, whole_store, WAR, False, as_of=ASKED, correct="A hoax.", **given)
    assert [one.version for one in corrected.new] == [2, 2]


def test_hand_does_not_overrule_figures_without_a_reason(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    publish(ASKED, "use-of-force/korea/12m", YEAR)
    given: dict[str, Any] = {"evidence": "Seen.", "source": PAGE, "today": TODAY}
    with pytest.raises(DataError, match="The figures say false"):
        resolve_by_hand(ledger, whole_store, "use-of-force/korea/12m", True, **given)
    assert resolve_by_hand(ledger, whole_store, "use-of-force/korea/12m", True, correct="Wrong.", **given).new
    assert resolve_by_hand(ledger, whole_store, YEAR, True, **given).new


def test_no_cannot_be_said_before_the_window_is_over(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    publish(dt.date(2026, 3, 1), WAR)
    given: dict[str, Any] = {"evidence": "Quiet.", "source": PAGE}
    with pytest.raises(DataError, match="before its window is over on 2027-03-31"):
        resolve_by_hand(ledger, whole_store, WAR, False, today=TODAY, **given)
    with pytest.raises(DataError, match="begins on 2026-04-01"):
        resolve_by_hand(ledger, whole_store, WAR, True, today=dt.date(2026, 3, 15), **given)


@pytest.mark.parametrize(
    ("evidence", "source", "message"),
    [
        ("", PAGE, "needs evidence in words"),
        ("Seen.", "", "needs evidence in words"),
        ("Seen.", "javascript:alert(1)", "is no page"),
        ("Seen.", "https://me:S3CRET@host/", "is no page"),
        ("nul \x00", PAGE, "cannot be printed"),
        ("x" * 4001, PAGE, "4,001 characters"),
    ],
)
def test_evidence_is_checked(
    ledger: Ledger, whole_store: Store, publish: Publish, evidence: str, source: str, message: str
) -> None:
    publish(ASKED, WAR)
    with pytest.raises(DataError, match=message):
        resolve_by_hand(ledger, whole_store, WAR, True, evidence=evidence, source=source, today=TODAY)


def test_hostile_evidence_stays_text(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, WAR)
    text = "'); DROP TABLE resolutions; -- <script>alert(1)</script> \"}"
    resolve_by_hand(ledger, whole_store, WAR, True, evidence=text, source=PAGE, today=TODAY)
    assert stored(ledger)[WAR, ASKED].evidence["text"] == text


# Scores --------------------------------------------------------------------------------------------


def by(found: Sequence[Score], **wanted: str) -> Score:
    (one,) = [one for one in found if all(getattr(one, name) == value for name, value in wanted.items())]
    return one


def test_score_is_that_of_its_definition(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    run = publish(ASKED, FORCE, "use-of-force/korea/12m", p=0.3)
    resolve(ledger, whole_store, today=TODAY)
    brier = by(running_score(ledger), rule="brier")
    assert (brier.forecasts, brier.items, brier.events, brier.windows) == (2, 2, 1, 1)
    assert brier.score == pytest.approx((0.7**2 + 0.3**2) / 2)
    assert brier.reference == pytest.approx((0.9**2 + 0.1**2) / 2)
    log = by(running_score(ledger), rule="log")
    assert log.score == pytest.approx(-(np.log(0.3) + np.log(0.7)) / 2)
    kept = ledger.table("scores", run_id=run, answer=FORCE).set_index("rule")
    assert kept.loc["brier", "score"] == pytest.approx(0.49)
    assert kept.loc["brier", "reference"] == pytest.approx(0.81)
    assert (brier.skill, brier.verdict) == (None, "too few: 2 of 10 items")


def test_log_score_has_a_floor(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    publish(ASKED, FORCE, p=0.0)
    resolve(ledger, whole_store, today=TODAY)
    assert by(running_score(ledger), rule="log").score == pytest.approx(-np.log(0.005))


def test_item_asked_every_day_counts_once(ledger: Ledger, whole_store: Store, publish: Publish) -> None:
    for day in range(1, 13):
        publish(dt.date(2024, 11, day), FORCE, p=0.9 if day < 12 else 0.1)
    publish(dt.date(2024, 12, 1), FORCE, p=0.5)
    resolve(ledger, whole_store, today=TODAY)
    brier = by(running_score(ledger), rule="brier")
    # Two items, whose windows of twelve months overlap.
    assert (brier.forecasts, brier.items, brier.windows) == (13, 2, 1)
    assert brier.score == pytest.approx(((11 * 0.01 + 0.81) / 12 + 0.25) / 2)
    assert brier.skill is None


def test_skill_is_said_from_ten_items_and_five_windows(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    months = pd.date_range("2023-01-31", "2025-12-31", freq="3ME")
    for month in months:
        publish(month.date(), "use-of-force/east_china_sea/3m", p=0.01)
    resolve(ledger, whole_store, today=TODAY)
    brier = by(running_score(ledger), rule="brier")
    assert (brier.items, brier.windows, brier.events) == (12, 12, 0)
    assert brier.skill == pytest.approx(1 - 0.01**2 / 0.1**2)
    assert brier.verdict == "better"
    assert brier.low is not None
    worse = dataclasses.replace(brier, low=-0.5, high=-0.1)
    assert worse.verdict == "worse"
    assert dataclasses.replace(brier, low=-0.5).verdict == "could be chance"
    assert dataclasses.replace(brier, windows=4, low=None).verdict == "could be chance: 4 of 5 windows"


def test_what_was_known_already_is_not_scored(
    ledger: Ledger, whole_store: Store, publish: Publish, tmp_path: Path
) -> None:
    publish(ASKED, YEAR)
    wording = by_wording(ledger, YEAR)
    ledger.publish(
        run_folder(tmp_path / "made", as_of="2026-05-01", questions=[answer(YEAR, 1.0, resolves_on=wording)])
    )
    assert len(resolve(ledger, whole_store, today=TODAY).new) == 2
    assert by(running_score(ledger), rule="brier").forecasts == 1


def by_wording(ledger: Ledger, name: str) -> str:
    latest = ledger.latest()
    assert latest is not None
    answers = ledger.probabilities(latest.run_id)
    return str(answers.loc[answers["id"] == name, "resolves_on"].item())


def test_correction_changes_the_score_and_keeps_the_old(
    ledger: Ledger, whole_store: Store, publish: Publish
) -> None:
    name = "use-of-force/korea/12m"
    publish(ASKED, name, p=0.2)
    resolve(ledger, whole_store, today=TODAY)
    assert by(running_score(ledger), rule="brier").score == pytest.approx(0.04)
    other = changed(whole_store, "ladder", "korea", "2025-03-01", 4.0)
    resolve(ledger, other, answers=[name], today=TODAY, correct="Missed.")
    assert by(running_score(ledger), rule="brier").score == pytest.approx(0.64)
    assert set(ledger.table("scores")["rule"]) == {"brier", "log", "brier~2", "log~2"}


day = st.integers(0, 400).map(lambda n: dt.date(2025, 1, 1) + dt.timedelta(days=n))
spans = st.lists(
    st.builds(lambda first, n: Span(first, first + dt.timedelta(days=n), True), day, st.integers(0, 200)),
    min_size=1,
    max_size=7,
)


@given(spans)
def test_groups_are_as_many_as_windows_apart(windows: list[Span]) -> None:
    groups = independent(windows)
    best = 0
    for chosen in range(1 << len(windows)):
        picked = sorted((w for k, w in enumerate(windows) if chosen >> k & 1), key=lambda w: w.first)
        if all(a.last < b.first for a, b in itertools.pairwise(picked)):
            best = max(best, len(picked))
    assert groups.max() + 1 == best
    assert set(groups.tolist()) == set(range(best))
    # Windows of one group have a day in common.
    for group in range(best):
        own = [window for window, k in zip(windows, groups, strict=True) if k == group]
        assert max(window.first for window in own) <= min(window.last for window in own)


# The crowd -----------------------------------------------------------------------------------------

HEADER = "answer,as_of,forecaster,probability,source\n"


def crowd(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_crowd_is_scored_on_the_same_items(
    ledger: Ledger, whole_store: Store, publish: Publish, tmp_path: Path
) -> None:
    publish(dt.date(2024, 11, 10), FORCE, p=0.4)
    publish(dt.date(2024, 11, 20), FORCE, p=0.9)
    publish(dt.date(2024, 12, 20), FORCE, p=0.6)
    rows = (
        f"{FORCE},2024-11-15,Club,0.5,poll",  # beside the run of 10 November, not the later one
        f"{FORCE},2024-11-05,Club,0.1,poll",  # before any forecast: nothing to compare with
        f"{FORCE},2025-01-15,Club,0.1,poll",  # asks about a window that nobody forecast
        f"{FORCE},2024-12-31,Other,0.7,poll",
    )
    assert import_crowd(ledger, crowd(tmp_path / "c.csv", *rows), today=TODAY) == 4
    resolve(ledger, whole_store, today=TODAY)
    found = running_score(ledger)
    club = by(found, rule="brier", against="Club")
    assert (club.forecasts, club.items) == (1, 1)
    assert (club.score, club.reference) == (pytest.approx(0.36), pytest.approx(0.25))
    other = by(found, rule="brier", against="Other")
    assert (other.score, other.reference) == (pytest.approx(0.16), pytest.approx(0.09))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "use-of-force/ukraine_nato/12n,2024-11-15,Club,0.5,poll",
            "did you mean `use-of-force/ukraine_nato/12m`",
        ),
        (f"{FORCE},15.11.2024,Club,0.5,poll", "as_of '15.11.2024' is not a date; write it as YYYY-MM-DD"),
        (f"{FORCE},2027-01-01,Club,0.5,poll", "lies in the future"),
        (f"{FORCE},2024-11-15,Club,50,poll", "write 12 per cent as 0.12"),
        (f"{FORCE},2024-11-15,Club,nan,poll", "is no number from 0 to 1"),
        (f"{FORCE},2024-11-15,Club,-0.1,poll", "is no number from 0 to 1"),
        (f"{FORCE},2024-11-15,,0.5,poll", "forecaster is empty"),
        (f"{FORCE},2024-11-15,Cl\x07ub,0.5,poll", "not plain text"),
        (f"{FORCE},2024-11-15,Club,0.5,", "source is empty"),
        (f"{FORCE},2024-11-15,Club,0.5", "4 cells where the header has 5"),
        ("spending-growth/JPN/2025,2024-11-15,Club,0.5,poll", "is no yes-or-no question"),
        (f"{FORCE},2024-11-14,club,0.6,poll", "row 2 has this forecast already"),
    ],
)
def test_crowd_file_is_taken_whole_or_not_at_all(
    ledger: Ledger, publish: Publish, tmp_path: Path, row: str, message: str
) -> None:
    publish(ASKED, FORCE, "spending-growth/JPN/2025")
    file = crowd(tmp_path / "c.csv", f"{FORCE},2024-11-14,Club,0.5,poll", row)
    with pytest.raises(DataError, match=r"c\.csv, row 3: ") as refused:
        import_crowd(ledger, file, today=TODAY)
    assert message in str(refused.value)
    assert ledger.table("crowd").empty


def test_crowd_is_not_imported_twice(ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    publish(ASKED, FORCE)
    file = crowd(tmp_path / "c.csv", f"{FORCE},2024-11-14,Club,0.5,poll")
    assert import_crowd(ledger, file, today=TODAY) == 1
    with pytest.raises(DataError, match="the archive has this forecast already"):
        import_crowd(ledger, file, today=TODAY)
    with pytest.raises(DataError, match="no row"):
        import_crowd(ledger, crowd(tmp_path / "empty.csv"), today=TODAY)


# The commands --------------------------------------------------------------------------------------


def test_commands(ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    publish(ASKED, FORCE, WAR)
    place = ["--archive", f"sqlite:///{tmp_path / 'archive.sqlite'}", "--files", str(tmp_path / "runs")]
    runner = CliRunner()

    def run(*words: str) -> Any:
        return runner.invoke(app, ["questions", *words, *place])

    first = run("resolve", "--json")
    assert first.exit_code == 0, first.output
    record = json.loads(first.stdout)
    assert [one["answer"] for one in record["new"]] == [FORCE]
    assert [one["answer"] for one in record["proposed"]] == [WAR]
    by_hand = ["--answer", "yes", "--evidence", "It began.", "--source", PAGE]
    assert run("resolve", WAR, *by_hand).exit_code == 0
    refused = run("resolve", WAR, "--answer", "no", *by_hand[2:])
    assert refused.exit_code == 2
    assert "Find out which is right" in refused.stderr
    assert run("resolve", "--answer", "maybe", WAR, *by_hand[2:]).exit_code == 2
    assert run("resolve", "--evidence", "It began.").exit_code == 2
    file = crowd(tmp_path / "c.csv", f"{FORCE},2024-11-30,Club,0.5,poll")
    assert json.loads(run("crowd", "import", str(file), "--json").stdout) == {"rows": 1}
    scores = json.loads(run("score", "--json").stdout)
    assert {one["against"] for one in scores} == {"base rate", "Club"}
    shown = run("score")
    assert "too few: 1 of 10 items" in shown.stdout
    assert "0.005" in shown.stdout


@pytest.mark.slow
def test_all_of_it_on_postgresql(
    ledger: Ledger, publish: Publish, whole_store: Store, tmp_path: Path
) -> None:
    publish(ASKED, FORCE, "use-of-force/korea/12m", WAR)
    alert = Alert("moved", "use-of-force", "warning", "It moved.")
    with PostgresServer() as server, Ledger.open(server.database(), str(tmp_path / "runs")) as other:
        other.publish(tmp_path / "runs" / str(ledger.runs()["run_id"].item()))
        file = crowd(tmp_path / "c.csv", f"{FORCE},2024-11-30,Club,0.5,poll")
        for archive in (ledger, other):
            assert resolve(archive, whole_store, today=TODAY).new
            resolve_by_hand(archive, whole_store, WAR, True, evidence="Seen.", source=PAGE, today=TODAY)
            given: dict[str, Any] = {"evidence": "Seen.", "source": PAGE, "today": TODAY, "correct": "No."}
            resolve_by_hand(archive, whole_store, WAR, False, **given)
            import_crowd(archive, file, today=TODAY)
            delivered = deliver(archive, "", [alert, alert], file=tmp_path / "alerts.jsonl")
            assert (len(delivered.new), delivered.sent) == (1, 1)
            assert deliver(archive, "", [alert]).new == ()
        assert running_score(other) == running_score(ledger)
        assert stored(other) == stored(ledger)
        for table in ("resolutions", "scores", "crowd"):
            pd.testing.assert_frame_equal(other.table(table), ledger.table(table))


def test_conflict_ends_with_one(
    ledger: Ledger, publish: Publish, whole_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ASKED, "use-of-force/korea/12m")
    resolve(ledger, whole_store, today=TODAY)
    other = changed(whole_store, "ladder", "korea", "2025-03-01", 4.0)
    monkeypatch.setattr("escalation_forecast.cli.records.read_store", lambda *_: other)
    place = ["--archive", f"sqlite:///{tmp_path / 'archive.sqlite'}", "--files", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, ["questions", "resolve", "--check", *place])
    assert result.exit_code == 1
    assert "the figures say yes" in result.stderr
