"""What a sound data folder looks like: the checks on figures, indicators and catalogues."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from escalation_forecast.schema import (
    DATE_COLUMNS,
    FAMILIES,
    FIGURE_KEY,
    GLOBAL,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    QUALITIES,
    THEATRES,
)
from escalation_forecast.tables import Problem, Tables, nearest, read_tables

RELEASE_KEY: Final = [*FIGURE_KEY, "release"]
REQUIRED: Final = tuple(name for name in OBSERVATION_COLUMNS if name not in (*NUMBER_COLUMNS, "note"))
# source key free for figures that a user adds
USER: Final = "user"
FLAGS: Final = ("trend", "memory", "anchor")
OPTION_FORMS: Final = "use trend, memory, anchor, group=NAME, sign=-1 or drop=QUALITY, joined by `;`"
OPTIONS: Final = (*FLAGS, "group", "sign", "drop")

# ISO 3166-1 alpha-3, EUR for the sum over the European hosts
STATE_CODES: Final = frozenset(
    re.findall(
        "[A-Z]{3}",
        """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD BGR BHR BHS
BIH BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV
CRI CUB CUW CXR CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH ESP EST ETH FIN FJI FLK FRA FRO FSM
GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN
IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE
LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS
MWI MYS MYT NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK
PRT PRY PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP SUR
SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA UGA UKR UMI URY
USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM XKX YEM ZAF ZMB ZWE EUR
        """,
    )
)


@lru_cache(maxsize=4096)
def unit_fault(unit: str) -> str:
    """What is wrong with a unit label, empty if nothing is."""
    if unit in THEATRES or unit == "WLD" or unit in STATE_CODES:
        return ""
    parts = re.split(r"[>-]", unit)
    if len(parts) == 2 and all(parts):
        for part in parts:
            if part not in STATE_CODES:
                return f"`{part}` is not an ISO 3166 alpha-3 code{nearest(part, sorted(STATE_CODES))}"
        if parts[0] == parts[1]:
            return "a dyad needs two different states"
        if "-" in unit and parts[0] > parts[1]:
            return f"an undirected dyad is in alphabetical order, `{parts[1]}-{parts[0]}`"
        return ""
    hint = nearest(unit, [*THEATRES, "WLD", *sorted(STATE_CODES)])
    return f"it is not a state (KOR), dyad (A>B or A-B), theatre or WLD{hint}"


def validate(root: Path | str) -> list[Problem]:
    """Everything wrong in a data folder, sorted by file and row; empty when it is sound."""
    return table_problems(read_tables(Path(root)))


def table_problems(tables: Tables) -> list[Problem]:
    """Problems met in reading, then those of each table held against the others."""
    problems = list(tables.problems)
    # without its header a table is empty, and everything that refers to it would be reported as unknown
    if not any(problem.row <= 1 for problem in problems):
        problems += _observation_problems(tables) + _indicator_problems(tables) + _catalogue_problems(tables)
    return sorted(problems)


class Rule(NamedTuple):
    """A check, true where sound, of one column or (`whole`) of the row, and what to say where it fails."""

    column: str
    name: str
    sound: Callable[[Any], Any]
    say: Callable[[Any], tuple[str, str]]
    whole: bool = False


def _observation_problems(tables: Tables) -> list[Problem]:
    # pandera takes half a second to import and only reading needs it
    import pandera.pandas as pa

    frame = _with_catalogue(tables)
    rules = [*_cell_rules(tables), *_row_rules()]
    types = dict.fromkeys(DATE_COLUMNS, "datetime64[us]") | dict.fromkeys(NUMBER_COLUMNS, "float64")
    schema = pa.DataFrameSchema(
        columns={
            name: pa.Column(
                types.get(name),
                nullable=name not in REQUIRED,
                checks=[pa.Check(r.sound, name=r.name) for r in rules if r.column == name and not r.whole],
            )
            for name in OBSERVATION_COLUMNS
        },
        checks=[pa.Check(rule.sound, name=rule.name, ignore_na=False) for rule in rules if rule.whole],
    )
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        failed = errors.failure_cases[["schema_context", "column", "check", "index"]]
        by_name = {rule.name: rule for rule in rules}
        rows = frame.loc[failed["index"].unique()].to_dict("index")
        found = set()
        for context, column, check, index in failed.drop_duplicates().itertuples(index=False):
            row = rows[index]
            if check == "not_nullable":
                said = f"{column} is blank", "fill it in; only value, low, high and note may be blank"
            else:
                rule = by_name[str(check)]
                column, said = (
                    rule.column,
                    rule.say(row if context == "DataFrameSchema" else row[rule.column]),
                )
            found.add(Problem(str(row["file"]), int(row["row"]), str(column), *said))
        return list(found)
    return []


def _with_catalogue(tables: Tables) -> pd.DataFrame:
    """Observations with what the catalogue says of their series beside them; blank text as missing."""
    frame = tables.observations.reset_index(drop=True)
    text = [name for name in OBSERVATION_COLUMNS if name not in (*DATE_COLUMNS, *NUMBER_COLUMNS)]
    frame[text] = frame[text].mask(frame[text] == "")
    catalogue = tables.series.drop_duplicates("series").set_index("series")
    for name in ("unit_of_measure", "frequency", "kind", "published_before_end", "min", "max"):
        frame[f"series_{name}"] = frame["series"].map(catalogue[name])
    frame["twin"] = ""
    again = frame.duplicated(RELEASE_KEY)
    if again.any():
        group = frame.groupby(RELEASE_KEY, dropna=False).ngroup()
        first = group[~again].reset_index().set_index(0)["index"]
        other = frame.loc[first.loc[group[again]].to_numpy()]
        frame.loc[again, "twin"] = [
            f"row {r} of {f}" for f, r in zip(other["file"], other["row"], strict=True)
        ]
    return frame


def _sound_words(column: pd.Series[Any], fault: Callable[[str], str]) -> pd.Series[bool]:
    """Whether each cell has no fault; few different words stand in many rows."""
    return column.isin([word for word in column.dropna().unique() if not fault(str(word))]) | column.isna()


def _cell_rules(tables: Tables) -> list[Rule]:
    series, sources = list(tables.series["series"]), list(tables.sources["source"])
    return [
        Rule(
            "series", "known series", lambda c: c.isin(series),
            lambda v: (f"unknown series `{v}`{nearest(v, series)}", "correct it or add it to series.csv"),
        ),
        Rule(
            "unit", "known unit", lambda c: _sound_words(c, unit_fault),
            lambda v: (f"unknown unit `{v}`: {unit_fault(v)}", "correct the label"),
        ),
        Rule(
            "source", "known source", lambda c: c.isin([*sources, USER]),
            lambda v: (
                f"unknown source `{v}`{nearest(v, sources)}",
                f"use a key of sources.csv, or `{USER}` for figures of your own",
            ),
        ),
        Rule(
            "quality", "known quality", lambda c: _sound_words(c, _quality_fault),
            lambda v: (f"unknown quality {_quality_fault(v)}", f"use {', '.join(QUALITIES)}, joined by `;`"),
        ),
    ]  # fmt: skip


@lru_cache(maxsize=1024)
def _quality_fault(quality: str) -> str:
    unknown = [part for part in quality.split(";") if part not in QUALITIES]
    return f"`{unknown[0]}`{nearest(unknown[0], QUALITIES)}" if unknown else ""


def _outside(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame[list(NUMBER_COLUMNS)]
    return numbers.lt(frame["series_min"], axis=0) | numbers.gt(frame["series_max"], axis=0)


def _one_period(frame: pd.DataFrame) -> pd.Series[bool]:
    start, end, frequency = frame["period_start"].dt, frame["period_end"].dt, frame["series_frequency"]
    one_year = start.year == end.year
    spans = (frequency == "A") & ~one_year | (frequency == "M") & ~(one_year & (start.month == end.month))
    # a report is about a day, a range of days or "by now"
    sound: pd.Series[bool] = ~spans | (frame["series_kind"] == "report")
    return sound


def _row_rules() -> list[Rule]:
    """Checks of cells against each other; a missing cell is somebody else's complaint, so it passes."""
    return [
        Rule(
            "unit_of_measure", "unit of measure",
            lambda f: (f["unit_of_measure"] == f["series_unit_of_measure"])
            | f[["unit_of_measure", "series_unit_of_measure"]].isna().any(axis=1),
            lambda r: (
                f"{r['series']} is measured in `{r['series_unit_of_measure']}`, not `{r['unit_of_measure']}`",
                "convert the figure or correct the unit_of_measure",
            ), True,
        ),
        Rule(
            "period_end", "period order", lambda f: ~(f["period_end"] < f["period_start"]),
            lambda r: (
                f"the period ends on {_day(r['period_end'])}, before it starts on {_day(r['period_start'])}",
                "exchange or correct the dates",
            ), True,
        ),
        Rule(
            "period_end", "one period", _one_period,
            lambda r: (
                f"{_day(r['period_start'])} to {_day(r['period_end'])} is not within one "
                f"{'year' if r['series_frequency'] == 'A' else 'month'}, as figures of {r['series']} are",
                "split it or correct the dates",
            ), True,
        ),
        Rule(
            "published_at", "published after its period",
            lambda f: ~(f["published_at"] < f["period_end"]) | (f["series_published_before_end"] != False),  # noqa: E712
            lambda r: (
                f"published_at {_day(r['published_at'])} is before the period ends, {_day(r['period_end'])}",
                "correct the dates, or set published_before_end for the series in series.csv",
            ), True,
        ),
        Rule(
            "value", "not empty", lambda f: f[list(NUMBER_COLUMNS)].notna().any(axis=1),
            lambda r: ("there is no value and no bound", "give value, low or high, or delete the row"), True,
        ),
        Rule(
            "value", "in range", lambda f: ~_outside(f).any(axis=1),
            lambda r: (
                f"{_range_fault(r)} is outside what {r['series']} can be, "
                f"{r['series_min']:g} to {r['series_max']:g} {r['series_unit_of_measure']}",
                "correct the figure, or the range in series.csv",
            ), True,
        ),
        Rule(
            "low", "bounds order", lambda f: ~(f["low"] > f["high"]),
            lambda r: (f"low {r['low']:g} is above high {r['high']:g}", "exchange or correct the bounds"),
            True,
        ),
        Rule(
            "value", "within bounds",
            lambda f: ~((f["value"] < f["low"]) | (f["value"] > f["high"])) | (f["low"] > f["high"]),
            lambda r: (
                f"value {r['value']:g} is outside its own bounds, {r['low']:g} to {r['high']:g}",
                "correct the value or the bounds",
            ), True,
        ),
        Rule(
            "release", "figure given once", lambda f: f["twin"] == "",
            lambda r: (
                f"release {r['release']} of {r['series']} {r['unit']} {_day(r['period_start'])} "
                f"is already in {r['twin']}",
                "delete one of them, or give a revision its own release",
            ), True,
        ),
    ]  # fmt: skip


def _day(date: pd.Timestamp) -> str:
    return "without a period" if pd.isna(date) else f"{date:%Y-%m-%d}"


def _range_fault(row: Any) -> str:
    bad = [n for n in NUMBER_COLUMNS if row[n] < row["series_min"] or row[n] > row["series_max"]]
    return " and ".join(f"{name} {row[name]:g}" for name in bad)


# --- catalogues


def _indicator_problems(tables: Tables) -> list[Problem]:
    held = {str(name): set(units) for name, units in tables.observations.groupby("series")["unit"]}
    seen: dict[str, str] = {}
    problems = []
    for row in tables.indicators.to_dict("records"):
        for column, message, remedy in _indicator_faults(row, list(tables.series["series"]), held):
            problems.append(Problem(row["file"], row["row"], column, message, remedy))
        place = f"row {row['row']} of {row['file']}"
        if row["indicator"] and row["indicator"] in seen:
            message = f"the indicator `{row['indicator']}` is already in {seen[row['indicator']]}"
            problems.append(
                Problem(row["file"], row["row"], "indicator", message, "rename or delete one of them")
            )
        seen.setdefault(row["indicator"], place)
    return problems


def _indicator_faults(
    row: Mapping[Any, Any], series: list[str], held: dict[str, set[str]]
) -> Iterator[tuple[str, str, str]]:
    for column in ("indicator", "family", "series", "units", "theatre", "start"):
        if not row[column]:
            yield (
                column,
                f"{column} is blank",
                "fill it in; only exposure_series, options, end and note may be blank",
            )
    family, theatre, exposure = row["family"], row["theatre"], row["exposure_series"]
    theatres = (*THEATRES, GLOBAL)
    if family and family not in FAMILIES:
        yield "family", f"unknown family `{family}`{nearest(family, FAMILIES)}", f"use {', '.join(FAMILIES)}"
    if theatre and theatre not in theatres:
        yield (
            "theatre",
            f"unknown theatre `{theatre}`{nearest(theatre, theatres)}",
            f"use {', '.join(theatres)}",
        )
    if family == "share" and not exposure:
        message = "a share needs the series it is a share of"
        yield "exposure_series", message, "name it in exposure_series"
    for column in ("series", "exposure_series"):
        name = row[column]
        if name and name not in series:
            yield (
                column,
                f"unknown {column} `{name}`{nearest(name, series)}",
                "correct it or add it to series.csv",
            )
        elif name:
            for unit in row["units"].split("+") if row["units"] else ():
                known = sorted(held.get(name, set()))
                if unit not in known:
                    message = f"{name} has no figures of unit `{unit}`{nearest(unit, known)}"
                    yield "units", message, f"use {', '.join(known) or 'another series'} or add figures"
    for option in row["options"].split(";") if row["options"] else ():
        if fault := _option_fault(option):
            yield "options", fault, OPTION_FORMS
    yield from _window_faults(row)


def _option_fault(option: str) -> str:
    name, equals, value = option.partition("=")
    if name not in OPTIONS:
        return f"unknown option `{option}`{nearest(name, OPTIONS)}"
    if name in FLAGS and equals:
        return f"the option `{name}` takes no value"
    if name == "group" and not value:
        return "the option `group` needs a name"
    if name == "sign" and value not in ("1", "-1"):
        return f"the option `sign` is 1 or -1, not `{value}`"
    if name == "drop" and (fault := _quality_fault(value.replace("+", ";"))):
        return f"the option `drop` names the unknown quality {fault}"
    return ""


def _window_faults(row: Mapping[Any, Any]) -> Iterator[tuple[str, str, str]]:
    bounds = []
    for column in ("start", "end"):
        text = row[column]
        if text and not re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2]))?", text):
            yield column, f"{column} `{text}` is not a month or year", "write it as YYYY-MM or YYYY"
        elif text:
            bounds.append(text)
    if len(bounds) == 2 and bounds[1] < bounds[0]:
        yield "end", f"end {bounds[1]} comes before start {bounds[0]}", "exchange or correct them"


def _catalogue_problems(tables: Tables) -> list[Problem]:
    problems = []
    for frame, key, needed in (
        (tables.series, "series", ("series", "unit_of_measure", "description")),
        (tables.sources, "source", ("source", "title", "originator", "terms")),
    ):
        for index in frame.index[frame.duplicated(key)]:
            row = frame.loc[index]
            message = f"the {key} `{row[key]}` is listed twice"
            problems.append(Problem(row["file"], int(row["row"]), key, message, "delete one of the rows"))
        for column in needed:
            for _, row in frame[frame[column] == ""].iterrows():
                problems.append(
                    Problem(row["file"], int(row["row"]), column, f"{column} is blank", "fill it in")
                )
    for _, row in tables.series[tables.series["min"] > tables.series["max"]].iterrows():
        message = f"min {row['min']:g} is above max {row['max']:g}"
        problems.append(Problem(row["file"], int(row["row"]), "min", message, "exchange or correct them"))
    return problems
