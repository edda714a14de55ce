"""How two runs differ: in what went in, and in what came out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.ledger.copies import registered
from escalation_forecast.ledger.files import damaged, missing
from escalation_forecast.ledger.records import RunRecord
from escalation_forecast.ledger.schema import FAILED
from escalation_forecast.run_files import PRIORS
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger.ledger import Ledger

PLAIN: Final = (
    "as_of", "horizon_months", "seed", "model_version", "draft", "spending_weight", "priors_changed",
)  # fmt: skip
NESTED: Final = ("settings", "versions", "data")
COLUMNS: Final = ["id", "kind", "title", "before", "after", "change", "mcse"]


@dataclass(frozen=True, repr=False)
class Difference:
    """What differs between an earlier and a later run.

    Attributes
    ----------
    inputs : columns input, before, after; only what differs.
    answers : probabilities, largest change first; columns id, kind, title, before, after, change, mcse. The
        last is the Monte Carlo error of the change, the two runs' errors combined as independent.
    quantities : the same of counts and continuous questions, means in their own unit.
    only : answers that one of them has and the other has not; columns id, run_id.
    """

    before: RunRecord
    after: RunRecord
    inputs: pd.DataFrame
    answers: pd.DataFrame
    quantities: pd.DataFrame
    only: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"<Difference {self.before.run_id} to {self.after.run_id}: {len(self.inputs)} inputs, "
            f"{int((self.answers['change'] != 0).sum())} of {len(self.answers)} probabilities>"
        )


def compare(ledger: Ledger, before: str, after: str) -> Difference:
    """Compare two finished runs.

    Raises
    ------
    DataError
        When one is not in the archive, or failed, so that it has no answers.
    """
    first, second = ledger.get(before), ledger.get(after)
    for run in (first, second):
        if run.state == FAILED:
            raise DataError(f"Run {run.run_id} failed and has no answers; see `runs show {run.run_id}`.")
    inputs = [*_inputs(first.summary, second.summary), *_priors(ledger, first, second)]
    old, new = (ledger.probabilities(run.run_id).set_index("id") for run in (first, second))
    both = new.index.intersection(old.index, sort=False)
    one, two = old.loc[both], new.loc[both]
    binary = (two["kind"] == "binary") & (one["kind"] == "binary")
    only = [
        (name, run.run_id)
        for run, table, other in ((first, old, new), (second, new, old))
        for name in table.index.difference(other.index, sort=False)
    ]
    return Difference(
        first,
        second,
        pd.DataFrame(inputs, columns=["input", "before", "after"]),
        _moves(one[binary], two[binary], "probability"),
        _moves(one[~binary], two[~binary], "mean"),
        pd.DataFrame(only, columns=["id", "run_id"]),
    )


def _moves(one: pd.DataFrame, two: pd.DataFrame, column: str) -> pd.DataFrame:
    change = two[column] - one[column]
    found = two.assign(
        before=one[column], after=two[column], change=change, mcse=np.hypot(one["mcse"], two["mcse"])
    )
    order = change.abs().sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index()[COLUMNS]


def _inputs(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in PLAIN:
        yield from _differing(name, one.get(name), two.get(name))
    for name in NESTED:
        yield from _differing(name, one.get(name) or {}, two.get(name) or {})


def _differing(name: str, one: Any, two: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted(one.keys() | two.keys()):
            yield from _differing(f"{name}.{key}", one.get(key), two.get(key))
    elif one != two:
        yield name, _said(one), _said(two)


def _said(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _priors(ledger: Ledger, one: RunRecord, two: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Priors that differ, by their laws and not by the reasons given for them."""
    kept = [registered(ledger, run.run_id).get(PRIORS) for run in (one, two)]
    if None in kept or kept[0] == kept[1]:
        return
    laws = [_laws(ledger, run.run_id) for run in (one, two)]
    yield from _differing("priors", *laws)


def _laws(ledger: Ledger, run_id: str) -> dict[str, Any]:
    try:
        ledger.files.check(run_id, {PRIORS: registered(ledger, run_id)[PRIORS]})
        table = tomllib.loads(ledger.files.read(run_id, PRIORS).decode())
    except FileNotFoundError:
        raise missing(run_id, PRIORS) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise damaged(run_id, PRIORS) from None
    words = ("reason", "source")
    return {
        name: {key: value for key, value in prior.items() if key not in words}
        for name, prior in (table.get("priors") or {}).items()
    }
