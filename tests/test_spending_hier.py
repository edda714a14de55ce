"""The hierarchical autoregression: density by hand, padding that does not count, recovery."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from escalation_forecast.score import spending_hier as hier


def made_up(n_states: int, years: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out = {}
    for k in range(n_states):
        mean, slope, scale = 2.0 + k, 0.5, 2.0 + 0.5 * k
        g = [mean]
        for _ in range(years - 1):
            g.append(mean + slope * (g[-1] - mean) + scale * float(rng.standard_t(8)))
        out[f"S{k}"] = np.array(g)
    return out


def point(n_states: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "mean_centre": np.array(2.0), "mean_spread_log__": np.array(0.3), "mean_z": rng.normal(size=n_states),
        "slope_centre": np.array(0.2), "slope_spread_log__": np.array(-1.5),
        "slope_z": rng.normal(size=n_states), "scale_centre": np.array(1.1),
        "scale_spread_log__": np.array(-1.0), "scale_z": rng.normal(size=n_states),
        "nu_excess_log__": np.array(1.7),
    }  # fmt: skip


def test_density_is_that_of_the_definition_and_padding_does_not_count() -> None:
    growth, values = made_up(3, 9), point(3)
    exact = hier.hier_model(hier._padded(growth, 24), 3)
    padded = hier.hier_model(hier._padded(growth, 64), 3)
    mean = values["mean_centre"] + np.exp(0.3) * values["mean_z"]
    slope = np.tanh(values["slope_centre"] + np.exp(-1.5) * values["slope_z"])
    scale = np.exp(values["scale_centre"] + np.exp(-1.0) * values["scale_z"])
    expected = sum(
        stats.t.logpdf(g[1:], 2.0 + np.exp(1.7), mean[i] + slope[i] * (g[:-1] - mean[i]), scale[i]).sum()
        for i, g in enumerate(growth.values())
    )
    for model in (exact, padded):
        density = model.compile_logp(vars=[model["growth"]])
        assert float(density(values)) == pytest.approx(float(expected))


@pytest.mark.slow
def test_known_parameters_are_recovered_and_data_are_swapped() -> None:
    growth = made_up(6, 200)
    posterior, diagnostics = hier.fit_hier(growth, seed=2)
    assert diagnostics["r_hat"] < 1.02
    assert diagnostics["ess"] > 200
    assert posterior["slope"].mean(axis=0) == pytest.approx(0.5, abs=0.15)
    assert posterior["scale"].mean(axis=0) == pytest.approx(2.0 + 0.5 * np.arange(6), rel=0.2)
    compiled = hier._program.cache_info().misses
    draws, _ = hier.hier_draws(made_up(5, 215, seed=4), seed=2, n=4000)
    # fewer states and years, the same padded shape
    assert hier._program.cache_info().misses == compiled
    assert set(draws) == {f"S{k}" for k in range(5)}
    assert draws["S0"].shape == (4000, 3)
    again, _ = hier.hier_draws(made_up(5, 215, seed=4), seed=2, n=4000)
    assert (draws["S3"] == again["S3"]).all()


@pytest.mark.slow
def test_states_share_a_posterior_draw() -> None:
    rng = np.random.default_rng(5)
    # with one mean for all that is hardly known, means of states move together over draws
    growth = {f"S{k}": rng.normal(3, 6, 9) for k in range(10)}
    posterior, _ = hier.fit_hier(growth, seed=3)
    together = np.corrcoef(posterior["mean"].T)
    # independent states would give 0, give or take 0.01
    assert together[np.triu_indices(10, 1)].mean() > 0.1
