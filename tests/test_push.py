"""Which way each indicator pushes, and how much of the push is its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel
from escalation_forecast.push import RECENT_MONTHS, WORLD, push
from escalation_forecast.schema import THEATRES
from prior_fit import with_values

LEVEL = 0.3


@pytest.fixture(scope="module")
def steady(posterior: xr.Dataset) -> xr.Dataset:
    """A risk that has not moved for a year, and middling parameters."""
    return with_values(
        posterior, eta=LEVEL, phi=0.95, phi_global=0.95, global_share=0.4, news_intercept=0.0,
        news_loading=0.8, anchor_loading=1.0, news_noise=0.5, news_persistence=0.5, count_intercept=0.0,
        count_loading=0.5, count_trend=0.0, count_dispersion=3.0, share_intercept=-1.0, share_loading=0.8,
        share_concentration=5.0, ladder_any=0.3, ladder_force=0.4, ladder_slope=0.7,
    )  # fmt: skip


def with_recent(panel: Panel, name: str, value: float) -> Panel:
    """The panel with one value in each of the last months of an indicator."""
    history = panel.history.copy()
    rows = history.index[history["indicator"] == name][-RECENT_MONTHS:]
    history.loc[rows, "value"] = value
    return replace(panel, history=history)


def of(pushes: dict[str, list[dict[str, object]]], theatre: str, indicator: str) -> float:
    found = {entry["indicator"]: entry["push"] for entry in pushes[theatre]}
    return float(str(found[indicator]))


@pytest.mark.parametrize(
    ("theatre", "indicator", "low", "high"),
    [
        ("global", "news_world", 20.0, 400.0),
        ("korea", "news_korea", 0.05, 5.0),
        ("ukraine_nato", "news_ukraine_nato", -1.5, 3.0),
        ("korea", "sanctions_prk", 0.0, 5.0),
        ("taiwan", "pla_vessels", 20.0, 900.0),
        ("ukraine_nato", "ladder_ukraine_nato", 0.0, 4.0),
    ],
)
def test_a_reading_above_its_expectation_pushes_up(
    panel: Panel, steady: xr.Dataset, theatre: str, indicator: str, low: float, high: float
) -> None:
    below = of(push(with_recent(panel, indicator, low), steady), theatre, indicator)
    above = of(push(with_recent(panel, indicator, high), steady), theatre, indicator)
    assert below < 0 < above


def test_a_reading_at_its_expectation_does_not_push(panel: Panel, steady: xr.Dataset) -> None:
    item = panel.items["reading"].loc["news_korea"]
    expected = float(np.exp(0.8 * LEVEL * item["sd"] + item["mean"]) - 0.01)
    found = push(with_recent(panel, "news_korea", expected), steady)
    assert of(found, "korea", "news_korea") == pytest.approx(0.0, abs=1e-3)


def test_an_indicator_that_moves_against_risk_pushes_down(panel: Panel, steady: xr.Dataset) -> None:
    reading = panel.items["reading"].copy()
    reading.loc["news_korea", "sign"] = -1.0
    turned = replace(with_recent(panel, "news_korea", 5.0), items={**panel.items, "reading": reading})
    assert of(push(turned, steady), "korea", "news_korea") < 0


def test_one_indicator_moves_only_its_theatre(panel: Panel, steady: xr.Dataset) -> None:
    calm, tense = (push(with_recent(panel, "news_korea", value), steady) for value in (0.3, 5.0))
    for theatre in ("taiwan", "east_china_sea", "south_china_sea", "ukraine_nato", "global"):
        assert calm[theatre] == tense[theatre]
    assert calm["korea"] != tense["korea"]


def test_global_factor_passes_on_its_share_of_the_change(panel: Panel, steady: xr.Dataset) -> None:
    eta = steady["eta"].copy()
    world = eta["latent"] == "global"
    eta = eta.where(~(world & (eta["month"] > panel.months[panel.now - 12])), LEVEL + 1.0)
    found = push(panel, steady.assign(eta=eta))
    sd = reference_scale()["sd"]
    for theatre in THEATRES:
        assert of(found, theatre, WORLD) == pytest.approx(np.sqrt(0.4) / sd[theatre], abs=1e-3)
    assert WORLD not in {entry["indicator"] for entry in found["global"]}


def test_largest_push_comes_first_and_every_theatre_has_one(panel: Panel, steady: xr.Dataset) -> None:
    found = push(panel, steady)
    assert set(found) == set(LATENTS)
    for entries in found.values():
        sizes = [abs(float(str(entry["push"]))) for entry in entries]
        assert sizes == sorted(sizes, reverse=True)
        assert np.isfinite(sizes).all()
    assert {"news_korea", "launches_prk", "sanctions_prk", "ladder_korea"} <= {
        str(entry["indicator"]) for entry in found["korea"]
    }


def test_an_indicator_without_recent_figures_is_left_out(panel: Panel, steady: xr.Dataset) -> None:
    names = {str(entry["indicator"]) for entry in push(panel, steady)["taiwan"]}
    assert "pla_aircraft_adiz" not in names
    assert "pla_aircraft_all" in names


def test_pushes_of_one_indicator_are_a_newton_step(panel: Panel, steady: xr.Dataset) -> None:
    """With Gaussian-like readings alone the step lands on the weighted mean of prior and readings."""
    only = panel.history[panel.history["indicator"] == "news_taiwan"]
    items = {block: frame.iloc[:0] for block, frame in panel.items.items()}
    items["reading"] = panel.items["reading"]
    item = panel.items["reading"].loc["news_taiwan"]
    small = 0.05  # near the expectation, where Student-t is as good as Gaussian
    value = float(np.exp((0.8 * LEVEL + small) * item["sd"] + item["mean"]) - 0.01)
    rows = only.tail(RECENT_MONTHS).assign(value=value)
    alone = replace(panel, items=items, history=pd.concat([rows], ignore_index=True))
    found = of(push(alone, with_values(steady, news_persistence=0.0)), "taiwan", "news_taiwan")
    curvature = RECENT_MONTHS * (6.0 / 5.0) * (0.8 / 0.5) ** 2
    slope = RECENT_MONTHS * (6.0 / 5.0) * 0.8 * small / 0.5**2
    expected = slope / (curvature + 1.0 / (1.0 - 0.95**24)) / reference_scale()["sd"]["taiwan"]
    assert_allclose(found, expected, rtol=0.05)
