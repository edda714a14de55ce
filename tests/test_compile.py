"""The compiled callbacks against PyMC's own density, gradient and transforms, also with other data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose

from escalation_forecast.compile import compile_model
from escalation_forecast.fit import Settings, sample
from escalation_forecast.kernels import ar_filter
from escalation_forecast.prior_kernel import FREE
from escalation_forecast.program import Layout
from prior_fit import plain


def small_model(y: np.ndarray, item: np.ndarray) -> pm.Model:
    """Transforms, dims, a filter, integer and float data: all kinds of pieces of the joint model."""
    with pm.Model(coords={"group": ["a", "b"], "time": range(4)}, check_bounds=False) as model:
        rows, places = pm.Data("rows_y", y), pm.Data("rows_item", item)
        phi = pm.Beta("phi", 4, 2, dims="group")
        scale = pm.LogNormal("scale", 0.0, 0.5)
        steps = pm.Normal("step_innovation", 0.0, 1.0, dims=("group", "time"))
        path = pm.Deterministic("path", ar_filter(steps, phi), dims=("group", "time"))
        error = rows - path.ravel()[places]
        pm.Potential(
            "readings", -3.0 * pt.log1p((error / scale) ** 2 / 5.0).sum() - pt.log(scale) * error.size
        )
    return model


FEW = (np.array([0.4, -1.2, 2.5]), np.array([0, 5, 7], np.int32))
MORE = (np.array([3.0, 0.1, -0.4, 0.7, 9.0]), np.array([1, 1, 2, 4, 6], np.int32))


@pytest.fixture(scope="module")
def compiled() -> Any:
    return compile_model(small_model(*FEW))


def by_pymc(model: pm.Model, x: np.ndarray) -> tuple[float, np.ndarray]:
    # nutpie samples the value variables in their order in the model, flattened.
    parts, start = {}, 0
    for name, value in model.initial_point().items():
        parts[name] = x[start : start + value.size].reshape(value.shape)
        start += value.size
    density = model.compile_logp(mode=plain())(parts)
    return float(density), np.concatenate([np.ravel(model.compile_dlogp(mode=plain())(parts))])


def by_callback(compiled: Any, x: np.ndarray) -> tuple[int, float, np.ndarray]:
    """Calls the C callback as the sampler does, with pointers."""
    value, gradient = np.zeros(1), np.zeros(len(x))
    data = compiled.sampler.user_data
    code = compiled.sampler.compiled_logp_func.ctypes(
        len(x), _pointer(x), _pointer(gradient), _pointer(value), data.ctypes.data
    )
    return int(code), float(value[0]), gradient


def _pointer(array: np.ndarray) -> Any:
    import ctypes

    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def test_density_and_gradient_are_pymcs(compiled: Any) -> None:
    check(compiled, small_model(*FEW))


def check(compiled: Any, model: pm.Model, scale: float = 1.0) -> None:
    """The callback against PyMC at three places; the density is right but for a constant."""
    rng = np.random.default_rng(1)
    constants = []
    for _ in range(3):
        x = scale * rng.normal(size=compiled.n_dim)
        code, value, gradient = by_callback(compiled, x)
        expected, slope = by_pymc(model, x)
        assert code == 0
        constants.append(value - expected)
        assert_allclose(gradient, slope, rtol=1e-8, atol=1e-10)
    assert_allclose(constants, constants[0], rtol=1e-10, atol=1e-9)


def every_family() -> pm.Model:
    """All laws of the table with scalars and vectors, and what is left to PyMC's own graphs."""
    with pm.Model(coords={"group": ["a", "b", "c"]}, check_bounds=False) as model:
        numbers = pm.Data("numbers", np.array([0.5, 1.5, 2.5]))
        terms = [
            pm.Normal("normal", numbers, numbers**2, dims="group"),
            pm.StudentT("student", nu=4.0, mu=0.3, sigma=numbers, dims="group"),
            pm.StudentT("students", nu=numbers, mu=0.3, sigma=2.0, dims="group"),
            pm.LogNormal("log_normal", -0.2, numbers, dims="group"),
            pm.Gamma("gamma", numbers, 2.0, dims="group"),
            pm.Exponential("exponential", scale=1.7),
            pm.HalfNormal("half_normal", numbers, dims="group"),
            pm.Beta("beta", 2.0, numbers, dims="group"),
            pm.Uniform("uniform", -1.0, 2.0),
            pm.TruncatedNormal("truncated", 0.0, 1.0, lower=-0.5, dims="group"),
        ]
        spread = pm.HalfNormal("spread", 1.0)
        child = pm.Normal("child", 0.0, spread, dims="group")
        pm.Normal("observed", child, 0.5, observed=np.array([0.1, 0.2, 2.0]), dims="group")
        bounded = pm.Deterministic("bounded", sum(term.sum() for term in terms) + child, dims="group")
        pm.Potential("pull", -0.5 * ((bounded - 3.0) ** 2).sum())
    return model


def test_every_family_of_the_table_and_those_beyond_it() -> None:
    model = every_family()
    compiled = compile_model(model)
    laws = {s.name: s.law for s in compiled.layout.segments}
    free = {name for name, law in laws.items() if law == FREE}
    assert free == {"uniform", "truncated", "spread", "child"}
    check(compiled, model)
    check(compiled, model, scale=4.0)
    other = np.array([0.9, 0.2, 3.0])
    model["numbers"].set_value(other)
    check(compiled.with_data(numbers=other), model)
    # What the draws are called back to is what PyMC calls them.
    x = np.random.default_rng(3).normal(size=(2, 3, compiled.n_dim))
    names = [str(v.name) for v in (*model.free_RVs, *model.deterministics)]
    found = compiled.with_data(numbers=other).expand(x, names)
    value_names = [str(model.rvs_to_values[rv].name) for rv in model.free_RVs]
    program = model.compile_fn(
        model.replace_rvs_by_values([*model.free_RVs, *model.deterministics]), mode=plain(), point_fn=True
    )
    for chain, draw in np.ndindex(2, 3):
        parts = [x[chain, draw, s.start : s.stop].reshape(s.shape) for s in compiled.layout.segments]
        expected = program(dict(zip(value_names, parts, strict=True)))
        for name, value in zip(names, expected, strict=True):
            assert_allclose(found[name].values[chain, draw], value, rtol=1e-12, err_msg=name)


def test_a_program_that_starts_elsewhere_has_the_same_posterior(compiled: Any) -> None:
    rng = np.random.default_rng(5)
    draws = rng.normal(2.0, 3.0, size=(2, 40, compiled.n_dim))
    kept = compiled.layout.kept(draws, seed=1)
    moved = compiled.start_at(kept)
    flat = draws.reshape(-1, compiled.n_dim)
    z = rng.normal(size=compiled.n_dim)
    x = flat.mean(axis=0) + flat.std(axis=0) * z
    assert_allclose(moved.unconstrained(z), x, rtol=1e-5)
    code, value, gradient = by_callback(moved, z)
    expected, slope = by_callback(compiled, moved.unconstrained(z))[1:]
    assert (code, value) == (0, pytest.approx(expected, rel=1e-12))
    assert_allclose(gradient, flat.std(axis=0) * slope, rtol=1e-5)
    # Chains start at draws, not around them.
    first = moved.unconstrained(moved.sampler.initial_point_func(7))
    assert np.abs(flat - first).max(axis=1).min() < 1e-5
    other = moved.with_data(rows_y=MORE[0], rows_item=MORE[1])
    assert_allclose(other.unconstrained(z), moved.unconstrained(z))


def test_what_a_fit_left_is_found_again_by_its_labels(compiled: Any) -> None:
    """Another order, a label less and one more: that takes the average of the others."""
    with pm.Model(coords={"group": ["b", "new", "a"], "time": range(2)}, check_bounds=False) as model:
        pm.Beta("phi", 4, 2, dims="group")
        pm.Normal("step_innovation", 0.0, 1.0, dims=("group", "time"))
        pm.Normal("unheard_of", 0.0, 1.0)
    layout = Layout(model)
    draws = np.random.default_rng(6).normal(size=(1, 50, compiled.n_dim))
    kept = compiled.layout.kept(draws, seed=1)
    position, scale, starts = layout.found_again(kept)
    mean = {
        s.name: draws[0, :, s.start : s.stop].mean(axis=0).reshape(s.shape) for s in compiled.layout.segments
    }
    spread = {
        s.name: draws[0, :, s.start : s.stop].std(axis=0).reshape(s.shape) for s in compiled.layout.segments
    }
    phi = mean["phi"]
    assert_allclose(position[:3], [phi[1], phi.mean(), phi[0]], rtol=1e-5)
    steps = mean["step_innovation"]
    expected = np.stack([steps[1, :2], np.full(2, steps.mean()), steps[0, :2]])
    assert_allclose(position[3:9], expected.ravel(), rtol=1e-4, atol=1e-6)
    assert_allclose(scale[[3, 4, 7, 8]], spread["step_innovation"][[1, 1, 0, 0], [0, 1, 0, 1]], rtol=1e-5)
    assert (position[9], scale[9]) == (0.0, 1.0)
    assert starts.shape == (32, 10)
    assert np.abs(draws[0, :, 1][:, None] - starts[:, 0]).min(axis=0).max() < 1e-6


def test_data_that_the_model_does_not_have_are_refused(compiled: Any) -> None:
    with pytest.raises(KeyError, match="no data named rows_z"):
        compiled.with_data(rows_z=MORE[0])


def test_other_data_of_another_length_need_no_new_program(compiled: Any) -> None:
    check(compiled.with_data(rows_y=MORE[0], rows_item=MORE[1]), small_model(*MORE))
    # The first one still has its own data.
    check(compiled, small_model(*FEW))


def test_a_density_that_is_not_finite_is_reported(compiled: Any) -> None:
    x = np.zeros(compiled.n_dim)
    x[-1] = np.nan
    assert by_callback(compiled, x)[0] in (3, 4)


def test_draws_come_back_on_the_scale_of_the_model_under_its_labels(compiled: Any) -> None:
    trace = sample(compiled, Settings(tune=100, draws=50, chains=2, cores=1), seed=1)
    posterior = trace["posterior"].to_dataset()
    assert set(posterior.data_vars) == {"phi", "scale", "path"}
    assert posterior["phi"].dims == ("chain", "draw", "group")
    assert posterior["path"]["group"].values.tolist() == ["a", "b"]
    assert ((posterior["phi"] > 0) & (posterior["phi"] < 1)).all()
    assert (posterior["scale"] > 0).all()
    assert posterior["path"].shape == (2, 50, 2, 4)


def test_same_seed_same_draws(compiled: Any) -> None:
    settings = Settings(tune=60, draws=20, chains=2, cores=1)
    first, again, other = (
        sample(compiled, settings, seed)["posterior"].to_dataset()["path"].values for seed in (1, 1, 2)
    )
    # nutpie adds up vectors in an order that depends on where they lie in memory: the last digits may differ.
    assert_allclose(first, again, atol=1e-4)
    assert not np.allclose(first, other, atol=1e-2)


def test_data_other_than_vectors_are_refused() -> None:
    with pm.Model() as model:
        table = pm.Data("table", np.ones((2, 2)))
        x = pm.Normal("x")
        pm.Potential("p", -((x - table) ** 2).sum())
    with pytest.raises(ValueError, match="must be vectors"):
        compile_model(model)


COLD = """
from test_compile import FEW, small_model
from escalation_forecast.compile import compile_model

compile_model(small_model(*FEW))
"""


PIECES = """
from pathlib import Path

from pytensor.link.numba.cache import NUMBA_CACHE_PATH
from test_compile import FEW, small_model
import escalation_forecast.compile as program

def kept():
    return {file.name for file in NUMBA_CACHE_PATH.glob("*.nbc")}

def one_after_the_other(works, meanwhile):
    whole, pieces = works
    pieces()
    found = kept()
    whole()
    print("LEFT", *sorted(kept() - found))
    print("NODES", len(found))

program._apart = one_after_the_other
program.compile_model(small_model(*FEW))
"""


def elsewhere(code: str, compiledir: Path) -> str:
    """What a process says that has nothing compiled."""
    environment = os.environ | {
        "PYTENSOR_FLAGS": f"base_compiledir={compiledir}",
        "NUMBA_DEBUG_CACHE": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_first_process_runs_the_program_from_disk_like_all_later_ones(tmp_path: Path) -> None:
    """What is compiled in place differs in the last digit from what is loaded, and so would the draws."""
    said = elsewhere(COLD, tmp_path)
    loaded = [line for line in said.splitlines() if "data loaded" in line and "_by_address" in line]
    assert len(loaded) == 1


def test_pieces_compiled_beside_a_program_are_those_that_it_needs(tmp_path: Path) -> None:
    lines = elsewhere(PIECES, tmp_path).splitlines()
    (left,) = [line.split()[1:] for line in lines if line.startswith("LEFT")]
    (nodes,) = [int(line.split()[1]) for line in lines if line.startswith("NODES")]
    assert nodes > 20
    assert len(left) == 1
    assert "_by_address" in left[0]
