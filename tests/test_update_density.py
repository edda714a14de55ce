"""Densities of priors, ratios and weights: against PyMC, quadrature and closed forms."""

from __future__ import annotations

from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import integrate, stats
from scipy.special import expit

from escalation_forecast.draws import POWERED, prior_sample
from escalation_forecast.prior_data import DataPriors, arrays_of, same_program, swapped_priors
from escalation_forecast.priors import Priors, PriorSpec
from escalation_forecast.update.density import NotReweightableError, log_density, log_prior, log_ratio
from escalation_forecast.update.moves import shifted
from escalation_forecast.update.power_scaling import bernoulli_distance
from escalation_forecast.update.weights import smooth, weighted_mean, weighted_quantile
from prior_fit import plain

GROUPS = ("a", "b", "c")
COORDS = {"group": list(GROUPS), "kind": ["x", "y"]}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Normal": ("real", {"mu": 0.4, "sigma": 1.3}),
    "LogNormal": ("positive", {"mu": -0.3, "sigma": 0.6}),
    "HalfNormal": ("positive", {"sigma": 0.7}),
    "Beta": ("unit", {"alpha": 2.5, "beta": 4.0}),
    "Gamma": ("positive", {"alpha": 2.2, "beta": 1.7}),
    "StudentT": ("real", {"nu": 4.0, "mu": 0.2, "sigma": 0.8}),
    "Exponential": ("positive", {"lam": 1.9}),
    "Uniform": ("real", {"lower": -1.0, "upper": 2.5}),
    "Dirichlet": ("simplex", {"a": (1.5, 2.0)}),
}


# The scale without bounds, the log of its slope, and back.
LINKS: dict[str, Any] = {
    "Normal": lambda x: (x, np.zeros_like(x)),
    "LogNormal": lambda x: (np.log(x), -np.log(x)),
    "Beta": lambda x: (np.log(x / (1 - x)), -np.log(x) - np.log1p(-x)),
}
BACK: dict[str, Any] = {"Normal": float, "LogNormal": np.exp, "Beta": expit}


def spec_of(family: str, **more: Any) -> PriorSpec:
    support, parameters = FAMILIES[family]
    dims = ("group", "kind") if family == "Dirichlet" else ("group",)
    given = {"parameters": parameters, "dims": dims, "support": support} | more
    labels = {dim: tuple(COORDS[dim]) for dim in given["dims"]}
    return PriorSpec("x", family, reason="r", source="s", labels=labels, **given)


def priors_of(spec: PriorSpec) -> Priors:
    return Priors({spec.name: spec}, {dim: tuple(labels) for dim, labels in COORDS.items()})


@pytest.mark.parametrize("family", FAMILIES)
def test_density_is_that_of_pymc(family: str) -> None:
    spec = spec_of(family)
    values = prior_sample(np.random.default_rng(1), spec, 6, COORDS)
    with pm.Model(coords=COORDS):
        variable = priors_of(spec).to_pymc_extras("x", COORDS).create_variable("x")
    theirs = np.array([pm.logp(variable, value).eval(mode=plain()) for value in values])
    np.testing.assert_allclose(log_density(spec, values, COORDS), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("Dirichlet", "Uniform")])
def test_other_numbers_by_label_leave_other_labels_alone(family: str) -> None:
    old = spec_of(family)
    key = next(iter(old.parameters))
    table = {label: old.parameters[key] * (1.2 if label == "b" else 1.0) for label in GROUPS}  # type: ignore[operator]
    new = spec_of(family, parameters={**old.parameters, key: table})
    values = prior_sample(np.random.default_rng(2), old, 50, COORDS)
    single = spec_of(family, parameters={**old.parameters, key: table["b"]}, dims=())
    plain_old = spec_of(family, dims=())
    alone = log_density(single, values[:, 1]) - log_density(plain_old, values[:, 1])
    np.testing.assert_allclose(log_ratio(old, new, values, None, COORDS), alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "Dirichlet"])
def test_program_takes_the_numbers_as_data(family: str) -> None:
    spec = spec_of(family)
    constant, data = priors_of(spec), DataPriors.of(priors_of(spec))
    models = []
    for priors in (constant, data):
        with pm.Model(coords=COORDS, check_bounds=False) as model:
            priors.to_pymc_extras("x", COORDS).create_variable("x")
        models.append(model)
    points = [{models[0].value_vars[0].name: np.array([0.3, -0.8, 1.1]) * k} for k in (1.0, 0.5)]
    for derivative in (False, True):
        one, two = (
            (m.compile_dlogp(mode=plain()) if derivative else m.compile_logp(mode=plain())) for m in models
        )
        apart = [np.asarray(one(point)) - np.asarray(two(point)) for point in points]
        # The density up to a constant, the gradient as it is.
        np.testing.assert_allclose(apart[0], 0.0 if derivative else apart[1], atol=1e-5)


def test_arrays_of_a_prior_have_a_place_for_every_label() -> None:
    by_label = spec_of("Normal", parameters={"mu": {"a": 1.0, "b": 2.0, "c": 3.0}, "sigma": 0.5})
    swapped = swapped_priors(priors_of(by_label), {"group": ["c", "a"]})
    assert swapped["prior_x_mu"].tolist() == [3.0, 1.0]
    assert swapped["prior_x_sigma"].tolist() == [0.5, 0.5]
    partial = spec_of("Normal", pooling="partial", spread=0.7)
    assert {k: v.tolist() for k, v in arrays_of(partial, COORDS).items()} == {
        "mu": 0.4, "sigma": 1.3, "spread": 0.7,
    }  # fmt: skip
    assert same_program(priors_of(by_label), priors_of(spec_of("Normal")), ["x"])
    assert not same_program(priors_of(partial), priors_of(spec_of("Normal")), ["x"])


@pytest.mark.parametrize("family", ["Normal", "Beta", "Gamma"])
def test_discounted_history_has_the_density_of_its_draws(family: str) -> None:
    spec = spec_of(family)
    numbers = {key: np.asarray(value) for key, value in spec.parameters.items()}
    weaker = spec_of(
        family,
        parameters={**spec.parameters, **{k: float(v) for k, v in POWERED[family](numbers, 0.4).items()}},
    )
    values = prior_sample(np.random.default_rng(3), spec, 20, COORDS, 0.4)
    np.testing.assert_allclose(
        log_density(spec, values, COORDS, 0.4), log_density(weaker, values, COORDS), rtol=1e-12
    )


@pytest.mark.parametrize("family", ["Normal", "LogNormal", "Beta"])
def test_pooled_labels_have_the_integral_over_what_they_share(family: str) -> None:
    """From labels by themselves to labels that are alike, by brute-force integration."""
    old, new = spec_of(family), spec_of(family, pooling="partial", spread=0.6)
    values = prior_sample(np.random.default_rng(4), old, 3, COORDS)
    found = log_ratio(old, new, values, None, COORDS)
    for k, value in enumerate(values):
        free, slope = LINKS[family](value)

        def density(u: float, free: np.ndarray = free) -> float:
            common = BACK[family](u)
            prior = np.exp(log_density(spec_of(family, dims=()), np.array([common]))[0])
            return float(
                prior * np.exp(-LINKS[family](common)[1].sum()) * stats.norm.pdf(free, u, 0.6).prod()
            )

        whole = np.log(integrate.quad(density, -12, 12, limit=400)[0]) + slope.sum()
        expected = whole - log_density(old, value[None], COORDS).sum()
        assert found[k] == pytest.approx(expected, abs=1e-5)


def test_spread_changes_the_steps_and_not_what_is_shared() -> None:
    old = spec_of("LogNormal", pooling="partial", spread=0.3)
    new = spec_of("LogNormal", pooling="partial", spread=0.5)
    rng = np.random.default_rng(5)
    common = np.exp(rng.normal(size=8))
    values = common[:, None] * np.exp(0.3 * rng.normal(size=(8, 3)))
    steps = np.log(values / common[:, None])
    expected = (stats.norm.logpdf(steps, 0, 0.5) - stats.norm.logpdf(steps, 0, 0.3)).sum(axis=1)
    np.testing.assert_allclose(log_ratio(old, new, values, common, COORDS), expected, rtol=1e-10)
    assert not np.allclose(log_prior(new, values, common, COORDS), log_prior(old, values, common, COORDS))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (spec_of("Uniform"), spec_of("Normal"), "ruled out"),
        (spec_of("Uniform"), spec_of("Uniform", parameters={"lower": -1.0, "upper": 3.0}), "ruled out"),
        (PriorSpec("x", "Fixed", {"value": 1.0}, (), "r", "s", "real"), spec_of("Normal"), "held fixed"),
        (spec_of("Normal"), spec_of("Normal", pooling="complete"), "one value for all"),
    ],
)
def test_draws_cannot_speak_for_what_they_left_out(old: PriorSpec, new: PriorSpec, words: str) -> None:
    values = prior_sample(np.random.default_rng(6), spec_of("Uniform"), 10, COORDS)
    with pytest.raises(NotReweightableError, match=words):
        log_ratio(old, new, values, None, COORDS)


def test_conjugate_posterior_is_found_by_weights() -> None:
    """Normal mean with known variance: the posterior under another prior in closed form."""
    rng, y = np.random.default_rng(7), np.array([1.2, 0.4, 2.2, 1.7])

    def posterior(mu: float, sigma: float) -> tuple[float, float]:
        precision = 1 / sigma**2 + len(y)
        return (mu / sigma**2 + y.sum()) / precision, precision**-0.5

    old = spec_of("Normal", dims=(), parameters={"mu": 0.0, "sigma": 1.0})
    new = spec_of("Normal", dims=(), parameters={"mu": 0.7, "sigma": 0.8})
    centre, sd = posterior(0.0, 1.0)
    draws = rng.normal(centre, sd, (4, 5000))
    weights = smooth(log_ratio(old, new, draws.ravel(), None, {}).reshape(draws.shape))
    wanted, width = posterior(0.7, 0.8)
    assert weights.k < 0.5
    assert weights.reasons == ()
    for values, truth in (
        (draws, wanted),
        ((draws > 1.3).astype(float), 1 - stats.norm.cdf(1.3, wanted, width)),
    ):
        found = weighted_mean(values, weights.values)
        assert abs(found.value - truth) < 4 * found.mcse
        assert found.mcse < 0.01
    median = weighted_quantile(draws, weights.values, np.array([0.1, 0.5]))
    np.testing.assert_allclose(median, stats.norm.ppf([0.1, 0.5], wanted, width), atol=0.02)


def test_error_of_weighted_means_is_what_repetition_shows() -> None:
    rng, n = np.random.default_rng(8), 300
    found = []
    for _ in range(n):
        x = rng.normal(size=(4, 250))
        weights = smooth(0.6 * x)
        one = weighted_mean((x > 0.5).astype(float), weights.values)
        found.append((one.value, one.mcse, one.value - (x > 0.5).mean(), one.moved))
    values = np.array(found)
    assert values[:, 1].mean() == pytest.approx(values[:, 0].std(), rel=0.2)
    assert values[:, 3].mean() == pytest.approx(values[:, 2].std(), rel=0.2)
    # The same draws: their distance is surer than either.
    assert values[:, 3].mean() < 0.9 * values[:, 1].mean()


def test_weights_that_a_few_draws_carry_are_refused() -> None:
    x = np.random.default_rng(9).normal(size=(4, 1000))
    far = smooth(6.0 * x)
    assert far.k > 0.7
    assert "k is" in far.reasons[0]
    near = smooth(0.1 * x)
    assert near.reasons == ()
    assert near.k < 0.3


def test_equal_ratios_give_equal_weights() -> None:
    same = smooth(np.full((2, 50), -3.7))
    assert np.all(same.values == 0.01)
    assert (same.k, same.ess, same.reasons) == (-np.inf, 100.0, ())
    nothing = smooth(np.full((2, 50), -np.inf))
    assert nothing.reasons


def test_distance_of_yes_or_no_is_that_of_arviz() -> None:
    """A conjugate beta-binomial whose prior and likelihood are scaled."""
    rng = np.random.default_rng(10)
    theta = rng.beta(6, 9, (2, 3000))
    yes = (rng.random(theta.shape) < theta).astype(float)
    log_prior_ = stats.beta.logpdf(theta, 3, 3)
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"yes": (("chain", "draw"), yes)}),
            "log_prior": xr.Dataset({"theta": (("chain", "draw"), log_prior_)}),
        }
    )
    theirs = float(az.psense(tree, group="prior", alphas=(0.8, 1.25))["yes"])
    from arviz_stats.base import array_stats

    parts = []
    for alpha in (0.8, 1.25):
        weights = np.exp(array_stats.power_scale_lw(log_prior_.ravel(), alpha=alpha))
        q = float(weights @ yes.ravel() / weights.sum())
        parts.append(bernoulli_distance(float(yes.mean()), q) / abs(np.log2(alpha)))
    # ArviZ starts its distribution function one draw late.
    assert np.mean(parts) == pytest.approx(theirs, abs=2e-3)
    assert np.mean(parts) > 0.01


@pytest.mark.parametrize("family", ["Normal", "StudentT", "HalfNormal", "Exponential", "Gamma"])
def test_moving_a_prior_by_its_sd_moves_its_mean_by_that(family: str) -> None:
    from escalation_forecast.prior_law import law

    numbers = FAMILIES[family][1]
    before, after = law(family, numbers), law(family, shifted(family, numbers, 1.0))
    step = numbers["sigma"] if family in ("Normal", "StudentT") else before.std()
    assert after.mean() - before.mean() == pytest.approx(step, rel=1e-9)
    back = shifted(family, shifted(family, numbers, 1.0), -1.0)
    assert back == pytest.approx(numbers) or family in ("HalfNormal", "Exponential", "Gamma")


def test_moving_a_share_keeps_its_weight_and_moves_its_odds() -> None:
    numbers = {"alpha": 18.0, "beta": 2.0}
    after = shifted("Beta", numbers, 1.0)
    assert sum(after.values()) == pytest.approx(20.0)
    odds = stats.beta.rvs(18, 2, size=200_000, random_state=1)
    sd = np.log(odds / (1 - odds)).std()
    moved = np.log(after["alpha"] / after["beta"]) - np.log(9.0)
    assert moved == pytest.approx(sd, rel=0.02)
