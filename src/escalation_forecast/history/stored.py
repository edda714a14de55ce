"""Results of the fits to history as named priors, in ``data/history_priors.toml``.

The file has the format of ``data/priors.toml`` with one table ``[provenance.FIT]`` per fit beside it, so
that ``priors list`` and a user's overrides treat these priors like the rest.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.prior_spec import KNOWN_LABELS, Parameter, PriorSpec, check
from escalation_forecast.priors import HISTORY_FILE, Priors
from escalation_forecast.schema import DataError
from escalation_forecast.store import data_root

HEADER: Final = (
    "# Hazards learned from history, written by `escalation-forecast history fit`; do not edit by hand.\n"
    "# Change any of them in a file of your own: escalation-forecast forecast --priors my.toml\n"
)
DIGITS: Final = 4


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where the priors of one fit come from.

    Attributes
    ----------
    priors : names of the priors that the fit wrote.
    data : tables of ``data/history`` that it read.
    years : such as ``1816-2014``.
    rows, events : cases and, among them, those with the event.
    r_hat_max, ess_min, divergences : of the sampler; None where the posterior is known in closed form.
    note : what a reader must know, such as a second coding's result.
    """

    priors: tuple[str, ...]
    data: tuple[str, ...]
    years: str
    rows: int
    events: int
    r_hat_max: float | None = None
    ess_min: float | None = None
    divergences: int | None = None
    note: str = ""
    code_version: str = dataclasses.field(default_factory=lambda: version("escalation-forecast"))
    fitted_on: dt.date = dataclasses.field(default_factory=dt.date.today)


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """What one fit to history found: its priors, where they come from, and a table to print."""

    specs: tuple[PriorSpec, ...]
    provenance: Provenance
    table: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class StoredPriors:
    """The priors learned from history and, by fit, where they come from."""

    priors: Priors
    fits: Mapping[str, Provenance]


def stored_path(root: Path | None = None) -> Path:
    """The file of a data folder, by default of the embedded one."""
    return (root or data_root()) / HISTORY_FILE


def read_stored(path: Path | None = None) -> StoredPriors:
    """Read the file.

    Raises
    ------
    DataError
        One sentence that names the file, the entry and the remedy.
    """
    path = path or stored_path()
    priors = Priors.load(path)
    raw = tomllib.loads(path.read_text(encoding="utf-8")).get("provenance", {})
    fits = {name: _provenance(row, f"{path}: provenance '{name}'") for name, row in raw.items()}
    owner: dict[str, str] = {}
    for fit, provenance in fits.items():
        for name in provenance.priors:
            if name in owner or name not in priors:
                wrong = f"is claimed by '{owner[name]}' too" if name in owner else "is not in the file"
                raise DataError(f"{path}: prior '{name}' of fit '{fit}' {wrong}; run `history fit` again.")
            owner[name] = fit
    for name in priors:
        if name not in owner:
            raise DataError(f"{path}: prior '{name}' belongs to no fit; run `history fit` again.")
    return StoredPriors(priors, fits)


def store_fit(
    name: str,
    specs: Iterable[PriorSpec],
    provenance: Provenance,
    path: Path | None = None,
    *,
    order: Sequence[str] = (),
) -> Path:
    """Put the priors of one fit into the file, in place of those that it wrote before.

    The priors of other fits stay as they are. Numbers are kept to four significant digits. Fits stand in
    the file by `order`, those that it does not name at the end.

    Raises
    ------
    DataError
        When another fit owns a prior of that name, or a prior cannot be normalised.
    """
    path = path or stored_path()
    held = read_stored(path) if path.is_file() else StoredPriors(Priors({}), {})
    specs = [dataclasses.replace(spec, parameters=_rounded(spec.parameters)) for spec in specs]
    names = tuple(spec.name for spec in specs)
    if names != provenance.priors:
        raise ValueError(f"the provenance of '{name}' names {provenance.priors}, not {names}")
    for fit, other in held.fits.items():
        if fit != name and (shared := set(names) & set(other.priors)):
            raise DataError(f"{path}: prior '{min(shared)}' belongs to fit '{fit}'; give it another name.")
    for spec in specs:
        check(spec, f"fit '{name}': prior '{spec.name}'")
    groups: dict[str, list[PriorSpec]] = {
        fit: [held.priors[prior] for prior in other.priors] for fit, other in held.fits.items()
    }
    groups[name] = specs
    fits = {**held.fits, name: provenance}
    place = {fit: position for position, fit in enumerate(order)}
    groups = dict(sorted(groups.items(), key=lambda item: place.get(item[0], len(place))))
    text = _text(groups, fits)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def spec(
    name: str,
    family: str,
    parameters: Mapping[str, Parameter],
    *,
    dims: tuple[str, ...] = (),
    labels: Mapping[str, tuple[str, ...]] | None = None,
    support: str,
    reason: str,
    source: str,
) -> PriorSpec:
    """A prior to be stored; `labels` of dims other than theatre and state."""
    known = {**KNOWN_LABELS, **(labels or {})}
    return PriorSpec(
        name, family, dict(parameters), dims, reason, source, support, {dim: known[dim] for dim in dims}
    )


def _rounded(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {label: short(item) for label, item in value.items()}
        if isinstance(value, tuple):
            return tuple(short(item) for item in value)
        return float(f"{value:.{DIGITS}g}")

    return {key: short(value) for key, value in parameters.items()}


def _provenance(row: Any, at: str) -> Provenance:
    fields = {field.name: field for field in dataclasses.fields(Provenance)}
    if not isinstance(row, Mapping) or set(row) - set(fields):
        raise DataError(f"{at} has unknown keys; run `history fit` again.")
    needed = [key for key, field in fields.items() if key not in row and _required(field)]
    if needed:
        raise DataError(f"{at} has no '{needed[0]}'; run `history fit` again.")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    return Provenance(**values)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _text(groups: Mapping[str, list[PriorSpec]], fits: Mapping[str, Provenance]) -> str:
    dims: dict[str, tuple[str, ...]] = {}
    for spec in (spec for group in groups.values() for spec in group):
        for dim, labels in spec.labels.items():
            if dim in KNOWN_LABELS:
                continue
            if dims.setdefault(dim, labels) != labels:
                raise DataError(f"Two fits give dim '{dim}' different labels; fit all of them again.")
    parts = [HEADER, "[dims]\n" + "".join(f"{dim} = {_value(labels)}\n" for dim, labels in dims.items())]
    for name, group in groups.items():
        row = dataclasses.asdict(fits[name])
        for key in ("r_hat_max", "ess_min"):
            row[key] = None if row[key] is None else float(f"{row[key]:.{DIGITS}g}")
        kept = {key: value for key, value in row.items() if value not in (None, "")}
        lines = [f"{key} = {_value(value)}\n" for key, value in kept.items()]
        parts.append(f"[provenance.{_key(name)}]\n" + "".join(lines))
        parts += [_prior_text(spec) for spec in group]
    return "\n".join(parts)


def _prior_text(spec: PriorSpec) -> str:
    """A table; parameters by label are written one to a line, so that a change can be read."""
    head = {"family": spec.family, "support": spec.support, "reason": spec.reason, "source": spec.source}
    if spec.dims:
        head["dims"] = spec.dims  # type: ignore[assignment]
    lines = [f"[priors.{_key(spec.name)}]", *(f"{key} = {_value(value)}" for key, value in head.items())]
    plain = {key: value for key, value in spec.parameters.items() if not isinstance(value, dict)}
    lines += [f"parameters.{key} = {_value(value)}" for key, value in plain.items()]
    for key, table in spec.parameters.items():
        if isinstance(table, dict):
            lines += [f"parameters.{key}.{_key(label)} = {_value(value)}" for label, value in table.items()]
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else json.dumps(text, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return value.isoformat() if isinstance(value, dt.date) else f"{value:.12g}"
