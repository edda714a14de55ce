"""The parts of a log density with its gradient, one block of the model at a time, as machine code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

from benchmarks.references.density import random_points
from benchmarks.setting import Setting
from escalation_forecast.program import shown

BLOCKS = ("readings", "counts", "shares", "ladder", "hurdle", "stocks", "spending")
NUMBER = 20


@pytest.fixture(scope="session")
def setting() -> Setting:
    return Setting()


@pytest.fixture(scope="session")
def point(setting: Setting) -> np.ndarray:
    return random_points(setting.layout, 3)[0]


def _potentials(setting: Setting, block: str) -> list[Any]:
    """Of spending there may be several."""
    known = {str(potential.name): potential for potential in setting.model.potentials}
    others = set(known) - set(BLOCKS)
    return [known[block]] if block in known else [known[name] for name in sorted(others)]


def _compiled(setting: Setting, outputs: list[Any], by: list[Any]) -> Any:
    """The sum of some parts with its gradient, from the values of PyMC's variables."""
    model: pm.Model = setting.model
    values = model.replace_rvs_by_values(outputs)
    total = pt.add(*[value.sum() for value in values]) if len(values) > 1 else values[0].sum()
    inputs = [model.rvs_to_values[v] for v in model.free_RVs]
    slopes = pytensor.grad(total, [model.rvs_to_values[v] for v in by], disconnected_inputs="ignore")
    function = pytensor.function(inputs, [total, *slopes], mode="NUMBA", on_unused_input="ignore")
    function.trust_input = True
    return function


def _values(setting: Setting, point: np.ndarray) -> list[np.ndarray]:
    parts = setting.layout.split(point)
    return [np.array(parts[v.name], order="C") for v in setting.model.free_RVs]


@pytest.mark.parametrize("block", BLOCKS)
def test_block(benchmark: Any, setting: Setting, point: np.ndarray, block: str) -> None:
    """A block with the latents that it reads: `test_latents` is part of all but spending's own."""
    found = _potentials(setting, block)
    free = list(setting.model.free_RVs)
    function = _compiled(setting, found, free)
    values = _values(setting, point)
    result = benchmark.pedantic(lambda: function(*values), rounds=40, iterations=NUMBER, warmup_rounds=2)
    assert np.isfinite(result[0])


def test_latents(benchmark: Any, setting: Setting, point: np.ndarray) -> None:
    """From innovations to latents and back."""
    model = setting.model
    eta = model["eta"]
    weights = np.random.default_rng(0).standard_normal(
        tuple(len(model.coords[d]) for d in ("latent", "month"))
    )
    function = _compiled(setting, [eta * weights], list(model.free_RVs))
    values = _values(setting, point)
    benchmark.pedantic(lambda: function(*values), rounds=40, iterations=NUMBER, warmup_rounds=2)


def test_whole_gradient(benchmark: Any, setting: Setting, point: np.ndarray) -> None:
    """All of it, as the sampler calls it."""
    density = setting.program.density
    value, slope = benchmark.pedantic(lambda: density(point), rounds=60, iterations=50, warmup_rounds=2)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_no_block(benchmark: Any, setting: Setting, point: np.ndarray) -> None:
    """What calling a compiled function from Python costs: to be taken off the blocks."""
    inputs = [setting.model.rvs_to_values[v] for v in setting.model.free_RVs]
    function = pytensor.function(
        inputs, [v.sum() for v in inputs[:1]], mode="NUMBA", on_unused_input="ignore"
    )
    function.trust_input = True
    values = _values(setting, point)
    benchmark.pedantic(lambda: function(*values), rounds=40, iterations=NUMBER, warmup_rounds=2)


def test_expand(benchmark: Any, setting: Setting) -> None:
    """What the model names, from 100 draws."""
    program = setting.program
    kept = shown(setting.model)
    vectors = 0.1 * np.random.default_rng(0).standard_normal((1, 100, program.n_dim))
    found = benchmark.pedantic(lambda: program.expand(vectors, kept), rounds=3, iterations=1, warmup_rounds=1)
    assert found.sizes["draw"] == 100
