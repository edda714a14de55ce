"""What looks wrong in figures that come in: late, jumping, in another unit, counted twice."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.intake.diff import changes
from escalation_forecast.lateness import overdue
from escalation_forecast.schema import FIGURE_KEY

if TYPE_CHECKING:
    from escalation_forecast.intake.folder import Folder
    from escalation_forecast.store import Store

Kind = Literal["stale", "jump", "unit", "double"]
Level = Literal["warning", "refusal"]

ENOUGH: Final = 12  # changes, or figures, without which nothing can be called usual
ENOUGH_REVISIONS: Final = 5
LEVEL_PERIODS: Final = 12
POWERS: Final = (1, 2, 3)
NEAR: Final = 0.15  # of a power of ten, on the log scale
LARGE_COUNT: Final = 100
CLEAR: Final = 0.3  # by which a power of ten lies outside what the series ever did
ONE_REPORT: Final = pd.Timedelta(days=7)
SENDER: Final = re.compile(r"\b[A-Z]{3}\b")
SHOWN: Final = 3


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong.

    Attributes
    ----------
    level : a refusal stops an intake unless it is accepted.
    number : of figures that it is about.
    """

    kind: Kind
    level: Level
    series: str
    unit: str
    message: str
    number: int = 1


def check(
    rows: pd.DataFrame,
    store: Store,
    *,
    today: dt.date | None = None,
    coming: Store | None = None,
    series: Collection[str] | None = None,
) -> list[Finding]:
    """What looks wrong in figures that come in; refusals first.

    Parameters
    ----------
    rows : as `diff.Changes.rows` has them.
    store : uncut, without them.
    coming : with them; what is late is late in this one.
    series : those that may be late; all by default.
    """
    held = store.observations[store.observations["series"].isin(rows["series"].unique())]
    kinds = dict(zip(store.series["series"], store.series["kind"], strict=True))
    found = [*_units(rows, held, kinds), *_doubles(rows, store, held, kinds), *_senders(rows)]
    wrong = {(one.series, one.unit) for one in found if one.kind == "unit"}
    found += [one for one in _jumps(rows, held, kinds) if (one.series, one.unit) not in wrong]
    found += [one for one in late(coming or store, today) if series is None or one.series in series]
    return sorted(found, key=lambda one: (one.level != "refusal", one.kind, one.series, one.unit))


def check_folder(folder: Folder, base: Store, today: dt.date | None = None) -> list[Finding]:
    """What looks wrong in everything that a folder adds to a base.

    Raises
    ------
    DataError
        When its files are not sound.
    """
    whole = folder.on(base)
    own = whole.where["file"].isin([str(file) for file in folder.files()])
    found = changes(whole.observations[own], base, received=today or dt.date.today())
    return check(found.rows, base, today=today, coming=whole)


def late(store: Store, today: dt.date | None = None) -> list[Finding]:
    """Series whose next figure is overdue, units together."""
    groups: dict[tuple[str, dt.date, dt.date], list[Any]] = {}
    for one in overdue(store, today):
        groups.setdefault((one.series, one.period, one.due), []).append(one)
    return [
        Finding(
            "stale", "warning", series, "+".join(one.unit for one in units),
            f"{series} ({_few([one.unit for one in units])}) was due by {due} going by its past, and its "
            f"newest figure is of {max(one.last for one in units)}; look for a newer file.",
            len(units),
        )
        for (series, _, due), units in groups.items()
    ]  # fmt: skip


# --- another unit of measure


def _units(rows: pd.DataFrame, held: pd.DataFrame, kinds: dict[str, str]) -> Iterator[Finding]:
    """Figures that are ten, a hundred or a thousand times too large or small for their series."""
    for (series, unit), group in rows[rows["value"] > 0].groupby(["series", "unit"], sort=True):
        if (kind := kinds.get(str(series))) not in ("level", "count", "report"):
            continue
        past = _values(held, series, unit)
        if len(past[past > 0]) < ENOUGH:
            continue
        usual = past.rolling(LEVEL_PERIODS, min_periods=3).median().shift(1)
        usual = usual.where(usual > 0)
        span = (past[past > 0] / usual).dropna().map(np.log10).abs()
        widest = float(span.max()) if len(span) else 0.0
        level = past.iloc[-LEVEL_PERIODS:].median()
        against = group["before"].where(group["before"] > 0, level)
        against = against.where(against > 0, past[past > 0].median())
        off = (group["value"] / against).map(np.log10)
        power = off.round()
        bad = (
            power.abs().isin(POWERS)
            & ((off - power).abs() < NEAR)
            # a level is held against its own past: no series' movement explains a factor of ten; a few more
            # cases do in a small count
            & ((power.abs() > widest + CLEAR) | ((group["before"] > 0) & (kind == "level")))
            & ((kind != "count") | (group["value"].clip(lower=against) >= LARGE_COUNT))
        )
        for sign in (1, -1):
            if not (hit := group[bad & (np.sign(power) == sign)]).empty:
                row, factor = hit.iloc[0], 10 ** int(abs(power[hit.index[0]]))
                than = row["before"] if row["before"] > 0 else level
                much = "about one in" if sign < 0 else "about"
                yield Finding(
                    "unit", "refusal", str(series), str(unit),
                    f"{series} of {unit} in {_period(row)} is {row['value']:g} where {than:g} is held or "
                    f"usual, {much} {factor:,}{' times it' if sign > 0 else ''}{_more(len(hit))}: "
                    f"check the unit of measure ({row['unit_of_measure']}), or accept it with --accept unit.",
                    len(hit),
                )  # fmt: skip


# --- jumps


def _jumps(rows: pd.DataFrame, held: pd.DataFrame, kinds: dict[str, str]) -> Iterator[Finding]:
    """Revisions and changes from a period to the next that are larger than any there has been."""
    for series, group in rows.groupby("series", sort=True):
        kind = kinds.get(str(series), "level")
        if kind in ("report", "ordinal"):
            continue
        past = held[held["series"] == series]
        revisions = past_revisions(past, kind)
        moved = group[(group["status"] == "revised") & group["before"].notna() & group["value"].notna()]
        if len(revisions) >= ENOUGH_REVISIONS and len(moved):
            size = (_scaled(moved["value"], kind) - _scaled(moved["before"], kind)).abs()
            most, hit = float(revisions.max()), moved[size > float(revisions.max())]
            if len(hit):
                row = hit.iloc[int(size[hit.index].to_numpy().argmax())]
                yield Finding(
                    "jump", "warning", str(series), str(row["unit"]),
                    f"{series} of {row['unit']} in {_period(row)} is revised from {row['before']:g} to "
                    f"{row['value']:g}, more than any of {len(revisions)} revisions before "
                    f"({_size(most, kind)}){_more(len(hit))}; compare it with the originator's page.",
                    len(hit),
                )  # fmt: skip
        for unit, new in group[(group["status"] == "new") & group["value"].notna()].groupby("unit"):
            yield from _leaps(str(series), str(unit), new, _newest_values(past, unit), kind)


def _leaps(series: str, unit: str, new: pd.DataFrame, past: pd.Series[float], kind: str) -> Iterator[Finding]:
    changes = _scaled(past, kind).diff().dropna().abs()
    if len(changes) < ENOUGH:
        return
    came = new.drop_duplicates("period_start", keep="last").set_index("period_start")["value"]
    joined = pd.concat([past[~past.index.isin(came.index)], came]).sort_index()
    steps = _scaled(joined, kind).diff().abs()
    steps = steps[steps.index.isin(came.index)]
    hit = steps[steps > changes.max()]
    if len(hit):
        at = hit.idxmax()
        before = joined[joined.index < at].iloc[-1]
        yield Finding(
            "jump", "warning", series, unit,
            f"{series} of {unit} goes from {before:g} to {joined[at]:g} in {at:%Y-%m}, more than in any of "
            f"{len(changes)} periods before ({_size(float(changes.max()), kind)}){_more(len(hit))}; compare "
            "it with the originator's page.",
            len(hit),
        )  # fmt: skip


def past_revisions(rows: pd.DataFrame, kind: str) -> pd.Series[float]:
    """Sizes of all revisions between releases of one figure, on the scale of the kind of series."""
    ordered = rows[rows["value"].notna()].sort_values(["published_at", "release"], kind="stable")
    scaled = _scaled(ordered["value"], kind)
    steps = scaled.groupby([ordered[name] for name in FIGURE_KEY]).diff().dropna().abs()
    return steps[steps > 0]


def _scaled(values: pd.Series[float], kind: str) -> pd.Series[float]:
    """Logarithms of levels, square roots of counts (whose noise they make alike), others as they are."""
    if kind == "level":
        return values.where(values > 0).map(np.log)
    return values.clip(lower=0).map(np.sqrt) if kind == "count" else values


def _size(change: float, kind: str) -> str:
    if kind == "level":
        return f"a factor of {np.exp(change):.3g}"
    return f"{change:.3g} {'on the scale of square roots' if kind == 'count' else 'points'}"


# --- the same thing twice


def _doubles(
    rows: pd.DataFrame, store: Store, held: pd.DataFrame, kinds: dict[str, str]
) -> Iterator[Finding]:
    """Figures of a period from two sources or in two cuts, and reports of several bodies that may be one."""
    columns = ["series", "unit", "period_start", "period_end", "source", "value", "published_at"]
    both = pd.concat([held[columns], rows[columns]], ignore_index=True).drop_duplicates()
    pairs = rows[columns].merge(both, on=["series", "unit"], suffixes=("", "_other"))
    overlap = (pairs["period_start"] <= pairs["period_end_other"]) & (
        pairs["period_start_other"] <= pairs["period_end"]
    )
    other = (pairs["source"] != pairs["source_other"]) | (
        (pairs["period_start"] != pairs["period_start_other"])
        | (pairs["period_end"] != pairs["period_end_other"])
    )
    pairs = pairs[overlap & other]
    is_report = pairs["series"].map(kinds).eq("report")
    used = {
        (str(name), unit)
        for row in store.indicators.to_dict("records")
        for name in (row["series"], row["exposure_series"])
        for unit in str(row["units"]).split("+")
    }
    plain = pairs[~is_report].drop_duplicates(["series", "unit", "period_start", "period_end", "source"])
    for (series, unit), group in plain.groupby(["series", "unit"], sort=True):
        row = group.iloc[0]
        read = (str(series), str(unit)) in used
        yield Finding(
            "double", "refusal" if read else "warning", str(series), str(unit),
            f"{series} of {unit} in {_period(row)} from {row['source']} is also there from "
            f"{row['source_other']} ({row['period_start_other']:%Y-%m-%d} to "
            f"{row['period_end_other']:%Y-%m-%d}){_more(len(group))}: the same would be counted "
            f"twice; leave one out{', or give yours a series of its own' if read else ''}.",
            len(group),
        )  # fmt: skip
    near = (pairs["published_at"] - pairs["published_at_other"]).abs() <= ONE_REPORT
    alike = np.isclose(pairs["value"].astype(float), pairs["value_other"].astype(float), rtol=0.01)
    twins = pairs[is_report & near & alike & (pairs["source"] != pairs["source_other"])]
    twins = twins.drop_duplicates(["series", "unit", "source", "published_at"])
    twin: Any
    for twin in twins.head(SHOWN).to_dict("records"):
        yield Finding(
            "double", "warning", str(twin["series"]), str(twin["unit"]),
            f"{twin['series']} of {twin['unit']}: {twin['source']} says {twin['value']:g} within a week of "
            f"{twin['source_other']}; reports with one root are one, so leave out the one that repeats.",
        )  # fmt: skip


def _senders(rows: pd.DataFrame) -> Iterator[Finding]:
    """Months counted from lists of sanctions of which another intake had others: neither has them all."""
    named = rows[rows["series"].str.startswith("sanctions_") & rows["status"].isin(["revised", "older"])]
    for row in named.to_dict("records"):
        now, before = (set(SENDER.findall(str(row[name] or ""))) for name in ("note", "held_note"))
        if now and before - now:
            yield Finding(
                "double", "refusal", str(row["series"]), str(row["unit"]),
                f"sanctions of {_period(row)} are held as counted from the lists of "
                f"{' '.join(sorted(before))}, and would now be from {' '.join(sorted(now))}: take in "
                "the lists of all senders at once, with --file for each.",
                len(named),
            )  # fmt: skip
            return


# --- words and series


def _newest_values(held: pd.DataFrame, unit: Any) -> pd.Series[float]:
    rows = held[held["unit"] == unit].sort_values(["published_at", "release"], kind="stable")
    rows = rows.drop_duplicates(["period_start", "period_end"], keep="last").dropna(subset=["value"])
    found: pd.Series[float] = rows.set_index("period_start")["value"].sort_index()
    return found


def _values(held: pd.DataFrame, series: Any, unit: Any) -> pd.Series[float]:
    return _newest_values(held[held["series"] == series], unit)


def _period(row: Any) -> str:
    first, last = row["period_start"], row["period_end"]
    if first.year != last.year or (last - first).days > 31:
        year = first.year == last.year and (last - first).days > 300
        return f"{first:%Y}" if year else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{first:%Y-%m}" if first != last else f"{first:%Y-%m-%d}"


def _more(number: int) -> str:
    return f" (and {number - 1:,} more figures)" if number > 1 else ""


def _few(units: list[str]) -> str:
    more = len(units) - SHOWN
    return ", ".join(units[:SHOWN]) + (f" and {more} more" if more > 0 else "")
