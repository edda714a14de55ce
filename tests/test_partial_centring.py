"""Innovations centred in part: a change of coordinates that leaves the posterior alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose
from scipy.special import logit

from escalation_forecast.compile import Program, compile_model
from escalation_forecast.fit import Settings, sample
from escalation_forecast.kernels import ar_filter
from escalation_forecast.model import PARTLY_CENTRED, build_model
from escalation_forecast.panel import Panel
from escalation_forecast.partial_centring import (
    PartialCentring,
    centre_in_part,
    coordinates_of,
    innovations_of,
)
from escalation_forecast.priors import Priors
from escalation_forecast.program import Layout
from prior_fit import plain

MONTHS = 7
HOW = PartialCentring(("innovation", 1), ("phi", 1), reference=0.8, memory=0.4)


def small_model(how: PartialCentring | None = HOW, uniform: bool = False) -> pm.Model:
    with pm.Model(coords={"latent": ["a", "b"], "month": range(MONTHS)}, check_bounds=False) as model:
        z = pm.StudentT("innovation", nu=5.0, mu=0.0, sigma=0.8, dims=("latent", "month"))
        phi = pm.Uniform("phi", dims="latent") if uniform else pm.Beta("phi", 4, 2, dims="latent")
        path = pm.Deterministic("path", ar_filter(z, phi), dims=("latent", "month"))
        pm.Potential("readings", -((path[1, 2:] - 1.5) ** 2).sum())
    if how is not None:
        centre_in_part(model, [how])
    return model


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(small_model())


def points(program: Program, n: int = 3) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(n, program.n_dim))


def by_pymc(u: np.ndarray) -> float:
    model = small_model(None)
    phi = u[-2:]
    given = {"innovation": u[:-2].reshape(2, MONTHS), "phi_logodds__": phi}
    return float(model.compile_logp(mode=plain())(given))


def test_density_is_pymcs_and_the_determinant_of_the_map(program: Program) -> None:
    constants = []
    for v in points(program):
        steps = 1e-5 * np.eye(len(v))
        slopes = (program.unconstrained(v + steps) - program.unconstrained(v - steps)) / 2e-5
        determinant = np.linalg.slogdet(slopes)[1]
        assert abs(determinant) > 0.01
        value, _ = program.density(v)
        constants.append(value - by_pymc(program.unconstrained(v)) - determinant)
    assert_allclose(constants, constants[0], atol=1e-6)


def test_gradient_is_that_of_the_density(program: Program) -> None:
    for v in points(program):
        steps = 1e-6 * np.eye(len(v))
        slopes = [(program.density(v + e)[0] - program.density(v - e)[0]) / 2e-6 for e in steps]
        assert_allclose(program.density(v)[1], slopes, rtol=1e-5, atol=1e-6)


def test_gradient_in_units_of_another_fit(program: Program) -> None:
    draws = np.random.default_rng(5).normal(0.3, 2.0, size=(2, 40, program.n_dim))
    moved = program.start_at(program.layout.kept(draws, seed=1))
    for v in points(program):
        steps = 1e-6 * np.eye(len(v))
        slopes = [(moved.density(v + e)[0] - moved.density(v - e)[0]) / 2e-6 for e in steps]
        assert_allclose(moved.density(v)[1], slopes, rtol=1e-5, atol=1e-5)
        assert_allclose(moved.vectors(moved.unconstrained(v)), v, atol=1e-6)
        u = program.unconstrained(moved.coordinates(v))
        assert_allclose(moved.unconstrained(v), u)


def test_as_pymc_takes_pymcs_vector(program: Program) -> None:
    own = program.as_pymc()
    found = [own.density(u)[0] - by_pymc(u) for u in points(program)]
    assert_allclose(found, found[0], atol=1e-9)
    assert_allclose(own.unconstrained(points(program)), points(program))
    # The first one is as it was.
    assert np.abs(program.unconstrained(points(program)) - points(program)).max() > 0.01


def test_only_the_row_asked_for_is_moved_and_not_its_first_month(program: Program) -> None:
    v = points(program, 50)
    moved = np.abs(program.unconstrained(v) - v).max(axis=0) > 1e-9
    first = MONTHS + 1
    assert moved.nonzero()[0].tolist() == list(range(first, 2 * MONTHS))
    assert_allclose(program.vectors(program.unconstrained(v)), v, atol=1e-10)
    assert program.unconstrained(v[0]).shape == (program.n_dim,)
    assert program.unconstrained(v.reshape(5, 10, -1)).shape == (5, 10, program.n_dim)


def test_chains_start_where_pymc_has_them_start(program: Program) -> None:
    seed = 11
    start: Any = program.sampler.initial_point_func(seed)
    other = compile_model(small_model(None))
    assert_allclose(program.unconstrained(start), other.sampler.initial_point_func(seed), atol=1e-12)


def test_a_later_fit_starts_at_draws_of_this_one(program: Program) -> None:
    trace = sample(program, Settings(tune=60, draws=20, chains=2, cores=1), seed=1)
    later = program.start_at(trace["start"].to_dataset())
    first: Any = later.sampler.initial_point_func(7)
    path = later.expand(first[None, None], ["path"])["path"].values[0, 0]
    assert np.abs(trace["posterior"]["path"].values - path).max(axis=(2, 3)).min() < 1e-4


def one(reference: float, memory: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([0, 40, 40], np.int64), np.array([reference, memory])


def path(z: np.ndarray, phi: float) -> np.ndarray:
    found, last = np.empty(len(z)), 0.0
    for t, step in enumerate(z):
        last = phi * last + np.sqrt(1.0 - phi * phi) * step
        found[t] = last
    return found


@pytest.mark.parametrize("phi", [0.3, 0.9, 0.999])
def test_without_memory_the_path_does_not_depend_on_the_persistence(phi: float) -> None:
    x = np.append(np.random.default_rng(3).normal(size=40), logit(phi))
    z = innovations_of(x, *one(0.9, 0.0))
    assert_allclose(path(z[:40], phi), path(x[:40], 0.9), atol=1e-9)


@pytest.mark.parametrize(("phi", "memory"), [(0.5, 1.0), (0.9, 0.4)])
def test_innovations_are_their_own_coordinate(phi: float, memory: float) -> None:
    """With full memory everywhere, and at the reference with any."""
    x = np.append(np.random.default_rng(4).normal(size=40), logit(phi))
    assert_allclose(innovations_of(x, *one(0.9, memory)), x, atol=1e-9)


@pytest.mark.parametrize("at", [-60.0, -800.0, 60.0])
def test_far_out_nothing_breaks(at: float) -> None:
    x = np.append(np.random.default_rng(4).normal(size=40), at)
    z = innovations_of(x, *one(0.9, 0.5))
    assert np.isfinite(z).all()
    assert_allclose(coordinates_of(z, *one(0.9, 0.5))[:5], x[:5], rtol=1e-6)


def test_a_persistence_of_another_law_is_left_alone() -> None:
    other = PartialCentring(("innovation", 1), ("absent", 0), 0.8, 0.4)
    for model in (small_model(other), small_model(uniform=True), small_model(None)):
        assert len(Layout(model).centred) == 0
    assert len(Layout(small_model()).centred) == 3


def test_the_joint_model_centres_what_it_says(panel: Panel) -> None:
    layout = Layout(build_model(panel, Priors.default()))
    by_name = {segment.name: segment for segment in layout.segments}
    rows = layout.centred.reshape(-1, 3)
    assert len(rows) == len(PARTLY_CENTRED) > 0
    innovation = by_name["innovation"]
    for (start, stop, at), how in zip(rows, PARTLY_CENTRED, strict=True):
        row = how.innovations[1]
        assert (start, stop) == tuple(
            innovation.start + innovation.shape[1] * np.array([row, row + 1]) + [1, 0]
        )
        assert at == by_name[how.persistence[0]].start + how.persistence[1]
