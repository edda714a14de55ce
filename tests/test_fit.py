"""Sampling by seed, and what stops a fit from being published."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

from escalation_forecast import fit
from escalation_forecast.compile import compile_model
from escalation_forecast.fit import ConvergenceError, Settings, diagnose, sample
from escalation_forecast.mixing import TAILS, mixing

CHAINS, DRAWS = 4, 600
MONTHS = pd.date_range("2017-07-01", periods=6, freq="MS")
SHORT = Settings(tune=100, draws=100)


def chains(n: int, rho: float, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Autoregressive draws of n quantities."""
    noise = np.random.default_rng(seed).normal(size=(n, CHAINS, draws))
    for t in range(1, draws):
        noise[..., t] += rho * noise[..., t - 1]
    return noise


def shifted() -> np.ndarray:
    return chains(3, 0.0) + np.array([0.0, 0.0, 0.0, 0.4])[None, :, None]


def test_innovations_are_dropped_and_stats_kept(toy: Any) -> None:
    trace = sample(toy, SHORT, 7)
    assert set(trace["posterior"].data_vars) == {"mu", "scale", "theta"}
    assert set(trace["posterior"].coords) == {"chain", "draw", "group"}
    assert {"diverging", "energy"} <= set(trace["sample_stats"].data_vars)
    assert trace["posterior"]["theta"].dtype == np.float64


@pytest.fixture(scope="module")
def toy() -> Any:
    with pm.Model(coords={"group": ["a", "b"], "step": [0, 1]}) as model:
        y = pm.Data("y", np.array([0.1, 0.4, -0.3, 1.2]))
        z = pm.Normal("innovation", 0, 1, dims="step")
        slow = pm.Normal("slow_innovation", 0, 1, dims="group")
        mu, scale = pm.Normal("mu", 0, 1), pm.HalfNormal("scale", 1)
        pm.Deterministic("theta", mu + slow + z.sum(), dims="group")
        pm.Potential("likelihood", -0.5 * (((y - mu) / scale) ** 2).sum() - 4 * pm.math.log(scale))
    return compile_model(model)


def test_draws_follow_from_the_seed_whatever_the_cores(toy: Any) -> None:
    first = sample(toy, SHORT, 7)["posterior"]
    again = sample(toy, dataclasses.replace(SHORT, cores=1), 7)["posterior"]
    other = sample(toy, SHORT, 8)["posterior"]
    for name in first.data_vars:
        assert np.array_equal(first[name], again[name]), name
        assert not np.array_equal(first[name], other[name]), name
    assert SHORT.canonical() == dataclasses.replace(SHORT, cores=1).canonical()
    assert SHORT.canonical() != dataclasses.replace(SHORT, tune=101).canonical()


def test_progress_reaches_the_last_draw(toy: Any) -> None:
    seen: list[tuple[int, int, int]] = []
    sample(toy, SHORT, 7, lambda *state: seen.append(state))
    assert seen[-1][:2] == (800, 800)


def test_sampler_that_cannot_start_says_so(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("All initialization points failed\n\nCaused by:\n  frames")

    monkeypatch.setattr(nutpie, "sample", broken)
    with pytest.raises(
        ConvergenceError, match=r"^The sampler could not run \(All init.*failed\); check [^\n]*$"
    ):
        sample(toy, SHORT, 7)


@pytest.mark.parametrize(
    "values",
    [
        chains(20, 0.0),
        chains(300, 0.9),
        chains(5, -0.6),
        chains(5, 0.5, draws=601),
        chains(5, 0.999),
        shifted(),
        np.round(chains(5, 0.7)),
        (chains(5, 0.3) > 3.0) + 0.0,
        np.cumsum(chains(3, 0.0, draws=7), axis=2),
    ],
    ids=["white", "sticky", "alternating", "odd", "stuck", "shifted", "ties", "rare", "few"],
)
def test_mixing_agrees_with_arviz(values: np.ndarray) -> None:
    values = values[np.ptp(values.reshape(len(values), -1), axis=1) > 0]
    found = np.array(mixing(values))
    for k in range(0, len(values), max(len(values) // 10, 1)):
        with np.errstate(all="ignore"):
            expected = [
                float(az.rhat(values[k])),
                float(az.ess(values[k], method="bulk")),
                float(az.ess(values[k], method="tail", prob=TAILS)),
            ]
        assert found[:, k] == pytest.approx(expected, rel=1e-9)


def posterior() -> xr.Dataset:
    """Well-mixed draws of two parameters and two latents."""
    eta = chains(12, 0.0).reshape(2, 6, CHAINS, DRAWS).transpose(2, 3, 0, 1)
    return xr.Dataset(
        {
            "phi": (("theatre", "chain", "draw"), chains(2, 0.0, seed=1)),
            "slow_step": (("chain", "draw"), np.full((CHAINS, DRAWS), 0.2)),
            "eta": (("chain", "draw", "latent", "month"), eta),
        },
        coords={"theatre": ["korea", "taiwan"], "latent": ["korea", "global"], "month": MONTHS},
    )


def stats() -> xr.Dataset:
    draws = np.random.default_rng(3).normal(size=(CHAINS, DRAWS))
    return xr.Dataset(
        {
            "energy": (("chain", "draw"), draws),
            "diverging": (("chain", "draw"), np.zeros((CHAINS, DRAWS), bool)),
        }
    )


def paths(as_of: str = "2017-10-31") -> xr.Dataset:
    prints = chains(4, 0.0, seed=4).reshape(2, 2, 1, CHAINS, DRAWS).transpose(3, 4, 0, 1, 2)
    prints[:, :, 0, 0] = 5.0
    prints[:, :, 1, 0] = np.nan
    return xr.Dataset(
        {"growth_print": (("chain", "draw", "state", "year", "age"), prints)},
        coords={"state": ["CHN", "KOR"], "year": [2016, 2017], "age": [0]},
        attrs={"as_of": as_of},
    )


LATE = {"chain": 3, "latent": 0, "month": 2}


def test_healthy_fit_passes() -> None:
    found = diagnose(posterior(), stats(), paths())
    assert found.reasons == ()
    assert found.passed
    assert found.as_dict()["passed"] is True
    assert found.r_hat_max is not None
    assert found.r_hat_max.value < 1.01


def test_worst_latent_is_named_with_its_labels() -> None:
    draws = posterior()
    draws["eta"][LATE] += 1.0
    found = diagnose(draws, stats(), paths())
    assert found.r_hat_max is not None
    assert found.r_hat_max.quantity == "eta[korea, 2017-09]"
    assert found.ess_bulk_min is not None
    assert found.ess_bulk_min.quantity == "eta[korea, 2017-09]"
    assert found.reasons[0].startswith("R-hat of eta[korea, 2017-09] is 1.")


@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (0.33, True), (1.0, False)])
def test_a_persistence_that_nothing_shows_has_a_wider_gate(shift: float, passes: bool) -> None:
    draws = posterior()
    spread = float(draws["phi"].std())
    draws["phi"][{"chain": 0}] += shift * spread
    found = diagnose(draws, stats(), paths())
    assert found.r_hat_other is not None
    assert found.r_hat_other.quantity.startswith("phi[")
    assert found.passed is passes
    if shift:
        assert found.r_hat_other.value > 1.01
    assert found.r_hat_max is not None
    assert found.r_hat_max.value < 1.01


def test_a_latent_has_the_narrow_gate() -> None:
    draws = posterior()
    where = {"latent": 0, "month": 1}
    draws["eta"][where | {"chain": 0}] += 0.5 * float(draws["eta"][where].std())
    found = diagnose(draws, stats(), paths())
    assert found.r_hat_max is not None
    assert fit.MAX_R_HAT < found.r_hat_max.value < fit.MAX_R_HAT_OTHER
    assert not found.passed


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("phi[taiwan]", True),
        ("news_noise[news_world]", True),
        ("global_share[korea]", True),
        ("eta[korea, 2017-09]", False),
        ("news_loading[news_korea]", False),
        ("threat_slope[CHN]", False),
        ("growth_print[KOR, 2017, age 0]", False),
        ("question wider-war/any/12m", False),
    ],
)
def test_what_is_shown_and_what_is_not(name: str, other: bool) -> None:
    assert fit.is_other(name) is other


def test_months_after_as_of_are_not_gated() -> None:
    draws = posterior()
    draws["eta"][LATE] += 1.0
    assert diagnose(draws, stats(), paths(as_of="2017-08-31")).passed


def test_published_spending_is_gated() -> None:
    shown = paths()
    shown["growth_print"][{"chain": 0, "state": 1, "year": 1}] += 1.0
    found = diagnose(posterior(), stats(), shown)
    assert found.r_hat_max is not None
    assert found.r_hat_max.quantity == "growth_print[KOR, 2017, age 0]"
    assert not found.passed


def test_question_is_gated() -> None:
    answers = [
        SimpleNamespace(item=SimpleNamespace(id="use-of-force/korea"), r_hat=1.0, ess=90.0),
        SimpleNamespace(item=SimpleNamespace(id="decided"), r_hat=None, ess=None),
    ]
    found = diagnose(posterior(), stats(), paths(), answers)
    assert found.ess_bulk_min == fit.Worst(90.0, "question use-of-force/korea")
    assert len(found.reasons) == 1


def test_tail_that_is_stuck_fails_the_tail_gate_alone() -> None:
    draws = posterior()
    value = draws["phi"].sel(theatre="taiwan").values
    # Long visits to the upper end, by all chains alike: the middle mixes, the tail does not.
    visits = (np.arange(DRAWS) // 30 % 10 == 5)[None, :]
    draws["phi"].loc[{"theatre": "taiwan"}] = np.where(
        visits, 2.5 + 0.1 * value, np.minimum(value, 2.0)
    ).reshape(value.shape)
    found = diagnose(draws, stats(), paths())
    assert found.ess_tail_min is not None
    assert found.ess_tail_min.quantity == "phi[taiwan]"
    assert any(reason.startswith("Tail effective sample size of phi[taiwan]") for reason in found.reasons)


def test_divergence_fails() -> None:
    bad = stats()
    bad["diverging"][{"chain": 1, "draw": 5}] = True
    found = diagnose(posterior(), bad, paths())
    assert found.divergences == 1
    assert len(found.reasons) == 1
    assert "target_accept" in found.reasons[0]


def test_slow_energy_fails_as_arviz_measures_it() -> None:
    bad = stats()
    bad["energy"][{"chain": 2}] = np.cumsum(bad["energy"][{"chain": 2}].values)
    found = diagnose(posterior(), bad, paths())
    expected = az.bfmi(xr.DataTree.from_dict({"sample_stats": bad}))["energy"].min()
    assert found.e_bfmi_min == pytest.approx(float(expected))
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("E-BFMI is 0.0")


def test_value_that_is_not_finite_in_some_draws_fails() -> None:
    draws = posterior()
    draws["phi"][{"chain": 0, "draw": 3, "theatre": 1}] = np.inf
    found = diagnose(draws, stats(), paths())
    assert found.reasons[0].startswith("phi[taiwan] is not finite in some draws")


def test_nothing_that_varies_is_not_an_error() -> None:
    found = diagnose(posterior()[["slow_step"]], stats(), xr.Dataset(attrs={"as_of": "2017-10-31"}))
    assert found.r_hat_max is None
    assert found.as_dict()["r_hat_max"] == {"value": None, "quantity": None}
    assert found.passed


def test_a_fit_from_the_last_one_is_shorter_and_never_longer() -> None:
    usual, draft = Settings.default(), Settings.draft()
    warm = usual.warm()
    assert (warm.tune, warm.draws) == (100, 600)
    assert warm == dataclasses.replace(usual, tune=100, draws=600)
    assert (draft.warm().tune, draft.warm().draws) == (100, draft.draws)
