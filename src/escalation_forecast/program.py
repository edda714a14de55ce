"""A PyMC model as a function of one vector, and back from that vector to what the model names.

Priors that act on each element by itself, which are all but a few, go through one kernel
(`prior_kernel`), whose table of families and vector of numbers are data. Whatever else the model has goes
through the graphs that PyMC and PyTensor derive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pymc.distributions import transforms
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.basic import get_underlying_scalar_constant_value
from pytensor.tensor.exceptions import NotScalarConstantError
from pytensor.tensor.random import basic as families

from escalation_forecast import partial_centring as centring
from escalation_forecast import prior_kernel as kernel
from escalation_forecast.partial_centring import placed, placed_adjoint
from escalation_forecast.prior_kernel import elementwise_priors

# What the program itself adds to the data of a model.
POSITION: Final = "program_position"
SCALE: Final = "program_scale"
CENTRED: Final = "program_centred"
CENTRED_NUMBERS: Final = "program_centred_numbers"
TABLE: Final = "program_table"
NUMBERS: Final = "program_numbers"

# What sampling moves in place of the quantities of interest.
INNOVATIONS: Final = "innovation"
AT_A_TIME: Final = 8  # vectors that one piece of the program joins
CHUNK: Final = 250  # draws that are expanded at a time
START_DRAWS: Final = 32  # that a run keeps for the next one to start from
LEAST_SCALE: Final = 1e-3

# Family: its law, the transform that PyMC gives it, and which of its parameters are the numbers.
_LAWS: Final = (
    (families.NormalRV, kernel.NORMAL, None, (0, 1)),
    (families.StudentTRV, kernel.STUDENT_T, None, (1, 2, 0)),
    (families.LogNormalRV, kernel.LOG_NORMAL, transforms.LogTransform, (0, 1)),
    (families.GammaRV, kernel.GAMMA, transforms.LogTransform, (0, 1)),
    (families.ExponentialRV, kernel.GAMMA, transforms.LogTransform, (None, 0)),
    (families.HalfNormalRV, kernel.HALF_NORMAL, transforms.LogTransform, (1,)),
    (families.BetaRV, kernel.BETA, transforms.LogOddsTransform, (0, 1)),
)


@dataclass(frozen=True)
class Segment:
    """Where a random variable stands in the vector, and what the kernel knows of it."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    law: int
    numbers: tuple[Any, ...]  # graphs of what the law needs


def segments_of(model: pm.Model) -> list[Segment]:
    """The free variables of a model in order."""
    general = _general(model)
    found, start = [], 0
    for rv in model.free_RVs:
        shape = _shape(model, rv)
        stop = start + int(np.prod(shape))
        law, numbers = (kernel.FREE, ()) if rv in general else _law(model, rv)
        found.append(Segment(str(rv.name), start, stop, shape, law, numbers))
        start = stop
    return found


def _shape(model: pm.Model, rv: Any) -> tuple[int, ...]:
    dims = model.named_vars_to_dims.get(rv.name)
    if dims is not None and all(model.coords.get(dim) is not None for dim in dims):
        return tuple(len(model.coords[dim]) for dim in dims)
    return tuple(int(n) for n in rv.shape.eval())


def _law(model: pm.Model, rv: Any) -> tuple[int, tuple[Any, ...]]:
    """A law of the kernel with its numbers; ``FREE`` if there is none."""
    transform, given = model.rvs_to_transforms[rv], rv.owner.inputs[2:]
    for family, law, usual, which in _LAWS:
        if not isinstance(rv.owner.op, family):
            continue
        fits = transform is None if usual is None else type(transform) is usual
        # A half normal law that starts elsewhere is not in the table.
        if fits and (law != kernel.HALF_NORMAL or _is_zero(given[0])):
            return law, tuple(pt.constant(1.0) if k is None else given[k] for k in which)
    return kernel.FREE, ()


def _is_zero(variable: Any) -> bool:
    try:
        return float(get_underlying_scalar_constant_value(variable)) == 0.0
    except NotScalarConstantError:
        return False


def _general(model: pm.Model) -> set[Any]:
    """Variables whose density is left to PyMC: of another family, and all that those depend on."""
    free = set(model.free_RVs)
    found = {rv for rv in model.free_RVs if _law(model, rv)[0] == kernel.FREE}
    for rv in model.free_RVs:
        above = free & (set(ancestors(rv.owner.inputs)) - {rv})
        if above:
            found |= above | {rv}
    for rv in model.observed_RVs:
        found |= free & set(ancestors([rv]))
    return found


def shown(model: pm.Model) -> list[str]:
    """Free variables and deterministics that a fit keeps: all but the innovations behind paths."""
    return [str(v.name) for v in model.unobserved_RVs if not str(v.name).endswith(INNOVATIONS)]


class Layout:
    """How the vector of a model is made up, with the data behind it.

    Parameters
    ----------
    model : pymc.Model
        Its data must be vectors.

    Attributes
    ----------
    segments : one for each free variable, in the order of the model.
    size : length of the vector.
    table : of `prior_kernel`.
    centred, centred_numbers : of `partial_centring`, for what the model wants centred in part.
    """

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self.segments = segments_of(model)
        self.size = self.segments[-1].stop if self.segments else 0
        self.data = {str(v.name): v for v in model.data_vars if isinstance(v, SharedVariable)}
        rows: list[int] = []
        outputs, place = [], 0
        for segment in self.segments:
            row = [segment.start, segment.stop, segment.law]
            for graph in segment.numbers:
                single = all(graph.type.broadcastable) or graph.type.ndim == 0
                length = 1 if single else segment.stop - segment.start
                row += [place, 0 if single else 1]
                outputs.append(_flat(graph, 1 if single else segment.shape))
                place += length
            rows += [*row, *[0] * (kernel.COLUMNS - len(row))][: kernel.COLUMNS]
        self.table = np.array(rows, np.int64)
        self.centred, self.centred_numbers = self._centred()
        self._number_inputs = [v for v in self.data.values() if v in set(ancestors(outputs))]
        self._numbers = _plain(self._number_inputs, [pt.concatenate([*outputs, pt.ones(1)])])

    def _centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Where what the model wants centred in part stands; a persistence of another law leaves it out."""
        by_name = {segment.name: segment for segment in self.segments}
        rows, numbers = [], []
        for how in centring.centred_in_part(self.model):
            innovations, persistence = (by_name.get(name) for name, _ in (how.innovations, how.persistence))
            if innovations is None or persistence is None or persistence.law != kernel.BETA:
                continue
            if innovations.law not in (kernel.NORMAL, kernel.STUDENT_T):
                continue
            length = innovations.shape[-1]
            first = innovations.start + length * how.innovations[1]
            rows += [first + 1, first + length, persistence.start + how.persistence[1]]
            numbers += [how.reference, how.memory]
        return np.array(rows, np.int64), np.array(numbers, float)

    def numbers(self, data: dict[str, np.ndarray]) -> np.ndarray:
        """The numbers of the priors as the data have them."""
        (found,) = self._numbers(*[data[str(v.name)] for v in self._number_inputs])
        return np.asarray(found, float)

    def density(self) -> tuple[Any, Any, list[Any]]:
        """Log density and gradient as graphs, with the vector and the added data that they are of.

        Returns
        -------
        value : ()
        gradient : (size,), by the vector
        inputs : the vector, and shared variables `POSITION`, `SCALE`, `CENTRED`, `CENTRED_NUMBERS`, `TABLE`,
            `NUMBERS`
        """
        model = self.model
        given, replaced, values = [], {}, {}
        for rv, segment in zip(model.free_RVs, self.segments, strict=True):
            stands = rv.type(name=segment.name)
            given.append(stands)
            if segment.law == kernel.FREE:
                values[model.rvs_to_values[rv]] = stands
                transform = model.rvs_to_transforms[rv]
                back = stands if transform is None else transform.backward(stands, *rv.owner.inputs)
                replaced[rv] = back
            else:
                replaced[rv] = stands
        replaced = _closed(replaced)
        terms = [potential.sum() for potential in model.potentials]
        rest: Any = pt.sum(graph_replace(terms, replaced, strict=False)) if terms else pt.constant(0.0)
        general = [rv for rv, s in zip(model.free_RVs, self.segments, strict=True) if s.law == kernel.FREE]
        if general or model.observed_RVs:
            others = model.logp(vars=[*general, *model.observed_RVs])
            rest = rest + graph_replace(others, values, strict=False)
        rewrites = ["canonicalize", "stabilize"]
        if not model.check_bounds:
            rewrites.append("local_remove_check_parameter")
        rest = rewrite_graph(rest, include=rewrites)
        slopes = pt.grad(rest, given, disconnected_inputs="ignore")

        z = pt.TensorType("float64", shape=(self.size,))("vector")
        place = [
            pytensor.shared(np.zeros(self.size), POSITION),
            pytensor.shared(np.ones(self.size), SCALE),
            pytensor.shared(self.centred, CENTRED),
            pytensor.shared(self.centred_numbers, CENTRED_NUMBERS),
        ]
        laws = [pytensor.shared(self.table, TABLE), pytensor.shared(np.ones(1), NUMBERS)]
        u, change = placed(z, *place)
        theta, slope, own, own_slope = elementwise_priors(u, *laws)
        by_theta = _joined([one.ravel() for one in slopes])
        pieces = {}
        for stands, segment in zip(given, self.segments, strict=True):
            part = theta[segment.start : segment.stop]
            pieces[stands] = part.reshape(segment.shape) if segment.shape else part[0]
        found = graph_replace([rest, by_theta], pieces, strict=False)
        gradient = placed_adjoint(z, *place, own_slope + slope * found[1])
        return own + found[0] + change, gradient, [z, *place, *laws]

    def kept(self, x: np.ndarray, seed: int) -> xr.Dataset:
        """What a later fit starts from: mean, standard deviation and a few draws under their labels.

        Parameters
        ----------
        x : (chain, draw, size) unconstrained.
        """
        rows = x.reshape(-1, self.size)
        some = np.random.default_rng(seed).choice(len(rows), min(START_DRAWS, len(rows)), replace=False)
        stored = np.concatenate([[rows.mean(axis=0), rows.std(axis=0)], rows[np.sort(some)]])
        found = {}
        for segment in self.segments:
            dims = self.model.named_vars_to_dims.get(segment.name) or ()
            values = stored[:, segment.start : segment.stop].reshape(-1, *segment.shape)
            if dims:
                labels = {dim: np.asarray(self.model.coords[dim]) for dim in dims}
                found[segment.name] = xr.DataArray(values, labels, dims=("row", *dims))
            elif not segment.shape:
                found[segment.name] = xr.DataArray(values, dims="row")
        return xr.Dataset(found).astype(np.float32)

    def found_again(self, kept: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, scale (size,) and draws (draw, size) of another fit for the labels of this model.

        What it did not have takes the average over the labels of its variable, or zero and one.
        """
        n = kept.sizes["row"]
        rows = np.zeros((n, self.size))
        rows[1] = 1.0
        for segment in self.segments:
            if segment.name not in kept:
                continue
            old = kept[segment.name]
            dims = self.model.named_vars_to_dims.get(segment.name) or ()
            if set(old.dims) - {"row"} != set(dims):
                continue
            labels = {dim: np.asarray(self.model.coords[dim]) for dim in dims}
            new = old.reindex(labels) if labels else old
            filled = new.fillna(old.mean([dim for dim in old.dims if dim != "row"])) if labels else new
            values = filled.transpose("row", *dims).values
            rows[:, segment.start : segment.stop] = values.reshape(n, -1)
        return rows[0], np.maximum(rows[1], LEAST_SCALE), rows[2:]


def _joined(parts: Sequence[Any]) -> Any:
    """Vectors one after the other, a few at a time: a piece of many arguments takes seconds to compile."""
    while len(parts) > 1:
        parts = [pt.concatenate(parts[k : k + AT_A_TIME]) for k in range(0, len(parts), AT_A_TIME)]
    return parts[0] if parts else pt.zeros(0)


def _flat(graph: Any, shape: Any) -> Any:
    if shape == 1:
        return graph.ravel()
    return pt.broadcast_to(graph, shape).ravel()


def _closed(replaced: dict[Any, Any]) -> dict[Any, Any]:
    """Replacements that do not lead back to what is replaced."""
    plain = {rv: new for rv, new in replaced.items() if not set(replaced) & set(ancestors([new]))}
    if len(plain) == len(replaced):
        return replaced
    rest = {rv: new for rv, new in replaced.items() if rv not in plain}
    new = graph_replace(list(rest.values()), plain, strict=False)
    return plain | _closed(dict(zip(rest, new, strict=True)))


def _plain(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Runs graphs as they are, in Python: few and large arrays, or once only."""
    given = [variable.type() for variable in inputs]
    graphs = graph_replace(list(outputs), dict(zip(inputs, given, strict=True)), strict=False)
    return pytensor.function(
        given, graphs, mode=Mode(linker="py", optimizer=None), on_unused_input="ignore", trust_input=True
    )


class Expansion:
    """From vectors that the sampler drew to what the model names.

    Parameters
    ----------
    layout : Layout
    names : free variables and deterministics wanted.
    """

    def __init__(self, layout: Layout, names: Sequence[str]) -> None:
        model, self.layout, self.names = layout.model, layout, tuple(names)
        stands = [rv.type(name=str(rv.name)) for rv in model.free_RVs]
        replaced = {}
        for rv, one, segment in zip(model.free_RVs, stands, layout.segments, strict=True):
            transform = model.rvs_to_transforms[rv] if segment.law == kernel.FREE else None
            replaced[rv] = one if transform is None else transform.backward(one, *rv.owner.inputs)
        replaced = _closed(replaced)
        by_name = {str(rv.name): replaced[rv] for rv in model.free_RVs}
        ours = [v for v in model.deterministics if str(v.name) in self.names]
        graphs = graph_replace([v.owner.inputs[0] if v.owner else v for v in ours], replaced, strict=False)
        by_name |= dict(zip([str(v.name) for v in ours], graphs, strict=True))
        self._data = list(layout.data.values())
        many = [pt.TensorType("float64", shape=(None,) * (one.type.ndim + 1))() for one in stands]
        given = [variable.type() for variable in self._data]
        wanted = graph_replace(
            [by_name[name] for name in self.names], dict(zip(self._data, given, strict=True)), strict=False
        )
        batched = vectorize_graph(wanted, dict(zip(stands, many, strict=True)))
        # What no variable moves is the same in all draws, and has no such dimension.
        self._still = [new.type.ndim == old.type.ndim for new, old in zip(batched, wanted, strict=True)]
        self._run = pytensor.function(
            [*many, *given], batched, mode=Mode(linker="py", optimizer=None), on_unused_input="ignore"
        )

    def __call__(self, x: np.ndarray, data: dict[str, np.ndarray]) -> xr.Dataset:
        """Values by name.

        Parameters
        ----------
        x : (chain, draw, size) unconstrained, as PyMC has it.
        data : of the model, by name.
        """
        model, layout = self.layout.model, self.layout
        chains, draws = x.shape[:2]
        rows = x.reshape(chains * draws, layout.size)
        given = [data[str(variable.name)] for variable in self._data]
        parts: list[list[np.ndarray]] = []
        for first in range(0, len(rows), CHUNK):
            theta = kernel.constrained(rows[first : first + CHUNK], layout.table)
            pieces = [theta[:, s.start : s.stop].reshape(-1, *s.shape) for s in layout.segments]
            n = len(theta)
            parts.append(
                [
                    np.broadcast_to(value, (n, *np.shape(value))) if still else np.asarray(value)
                    for value, still in zip(self._run(*pieces, *given), self._still, strict=True)
                ]
            )
        index = {"chain": np.arange(chains), "draw": np.arange(draws)}
        found = {}
        for k, name in enumerate(self.names):
            values = np.concatenate([part[k] for part in parts])
            shape = values.shape[1:]
            dims = model.named_vars_to_dims.get(name) or [f"{name}_dim_{j}" for j in range(len(shape))]
            coords = {
                dim: np.arange(size) if model.coords.get(dim) is None else np.asarray(model.coords[dim])
                for dim, size in zip(dims, shape, strict=True)
            }
            found[name] = xr.DataArray(
                values.reshape(chains, draws, *shape), index | coords, dims=(*index, *coords)
            )
        return xr.Dataset(found)
