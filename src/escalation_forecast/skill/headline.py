"""The one score of each kind of question that forecasts quote, and the scores that the project aims at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.score import tension_report
from escalation_forecast.score.compare import shared_cases, skill_table
from escalation_forecast.score.spending_cases import FIRST_PRINT
from escalation_forecast.score.spending_report import groups, in_time, samples
from escalation_forecast.score.spending_rules import COUNT
from escalation_forecast.skill import monthly, spending
from escalation_forecast.skill.folders import Evidence, Measured
from escalation_forecast.skill.stored import Score

__all__ = ["AIMS", "ANSWERED_BY", "TASK_OF", "Aim", "headlines", "kept_beside", "reached"]

ANSWERED_BY: Final = {"spending": "pool", "rule": "pool", "clash": monthly.METHOD, "tension": "joint"}
"""The model that answers the questions of a kind in a forecast; only its score is quoted."""
TASK_OF: Final = {"spending": "spending", "rule": "spending", "clash": "ladder", "tension": "tension"}
"""The backtest that measures a kind; nothing measures wars."""
FEWEST_ORIGINS: Final = 5


def headlines(evidence: Evidence) -> dict[str, Score]:
    """A score for each kind of question whose answering model was run beside its reference."""
    found: dict[str, Score | None] = {}
    if (measured := evidence.tasks.get("spending")) is not None:
        found["spending"] = _growth(measured, ANSWERED_BY["spending"])
        found["rule"] = _count(measured, ANSWERED_BY["rule"])
    if (measured := evidence.tasks.get("ladder")) is not None:
        found["clash"] = _force(measured, ANSWERED_BY["clash"])
    if (measured := evidence.tasks.get("tension")) is not None:
        found["tension"] = _tension(measured, ANSWERED_BY["tension"])
    return {kind: score for kind, score in found.items() if score is not None}


def kept_beside(stored: Mapping[str, Score], evidence: Evidence) -> dict[str, Score]:
    """The new scores, and those stored for kinds whose backtest is not among the evidence."""
    old = {kind: score for kind, score in stored.items() if TASK_OF.get(kind) not in evidence.tasks}
    return old | headlines(evidence)


def _growth(measured: Measured, model: str) -> Score | None:
    own = _first_prints(_where(spending.growth_cases(measured.cases), model))
    if own is None or not {model, spending.REFERENCE} <= set(own[1]["model"]):
        return None
    sample, part = own
    table = skill_table(part, reference=spending.REFERENCE, models=[model], order=in_time(part))
    table = table.rename(columns={"mean": "value", "reference_mean": "reference_value"})
    about = f"growth of {part['state'].nunique()} states, first print, {sample}"
    return _score(measured, model, spending.REFERENCE, "CRPS", about, "year", table)


def _where(cases: pd.DataFrame, model: str) -> pd.DataFrame:
    """The cases at origins where a model was run, so that the name of a sample counts those."""
    return cases[cases["origin"].isin(cases.loc[cases["model"] == model, "origin"])]


def _first_prints(cases: pd.DataFrame) -> tuple[str, pd.DataFrame] | None:
    """The largest sample of first prints, without the strict one."""
    kept = [
        (name, own) for name, truth, own in samples(cases) if truth == FIRST_PRINT and "strict" not in name
    ]
    return kept[-1] if kept else None


def _count(measured: Measured, model: str) -> Score | None:
    own = _where(measured.cases, model)
    table = spending.rule_skill(own[own["model"].isin([model, spending.REFERENCE])])
    if table.empty:
        return None
    table = table[(table["model"] == model) & (table["truth"] == FIRST_PRINT)]
    if table.empty:
        return None
    sample = table["sample"].iloc[-1]
    table = table[table["sample"] == sample]
    table = table.rename(columns={"mean": "value", "reference_mean": "reference_value"})
    about = f"how many of CHN, JPN, KOR and TWN build up, first print, {sample}"
    return _score(measured, model, spending.REFERENCE, "ranked score", about, "year", table)


def _force(measured: Measured, model: str) -> Score | None:
    table = monthly.ladder_skill(measured)
    table = table[table["method"] == model] if len(table) else table
    about = f"use of force in {measured.cases['theatre'].nunique()} theatres"
    return _score(measured, model, monthly.LADDER_REFERENCE, "Brier score", about, "month", table)


def _tension(measured: Measured, model: str) -> Score | None:
    reference, cases = monthly.TENSION_REFERENCE, measured.cases
    if not {model, reference} <= set(cases["model"]):
        return None
    rows: list[dict[str, Any]] = []
    for _, part in cases.groupby("horizon"):
        if not {model, reference} <= set(part["model"]):
            continue
        wide = shared_cases(part, ("origin", "series"), "crps", [model, reference])
        rows.append(
            tension_report.tension_skill(part, model)
            | {
                "value": wide[model].mean(), "reference_value": wide[reference].mean(), "n_cases": len(wide),
                "n_origins": wide.index.get_level_values("origin").nunique(),
            }
        )  # fmt: skip
    about = f"press-tension index of {cases['series'].nunique()} states"
    return _score(measured, model, reference, "CRPS", about, "month", pd.DataFrame(rows))


def _score(
    measured: Measured,
    model: str,
    reference: str,
    score: Literal["CRPS", "ranked score", "Brier score"],
    about: str,
    unit: Literal["year", "month"],
    table: pd.DataFrame,
) -> Score | None:
    """None without a horizon that has origins enough and an interval."""
    if table.empty:
        return None
    whole = np.isfinite(table[["skill", "low", "high"]].to_numpy(float)).all(axis=1)
    kept = table[whole & (table["n_origins"] >= FEWEST_ORIGINS)].sort_values("horizon")
    if kept.empty:
        return None
    return Score(
        model=model, reference=reference, score=score, about=about, unit=unit,
        horizons=tuple(int(h) for h in kept["horizon"]),
        value=_numbers(kept["value"]), reference_value=_numbers(kept["reference_value"]),
        skill=_numbers(kept["skill"]), low=_numbers(kept["low"]), high=_numbers(kept["high"]),
        origins=tuple(int(n) for n in kept["n_origins"]), cases=tuple(int(n) for n in kept["n_cases"]),
        measured_on=measured.day, digest=measured.digest,
        model_version=str(measured.identity.get("model", "?")),
    )  # fmt: skip


def _numbers(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


@dataclass(frozen=True)
class Aim:
    """Scores that the project set itself before it was measured.

    Attributes
    ----------
    label : what is scored.
    task : of the backtest.
    at : horizons.
    most : the scores to stay at or below (``strict``: below); for a coverage the range to lie in.
    where : states and sample, for spending.
    score : column of the cases.
    """

    label: str
    task: str
    at: tuple[int, ...]
    most: tuple[float, ...]
    where: tuple[str, str] = ("", "")
    score: str = "crps"
    strict: bool = False
    least: float | None = None

    def met(self, step: int, value: float) -> bool:
        """Whether a value reaches the aim at the ``step``-th horizon."""
        if self.least is not None:
            return self.least <= value <= self.most[step]
        # What is printed is compared: a score of 1.654 is printed, and counts, as 1.65.
        rounded = round(value, self.digits)
        return rounded < self.most[step] if self.strict else rounded <= self.most[step]

    @property
    def digits(self) -> int:
        """Decimals of the aim, and of what is printed beside it."""
        return 3 if self.task == "tension" or self.score == "rps" else 2


YEARS: Final = (1, 2, 3)
CORE21, REAL7, ALL21 = ("core4", "combined21"), ("core4", "real7"), ("all14", "combined21")
AIMS: Final = (
    Aim("CRPS of four states, first print, 21 origins", "spending", YEARS, (1.65, 1.83, 1.95), CORE21),
    Aim("CRPS of four states, first print, 7 real releases", "spending", YEARS, (1.60, 2.24, 2.79), REAL7),
    Aim("CRPS of 14 states, first print, 21 origins", "spending", YEARS, (3.45, 3.62, 3.62), ALL21),
    Aim(
        "Share in 80 % intervals, four states, first print, 21 origins", "spending", YEARS, (0.85,) * 3,
        CORE21, "cov80", least=0.75,
    ),
    Aim(
        "Ranked score of the count, first print, 21 origins", "spending", YEARS, (0.252, 0.363, 0.407),
        ("", "combined21"), "rps", strict=True,
    ),
    Aim("CRPS of press tension, mean of six", "tension", (1, 3, 6, 12), (0.233, 0.273, 0.295, 0.335)),
)  # fmt: skip


def reached(aim: Aim, tasks: Mapping[str, Measured]) -> pd.DataFrame:
    """Mean scores by model (rows) and horizon (columns) where the run has the cases that the aim is about.

    A model without all origins of the sample is left out, since its cases are others.
    """
    measured = tasks.get(aim.task)
    if measured is None:
        return pd.DataFrame()
    cases = measured.cases
    if aim.task == "spending":
        states, sample = aim.where
        if aim.score == "rps":
            cases = cases[cases["question"] == COUNT]
        else:
            cases = spending.growth_cases(cases)
            members = groups(sorted(cases["state"].unique())).get(states, ())
            cases = cases[cases["state"].isin(members)]
        cases = spending.sample_of(cases, sample, FIRST_PRINT)
    elif len(cases):
        cases = cases[cases["truth"] == cases["truth"].value_counts().idxmax()]
    scored = cases.dropna(subset=[aim.score])
    if scored.empty:
        return pd.DataFrame()
    table = scored.pivot_table(index="model", columns="horizon", values=aim.score).reindex(
        columns=list(aim.at)
    )
    sizes = scored.groupby("model").size()
    return table[sizes.reindex(table.index) == sizes.max()]
