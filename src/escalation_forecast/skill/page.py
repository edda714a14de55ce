"""``docs/skill.md``: one page from finished backtests, all of it written by the program."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.markdown import escaped, markdown, number, rows_of
from escalation_forecast.schema import THEATRE_LABELS
from escalation_forecast.score.cells import usable_cores
from escalation_forecast.skill import monthly, plots, spending
from escalation_forecast.skill.context import load_notes, read_context
from escalation_forecast.skill.folders import Evidence, Measured
from escalation_forecast.skill.headline import AIMS, Aim, headlines, reached
from escalation_forecast.skill.spending_page import spending_figures, spending_sections
from escalation_forecast.skill.stored import KINDS, Score, sentence
from escalation_forecast.skill.text import cell, per_cent, signed, skill_text, steps

__all__ = ["PAGE", "make_page", "write_page"]

PAGE: Final = "skill.md"
IMAGES: Final = "images"
SHOWN_AIMS: Final = (*spending.FIRST_CHOICE, spending.REFERENCE, monthly.TENSION_REFERENCE)
"""Models whose scores stand beside the aims, where they were run."""
FORCE: Final = "use-of-force"


def write_page(evidence: Evidence, out: Path) -> list[Path]:
    """Write ``skill.md`` and its figures; returns the files."""
    text = make_page(evidence)
    figures = spending_figures(evidence.tasks["spending"].cases) if "spending" in evidence.tasks else {}
    out.mkdir(parents=True, exist_ok=True)
    # A section points to figures that this run may not have.
    for name in ("scores", "pit", "reliability", "states"):
        if name not in figures:
            text = "\n".join(line for line in text.split("\n") if f"(images/skill_{name}.png)" not in line)
    path = out / PAGE
    path.write_text(text, encoding="utf-8", newline="\n")
    return [path, *plots.save(figures, out / IMAGES)]


def make_page(evidence: Evidence) -> str:
    """The page as Markdown; a task that was not run has no section."""
    parts = [
        "# Skill",
        "How good the forecasts were at past origins, each made with what had been published by then, beside "
        "simple methods on the same cases. `escalation-forecast skill` writes this page from finished "
        "backtests; [backtest.md](backtest.md) says how those are run. Smaller scores are better; skill is 1 "
        "- score / score of the reference.",
        _at_a_glance(headlines(evidence)),
        _aims(evidence),
    ]
    if (measured := evidence.tasks.get("spending")) is not None:
        parts += spending_sections(measured, read_context(measured), load_notes())
    if evidence.runs:
        parts.append(_runs(evidence.runs))
    if (measured := evidence.tasks.get("tension")) is not None:
        parts.append(_tension(measured))
    if (measured := evidence.tasks.get("ladder")) is not None:
        parts.append(_ladder(measured))
    parts.append(_how(evidence))
    return "\n\n".join(part for part in parts if part) + "\n"


def _at_a_glance(scores: Mapping[str, Score]) -> str:
    missing = [KINDS[kind].lower() for kind in KINDS if kind not in scores]
    lines = [f"- {sentence(kind, score)}: {score.about}, `{score.model}`." for kind, score in scores.items()]
    if missing:
        lines.append(f"- Not measured here, or not for the model that answers: {', '.join(missing)}.")
    return (
        "## In short\n\nOf the model that answers a kind of question in a forecast, against a mixture of "
        "simple "
        "methods; * where the 90 % interval of the skill holds zero.\n\n" + "\n".join(lines)
    )


def _aims(evidence: Evidence) -> str:
    parts = []
    for aim in AIMS:
        table = reached(aim, evidence.tasks)
        if table.empty:
            continue
        unit = "month" if aim.task == "tension" else "year"
        rows = [("aimed at", *(_bound(aim, k) for k in range(len(aim.at))), "")]
        shown = [name for name in SHOWN_AIMS if name in table.index]
        for name in shown:
            values = table.loc[name].to_numpy(float)
            met = [bool(np.isfinite(v)) and aim.met(k, float(v)) for k, v in enumerate(values)]
            rows.append(
                (
                    f"`{name}`",
                    *(number(float(v), aim.digits) for v in values),
                    _verdict(met) if name in spending.FIRST_CHOICE else "",
                )
            )
        if not set(shown) & set(spending.FIRST_CHOICE):
            continue
        parts.append(f"{aim.label}:\n\n" + markdown(("", *steps(aim.at, unit), "reached"), rows))
    if not parts:
        return ""
    intro = "What the project aims at, and what came out on the same cases."
    return "\n\n".join(["## Aimed at and reached", intro, *parts])


def _bound(aim: Aim, step: int) -> str:
    if aim.least is not None:
        return f"{aim.least:.2f} to {aim.most[step]:.2f}"
    return f"{'<' if aim.strict else '≤'} {aim.most[step]:.{aim.digits}f}"


def _verdict(met: list[bool]) -> str:
    if all(met):
        return "yes"
    return "no" if not any(met) else f"{sum(met)} of {len(met)}"


def _tension(measured: Measured) -> str:
    scores = monthly.tension_scores(measured)
    horizons = sorted(int(h) for h in scores["horizon"].unique())
    order = scores.groupby("model")["crps"].mean().sort_values().index
    compared = "skill" in scores
    rows = []
    for model in order:
        own = scores[scores["model"] == model].set_index("horizon").reindex(horizons)
        n = own["n_cases"].sum()
        line = [escaped(model), f"{n:.0f}", " / ".join(number(v, 4) for v in own["crps"])]
        if compared:
            line += [skill_text(r.skill, r.low, r.high, r.p) for r in rows_of(own)]
        line.append(" / ".join(number(v) for v in own["coverage"]))
        rows.append(line)
    head = ["model", "cases", f"CRPS, {' / '.join(str(h) for h in horizons)} months"]
    head += steps(horizons, "month") if compared else []
    parts = [
        "## Press tension",
        "Logarithm of the press-tension index of six states. Skill against `"
        f"{monthly.TENSION_REFERENCE}` on the cases that both have, with its 90 % interval over blocks of "
        "two years and the p of a Diebold-Mariano test; the last column is the share in the 90 % interval. "
        "Models with fewer cases were run at fewer origins: compare their skill, not their CRPS. "
        "[decisions/0013-press-tension.md](decisions/0013-press-tension.md) has the reasons.",
        markdown((*head, "covered"), rows),
    ]
    for model in ("pool", "joint"):
        if compared and model in set(scores["model"]):
            table = monthly.tension_series(measured, model)
            parts += [
                f"Skill of `{model}` by state:",
                markdown(
                    ("state", *steps([int(h) for h in table.columns], "month")),
                    ((escaped(name), *(signed(float(v), 2) for v in row)) for name, row in table.iterrows()),
                ),
            ]
    return "\n\n".join(parts)


def _ladder(measured: Measured) -> str:
    scores, skill = monthly.ladder_scores(measured), monthly.ladder_skill(measured)
    if scores.empty:
        return ""
    horizons = sorted(int(h) for h in scores["horizon"].unique())
    first = scores[scores["method"] == scores["method"].iloc[0]].set_index("horizon")
    rows = []
    for method in scores.groupby("method")["brier"].mean().sort_values().index:
        own = scores[scores["method"] == method].set_index("horizon").reindex(horizons)
        line = [escaped(method)]
        line += [" / ".join(number(v, 3) for v in own[name]) for name in ("brier", "log_score", "auc")]
        if len(skill):
            at = skill[skill["method"] == method].set_index("horizon").reindex(horizons)
            line += [skill_text(r.skill, r.low, r.high, np.nan) for r in rows_of(at)]
        rows.append(line)
    head = ["method", "Brier score", "log score", "AUC within theatres"]
    head += [f"Brier skill, {step}" for step in steps(horizons, "month")] if len(skill) else []
    n = " / ".join(f"{int(first.loc[h, 'n_cases'])}" for h in horizons)
    events = " / ".join(f"{int(first.loc[h, 'n_events'])}" for h in horizons)
    parts = [
        "## Use of force",
        f"Chance of level 4 of the ladder within {', '.join(str(h) for h in horizons)} months, by theatre; "
        f"{n} cases with {events} events. Skill against `{monthly.LADDER_REFERENCE}` with its 90 % interval "
        "over blocks of two years. Forecasts use `pool`, with the weights that its parts had earned by each "
        "origin ([wider-war.md](wider-war.md), "
        "[decisions/0010-pool-of-force.md](decisions/0010-pool-of-force.md)).",
        markdown(head, rows),
    ]
    methods = [m for m in (monthly.METHOD, "joint", monthly.LADDER_REFERENCE) if m in set(scores["method"])]
    if methods:
        lines = [
            (
                escaped(method),
                str(int(r.horizon)),
                *(number(v, 3) for v in (r.score, r.miscalibration, r.discrimination)),
            )
            for method in methods
            for r in rows_of(monthly.ladder_reliability(measured, method))
        ]
        heads = ("method", "months", "Brier", "miscalibration", "discrimination")
        parts += ["What the Brier score is made of (CORP):", markdown(heads, lines)]
    return "\n\n".join(parts)


def _runs(runs: tuple[Mapping[str, Any], ...]) -> str:
    parts = [
        "## Tension and clashes, as forecast on past days",
        "From archived forecasts with figures public by the day; tension in standard deviations from the "
        "mean of 2010-2019 with its 80 % band, and the share of own months since 1990 that were below.",
    ]
    for run in runs:
        chances: dict[str, dict[str, float]] = {}
        for question in run.get("questions", []):
            theatre, _, window = str(question["target"]).partition(", ")
            if question["question"] == FORCE and question["probability"] is not None:
                chances.setdefault(theatre, {})[window] = float(question["probability"])
        windows = list(dict.fromkeys(window for found in chances.values() for window in found))
        rows = []
        for entry in run.get("theatres", []):
            now = entry["now"]
            found = chances.get(entry["theatre"], {})
            rows.append(
                (
                    escaped(THEATRE_LABELS.get(entry["theatre"], entry["label"])),
                    f"{signed(now['median'])} ({signed(now['low'])} to {signed(now['high'])})",
                    f"{entry['percentile']:.0f} %",
                    *(per_cent(found.get(window, float("nan"))) for window in windows),
                )
            )
        mark = " (draft)" if run.get("draft") else ""
        parts += [
            f"### As of {cell(run['as_of'])}{mark}",
            markdown(("theatre", "tension", "rank", *(f"use of force, {escaped(w)}" for w in windows)), rows),
        ]
    return "\n\n".join(parts)


def _how(evidence: Evidence) -> str:
    parts = [
        "## How it was measured",
        f"Program {version('escalation-forecast')}; this page was written on a machine with {usable_cores()} "
        f"usable cores ({platform.machine()}, {os.uname().sysname}, Python {platform.python_version()}). "
        "Seconds are wall time per cell in its worker; where workers ran side by side they shared the cores.",
    ]
    for task, measured in evidence.tasks.items():
        identity = {k: v for k, v in measured.identity.items() if isinstance(v, str | int | float)}
        known = ", ".join(f"{escaped(k)} {escaped(str(v)[:12])}" for k, v in sorted(identity.items()))
        failed = (
            f"; {measured.unusable} cells failed or are torn and are left out" if measured.unusable else ""
        )
        parts += [
            f"`{task}`: backtest {measured.digest}, seed {measured.seed}, {known}; {len(measured.cells)} "
            f"cells, the last finished on {measured.day}{failed}.",
            _times(measured.cells),
        ]
    if "spending" in evidence.tasks:
        model = spending.headline_model(evidence.tasks["spending"].models)
        parts.append(
            f"The page is about `{escaped(model)}`. The model and its defaults were built later than the "
            "origins; no figure that an origin could not know entered its forecast, but what was tried was "
            "chosen by people who knew how things went."
        )
    parts += [escaped(note) for note in evidence.left_out]
    return "\n\n".join(parts)


def _times(cells: pd.DataFrame) -> str:
    columns = {
        "r_hat": ("largest R-hat", "max"),
        "ess": ("smallest ESS", "min"),
        "divergences": ("divergences", "sum"),
    }
    held = [name for name in columns if name in cells and cells[name].notna().any()]
    rows = []
    for model, part in cells.groupby("model"):
        line = [
            escaped(model),
            str(len(part)),
            number(part["seconds"].median(), 1),
            number(part["seconds"].sum(), 0),
        ]
        for name in held:
            values = part[name].dropna()
            value = float(getattr(values, columns[name][1])()) if len(values) else float("nan")
            line.append(number(value, 3 if name == "r_hat" else 0))
        rows.append(line)
    return markdown(
        ("model", "cells", "median seconds", "seconds in all", *(columns[name][0] for name in held)), rows
    )
