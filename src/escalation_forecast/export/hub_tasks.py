"""The modelling tasks that a run answers in hubverse terms: what a round asks, and the rows that answer.

Tasks follow the hubverse schema v6.0.0 (hubverse-org/schemas, ``tasks-schema.json``): a group of tasks is
every combination of its target, locations and horizons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.archive import Run
from escalation_forecast.export import source
from escalation_forecast.export.source import Answered

TASK_IDS: Final = ("origin_date", "target", "location", "horizon", "target_end_date")
COLUMNS: Final = (*TASK_IDS, "output_type", "output_type_id", "value")
# Literals, not numbers computed: 0.1 + 0.2 is no level of a quantile.
LEVELS: Final = (
    "0.01", "0.025", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5", "0.55",
    "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95", "0.975", "0.99",
)  # fmt: skip
GROWTH_AT: Final = ("-10", "-5", "0", "2.5", "5", "8", "10", "15", "20", "30")
"""Values of growth, per cent, at which the cdf is given; 5 and 8 are thresholds of the questions."""
LADDER: Final = {"0-2": 0, "3": 3, "4-5": 4}
NO_YES: Final = ("no", "yes")
HORIZONS: Final = (1, 3, 6, 12, 24, 36)
SAMPLES: Final = 100
COMPOUND: Final = ("origin_date", "target")
"""What a sample keeps fixed: locations and horizons of one target are drawn jointly."""
LONGEST_ID: Final = 30
LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Group:
    """One group of modelling tasks and the rows that answer it."""

    config: dict[str, Any]
    rows: pd.DataFrame


def groups(run: Run) -> list[Group]:
    """Every group of tasks that the run answers.

    Growth of spending (quantile, cdf, sample), latent risk (quantile, sample), the ladder of force (pmf),
    counts (pmf) and questions with yes or no (pmf).
    """
    found = [*_growth(run), *_risk(run), *_ladder(run)]
    return found + _questions(run)


def _growth(run: Run) -> list[Group]:
    growth = source.coming_growth(run)
    day = source.as_of(run)
    has = growth.notnull().all("sample")
    by_years: dict[tuple[int, ...], list[str]] = {}
    for state in growth["state"].values:
        years = tuple(int(year) for year in growth["year"].values[has.sel(state=state).values])
        if years:
            by_years.setdefault(years, []).append(str(state))
    made = []
    for years, states in by_years.items():
        values = growth.sel(state=states, year=list(years)).rename(state="location", year="horizon")
        horizons = [source.months_ahead(day, source.year_end(year)) for year in years]
        values = values.assign_coords(horizon=horizons)
        about = {
            "target_id": "growth-first-print",
            "target_name": "Real growth of military spending, first print",
            "target_units": "per cent",
            "target_type": "continuous",
            "description": "Simple growth at constant prices of the calendar year that ends on "
            "target_end_date, as the first edition of the SIPRI Military Expenditure Database that covers it "
            "prints it.",
        }
        made.append(_continuous(day, values, about, "g", at=GROWTH_AT))
    return made


def _horizons(run: Run) -> list[int]:
    longest = int(run.summary["horizon_months"])
    return [n for n in HORIZONS if n <= longest] or [longest]


def _risk(run: Run) -> list[Group]:
    values = source.coming_risk(run, _horizons(run)).rename(theatre="location")
    about = {
        "target_id": "latent-risk",
        "target_name": "Latent risk of the month, on the scale of 2010-2019",
        "target_units": "standard deviations of 2010-2019",
        "target_type": "continuous",
        "description": "The model's latent; there is no outcome to compare it with. Location `global` is the "
        "common factor.",
    }
    return [_continuous(source.as_of(run), values, about, "r")]


def _continuous(
    day: pd.Timestamp, values: xr.DataArray, about: Mapping[str, str], prefix: str, at: Sequence[str] = ()
) -> Group:
    """Quantiles, the cdf at `at` and joint samples of values with dims (sample, location, horizon)."""
    draws = values.transpose("sample", "location", "horizon").values.astype(float)
    quantiles = np.quantile(draws, [float(level) for level in LEVELS], axis=0)
    parts = [_rows(day, values, about["target_id"], "quantile", LEVELS, quantiles)]
    real = {"type": "double"}
    types: dict[str, Any] = {
        "quantile": {
            "output_type_id": {"required": [float(level) for level in LEVELS]},
            "value": real,
            "is_required": True,
        }
    }
    if at:
        shares = np.stack([(draws <= float(x)).mean(axis=0) for x in at])
        parts.append(_rows(day, values, about["target_id"], "cdf", at, shares))
        types["cdf"] = {
            "output_type_id": {"required": [_number(x) for x in at]},
            "value": {"type": "double", "minimum": 0, "maximum": 1},
            "is_required": True,
        }
    kept = chosen(len(draws))
    names = [f"{prefix}{k:04d}" for k in range(len(kept))]
    parts.append(_rows(day, values, about["target_id"], "sample", names, draws[kept]))
    types["sample"] = {
        "output_type_id_params": {
            "type": "character",
            "max_length": len(names[0]),
            "min_samples_per_task": len(kept),
            "max_samples_per_task": len(kept),
            "compound_taskid_set": list(COMPOUND),
        },
        "value": real,
        "is_required": True,
    }
    return Group(_config(day, values, about, types), pd.concat(parts, ignore_index=True))


def chosen(draws: int) -> np.ndarray:
    """Which draws are given as samples: evenly spaced, the same ones for every target."""
    return np.unique(np.linspace(0, draws - 1, min(SAMPLES, draws)).round().astype(int))


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _ladder(run: Run) -> list[Group]:
    values = source.coming_ladder(run, _horizons(run)).rename(theatre="location")
    shares = np.stack([(values == level).mean("sample").values for level in LADDER.values()])
    about = {
        "target_id": "force-ladder",
        "target_name": "Level of the use-of-force ladder in the month",
        "target_units": "level: 0-2 below a display of force, 3 display of force, 4-5 use of force or war",
        "target_type": "ordinal",
        "description": "Highest level coded for the theatre in the month of target_end_date, by the code "
        "book of question use-of-force.",
    }
    return [_categories(source.as_of(run), values, about, tuple(LADDER), shares)]


def _categories(
    day: pd.Timestamp,
    values: xr.DataArray,
    about: Mapping[str, str],
    names: Sequence[str],
    shares: np.ndarray,
) -> Group:
    types = {
        "pmf": {
            "output_type_id": {"required": list(names)},
            "value": {"type": "double", "minimum": 0, "maximum": 1},
            "is_required": True,
        }
    }
    rows = _rows(day, values, about["target_id"], "pmf", names, shares)
    return Group(_config(day, values, about, types), rows)


def _questions(run: Run) -> list[Group]:
    """Answers that are yes or no, or a count; one group for every target and set of horizons."""
    asked: dict[tuple[str, str], dict[str, dict[int, Answered]]] = {}
    for answer in source.answers(run):
        if answer.kind == "binary" or (answer.kind == "count" and answer.entry["distribution"]):
            name = "/".join(filter(None, (answer.question, answer.combine)))
            asked.setdefault((name, answer.kind), {}).setdefault(answer.place, {})[answer.horizon] = answer
    made = []
    for (name, kind), places in asked.items():
        by_horizons: dict[tuple[int, ...], list[str]] = {}
        for place, answered in places.items():
            by_horizons.setdefault(tuple(answered), []).append(place)
        for horizons, locations in by_horizons.items():
            picked = [[places[place][n] for n in horizons] for place in locations]
            made.append(_asked(run, name, kind, locations, horizons, picked))
    return made


def _asked(
    run: Run,
    name: str,
    kind: str,
    locations: Sequence[str],
    horizons: Sequence[int],
    picked: Sequence[Sequence[Answered]],
) -> Group:
    entry = picked[0][0].entry
    if kind == "binary":
        names = NO_YES
        yes = np.array([[one.entry["probability"] for one in row] for row in picked])
        shares = np.stack([1 - yes, yes])
    else:
        names = tuple(entry["distribution"])
        shares = np.array([[[one.entry["distribution"][k] for one in row] for row in picked] for k in names])
    about = {
        "target_id": target_id(name),
        "target_name": str(entry["title"])[:LONGEST_NAME],
        "target_units": "no or yes" if kind == "binary" else "count",
        "target_type": "binary" if kind == "binary" else "ordinal",
        "description": f"{entry['title']}. Resolves on: {entry['resolves_on']}. The location is the part of "
        f"question {picked[0][0].question}, `{source.EVERYWHERE}` if it has none; the window ends on "
        "target_end_date.",
    }
    values = xr.DataArray(
        shares[0], {"location": list(locations), "horizon": list(horizons)}, ("location", "horizon")
    )
    return _categories(source.as_of(run), values, about, names, shares)


def target_id(name: str) -> str:
    """The name itself, or a short form with a checksum: the schema allows 30 characters."""
    if len(name) <= LONGEST_ID:
        return name
    return f"{name[: LONGEST_ID - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _rows(
    day: pd.Timestamp, values: xr.DataArray, target: str, kind: str, names: Sequence[str], numbers: np.ndarray
) -> pd.DataFrame:
    """Long form of `numbers` with dims (name, location, horizon), the name varying fastest."""
    locations, horizons = values["location"].values.tolist(), values["horizon"].values.tolist()
    index = pd.MultiIndex.from_product(
        [map(str, locations), map(int, horizons), names], names=["location", "horizon", "output_type_id"]
    )
    frame = pd.DataFrame({"value": np.moveaxis(numbers, 0, -1).reshape(-1)}, index=index).reset_index()
    ends = {int(n): source.month_end(day, int(n)).date() for n in horizons}
    frame = frame.assign(
        origin_date=day.date(),
        target=target,
        target_end_date=frame["horizon"].map(ends),
        output_type=kind,
    )
    return frame[list(COLUMNS)]


def _config(
    day: pd.Timestamp, values: xr.DataArray, about: Mapping[str, str], types: dict[str, Any]
) -> dict[str, Any]:
    horizons = sorted(int(n) for n in values["horizon"].values)
    ends = [source.month_end(day, n).date().isoformat() for n in horizons]
    target = about["target_id"]
    return {
        "task_ids": {
            "origin_date": {"required": None, "optional": [day.date().isoformat()]},
            "target": {"required": [target], "optional": None},
            "location": {"required": [str(name) for name in values["location"].values], "optional": None},
            "horizon": {"required": horizons, "optional": None},
            "target_end_date": {"required": None, "optional": ends},
        },
        "output_type": types,
        "target_metadata": [
            {
                **about,
                "target_keys": {"target": target},
                "is_step_ahead": True,
                "time_unit": "month",
            }
        ],
    }
