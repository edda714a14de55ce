"""What the exports read of a run: its answers with their windows, and the draws they need, no more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.archive import POSTERIOR, Run
from escalation_forecast.schema import GLOBAL, DataError

WITHIN: Final = re.compile(r"(\d+)m")
BY: Final = re.compile(r"by-(\d{4})-(\d{2})")
YEARS: Final = re.compile(r"(?:(any|all)-(?:\d{4}-)?)?(\d{4})")
EVERYWHERE: Final = "all"


@dataclass(frozen=True)
class Answered:
    """An answer of the summary and what it is about, read from its id.

    Attributes
    ----------
    place : parameters of the part (``korea``, ``1/KOR-PRK``), ``all`` for a question without parts.
    combine : ``any`` or ``all`` of several years, else empty.
    end : last day of the window.
    horizon : whole months from the month of the as-of date to that of `end`; negative for a year that is over
        but not printed.
    """

    entry: dict[str, Any]
    question: str
    place: str
    combine: str
    end: pd.Timestamp
    horizon: int

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def kind(self) -> str:
        return str(self.entry["kind"])


def check_finished(run: Run) -> None:
    """Raise `DataError` for a fit that did not pass: it has no probabilities."""
    summary = run.summary
    if summary.get("published") or summary.get("draft"):
        return
    raise DataError(
        f"Run {summary.get('run_id')} did not pass its gates, so it has nothing to export; see its reasons "
        f"in {run.folder}."
    )


def as_of(run: Run) -> pd.Timestamp:
    return pd.Timestamp(run.summary["as_of"])


def months_ahead(day: pd.Timestamp, end: pd.Timestamp) -> int:
    """Whole months from the month of one day to that of another."""
    return (end.year - day.year) * 12 + end.month - day.month


def month_end(day: pd.Timestamp, horizon: int) -> pd.Timestamp:
    """Last day of the month that lies `horizon` months after that of `day`."""
    period = day.to_period("M") + horizon
    return pd.Timestamp(period.end_time.normalize())


def year_end(year: int) -> pd.Timestamp:
    return pd.Timestamp(year=year, month=12, day=31)


def answers(run: Run) -> list[Answered]:
    """Every answer whose id ends in a window that the program writes (see `question_items`)."""
    day = as_of(run)
    first = _first_month(run)
    found = []
    for entry in run.summary["questions"]:
        question, *parts = str(entry["id"]).split("/")
        window = _window(parts[-1], first) if parts else None
        if window is not None:
            combine, end = window
            place = "/".join(parts[:-1]) or EVERYWHERE
            found.append(Answered(entry, question, place, combine, end, months_ahead(day, end)))
    return found


def _first_month(run: Run) -> pd.Timestamp:
    attrs = run.paths.attrs if run.paths is not None else predictions(run, ()).attrs
    if "first_forecast_month" in attrs:
        return pd.Timestamp(attrs["first_forecast_month"])
    return pd.Timestamp((as_of(run).to_period("M") + 1).start_time)


def _window(text: str, first: pd.Timestamp) -> tuple[str, pd.Timestamp] | None:
    if match := WITHIN.fullmatch(text):
        return "", month_end(first, int(match[1]) - 1)
    if match := BY.fullmatch(text):
        return "", month_end(pd.Timestamp(f"{match[1]}-{match[2]}-01"), 0)
    if match := YEARS.fullmatch(text):
        return match[1] or "", year_end(int(match[2]))
    return None


def predictions(run: Run, names: Sequence[str]) -> xr.Dataset:
    """These variables of the forecast paths; one that the run lacks is left out.

    Months begin with the nowcast; the long history stays on disk.
    """
    if run.paths is not None:
        return run.paths[[name for name in names if name in run.paths]]
    return stored(run, "predictions", names)


def stored(run: Run, group: str, names: Sequence[str]) -> xr.Dataset:
    """These variables of one group of the posterior; opening all groups takes ten times longer."""
    file = run.folder / POSTERIOR
    if not file.is_file():
        raise DataError(f"{file} is missing, so the run has no draws; run it again.")
    with xr.open_dataset(file, engine="h5netcdf", group=group) as data:
        return data[[name for name in names if name in data]].load()


def coming_growth(run: Run) -> xr.DataArray:
    """First print of growth in years not printed yet, per cent; dims (sample, state, year)."""
    from escalation_forecast.report.tables import released

    paths = predictions(run, ["growth_print"])
    coming = paths["growth_print"].isel(year=~released(paths).values).sel(age=0, drop=True)
    return coming.stack(sample=("chain", "draw")).transpose("sample", "state", "year")


def coming_risk(run: Run, horizons: Sequence[int]) -> xr.DataArray:
    """Latent risk of the theatres and the global factor; dims (sample, theatre, horizon)."""
    paths = predictions(run, ["risk", "global_risk"])
    world = paths["global_risk"].expand_dims(theatre=[GLOBAL])
    both = xr.concat([paths["risk"], world], "theatre")
    return _at(both, as_of(run), horizons)


def coming_ladder(run: Run, horizons: Sequence[int]) -> xr.DataArray:
    """Level of the use-of-force ladder: 0, 3 or 4 (4 means 4 or 5); dims (sample, theatre, horizon)."""
    return _at(predictions(run, ["ladder"])["ladder"], as_of(run), horizons)


def _at(values: xr.DataArray, day: pd.Timestamp, horizons: Sequence[int]) -> xr.DataArray:
    months = [month_end(day, n).to_period("M").start_time for n in horizons]
    picked = values.sel(month=np.array(months, "datetime64[ns]")).rename(month="horizon")
    stacked = picked.assign_coords(horizon=list(horizons)).stack(sample=("chain", "draw"))
    return stacked.transpose("sample", "theatre", "horizon")
