"""One prior: its families, its checks, and how the labels of its dims relate."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from escalation_forecast.elicited import Elicited
from escalation_forecast.pooling import check_pooling
from escalation_forecast.schema import STATES, THEATRES, DataError

type Parameter = float | tuple[float, ...] | dict[str, float] | dict[str, tuple[float, ...]]

INF: Final = math.inf
# Family -> parameter -> whether it must be above zero for the density to be normalised.
FAMILIES: Final[dict[str, dict[str, bool]]] = {
    "Normal": {"mu": False, "sigma": True},
    "LogNormal": {"mu": False, "sigma": True},
    "HalfNormal": {"sigma": True},
    "Beta": {"alpha": True, "beta": True},
    "Gamma": {"alpha": True, "beta": True},
    "StudentT": {"nu": True, "mu": False, "sigma": True},
    "Exponential": {"lam": True},
    "Uniform": {"lower": False, "upper": False},
    "Dirichlet": {"a": True},
    "Fixed": {"value": False},
}
FAMILY_SUPPORT: Final[dict[str, str]] = {
    "Beta": "unit",
    "LogNormal": "positive",
    "HalfNormal": "positive",
    "Gamma": "positive",
    "Exponential": "positive",
    "Dirichlet": "simplex",
}
KNOWN_LABELS: Final[dict[str, tuple[str, ...]]] = {"theatre": THEATRES, "state": STATES}
OTHERS: Final = "*"
"""In a table over a dim whose labels only the data know: all that the table does not name."""


@dataclass(frozen=True)
class PriorSpec:
    """One prior.

    Attributes
    ----------
    name, family
        Name in the model and one of ``FAMILIES``; ``Fixed`` is a constant.
    parameters
        By the names of PyMC; label tables are in the order of their dim.
    dims
        Names of the dims of the variable, outermost first.
    reason, source
        Why this prior, and where it comes from.
    support
        ``real``, ``positive``, ``unit``, ``simplex`` or ``interval(lo,hi)``: what the model
        can take, so an override may not leave it.
    labels
        Labels of those dims that are known without a model.
    pooling, spread
        How the labels relate, one of `pooling.POOLINGS`, and the sd of partial pooling.
    elicited
        What people said that the parameters come from, in the order in which it was said.
    """

    name: str
    family: str
    parameters: Mapping[str, Parameter]
    dims: tuple[str, ...]
    reason: str
    source: str
    support: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    pooling: str = "none"
    spread: float = 0.0
    elicited: tuple[Elicited, ...] = ()

    @property
    def text(self) -> str:
        """Such as ``Beta(alpha=18, beta=2)``."""
        inside = ", ".join(f"{k}={_show(v)}" for k, v in self.parameters.items())
        pooled = {"complete": ", one value for all", "partial": f", alike within {self.spread:g}"}
        return f"{self.family}({inside}){pooled.get(self.pooling, '')}"

    @property
    def by_label(self) -> bool:
        """Whether a parameter differs between labels."""
        return any(isinstance(value, dict) for value in self.parameters.values())

    def at(self, label: str = "") -> dict[str, float]:
        """The parameters at a label; single numbers hold for all of them.

        Raises
        ------
        DataError
            When the prior has numbers by label and not for this one.
        """
        found: dict[str, float] = {}
        for key, value in self.parameters.items():
            number = value.get(label, value.get(OTHERS)) if isinstance(value, dict) else value
            if not isinstance(number, float):
                known = value if isinstance(value, dict) else ()
                raise DataError(
                    f"Prior '{self.name}': {key} has no single number for '{label}'; {nearest(label, known)}."
                )
            found[key] = number
        return found

    def array(self, parameter: str, coords: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
        """Value of a parameter, shaped to broadcast over ``dims``.

        Parameters
        ----------
        coords
            Order of the labels per dim, as in the model; by default the order in the file.
        """
        value = self.parameters[parameter]
        if isinstance(value, float):
            return np.asarray(value)
        if isinstance(value, tuple):
            return _spread(np.asarray(value), self.dims, len(self.dims) - 1)
        dim, order = self._dim_of(value, coords or {})
        if OTHERS not in value and (missing := [label for label in order if label not in value]):
            raise DataError(
                f"Prior '{self.name}': {parameter} has no value for '{missing[0]}' of dim '{dim}'; add it."
            )
        table = np.asarray([value.get(label, value.get(OTHERS)) for label in order])
        return table if table.ndim > 1 else _spread(table, self.dims, self.dims.index(dim))

    def _dim_of(
        self, table: Mapping[str, Any], coords: Mapping[str, Sequence[str]]
    ) -> tuple[str, tuple[str, ...]]:
        """Dim that a label table runs over, and the labels wanted in order."""
        known = [d for d in self.dims if set(self.labels.get(d, ())) == set(table)]
        in_model = [d for d in self.dims if d in coords and set(coords[d]) <= set(table)]
        dim = (known or in_model or self.dims)[0]
        return dim, tuple(coords[dim]) if dim in coords else tuple(table)

    def __str__(self) -> str:
        return f"{self.name} ~ {self.text}"


@dataclass(frozen=True)
class Constant:
    """A parameter held fixed; takes the place of a ``pymc_extras.prior.Prior``."""

    value: np.ndarray
    dims: tuple[str, ...]

    def create_variable(self, name: str) -> Any:
        """A deterministic variable of the model that is open, with the prior's dims."""
        import pymc as pm
        import pytensor.tensor as pt

        shape = [len(pm.modelcontext(None).coords[dim]) for dim in self.dims]
        return pm.Deterministic(name, pt.as_tensor(np.broadcast_to(self.value, shape)), dims=self.dims)


def nearest(name: str, known: Iterable[str]) -> str:
    known = tuple(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"the nearest is '{close[0]}'" if close else f"known are {', '.join(sorted(known))}"


def read_string(value: Any, key: str, at: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{at}: {key} must be text; write it in quotation marks.")
    return value


def read_family(value: Any, at: str) -> str:
    if not isinstance(value, str) or value not in FAMILIES:
        raise DataError(f"{at} has an unknown family {value!r}; choose one of {', '.join(FAMILIES)}.")
    return value


def _number(value: Any, what: str, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise DataError(f"{at}: {what} must be a number, not {value!r}; correct it.")
    if not math.isfinite(value):
        raise DataError(f"{at}: {what} is {value}, so the prior cannot be normalised; give a finite number.")
    return float(value)


def read_parameters(
    raw: Any, family: str, dims: tuple[str, ...], labels: Mapping[str, tuple[str, ...]], at: str
) -> dict[str, Parameter]:
    wanted = FAMILIES[family]
    if not isinstance(raw, Mapping):
        raise DataError(f"{at}: parameters must be a table such as {{ {next(iter(wanted))} = 1 }}.")
    for key in raw:
        if key not in wanted:
            raise DataError(f"{at}: {family} has no parameter '{key}'; it takes {' and '.join(wanted)}.")
    for key in wanted:
        if key not in raw:
            raise DataError(f"{at}: {family} needs the parameter '{key}'; add it.")
    vector = family == "Dirichlet"
    return {key: _parameter(raw[key], key, vector, dims, labels, at) for key in wanted}


def _parameter(
    value: Any, key: str, vector: bool, dims: tuple[str, ...], labels: Mapping[str, tuple[str, ...]], at: str
) -> Parameter:
    """Checked value; a list over a dim with known labels becomes a table, so that both hash alike."""
    if isinstance(value, Mapping):
        _check_labels(value, key, dims, labels, at)
        order = next((labels[d] for d in dims if set(labels.get(d, ())) == set(value)), tuple(value))
        if not vector:
            return {label: _number(value[label], f"{key} of '{label}'", at) for label in order}
        return {label: _vector(value[label], f"{key} of '{label}'", at) for label in order}
    if isinstance(value, list | tuple):
        if vector:
            return _vector(value, key, at)
        fitting = [d for d in dims if len(labels.get(d, ())) == len(value)]
        if not fitting:
            sizes = ", ".join(f"{d} ({len(labels[d]) if d in labels else 'labels unknown'})" for d in dims)
            raise DataError(
                f"{at}: {key} is a list of {len(value)} but the dims are {sizes or 'none'}; "
                "give one number or a number for each label."
            )
        return {
            label: _number(v, f"{key} of '{label}'", at)
            for label, v in zip(labels[fitting[0]], value, strict=True)
        }
    if vector:
        raise DataError(f"{at}: {key} must be a list with one number for each category.")
    return _number(value, key, at)


def _vector(value: Any, what: str, at: str) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise DataError(f"{at}: {what} must be a list of at least two numbers.")
    return tuple(_number(v, what, at) for v in value)


def _check_labels(
    value: Mapping[str, Any], key: str, dims: tuple[str, ...], labels: Mapping[str, tuple[str, ...]], at: str
) -> None:
    if not dims:
        raise DataError(f"{at}: {key} is a table of labels but the prior has no dims; give one number.")
    known = [d for d in dims if d in labels]
    if len(known) < len(dims) or any(set(labels[d]) == set(value) for d in known):
        return
    dim = max(known, key=lambda d: len(set(labels[d]) & set(value)))
    unknown = [label for label in value if label not in labels[dim]]
    if unknown:
        raise DataError(
            f"{at}: {key} has an unknown {dim} '{unknown[0]}'; {nearest(unknown[0], labels[dim])}."
        )
    missing = next(label for label in labels[dim] if label not in value)
    raise DataError(f"{at}: {key} has no value for the {dim} '{missing}'; add it.")


def check_same_labels(new: PriorSpec, old: PriorSpec, at: str) -> None:
    tables = [v for v in old.parameters.values() if isinstance(v, dict) and OTHERS not in v]
    for key, value in new.parameters.items():
        if not isinstance(value, dict) or OTHERS in value:
            continue
        if tables and all(set(value) != set(t) for t in tables):
            label = next(iter(set(value) ^ set(tables[0])))
            raise DataError(
                f"{at}: {key} and the default differ in the label '{label}'; use {', '.join(tables[0])}."
            )


def _flat(value: Parameter) -> np.ndarray:
    return np.ravel(np.asarray(list(value.values()) if isinstance(value, dict) else value, dtype=float))


def check(spec: PriorSpec, at: str) -> None:
    check_pooling(spec.pooling, spec.spread, spec.family, spec.dims, spec.by_label, at)
    for key, above_zero in FAMILIES[spec.family].items():
        worst = float(_flat(spec.parameters[key]).min())
        if above_zero and worst <= 0:
            raise DataError(
                f"{at}: {key} is {worst:g}, so the prior cannot be normalised; give a number above 0."
            )
    low, high = bounds_of(spec.support, at)
    if spec.family == "Uniform":
        lower, upper = spec.array("lower"), spec.array("upper")
        if not np.all(lower < upper):
            raise DataError(f"{at}: lower is not below upper, so the prior cannot be normalised; swap them.")
        inner = (float(lower.min()), float(upper.max()))
    elif spec.family == "Fixed":
        values = _flat(spec.parameters["value"])
        inner = (float(values.min()), float(values.max()))
    else:
        inner = bounds_of(FAMILY_SUPPORT.get(spec.family, "real"), at)
    simplex = spec.support == "simplex"
    if inner[0] < low or inner[1] > high or simplex != (spec.family == "Dirichlet"):
        raise DataError(
            f"{at}: {spec.text} can leave the support '{spec.support}' of this parameter; "
            f"choose a family that stays within it{_suggest(spec.support)}."
        )


def _suggest(support: str) -> str:
    fits = {"unit": "Beta", "positive": "LogNormal, HalfNormal or Gamma", "simplex": "Dirichlet"}
    return f", such as {fits.get(support, 'Uniform or Fixed')}"


def bounds_of(support: str, at: str) -> tuple[float, float]:
    named = {"real": (-INF, INF), "positive": (0.0, INF), "unit": (0.0, 1.0), "simplex": (0.0, 1.0)}
    if support in named:
        return named[support]
    found = re.fullmatch(r"interval\(([^,]+),([^,]+)\)", support.replace(" ", ""))
    try:
        if found and (low := float(found[1])) < (high := float(found[2])):
            return low, high
    except ValueError:
        pass
    raise DataError(
        f"{at} has an unknown support '{support}'; use real, positive, unit, simplex or interval(lo,hi)."
    )


def _spread(values: np.ndarray, dims: tuple[str, ...], axis: int) -> np.ndarray:
    shape = [1] * max(len(dims), 1)
    shape[max(axis, 0)] = len(values)
    return values.reshape(shape)


def label_words(name: str) -> str:
    """A label of a table as people read it."""
    return "others" if name == OTHERS else name


def _show(value: Parameter) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{label_words(k)}={_show(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_show(v) for v in value) + "]"
    return f"{value:.12g}"
