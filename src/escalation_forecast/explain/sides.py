"""Runs to be compared: found in an archive or a folder, with all that decided their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import run_files
from escalation_forecast.archive import POSTERIOR, SUMMARY, Run, load_run
from escalation_forecast.explain.states import State
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Question
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update.reweight import summary_value


class Archive(Protocol):
    """What is asked of a `ledger.Ledger`."""

    def load(self, run_id: str) -> Run: ...

    def runs(self, *, limit: int | None = None, state: str | None = None) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class Side:
    """A run with all that decided its numbers."""

    run: Run
    state: State

    @classmethod
    def of(cls, run: Run, store: Store, questions: Sequence[Question], who: str) -> Side:
        """A run, with the figures that it was made from.

        Raises
        ------
        DataError
            When the store does not hold them.
        """
        summary = run.summary
        day = pd.Timestamp(summary["as_of"])
        known = store.as_of(day)
        if known.content_hash() != summary["data"]["content_hash"]:
            raise DataError(
                f"The {who} run {summary['run_id']} was made from other figures than the data hold for "
                f"{day:%Y-%m-%d}; give the data that it was made from (`store`, `previous_store`)."
            )
        weight = summary.get("spending_weight")
        return cls(
            run,
            State(
                known=known,
                day=day,
                priors=run_files.priors_of(run.folder) or Priors.default(),
                questions=tuple(questions),
                seed=int(summary["seed"]),
                horizon=int(summary["horizon_months"]),
                spending_weight=1.0 if weight is None else float(weight),
                settings=dict(summary["settings"]),
            ),
        )

    @property
    def id(self) -> str:
        """Of the run."""
        return str(self.run.summary["run_id"])

    @cached_property
    def posterior(self) -> xr.Dataset:
        """All that the run keeps of its draws."""
        file = self.run.folder / POSTERIOR
        if not file.is_file():
            raise DataError(f"Run {self.id} keeps no draws ({file} is missing); run it again.")
        # By itself: to open all groups of the file takes as long as to read this one.
        with xr.open_dataset(file, group="posterior", engine="h5netcdf") as found:
            return found.load()

    @cached_property
    def answers(self) -> dict[str, dict[str, Any]]:
        """Published answers by id, those without a number left out."""
        entries = self.run.summary["questions"]
        return {entry["id"]: entry for entry in entries if np.isfinite(summary_value(entry))}


def check_order(earlier: Run, later: Run) -> None:
    if earlier.summary["as_of"] > later.summary["as_of"]:
        raise DataError(
            f"Run {earlier.summary['run_id']} (as of {earlier.summary['as_of']}) is later than "
            f"{later.summary['run_id']} (as of {later.summary['as_of']}); name them the other way round."
        )


def load(runs: Archive | Path | str, name: str) -> Run:
    if isinstance(runs, Path | str):
        folder = Path(name)
        return load_run(folder if (folder / SUMMARY).is_file() else Path(runs) / name)
    return runs.load(name)


def before_run(runs: Archive | Path | str, run: Run) -> str:
    """Id of the run published before; of a draft, of any made before."""
    own = run.summary
    if isinstance(runs, Path | str):
        found = [load_run(file.parent).summary for file in Path(runs).glob(f"*/{SUMMARY}")]
        found = [one for one in found if "created_at" in one and "questions" in one and one["questions"]]
        rows = [(one["as_of"], one["created_at"], one["run_id"], one["published"]) for one in found]
    else:
        table = runs.runs(state=None if own.get("draft") else "published")
        rows = [
            (str(row.as_of)[:10], str(row.created_at), row.run_id, row.state == "published")
            for row in table.itertuples()
            if row.state != "failed"
        ]
    mine = (own["as_of"], own["created_at"])
    if not own.get("draft"):
        rows = [row for row in rows if row[3]]
    earlier = [row for row in rows if row[2] != own["run_id"] and _moment(row[:2]) < _moment(mine)]
    if not earlier:
        raise DataError(f"No run was made before {own['run_id']}, so there is nothing to compare it with.")
    return str(max(earlier, key=lambda row: _moment(row[:2]))[2])


def _moment(pair: Sequence[Any]) -> tuple[pd.Timestamp, pd.Timestamp]:
    made = pd.Timestamp(pair[1])
    return pd.Timestamp(pair[0]), made if made.tzinfo else made.tz_localize("UTC")
