"""The joint model at past origins: what it may know, its chances in closed form, and resuming."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from escalation_forecast.draws import Draws
from escalation_forecast.fit import ConvergenceError, Settings
from escalation_forecast.indicator_paths import ladder_paths
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score import ladder_backtest as bt
from escalation_forecast.score.ladder import chosen_origins, main
from escalation_forecast.score.ladder_cases import FIRST_ORIGIN, HORIZONS
from escalation_forecast.store import Store

ORIGIN = pd.Timestamp("2009-12-01")


@pytest.fixture(scope="module")
def at_origin(whole_store: Store) -> Panel:
    return bt.panel_at(whole_store, ORIGIN)


def made_up_draws(panel: Panel, risk: np.ndarray, n: int = 4) -> xr.Dataset:
    """Two chains of draws with the same risk (theatre, month) on the whole grid."""
    eta = np.zeros((2, n, len(LATENTS), len(panel.months)))
    eta[:, :, : len(THEATRES)] = risk
    constant = {"ladder_any": 0.3, "ladder_force": 0.2, "ladder_slope": 0.8}
    lead = ("chain", "draw", "theatre")
    return xr.Dataset(
        {"eta": (("chain", "draw", "latent", "month"), eta)}
        | {name: (lead, np.full((2, n, len(THEATRES)), value)) for name, value in constant.items()}
    )


# --- what an origin may know


def altered(store: Store, change: pd.Series) -> Store:
    values = store.observations["value"].mask(change, store.observations["value"] + 1.0)
    return dataclasses.replace(store, observations=store.observations.assign(value=values))


def test_figures_of_later_months_change_nothing(whole_store: Store, at_origin: Panel) -> None:
    later = whole_store.observations["period_start"] > ORIGIN + pd.offsets.MonthEnd(0)
    assert later.sum() > 5000
    again = bt.panel_at(altered(whole_store, later), ORIGIN)
    assert at_origin.data.keys() == again.data.keys()
    for name, values in at_origin.data.items():
        assert_array_equal(values, again.data[name], err_msg=name)


def test_releases_of_later_days_change_nothing(whole_store: Store, at_origin: Panel) -> None:
    end = ORIGIN + pd.offsets.MonthEnd(0) + pd.Timedelta(days=bt.LAG_DAYS)
    again = bt.panel_at(altered(whole_store, whole_store.observations["published_at"] > end), ORIGIN)
    for name, values in at_origin.data.items():
        assert_array_equal(values, again.data[name], err_msg=name)


def test_the_origin_month_is_there_in_ladder_and_news(whole_store: Store, at_origin: Panel) -> None:
    assert at_origin.months[at_origin.now] == ORIGIN
    for name in ("ladder_korea", "ladder_ukraine_nato", "news_world", "news_korea"):
        assert at_origin.last_period[name] == ORIGIN, name
    assert max(at_origin.last_period.values()) == ORIGIN
    here = whole_store.observations["period_start"].between(ORIGIN, ORIGIN) & (
        whole_store.observations["series"] == "ladder"
    )
    again = bt.panel_at(altered(altered(altered(whole_store, here), here), here), ORIGIN)
    assert (at_origin.data["ordinal_level"] != again.data["ordinal_level"]).any()


@pytest.mark.parametrize("month", ["2004-12", "2014-11"])
def test_one_program_takes_the_rows_of_every_origin(whole_store: Store, month: str) -> None:
    first, other = bt.panel_at(whole_store, FIRST_ORIGIN), bt.panel_at(whole_store, pd.Timestamp(month))
    bt.assert_same_program(first, other)
    for name, values in first.data.items():
        assert values.dtype == other.data[name].dtype, name
        assert values.ndim == other.data[name].ndim == 1, name
    assert len(other.data["ordinal_level"]) > len(first.data["ordinal_level"])


def test_a_panel_with_other_items_is_refused(panel: Panel, at_origin: Panel) -> None:
    with pytest.raises(ValueError, match="compile again"):
        bt.assert_same_program(at_origin, panel)


# --- chances


def test_chance_at_steady_risk_is_that_of_independent_months(at_origin: Panel, priors: Priors) -> None:
    risk = np.linspace(-2.0, 2.0, len(THEATRES))[:, None]
    found = bt.force_chances(at_origin, made_up_draws(at_origin, risk), priors, HORIZONS, seed=1)
    odds = 0.06 / 0.94 * np.exp(0.8 * risk)
    monthly = odds / (1.0 + odds)
    assert found.values.shape == (2, 4, len(THEATRES), len(HORIZONS))
    assert_allclose(found.mean, 1.0 - (1.0 - monthly) ** np.array(HORIZONS), rtol=1e-10)


def test_only_months_after_the_origin_count(at_origin: Panel, priors: Priors) -> None:
    calm = np.zeros((len(THEATRES), len(at_origin.months)))
    for shift, moved in ((0, False), (1, True), (3, True), (4, False)):
        risk = calm.copy()
        risk[0, at_origin.now + shift] = 3.0
        base, found = (
            bt.force_chances(at_origin, made_up_draws(at_origin, r), priors, (3,), seed=1).mean
            for r in (calm, risk)
        )
        assert (found[0, 0] > base[0, 0]) == moved, shift
        assert_array_equal(found[1:], base[1:])


def test_chance_is_the_share_of_simulated_ladders(at_origin: Panel, priors: Priors) -> None:
    """The forecast draws levels; their share is the analytic chance within its simulation error."""
    rng = np.random.default_rng(5)
    risk = rng.normal(size=(len(THEATRES), len(at_origin.months)))
    posterior = made_up_draws(at_origin, risk, n=4000)
    draws = Draws(posterior)
    months = at_origin.months[: at_origin.now + 13]
    levels = ladder_paths(at_origin, draws, draws["eta"], months, rng)[:, :, at_origin.now + 1 :]
    exact = bt.force_chances(at_origin, posterior, priors, HORIZONS, seed=1).mean
    for column, horizon in enumerate(HORIZONS):
        share = (levels[:, :, :horizon] >= 4).any(axis=2).mean(axis=0)
        error = np.sqrt(exact[:, column] * (1.0 - exact[:, column]) / draws.n)
        assert (np.abs(share - exact[:, column]) < 4.0 * error).all(), horizon


# --- the run over origins


class Fake:
    """A fit that knows nothing and counts how often it was asked."""

    def __init__(self, fails_at: str = "") -> None:
        self.asked: list[str] = []
        self.fails_at = fails_at

    def __call__(self, panel: Panel, seed: int) -> tuple[xr.Dataset, int]:
        month = f"{panel.as_of:%Y-%m}"
        self.asked.append(month)
        if month == self.fails_at:
            raise ConvergenceError("The sampler could not run.")
        rng = np.random.default_rng(seed)
        posterior = made_up_draws(panel, 0.0, n=20)
        posterior["ladder_any"] += rng.uniform(-0.1, 0.1, posterior["ladder_any"].shape)
        return posterior, 3


TWO = [pd.Timestamp("2003-01-01"), pd.Timestamp("2003-02-01")]


def run(store: Store, folder: Path, fit: Fake, **options: object) -> pd.DataFrame:
    said: list[str] = []
    return bt.run_backtest(store, Priors.default(), TWO, folder, fit=fit, log=said.append, **options)  # type: ignore[arg-type]


def test_a_run_goes_on_where_it_stopped(whole_store: Store, tmp_path: Path) -> None:
    broken = Fake(fails_at="2003-02")
    first = run(whole_store, tmp_path, broken)
    assert broken.asked == ["2003-01", "2003-02"]
    assert list(first["origin"].unique()) == TWO[:1]
    (tmp_path / next(tmp_path.iterdir()).name / "2003-02.partial").write_text("half a file")
    whole = Fake()
    second = run(whole_store, tmp_path, whole)
    assert whole.asked == ["2003-02"]
    assert list(second.columns) == list(bt.CACHED)
    assert len(second) == 2 * len(THEATRES) * len(HORIZONS)
    assert (second["divergences"] == 3).all()
    assert second["p"].between(0, 1).all()
    assert (second["standard_error"] > 0).all()
    third = run(whole_store, tmp_path, whole)
    assert whole.asked == ["2003-02"]
    pd.testing.assert_frame_equal(second, third)


def test_other_settings_or_figures_are_fitted_anew(whole_store: Store, tmp_path: Path) -> None:
    fit = Fake()
    run(whole_store, tmp_path, fit)
    run(whole_store, tmp_path, fit, seed=2)
    run(whole_store, tmp_path, fit, settings=Settings(tune=10, draws=10, chains=2))
    some = whole_store.observations["series"] == "ladder"
    run(altered(whole_store, some), tmp_path, fit)
    assert len(fit.asked) == 8


def test_origins_are_the_protocols() -> None:
    every = chosen_origins(None, None)
    assert (len(every), every[0], every[-1]) == (144, FIRST_ORIGIN, pd.Timestamp("2014-11-01"))
    some = chosen_origins(5, None)
    assert (len(some), some[0], some[-1]) == (5, every[0], every[-1])
    assert chosen_origins(None, ["2009-12"]) == [ORIGIN]
    with pytest.raises(DataError, match="2015-01 is no origin"):
        chosen_origins(None, ["2015-01"])
    with pytest.raises(DataError, match="out of range"):
        chosen_origins(145, None)


@pytest.mark.slow
def test_command_fits_scores_and_pools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the extra `backtest`")
    assert main(["--out", str(tmp_path), "--at", "2004-12", "2013-12"]) == 0
    said = capsys.readouterr()
    assert "Not real-time" in said.out
    assert "2013-12 (2 of 2)" in said.err
    fits = pd.concat([pd.read_csv(path, parse_dates=["origin"]) for path in tmp_path.glob("*/20*.csv")])
    assert len(fits) == 2 * len(THEATRES) * len(HORIZONS)
    assert fits["r_hat"].max() < 1.1
    assert fits["ess"].min() > 50
    assert (fits["divergences"] == 0).all()
    p = fits.pivot(index=["origin", "theatre"], columns="horizon", values="p")
    assert (p.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    # After the Senkaku purchase of 2012 the East China Sea is not what it was in 2004.
    then, later = (pd.Timestamp(f"{year}-12-01") for year in (2004, 2013))
    assert p.loc[(later, "east_china_sea"), 12] > 1.5 * p.loc[(then, "east_china_sea"), 12]
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert {"joint_model", "dyad_history", "pool", "mix", "logit_lags"} <= set(scores["method"])
    assert scores.groupby("horizon")["n_cases"].unique().map(list).to_dict() == {h: [10] for h in HORIZONS}
    again = main(["--out", str(tmp_path), "--at", "2004-12", "2013-12"])
    assert (again, "s, R-hat" in capsys.readouterr().err) == (0, False)
