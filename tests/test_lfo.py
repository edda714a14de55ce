"""Leave-future-out: densities against the model's own, rows of a window, and the loop on a known case."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from escalation_forecast.draws import Draws
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score import lfo
from escalation_forecast.score import monthly_likelihood as ml
from escalation_forecast.store import Store
from prior_fit import Evaluate

FIRST, LAST = pd.Timestamp("2025-03-01"), pd.Timestamp("2025-08-01")


@pytest.fixture(scope="module")
def points(model: pm.Model) -> list[dict[str, np.ndarray]]:
    """Two points drawn from the priors, with all potentials."""
    evaluate = Evaluate(model)
    return [evaluate.at_prior_draw(seed) for seed in (3, 4)]


def as_draws(point: dict[str, np.ndarray]) -> Draws:
    return Draws(
        xr.Dataset(
            {
                name: (("chain", "draw", *(f"{name}_{k}" for k in range(np.ndim(value)))), value[None, None])
                for name, value in ((n, np.asarray(v)) for n, v in point.items())
            }
        )
    )


# --- densities


@pytest.mark.parametrize("potential", ["readings", "counts", "shares", "ladder"])
def test_rows_add_up_to_the_potential_of_the_model(
    panel: Panel, points: list[dict[str, np.ndarray]], potential: str
) -> None:
    """From one point to another both change by the same: constants are all that the model leaves out."""
    functions = {
        "readings": ml.reading_rows,
        "counts": ml.count_rows,
        "shares": lambda *given: ml.share_rows(*given)[0],
        "ladder": ml.ladder_rows,
    }
    totals = []
    for point in points:
        draws = as_draws(point)
        totals.append(functions[potential](panel, draws, ml.flat_latents(draws["eta"])).sum())
    expected = float(points[1][potential] - points[0][potential])
    assert abs(expected) > 1.0
    assert_allclose(totals[1] - totals[0], expected, rtol=1e-9)


def test_densities_are_those_of_scipy(panel: Panel, points: list[dict[str, np.ndarray]]) -> None:
    draws = as_draws(points[0])
    flat = ml.flat_latents(draws["eta"])

    rows = {name: panel.data[f"count_{name}"] for name in ("item", "index", "y", "log_exposure", "trend")}
    k = int(np.flatnonzero(panel.data["count_has_previous"] == 0)[5])
    item = rows["item"][k]
    about = panel.items["count"].iloc[item]
    mean = np.exp(
        draws["count_intercept"][0, item] + about["log_mean"] + rows["log_exposure"][k]
        + draws["count_loading"][0, about["group_index"]] * flat[0, rows["index"][k]]
        + draws["count_trend"].ravel()[0] * rows["trend"][k]
    )  # fmt: skip
    size = draws["count_dispersion"][0, item]
    expected = stats.nbinom.logpmf(rows["y"][k], size, size / (size + mean))
    assert_allclose(ml.count_rows(panel, draws, flat)[0, k], expected, rtol=1e-9)

    values, index = ml.share_rows(panel, draws, flat)
    item, sign = panel.data["share_item"], panel.data["share_sign"]
    one = (item == 0) & (panel.data["share_index"] == index[0])
    p = 1 / (1 + np.exp(-draws["share_intercept"][0, 0] - draws["share_loading"][0, 0] * flat[0, index[0]]))
    c = draws["share_concentration"][0, 0]
    expected = stats.betabinom.logpmf((sign[one] > 0).sum(), one.sum(), c * p, c * (1 - p))
    assert_allclose(values[0, 0], expected, rtol=1e-9)

    first = int(np.flatnonzero(panel.data["reading_has_previous"] == 0)[0])
    j = panel.data["reading_item"][first]
    rho = 0.5 * draws["news_persistence"][0, j]
    scale = draws["news_noise"][0, j] / np.sqrt(1 - rho**2)
    centre = (
        draws["news_intercept"][0, j]
        + draws["anchor_loading"][0, 0] * (flat[0, panel.data["reading_index"][first]])
    )
    expected = stats.t.logpdf(panel.data["reading_y"][first], 5.0, centre, scale)
    assert_allclose(ml.reading_rows(panel, draws, flat)[0, first], expected, rtol=1e-9)


def test_a_figure_moves_the_density_of_its_month_alone(panel: Panel, posterior: xr.Dataset) -> None:
    before = ml.monthly_log_likelihood(panel, posterior)
    index, n = panel.data["count_index"], len(panel.months)
    row = len(index) // 2
    y = panel.data["count_y"].copy()
    y[row] += 3
    after = ml.monthly_log_likelihood(dataclasses.replace(panel, data=panel.data | {"count_y": y}), posterior)
    moved = (after["counts"] != before["counts"]).any(("chain", "draw")).to_numpy()
    assert_array_equal(np.flatnonzero(moved), [index[row] % n])
    for block in ("news", "shares", "ladder"):
        assert_array_equal(after[block], before[block])


# --- window


@pytest.fixture(scope="module")
def stretch(whole_store: Store) -> lfo.Window:
    return lfo.window(whole_store, FIRST, LAST)


def test_rows_before_a_month_hold_no_later_figure(stretch: lfo.Window) -> None:
    n = len(stretch.panel.months)
    rows = stretch.rows_before(stretch.first)
    for block in ("count", "share", "ordinal"):
        assert (rows[f"{block}_index"] % n).max() < stretch.first
    monthly = rows["reading_index"] < 6 * n
    assert (rows["reading_index"][monthly] % n).max() == stretch.first - 1
    assert (stretch.panel.data["reading_index"][monthly.sum() :] >= 0).all()
    longer = stretch.rows_before(stretch.first + 1)
    assert len(longer["reading_y"]) > len(rows["reading_y"])
    assert rows["count_unique_weight"].sum() == len(rows["count_y"])


def test_all_rows_are_the_panel_again(panel: Panel, stretch: lfo.Window) -> None:
    """Totals that are counted anew for a cut are those that the panel came with."""
    for found in (lfo.count_totals(panel.data), lfo.share_totals(panel.data)):
        for name, values in found.items():
            assert_array_equal(values, panel.data[name], err_msg=name)


def test_news_keep_the_scale_of_the_first_origin(whole_store: Store, stretch: lfo.Window) -> None:
    panel = stretch.panel
    item = panel.items["reading"].loc["news_korea"]
    position = panel.items["reading"].index.get_loc("news_korea")
    own = panel.data["reading_item"] == position
    months = panel.data["reading_index"][own] % len(panel.months)
    press = whole_store.as_of("2025-10-01").latest("gpr_country", "KOR").set_index("period_start")["value"]
    expected = (np.log(press.loc[panel.months[months]] + 0.01) - item["mean"]) / item["sd"]
    assert_allclose(panel.data["reading_y"][own], expected, atol=1e-9)
    before = months < stretch.first
    assert abs(panel.data["reading_y"][own][before].mean()) < 1e-9
    assert months.max() == stretch.last


def test_months_the_wrong_way_round_are_refused(whole_store: Store) -> None:
    with pytest.raises(DataError, match="swap them"):
        lfo.window(whole_store, LAST, FIRST)


# --- loop


def gaussian_case(stretch: lfo.Window, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, list[int]]:
    """A normal mean with a flat prior in place of the model: its predictive density is known."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=len(stretch.months))
    fits: list[int] = []

    def likelihood(panel: Panel, posterior: xr.Dataset) -> xr.Dataset:
        one = stats.norm.logpdf(y - posterior["mu"].to_numpy()[:, :, None])
        padded = np.zeros((*one.shape[:2], len(panel.months)))
        padded[:, :, : len(y)] = one
        empty = (("chain", "draw", "month"), np.zeros_like(padded))
        return xr.Dataset(dict.fromkeys(ml.BLOCKS, empty) | {"news": (empty[0], padded)})

    def rows_before(self: lfo.Window, month: int) -> dict[str, np.ndarray]:
        return {"month": np.array(month)}

    monkeypatch.setattr(lfo, "monthly_log_likelihood", likelihood)
    monkeypatch.setattr(lfo.Window, "rows_before", rows_before)
    return y, fits


def test_density_of_a_normal_mean(stretch: lfo.Window, monkeypatch: pytest.MonkeyPatch) -> None:
    y, fits = gaussian_case(stretch, monkeypatch)

    def fit(rows: dict[str, np.ndarray]) -> xr.Dataset:
        n = int(rows["month"])
        fits.append(n)
        grid = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
        draws = np.random.default_rng(n).permutation(y[:n].mean() + grid / np.sqrt(n))
        return xr.Dataset({"mu": (("chain", "draw"), draws.reshape(2, 2000))})

    months = np.arange(stretch.first, stretch.last + 1)
    spread = [np.sqrt(1 + 1 / n) for n in months]
    expected = [stats.norm.logpdf(y[n], y[:n].mean(), s) for n, s in zip(months, spread, strict=True)]
    found = lfo.leave_future_out(stretch, fit)
    assert_allclose(found.by_month["elpd"], expected, atol=0.003)
    assert_allclose(found.elpd, found.by_month["elpd"].sum())
    assert found.refits == 0
    assert len(fits) == 2  # the whole and the first origin; the rest is carried forward
    assert (found.by_month["pareto_k"].dropna() < lfo.K_THRESHOLD).all()
    exact = lfo.leave_future_out(stretch, fit, exact=True)
    assert_allclose(exact.by_month["elpd"], expected, atol=0.001)
    gap = lfo.compared(found, exact)
    assert gap["months"] == len(months)
    assert abs(gap["elpd_difference"]) < 0.01


def test_a_block_cut_off_keeps_its_other_priors() -> None:
    priors = Priors.default()
    cut = lfo.unlinked(priors, "counts")
    assert cut["count_loading"].family == "Fixed"
    assert cut["count_intercept"] == priors["count_intercept"]


def test_command_names_a_month_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert lfo.main(["--first", "soon"]) == lfo.BAD_INPUT
    assert "`soon` is no month" in capsys.readouterr().err
