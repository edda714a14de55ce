"""A grid of scenarios, run on processes of this machine or on a Dask cluster, as a tidy table.

A grid point is a cell of the runner that backtests use: what is finished is kept, a worker that is lost costs
the point it had, and the same command goes on where a run stopped.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast.scenario.levers import load_scenarios
from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import Cell, CellResult
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.scenario.study import Scenarios
    from escalation_forecast.score.runner import Executor

NAME: Final = "scenario"
CODE_VERSION: Final = 2  # of what a point means; another starts afresh
NUMBERS: Final = ("before", "after", "change", "change_mcse", "low", "high", "p_lower", "tipping")
MOST: Final = 5_000  # points


@dataclass(frozen=True)
class SweepTask:
    """The grid points of a scenario on a stored run.

    Attributes
    ----------
    run : folder of the run.
    scenario : its name in the files.
    grid : numbers by place, as `levers.Book.changed` takes them.
    files : scenario files on top of the program's.
    answers : ids of answers and readouts to keep; all if empty.
    """

    run_folder: Path
    scenario: str
    grid: tuple[tuple[str, tuple[float, ...]], ...]
    files: tuple[Path, ...] = ()
    answers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return NAME

    def points(self) -> list[dict[str, float]]:
        """Every combination, the last place fastest."""
        places = [place for place, _ in self.grid]
        values = itertools.product(*(numbers for _, numbers in self.grid))
        return [dict(zip(places, one, strict=True)) for one in values]

    def cells(self) -> list[Cell]:
        return [Cell(NAME, self.scenario, _label(point)) for point in self.points()]

    def run(self, cell: Cell, seed: int) -> CellResult:
        """One point; the seed is the run's own, so that points share their random numbers."""
        from escalation_forecast.scenario.study import Scenarios

        point = json.loads(cell.origin)
        own = _prepared(self.run_folder, self.files, self.answers)
        at = Scenarios(own.ground, own.book.changed(self.scenario, point))
        own_items = {item.id for item in own.ground.items}
        more = not self.answers or not set(self.answers) <= own_items
        table = at.run(self.scenario, conditional=False, readouts=more).table()
        if self.answers:
            table = table[table["id"].isin({*self.answers, *own_items})]
        kept = table[["id", "unit", *NUMBERS, "settled", "note"]].rename(columns={"id": "horizon"})
        kept = kept.astype(dict.fromkeys(NUMBERS, float))
        cases = kept.assign(
            task=NAME, model=self.scenario, origin=cell.origin, truth="none", outcome=kept["after"]
        )
        return CellResult(cases.reset_index(drop=True))

    def identity(self) -> dict[str, Any]:
        from escalation_forecast.archive import load_run

        book = load_scenarios(*self.files)
        scenario = book[self.scenario]
        levers = {name: lever.model_dump(mode="json") for name, lever, _ in book.steps(scenario)}
        return {
            "run": load_run(self.run_folder).summary["run_id"],
            "scenario": scenario.model_dump(mode="json"),
            "levers": levers,
            "answers": sorted(self.answers),
            "code": CODE_VERSION,
        }


@lru_cache(maxsize=1)
def _prepared(folder: Path, files: tuple[Path, ...], answers: tuple[str, ...]) -> Scenarios:
    from escalation_forecast.scenario.study import Scenarios

    own = Scenarios.of(folder, *files)
    return Scenarios(replace(own.ground, wanted=answers), own.book)


def _label(point: Mapping[str, float]) -> str:
    return json.dumps(point, sort_keys=True)


def sweep(
    run: Path | str,
    scenario: str,
    grid: Mapping[str, Sequence[float]],
    *,
    files: Sequence[Path | str] = (),
    answers: Sequence[str] = (),
    out: Path | str = Path("runs/sweep"),
    workers: int | None = None,
    dask: str | None = None,
    executor: Executor = "processes",
    progress: bool | None = None,
) -> pd.DataFrame:
    """The answers of a scenario at every point of a grid.

    Parameters
    ----------
    run : folder of a stored run.
    grid : numbers by place: ``{"mediation.scale": [0, 1, 2], "mediation.from_month": [1, 6]}``.
    answers : ids to keep, such as ``wider-war/any/12m`` or ``wider-war``; all by default.
    out : folder in which finished points are kept.
    workers, dask, executor : as of `score.runner.run_backtest`.

    Returns
    -------
    pandas.DataFrame
        One row per point and answer: a column per place, id, unit, before, after, change, change_mcse, low,
        high, p_lower, tipping, settled, note.

    Raises
    ------
    DataError
        For an unknown scenario, place or answer, or a grid that is empty or too large; nothing is run then.
    """
    from escalation_forecast.score.runner import run_backtest

    task = SweepTask(
        Path(run).resolve(),
        scenario,
        tuple((place, tuple(float(one) for one in values)) for place, values in grid.items()),
        tuple(Path(one).resolve() for one in files),
        _parts(Path(run), answers),
    )
    _check(task)
    done = run_backtest(task, out, workers=workers, dask=dask, executor=executor, progress=progress)
    if len(done.failed):
        first = done.failed.iloc[0]
        raise DataError(f"{len(done.failed)} points failed, the first at {first['origin']}: {first['error']}")
    cases = done.cases(task)
    points = pd.DataFrame([json.loads(one) for one in cases["origin"]], index=cases.index)
    columns = ["unit", *NUMBERS, "settled", "note"]
    table = points[list(grid)].assign(id=cases["horizon"], **{name: cases[name] for name in columns})
    wanted = {_label(point): k for k, point in enumerate(task.points())}
    order = cases["origin"].map(wanted)
    return table[order.notna()].iloc[order.dropna().argsort(kind="stable")].reset_index(drop=True)


def _parts(folder: Path, answers: Sequence[str]) -> tuple[str, ...]:
    """Ids of answers; a question stands for all of its own."""
    from escalation_forecast.archive import load_run

    known = [entry["id"] for entry in load_run(folder).summary["questions"]]
    found: list[str] = []
    for name in answers:
        found += [one for one in known if one.startswith(f"{name}/")] or [name]
    return tuple(dict.fromkeys(found))


def _check(task: SweepTask) -> None:
    from escalation_forecast.archive import load_run

    points = task.points()
    if not task.grid or not points:
        raise DataError("A sweep needs a grid; give at least one place and its numbers.")
    if len(points) > MOST:
        raise DataError(f"The grid has {len(points):,} points; take at most {MOST:,}.")
    book = load_scenarios(*task.files)
    for place, values in task.grid:
        for value in values:
            book.changed(task.scenario, {place: value})
    known = {entry["id"] for entry in load_run(task.run_folder).summary["questions"]}
    for name in task.answers:
        # Readouts, such as war/korea/12m, are known only once a scenario has run.
        if name not in known and name.split("/")[0] in {one.split("/")[0] for one in known}:
            raise DataError(f"The run has no answer `{name}`{nearest(name, known)}.")
