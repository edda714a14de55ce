"""Clashes and wars by tension, and the chance of a wider war from the joint draws beside that of its "
"parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, listing, of_run
from escalation_forecast.report.style import AHEAD, INK, PAST, SMALL, new_figure, title
from escalation_forecast.schema import THEATRE_LABELS, THEATRES
from escalation_forecast.war_paths import FATAL, MONTH, WAR
from escalation_forecast.war_rules import dyad_theatres

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

FORCE: Final = 4.0  # ladder level


def log_percent(ax: Axes) -> None:
    """A logarithmic axis of chances, in per cent."""
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


def plot_by_tension(run: Run | xr.Dataset, months: int = 12) -> Plot:
    """Chance of force, of a deadly clash and of a war by third of the draws, theatre by theatre.

    Parameters
    ----------
    run : a run, or its forecast paths.
    """
    paths, _ = of_run(run)
    tables = []
    figure, axes = new_figure(9.6, 2.7, 1, len(THEATRES), sharey=True)
    figure.subplots_adjust(left=0.055, right=0.99, top=0.78, bottom=0.12, wspace=0.12)
    kinds = (
        ("force", PAST, "o", "use of force"), ("fatal", AHEAD, "s", "deadly clash"), ("war", INK, "^", "war"),
    )  # fmt: skip
    for ax, theatre in zip(axes, THEATRES, strict=True):
        table = by_tension(paths, theatre, months)
        tables.append(table.reset_index().assign(theatre=theatre))
        for name, colour, mark, label in kinds:
            ax.plot(range(len(table)), table[name].clip(lower=1e-4), f"{mark}-", color=colour, markersize=3.5,
                    linewidth=1.2, label=label)  # fmt: skip
        ax.set_xticks(range(len(table)), [f"{value:+.1f}" for value in table["tension"]], fontsize=SMALL)
        ax.set_xlim(-0.3, len(table) - 0.7)
        log_percent(ax)
        title(ax, THEATRE_LABELS[theatre])
    axes[0].legend(
        fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.1, 1.13)
    )
    every = pd.concat(tables, ignore_index=True)
    return Plot(figure, _tension_alt(every, months), every)


def _tension_alt(table: pd.DataFrame, months: int) -> str:
    said = []
    for theatre, own in table.groupby("theatre", sort=False):
        ends = f"{percent(own['force'].iloc[0])} to {percent(own['force'].iloc[-1])}"
        said.append(f"{THEATRE_LABELS[str(theatre)]} {ends}")
    return (
        f"Chance of use of force, a deadly clash and war within {months} months in the draws with the "
        "lowest, the "
        f"middle and the highest tension. Use of force from the lowest third to the highest: {listing(said)}."
    )


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
