"""The pool of spending: weights by hand and without the future, shares of draws, stored weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation_forecast.draws import Draws
from escalation_forecast.forecast import simulate
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.report.terminal import pool_text
from escalation_forecast.schema import CORE_FOUR, STATES, DataError
from escalation_forecast.score import proper
from escalation_forecast.score.cells import Cell
from escalation_forecast.score.runner import load_cases, load_draws, run_backtest
from escalation_forecast.score.spending_baselines import Forecaster, baseline
from escalation_forecast.score.spending_cases import (
    KnownSpending,
    SpendingOrigin,
    known_spending,
    outcomes,
    select_origins,
)
from escalation_forecast.score.spending_pool import (
    MIX,
    POOLS,
    PRIOR_WEIGHT,
    Pooling,
    crps_forms,
    earned_weight,
    known_on,
    pooled_draws,
)
from escalation_forecast.score.spending_pool_file import (
    SpendingPool,
    learned_from,
    load_spending_pool,
    main,
    write_spending_pool,
)
from escalation_forecast.score.spending_rules import RULES
from escalation_forecast.score.spending_task import MODELS, VARIANTS, SpendingTask, thin
from escalation_forecast.spending_paths import SpendingPaths, known_growth, pooled, print_paths
from escalation_forecast.spending_simple import MIX4, mixture
from escalation_forecast.store import Store
from prior_fit import repeated

DAY = pd.Timestamp("2020-05-01")


def forecast_of(first: object, window: float = 0.0) -> xr.Dataset:
    """Draws (sample, horizon) of one state."""
    values = np.asarray(first, float)[:, None, :]
    dims = ("sample", "state", "horizon")
    ages = np.full((*values.shape, 3), window)
    return xr.Dataset(
        {"first_print": (dims, values), "settled": (dims, values + 1.0), "window": ((*dims, "age"), ages)},
        coords={"state": ["AAA"], "horizon": np.arange(values.shape[2]) + 1, "age": [0, 1, 2]},
    )


def forms_of(rows: list[tuple[str, int, str, float, float, float]]) -> pd.DataFrame:
    columns = ["origin", "horizon", "known_on", "model", "cross", "mix"]
    return pd.DataFrame(rows, columns=columns).astype({"known_on": "datetime64[ns]"})


@given(st.floats(0, 1), st.lists(st.floats(-9, 9), min_size=2, max_size=6), st.floats(-9, 9))
@settings(max_examples=10, deadline=None)
def test_crps_of_the_pool_is_the_quadratic_form(w: float, draws: list[float], y: float) -> None:
    mix = [1.0, -2.0, 4.0]
    truth = pd.DataFrame({"state": "AAA", "horizon": [1], "truth": "first_print", "outcome": [y]})
    row = crps_forms(forecast_of([[d] for d in draws]), forecast_of([[d] for d in mix]), truth).iloc[0]
    found = w**2 * row["model"] + 2 * w * (1 - w) * row["cross"] + (1 - w) ** 2 * row["mix"]
    # E|X - y| - E|X - X'| / 2 of the weighted draws
    x = np.array([*draws, *mix])
    p = np.array([w / len(draws)] * len(draws) + [(1 - w) / 3] * 3)
    by_hand = p @ np.abs(x - y) - 0.5 * p @ np.abs(x[:, None] - x) @ p
    assert found == pytest.approx(by_hand, abs=1e-9)
    assert row["model"] == pytest.approx(proper.crps(np.array([draws]), np.array([y]))[0], abs=1e-9)


def test_settled_figures_teach_nothing() -> None:
    truth = pd.DataFrame(
        {"state": "AAA", "horizon": 1, "truth": ["first_print", "release_9"], "outcome": [1.0, 2.0]}
    )
    assert crps_forms(forecast_of([[0.0]]), forecast_of([[1.0]]), truth)["outcome"].to_list() == [1.0]


def test_weight_by_hand() -> None:
    # Two states at one origin and horizon count as one: gains 2 and 0, curvatures 3 and 1, means 1 and 2.
    one = [("a", 1, "2019-05-01", 2.0, 1.0, 3.0), ("a", 1, "2019-05-01", 1.0, 1.0, 1.0)]
    forms = forms_of([*one, ("a", 2, "2020-05-01", 1.0, 0.5, 1.0)])
    forms.loc[1, "model"] = 2.0
    # The other: gain 0.5, curvature 1. Together 1.5 / 3, as two thirds of an origin against ten.
    earned = earned_weight(forms, DAY)
    assert earned.weight == pytest.approx((2 / 3 * 0.5 + 10 * 0.75) / (2 / 3 + 10))
    assert (earned.origins, earned.cases) == (1, 3)


def test_many_origins_outweigh_the_prior_and_weights_stay_shares() -> None:
    for model, mix, expected in ((1.0, 9.0, 1.0), (9.0, 1.0, 0.0)):
        forms = forms_of([(f"{k}", 1, "2019-05-01", model, 0.9, mix) for k in range(600)])
        assert earned_weight(forms, DAY).weight == pytest.approx(expected, abs=0.06)


def test_without_a_past_the_prior_weight_stands() -> None:
    forms = forms_of([("a", 1, "2021-05-01", 1.0, 0.0, 9.0)])
    assert earned_weight(forms, DAY).weight == PRIOR_WEIGHT
    equal = forms_of([("a", 1, "2019-05-01", 1.0, 1.0, 1.0)])
    assert earned_weight(equal, DAY).weight == PRIOR_WEIGHT


@pytest.fixture(scope="session")
def origins(whole_store: Store) -> tuple[SpendingOrigin, ...]:
    return select_origins(whole_store, "2013p-2016p,2017,2018,2020")


@pytest.fixture(scope="session")
def draws(whole_store: Store, origins: tuple[SpendingOrigin, ...]) -> dict[Cell, xr.Dataset]:
    """Cells of the mixture, and of `ewma` as if it were the model."""
    found = {}
    for origin in origins:
        known = known_spending(whole_store, origin)
        for name, method in ((MIX, MIX), ("joint", "ewma")):
            kept = thin(baseline(method)(known, 3))
            assert kept is not None
            found[Cell("spending", name, origin.label)] = kept.isel(sample=slice(None, None, 5))
    return found


def pooling(
    store: Store,
    origins: tuple[SpendingOrigin, ...],
    draws: dict[Cell, xr.Dataset],
    change: object = None,
) -> Pooling:
    def truth(origin: SpendingOrigin) -> pd.DataFrame:
        found = outcomes(store, origin, STATES)
        return change(found) if callable(change) else found

    return Pooling(store, origins, truth, draws.get)


def test_weights_ignore_the_future(
    whole_store: Store, origins: tuple[SpendingOrigin, ...], draws: dict[Cell, xr.Dataset]
) -> None:
    plain = pooling(whole_store, origins, draws)
    at = next(origin for origin in origins if origin.label == "2018")

    def changed(since: int) -> Pooling:
        def other(frame: pd.DataFrame) -> pd.DataFrame:
            later = frame["target_year"] >= since
            return frame.assign(outcome=frame["outcome"].where(~later, 90.0))

        return pooling(whole_store, origins, draws, other)

    weight = plain.earned("joint", at.day)
    assert weight.cases > 0
    # 2018 is the first year to forecast; the release of that year has 2017.
    assert changed(2018).earned("joint", at.day) == weight
    assert changed(2017).earned("joint", at.day).weight != weight.weight
    # What is forecast at the origin itself or later teaches nothing about it either.
    past = {cell: own for cell, own in draws.items() if cell.origin not in ("2018", "2020")}
    assert pooling(whole_store, origins, past).earned("joint", at.day) == weight


def test_first_origin_has_the_prior_weight(
    whole_store: Store, origins: tuple[SpendingOrigin, ...], draws: dict[Cell, xr.Dataset]
) -> None:
    found = pooling(whole_store, origins, draws).draws("pool", origins[0])
    assert found.attrs == {"weight": PRIOR_WEIGHT, "weight_origins": 0, "weight_cases": 0}


def test_an_outcome_is_known_from_its_release_or_the_cut_of_its_year(whole_store: Store) -> None:
    (cut, real) = select_origins(whole_store, "2012p,2018")
    early = outcomes(whole_store, cut, ["JPN"]).query("truth == 'first_print'")
    assert [f"{day:%Y-%m-%d}" for day in known_on(whole_store, early)] == [
        "2013-04-30", "2014-04-30", "2015-04-30",
    ]  # fmt: skip
    late = outcomes(whole_store, real, ["JPN"]).query("truth == 'first_print'")
    # There is no release of 2019 here: 2018 came out with 2019.
    assert [f"{day:%Y-%m-%d}" for day in known_on(whole_store, late)] == [
        "2020-04-27", "2020-04-27", "2021-04-26",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("weight", "of_model", "of_mix"), [(0.75, 400, 133), (0.5, 400, 400), (0.2, 100, 400)]
)
def test_pooled_draws_are_whole_paths_in_the_ratio_of_the_weights(
    weight: float, of_model: int, of_mix: int
) -> None:
    model, mix = (
        forecast_of(np.zeros((400, 2)), 5.0),
        forecast_of(np.repeat([[1.0], [2], [3], [4]], 100, 0), 6.0),
    )
    mix = forecast_of(np.broadcast_to(np.repeat([1.0, 2, 3, 4], 100)[:, None], (400, 2)), 6.0)
    found = pooled_draws(model, mix, weight)
    first, window = found["first_print"].values[:, 0], found["window"].values[:, 0, 0, 0]
    assert (first[:, 0] == first[:, 1]).all()
    assert ((first[:, 0] == 0) == (window == 5)).all()
    counts = [int((first[:, 0] == k).sum()) for k in range(5)]
    assert counts[0] == of_model
    assert sum(counts[1:]) == of_mix
    assert max(counts[1:]) - min(counts[1:]) <= 1


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_whole_weight_leaves_one_source(weight: float) -> None:
    model, mix = forecast_of(np.zeros((4, 2))), forecast_of(np.ones((4, 2)))
    assert (pooled_draws(model, mix, weight)["first_print"] == 1.0 - weight).all()


class Fast:
    """`ewma` under the name of a variant, for a run without a sampler."""

    def __init__(self) -> None:
        self.broken: tuple[str, ...] = ()

    def __call__(self) -> Forecaster:
        return self.forecast

    def forecast(self, known: KnownSpending, seed: int) -> xr.Dataset:
        if known.origin.label in self.broken:
            raise DataError("no forecast here")
        return baseline("ewma")(known, seed)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> Fast:
    found = Fast()
    monkeypatch.setattr("escalation_forecast.score.spending_task.MODELS", {**MODELS, "joint": found})
    return found


def task_at(origins: str, *states: str) -> SpendingTask:
    return SpendingTask.of(models=["pool", "joint", "mix4"], at=origins, states=states)


def test_backtest_makes_pools_last_and_anew_with_every_run(fast: Fast, tmp_path: Path) -> None:
    narrow = task_at("2017,2018", *CORE_FOUR)
    run = run_backtest(narrow, tmp_path, executor="here", progress=False)
    assert set(run.status["state"]) == {"done"}
    cases = load_cases(tmp_path, narrow)
    pool, model = (cases[cases["model"] == name] for name in ("pool", "joint"))
    assert len(pool) == len(model) > 0
    assert set(pool["question"]) == set(model["question"]) == {"growth", "count", *RULES}
    assert pool["outcome"].to_list() == model["outcome"].to_list()
    assert (pool["crps"].dropna().to_numpy() != model["crps"].dropna().to_numpy()).all()
    last = Cell("spending", "pool", "2018")
    before = load_draws(tmp_path, narrow, last)
    assert before.attrs["weight_origins"] == 1
    # More origins: parts are found, pools learn from them.
    wide = task_at("2016p,2017,2018", *CORE_FOUR)
    again = run_backtest(wide, tmp_path, executor="here", progress=False)
    assert again.counts() == {"done": 5, "skipped": 4, "failed": 0, "left": 0}
    after = load_draws(tmp_path, wide, last)
    assert after.attrs["weight_origins"] == 2
    assert after.attrs["weight"] != before.attrs["weight"]
    # The weights of the forecast come from the same cells.
    pool_file = learned_from(again.path(wide))
    assert pool_file.provenance["origins"] == 3
    assert list(pool_file.weights)[-1] == pd.Timestamp("2026-04-27")
    assert pool_file.at(pd.Timestamp("2018-05-02")) == pytest.approx(after.attrs["weight"])
    read = load_spending_pool(write_spending_pool(pool_file, tmp_path / "pool.toml"))
    assert list(read.weights) == list(pool_file.weights)
    assert list(read.weights.values()) == pytest.approx(list(pool_file.weights.values()), abs=1e-4)


def test_weights_are_learned_from_a_folder_of_cells_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no identity.json; give the folder"):
        learned_from(tmp_path)
    with pytest.raises(SystemExit):
        main(["--from", str(tmp_path)])


def test_a_pool_without_its_part_fails_and_one_that_waits_is_left(fast: Fast, tmp_path: Path) -> None:
    fast.broken = ("2017",)
    task = task_at("2017,2018", "KOR")
    run = run_backtest(task, tmp_path, executor="here", progress=False, limit=3)
    states = run.status.set_index(["model", "origin"])["state"]
    assert states["joint", "2017"] == states["pool", "2017"] == "failed"
    assert states["pool", "2018"] == "left"
    whole = run_backtest(task, tmp_path, executor="here", progress=False)
    assert whole.status.set_index(["model", "origin"])["state"]["pool", "2018"] == "done"


def test_pools_need_their_parts_and_have_the_names_of_the_variants() -> None:
    assert set(POOLS.values()) == set(VARIANTS)
    with pytest.raises(DataError, match="pool-no-latent is made of joint-no-latent and mix4; add joint-no"):
        SpendingTask.of(models=["pool-no-latent", "mix4"], at="2017")


def test_the_newest_weight_known_on_a_day_holds() -> None:
    pool = SpendingPool({pd.Timestamp("2010-04-30"): 0.75, pd.Timestamp("2018-05-02"): 0.6}, {})
    days = ("2005-01-01", "2010-04-30", "2018-05-01", "2018-05-02", "2030-01-01")
    assert [pool.at(pd.Timestamp(day)) for day in days] == [1.0, 0.75, 0.75, 0.6, 0.6]


def test_embedded_weights_are_sound() -> None:
    pool = load_spending_pool()
    assert pool.provenance["model"] == "joint"
    assert pool.provenance["origins"] >= 21
    assert 0.0 < pool.at(pd.Timestamp("2026-06-15")) < 1.0
    assert pool.at(pd.Timestamp("1999-01-01")) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[weights]\n2020-04-30 = 1.5", r"pool.toml: the weight 1.5 of 2020-04-30 is no share"),
        ("[weights]\n2020-04-31 = 0.5", r"`2020-04-31` in \[weights\] is not a day"),
        ("[weights]\n2020-04-30 = 0.5\n2019-04-30 = 0.5", "2019-04-30 stands after 2020-04-30; sort"),
        ("[provenance]\nmodel = 'joint'", "has no weights; make it again"),
        ("[weights", "is not TOML"),
    ],
)
def test_wrong_weights_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pool.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_spending_pool(tmp_path / "pool.toml")
    with pytest.raises(DataError, match=r"There is no other\.toml"):
        load_spending_pool(tmp_path / "other.toml")


def test_mixture_has_the_mean_of_history_and_equal_shares() -> None:
    rng = np.random.default_rng(1)
    growth = {state: mean + rng.normal(0, 3, 36) for state, mean in (("AAA", 2.0), ("BBB", 6.0))}
    drawn = mixture(growth, np.random.default_rng(2), 20002, 7)
    assert drawn.shape == (20002, 2, 7)
    # Climatology comes first, one draw more than a quarter.
    assert np.isin(drawn[:5001, 0], growth["AAA"]).all()
    assert not np.isin(drawn[5001, 0], growth["AAA"]).all()
    means = [g.mean() for g in growth.values()]
    assert drawn[:5001].mean(axis=(0, 2)) == pytest.approx(means, abs=0.05)
    # Growth without memory: the other methods keep to it too, smoothing within its own error.
    assert drawn.mean(axis=(0, 2)) == pytest.approx(means, abs=1.0)


def test_the_mixture_of_the_forecast_is_that_of_the_backtest(whole_store: Store, panel: Panel) -> None:
    known = known_growth(panel.spending)
    (origin,) = select_origins(whole_store, "2025")
    at = known_spending(whole_store, dataclasses.replace(origin, day=panel.as_of, release_year=2026))
    assert list(known) == [state for state in STATES if state in at.states]
    for state, series in known.items():
        assert series == pytest.approx(at.growth[state].to_numpy())
    ours = mixture(known, np.random.default_rng(1), 40000)
    theirs = baseline(MIX)(at, 1)["first_print"].sel(state=list(known))
    spread = theirs.std("sample").values
    assert ours.mean(axis=0) == pytest.approx(theirs.mean("sample").values, abs=0.08 * spread.max())
    assert ours.std(axis=0) == pytest.approx(spread, rel=0.12)


def own_paths(panel: Panel, posterior: xr.Dataset, priors: Priors, n: int) -> SpendingPaths:
    """The model's alone, to four years after the last print."""
    sp = panel.spending
    none, last = np.zeros((1, len(STATES), 1)), sp.last_printed + 4
    threat = np.repeat(none, len(sp.years) + 4, axis=2)
    return print_paths(sp, Draws(repeated(posterior, n)), priors, threat, last, np.random.default_rng(1))


def test_share_of_replaced_draws_and_what_stays(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    sp, own = panel.spending, own_paths(panel, posterior, priors, 400)
    found = pooled(sp, own, 0.7, np.random.default_rng(2))
    assert pooled(sp, own, 1.0, np.random.default_rng(2)) is own
    states = list(known_growth(sp))
    rows = [STATES.index(state) for state in states]
    ahead = own.years > sp.last_printed
    changed = (found.prints != own.prints) & np.isfinite(own.prints)
    assert not changed[:, :, ~ahead].any()
    by_draw = changed.any(axis=(1, 2, 3))
    assert by_draw.sum() == 120
    # All states and years of a draw come from one source.
    assert (changed[:, rows][:, :, ahead, 0].all(axis=(1, 2)) == by_draw).all()
    # In a replaced draw every print ahead is the truth, and what was printed stays as it is.
    for position in np.flatnonzero(ahead):
        for age in range(6):
            print_ = found.prints[by_draw][:, rows, position, age]
            year = int(own.years[position]) - age
            if year > sp.last_printed:
                expected = found.true[by_draw][:, rows, position - age]
            else:
                growth = 100 * np.expm1(sp.growth[rows, year - int(sp.years[0])] / 100)
                expected = np.broadcast_to(growth, print_.shape)
            assert print_ == pytest.approx(expected, abs=1e-9)


def test_no_chain_has_more_of_a_method(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    found = pooled(panel.spending, own_paths(panel, posterior, priors, 1600), 0.0, np.random.default_rng(2))
    growth = known_growth(panel.spending)["JPN"]
    first = found.true[:, STATES.index("JPN"), found.years == panel.spending.last_printed + 1]
    of_record = np.isclose(first, 100 * np.expm1(growth / 100), atol=1e-9).any(axis=1)
    halves = of_record.reshape(2, -1).mean(axis=1)
    assert halves == pytest.approx([1 / len(MIX4)] * 2, abs=0.06)


def test_the_forecast_pools_spending_and_nothing_else(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    own, shared = (simulate(panel, posterior, priors, 12, 1, spending_weight=w) for w in (1.0, 0.5))
    assert (own.attrs["spending_weight"], shared.attrs["spending_weight"]) == (1.0, 0.5)
    same = (own["growth_true"] == shared["growth_true"]).all(("state", "year"))
    assert same.mean() == 0.5
    rest = [name for name in own.data_vars if name not in ("growth_print", "growth_true")]
    for name in rest:
        xr.testing.assert_equal(own[name], shared[name])
    xr.testing.assert_identical(own, simulate(panel, posterior, priors, 12, 1))


def test_states_without_a_record_keep_their_own_draws(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    sp = panel.spending
    prints = sp.prints[(sp.prints["state"] != "TWN") | (sp.prints["year"] > sp.last_printed - 7)]
    prints = prints[(prints["state"] != "KOR") | (prints["year"] < sp.last_printed)]
    # A gap: only the years since count, and they are enough.
    prints = prints[(prints["state"] != "JPN") | (prints["year"] != sp.last_printed - 9)]
    short = dataclasses.replace(sp, prints=prints)
    assert set(STATES) - set(known_growth(short)) == {"KOR", "TWN"}
    assert len(known_growth(short)["JPN"]) == 9
    own = own_paths(panel, posterior, priors, 12)
    found = pooled(short, own, 0.0, np.random.default_rng(2))
    same = (found.true[:, :, -1] == own.true[:, :, -1]).all(axis=0)
    assert {state for state, kept in zip(STATES, same, strict=True) if kept} == {"KOR", "TWN"}


def test_the_report_says_how_much_is_not_the_models() -> None:
    assert "24 % of the draws are a mixture" in pool_text({"spending_weight": 0.76})
    assert pool_text({"spending_weight": 1.0}) == ""
    assert pool_text({}) == ""


def test_a_pool_is_made_of_the_cells_of_its_origin() -> None:
    task = task_at("2017", "KOR")
    cell = Cell("spending", "pool", "2017")
    assert task.parts(cell) == [Cell("spending", "joint", "2017"), Cell("spending", "mix4", "2017")]
    assert task.parts(Cell("spending", "joint", "2017")) == []
    with pytest.raises(DataError, match="pool is made of finished cells; run the backtest with its parts"):
        task.run(cell, 1)
    with pytest.raises(DataError, match="pool at origin 2017 is made of joint and mix4, which are not both"):
        task.combiner(lambda _: None)(cell)
