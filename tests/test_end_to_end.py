"""Real fits on the embedded data, before and after the invasion of Ukraine. Minutes."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalation_forecast.archive import Run
from escalation_forecast.fit import Settings
from escalation_forecast.pipeline import run_forecast
from escalation_forecast.priors import Priors
from escalation_forecast.questions import load_questions
from escalation_forecast.schema import GLOBAL, THEATRES
from escalation_forecast.store import Store

pytestmark = pytest.mark.slow

BEFORE, AFTER = dt.date(2022, 1, 31), dt.date(2022, 4, 30)
QUICK = Settings(tune=60, draws=40, chains=2)


@pytest.fixture(scope="module")
def runs(whole_store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[dt.date, Run]:
    out = tmp_path_factory.mktemp("drafts")
    return {day: run_forecast(whole_store, as_of=day, seed=1, out=out, draft=True) for day in (BEFORE, AFTER)}


def entry(run: Run, theatre: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in run.summary["theatres"] if e["theatre"] == theatre)
    return found


def test_the_invasion_shows_in_its_theatre(runs: dict[dt.date, Run]) -> None:
    before, after = (entry(runs[day], "ukraine_nato")["now"] for day in (BEFORE, AFTER))
    assert before["month"] == "2022-01"
    assert after["month"] == "2022-04"
    # Visibly: the interval after lies above the median before, and the medians are a reference sd apart.
    assert after["low"] > before["median"]
    assert after["median"] - before["median"] > 1.0


def test_the_invasion_is_no_news_of_the_china_sea(runs: dict[dt.date, Run]) -> None:
    change = {
        theatre: entry(runs[AFTER], theatre)["now"]["median"] - entry(runs[BEFORE], theatre)["now"]["median"]
        for theatre in THEATRES
    }
    assert change["ukraine_nato"] == max(change.values())
    assert change["south_china_sea"] < change["ukraine_nato"] / 2


def test_nothing_published_later_is_in_the_run(runs: dict[dt.date, Run]) -> None:
    for day, run in runs.items():
        assert max(run.summary["data"]["last_month"].values()) <= f"{day:%Y-%m}"
        future = [e["year"] for e in run.summary["spending"] if not e["released"]]
        released = [e["year"] for e in run.summary["spending"] if e["released"]]
        assert max(released) == 2020
        assert min(future) == 2021
        level = run.forecast["indicator_level"].sel(month=slice("2022-06-01", None))
        assert float(level.std(("chain", "draw")).sel(indicator="news_korea").min()) > 0
        assert "dprk_troops" not in run.forecast


def test_every_theatre_question_and_state_has_an_answer(runs: dict[dt.date, Run]) -> None:
    summary = runs[AFTER].summary
    assert [e["theatre"] for e in summary["theatres"]] == [*THEATRES, GLOBAL]
    asked = {question.id for question in load_questions()}
    assert {e["question"] for e in summary["questions"]} <= asked
    binary = [e for e in summary["questions"] if e["kind"] == "binary" and e["probability"] is not None]
    assert len(binary) > 10
    assert all(0 <= e["probability"] <= 1 and np.isfinite(e["mcse"]) for e in binary)
    json.loads((runs[AFTER].folder / "summary.json").read_text())


def quick(store: Store, out: Path, priors: Priors | None = None) -> Run:
    return run_forecast(
        store, as_of=BEFORE, horizon=12, seed=3, priors=priors, out=out, draft=True, settings=QUICK
    )


def test_same_seed_same_probabilities_and_other_priors_another_run(
    whole_store: Store, tmp_path: Path
) -> None:
    first, second = (quick(whole_store, tmp_path / name) for name in ("one", "two"))
    assert first.folder != second.folder
    assert first.summary["run_id"] == second.summary["run_id"]
    for key in ("questions", "theatres", "spending"):
        assert first.summary[key] == second.summary[key]
    pd.testing.assert_frame_equal(
        pd.read_parquet(first.folder / "draws_theatres.parquet"),
        pd.read_parquet(second.folder / "draws_theatres.parquet"),
    )

    stubborn = Priors.default().override({"phi": {"parameters": {"alpha": 60, "beta": 2}}})
    other = quick(whole_store, tmp_path / "one", stubborn)
    assert other.summary["run_id"] != first.summary["run_id"]
    assert other.summary["priors_changed"] == [
        {"name": "phi", "default": "Beta(alpha=18, beta=2)", "used": "Beta(alpha=60, beta=2)"}
    ]
    assert first.summary["priors_changed"] == []
    assert other.summary["theatres"] != first.summary["theatres"]
