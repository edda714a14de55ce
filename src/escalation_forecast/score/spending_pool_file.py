"""The weights with which forecasts of spending are pooled, as stored in ``data/spending_pool.toml``."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.store import data_root

__all__ = ["SpendingPool", "learned_from", "load_spending_pool", "main", "write_spending_pool"]

FILE: Final = "spending_pool.toml"
DIGITS: Final = 4
COMMAND: Final = "python -m escalation_forecast.score.spending_pool --from FOLDER --write"


@dataclass(frozen=True)
class SpendingPool:
    """Share of the model's draws by the day from which it holds, and where it comes from.

    Attributes
    ----------
    weights : by day, in order; each learned from outcomes published by that day.
    provenance : model, origins, cases, prior and date, as in the file.
    """

    weights: Mapping[pd.Timestamp, float]
    provenance: Mapping[str, Any]

    def at(self, day: dt.date | pd.Timestamp) -> float:
        """The weight of the model in a forecast made on a day; 1 before any origin was measured."""
        known = [weight for since, weight in self.weights.items() if since <= pd.Timestamp(day)]
        return known[-1] if known else 1.0


def write_spending_pool(pool: SpendingPool, path: Path | None = None) -> Path:
    """Write the weights as TOML, by default where `load_spending_pool` reads them."""
    path = path or data_root() / FILE
    lines = [
        "# Share of the model's draws in forecasts of military spending; the others are of simple methods.",
        "# Each weight holds from its day on and rests on outcomes published by then.",
        "[provenance]",
        *(
            f"{name} = {json.dumps(value, ensure_ascii=False)}"
            for name, value in {**pool.provenance, "fitted_on": dt.date.today().isoformat()}.items()
        ),
        "",
        "[weights]",
        *(f"{day:%Y-%m-%d} = {weight:.{DIGITS}f}" for day, weight in pool.weights.items()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def load_spending_pool(path: Path | None = None) -> SpendingPool:
    """Read and check the weights.

    Raises
    ------
    DataError
        Naming the file, the day and the remedy.
    """
    path = path or data_root() / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no {path.name} in {path.parent}; make it with `{COMMAND}`.") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path.name} is not TOML ({error}); correct that line.") from None
    weights = {}
    for text, weight in content.get("weights", {}).items():
        try:
            day = dt.date.fromisoformat(text)
        except ValueError:
            raise DataError(
                f"{path.name}: `{text}` in [weights] is not a day; write it as 2026-04-27."
            ) from None
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 <= weight <= 1.0:
            raise DataError(
                f"{path.name}: the weight {weight!r} of {text} is no share; give a number from 0 to 1."
            )
        weights[pd.Timestamp(day)] = float(weight)
    if not weights:
        raise DataError(f"{path.name} has no weights; make it again with `{COMMAND}`.")
    for before, after in pairwise(weights):
        if after <= before:
            raise DataError(f"{path.name}: {after:%Y-%m-%d} stands after {before:%Y-%m-%d}; sort the days.")
    return SpendingPool(weights, content.get("provenance", {}))


def learned_from(folder: Path, model: str = "joint") -> SpendingPool:
    """The weights that the finished cells of a backtest give.

    Parameters
    ----------
    folder : ``<out>/<digest>`` of a backtest of spending with the embedded data.
    model : to pool with the mixture; its cells and those of ``mix4`` must be there.

    Raises
    ------
    DataError
        When the folder is of another task or of other data, or has no such cells.
    """
    from escalation_forecast.score.cell_files import IDENTITY, CellFolder
    from escalation_forecast.score.spending_task import SpendingTask, read_store

    try:
        said = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(
            f"{folder} has no {IDENTITY}; give the folder that the backtest says its cells are kept in."
        ) from None
    if said.get("task") != "spending":
        raise DataError(f"{folder} is of the task {said.get('task')}; give one of spending.")
    task = SpendingTask.of(models=[model, "mix4"], states=said["identity"]["states"] or None)
    if said["identity"]["data"] != read_store(task.source).content_hash():
        raise DataError(f"{folder} was made with other data than the package has; run the backtest again.")
    kept = CellFolder(folder, folder.resolve().name)
    return task.pooling(kept.draws).final(model)


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn the weights of the forecast from a finished backtest, print them and on demand write them."""
    import argparse

    parser = argparse.ArgumentParser(prog="spending_pool", description=main.__doc__)
    parser.add_argument(
        "--from", dest="folder", type=Path, required=True, help="<out>/<digest> of a backtest"
    )
    parser.add_argument("--model", default="joint", help="the model to pool with mix4")
    parser.add_argument("--write", action="store_true", help=f"write data/{FILE}")
    given = parser.parse_args(arguments)
    try:
        pool = learned_from(given.folder, given.model)
    except DataError as error:
        parser.exit(2, f"{error}\n")
    for name, value in pool.provenance.items():
        print(f"{name}: {value}")
    for day, weight in pool.weights.items():
        print(f"{day:%Y-%m-%d}  {weight:.3f}")
    if given.write:
        print(f"Written to {write_spending_pool(pool)}")
