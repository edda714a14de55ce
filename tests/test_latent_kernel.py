"""The paths of the latents against the graph of the same equations, and gradients against PyTensor's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from pytensor.compile.mode import Mode

from escalation_forecast.kernels import ar_filter
from escalation_forecast.latent_kernel import FREE, flat_latents, latent_paths
from prior_fit import plain

YEARS, THEATRES, CENTRED = 5, 5, 40
MONTHS = 12 * YEARS
TARGET, SOURCE = [0, 1, 2], [4, 3, 1]


def inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [
        rng.standard_t(5, size=(THEATRES + 1, MONTHS)),
        rng.uniform(0.5, 0.98, THEATRES + 1),
        rng.uniform(0.05, 0.9, THEATRES),
        rng.gamma(4.0, 0.3, THEATRES),
        rng.normal(size=(THEATRES, YEARS + 1)),
        np.asarray(0.3),
        rng.uniform(0.05, 0.3, 3),
    ]


def graph(z: Any, phi: Any, share: Any, scale: Any, steps: Any, slow_step: Any, spillover: Any) -> list[Any]:
    """The same, an equation at a time."""
    stationary = pt.sqrt(1.0 - phi**2)[:, None] * z
    path = ar_filter(pt.concatenate([z[:, :1], stationary[:, 1:]], axis=1), phi)
    fast = pt.sqrt(share)[:, None] * path[-1][None, :] + pt.sqrt(1.0 - share)[:, None] * path[:-1]
    knots = slow_step * pt.cumsum(steps, axis=1)
    left, weight = np.arange(MONTHS) // 12, np.arange(MONTHS) % 12 / 12.0
    level = knots[:, left] * (1.0 - weight) + knots[:, left + 1] * weight
    theatre = scale[:, None] * fast + level
    rows = [theatre[k] for k in range(THEATRES)]
    for k, (to, at) in enumerate(zip(TARGET, SOURCE, strict=True)):
        lagged = pt.concatenate([rows[at][:1], rows[at][:-1]])
        rows[to] = rows[to] + spillover[k] * lagged
    latents = pt.stack([*rows, path[-1]])
    centre = latents[:, :CENTRED].mean(axis=1)
    eta = latents - centre[:, None]
    yearly = eta.reshape((THEATRES + 1, YEARS, 12)).mean(axis=2)
    padded = pt.concatenate([yearly[:, :1]] * 3 + [yearly], axis=1)
    before = (padded[:, :YEARS] + padded[:, 1 : YEARS + 1] + padded[:, 2 : YEARS + 2]) / 3.0
    flat = pt.concatenate([eta.ravel(), yearly.ravel(), before.ravel()])
    return [flat, path, centre, path[:, -1], knots[:, -1]]


@pytest.mark.parametrize(
    "mode", [pytest.param(plain(), id="python"), pytest.param(Mode("numba"), id="numba")]
)
def test_values_and_gradients_are_those_of_the_graph(mode: Mode) -> None:
    values = inputs()
    symbols = [pt.as_tensor_variable(value).type() for value in values]
    eta, *others = latent_paths(*symbols, np.array(TARGET), np.array(SOURCE), CENTRED)
    fused = [flat_latents(eta), *others]
    direct = graph(*symbols)
    weight = pt.constant(np.random.default_rng(2).normal(size=(THEATRES + 1) * (MONTHS + 2 * YEARS)))
    found = []
    for outputs, way in ((fused, mode), (direct, plain())):
        loss = (weight * outputs[0] ** 2).sum()
        gradients = pytensor.gradient.grad(loss, symbols)
        found.append(pytensor.function(symbols, [*outputs, *gradients], mode=way)(*values))
    assert len(found[0]) == 5 + FREE
    for one, other in zip(*found, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_only_what_the_observations_read_is_differentiated() -> None:
    values = [pt.as_tensor_variable(value) for value in inputs()]
    z = values[0].type()
    outputs = latent_paths(z, *values[1:], np.array(TARGET), np.array(SOURCE), CENTRED)
    with pytest.raises(pytensor.gradient.DisconnectedInputError):
        pytensor.gradient.grad(outputs[2].sum(), z)
