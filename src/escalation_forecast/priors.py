"""Priors as data: read, checked, changed in part, compared, written and hashed.

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
of further dims in a table ``[dims]``. ``pooling`` says how the labels relate (`pooling`), and a table
``[priors.phi.elicited]`` keeps what people said (`elicited`). What history taught stands in a second file
of the same format, with tables ``[provenance.FIT]`` that say where its priors come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from escalation_forecast.elicited import Elicited
from escalation_forecast.pooling import Pooled
from escalation_forecast.prior_change import COMPARED, Change, different
from escalation_forecast.prior_file import (
    OVERRIDE_KEYS,
    check_keys,
    parse,
    read_dim_names,
    read_dims,
    read_pooling,
    read_records,
    read_shorthand,
    read_spec,
    read_tables,
    read_text,
    to_text,
)
from escalation_forecast.prior_methods import fit
from escalation_forecast.prior_spec import (
    KNOWN_LABELS,
    OTHERS,
    Constant,
    Parameter,
    PriorSpec,
    bounds_of,
    check,
    check_same_labels,
    nearest,
    read_family,
    read_parameters,
    read_string,
)
from escalation_forecast.schema import DataError

__all__ = ["Change", "Constant", "PriorSpec", "Priors"]

HISTORY_FILE: Final = "history_priors.toml"


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
        return cls.from_toml(read_text(Path(path)), str(path))

    @classmethod
    def from_toml(cls, text: str, where: str = "Priors") -> Priors:
        """Read the text of a full file; ``where`` is what complaints call it."""
        content = parse(text, where)
        labels = {**KNOWN_LABELS, **read_dims(content.get("dims", {}), where)}
        tables = read_tables(content, where, ("priors", "dims", "provenance"))
        specs = {
            name: read_spec(name, row, labels, f"{where}: prior '{name}'") for name, row in tables.items()
        }
        return cls(specs, labels)

    def to_toml(self, against: Priors | None = None, heading: str = "") -> str:
        """The text of a file: of all priors, or of those that differ from ``against``.

        Reading it back gives the same priors: the whole by `from_toml`, a part by
        ``against.replace``.
        """
        if against is None:
            return to_text(self.specs.values(), self.dim_labels, heading)
        changed = [change.partial() for change in against.diff(self) if change.after is not None]
        if not changed:
            raise DataError("These priors do not differ from those given; there is nothing to write.")
        pooled = {name for name, spec in against.items() if spec.pooling != "none"}
        return to_text(changed, KNOWN_LABELS, heading, freed=pooled)

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

    def replace(
        self,
        changes: Path | str | Mapping[str, Any] | None = None,
        /,
        **named: Mapping[str, Any] | Elicited | PriorSpec,
    ) -> Priors:
        """Change any subset; of a prior only the keys given change.

        Parameters
        ----------
        changes
            A TOML file with tables ``[priors.NAME]``, or a dict from names to such tables.
        **named
            The same by name. A value is such a table, a whole `PriorSpec`, or what was said of the
            parameter: ``phi=interval(0.6, 0.9)``.

        Notes
        -----
        Instead of all parameters, ``interval = [lo, hi]`` with ``mass = 0.9``, ``quartiles = [a, b, c]``,
        ``roulette = { edges = [...], chips = [...] }`` or a table ``elicited`` say what the parameters
        should express. A table of some labels leaves the others as they are; where only the data know which
        there are, ``"*"`` stands for them.

        Raises
        ------
        DataError
            One sentence that names the file, the prior and the remedy.
        """
        if changes is None or isinstance(changes, Mapping):
            where = "Override"
            given: dict[str, Any] = dict(changes or {})
            if {"priors"} <= set(given) <= {"priors", "dims"}:
                given = dict(read_tables(given, where))
        else:
            where = str(changes)
            given = dict(read_tables(parse(read_text(Path(changes)), where), where))
        specs = dict(self.specs)
        for name, change in {**given, **named}.items():
            if name not in specs:
                raise DataError(f"{where}: there is no prior '{name}'; {nearest(name, specs)}.")
            specs[name] = self._changed_spec(specs[name], _row(change), f"{where}: prior '{name}'")
        return replace(self, specs=specs)

    def override(self, changes: Path | str | Mapping[str, Any]) -> Priors:
        """`replace`, by its older name."""
        return self.replace(changes)

    def _changed_spec(self, old: PriorSpec, row: Mapping[str, Any], at: str) -> PriorSpec:
        check_keys(row, OVERRIDE_KEYS, at)
        if "dims" in row and (dims := read_dim_names(row["dims"], at)) != old.dims:
            raise DataError(
                f"{at} has dims {list(dims)} but the model needs {list(old.dims)}; leave 'dims' out."
            )
        if row.get("support", old.support) != old.support:
            raise DataError(
                f"{at} has support '{row['support']}' but the model needs '{old.support}'; leave it out."
            )
        family = read_family(row.get("family", old.family), at)
        given = row.get("parameters", {})
        if not isinstance(given, Mapping):
            raise DataError(f"{at}: parameters must be a table such as {{ mu = 0, sigma = 1 }}.")
        said = read_shorthand(row, at)
        raw: Mapping[str, Any]
        if said or ("elicited" in row and not given):
            said = said or read_records(row["elicited"], at)
            raw, said = self._said(old, family, given, said, at), _kept(old.elicited, said)
        else:
            # What was said of other numbers is no record of these.
            said = read_records(row["elicited"], at) if "elicited" in row else old.elicited * (not given)
            raw = self._merged(old, given) if family == old.family else given
        pooling, spread = read_pooling(row, at, (old.pooling, old.spread))
        spec = replace(
            old,
            family=family,
            parameters=read_parameters(raw, family, old.dims, self.dim_labels, at),
            reason=read_string(row.get("reason", old.reason), "reason", at),
            source=read_string(row.get("source", old.source), "source", at),
            pooling=pooling,
            spread=spread,
            elicited=said,
        )
        check_same_labels(spec, old, at)
        check(spec, at)
        return spec

    def _said(
        self,
        old: PriorSpec,
        family: str,
        given: Mapping[str, Any],
        records: tuple[Elicited, ...],
        at: str,
    ) -> dict[str, Any]:
        """Parameters that express what was said, of all labels or of single ones."""
        raw: dict[str, Any] = dict(old.parameters) if family == old.family else {}
        for said in records:
            if said.outcome:
                raise DataError(
                    f"{at}: what was said is about the outcome '{said.outcome}'; give the parameters too, "
                    "or let `priors elicit` find them."
                )
            if said.label and family != old.family:
                raise DataError(
                    f"{at}: one label cannot have a {family} while the others have a {old.family}; "
                    "leave the family as it is."
                )
            held = {k: float(v) for k, v in given.items() if isinstance(v, int | float)}
            if family == "StudentT" and old.family == family and "nu" not in held:
                held["nu"] = old.at(said.label)["nu"]
            found = fit(said, family, held, at)
            raw = dict(self._merged(replace(old, parameters=raw), labelled(found, said.label)))
        return raw

    def _merged(self, old: PriorSpec, given: Mapping[str, Any]) -> dict[str, Any]:
        """Old parameters with new ones in their place; a table of labels leaves the others alone."""
        raw: dict[str, Any] = dict(old.parameters)
        for key, new in given.items():
            before: Parameter | None = old.parameters.get(key)
            if isinstance(before, float) and isinstance(new, Mapping):
                fitting = [d for d in old.dims if set(new) <= set(self.dim_labels.get(d, ()))]
                unknown = [d for d in old.dims if d not in self.dim_labels]
                if fitting:
                    before = dict.fromkeys(self.dim_labels[fitting[0]], before)
                else:
                    before = {OTHERS: before} if unknown else None
            both = isinstance(before, dict) and isinstance(new, Mapping)
            raw[key] = _named({**before, **new}) if both else new  # type: ignore[dict-item]
        return raw

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
        if spec.pooling != "none":
            return Pooled(Prior(spec.family, **plain), spec.dims, spec.spread, *bounds_of(spec.support, name))
        return Prior(spec.family, dims=spec.dims or None, **plain)

    def diff(self, other: Priors) -> list[Change]:
        """What differs in ``other``, in the order of these priors and then of those that only it has."""
        names = [*self.specs, *(n for n in other.specs if n not in self.specs)]
        found = []
        for name in names:
            was, now = self.specs.get(name), other.specs.get(name)
            keys = COMPARED if was is None or now is None else different(was, now)
            if keys:
                found.append(Change(name, was, now, keys))
        return found

    def changed(self, default: Priors) -> list[dict[str, str]]:
        """What differs from ``default``: a list of name, default and used, the latter two as text."""
        return [
            {
                "name": change.name,
                "default": change.before.text if change.before else "(none)",
                "used": change.after.text if change.after else "(none)",
            }
            for change in default.diff(self)
            if change.decides
        ]

    def canonical(self) -> str:
        """Canonical JSON of what decides the draws; reasons and sources are left out."""
        content = {name: _canonical(spec) for name, spec in self.specs.items()}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def content_hash(self) -> str:
        """SHA-256 of ``canonical()`` in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _canonical(spec: PriorSpec) -> dict[str, Any]:
    content: dict[str, Any] = {
        "family": spec.family,
        "parameters": dict(spec.parameters),
        "dims": list(spec.dims),
    }
    if spec.pooling != "none":
        content |= {"pooling": spec.pooling, "spread": spec.spread}
    return content


def _row(change: Any) -> Any:
    """A change as a table of a file."""
    if isinstance(change, Elicited):
        return {"elicited": change}
    if isinstance(change, PriorSpec):
        keys = (*COMPARED, "dims", "support")
        return {key: getattr(change, key) for key in keys if key != "elicited" or change.elicited}
    return change


def _named(table: dict[str, Any]) -> Any:
    """A table without labels that have the number of all others, so that the same priors compare equal."""
    if OTHERS not in table:
        return table
    own = {label: value for label, value in table.items() if value != table[OTHERS]}
    return {OTHERS: table[OTHERS], **own} if own else table[OTHERS]


def labelled(parameters: Mapping[str, float], label: str) -> Mapping[str, Any]:
    """Parameters of one label as tables."""
    return {key: {label: value} for key, value in parameters.items()} if label else parameters


def _kept(old: tuple[Elicited, ...], new: tuple[Elicited, ...]) -> tuple[Elicited, ...]:
    """Records after new ones: one about a label replaces that label's, one about all replaces all."""
    for said in new:
        old = (*(one for one in old if said.label and one.label != said.label), said)
    return old
