"""Vocabulary of a backtest: a cell is one forecast of one model at one past origin.

A task lists its cells and runs any of them; what runs them, here or on a cluster, knows nothing of
spending, tension or ladders.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CASE_COLUMNS",
    "CORES",
    "Cell",
    "CellResult",
    "Task",
    "choose",
    "identity_hash",
    "is_sampled",
    "parts_of",
    "sampler_cores",
    "usable_cores",
]

CASE_COLUMNS: Final = ("task", "model", "origin", "horizon", "truth", "outcome")
"""What every scored case names, whatever the task; its scores stand beside them."""

CORES: Final = "ESCALATION_FORECAST_CORES"
"""Environment variable with the number of cores that a sampler may use; set by whatever runs cells."""

PLAIN: Final = re.compile(r"[^A-Za-z0-9.+-]")


@dataclass(frozen=True, order=True)
class Cell:
    """One forecast of one model at one origin.

    Attributes
    ----------
    task, model : as they stand in the columns of `CellResult.cases`.
    origin : a label too, of one origin or of several that are forecast together.
    """

    task: str
    model: str
    origin: str

    @property
    def key(self) -> str:
        """A file name without suffix; cells with different labels have different keys."""
        return "__".join(PLAIN.sub(_escaped, part) for part in (self.task, self.model, self.origin))


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"={byte:02x}" for byte in found.group().encode())


@dataclass(frozen=True)
class CellResult:
    """What a cell leaves behind.

    Attributes
    ----------
    cases : one row per scored case, with `CASE_COLUMNS` and the scores of the task.
    draws : the forecast itself, where the task keeps it.
    diagnostics : of the sampler, or of whatever made the forecast: r_hat, ess, divergences.
    """

    cases: pd.DataFrame
    draws: xr.Dataset | None = None
    diagnostics: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """A set of cells and how to run one.

    A task is sent to every worker: it holds paths and settings, and reads data when a cell needs them,
    once per process. A task with models that run chains in parallel says which with a method
    ``sampled(cell) -> bool``; other cells are taken to need one core. A task with cells that are made of
    finished ones says of which with ``parts(cell) -> list[Cell]``, and makes them with
    ``combiner(finished)(cell) -> CellResult``, where ``finished(cell)`` gives draws, or None.
    """

    @property
    def name(self) -> str:
        """One word, the first label of each cell."""

    def cells(self) -> list[Cell]:
        """The cells, in the order in which they should run."""

    def run(self, cell: Cell, seed: int) -> CellResult:
        """Forecast and score one cell; the same seed gives the same result in any process."""

    def identity(self) -> dict[str, Any]:
        """All that the results depend on, as JSON: data, priors, settings, version of the code.

        Not the list of cells: a run with more origins or models finds what an earlier one finished.
        """


def is_sampled(task: Task, cell: Cell) -> bool:
    """Whether the forecast of a cell runs chains in parallel, as the task says; by default not."""
    says = getattr(task, "sampled", None)
    return bool(says(cell)) if says else False


def parts_of(task: Task, cell: Cell) -> list[Cell]:
    """The cells whose finished draws a cell is made of, as the task says; by default none."""
    says = getattr(task, "parts", None)
    return list(says(cell)) if says else []


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sampler_cores() -> int:
    """Cores for the sampler of a cell: what the runner gives this process, else all it may run on."""
    given = os.environ.get(CORES, "")
    return int(given) if given.isdigit() and int(given) else usable_cores()


def identity_hash(task: Task, seed: int) -> str:
    """Sixteen hexadecimal digits of what a task's results depend on, the seed included."""
    identity = {"task": task.name, "seed": seed, "identity": task.identity()}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def choose(wanted: Sequence[str] | None, known: Iterable[str], what: str) -> list[str]:
    """The labels asked for, in the order asked for; all that are known if none is.

    Raises
    ------
    DataError
        For a label that is not known; names the one it resembles.
    """
    labels = list(known)
    if wanted is None:
        return labels
    for label in wanted:
        if label not in labels:
            raise DataError(
                f"There is no {what} `{label}`{nearest(label, labels)}; choose from {', '.join(labels)}."
            )
    return list(dict.fromkeys(wanted))
