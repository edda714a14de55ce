"""The tasks that there are, by name: how to make one from words, and the tables that report on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import Task
from escalation_forecast.tables import nearest

__all__ = ["TASKS", "Kind", "Wanted", "headline", "make_task", "report_tables", "write_tables"]


@dataclass(frozen=True)
class Wanted:
    """What a user asks of a task; what is None is left to the task.

    Attributes
    ----------
    models, states : names.
    origins : as the task reads them: sets, labels, ranges or a number, joined by commas.
    data : a data folder.
    vintages : figures in the observation schema, in the place of or beside the folder's own.
    """

    models: Sequence[str] | None = None
    origins: str | None = None
    states: Sequence[str] | None = None
    data: Path | None = None
    vintages: Path | None = None


Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Kind:
    """How a task is made and how its cases are reported on; both import what they need when called."""

    make: Callable[[Wanted], Task]
    report: Callable[[pd.DataFrame], Tables]


def _spending(wanted: Wanted) -> Task:
    from escalation_forecast.score.spending_task import Source, SpendingTask

    at = {"at": wanted.origins} if wanted.origins else {}
    source = Source(wanted.data, wanted.vintages)
    return SpendingTask.of(models=wanted.models, states=wanted.states, source=source, **at)


def _tension(wanted: Wanted) -> Task:
    from escalation_forecast.score.ladder_task import Source
    from escalation_forecast.score.tension_task import TensionTask

    source = Source(wanted.data, wanted.vintages)
    return TensionTask.of(models=wanted.models, at=wanted.origins, series=wanted.states, source=source)


def _ladder(wanted: Wanted) -> Task:
    from escalation_forecast.score.ladder_task import LadderTask, Source

    if wanted.states:
        raise DataError("The ladder is about theatres, all of them; leave out --states.")
    source = Source(wanted.data, wanted.vintages)
    return LadderTask.of(models=wanted.models, at=wanted.origins, source=source)


def _spending_report(cases: pd.DataFrame) -> Tables:
    from escalation_forecast.score.spending_report import spending_report

    return spending_report(cases)


def _tension_report(cases: pd.DataFrame) -> Tables:
    from escalation_forecast.score import tension_report

    return {"scores": tension_report.report(cases)}


def _ladder_report(cases: pd.DataFrame) -> Tables:
    from escalation_forecast.score import ladder_task

    return {"scores": ladder_task.report(cases)}


TASKS: Final[dict[str, Kind]] = {
    "spending": Kind(_spending, _spending_report),
    "tension": Kind(_tension, _tension_report),
    "ladder": Kind(_ladder, _ladder_report),
}


def make_task(name: str, wanted: Wanted | None = None) -> Task:
    """A task by name.

    Raises
    ------
    DataError
        For a task, model, origin or state that there is not, and for data that are wrong.
    """
    if name not in TASKS:
        raise DataError(f"There is no task `{name}`{nearest(name, TASKS)}; choose from {', '.join(TASKS)}.")
    return TASKS[name].make(wanted or Wanted())


def report_tables(name: str, cases: pd.DataFrame) -> Tables:
    """All tables that report on a task's cases, by name; the most telling one first."""
    return TASKS[name].report(cases)


DIGITS: Final = 4
# Columns that fit on a screen; the files have all.
SHOWN: Final = {
    "growth": (
        "states", "truth", "horizon", "model", "n_cases", "crps", "skill", "low", "high", "p", "mae", "cov80",
    ),
    "rules": ("question", "truth", "horizon", "model", "n_cases", "n_events", "brier", "log_score", "rps"),
}  # fmt: skip


def headline(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What to show of the tables: the largest sample of origins, and the columns that say most."""
    shown = {}
    for name, table in tables.items():
        if name in SHOWN:
            # The last sample of a kind holds all that the earlier ones do.
            largest = table.groupby("sample", sort=False)["n_cases"].max().idxmax()
            own = table.loc[table["sample"] == largest, list(SHOWN[name])]
            shown[f"{name}, {largest}"] = own.round(DIGITS)
        elif name == "scores":
            kept = [not str(column).endswith("_bar") for column in table.columns]
            shown[name] = table.loc[:, kept].round(DIGITS)
    return shown


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Each table as ``<folder>/report_<name>.csv``."""
    paths = []
    for name, table in tables.items():
        path = folder / f"report_{name}.csv"
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
        paths.append(path)
    return paths
