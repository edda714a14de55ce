"""Spending in numbers: scores by sample, what each part of the model brings, states, misses, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.score.compare import skill_table
from escalation_forecast.score.spending_cases import FIRST_PRINT
from escalation_forecast.score.spending_report import groups, in_time, samples
from escalation_forecast.score.spending_rules import COUNT, COUNT_RULE, RULES
from escalation_forecast.score.spending_task import GROWTH
from escalation_forecast.skill.folders import Measured

__all__ = [
    "CORE", "FIRST_CHOICE", "REFERENCE", "ablations", "event_chances", "growth_cases", "headline_model",
    "largest", "past_forecasts", "rule_skill", "sample_of", "state_table", "worst_misses",
]  # fmt: skip

REFERENCE: Final = "mix4"
CORE: Final = f"core{len(CORE_FOUR)}"
COUNTED: Final = next(name for name, rule in RULES.items() if rule == COUNT_RULE)
"""The rule whose states `COUNT` counts."""
FIRST_CHOICE: Final = ("pool", "joint", "pool-no-latent", "joint-no-latent")
"""The model that the page is about is the first of these that was run."""
PARTS: Final[dict[str, str]] = {
    "joint-no-latent": "the latent risk",
    "joint-no-reaction": "the reaction to rivals",
    "joint-no-budgets": "announced budgets and programmes",
    "joint-no-revisions": "revisions of prints",
}
"""What a variant of the joint model lacks."""
LOW, HIGH = 0.1, 0.9


def headline_model(models: Sequence[str]) -> str:
    """The model that the page is about."""
    return next((name for name in FIRST_CHOICE if name in models), models[0])


def growth_cases(cases: pd.DataFrame) -> pd.DataFrame:
    """Rows about growth, without those about the rules."""
    return cases[cases["question"] == GROWTH]


def sample_of(cases: pd.DataFrame, name: str, truth: str) -> pd.DataFrame:
    """The cases of a sample and a truth; empty where there is none."""
    return next((own for found, of, own in samples(cases) if (found, of) == (name, truth)), cases[:0])


def largest(cases: pd.DataFrame) -> str:
    """Name of the sample with most origins."""
    return list(samples(cases))[-1][0]


def ablations(cases: pd.DataFrame, model: str = "joint") -> pd.DataFrame:
    """By how much each part of the joint model lowers the CRPS, on the cases of both.

    Returns
    -------
    pandas.DataFrame
        states, sample, truth, part, and the columns of `skill_table`, whose reference is the model without
        the part.
    """
    growth = growth_cases(cases)
    tables = []
    variants = [name for name in PARTS if name in set(growth["model"])]
    if model not in set(growth["model"]):
        variants = []
    for label, states in groups(sorted(growth["state"].unique())).items():
        own = growth[growth["state"].isin(states) & growth["model"].isin([model, *variants])]
        for variant in variants:
            # A variant may have been run at fewer origins; its sample is named by those.
            at = own[own["origin"].isin(own.loc[own["model"] == variant, "origin"])]
            for sample, truth, part in samples(at):
                if "strict" in sample:
                    continue
                table = skill_table(part, reference=variant, models=[model], order=in_time(part))
                tables.append(table.assign(states=label, sample=sample, truth=truth, part=PARTS[variant]))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def rule_skill(cases: pd.DataFrame, reference: str = REFERENCE) -> pd.DataFrame:
    """Skill in the ranked score of the count of the core four, by sample, truth, horizon and model."""
    counted = cases[cases["question"] == COUNT]
    tables = []
    for sample, truth, own in samples(counted):
        if "strict" in sample or reference not in set(own["model"]):
            continue
        table = skill_table(
            own, reference=reference, score="rps", case=("origin", "horizon"), order=in_time(own)
        )
        tables.append(table.assign(sample=sample, truth=truth))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def event_chances(cases: pd.DataFrame, rule: str = COUNTED) -> pd.DataFrame:
    """Chance that each model gave beforehand to years in which a rule held, real releases only.

    Returns
    -------
    pandas.DataFrame
        Rows are models, columns (target year, origin); first prints.
    """
    own = cases[(cases["question"] == rule) & (cases["truth"] == FIRST_PRINT) & (cases["kind"] == "real")]
    events = own[own["outcome"] == 1.0]
    return events.pivot_table(index="model", columns=["target_year", "origin"], values="p")


def state_table(cases: pd.DataFrame, model: str, reference: str = REFERENCE) -> pd.DataFrame:
    """By state: cases, and CRPS, skill and coverage of 80 % intervals by horizon, on the cases of both.

    Parameters
    ----------
    cases : about growth, of one sample and truth.

    Returns
    -------
    pandas.DataFrame
        state, horizon, n_cases, crps, skill (missing without the reference), cov80.
    """
    own = cases[cases["model"] == model]
    keys = ["origin", "horizon", "state"]
    other = cases.loc[cases["model"] == reference, [*keys, "crps"]].rename(columns={"crps": "reference"})
    both = own.merge(other, on=keys, how="inner" if len(other) else "left")
    grouped = both.groupby(["state", "horizon"])
    table = grouped.agg(
        n_cases=("crps", "size"), crps=("crps", "mean"), cov80=("cov80", "mean"), other=("reference", "mean")
    ).reset_index()
    return table.assign(skill=1.0 - table["crps"] / table["other"]).drop(columns="other")


def worst_misses(measured: Measured, model: str, n: int = 10) -> pd.DataFrame:
    """First prints that the forecast missed by most, a state and year once.

    Returns
    -------
    pandas.DataFrame
        state, target_year, origin, horizon, outcome, settled (the newest release's figure, if any), median,
        low, high (80 %), crps; growth in per cent, CRPS in points of 100 x log.
    """
    growth = growth_cases(measured.cases)
    own = growth[(growth["model"] == model) & (growth["truth"] == FIRST_PRINT)]
    worst = own.sort_values("crps", ascending=False).drop_duplicates(["state", "target_year"]).head(n)
    later = growth[(growth["model"] == model) & (growth["truth"] != FIRST_PRINT)]
    settled = later.set_index(["origin", "state", "horizon"])["outcome"]
    rows = []
    row: Any
    for row in worst.itertuples():
        key = (row.origin, row.state, row.horizon)
        median, low, high = _interval(measured, model, *key)
        rows.append(
            {
                "state": row.state, "target_year": int(row.target_year), "origin": row.origin,
                "horizon": int(row.horizon), "outcome": _simple(row.outcome),
                "settled": _simple(float(settled.get(key, np.nan))), "median": median, "low": low,
                "high": high, "crps": row.crps,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def past_forecasts(measured: Measured, model: str, origin: str, states: Sequence[str]) -> pd.DataFrame:
    """What a model said at an origin of the states, beside what was printed.

    Returns
    -------
    pandas.DataFrame
        state, target_year, horizon, median, low, high (80 %), outcome, in per cent.
    """
    growth = growth_cases(measured.cases)
    own = growth[
        (growth["model"] == model) & (growth["origin"] == origin) & (growth["truth"] == FIRST_PRINT)
        & growth["state"].isin(states)
    ]  # fmt: skip
    rows = []
    row: Any
    for row in own.sort_values(["state", "horizon"]).itertuples():
        median, low, high = _interval(measured, model, origin, row.state, row.horizon)
        rows.append(
            {
                "state": row.state, "target_year": int(row.target_year), "horizon": int(row.horizon),
                "median": median, "low": low, "high": high, "outcome": _simple(row.outcome),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _interval(measured: Measured, model: str, origin: str, state: str, horizon: int) -> tuple[float, ...]:
    """Median and 80 % interval of simple growth, NaN where no draws are kept."""
    draws = measured.draws(model, origin)
    if draws is None:
        return (float("nan"),) * 3
    values = draws["first_print"].sel(state=state, horizon=horizon).to_numpy().astype(float)
    return tuple(_simple(float(value)) for value in np.quantile(values, [0.5, LOW, HIGH]))


def _simple(log_points: float) -> float:
    """Per cent from points of 100 x log difference."""
    return 100.0 * float(np.expm1(log_points / 100.0))
