"""Prints ahead: the same as true growth without revisions, and the recursion by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats

from escalation_forecast import rules
from escalation_forecast.draws import Draws
from escalation_forecast.forecast import reference_scale, simulate
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import CORE_FOUR, STATES, THEATRES
from escalation_forecast.spending_paths import last_year_printed_within, print_paths
from prior_fit import repeated, with_values

HORIZON = 84
LAST = 2025  # the last year that the release of 2026 covers


def simulated(panel: Panel, posterior: xr.Dataset, priors: Priors, seed: int = 1) -> xr.Dataset:
    """Growth alone, without the latents: the threat is zero beyond the fit."""
    sp, draws = panel.spending, Draws(posterior)
    last = last_year_printed_within(panel.as_of, HORIZON)
    none = np.zeros((1, len(sp.states), last - int(sp.years[0])))
    found = print_paths(sp, draws, priors, none, last, np.random.default_rng(seed))
    dims = ("chain", "draw", "state", "year")
    return xr.Dataset(
        {
            "growth_print": ((*dims, "age"), draws.unflatten(found.prints)),
            "growth_true": (dims, draws.unflatten(found.true)),
        },
        coords={"state": list(sp.states), "year": found.years, "age": range(found.prints.shape[-1])},
    )


def without_revisions(posterior: xr.Dataset) -> xr.Dataset:
    quiet = with_values(posterior, revision_scale=0.0, revision=0.0, late_revision_chance=0.0)
    return quiet.assign(first_print=quiet["growth"])


def still(posterior: xr.Dataset, **values: float) -> xr.Dataset:
    """Nothing moves growth but what ``values`` names."""
    names = ("growth_drift", "growth_noise_step", "threat_slope", "reaction", "growth_persistence")
    fixed = with_values(posterior, **(dict.fromkeys(names, 0.0) | {"growth_noise": 1e-9} | values))
    # Surprises keep the size that the fit ends with, which is as tiny.
    return fixed if "growth_scale" in values else with_values(fixed, growth_scale=1e-9)


@pytest.mark.parametrize(
    ("as_of", "horizon", "year"),
    [
        ("2026-06-15", 1, 2024),
        ("2026-06-15", 10, 2024),
        ("2026-06-15", 11, 2026),
        ("2026-06-15", 36, 2028),
        ("2026-04-30", 12, 2026),
        ("2026-04-29", 12, 2025),
    ],
)
def test_a_year_counts_once_its_release_is_due(as_of: str, horizon: int, year: int) -> None:
    expected = {2024: 2025}.get(year, year)
    assert last_year_printed_within(pd.Timestamp(as_of), horizon) == expected


def test_without_revisions_every_print_is_the_truth(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    paths = simulated(panel, without_revisions(posterior), priors)
    prints, true = paths["growth_print"], paths["growth_true"]
    for year in range(LAST + 1, int(paths["year"].max()) + 1):
        for age in range(6):
            print_ = prints.sel(year=year, age=age)
            assert_allclose(print_, true.sel(year=year - age), rtol=1e-5, atol=1e-4)


def test_three_year_mean_is_the_mean_of_one_release(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    paths = simulated(panel, without_revisions(posterior), priors)
    found = rules.mean_growth(paths, 2028, CORE_FOUR, 3)
    true = paths["growth_true"].sel(state=list(CORE_FOUR))
    by_hand = (true.sel(year=2026) + true.sel(year=2027) + true.sel(year=2028)) / 3
    assert_allclose(found.transpose(*by_hand.dims), by_hand, rtol=1e-5, atol=1e-4)


def test_true_growth_of_a_printed_year_is_its_print_but_for_the_newest(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(posterior, revision=2.0)
    true = simulated(panel, fixed, priors)["growth_true"].isel(chain=0, draw=0)
    sp = panel.spending
    k, column = STATES.index("KOR"), LAST - int(sp.years[0])
    assert_allclose(
        true.sel(state="KOR", year=2020), 100 * np.expm1(sp.growth[k, column - 5] / 100), rtol=1e-5
    )
    revised = 100 * np.expm1((sp.growth[k, column] + 2.0) / 100)
    assert_allclose(true.sel(state="KOR", year=LAST), revised, rtol=1e-5)


def test_the_next_release_has_the_first_revision(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(posterior, revision=2.0, late_revision_chance=0.0)
    paths = simulated(panel, fixed, priors)
    prints, true = paths["growth_print"], paths["growth_true"]
    assert_allclose(prints.sel(year=LAST + 1, age=1), true.sel(year=LAST), rtol=1e-5, atol=1e-4)
    sp = panel.spending
    printed = 100 * np.expm1(sp.growth[STATES.index("KOR"), LAST - int(sp.years[0])] / 100)
    assert_allclose(prints.sel(year=LAST, age=0, state="KOR"), printed, rtol=1e-5)
    for step in (1, 2, 3):
        ahead = prints.sel(year=LAST + step, age=0)
        first = 100 * np.expm1(fixed["first_print"].sel(year_ahead=step) / 100)
        assert_allclose(ahead, first.transpose(*ahead.dims), rtol=1e-5, atol=1e-4)


def test_the_three_years_ahead_are_those_of_the_fit(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    true = simulated(panel, posterior, priors)["growth_true"].sel(year=[2026, 2027, 2028])
    fitted = 100 * np.expm1(posterior["growth"].clip(-200, 200) / 100)
    assert_allclose(true.transpose("chain", "draw", "state", "year"), fitted, rtol=1e-5, atol=1e-4)


def test_beyond_the_fit_growth_is_the_recursion_by_hand(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    given = repeated(without_revisions(posterior), 2)
    fixed = still(given).assign({name: given[name] for name in ("growth_persistence", "reaction")})
    true = 100 * np.log1p(simulated(panel, fixed, priors)["growth_true"].isel(chain=0, draw=0) / 100)
    one = fixed.isel(chain=0, draw=0)
    before = one["growth"].sel(year_ahead=3).to_numpy()
    level = one["growth_level"].sel(spending_year=2028).to_numpy()
    for year in range(2029, 2032):
        gap = before - level
        pull = one["growth_persistence"].to_numpy() * gap
        before = level + pull + float(one["reaction"]) * panel.spending.rivals @ gap
        assert_allclose(true.sel(year=year), before, rtol=1e-4, atol=1e-3)


def test_growth_answers_the_threat_of_the_year_before(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = still(
        repeated(without_revisions(posterior), 4), threat_slope=1.0, growth_level=3.0, slow_step=0.5
    )
    paths = simulate(panel, fixed, priors, HORIZON, seed=1).astype(float)
    scale = reference_scale().loc[list(THEATRES)]
    risk = paths["risk"].groupby("month.year").mean()
    eta = risk * scale["sd"].to_numpy()[:, None] + scale["mean"].to_numpy()[:, None]
    growth = 100 * np.log1p(paths["growth_true"] / 100)
    for year in (2029, 2031):
        threat = eta.sel(year=year - 1).transpose("chain", "draw", "theatre").to_numpy()
        expected = 3.0 + threat @ panel.spending.exposure.T
        assert_allclose(growth.sel(year=year).transpose("chain", "draw", "state"), expected, atol=1e-3)
    # The last year of the sampler has no risk of the year before yet.
    threat = eta.sel(year=2027).transpose("chain", "draw", "theatre").to_numpy()
    sampled = fixed["growth"].sel(year_ahead=3).transpose("chain", "draw", "state")
    added = growth.sel(year=2028).transpose("chain", "draw", "state") - sampled.to_numpy()
    assert_allclose(added, threat @ panel.spending.exposure.T, atol=1e-3)
    sampled = fixed["growth"].sel(year_ahead=2).transpose("chain", "draw", "state").to_numpy()
    assert_allclose(growth.sel(year=2027).transpose("chain", "draw", "state"), sampled, atol=1e-3)


def test_level_beyond_the_fit_is_a_walk(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    # Drift is a share of the usual surprise; surprises themselves are made tiny.
    fixed = still(
        repeated(without_revisions(posterior), 3000), growth_drift=0.8e4, growth_noise=1e-4, growth_scale=1e-4
    )
    true = 100 * np.log1p(simulated(panel, fixed, priors)["growth_true"].sel(state="JPN") / 100)
    for year, steps in ((2029, 1), (2031, 3)):
        assert_allclose(true.sel(year=year).var(), steps * 0.8**2, rtol=0.1)


@pytest.mark.parametrize("times", [1.0, 4.0])
def test_scale_of_surprises_beyond_the_fit_goes_back_to_the_usual(
    panel: Panel, posterior: xr.Dataset, priors: Priors, times: float
) -> None:
    """A state that is ``times`` as stormy as usual at the end of the fit stays so but for the memory."""
    fixed = still(
        repeated(without_revisions(posterior), 4000), growth_noise=0.5, growth_scale=0.5 * times,
        growth_level=2.0,
    )  # fmt: skip
    memory = float(priors["growth_noise_memory"].array("value"))
    df = float(priors["growth_df"].array("value"))
    growth = 100 * np.log1p(simulated(panel, fixed, priors)["growth_true"].sel(state="JPN") / 100)
    for year, steps in ((2029, 1), (2031, 3)):
        scale = 0.5 * times ** (memory**steps)
        expected = 2.0 + scale * stats.t(df).ppf([0.25, 0.75])
        assert_allclose(np.quantile(growth.sel(year=year), [0.25, 0.75]), expected, atol=0.06 * scale)


def test_revisions_ahead_have_their_scale(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(
        repeated(posterior, 4000), revision_scale=0.5, revision_state=2.0, late_revision_chance=0.0,
        growth_noise=1.0, growth_scale=1.0, growth_persistence=0.0, threat_slope=0.0, reaction=0.0,
        growth_drift=0.0, growth_level=2.0, growth_noise_step=0.0,
    )  # fmt: skip
    paths = 100 * np.log1p(simulated(panel, fixed, priors) / 100)
    step = paths["growth_print"].sel(year=2030, age=1) - paths["growth_print"].sel(year=2029, age=0)
    step = step.sel(state="JPN")
    quartiles = stats.t(float(priors["revision_df"].array("value"))).ppf([0.25, 0.75])
    assert_allclose(np.quantile(step, [0.25, 0.75]), quartiles, atol=0.06)


def test_what_was_cut_from_a_later_release_is_not_revised_ahead(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    cut = replace(panel, spending=replace(panel.spending, revisable=False))
    fixed = with_values(
        repeated(posterior, 50), revision_scale=0.5, late_revision_chance=0.0, growth_level=2.0
    )
    paths = simulated(cut, fixed, priors)
    for year in (2029, 2031):
        first = paths["growth_print"].sel(year=year, age=0)
        assert_allclose(first, paths["growth_true"].sel(year=year), rtol=1e-5, atol=1e-4)


def test_late_revisions_come_with_their_chance_by_age(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    chance = xr.DataArray([1.0, 0.3, 0.0], dims="late_age", coords={"late_age": [2, 3, 4]})
    fixed = with_values(
        repeated(posterior, 3000), late_revision_chance=chance, late_revision_size=1.0, revision_scale=0.1
    )
    prints = simulated(panel, fixed, priors)["growth_print"].sel(state="JPN")

    def changed(age: int) -> float:
        """Share of draws in which the figure of 2027 changes as it passes this age in the release of 2028."""
        later = prints.sel(year=2027 + age, age=age)
        earlier = prints.sel(year=2026 + age, age=age - 1)
        return float((abs(later - earlier) > 1e-6).mean())

    assert changed(1) == 1.0
    assert changed(2) == 1.0
    assert changed(3) == pytest.approx(0.3, abs=0.03)
    assert changed(4) == 0.0
    assert changed(5) == 0.0


def test_prints_of_one_release_share_no_revision_with_the_truth_behind(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    """A change of a print by late revision leaves true growth alone, so rules on prints see it first."""
    fixed = with_values(repeated(posterior, 500), late_revision_chance=1.0, late_revision_size=3.0)
    paths = simulated(panel, fixed, priors)
    true = paths["growth_true"].sel(year=2020, state="KOR")
    assert float(true.std()) == pytest.approx(0.0, abs=1e-9)
