"""The wider war in tables and plots: by route and month, by tension, joint against single chances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy import stats

from escalation_forecast.report.layout import percent
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, new_figure, title
from escalation_forecast.report.war_text import ROUTES, WIDER
from escalation_forecast.schema import THEATRE_LABELS, THEATRES
from escalation_forecast.war_paths import FATAL, MONTH, WAR
from escalation_forecast.war_rules import WiderWar, dyad_theatres, wider_war

COLOURS: Final[dict[str, str]] = {"any": INK, "joining": PAST, "war": AHEAD, "two-theatres": THIRD}
LOOSENED: Final[dict[str, str]] = {
    "discount": "nuclear discount less sure",
    "slope": "slope on tension less sure",
    "base": "history counts half as much",
}
CHAIN: Final[dict[str, str]] = {
    "force": "use of force", "fatal": "deadly clash", "material": "25 deaths", "war": "war",
}  # fmt: skip
FORCE: Final = 4.0  # ladder level
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


def plot_wider(curve: pd.DataFrame, questions: Sequence[Summary]) -> Figure:
    """Chance by horizon and route, with base rates of whole years and their 80 % intervals.

    Parameters
    ----------
    curve : as of `wider_curve`.
    questions : answers in the summary of a run; those of the question `wider-war` are used.
    """
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
    axes[1].set_ylim(bottom=0)
    title(axes[1], "Beside base rates since 1946")
    for ax in axes:
        ax.set_xlim(0, float(curve.index[-1]) + 1.5)
        ax.set_xticks(range(0, int(curve.index[-1]) + 1, 6))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        ax.set_xlabel("months", fontsize=SMALL + 0.5, color=INK)
    return figure


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


def plot_prior_share(questions: Sequence[Summary], months: int = 12) -> Figure:
    """Each route's chance, and what it becomes when one prior is loosened."""
    table = wider_table(questions)
    table = table[table["months"] == months].reset_index(drop=True)
    figure, (ax,) = new_figure(8.0, 0.42 * len(table) + 0.75, 1, 1)
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=0.25, right=0.86, top=1 - 0.35 / height, bottom=0.35 / height)
    for y, row in enumerate(table.to_dict("records")):
        ax.hlines(y, 0, row["probability"], color=MUTED, linewidth=0.8)
        ax.plot(row["probability"], y, "o", color=INK, markersize=6, label="as forecast" if y == 0 else None)
        for shift, name, colour in zip((-0.22, 0.0, 0.22), LOOSENED, (AHEAD, THIRD, PAST), strict=True):
            ax.plot(
                row[name],
                y + shift,
                "d",
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
    return figure


def plot_steps(war: Summary) -> Figure:
    """Each theatre's way from use of force to war, on a logarithmic axis; `war` as in a run's summary."""
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
    _log_percent(ax)
    ax.set_xlim(-0.2, len(CHAIN) - 0.9)
    title(ax, f"At least one within {war['theatres'][0]['months']} months")
    return figure


def _log_percent(ax: Axes) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))


def by_tension(paths: xr.Dataset, theatre: str, months: int = 12, parts: int = 3) -> pd.DataFrame:
    """Force, deadly clashes and wars in a theatre, by the tension of the months in which they might happen.

    The draws are put in equal parts by their mean tension over the months ahead, lowest first.

    Returns
    -------
    DataFrame
        tension (mean of the part), and the chances of at least one: force (of the pooled ladder), fatal, war.
    """
    ahead = pd.DatetimeIndex(paths[MONTH].values)[:months]
    names = ("chain", "draw")
    tension = (
        paths["risk"].sel(theatre=theatre, month=ahead).mean("month").transpose(*names).to_numpy().ravel()
    )
    ladder = paths["ladder"].sel(theatre=theatre, month=ahead).max("month").transpose(*names)
    force = (ladder >= FORCE).to_numpy().ravel()
    here = [name for name in paths["dyad"].values if dyad_theatres()[str(name)] == theatre]
    clash = paths["clash"].sel(dyad=here).isel({MONTH: slice(0, months)}).max(("dyad", MONTH))
    level = clash.transpose(*names, "future").to_numpy().reshape(len(tension), -1)
    part = np.argsort(np.argsort(tension, kind="stable"), kind="stable") * parts // len(tension)
    rows = {
        k: {
            "tension": float(tension[part == k].mean()),
            "force": float(force[part == k].mean()),
            "fatal": float((level[part == k] >= FATAL).mean()),
            "war": float((level[part == k] >= WAR).mean()),
        }
        for k in range(parts)
    }
    names_of = ("lowest", "middle", "highest") if parts == 3 else tuple(str(k + 1) for k in range(parts))
    return pd.DataFrame(rows.values(), index=pd.Index([names_of[k] for k in rows], name="third of the draws"))


def plot_by_tension(paths: xr.Dataset, months: int = 12) -> Figure:
    """Chance of force, of a deadly clash and of a war by third of the draws, theatre by theatre."""
    figure, axes = new_figure(9.6, 2.7, 1, len(THEATRES), sharey=True)
    figure.subplots_adjust(left=0.055, right=0.99, top=0.78, bottom=0.12, wspace=0.12)
    kinds = (("force", PAST, "use of force"), ("fatal", AHEAD, "deadly clash"), ("war", INK, "war"))
    for ax, theatre in zip(axes, THEATRES, strict=True):
        table = by_tension(paths, theatre, months)
        for name, colour, label in kinds:
            ax.plot(range(len(table)), table[name].clip(lower=1e-4), "o-", color=colour, markersize=3.5,
                    linewidth=1.2, label=label)  # fmt: skip
        ax.set_xticks(range(len(table)), [f"{value:+.1f}" for value in table["tension"]], fontsize=SMALL)
        ax.set_xlim(-0.3, len(table) - 0.7)
        _log_percent(ax)
        title(ax, THEATRE_LABELS[theatre])
    axes[0].legend(
        fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.1, 1.13)
    )
    return figure


def joint_chances(paths: xr.Dataset, months: int = 12) -> pd.Series[float]:
    """A wider war from the joint draws, and what one would get from the chances of its parts.

    Parts are the five joiners and the dyads of the theatres, within so many months; material clashes in two
    theatres are left out, so that ``joint`` is joining or war.

    Returns
    -------
    Series
        ``joint``; ``independent``, 1 less the product of what the parts leave; ``sum`` of the parts;
        ``both routes`` in one future; ``if independent``, the product of the two routes' chances;
        ``two wars or joiners`` given at least one.
    """
    clash = paths["clash"].isel({MONTH: slice(0, months)}).max(MONTH) >= WAR
    parts = [clash.rename(dyad="part").transpose("chain", "draw", "future", "part").to_numpy()]
    if "joined" in paths:
        joined = paths["joined"].isel({MONTH: slice(0, months)}).max(MONTH) > 0
        parts.append(joined.rename(joiner="part").transpose("chain", "draw", "future", "part").to_numpy())
    every = np.concatenate(parts, axis=-1).reshape(-1, sum(part.shape[-1] for part in parts))
    single = every.mean(axis=0)
    routes = [part.reshape(len(every), -1).any(axis=1) for part in parts]
    many = np.asarray(every.sum(axis=1))
    return pd.Series(
        {
            "joint": float(every.any(axis=1).mean()),
            "independent": float(1.0 - np.prod(1.0 - single)),
            "sum": float(single.sum()),
            "both routes": float(np.all(routes, axis=0).mean()),
            "if independent": float(np.prod([route.mean() for route in routes])),
            "two wars or joiners": float((many > 1).mean() / (many > 0).mean()) if many.any() else 0.0,
        }
    )


def plot_what_if(table: pd.DataFrame, now: float, label: str) -> Figure:
    """Answers under other values of one prior, each with two Monte Carlo errors.

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
    return figure
