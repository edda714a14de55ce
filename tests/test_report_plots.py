"""Plots that the notebooks show: what was known, the ladder, other priors, fits side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from escalation_forecast.archive import Run
from escalation_forecast.report.compare_plots import parameter, plot_beside, plot_learned
from escalation_forecast.report.known_plots import plot_releases, plot_reports
from escalation_forecast.report.ladder_plot import plot_ladder
from escalation_forecast.report.moved_plots import plot_before_after, plot_moves
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import Store

MONTHS = pd.date_range("2020-01-01", periods=48, freq="MS")
START = 24  # first month of the forecast


@pytest.fixture
def paths() -> xr.Dataset:
    """Two chains of four draws: a ladder of displays, with force ahead in half of the draws."""
    rng = np.random.default_rng(1)
    risk = rng.normal(size=(2, 4, len(THEATRES), len(MONTHS)))
    ladder = np.full(risk.shape, 3.0)
    ladder[0, :, :, START:] = 4.0
    coords = {"theatre": list(THEATRES), "month": MONTHS}
    dims = ("chain", "draw", "theatre", "month")
    return xr.Dataset(
        {
            "risk": (dims, risk),
            "global_risk": (("chain", "draw", "month"), risk[:, :, 0]),
            "ladder": (dims, ladder),
        },
        coords=coords,
        attrs={"as_of": "2021-12-31", "first_forecast_month": "2022-01"},
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose posterior lies above its prior."""
    groups = {
        group: xr.Dataset(
            {
                "phi": (("chain", "draw"), np.full((2, 50), mean)),
                "count_loading": (
                    ("chain", "draw", "count_group"),
                    np.full((2, 50, 2), mean) + np.arange(2.0),
                ),
            },
            coords={"count_group": ["launches", "vetoes"]},
        )
        for group, mean in (("prior", 0.5), ("posterior", 0.9))
    }
    xr.DataTree.from_dict(groups).to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    return Run(tmp_path, {})


def test_reports_show_what_was_known_on_the_day(whole_store: Store) -> None:
    then = whole_store.as_of("2024-10-20")
    figure = plot_reports(then, "dprk_troops_in_russia")
    bodies = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert bodies == ["hur", "nis"]
    late = plot_reports(whole_store, "dprk_troops_in_russia", cuts=("2024-11-30",))
    assert "us-government" in [text.get_text() for text in late.axes[0].get_legend().get_texts()]
    assert any(text.get_text() == "as of 2024-11-30" for text in late.axes[0].texts)


def test_reports_of_a_series_without_any_are_refused(whole_store: Store) -> None:
    with pytest.raises(DataError, match="choose a series of reports"):
        plot_reports(whole_store.as_of("2022-06-30"), "dprk_troops_in_russia")


def test_growth_is_taken_within_a_release(known: Store) -> None:
    figure = plot_releases(known, ("JPN",), since=2015)
    newest = figure.axes[0].lines[-2]  # the zero line comes last
    by_release = known.revisions("milex_constant", "JPN")
    levels = by_release[by_release.columns[-1]]
    wanted = 100.0 * (levels.iloc[-1] / levels.iloc[-2] - 1.0)
    assert newest.get_ydata()[-1] == pytest.approx(wanted)


def test_ladder_counts_months_of_use_of_force(paths: xr.Dataset) -> None:
    figure = plot_ladder(paths)
    bars = [bar for bar in figure.axes[0].patches if bar.get_height() > 0]
    # Two windows of displays only; then force in half of the draws, display in the others.
    assert [bar.get_height() for bar in bars] == [6.0, 6.0, 12.0, 12.0, 6.0, 6.0]


def test_answers_that_move_most_come_first() -> None:
    table = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "kind": ["binary", "binary", "count"],
            "before": [0.5, 0.2, 3.0],
            "after": [0.52, 0.1, 4.0],
            "change": [0.02, -0.1, 1.0],
            "change_mcse": [0.01, 0.01, 0.1],
        }
    )
    axes = plot_before_after(table).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert axes.texts[0].get_text().startswith("20 % → 10 %")


def test_a_move_that_weights_cannot_tell_is_marked() -> None:
    moved = pd.DataFrame({"prior": ["x", "y"], "up": [0.1, 0.05], "down": [-0.1, -0.02], "k": [0.4, 0.9]})
    texts = [text.get_text() for text in plot_moves(moved, 0.3).axes[0].texts]
    assert texts[0] == "40 % / 20 %"
    assert "fit again" in texts[1]


def test_fits_stand_beside_each_other(paths: xr.Dataset) -> None:
    figure = plot_beside({"without": paths, "with": paths.assign(risk=paths["risk"] + 3.0)}, "korea", years=1)
    without, added = (line.get_ydata() for line in figure.axes[0].lines[0:4:2])
    assert np.asarray(added) - np.asarray(without) == pytest.approx(3.0)


def test_prior_is_drawn_beside_the_posterior(run: Run) -> None:
    figure = plot_learned({"posterior": run}, "count_loading", "vetoes")
    peaks = [float(line.get_xdata()[np.argmax(line.get_ydata())]) for line in figure.axes[0].lines]
    assert peaks == pytest.approx([1.5, 1.9], abs=0.02)


def test_a_parameter_that_is_not_there_is_named(run: Run) -> None:
    assert parameter(run, "phi") == pytest.approx(0.9)
    with pytest.raises(DataError, match="did you mean"):
        parameter(run, "count_loadin", "vetoes")
    with pytest.raises(DataError, match="has no label `veto`"):
        parameter(run, "count_loading", "veto")
    with pytest.raises(DataError, match="takes a label of count_group"):
        parameter(run, "count_loading")
