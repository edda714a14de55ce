"""The spending task end to end, its report, foreign states, and forecasts that are not fit to score."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from escalation_forecast.schema import CORE_FOUR, DataError
from escalation_forecast.score import spending_task as task_module
from escalation_forecast.score.cells import CASE_COLUMNS, Cell, Task
from escalation_forecast.score.runner import run_backtest
from escalation_forecast.score.spending_baselines import baseline
from escalation_forecast.score.spending_cases import known_spending, outcomes, select_origins
from escalation_forecast.score.spending_report import groups, spending_report
from escalation_forecast.score.spending_task import (
    COLUMNS,
    GROWTH,
    HALF,
    Source,
    SpendingTask,
    check_draws,
    score_growth,
)
from escalation_forecast.store import Store
from vintage_table import foreign_rows, vintage_file


@pytest.fixture(scope="session")
def cases() -> pd.DataFrame:
    """Three models and two records at six origins."""
    task = SpendingTask.of(models=["mix4", "clim", "ar1", "markov", HALF], at="2014p-2016p,2017,2018,2020")
    parts = [task.run(cell, 3).cases for cell in task.cells()]
    return pd.concat([p for p in parts if len(p)], ignore_index=True)


def test_task_is_what_a_runner_takes() -> None:
    task = SpendingTask.of(models=["mix4", "hier", "markov"], at="2017,2009p")
    assert isinstance(task, Task)
    assert task.cells() == [
        Cell("spending", model, origin)
        for origin in ("2009p", "2017")
        for model in ("mix4", "hier", "markov")
    ]
    assert [task.sampled(cell) for cell in task.cells()[:3]] == [False, True, False]
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301
    assert len(pickle.dumps(task)) < 2000
    assert json.loads(json.dumps(task.identity())) == task.identity()


def test_cases_by_hand() -> None:
    draws = xr.Dataset(
        {
            "first_print": (("sample", "state", "horizon"), [[[0.0, 4.0]], [[2.0, 4.0]]]),
            "settled": (("sample", "state", "horizon"), [[[9.0, 9.0]], [[9.0, 9.0]]]),
        },
        coords={"state": ["AAA"], "horizon": [1, 2]},
    )
    truth = pd.DataFrame(
        {"state": "AAA", "horizon": [1, 2, 2], "truth": ["first_print", "first_print", "release_9"],
         "outcome": [1.0, 6.0, 9.0], "outcome_cumulative": [1.0, 7.0, 20.0]}
    )  # fmt: skip
    scored = score_growth(draws, truth)
    assert scored["crps"].to_list() == pytest.approx([0.5, 2.0, 0.0])
    # sums 4 and 6 against 7: (3 + 1) / 2 - 1/2; settled 18 and 18 against 20
    assert scored["crps_cumulative"].to_list() == pytest.approx([0.5, 1.5, 2.0])
    assert scored["mae"].to_list() == pytest.approx([0.0, 2.0, 0.0])
    assert scored["pit"].to_list() == pytest.approx([0.5, 1.0, 0.5])
    assert scored["cov50"].to_list() == [1.0, 0.0, 1.0]
    # 5 per cent are 4.88 log points
    assert scored["brier_ge_5"].to_list() == pytest.approx([0.0, 1.0, 0.0])
    assert scored["twcrps"].to_list() == pytest.approx([0.0, 6 - 100 * np.log(1.05), 0.0])


def test_cases_have_the_columns_and_the_rows_of_both_kinds(cases: pd.DataFrame) -> None:
    assert list(cases.columns) == list(COLUMNS)
    assert cases[[*CASE_COLUMNS, "state", "question"]].notna().all(axis=None)
    growth = cases[cases["question"] == GROWTH]
    assert set(growth["model"]) == {"mix4", "clim", "ar1"}
    assert growth[["crps", "twcrps", "log_score", "pit"]].notna().all(axis=None)
    assert set(growth["truth"]) == {"first_print", "release_2026"}
    rules = cases[cases["question"] != GROWTH]
    assert set(rules["model"]) == {"mix4", "clim", "ar1", "markov", HALF}
    assert (rules.loc[rules["question"] == "count", "rps"].notna()).all()
    assert rules.loc[rules["question"] != "count", ["p", "brier", "log_score"]].notna().all(axis=None)
    half = rules[(rules["question"] == "rc") & (rules["origin"] == "2017") & (rules["horizon"] == 1)]
    p = half[half["truth"] == "first_print"].set_index("model")["p"]
    # Protocol figure: the base rate at 2017 is .0577
    assert p[HALF] == pytest.approx((p["mix4"] + 0.0577) / 2, abs=1e-4)


def test_a_cell_depends_on_its_seed_alone() -> None:
    task = SpendingTask.of(models=["mix4"], at="2018")
    one, again, other = (task.run(task.cells()[0], seed).cases for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(one, again)
    assert (one["crps"] != other["crps"]).any()


def test_kept_draws_are_a_thousand_in_single_precision_from_all_parts_of_a_mix() -> None:
    task = SpendingTask.of(models=["mix4"], at="2018", states=["KOR"])
    result = task.run(task.cells()[0], 5)
    assert result.draws is not None
    assert result.draws["first_print"].shape == (1000, 1, 3)
    assert result.draws["window"].dtype == np.float32
    whole = baseline("mix4")(known_spending(task_module.read_store(Source()), *_at("2018"), ["KOR"]), 5)
    for k in range(4):
        part = whole["first_print"].values[1000 * k : 1000 * (k + 1), 0, 0].astype(np.float32)
        kept = result.draws["first_print"].values[250 * k : 250 * (k + 1), 0, 0]
        assert np.isin(kept[1:-1], part).all()
    assert result.diagnostics["seconds"] > 0


def _at(label: str) -> tuple[object, ...]:
    return select_origins(task_module.read_store(Source()), label)


def test_runner_keeps_and_finds_the_cells(tmp_path: Path) -> None:
    task = SpendingTask.of(models=["clim", "markov"], at="2023")
    run = run_backtest(task, tmp_path, executor="here", progress=False)
    assert run.counts()["done"] == 2
    found = run.cases(task)
    assert set(found["model"]) == {"clim", "markov"}
    assert run_backtest(task, tmp_path, executor="here", progress=False).counts()["skipped"] == 2


def test_foreign_states_and_table_go_through_task_and_report(tmp_path: Path) -> None:
    path = vintage_file(tmp_path / "own.csv", foreign_rows(("POL", "DEU", "JPN")))
    task = SpendingTask.of(
        models=["mix4", "ewma"], at="real,pseudo", states=["POL", "JPN"], source=Source(vintages=path)
    )
    assert task.origins == ("2009p", "2010p", "2011", "2012", "2013")
    cases = pd.concat([task.run(cell, 1).cases for cell in task.cells()], ignore_index=True)
    assert set(cases["state"]) == {"POL", "JPN"}
    assert set(cases["question"]) == {GROWTH}
    tables = spending_report(cases, replicates=200)
    growth = tables["growth"]
    assert set(growth["states"]) == {"core1", "all2"}
    assert set(growth["sample"]) == {"real3", "real3_strict_first_print", "pseudo2", "combined5"}
    assert set(growth["truth"]) == {"first_print", "release_2014"}
    assert "rules" not in tables


def test_rule_models_say_which_states_they_need() -> None:
    task = SpendingTask.of(models=["base_rate"], at="2017", states=["CHN", "JPN"])
    with pytest.raises(DataError, match="base_rate is a forecast of rules about CHN, JPN, KOR and TWN"):
        task.run(task.cells()[0], 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": ["mix"]}, r"no model of spending `mix` \(did you mean `mix[45]`\?\)"),
        ({"at": "2019"}, "No origin answers to `2019`"),
        ({"states": ["JPM"]}, r"no state with spending `JPM` \(did you mean `JPN`\?\)"),
        ({"source": Source(vintages=Path("nowhere.csv"))}, "the file does not exist"),
        ({"source": Source(data=Path("nowhere"))}, "no data folder"),
    ],
)
def test_what_is_asked_for_and_is_not_there_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        SpendingTask.of(**change)  # type: ignore[arg-type]


def test_forecasts_that_are_not_fit_to_score_are_refused(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2018")
    known = known_spending(whole_store, origin, CORE_FOUR)
    good = baseline("clim")(known, 1)
    check_draws(good, known, "clim")
    with pytest.raises(DataError, match="clim at origin 2018 has no window"):
        check_draws(good.drop_vars("window"), known, "clim")
    with pytest.raises(DataError, match="lacks TWN"):
        check_draws(good.sel(state=["CHN", "JPN", "KOR"]), known, "clim")
    broken = good.copy(deep=True)
    broken["settled"].values[:7, 0, 0] = np.nan
    with pytest.raises(DataError, match="has 7 draws of settled that are no numbers"):
        check_draws(broken, known, "clim")


def test_settled_draws_are_scored_on_the_newest_release(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2018")
    known = known_spending(whole_store, origin, ["JPN"])
    draws = baseline("clim")(known, 1)
    moved = draws.assign(settled=draws["settled"] + 100.0)
    truth = outcomes(whole_store, origin, ["JPN"])
    plain, shifted = (score_growth(d, truth).set_index(["truth", "horizon"])["crps"] for d in (draws, moved))
    assert (plain["first_print"] == shifted["first_print"]).all()
    assert (shifted["release_2026"] > 50).all()


def test_report_has_skill_against_mix4_on_every_sample(cases: pd.DataFrame) -> None:
    tables = spending_report(cases, replicates=300)
    growth = tables["growth"].set_index(["states", "sample", "truth", "horizon", "model"])
    growth = growth.sort_index()
    assert set(growth.index.get_level_values("sample")) == {
        "real3", "real3_strict_first_print", "pseudo3", "combined6",
    }  # fmt: skip
    assert set(growth.index.get_level_values("states")) == {"core4", "all14"}
    row = growth.loc[("core4", "real3", "first_print", 1, "clim")]
    own = cases[(cases["question"] == GROWTH) & (cases["kind"] == "real") & cases["state"].isin(CORE_FOUR)]
    own = own[(own["truth"] == "first_print") & (own["horizon"] == 1)]
    sums = own.groupby("model")["crps"].sum()
    assert row["skill"] == pytest.approx(1 - sums["clim"] / sums["mix4"])
    assert row["low"] <= row["skill"] <= row["high"]
    assert row["n_cases"] == 12
    # one year ahead the cumulative growth is the growth
    assert row["cumulative_skill"] == pytest.approx(row["skill"])
    assert np.isnan(growth.loc[("core4", "real3", "first_print", 1, "mix4"), "skill"])
    strict = growth.loc[("core4", "real3_strict_first_print", "first_print", 1, "clim")]
    # the first print of 2018 is in the release of 2020
    assert strict["n_cases"] == 8


def test_report_on_rules_calibration_and_reliability(cases: pd.DataFrame) -> None:
    tables = spending_report(cases, replicates=50)
    rules = tables["rules"].set_index(["question", "sample", "truth", "horizon", "model"]).sort_index()
    assert rules.loc[("count", "combined6", "first_print", 1, "mix4"), "rps"] > 0
    assert set(rules.loc[("rc", "real3", "first_print", 1)].index) == {"mix4", "clim", "ar1", "markov", HALF}
    shares = tables["calibration"].drop(columns=["states", "sample", "truth", "horizon", "model"])
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0)
    reliability = tables["reliability"]
    total = reliability["miscalibration"] - reliability["discrimination"] + reliability["uncertainty"]
    assert total.to_numpy() == pytest.approx(reliability["brier"].to_numpy())


def test_report_without_the_reference_has_scores_and_no_skill(cases: pd.DataFrame) -> None:
    growth = spending_report(cases[cases["model"] != "mix4"])["growth"]
    assert growth["crps"].notna().all()
    assert growth["skill"].isna().all()
    with pytest.raises(DataError, match="no cases to report on"):
        spending_report(cases.iloc[:0])


def test_groups_name_the_core_states_present() -> None:
    assert groups(["CHN", "JPN", "KOR", "TWN"]) == {"core4": CORE_FOUR}
    assert groups(["DEU", "JPN"]) == {"core1": ("JPN",), "all2": ("DEU", "JPN")}
    assert groups(["DEU"]) == {"all1": ("DEU",)}
