"""Tables of a spending backtest: scores and skill by states, sample, truth and horizon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import CORE_FOUR, DataError
from escalation_forecast.score import proper
from escalation_forecast.score.compare import REPLICATES, skill_table
from escalation_forecast.score.spending_cases import FIRST_PRINT
from escalation_forecast.score.spending_rules import COUNT
from escalation_forecast.score.spending_task import GROWTH

__all__ = ["SpendingTables", "groups", "in_time", "samples", "spending_report"]

REFERENCE: Final = "mix4"
MEANS: Final = (
    "crps", "twcrps", "mae", "interval_score_80", "cov50", "cov80", "cov95", "log_score", "crps_cumulative",
    "brier_ge_5", "brier_ge_8",
)  # fmt: skip
SKILL: Final = ("skill", "low", "high", "p", "origins_better")
CUMULATIVE: Final = {name: f"cumulative_{name}" for name in SKILL[:4]}
KEYS: Final = ("states", "sample", "truth", "horizon", "model")
PIT_BINS: Final = 10

SpendingTables = dict[str, pd.DataFrame]
"""``growth``, ``rules``, ``calibration``, ``reliability``; see `spending_report`."""


def groups(states: list[str]) -> dict[str, tuple[str, ...]]:
    """Sets of states to report on: those of the core four present (``core4``), and all (``all14``)."""
    core = tuple(state for state in CORE_FOUR if state in states)
    out = {f"core{len(core)}": core} if core else {}
    if len(states) > len(core):
        out[f"all{len(states)}"] = tuple(states)
    return out


def samples(cases: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Name, truth and cases of each sample of the protocol that the cases have.

    ``real7`` are origins of releases as published, ``pseudo14`` those cut from a later one, ``combined21``
    both, with the number of origins in the name; ``real7_strict_first_print`` keeps targets printed in the
    release of the year after.
    """
    by_kind = {"real": cases[cases["kind"] == "real"], "pseudo": cases[cases["kind"] == "pseudo"]}
    named = {f"{kind}{part['origin'].nunique()}": part for kind, part in by_kind.items() if len(part)}
    if len(named) == 2:
        named[f"combined{cases['origin'].nunique()}"] = cases
    for name, part in named.items():
        for truth, own in part.groupby("truth"):
            yield name, str(truth), own
            strict = own[own["strict"].astype(bool)]
            if name.startswith("real") and truth == FIRST_PRINT and len(strict):
                yield f"{name}_strict_{FIRST_PRINT}", str(truth), strict


def spending_report(
    cases: pd.DataFrame, *, reference: str = REFERENCE, replicates: int = REPLICATES, seed: int = 1
) -> SpendingTables:
    """Score tables of a backtest.

    Parameters
    ----------
    cases : of `SpendingTask`, any models and origins.
    reference : the model that skill is measured against; without it among the cases there is no skill.

    Returns
    -------
    dict of pandas.DataFrame
        ``growth``: states, sample, truth, horizon, model, n_cases, n_origins, mean scores and coverage, then
        against the reference, on shared cases: skill, low and high (90 % interval, stationary bootstrap of
        origins), p (Diebold-Mariano), origins_better, and ``cumulative_`` skill, low, high and p.
        ``rules``: question, sample, truth, horizon, model, n_cases, n_events, brier, log_score, rps.
        ``calibration``: share of outcomes in each tenth of the forecast distribution.
        ``reliability``: of the chance of growth of 5 % or more: brier, miscalibration, discrimination,
        uncertainty (CORP), and AUC within states.

    Raises
    ------
    DataError
        When there is no case.
    """
    if cases.empty:
        raise DataError("There are no cases to report on; run the backtest first.")
    growth = cases[cases["question"] == GROWTH]
    parts: dict[str, list[pd.DataFrame]] = {"growth": [], "calibration": [], "reliability": []}
    for label, states in groups(sorted(growth["state"].unique())).items():
        for sample, truth, own in samples(growth[growth["state"].isin(states)]):
            keys = {"states": label, "sample": sample, "truth": truth}
            table = _means(own).merge(
                _skill(own, reference, replicates, seed), on=["horizon", "model"], how="left"
            )
            parts["growth"].append(_keyed(table, keys))
            parts["calibration"].append(_keyed(_calibration(own), keys))
            parts["reliability"].append(_keyed(_reliability(own), keys))
    tables = {name: pd.concat(found, ignore_index=True) for name, found in parts.items() if found}
    rules = cases[cases["question"] != GROWTH]
    if len(rules):
        tables["rules"] = _rules(rules)
    return tables


def _keyed(table: pd.DataFrame, keys: dict[str, str]) -> pd.DataFrame:
    rest = [name for name in table.columns if name not in KEYS]
    return table.assign(**keys)[[*KEYS, *rest]]


def _means(cases: pd.DataFrame) -> pd.DataFrame:
    grouped = cases.groupby(["horizon", "model"])
    sizes = grouped.agg(n_cases=("origin", "size"), n_origins=("origin", "nunique"))
    return sizes.join(grouped[list(MEANS)].mean()).reset_index()


def _skill(cases: pd.DataFrame, reference: str, replicates: int, seed: int) -> pd.DataFrame:
    columns = ["horizon", "model", *SKILL, *CUMULATIVE.values()]
    if reference not in set(cases["model"]):
        return pd.DataFrame(columns=columns).astype({"horizon": "int64", "model": cases["model"].dtype})
    order = in_time(cases)
    found = {}
    for score in ("crps", "crps_cumulative"):
        found[score] = skill_table(
            cases, reference=reference, score=score, order=order, replicates=replicates, seed=seed
        )
    cumulative = found["crps_cumulative"][["horizon", "model", *CUMULATIVE]].rename(columns=CUMULATIVE)
    return found["crps"].merge(cumulative, on=["horizon", "model"])[columns]


def in_time(cases: pd.DataFrame) -> list[str]:
    """Origins in the order of their years, pseudo-origins first."""
    years = cases["target_year"] - cases["horizon"]
    first = pd.DataFrame({"origin": cases["origin"], "real": cases["kind"] == "real", "year": years})
    return list(first.drop_duplicates("origin").sort_values(["real", "year", "origin"])["origin"])


def _calibration(cases: pd.DataFrame) -> pd.DataFrame:
    tenth = np.minimum((cases["pit"] * PIT_BINS).astype(int), PIT_BINS - 1)
    shares = pd.crosstab([cases["horizon"], cases["model"]], tenth, normalize="index")
    shares = shares.reindex(columns=range(PIT_BINS), fill_value=0.0)
    shares.columns = pd.Index([f"{k / PIT_BINS:.1f}-{(k + 1) / PIT_BINS:.1f}" for k in range(PIT_BINS)])
    return shares.reset_index()


def _reliability(cases: pd.DataFrame) -> pd.DataFrame:
    threshold = 100.0 * np.log1p(0.05)
    rows = []
    for (horizon, model), part in cases.groupby(["horizon", "model"]):
        p, y = part["p_ge_5"].to_numpy(float), (part["outcome"] >= threshold).to_numpy(float)
        _, parts = proper.corp(p, y)
        auc = proper.auc_within(p, y, part["state"].to_numpy(str))
        rows.append(
            {"horizon": horizon, "model": model, "n_events": int(y.sum()), "brier": parts.pop("score")}
            | parts
            | {"auc_within_states": auc}
        )
    return pd.DataFrame(rows)


def _rules(cases: pd.DataFrame) -> pd.DataFrame:
    tables = []
    for sample, truth, own in samples(cases):
        grouped = own.groupby(["question", "horizon", "model"])
        table = grouped[["brier", "log_score", "rps"]].mean()
        table.insert(0, "n_cases", grouped.size())
        events = grouped["outcome"].sum()
        counted = table.index.get_level_values("question") == COUNT
        table.insert(1, "n_events", events.where(~counted))
        tables.append(table.reset_index().assign(sample=sample, truth=truth))
    columns = ["question", "sample", "truth", "horizon", "model", "n_cases", "n_events"]
    return pd.concat(tables, ignore_index=True)[[*columns, "brier", "log_score", "rps"]]
