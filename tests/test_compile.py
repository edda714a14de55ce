"""The compiled callbacks against PyMC's own density, gradient and transforms, also with other data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
from numpy.testing import assert_allclose

from escalation_forecast.compile import compile_model
from escalation_forecast.fit import Settings, sample
from escalation_forecast.kernels import ar_filter, student_t_rows
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
        pm.Potential("readings", student_t_rows(error, scale, 5.0).sum())
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
    data = compiled.user_data
    code = compiled.compiled_logp_func.ctypes(
        len(x), _pointer(x), _pointer(gradient), _pointer(value), data.ctypes.data
    )
    return int(code), float(value[0]), gradient


def _pointer(array: np.ndarray) -> Any:
    import ctypes

    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


def test_density_and_gradient_are_pymcs(compiled: Any) -> None:
    model = small_model(*FEW)
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = rng.normal(size=compiled.n_dim)
        code, value, gradient = by_callback(compiled, x)
        expected, slope = by_pymc(model, x)
        assert code == 0
        assert_allclose(value, expected, rtol=1e-10)
        assert_allclose(gradient, slope, rtol=1e-8, atol=1e-10)


def test_other_data_of_another_length_need_no_new_program(compiled: Any) -> None:
    other = compiled.with_data(rows_y=MORE[0], rows_item=MORE[1])
    x = np.random.default_rng(2).normal(size=compiled.n_dim)
    code, value, gradient = by_callback(other, x)
    expected, slope = by_pymc(small_model(*MORE), x)
    assert code == 0
    assert_allclose(value, expected, rtol=1e-10)
    assert_allclose(gradient, slope, rtol=1e-8, atol=1e-10)
    # The first one still has its own data.
    assert_allclose(by_callback(compiled, x)[1], by_pymc(small_model(*FEW), x)[0], rtol=1e-10)


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
    assert_allclose(first, again)
    assert not np.allclose(first, other)


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


def test_the_first_process_runs_the_program_from_disk_like_all_later_ones(tmp_path: Path) -> None:
    """What is compiled in place differs in the last digit from what is loaded, and so would the draws."""
    environment = os.environ | {
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path}",
        "NUMBA_DEBUG_CACHE": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    said = subprocess.run(
        [sys.executable, "-c", COLD], env=environment, capture_output=True, text=True, check=True
    ).stdout
    loaded = [line for line in said.splitlines() if "data loaded" in line and "_by_address" in line]
    assert len(loaded) == 2  # the density and the expansion
