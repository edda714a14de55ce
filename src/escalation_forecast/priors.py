"""Priors as data: read, checked, overridden in part, compared and hashed.

A file has one table per prior::

    [priors.phi]
    family = "Beta"
    parameters = { alpha = 18, beta = 2 }
    dims = ["theatre"]
    reason = "Tension lasts for months"
    source = "Assumption"
    support = "unit"

A parameter is a number, a table from the labels of one dim to numbers, or a list in the
order of that dim. Labels of ``theatre`` and ``state`` are known; a file may name the labels
of further dims in a table ``[dims]``. What history taught stands in a second file of the same
format, with tables ``[provenance.FIT]`` that say where its priors come from.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from escalation_forecast.prior_spec import (
    FAMILY_SUPPORT,
    KNOWN_LABELS,
    Constant,
    PriorSpec,
    by_interval,
    check,
    check_same_labels,
    nearest,
    read_family,
    read_parameters,
    read_string,
)
from escalation_forecast.schema import DataError

__all__ = ["Constant", "PriorSpec", "Priors"]

FILE_KEYS: Final = ("family", "parameters", "dims", "reason", "source", "support")
HISTORY_FILE: Final = "history_priors.toml"
OVERRIDE_KEYS: Final = (*FILE_KEYS, "interval", "mass")


@dataclass(frozen=True)
class Priors(Mapping[str, PriorSpec]):
    """All priors of the model by name."""

    specs: Mapping[str, PriorSpec]
    dim_labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(KNOWN_LABELS))

    @classmethod
    def default(cls) -> Priors:
        """The priors that come with the package, those learned from history among them."""
        from escalation_forecast.store import data_root  # the reader of a file needs no store

        own, history = cls.load(data_root() / "priors.toml"), data_root() / HISTORY_FILE
        # Before the first fit to history there is nothing to read.
        return own.joined(cls.load(history), str(history)) if history.is_file() else own

    @classmethod
    def load(cls, path: Path | str) -> Priors:
        """Read a full file.

        Raises
        ------
        DataError
            One sentence that names the file, the prior and the remedy.
        """
        content, where = _read(Path(path)), str(path)
        labels = {**KNOWN_LABELS, **_read_dims(content.get("dims", {}), where)}
        specs: dict[str, PriorSpec] = {}
        for name, row in _tables(content, where, ("priors", "dims", "provenance")).items():
            at = f"{where}: prior '{name}'"
            _check_keys(row, FILE_KEYS, at)
            for key in ("family", "parameters", "reason", "source"):
                if key not in row:
                    raise DataError(f"{at} has no '{key}'; add it.")
            dims = _read_dim_names(row.get("dims", []), at)
            family = read_family(row["family"], at)
            spec = PriorSpec(
                name=name,
                family=family,
                parameters=read_parameters(row["parameters"], family, dims, labels, at),
                dims=dims,
                reason=read_string(row["reason"], "reason", at),
                source=read_string(row["source"], "source", at),
                support=read_string(row.get("support", FAMILY_SUPPORT.get(family, "real")), "support", at),
                labels={dim: labels[dim] for dim in dims if dim in labels},
            )
            check(spec, at)
            specs[name] = spec
        return cls(specs, labels)

    def joined(self, other: Priors, where: str) -> Priors:
        """These priors and `other`, read from `where`.

        Raises
        ------
        DataError
            When a name stands in both, or a dim has other labels.
        """
        for name in other.specs:
            if name in self.specs:
                raise DataError(f"{where}: prior '{name}' is in priors.toml too; keep it in one file only.")
        for dim, labels in other.dim_labels.items():
            if self.dim_labels.get(dim, labels) != labels:
                raise DataError(f"{where}: dim '{dim}' has other labels in priors.toml; make them equal.")
        return Priors({**self.specs, **other.specs}, {**self.dim_labels, **other.dim_labels})

    def override(self, changes: Path | str | Mapping[str, Any]) -> Priors:
        """Change any subset; of a prior only the keys given change.

        Parameters
        ----------
        changes
            A TOML file with tables ``[priors.NAME]``, or a dict from names to such tables.
            Instead of all parameters, ``interval = [lo, hi]`` and ``mass = 0.9`` ask for the
            distribution of maximum entropy with that mass in the interval.

        Raises
        ------
        DataError
            One sentence that names the file, the prior and the remedy.
        """
        if isinstance(changes, Mapping):
            if not changes:
                return self
            where = "Override"
            tables = _tables(changes if set(changes) <= {"priors", "dims"} else {"priors": changes}, where)
        else:
            where = str(changes)
            tables = _tables(_read(Path(changes)), where)
        specs = dict(self.specs)
        for name, row in tables.items():
            if name not in specs:
                raise DataError(f"{where}: there is no prior '{name}'; {nearest(name, specs)}.")
            specs[name] = self._changed_spec(specs[name], row, f"{where}: prior '{name}'")
        return replace(self, specs=specs)

    def _changed_spec(self, old: PriorSpec, row: Mapping[str, Any], at: str) -> PriorSpec:
        _check_keys(row, OVERRIDE_KEYS, at)
        if "dims" in row and (dims := _read_dim_names(row["dims"], at)) != old.dims:
            raise DataError(
                f"{at} has dims {list(dims)} but the model needs {list(old.dims)}; leave 'dims' out."
            )
        if row.get("support", old.support) != old.support:
            raise DataError(
                f"{at} has support '{row['support']}' but the model needs '{old.support}'; leave it out."
            )
        if "mass" in row and "interval" not in row:
            raise DataError(f"{at} has 'mass' without 'interval'; give interval = [low, high].")
        family = read_family(row.get("family", old.family), at)
        given = row.get("parameters", {})
        if not isinstance(given, Mapping):
            raise DataError(f"{at}: parameters must be a table such as {{ mu = 0, sigma = 1 }}.")
        if "interval" in row:
            if family == "StudentT" and old.family == family:
                given = {"nu": old.parameters["nu"], **given}
            raw: Mapping[str, Any] = by_interval(family, given, row["interval"], row.get("mass", 0.9), at)
        elif family == old.family:
            raw = {**old.parameters, **{k: _merged(old.parameters.get(k), v) for k, v in given.items()}}
        else:
            raw = given
        spec = replace(
            old,
            family=family,
            parameters=read_parameters(raw, family, old.dims, self.dim_labels, at),
            reason=read_string(row.get("reason", old.reason), "reason", at),
            source=read_string(row.get("source", old.source), "source", at),
        )
        check_same_labels(spec, old, at)
        check(spec, at)
        return spec

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the file."""
        return tuple(self.specs)

    def __getitem__(self, name: str) -> PriorSpec:
        if name not in self.specs:
            raise KeyError(f"there is no prior '{name}'; {nearest(name, self.specs)}")
        return self.specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    def __repr__(self) -> str:
        return "\n".join([f"Priors: {len(self)}", *(f"  {spec}" for spec in self.specs.values())])

    def to_pymc_extras(self, name: str, coords: Mapping[str, Sequence[str]] | None = None) -> Any:
        """The prior as ``pymc_extras.prior.Prior``, or as ``Constant`` when it is fixed.

        Both have ``create_variable(name)``. ``coords`` gives the model's order of labels.
        """
        spec = self[name]
        values = {k: spec.array(k, coords) for k in spec.parameters}
        if spec.family == "Fixed":
            return Constant(values["value"], spec.dims)
        from pymc_extras.prior import Prior

        plain = {k: v.item() if v.ndim == 0 else v for k, v in values.items()}
        return Prior(spec.family, dims=spec.dims or None, **plain)

    def changed(self, default: Priors) -> list[dict[str, str]]:
        """What differs from ``default``: a list of name, default and used, the latter two as text."""
        names = [*default.specs, *(n for n in self.specs if n not in default.specs)]
        pairs = [(n, default.specs.get(n), self.specs.get(n)) for n in names]
        return [
            {"name": n, "default": was.text if was else "(none)", "used": now.text if now else "(none)"}
            for n, was, now in pairs
            if was is None or now is None or (was.family, was.parameters) != (now.family, now.parameters)
        ]

    def canonical(self) -> str:
        """Canonical JSON of what decides the draws; reasons and sources are left out."""
        content = {
            name: {"family": s.family, "parameters": dict(s.parameters), "dims": list(s.dims)}
            for name, s in self.specs.items()
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def content_hash(self) -> str:
        """SHA-256 of ``canonical()`` in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{path}: the prior file cannot be read ({reason}); check its path.") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        above = text.splitlines()[: int(found[1])] if found else text.splitlines()
        heads = [h[1] for line in above if (h := re.match(r"\s*\[priors\.([^\]]+)\]", line))]
        prior = f"prior '{heads[-1].strip()}': " if heads else ""
        raise DataError(f"{path}: {prior}not valid TOML: {error}; correct that line.") from error


def _tables(
    content: Mapping[str, Any], where: str, known: Sequence[str] = ("priors", "dims")
) -> Mapping[str, Mapping[str, Any]]:
    for key in content:
        if key not in known:
            raise DataError(f"{where}: unknown table '{key}'; a prior is written as [priors.{key}].")
    tables = content.get("priors", {})
    if not isinstance(tables, Mapping) or not tables:
        raise DataError(f"{where}: there is no prior; write each as a table [priors.NAME].")
    for name, row in tables.items():
        if not isinstance(row, Mapping):
            raise DataError(f"{where}: prior '{name}' must be a table [priors.{name}] with its family.")
    return tables


def _read_dims(dims: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(dims, Mapping):
        raise DataError(f"{where}: 'dims' must be a table from dims to lists of labels.")
    for dim, labels in dims.items():
        if not (isinstance(labels, list) and labels and all(isinstance(v, str) for v in labels)):
            raise DataError(f"{where}: the labels of dim '{dim}' must be a list of words.")
    return {dim: tuple(labels) for dim, labels in dims.items()}


def _read_dim_names(value: Any, at: str) -> tuple[str, ...]:
    if not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
        raise DataError(f'{at}: dims must be a list of names such as ["theatre"].')
    return tuple(value)


def _check_keys(row: Mapping[str, Any], allowed: Sequence[str], at: str) -> None:
    for key in row:
        if key not in allowed:
            raise DataError(f"{at} has an unknown key '{key}'; {nearest(key, allowed)}.")


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, Mapping) and isinstance(new, Mapping) else new
