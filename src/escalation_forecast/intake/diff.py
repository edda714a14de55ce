"""What a reading says that the store does not hold: figures that are new, revised, or have vanished."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import FIGURE_KEY, NUMBER_COLUMNS, OBSERVATION_COLUMNS, as_observations

if TYPE_CHECKING:
    from escalation_forecast.store import Store

KEY: Final = list(FIGURE_KEY)
NUMBERS: Final = list(NUMBER_COLUMNS)
SAME: Final = 1e-9  # relative; what is written and read again has the same digits
# Growth is read within one release, so that a release is kept with the figures that it repeats.
RELEASED_WHOLE: Final = ("milex_constant",)
STATUSES: Final = ("new", "revised", "older", "repeated")


@dataclass(frozen=True, eq=False)
class Changes:
    """A reading held against a store.

    Attributes
    ----------
    rows : figures to keep, `schema.OBSERVATION_COLUMNS` with ``status`` (new; revised; older, a release from
        before the one held; repeated, the rest of a release that is kept whole), ``before``, ``held_at``
        and ``held_note`` (value, day and note of the release held).
    vanished : newest held releases of figures within the span of the reading that it lacks.
    same : number of figures that say what is held.
    """

    rows: pd.DataFrame
    vanished: pd.DataFrame
    same: int

    @property
    def anything(self) -> bool:
        """Whether there is something to keep."""
        return bool((self.rows["status"] != "repeated").any())

    @property
    def figures(self) -> pd.DataFrame:
        """What is to be kept, in the schema of the store."""
        return as_observations(self.rows)

    def counts(self) -> pd.DataFrame:
        """One row per series: new, revised, older, vanished."""
        found = pd.crosstab(self.rows["series"], self.rows["status"])
        found = found.reindex(columns=list(STATUSES), fill_value=0)
        found["vanished"] = self.vanished.groupby("series").size()
        for name in sorted(set(self.vanished["series"]) - set(found.index)):
            found.loc[name] = 0
            found.loc[name, "vanished"] = int((self.vanished["series"] == name).sum())
        found = found.fillna(0).astype("int64").sort_index()
        found.columns.name = None
        return found.rename_axis("series").reset_index()

    def largest(self, number: int = 10) -> pd.DataFrame:
        """Revised figures by relative change, then the newest of the new ones."""
        rows = self.rows[self.rows["status"].isin(["revised", "new"])].copy()
        before, now = rows["before"], rows["value"]
        scale = pd.concat([before.abs(), now.abs()], axis=1).max(axis=1).replace(0.0, np.nan)
        rows["change"] = now - before
        rows["size"] = ((now - before).abs() / scale).fillna(0.0)
        order = ["status", "size", "period_end"]
        rows = rows.sort_values(order, ascending=False, kind="stable")
        columns = ["status", "series", "unit", "period_start", "before", "value", "change", "published_at"]
        return rows[columns].head(number).reset_index(drop=True)


def changes(
    reading: pd.DataFrame,
    store: Store,
    *,
    edition: dt.date | None = None,
    received: dt.date,
    earlier: Mapping[str, dt.date] | None = None,
) -> Changes:
    """A reading held against everything that an uncut store has.

    Dates of publication are made true where the store knows better: a figure that an earlier file of its
    series (received on the day `earlier` says) did not have came out after that day, a revision no earlier
    than the edition that brings it, and one under the label of a release that is held not before its receipt.

    Parameters
    ----------
    reading : `schema.OBSERVATION_COLUMNS`.
    edition : the day on which the file came out; that of receipt by default.
    earlier : by series, the day of the intake before.
    """
    kinds = dict(zip(store.series["series"], store.series["kind"], strict=True))
    held = store.observations[store.observations["series"].isin(reading["series"].unique())]
    reading = reading.sort_values([*KEY, "published_at", "release"], kind="stable", ignore_index=True)
    rows = reading.merge(
        held[[*KEY, "release", *NUMBERS]], on=[*KEY, "release"], how="left", suffixes=("", "_exact"),
        indicator="exact",
    )  # fmt: skip
    exact = rows["exact"] == "both"
    repeated = exact & _equal(rows, "_exact")
    # Of a release that was changed under its label and is kept whole, what it repeats is kept as well.
    release = rows["series"].where(rows["series"].isin(RELEASED_WHOLE)) + " " + rows["release"]
    repeated &= ~release.isin(release[exact & ~repeated].dropna())
    rows = rows.assign(exact=exact)[~repeated].drop(columns=[f"{name}_exact" for name in NUMBERS])

    reports = rows["series"].map(kinds).eq("report").to_numpy(bool)
    newest = _newest(held)
    rows = rows.merge(
        newest[[*KEY, *NUMBERS, "published_at", "note"]].rename(
            columns={"published_at": "held_at", "note": "held_note"}
        ),
        on=KEY, how="left", suffixes=("", "_held"),
    )  # fmt: skip
    # Of several releases in one file each is held against the one before it.
    for name, column in (*((n, f"{n}_held") for n in NUMBERS), ("published_at", "held_at")):
        before = rows.groupby(KEY)[name].shift(1)
        rows[column] = before.where(rows.groupby(KEY).cumcount() > 0, rows[column])
    known = rows["held_at"].notna()
    same = known & _equal(rows, "_held") & ~reports
    rows["before"] = rows["value_held"]
    day = pd.Timestamp(edition or received)
    after = {name: min(d + dt.timedelta(days=1), received) for name, d in (earlier or {}).items()}
    floor = pd.to_datetime(rows["series"].map(after)).astype("datetime64[us]")
    published = rows["published_at"].where(~(floor > rows["published_at"]), floor)
    late = known & ~reports & (published <= rows["held_at"]) & (day > rows["held_at"])
    published = published.where(~late, day)
    # Changed under the label that is held: nobody knows since when, so not before it was seen.
    published = published.where(~(rows["exact"] & ~reports), pd.Timestamp(received))
    rows["published_at"] = published.astype("datetime64[us]")
    older = known & ~reports & (published < rows["held_at"])
    rows["status"] = np.select([reports | ~known, same, older], ["new", "repeated", "older"], "revised")
    rows.loc[rows["exact"], "release"] = _relabelled(rows[rows["exact"]], held, received)

    moved = rows["status"] != "repeated"
    whole = rows["series"].isin(RELEASED_WHOLE)
    released = rows.loc[moved & whole, "release"].unique()
    keep = moved | (whole & rows["release"].isin(released))
    return Changes(
        rows=rows.loc[keep, [*OBSERVATION_COLUMNS, "status", "before", "held_at", "held_note"]].reset_index(
            drop=True
        ),
        vanished=_vanished(reading, newest[~newest["series"].map(kinds).eq("report")]),
        same=int(repeated.sum() + (~keep).sum()),
    )


def _newest(held: pd.DataFrame) -> pd.DataFrame:
    ordered = held.sort_values(["published_at", "release"], kind="stable")
    return ordered.drop_duplicates(KEY, keep="last")


def _equal(rows: pd.DataFrame, suffix: str) -> pd.Series[bool]:
    same = pd.Series(True, index=rows.index)
    for name in NUMBERS:
        here, there = rows[name].to_numpy(float), rows[f"{name}{suffix}"].to_numpy(float)
        same &= np.isclose(here, there, rtol=SAME, atol=0.0, equal_nan=True)
    return same


def _relabelled(rows: pd.DataFrame, held: pd.DataFrame, received: dt.date) -> list[str]:
    """Labels for figures that their originator changed under the label that the store holds already."""
    taken = set(held["release"])
    found = []
    for release in rows["release"]:
        label, number = f"{release}+{received}", 2
        while label in taken:
            label, number = f"{release}+{received}.{number}", number + 1
        found.append(label)
    return found


def _vanished(reading: pd.DataFrame, newest: pd.DataFrame) -> pd.DataFrame:
    """Held figures of the same series, units and source, within the periods that the reading spans."""
    group = ["series", "unit", "source"]
    spans = reading.groupby(group).agg(first=("period_start", "min"), last=("period_end", "max"))
    spans = spans.reset_index()
    held = newest.merge(spans, on=group, how="inner")
    held = held[(held["period_start"] >= held["first"]) & (held["period_end"] <= held["last"])]
    there: Any = pd.MultiIndex.from_frame(reading[KEY])
    gone = held[~pd.MultiIndex.from_frame(held[KEY]).isin(there)]
    return gone[list(OBSERVATION_COLUMNS)].reset_index(drop=True)
