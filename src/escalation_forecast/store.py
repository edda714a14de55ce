"""The vintaged observation table: what was known when.

A `Store` holds every reported figure with the date it became public. `Store.as_of` drops
what came later; `Store.latest` then gives the newest release of each figure.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import pandas as pd

from escalation_forecast.schema import (
    DATE_COLUMNS,
    FIGURE_KEY,
    INDICATOR_COLUMNS,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    DataError,
)
from escalation_forecast.tables import (
    CHUNK,
    Problem,
    Tables,
    add_files,
    add_rows,
    nearest,
    raise_problems,
    read_observations,
    read_tables,
)
from escalation_forecast.validate import table_problems, unit_fault, validate

__all__ = ["LeakError", "Problem", "Store", "data_root", "known_rows", "read_observations", "validate"]

Date = dt.date | pd.Timestamp | str
SPENDING = "milex_constant"
SORT_ORDER = ["series", "unit", "period_start", "period_end", "published_at", "release", "source"]


class LeakError(RuntimeError):
    """A store that claims to be cut at a date holds a figure published later: a bug, not bad input."""


def data_root() -> Path:
    """Folder of the embedded data: inside the installed package, else ``data/`` of the checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "_data"
    return installed if installed.is_dir() else here.parents[1] / "data"


def known_rows(observations: pd.DataFrame, date: pd.Timestamp) -> pd.Series[bool]:
    """Rows that were public on `date`. The only place where the future is cut off."""
    return observations["published_at"] <= date


def _timestamp(date: Date) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(date)
    except (ValueError, TypeError):
        raise DataError(f"`{date}` is not a date; write it as YYYY-MM-DD.") from None
    if pd.isna(stamp):
        raise DataError(f"`{date}` is not a date; write it as YYYY-MM-DD.")
    return stamp.tz_localize(None).normalize()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Store:
    """Figures with publication dates, and the catalogue that says what they mean.

    Attributes
    ----------
    observations : one row per reported figure, columns `schema.OBSERVATION_COLUMNS`.
    indicators, series, sources : the catalogues of ``data/``.
    where : file and spreadsheet row of each observation, on the same index.
    as_of_date : the date at which the store was cut, None for everything.
    """

    observations: pd.DataFrame
    indicators: pd.DataFrame
    series: pd.DataFrame
    sources: pd.DataFrame
    where: pd.DataFrame
    root: Path
    as_of_date: dt.date | None = None

    @classmethod
    def embedded(cls) -> Self:
        """The data that come with the program."""
        return cls.load(data_root())

    @classmethod
    def load(cls, root: Path | str) -> Self:
        """Read and validate a data folder.

        Raises
        ------
        DataError
            Listing the first problems, each with file, row and remedy, and how many there are.
        """
        tables = read_tables(Path(root))
        raise_problems(table_problems(tables))
        return cls._from_tables(tables)

    @classmethod
    def _from_tables(cls, tables: Tables, as_of_date: dt.date | None = None) -> Self:
        merged = tables.observations.sort_values([*SORT_ORDER, "file", "row"], ignore_index=True)
        return cls(
            observations=merged[list(OBSERVATION_COLUMNS)],
            indicators=tables.indicators[list(INDICATOR_COLUMNS)].reset_index(drop=True),
            series=tables.series.drop(columns=["file", "row"]).reset_index(drop=True),
            sources=tables.sources.drop(columns=["file", "row"]).reset_index(drop=True),
            where=merged[["file", "row"]],
            root=tables.root,
            as_of_date=as_of_date,
        )

    def with_files(
        self, *, observations: Path | str | None = None, indicators: Path | str | None = None
    ) -> Self:
        """Add a user's own figures and indicators on top.

        A series that `indicators` names and the catalogue lacks is registered as the file has it;
        a figure of a known key with another `release` is a revision. The source `user` is free to use.

        Parameters
        ----------
        observations : a CSV file, or a folder of them, which are read in order of name (its
            ``indicators.csv`` is read as that of `indicators`).

        Raises
        ------
        DataError
            As `load`; also when the store has been cut by `as_of` (add files first, then cut).
        """
        tables = add_files(self._uncut(), observations, indicators)
        raise_problems(table_problems(tables))
        return self._from_tables(tables)

    def with_figures(self, figures: pd.DataFrame, label: str, indicators: pd.DataFrame | None = None) -> Self:
        """`with_files` of figures at hand, which `label` names in complaints."""
        tables = add_rows(self._uncut(), figures, label, indicators)
        raise_problems(table_problems(tables))
        return self._from_tables(tables)

    def _uncut(self) -> Tables:
        if self.as_of_date is not None:
            raise DataError(
                f"The store is already cut at {self.as_of_date}, so added figures may come from its future; "
                "add files to the uncut store, then call as_of."
            )
        return Tables(
            root=self.root,
            observations=self.observations.join(self.where),
            indicators=self.indicators.assign(file="the store", row=range(2, len(self.indicators) + 2)),
            series=self.series.assign(file="the store", row=0),
            sources=self.sources.assign(file="the store", row=0),
            problems=(),
        )

    def first_as_of(self) -> dt.date:
        """First date at which both spending and at least one indicator of the latent are known."""
        dated = self._first_published
        spending = dated.get(SPENDING, pd.NaT)
        latent = dated[dated.index.isin(self.indicators["series"])].min()
        for label, first in (("military spending", spending), ("any indicator", latent)):
            if pd.isna(first):
                raise DataError(
                    f"The data hold no figure of {label} at any date; add rows to data/observations."
                )
        return cast(dt.date, max(spending, latent).date())

    def as_of(self, date: Date) -> Self:
        """The store as it was known on `date` (inclusive).

        Raises
        ------
        DataError
            When the date comes before the first usable one, or after the cut already made.
        """
        stamp = _timestamp(date)
        if self.as_of_date is not None:
            if stamp.date() > self.as_of_date:
                raise DataError(
                    f"The store is cut at {self.as_of_date}, so {stamp.date()} is out of its sight; "
                    "call as_of on the uncut store."
                )
        elif stamp.date() < (first := self.first_as_of()):
            raise DataError(
                f"Nothing to forecast from was known on {stamp.date()}; the first possible date is {first}."
            )
        keep = known_rows(self.observations, stamp)
        cut = dataclasses.replace(self, as_of_date=stamp.date())
        if not keep.all():
            cut = dataclasses.replace(
                cut,
                observations=self.observations[keep].reset_index(drop=True),
                where=self.where[keep].reset_index(drop=True),
            )
        cut.assert_known(stamp)
        return cut

    def assert_known(self, date: Date) -> None:
        """Check that no figure was published after `date`.

        Raises
        ------
        LeakError
            Naming the first offending figure, its file and its row.
        """
        stamp = _timestamp(date)
        published = self.observations["published_at"].to_numpy()
        late = ~(published <= stamp.to_datetime64())
        if late.any():
            position = int(late.argmax())
            row, where = self.observations.iloc[position], self.where.iloc[position]
            raise LeakError(
                f"{int(late.sum())} figures were published after {stamp.date()}, first {row['series']} "
                f"{row['unit']} of {row['period_start']:%Y-%m-%d} ({where['file']}, row {where['row']}), "
                f"published {row['published_at']:%Y-%m-%d}; the as-of filter is broken."
            )

    @cached_property
    def _first_published(self) -> pd.Series[Any]:
        """First day of publication by series."""
        return self.observations.groupby("series", sort=False)["published_at"].min()

    @cached_property
    def _by_series(self) -> dict[str, pd.DataFrame]:
        return {str(name): frame for name, frame in self.observations.groupby("series", sort=False)}

    def releases(self, series: str, unit: str | None = None) -> pd.DataFrame:
        """Every known row of a series, oldest release of each figure first."""
        known = list(self.series["series"])
        if series not in known:
            raise DataError(f"Unknown series `{series}`{nearest(series, known)}; see data/series.csv.")
        frame = self._by_series.get(series, self.observations.iloc[:0])
        if unit is not None:
            if fault := unit_fault(unit):
                raise DataError(f"Unknown unit `{unit}` of {series}: {fault}.")
            frame = frame[frame["unit"] == unit]
        return frame.reset_index(drop=True)

    def latest(self, series: str, unit: str | None = None) -> pd.DataFrame:
        """Newest known release of each figure, sorted by unit and period.

        Of two releases published on one day the later label counts.
        """
        frame = self.releases(series, unit).sort_values(["published_at", "release"], kind="stable")
        frame = frame.drop_duplicates(list(FIGURE_KEY), keep="last")
        return frame.sort_values(["unit", "period_start", "period_end", "source"], ignore_index=True)

    def revisions(self, series: str, unit: str) -> pd.DataFrame:
        """Values of each figure (rows: period_start, period_end, source) by release (columns)."""
        frame = self.releases(series, unit)
        order = (
            frame.groupby("release")["published_at"]
            .max()
            .reset_index()
            .sort_values(["published_at", "release"])
        )
        wide = frame.pivot(index=["period_start", "period_end", "source"], columns="release", values="value")
        return wide.reindex(columns=list(order["release"]))

    def content_hash(self) -> str:
        """SHA-256 of the observations and indicators held, whatever the order of rows and files."""
        digest = hashlib.sha256()
        for name, frame in (("observations", self.observations), ("indicators", self.indicators)):
            digest.update(f"\x1d{name}\x1e{'\x1f'.join(frame.columns)}\x1e".encode())
            pieces = (frame.iloc[start : start + CHUNK] for start in range(0, len(frame), CHUNK))
            rows = sorted(row for piece in pieces for row in _canonical_rows(piece))
            digest.update("\x1e".join(rows).encode())
        return digest.hexdigest()

    def describe(self) -> pd.DataFrame:
        """One row per series: units, number of rows, periods, last publication, sources."""
        groups = self.observations.groupby("series")
        table = groups.agg(
            rows=("series", "size"),
            first_period=("period_start", "min"),
            last_period=("period_end", "max"),
            last_published=("published_at", "max"),
        )
        for column in ("unit", "source"):
            pairs = self.observations[["series", column]].drop_duplicates().sort_values(["series", column])
            table[f"{column}s"] = pairs.groupby("series")[column].agg(" ".join)
        base = self.series[["series", "unit_of_measure", "frequency", "kind", "description"]]
        out = base.merge(table.reset_index(), on="series", how="left")
        out["rows"] = out["rows"].fillna(0).astype("int64")
        out[["units", "sources"]] = out[["units", "sources"]].fillna("")
        return out[
            ["series", "units", "frequency", "unit_of_measure", "rows", "first_period", "last_period",
             "last_published", "sources", "kind", "description"]
        ]  # fmt: skip

    def __repr__(self) -> str:
        cut = f"as of {self.as_of_date}" if self.as_of_date else "everything"
        n_series = self.observations["series"].nunique()
        return (
            f"<Store, {cut}: {len(self.observations):,} figures of {n_series} series, "
            f"{len(self.indicators)} indicators>"
        )

    def _repr_html_(self) -> str:
        table = self.describe().drop(columns=["kind", "description"]).to_html(index=False, na_rep="")
        return f"<p>{repr(self)[1:-1]}</p>{table}"


def _canonical_rows(frame: pd.DataFrame) -> list[str]:
    columns: list[list[str]] = []
    for name in frame.columns:
        column = frame[name]
        if name in DATE_COLUMNS:
            columns.append(list(column.dt.strftime("%Y-%m-%d").fillna("")))
        elif name in NUMBER_COLUMNS:
            columns.append(["" if v != v else repr(v) for v in column.to_list()])
        else:
            columns.append(list(column.astype("str")))
    return ["\x1f".join(cells) for cells in zip(*columns, strict=True)]
