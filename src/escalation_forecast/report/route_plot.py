"""Routes to a wider war by horizon, as a table that can be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patches import Rectangle

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, largest
from escalation_forecast.report.style import INK, MUTED, PAST, SMALL, frame, new_figure
from escalation_forecast.report.war_text import ROUTES, WIDER

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

ROW: Final = 0.27  # inches
HEADINGS: Final[dict[str, str]] = {
    WIDER: "A wider war",
    "war-joining": "Joining the war in Ukraine",
    "interstate-war": "War of a pair of states",
}
SHORT: Final = {"war-joining": "Likeliest to join", "interstate-war": "Likeliest pair"}
YEAR: Final = 12
LEAST: Final = 1e-3  # lightest shade
# One hue from white, so that it prints in grey as it reads in colour.
SHADES: Final = LinearSegmentedColormap.from_list("chances", ("#FFFFFF", PAST))


def route_table(questions: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Answers about a wider war, joining and wars of pairs, by route and horizon.

    Returns
    -------
    DataFrame
        question, route, months, probability, mcse, label (how far it is prior; empty where not measured).
    """
    rows = []
    for q in questions:
        parts = str(q["id"]).split("/")
        if parts[0] not in HEADINGS or q.get("probability") is None:
            continue
        share = q.get("prior_share") or {}
        rows.append(
            {
                "question": parts[0],
                "route": ROUTES.get(parts[1], parts[1]).strip(),
                "months": int(parts[-1].removesuffix("m")),
                "probability": float(q["probability"]),
                "mcse": np.nan if q.get("mcse") is None else float(q["mcse"]),
                "label": str(share.get("label", "")),
            }
        )
    columns = ["question", "route", "months", "probability", "mcse", "label"]
    return pd.DataFrame(rows, columns=columns)


def plot_routes(run: Run | Mapping[str, Any]) -> Plot:
    """Routes to a wider war with probabilities by horizon, "1 in N" for a year, and how far each is prior.

    The table is that of `route_table`.

    Parameters
    ----------
    run : a run, or its summary.
    """
    summary = run if isinstance(run, Mapping) else run.summary
    table = route_table(summary["questions"])
    horizons = sorted(table["months"].unique())
    lines: list[tuple[str, pd.DataFrame | None]] = []
    for question, heading in HEADINGS.items():
        own = table[table["question"] == question]
        if len(own):
            lines.append((heading, None))
        lines += [(str(route), rows) for route, rows in own.groupby("route", sort=False)]
    height = ROW * (max(len(lines), 1) + 1) + 0.95
    figure, (ax,) = new_figure(9.6, height, 1, 1)
    figure.subplots_adjust(left=0.235, right=0.72, top=1 - 0.75 / height, bottom=0.3 / height)
    ax.set_axis_off()
    ax.set_xlim(0, max(len(horizons), 1))
    ax.set_ylim(len(lines), -1)
    for column, months in enumerate(horizons):
        _write(ax, column + 0.5, -0.5, f"{months} months", color=MUTED, ha="center")
    for y, (name, rows) in enumerate(lines):
        if rows is None:
            _write(ax, -0.08, y + 0.5, name, ha="right", fontweight="bold")
        else:
            _line(ax, y, name, rows, horizons)
    beyond = len(horizons) + 0.12
    _write(ax, beyond, -0.5, "a year", color=MUTED)
    _write(ax, beyond + 0.85, -0.5, "how far it is prior", color=MUTED)
    subtitle = "Probability within so many months; routes overlap, so the first line is less than their sum."
    frame(figure, "Routes to a wider war", subtitle, summary)
    return Plot(figure, _alt(table), table)


def _line(ax: Axes, y: int, name: str, rows: pd.DataFrame, horizons: Sequence[int]) -> None:
    _write(ax, -0.08, y + 0.5, name, ha="right")
    shade = LogNorm(LEAST, 1.0, clip=True)
    for row in rows.to_dict("records"):
        column, p = list(horizons).index(row["months"]), float(row["probability"])
        depth = float(shade(max(p, LEAST)))
        ax.add_patch(Rectangle((column, y), 1, 1, facecolor=SHADES(depth), edgecolor="white", linewidth=1.2))
        _write(ax, column + 0.5, y + 0.5, percent(p), ha="center", color="white" if depth > 0.62 else INK)
    year = rows[rows["months"] == YEAR]
    if len(year):
        p, label = float(year["probability"].iloc[0]), str(year["label"].iloc[0])
        beyond = len(horizons) + 0.12
        _write(ax, beyond, y + 0.5, f"1 in {1 / p:,.0f}" if p else "none drawn")
        _write(ax, beyond + 0.85, y + 0.5, label or "not measured")


def _write(ax: Axes, x: float, y: float, text: str, *, color: str = INK, **style: Any) -> None:
    ax.text(x, y, text, fontsize=SMALL + 1, color=color, va="center", clip_on=False, **style)


def _alt(table: pd.DataFrame) -> str:
    if table.empty:
        return "The run answers no question about a wider war."
    year = table[table["months"] == YEAR]
    year = table[table["months"] == table["months"].min()] if year.empty else year
    months = int(year["months"].iloc[0])
    text = f"Routes to a wider war by horizon, {table['route'].nunique()} routes."
    any_route = year[(year["question"] == WIDER) & (year["route"] == ROUTES["any"].strip())]
    if len(any_route):
        text += (
            f" By any route it is {percent(float(any_route['probability'].iloc[0]))} within {months} months."
        )
    said = []
    for question in ("war-joining", "interstate-war"):
        own = year[year["question"] == question]
        if len(own):
            top = largest(own, own["probability"])
            said.append(f"{SHORT[question]}: {top['route']}, {percent(float(top['probability']))}")
    driven = int((year["label"] == "prior-driven").sum())
    return f"{text} {'; '.join(said)}. {driven} of {len(year)} are prior-driven." if said else text
