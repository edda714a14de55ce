"""What the notebooks show of the latent and of the wider war: tables against other ways to them; plots."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from escalation_forecast.history.base_rates import read_base_rates
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.report import anatomy, history_plots, war_plots
from escalation_forecast.report.plots import read_events
from escalation_forecast.schema import THEATRES
from escalation_forecast.store import Store
from escalation_forecast.validation.latent import event_table, loading_table, mean_path
from escalation_forecast.war_chain import JOINERS
from escalation_forecast.war_paths import WAR
from war_case import make_chains, simulated


@pytest.fixture(scope="module")
def paths() -> xr.Dataset:
    """Simulated wars with the tension that drives them as risk, and a ladder that follows its chance."""
    chains = make_chains(n=400, months=24, seed=3)
    # A level that lasts, so that draws differ over the whole window and not only from month to month.
    lasting = np.repeat(2.0 * chains.latents[:, :, :1], 24, axis=2)
    chains = dataclasses.replace(chains, latents=lasting)
    found = simulated(chains)
    shape = (2, 200, len(THEATRES), 24)
    force = np.random.default_rng(1).random(chains.force.shape) < chains.force
    dims = ("chain", "draw", "theatre", "month")
    return found.assign_coords(theatre=list(THEATRES)).assign(
        risk=(dims, chains.latents[:, : len(THEATRES)].reshape(shape)),
        ladder=(dims, np.where(force, 4.0, 1.0).reshape(shape)),
    )


@pytest.fixture(scope="module")
def moved(panel: Panel, posterior: xr.Dataset) -> pd.DataFrame:
    return anatomy.swings(panel, posterior)


def test_evidence_ends_where_the_panel_ends(known: Store, panel: Panel) -> None:
    table = anatomy.evidence(known).set_index("indicator")
    assert dict(table["last"]) == panel.last_period
    assert (table["published"] <= panel.as_of).all()
    assert (table["published"] >= table["last"]).all()
    assert table["figures"].sum() == panel.n_observations
    assert table["source"].str.len().min() > 0


def test_only_fresh_monthly_indicators_can_move_the_present(panel: Panel, moved: pd.DataFrame) -> None:
    year = panel.months[panel.now] - pd.DateOffset(months=12)
    fresh = {name for name in panel.history["indicator"].unique() if panel.last_period[name] > year}
    assert set(moved["indicator"]) == fresh
    assert set(moved["theatre"]) == set(LATENTS)
    assert (moved["level_low"] <= moved["level_high"]).all()


def test_a_higher_ladder_means_a_higher_risk(moved: pd.DataFrame) -> None:
    table = moved.set_index("indicator")
    ladders = table[table.index.str.startswith("ladder")]
    assert len(ladders) == len(THEATRES)
    assert (ladders["low"] <= 0).all()
    assert (ladders["high"] >= 0).all()
    assert (ladders["high"] - ladders["low"]).max() > 0.1


def test_figures_as_they_are_move_nothing(panel: Panel, posterior: xr.Dataset) -> None:
    flat = panel.history.copy()
    mine = flat["indicator"] == "ladder_korea"
    flat.loc[mine, "value"] = 3.0
    table = anatomy.swings(dataclasses.replace(panel, history=flat), posterior).set_index("indicator")
    assert table.loc["ladder_korea", ["low", "high"]].tolist() == [0.0, 0.0]
    assert table.loc["ladder_korea", ["now", "level_low", "level_high"]].tolist() == [3.0, 3.0, 3.0]


def test_the_curve_rises_and_any_is_the_union(paths: xr.Dataset) -> None:
    curve = war_plots.wider_curve(paths, step=6)
    assert list(curve.index) == [6, 12, 18, 24]
    assert (curve.diff().dropna() >= 0).all(axis=None)
    routes = curve[["joining", "war", "two-theatres"]]
    assert (curve["any"] >= routes.max(axis=1)).all()
    assert (curve["any"] < routes.sum(axis=1)).all()
    wars = (paths["clash"] >= WAR).any(("dyad", "future_month"))
    assert curve["war"].iloc[-1] == pytest.approx(float(wars.mean()))


def test_joint_chances_of_parts_that_go_together() -> None:
    clash = np.zeros((1, 1, 8, 2, 12), np.uint8)
    joined = np.zeros((1, 1, 8, len(JOINERS), 12), np.uint8)
    clash[0, 0, :2, :, 3] = WAR  # both dyads go to war in the same two futures of eight
    joined[0, 0, 0, 0, 5] = 1
    joined[0, 0, 7, 1, 11] = 1
    dims = ("chain", "draw", "future")
    made = xr.Dataset(
        {
            "clash": ((*dims, "dyad", "future_month"), clash),
            "joined": ((*dims, "joiner", "future_month"), joined),
        }
    )
    found = war_plots.joint_chances(made, months=12)
    assert found["joint"] == pytest.approx(3 / 8)
    assert found["sum"] == pytest.approx(2 / 8 + 2 / 8 + 1 / 8 + 1 / 8)
    assert found["independent"] == pytest.approx(1 - (6 / 8) ** 2 * (7 / 8) ** 2)
    assert found["both routes"] == pytest.approx(1 / 8)
    assert found["if independent"] == pytest.approx(2 / 8 * 2 / 8)
    assert found["two wars or joiners"] == pytest.approx(2 / 3)
    assert war_plots.joint_chances(made, months=11)["joint"] == pytest.approx(2 / 8)


def test_war_is_likelier_in_the_draws_with_more_tension(paths: xr.Dataset) -> None:
    tables = [war_plots.by_tension(paths, theatre, months=24) for theatre in THEATRES]
    for table in tables:
        assert table["tension"].is_monotonic_increasing
        assert (table["fatal"] >= table["war"]).all()
    ends = sum(table["war"].to_numpy() for table in tables)
    assert ends[2] > 1.3 * ends[0]


def test_parts_of_the_draws_are_alike_in_size(paths: xr.Dataset) -> None:
    halves = war_plots.by_tension(paths, "korea", months=24, parts=2)
    whole = war_plots.by_tension(paths, "korea", months=24, parts=1)
    np.testing.assert_allclose(halves.mean(), whole.iloc[0])


@pytest.mark.parametrize(("events", "trials"), [(0, 10), (3, 20), (11, 62)])
def test_the_interval_of_a_rate_mirrors_that_of_its_opposite(events: int, trials: int) -> None:
    low, high = war_plots.rate_interval(events, trials)
    against = war_plots.rate_interval(trials - events, trials)
    assert (low, high) == pytest.approx((1 - against[1], 1 - against[0]))
    assert 0 < low < (events + 0.5) / (trials + 1) < high < 1


def answers() -> list[dict[str, object]]:
    share = {"discount": 0.1, "slope": 0.12, "base": 0.09, "change": 0.3, "label": "mixed"}
    rate = {"events": 11, "trials": 62, "rate": 11 / 62, "reference_class": "years"}
    return [
        {"id": f"wider-war/{route}/{months}m", "probability": 0.01 * months, "mcse": 0.001,
         "base_rate": None if route == "two-theatres" else rate, "prior_share": share}
        for route in ("any", "joining", "war", "two-theatres") for months in (6, 12, 24)
    ] + [{"id": "use-of-force/korea/12m", "probability": 0.5, "mcse": 0.01, "base_rate": rate}]  # fmt: skip


def test_the_table_of_answers_leaves_other_questions_out() -> None:
    table = war_plots.wider_table(answers())
    assert len(table) == 12
    assert table["base_rate"].isna().sum() == 3
    known = table.dropna()
    assert ((known["base_low"] < known["base_rate"]) & (known["base_rate"] < known["base_high"])).all()


def test_plots_show_every_row(
    known: Store, panel: Panel, posterior: xr.Dataset, priors: Priors, moved: pd.DataFrame
) -> None:
    table = anatomy.evidence(known)
    shown = anatomy.plot_evidence(table, panel.as_of).axes[0]
    assert [one.get_text() for one in shown.get_yticklabels()] == list(table["indicator"])

    loadings = loading_table(posterior, priors)
    shown = anatomy.plot_loadings(loadings, permuted=loadings.head(3)).axes[0]
    assert len(shown.get_yticks()) == len(loadings)

    assert len(anatomy.plot_swings(moved, least=0.0).axes[0].get_yticks()) == sum(moved["theatre"] == "korea")
    pushed = [
        {"label": "Korea", "pushed_by": [{"indicator": "a", "push": 0.3}, {"indicator": "b", "push": 0.0}]}
    ]
    assert len(anatomy.plot_push(pushed).axes[0].get_yticks()) == 1

    months = pd.DatetimeIndex(posterior["month"].values)
    path = pd.DataFrame(mean_path(posterior).T, months, list(LATENTS))
    figure = anatomy.plot_paths({"all": path, "less": -path})
    assert "-1.00" in figure.axes[0].get_title("right")
    rises = event_table(posterior)
    assert len(anatomy.plot_rises(rises).axes[0].get_yticks()) == len(rises)
    risk = xr.DataArray(
        mean_path(posterior)[None, None, :5], {"theatre": list(THEATRES), "month": months},
        dims=("chain", "draw", "theatre", "month"),
    )  # fmt: skip
    figure = anatomy.plot_window(
        risk, read_events(), "korea", "2016-01", "2019-12", {"summits": ("2018-03", "2018-06")}
    )
    said = {text.get_text() for text in figure.axes[0].texts}
    assert said == {"Sixth nuclear test", "summits"}


def test_plots_of_the_wider_war(paths: xr.Dataset) -> None:
    figure = war_plots.plot_wider(war_plots.wider_curve(paths, step=6), answers())
    assert len(figure.axes[0].lines) == 4
    assert len(figure.axes[1].lines) == 3 + 2 * 6
    figure = war_plots.plot_prior_share(answers())
    assert len(figure.axes[0].get_yticks()) == 4
    step = {"label": "Korea", "months": 12, "force": 0.5, "fatal": 0.1, "material": 0.05, "war": 0.01}
    figure = war_plots.plot_steps({"theatres": [step, {**step, "label": "Taiwan", "war": 0.011}]})
    heights = sorted(text.xyann[1] for text in figure.axes[0].texts)
    assert np.log10(heights[1]) - np.log10(heights[0]) > 0.1
    assert len(war_plots.plot_by_tension(paths).axes) == len(THEATRES)
    moved = pd.DataFrame({"value": [0.1, 0.4] * 2, "id": ["a", "a", "b", "b"], "after": 0.1, "mcse": 0.01})
    assert len(war_plots.plot_what_if(moved, 0.4, "weight").axes[0].containers) == 2


def test_base_rates_show_their_counts() -> None:
    rates = read_base_rates()
    shown = history_plots.plot_base_rates(rates).axes[0]
    assert len(shown.get_yticks()) == 3 + len(THEATRES)
    every = rates[(rates["dyad"] == "all") & (rates["years"] == "1816-2014")].set_index("event")["events"]
    counts = f"{every['force']:,} / {every['fatal']:,} / {every['war_both']:,} of "
    assert any(text.get_text().startswith(counts) for text in shown.texts)


def test_less_weight_of_history_leaves_the_centre_and_widens(priors: Priors) -> None:
    joins = history_plots.weighted_chances(priors["joining_logit"], (1.0, 0.4))
    assert np.median(joins[0.4]) == pytest.approx(np.median(joins[1.0]), rel=0.03)
    # The mean of a chance rises with doubt about its log odds; that of a share (Beta) stays.
    assert joins[0.4].mean() > 1.2 * joins[1.0].mean()
    wars = history_plots.weighted_chances(priors["war_given_fatal"], (1.0, 0.4))
    assert wars[0.4].mean() == pytest.approx(wars[1.0].mean(), rel=0.03)
    assert wars[0.4].std() == pytest.approx(wars[1.0].std() / np.sqrt(0.4), rel=0.1)
    figure = history_plots.plot_weights({"joins": joins, "becomes a war": wars})
    assert [len(ax.lines) for ax in figure.axes] == [4, 4]
