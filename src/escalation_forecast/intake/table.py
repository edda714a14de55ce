"""A table of one's own as figures of the store, by a mapping of its columns."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.intake.loading import LOADINGS
from escalation_forecast.schema import GLOBAL, OBSERVATION_COLUMNS, THEATRES, DataError
from escalation_forecast.tables import nearest, read_csv

FREQUENCIES: Final = {"news": "M", "count": "M", "share": "M", "annual": "A", "troops": "Q"}
COMBINED: Final = {"news": "mean", "count": "sum", "share": "sum", "annual": "mean", "troops": "last"}
TRANSFORMS: Final = ("none", "difference", "percent", "exp")
COMBINE: Final = ("sum", "mean", "last", "max")
PERIODS: Final = {"M": "M", "A": "Y", "Q": "Q"}
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
LONGEST_LAG: Final = 1000


@dataclass(frozen=True)
class Mapping:
    """What the columns of a table mean.

    Attributes
    ----------
    indicator : name, in small letters.
    unit : state, dyad or theatre that the figures are of (KOR, PRK-RUS, korea).
    date, value : columns. A date is a day, a month (2026-05), a quarter (2026Q2) or a year.
    total : of a share, the column of which `value` is a part.
    published : column with the day of publication; else `lag` days after the end of the period.
    transform : ``none``, ``difference`` or ``percent`` from the period before, ``exp``.
    scale : what a value is multiplied by first.
    combine : how several rows of a period become one; by family, by default.
    options : as in ``indicators.csv``.
    loading : 90 per cent interval of what a rise of tension by one standard deviation does, in the words of
        `loading.LOADINGS`; None keeps the default of the family.
    """

    indicator: str
    family: str
    theatre: str
    unit: str
    date: str = "date"
    value: str = "value"
    total: str = ""
    published: str = ""
    lag: int = 5
    unit_of_measure: str = "points"
    transform: str = "none"
    scale: float = 1.0
    combine: str = ""
    options: str = ""
    start: str = ""
    note: str = ""
    loading: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.indicator):
            raise DataError(
                f"`{self.indicator}` is no name of an indicator; use small letters, digits and underscores."
            )
        for name, value, known in (
            ("family", self.family, tuple(LOADINGS)),
            ("theatre", self.theatre, (*THEATRES, GLOBAL)),
            ("transform", self.transform, TRANSFORMS),
            ("combine", self.combine or "sum", COMBINE),
        ):
            if value not in known:
                raise DataError(f"Unknown {name} `{value}`{nearest(value, known)}; use {', '.join(known)}.")
        if not 0 <= self.lag <= LONGEST_LAG:
            raise DataError(f"A lag of {self.lag} days is out of range; give 0 to {LONGEST_LAG}.")
        if not (np.isfinite(self.scale) and self.scale != 0):
            raise DataError(f"A scale of {self.scale} leaves no figures; give a number other than 0.")
        if (self.family == "share") != bool(self.total):
            raise DataError("A share needs the column of its totals (--total), and only a share has one.")
        if self.transform != "none" and self.family in ("count", "share"):
            raise DataError(f"A {self.family} is of whole numbers; leave the transform out.")

    @classmethod
    def read(cls, path: Path) -> Mapping:
        """Of a TOML file with these keys.

        Raises
        ------
        DataError
        """
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not TOML ({error}); correct it.") from None
        return cls.of(given, str(path))

    @classmethod
    def of(cls, given: dict[str, Any], where: str) -> Mapping:
        """Of keys and values; `where` names them in complaints."""
        fields = {one.name: one for one in dataclasses.fields(cls)}
        for key, value in given.items():
            if key not in fields:
                raise DataError(f"{where}: there is no key `{key}`{nearest(key, fields)}; take it out.")
            kind = {"lag": int, "scale": (int, float), "loading": (list, tuple)}.get(key, str)
            if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
                raise DataError(f"{where}: `{key}` cannot be {value!r}; see docs/live-data.md.")
        missing = [name for name in ("indicator", "family", "theatre", "unit") if not given.get(name)]
        if missing:
            raise DataError(f"{where}: {', '.join(missing)} must be given; see docs/live-data.md.")
        if (loading := given.get("loading")) is not None:
            if len(loading) != 2 or not all(isinstance(v, int | float) for v in loading):
                raise DataError(f"{where}: `loading` is two numbers, the ends of an interval.")
            given = {**given, "loading": (float(loading[0]), float(loading[1]))}
        return cls(**given)

    @property
    def exposure(self) -> str:
        """Name of the series of totals."""
        return f"{self.indicator}_of" if self.total else ""

    def to_toml(self) -> str:
        """The file that `read` reads."""
        lines = []
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if value == one.default:
                continue
            if isinstance(value, tuple):
                lines.append(f"{one.name} = [{value[0]!r}, {value[1]!r}]")
            elif isinstance(value, str):
                text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
                lines.append(f'{one.name} = "{text}"')
            else:
                lines.append(f"{one.name} = {value!r}")
        return "\n".join(lines) + "\n"


def columns_of(file: Path | str) -> list[str]:
    """Names of the columns of a CSV file.

    Raises
    ------
    DataError
    """
    return list(_table(Path(file)).columns)


def figures_of(path: Path, mapping: Mapping, received: dt.date) -> tuple[pd.DataFrame, int]:
    """Figures of a table in the schema of the store, and the number of periods that are not public yet.

    Raises
    ------
    DataError
        With row and column of what is no date or number.
    """
    table = _table(path)
    frequency = FREQUENCIES[mapping.family]
    wanted = [mapping.date, mapping.value, *filter(None, (mapping.total, mapping.published))]
    for name in wanted:
        if name not in table.columns:
            raise DataError(
                f"{path} has no column `{name}`{nearest(name, table.columns)}; it has "
                f"{', '.join(map(str, table.columns))}."
            )
    table = table[(table[wanted] != "").any(axis=1)]
    filled = table[table[mapping.value] != ""]
    if filled.empty:
        raise DataError(f"{path} has no figure in `{mapping.value}`; give another column with --value.")
    data = pd.DataFrame({"period": _periods(path, filled, mapping.date, frequency)})
    for name, column in (("value", mapping.value), ("total", mapping.total)):
        if column:
            data[name] = _numbers(path, filled, column) * (mapping.scale if name == "value" else 1.0)
    if mapping.published:
        data["published"] = _days(path, filled, mapping.published)
    how = mapping.combine or COMBINED[mapping.family]
    grouped = data.groupby("period", sort=True)
    out = pd.DataFrame({name: grouped[name].agg(how) for name in data.columns if name in ("value", "total")})
    out["value"] = _transformed(out["value"], mapping.transform)
    out = out[out["value"].notna() & np.isfinite(out["value"])]
    ends = out.index.to_timestamp(how="end").normalize().as_unit("us")
    published = (
        grouped["published"].max().reindex(out.index).to_numpy()
        if mapping.published
        else (ends + pd.Timedelta(days=mapping.lag)).to_numpy()
    )
    starts = out.index.to_timestamp(how="start").as_unit("us")
    parts = [(mapping.indicator, out["value"], mapping.unit_of_measure)]
    if mapping.total:
        parts.append((mapping.exposure, out["total"], mapping.unit_of_measure))
    frames = [
        pd.DataFrame(
            {
                "series": series, "unit": mapping.unit, "period_start": starts, "period_end": ends,
                "value": values.to_numpy(float), "low": np.nan, "high": np.nan, "unit_of_measure": measure,
                "source": "user", "release": str(received),
                "published_at": pd.DatetimeIndex(published).as_unit("us"),
                "quality": "reported" if mapping.published else "reported;pseudo_vintage", "note": "",
            },
            columns=list(OBSERVATION_COLUMNS),
        )
        for series, values, measure in parts
    ]  # fmt: skip
    rows = pd.concat(frames, ignore_index=True)
    public = rows["published_at"] <= pd.Timestamp(received)
    if not public.any():
        raise DataError(
            f"No figure of {path} is public by {received} with a lag of {mapping.lag} days; check the dates."
        )
    return rows[public].reset_index(drop=True), int((~public).sum() // len(parts))


def _table(path: Path) -> pd.DataFrame:
    """Any CSV file as text, with the row of the sheet as index."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = pd.read_csv(file, nrows=0).columns
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} is no readable CSV file ({error}); save it as CSV UTF-8.") from None
    table, problems = read_csv(path, str(path), list(map(str, header)))
    if problems:
        raise DataError(str(problems[0]))
    return table.set_index("row").drop(columns="file")


def _fault(path: Path, rows: pd.Series[Any], bad: pd.Series[bool], what: str) -> DataError:
    row = bad.index[bad.to_numpy()][0]
    more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
    return DataError(f"{path}, row {row}: {rows.name} `{rows[row]}` {what}{more}.")


def _numbers(path: Path, table: pd.DataFrame, column: str) -> pd.Series[float]:
    found = pd.to_numeric(table[column], errors="coerce").astype("float64")
    if (bad := ~found.map(np.isfinite).astype(bool)).any():
        raise _fault(path, table[column], bad, "is not a number; write plain digits with a decimal point")
    return found


def _days(path: Path, table: pd.DataFrame, column: str) -> pd.Series[Any]:
    found = pd.to_datetime(table[column], format="%Y-%m-%d", errors="coerce")
    if (bad := found.isna()).any():
        raise _fault(path, table[column], bad, "is not a day; write it as YYYY-MM-DD")
    return found


def _periods(path: Path, table: pd.DataFrame, column: str, frequency: str) -> pd.Series[Any]:
    """Dates as periods of the family's frequency; a date that is longer than it is refused."""
    order = "DMQA"

    def period(text: str) -> Any:
        for form, own in (
            (r"\d{4}-\d{2}-\d{2}", "D"), (r"\d{4}-\d{2}", "M"), (r"\d{4}[- ]?Q[1-4]", "Q"), (r"\d{4}", "A"),
        ):  # fmt: skip
            if re.fullmatch(form, text):
                if order.index(own) > order.index(frequency):
                    return None
                try:
                    found = pd.Period(text.replace(" ", ""), freq="Y" if own == "A" else own)
                    return found.asfreq(PERIODS[frequency])
                except ValueError:
                    return None
        return None

    found = table[column].map(period)
    if (bad := found.isna()).any():
        names = {"M": "a day or a month (YYYY-MM)", "Q": "a quarter (2026Q2) or shorter", "A": "a year"}
        raise _fault(path, table[column], bad, f"is not {names[frequency]}, as this family needs")
    return found


def _transformed(values: pd.Series[float], transform: str) -> pd.Series[float]:
    """Differences only from the period just before."""
    if transform == "exp":
        return values.map(np.exp)
    if transform == "none":
        return values
    every = values.reindex(pd.period_range(values.index.min(), values.index.max(), freq=values.index.freq))  # type: ignore[attr-defined]
    change = every.diff() if transform == "difference" else 100.0 * every.pct_change(fill_method=None)
    return change.reindex(values.index)
