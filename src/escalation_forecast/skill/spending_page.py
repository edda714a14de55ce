"""The sections of the page about spending."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from escalation_forecast.report.markdown import escaped, markdown, number, rows_of
from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.score.spending_cases import FIRST_PRINT
from escalation_forecast.score.spending_report import SpendingTables, spending_report
from escalation_forecast.score.spending_rules import RULES
from escalation_forecast.skill import plots, spending
from escalation_forecast.skill.context import Context
from escalation_forecast.skill.folders import Measured
from escalation_forecast.skill.hindsight_page import Notes, misses_section, past_section
from escalation_forecast.skill.text import (
    ablation_sentence,
    joined,
    per_cent,
    score_table,
    skill_text,
    steps,
    truth_text,
)

__all__ = ["spending_figures", "spending_sections"]


def spending_sections(measured: Measured, context: Context | None, notes: Notes) -> list[str]:
    """Markdown of each section for which the run has cells."""
    tables = spending_report(measured.cases)
    model = spending.headline_model(measured.models)
    parts = [
        _scores(tables["growth"], model),
        _ablations(measured.cases),
        _rules(measured.cases, tables) if "rules" in tables else "",
        _calibration(measured.cases, tables, model),
        misses_section(measured, model, context, notes),
        past_section(measured, model, context),
    ]
    return [part for part in parts if part]


def spending_figures(cases: pd.DataFrame) -> dict[str, Figure]:
    """Figures of the first prints of the largest sample."""
    growth = spending.growth_cases(cases)
    model, sample = spending.headline_model(sorted(growth["model"].unique())), spending.largest(growth)
    own = spending.sample_of(growth, sample, FIRST_PRINT)
    if own.empty:
        return {}
    n = own["state"].nunique()
    reference = spending.REFERENCE if spending.REFERENCE in set(own["model"]) else None
    pair = [name for name in (model, reference) if name]
    figures = {
        "pit": plots.pit_figure(own, pair, f"Are the distributions right? {n} states, {sample}, first print"),
        "reliability": plots.reliability_figure(
            own, pair, f"Are the chances right? {n} states, {sample}, first print"
        ),
    }
    sizes = own.groupby("model").size()
    whole = own[own["model"].isin(sizes[sizes == sizes.max()].index)]
    core = whole[whole["state"].isin(CORE_FOUR)]
    means = core.groupby(["model", "horizon"])["crps"].mean().reset_index()
    if len(means) and means["model"].nunique() > 1:
        figures["scores"] = plots.score_figure(means, f"China, Japan, South Korea, Taiwan: {sample}", pair)
    if reference:
        figures["states"] = plots.state_figure(
            spending.state_table(own, model, reference),
            f"Where {model} gains: {sample}, first print",
            reference,
        )
    return figures


def _scores(growth: pd.DataFrame, model: str) -> str:
    shown = growth[~growth["sample"].str.contains("strict")]
    keys = shown[["states", "sample", "truth"]].drop_duplicates()
    parts = [
        "## Growth of spending",
        "Mean CRPS by horizon, 1 / 2 / 3 years, in points of 100 x log growth; skill against `mix4` (1 - "
        "CRPS / "
        "CRPS of `mix4` on the same cases) with its 90 % interval (stationary bootstrap of origins) and the "
        "p of a "
        "Diebold-Mariano test, bold where the interval is clear of zero; and the share of outcomes in the "
        "80 % "
        "interval. Samples: `real7` are releases as they were published, `pseudo14` origins cut from the "
        "release "
        "of 2017, which flatters everybody, `combined21` both. A first print is what the next release said, "
        "`release 2026` what it says today.",
        "![Mean CRPS of every model by horizon](images/skill_scores.png)",
    ]
    best = [name for name in keys["sample"].unique() if name.startswith("combined")] or [
        keys["sample"].iloc[-1]
    ]
    keys = keys.assign(rest=~keys["sample"].isin(best)).sort_values(
        ["states", "truth", "rest"], ascending=[False, True, True], kind="stable"
    )
    for row in rows_of(keys):
        own = shown[
            (shown["states"] == row.states) & (shown["sample"] == row.sample) & (shown["truth"] == row.truth)
        ]
        name = f"{_states_text(row.states)}, {escaped(row.sample)}, {truth_text(row.truth)}"
        table = score_table(own, model)
        if row.sample in best and row.truth == FIRST_PRINT:
            parts += [f"### {name}", table]
        else:
            parts.append(f"<details><summary>{name}</summary>\n\n{table}\n\n</details>")
    return "\n\n".join(parts)


def _states_text(label: str) -> str:
    if label.startswith("core"):
        return "Core four" if label == "core4" else f"{label.removeprefix('core')} of the core four"
    return f"All {label.removeprefix('all')} states"


def _ablations(cases: pd.DataFrame) -> str:
    found = spending.ablations(cases)
    if found.empty:
        return ""
    parts = [
        "## What each part of the model brings",
        "The joint model against itself without one part: by how much the part lowers the CRPS of the core "
        "four "
        "(1 - CRPS with / CRPS without), with its 90 % interval. Less than nothing means that the part does "
        "harm "
        "here.",
    ]
    rows = []
    for name in found["part"].unique():
        own = found[(found["part"] == name) & (found["states"] == spending.CORE)]
        if own.empty:
            continue
        # the sample with most origins
        sample = own.loc[own["n_origins"].idxmax(), "sample"]
        by_truth = {str(t): part for t, part in own[own["sample"] == sample].groupby("truth")}
        said = ablation_sentence(name, by_truth)
        if "budgets" in name:
            said += (
                " Mind that a first print often *is* the budget, so a budget that is read wins there by "
                "construction; the figures of the newest release are the fairer test."
            )
        parts.append(f"- {said}")
    for row in rows_of(found.drop_duplicates(["states", "sample", "truth", "part"])):
        own = found[
            (found["states"] == row.states) & (found["sample"] == row.sample)
            & (found["truth"] == row.truth) & (found["part"] == row.part)
        ].set_index("horizon").reindex([1, 2, 3])  # fmt: skip
        rows.append(
            (
                escaped(row.part), _states_text(row.states), f"{escaped(row.sample)}", truth_text(row.truth),
                *(skill_text(r.skill, r.low, r.high, r.p) for r in rows_of(own)),
            )
        )  # fmt: skip
    table = markdown(("part", "states", "sample", "truth", *steps((1, 2, 3), "year")), rows, text=4)
    # Bullets stand together.
    text = "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:])
    return f"{text}\n\n<details><summary>All samples</summary>\n\n{table}\n\n</details>"


def _rules(cases: pd.DataFrame, tables: SpendingTables) -> str:
    rules = tables["rules"]
    rules = rules[~rules["sample"].str.contains("strict")]
    sample, truth = rules["sample"].iloc[-1], FIRST_PRINT
    own = rules[(rules["sample"] == sample) & (rules["truth"] == truth)]
    parts = [
        "## Rules about the four states",
        "Chances that a rule holds, computed draw by draw. `count` is how many of China, Japan, South Korea "
        "and "
        "Taiwan grow by 5 % or more a year over three years, scored by the ranked score; "
        f"`{spending.COUNTED}` is "
        "the rule that three do. Scores at 1 / 2 / 3 years; less is better. "
        + " ".join(f"`{name}`: {_rule_text(name)}." for name in RULES if name != spending.COUNTED),
        f"### Scores, {escaped(sample)}, {truth_text(truth)}",
    ]
    header = ["model", "ranked score of the count"]
    questions = [name for name in RULES if name in set(own["question"])]
    for name in questions:
        events = own[own["question"] == name].groupby("horizon")["n_events"].max()
        header.append(f"Brier, {name} ({'/'.join(str(int(n)) for n in events)} events)")
    header.append(f"log score, {spending.COUNTED}")
    rows = []
    counted = own[own["question"] == "count"]
    means, sizes = (
        counted.groupby("model")["rps"].mean(),
        own[own["question"] == spending.COUNTED].groupby("model")["n_cases"].sum(),
    )
    order = sorted(means.index, key=lambda name: (sizes[name] < sizes.max(), means[name]))
    others = [name for name in own["model"].unique() if name not in set(order)]
    for model in [*order, *others]:
        mine = own[own["model"] == model]
        name = escaped(model) if sizes[model] == sizes.max() else f"{escaped(model)} ({sizes[model]} cases)"
        line = [name, _by_horizon(mine, "count", "rps")]
        line += [_by_horizon(mine, name, "brier") for name in questions]
        line.append(_by_horizon(mine, spending.COUNTED, "log_score"))
        rows.append(line)
    parts.append(markdown(header, rows))
    skill = spending.rule_skill(cases)
    if len(skill):
        model = spending.headline_model(sorted(skill["model"].unique()))
        mine = skill[skill["model"] == model]
        lines = []
        for row in rows_of(mine.drop_duplicates(["sample", "truth"])):
            at = mine[(mine["sample"] == row.sample) & (mine["truth"] == row.truth)].set_index("horizon")
            lines.append(
                (escaped(row.sample), truth_text(row.truth),
                 *(skill_text(r.skill, r.low, r.high, r.p) for r in rows_of(at.reindex([1, 2, 3]))))
            )  # fmt: skip
        parts += [
            f"Skill of `{escaped(model)}` in the ranked score against `mix4`:",
            markdown(("sample", "truth", *steps((1, 2, 3), "year")), lines, text=2),
        ]
    parts += _events(cases)
    return "\n\n".join(parts)


def _rule_text(name: str) -> str:
    rule = RULES[name]
    over = "in one year" if rule.years == 1 else f"a year over {rule.years} years"
    return f"{rule.states} of the four grow by {rule.per_cent:.0f} % or more {over}"


def _by_horizon(table: pd.DataFrame, question: str, score: str) -> str:
    own = table[table["question"] == question].set_index("horizon")[score].reindex([1, 2, 3])
    return " / ".join(number(value, 3) for value in own) if own.notna().any() else "-"


def _events(cases: pd.DataFrame) -> list[str]:
    chances = spending.event_chances(cases)
    if chances.empty:
        return []
    columns = [(int(column[0]), str(column[1])) for column in chances.columns.to_list()]
    heads = [f"{year}, said at {escaped(origin)}" for year, origin in columns]
    order = chances.mean(axis=1).sort_values(ascending=False).index
    rows = [(escaped(model), *(per_cent(float(v)) for v in chances.loc[model])) for model in order]
    years = joined([str(year) for year in sorted({year for year, _ in columns})])
    return [
        f"### Chances given before the events of {years}",
        f"The years in which `{spending.COUNTED}` held by the first print, and the chance that each model "
        "had given. "
        "So few events rank nobody.",
        markdown(("model", *heads), rows),
    ]


def _calibration(cases: pd.DataFrame, tables: SpendingTables, model: str) -> str:
    growth = spending.growth_cases(cases)
    sample = spending.largest(growth)
    own = spending.sample_of(growth, sample, FIRST_PRINT)
    if own.empty:
        return ""
    reliability = tables["reliability"]
    label = reliability["states"].iloc[-1]
    mine = reliability[
        (reliability["states"] == label) & (reliability["sample"] == sample)
        & (reliability["truth"] == FIRST_PRINT) & reliability["model"].isin([model, spending.REFERENCE])
    ]  # fmt: skip
    parts = [
        "## Calibration",
        f"{_states_text(label)}, {escaped(sample)}, first print.",
        "![Histograms of the probability integral transform](images/skill_pit.png)",
        "![Reliability of the chance of growth of 5 per cent or more](images/skill_reliability.png)",
        "What the Brier score of the chance of growth of 5 % or more is made of "
        "(Brier = miscalibration - discrimination + uncertainty):",
        markdown(
            ("model", "years", "events", "Brier", "miscalibration", "discrimination", "uncertainty", "AUC"),
            (
                (
                    escaped(r.model), str(r.horizon), str(r.n_events),
                    *(number(v, 3) for v in (r.brier, r.miscalibration, r.discrimination, r.uncertainty)),
                    number(r.auc_within_states),
                )
                for r in rows_of(mine.sort_values(["horizon", "model"]))
            ),
        ),
        f"### By state: `{escaped(model)}`",
    ]  # fmt: skip
    if spending.REFERENCE in set(own["model"]):
        parts.append("![Skill by state and horizon](images/skill_states.png)")
    table = spending.state_table(own, model)
    rows = []
    for state, part in table.groupby("state"):
        at = part.set_index("horizon").reindex([1, 2, 3])
        n = "/".join("-" if np.isnan(v) else f"{v:.0f}" for v in at["n_cases"])
        rows.append(
            (
                escaped(state),
                n,
                *(" / ".join(number(v) for v in at[name]) for name in ("crps", "skill", "cov80")),
            )
        )
    parts.append(markdown(("state", "cases", "CRPS", "skill", "in 80 %"), rows))
    return "\n\n".join(parts)
