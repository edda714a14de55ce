"""The wider war in tables and plots: by route and month, by tension, joint against single chances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.ticker import FuncFormatter
from scipy import stats

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, new_figure, title
from escalation_forecast.report.tension_plots import by_tension, joint_chances, log_percent, plot_by_tension
from escalation_forecast.report.war_text import ROUTES, WIDER
from escalation_forecast.war_paths import MONTH
from escalation_forecast.war_rules import WiderWar, wider_war

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

__all__ = [
    "by_tension", "joint_chances", "plot_by_tension", "plot_prior_share", "plot_steps", "plot_what_if",
    "plot_wider", "rate_interval", "wider_curve", "wider_table",
]  # fmt: skip

COLOURS: Final[dict[str, str]] = {"any": INK, "joining": PAST, "war": AHEAD, "two-theatres": THIRD}
LOOSENED: Final[dict[str, str]] = {
    "discount": "nuclear discount less sure",
    "slope": "slope on tension less sure",
    "base": "history counts half as much",
}
CHAIN: Final[dict[str, str]] = {
    "force": "use of force", "fatal": "deadly clash", "material": "25 deaths", "war": "war",
}  # fmt: skip
MASS: Final = 0.8
Summary = Mapping[str, Any]


def wider_curve(paths: xr.Dataset, step: int = 3) -> pd.DataFrame:
    """Chance of each route of `wider-war` within so many months, by the rule that answers the question.

    Returns
    -------
    DataFrame
        Months down (every `step`-th), routes across.
    """
    months = pd.DatetimeIndex(paths[MONTH].values)
    horizons = range(step, len(months) + 1, step)
    found = {
        route: [float(wider_war(paths, WiderWar(route=route), months[:h]).mean()) for h in horizons]
        for route in ("any", "joining", "war", "two-theatres")
    }
    return pd.DataFrame(found, index=pd.Index(horizons, name="months"))


def plot_wider(run: Run | pd.DataFrame, questions: Sequence[Summary] = ()) -> Plot:
    """Chance by horizon and route, with base rates of whole years and their 80 % intervals.

    The table has route, months, probability, and of whole years base_rate, base_low and base_high.

    Parameters
    ----------
    run : a run; or months down and routes across, as of `wider_curve`, and the answers in a run's summary, of
        which those of the question `wider-war` are used.
    """
    if isinstance(run, pd.DataFrame):
        curve = run
    else:
        curve, questions = wider_curve(run.forecast), questions or run.summary["questions"]
    figure, axes = new_figure(9.6, 3.7, 1, 2, gridspec_kw={"width_ratios": (1.25, 1)})
    figure.subplots_adjust(left=0.05, right=0.985, top=0.88, bottom=0.12, wspace=0.16)
    for route in curve:
        axes[0].plot(
            curve.index, curve[route], color=COLOURS[str(route)], linewidth=1.6 if route == "any" else 1.2
        )
        axes[0].annotate(
            ROUTES[str(route)].strip(), (float(curve.index[-1]), float(curve[route].iloc[-1])), (-2, 4),
            textcoords="offset points", fontsize=SMALL + 0.5, color=COLOURS[str(route)], ha="right",
        )  # fmt: skip
    axes[0].set_ylim(0, 1.12 * float(curve.max().max()))
    title(axes[0], "Chance of a wider war within so many months")
    rates: list[tuple[str, int, float, float, float]] = []
    for shift, route in ((-0.6, "any"), (0.0, "joining"), (0.6, "war")):
        axes[1].plot(curve.index, curve[route], color=COLOURS[route], linewidth=1.2)
        for question in questions:
            rate, (name, months) = question.get("base_rate"), _wider_id(question)
            if name != route or not rate or months % 12:
                continue
            low, high = rate_interval(rate["events"], rate["trials"])
            axes[1].plot([months + shift] * 2, [low, high], color=COLOURS[route], linewidth=1.2, alpha=0.7)
            axes[1].plot(months + shift, rate["rate"], "D", color="white", markeredgecolor=COLOURS[route],
                         markersize=4.5)  # fmt: skip
            rates.append((route, months, rate["rate"], low, high))
    axes[1].set_ylim(bottom=0)
    title(axes[1], "Beside base rates since 1946")
    for ax in axes:
        ax.set_xlim(0, float(curve.index[-1]) + 1.5)
        ax.set_xticks(range(0, int(curve.index[-1]) + 1, 6))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        ax.set_xlabel("months", fontsize=SMALL + 0.5, color=INK)
    table = curve.reset_index().melt("months", var_name="route", value_name="probability")
    known = pd.DataFrame(rates, columns=["route", "months", "base_rate", "base_low", "base_high"])
    table = table[["route", "months", "probability"]].merge(known, "left", ["route", "months"])
    return Plot(figure, _wider_alt(table), table)


def _wider_alt(table: pd.DataFrame) -> str:
    last = int(table["months"].max())
    year = min(12, last)
    near = int(min(table["months"], key=lambda months: abs(int(months) - year)))
    rows = table.to_dict("records")
    chance = {(str(row["route"]), int(row["months"])): float(row["probability"]) for row in rows}
    parts = [route for route, months in chance if months == near and route != "any"]
    top = max(parts, key=lambda route: chance[route, near])
    text = (
        f"Chance of a wider war by route within 3 to {last} months. By any route it is "
        f"{percent(chance['any', near])} within {near} months and "
        f"{percent(chance['any', last])} within {last}; the likeliest route within {near} is "
        f"{ROUTES[top].strip()}, {percent(chance[top, near])}"
    )
    rate = table[(table["route"] == "any") & (table["months"] == near)]["base_rate"].dropna()
    return (
        f"{text}. The base rate of any route is {percent(float(rate.iloc[0]))}." if len(rate) else f"{text}."
    )


def rate_interval(events: int, trials: int, mass: float = MASS) -> tuple[float, float]:
    """Central interval of a rate under the Jeffreys prior (Brown, Cai and DasGupta 2001)."""
    posterior = stats.beta(events + 0.5, trials - events + 0.5)
    low, high = posterior.ppf([(1 - mass) / 2, (1 + mass) / 2])
    return float(low), float(high)


def _wider_id(question: Summary) -> tuple[str, int]:
    """Route and months of an answer to `wider-war`, such as ``any`` and 12; else nothing and 1."""
    parts = str(question["id"]).split("/")
    return (parts[1], int(parts[2].removesuffix("m"))) if parts[0] == WIDER else ("", 1)


def wider_table(questions: Sequence[Summary]) -> pd.DataFrame:
    """Answers to `wider-war` by route and horizon, with base rates and what looser priors make of them.

    Returns
    -------
    DataFrame
        route, months, probability, mcse, base_rate, base_low and base_high (80 %), ``discount``, ``slope``
        and ``base`` (the probability with each loosened), label.
    """
    rows = []
    for question in questions:
        route, months = _wider_id(question)
        if not route:
            continue
        rate, share = question.get("base_rate"), question.get("prior_share") or {}
        low, high = rate_interval(rate["events"], rate["trials"]) if rate else (np.nan, np.nan)
        rows.append(
            {
                "route": route,
                "months": months,
                "probability": question["probability"],
                "mcse": question["mcse"],
                "base_rate": rate["rate"] if rate else np.nan,
                "base_low": low,
                "base_high": high,
                **{name: share.get(name, np.nan) for name in LOOSENED},
                "label": share.get("label", ""),
            }
        )
    return pd.DataFrame(rows)


def plot_prior_share(run: Run | Sequence[Summary], months: int = 12) -> Plot:
    """Each route's chance, and what it becomes when one prior is loosened; table as of `wider_table`.

    Parameters
    ----------
    run : a run, or the answers in its summary.
    """
    table = wider_table(_answers(run))
    table = table[table["months"] == months].reset_index(drop=True)
    figure, (ax,) = new_figure(8.0, 0.42 * len(table) + 0.75, 1, 1)
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=0.25, right=0.86, top=1 - 0.35 / height, bottom=0.35 / height)
    for y, row in enumerate(table.to_dict("records")):
        ax.hlines(y, 0, row["probability"], color=MUTED, linewidth=0.8)
        ax.plot(row["probability"], y, "o", color=INK, markersize=6, label="as forecast" if y == 0 else None)
        styles = zip((-0.22, 0.0, 0.22), LOOSENED, (AHEAD, THIRD, PAST), "vsd", strict=True)
        for shift, name, colour, mark in styles:
            ax.plot(
                row[name],
                y + shift,
                mark,
                color=colour,
                markersize=5,
                label=LOOSENED[name] if y == 0 else None,
            )
        ax.text(1.02, y, f"{percent(row['probability'])}  {row['label']}", fontsize=SMALL + 0.5, color=INK,
                va="center", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_yticks(
        range(len(table)), [ROUTES[route].strip() for route in table["route"]], fontsize=SMALL + 0.5
    )
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(-0.33, 1.0),
              columnspacing=1.2, handletextpad=0.3)  # fmt: skip
    return Plot(figure, _share_alt(table, months), table)


def _answers(run: Run | Sequence[Summary]) -> Sequence[Summary]:
    return run if isinstance(run, Sequence) else run.summary["questions"]


def _share_alt(table: pd.DataFrame, months: int) -> str:
    said = []
    for row in table.to_dict("records"):
        values = [row["probability"], *(row[name] for name in LOOSENED)]
        name = ROUTES[str(row["route"])].strip()
        said.append(
            f"{name} {percent(row['probability'])} ({percent(min(values))} to {percent(max(values))}, "
            f"{row['label'] or 'not measured'})"
        )
    return (
        f"Chance of a wider war within {months} months by route, and the range of it when the nuclear "
        "discount, "
        f"the slope on tension or the weight of history is loosened: {listing(said)}."
    )


def plot_steps(run: Run | Summary) -> Plot:
    """Each theatre's way from use of force to war, on a logarithmic axis.

    The table has label, months, and the chance of each step.

    Parameters
    ----------
    run : a run, or ``war`` of its summary.
    """
    war = run if isinstance(run, Mapping) else run.summary["war"]
    figure, (ax,) = new_figure(8.4, 3.6, 1, 1)
    figure.subplots_adjust(left=0.06, right=0.83, top=0.9, bottom=0.09)
    colours = (PAST, AHEAD, THIRD, "#CC79A7", "#E69F00")
    ends = []
    for step, colour in zip(war["theatres"], colours, strict=False):
        values = [max(step[name], 1e-6) for name in CHAIN]
        ax.plot(range(len(CHAIN)), values, "o-", color=colour, linewidth=1.3, markersize=4)
        ends.append((values[-1], f"{step['label']} {percent(step['war'])}", colour))
    # Labels at the right end keep their order and a distance.
    place = -np.inf
    for value, label, colour in sorted(ends):
        place = max(np.log10(value), place + 0.11)
        ax.annotate(label, (len(CHAIN) - 1, value), (len(CHAIN) - 0.9, 10**place), fontsize=SMALL + 0.5,
                    color=colour, va="center", annotation_clip=False)  # fmt: skip
    ax.set_xticks(range(len(CHAIN)), list(CHAIN.values()), fontsize=SMALL + 1)
    log_percent(ax)
    ax.set_xlim(-0.2, len(CHAIN) - 0.9)
    months = war["theatres"][0]["months"]
    title(ax, f"At least one within {months} months")
    table = pd.DataFrame(war["theatres"])[["label", "months", *CHAIN]]
    return Plot(figure, _steps_alt(table, months), table)


def _steps_alt(table: pd.DataFrame, months: int) -> str:
    said = [
        f"{row['label']} from {percent(row['force'])} to {percent(row['war'])}"
        for row in table.sort_values("war", ascending=False).to_dict("records")
    ]
    return (
        f"Chance within {months} months of a use of force, a deadly clash, 25 deaths and war, by theatre. "
        "From "
        f"use of force to war: {listing(said)}."
    )


def plot_what_if(table: pd.DataFrame, now: float, label: str) -> Plot:
    """Answers under other values of one prior, each with two Monte Carlo errors; the table is that given.

    Parameters
    ----------
    table : value, id, after, mcse.
    now : the value that the forecast was made with.
    label : what the value is.
    """
    figure, (ax,) = new_figure(7.6, 3.0, 1, 1)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.9, bottom=0.16)
    for (name, rows), colour in zip(table.groupby("id", sort=False), (INK, PAST, AHEAD, THIRD), strict=False):
        ax.errorbar(rows["value"], rows["after"], 2 * rows["mcse"], fmt="o-", color=colour, linewidth=1.2,
                    markersize=4, capsize=2, label=str(name))  # fmt: skip
    ax.axvline(now, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)))
    ax.set_ylim(0, 1.2 * float((table["after"] + 2 * table["mcse"]).max()))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.set_xlabel(label, fontsize=SMALL + 1, color=INK)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="upper left")
    title(ax, "", "dashed: as forecast")
    shown = table[["value", "id", "after", "mcse"]].reset_index(drop=True)
    return Plot(figure, _what_if_alt(shown, now, label), shown)


def _what_if_alt(table: pd.DataFrame, now: float, label: str) -> str:
    said = []
    for name, rows in table.groupby("id", sort=False):
        ends = rows.sort_values("value")["after"]
        said.append(f"{name} from {percent(float(ends.iloc[0]))} to {percent(float(ends.iloc[-1]))}")
    low, high = table["value"].min(), table["value"].max()
    return f"As {label} goes from {low:g} to {high:g} ({now:g} in the forecast): {listing(said)}."
