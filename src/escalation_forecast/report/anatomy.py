"""What stands behind a theatre's tension: its figures, its loadings, and what would move it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.report.anatomy_tables import evidence, swings
from escalation_forecast.report.plot import Plot, between, largest, listing
from escalation_forecast.report.style import (
    AHEAD,
    GRID,
    INK,
    MUTED,
    PAST,
    SMALL,
    THIRD,
    days,
    flag_events,
    new_figure,
    title,
    year_axis,
)
from escalation_forecast.schema import THEATRE_LABELS, THEATRES

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

__all__ = [
    "evidence", "plot_evidence", "plot_loadings", "plot_paths", "plot_push", "plot_rises", "plot_swings",
    "plot_window", "swings",
]  # fmt: skip

FAMILY_LABELS: Final[dict[str, str]] = {
    "news": "press tension, modelled casualties",
    "count": "counts",
    "share": "senders of sanctions",
    "ordinal": "ladder of incidents",
    "annual": "voting distance",
    "troops": "US forces",
    "transfer": "arms deliveries",
}
FAMILY_COLOURS: Final = dict(
    zip(FAMILY_LABELS, (PAST, AHEAD, THIRD, "#CC79A7", "#E69F00", MUTED, "#56B4E9"), strict=True)
)
COLOURS: Final = (PAST, AHEAD, THIRD, "#CC79A7")
ROW: Final = 0.17  # inches


def plot_evidence(table: pd.DataFrame, as_of: pd.Timestamp) -> Plot:
    """From when to when each indicator has figures; `table` as of `evidence`, and so is that of the plot."""
    height = ROW * (len(table) + table["theatre"].nunique()) + 0.85
    figure, (ax,) = new_figure(9.0, height, 1, 1)
    figure.subplots_adjust(left=0.2, right=0.985, top=1 - 0.45 / height, bottom=0.3 / height)
    y, ticks = 0.0, []
    for theatre, rows in table.groupby("theatre", sort=False):
        ax.text(-0.005, y, THEATRE_LABELS[str(theatre)], fontsize=SMALL + 1, fontweight="bold", color=INK,
                ha="right", va="center", transform=ax.get_yaxis_transform())  # fmt: skip
        for row in rows.itertuples():
            y += 1
            first, last = days(pd.DatetimeIndex([row.first, row.last]))
            colour = FAMILY_COLOURS[str(row.family)]
            ax.plot([first, last], [y, y], color=colour, linewidth=3.5, solid_capstyle="butt")
            ticks.append((y, str(row.indicator)))
        y += 1
    ax.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=SMALL)
    ax.set_ylim(y - 0.4, -0.6)
    year_axis(ax, pd.DatetimeIndex([table["first"].min(), as_of]), 4)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    shown = [name for name in FAMILY_LABELS if name in set(table["family"])]
    for name in shown:
        ax.plot([], [], color=FAMILY_COLOURS[name], linewidth=3.5, label=FAMILY_LABELS[name])
    ax.legend(fontsize=SMALL, frameon=False, ncols=len(shown), loc="lower right", handlelength=1.0,
              bbox_to_anchor=(1.0, 1.0), columnspacing=1.0)  # fmt: skip
    return Plot(figure, _evidence_alt(table), table)


def _evidence_alt(table: pd.DataFrame) -> str:
    counts = table.groupby("theatre", sort=False).size()
    said = [f"{THEATRE_LABELS[str(name)]} {n}" for name, n in counts.items()]
    ends = table.sort_values("first", kind="stable")
    old, new = ends.iloc[0], table.sort_values("last", kind="stable").iloc[-1]
    return (
        f"From when to when each of {len(table)} indicators has figures: {listing(said)}. The longest goes "
        "back to "
        f"{old['first']:%Y-%m} ({old['indicator']}), the newest figure is of {new['last']:%Y-%m} "
        f"({new['indicator']})."
    )


def plot_loadings(table: pd.DataFrame, permuted: pd.DataFrame | None = None) -> Plot:
    """Each loading under its prior and as fitted: mean and 90 % interval, one heading per block.

    Parameters
    ----------
    table : block, loading, mean, low, high, prior_mean, prior_low, prior_high.
    permuted : block, loading, mean, low, high of fits to figures in random order of time.

    The table has block, loading, kind (prior, as fitted, ...), low, mean and high.
    """
    blocks = list(dict.fromkeys(table["block"]))
    height = ROW * (len(table) + len(blocks)) + 0.75
    figure, (ax,) = new_figure(8.0, height, 1, 1)
    figure.subplots_adjust(left=0.34, right=0.98, top=1 - 0.4 / height, bottom=0.3 / height)
    rows = [entry for block in blocks for entry in (block, *table.index[table["block"] == block])]
    at = {row: float(y) for y, row in enumerate(rows)}
    place = np.array([at[index] for index in table.index])
    kinds = [("prior", table, "prior_", MUTED, -0.2), ("as fitted", table, "", PAST, 0.05)]
    if permuted is not None:
        wanted = permuted.set_index("loading").reindex(table["loading"])
        kinds.append(("fitted to figures in random order", wanted, "", AHEAD, 0.3))
    drawn: list[pd.DataFrame] = []
    for label, values, prefix, colour, shift in kinds:
        low, mean, high = (values[f"{prefix}{part}"].to_numpy(float) for part in ("low", "mean", "high"))
        ax.hlines(place + shift, low, high, color=colour, linewidth=1.7, alpha=0.6)
        ax.plot(mean, place + shift, "o", color=colour, markersize=3, label=label)
        part = table[["block", "loading"]].reset_index(drop=True)
        drawn.append(part.assign(kind=label, low=low, mean=mean, high=high))
    for block in blocks:
        ax.text(-0.01, at[block], block, fontsize=SMALL + 0.5, fontweight="bold", color=INK, ha="right",
                va="center", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_yticks(place, table["loading"], fontsize=SMALL)
    ax.set_ylim(len(rows) - 0.4, -0.7)
    ax.axvline(0.0, color=INK, linewidth=0.7)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    every = pd.concat(drawn, ignore_index=True)
    fitted = every[every["kind"] == "as fitted"]
    clear = int(((fitted["low"] > 0) | (fitted["high"] < 0)).sum())
    top = largest(fitted, fitted["mean"].abs())
    alt = (
        f"{len(fitted)} loadings under their priors and as fitted, with 90 % intervals. {clear} of them "
        "have an "
        f"interval clear of zero; the largest is {top['loading']}, {top['mean']:+.2f}."
    )
    return Plot(figure, alt, every)


def plot_push(run: Run | Sequence[Mapping[str, Any]], least: float = 0.02) -> Plot:
    """What pushed each theatre since a year ago; the table has theatre, indicator and push.

    Parameters
    ----------
    run : a run, or ``theatres`` of its summary.
    """
    theatres = run if isinstance(run, Sequence) else run.summary["theatres"]
    shown = {str(one["label"]): [p for p in one["pushed_by"] if abs(p["push"]) >= least] for one in theatres}
    figure = _bars({name: [(p["indicator"], p["push"], None) for p in rows] for name, rows in shown.items()})
    drawn = [(name, str(p["indicator"]), float(p["push"])) for name, rows in shown.items() for p in rows]
    table = pd.DataFrame(drawn, columns=["theatre", "indicator", "push"])
    said = []
    for name, own in table.groupby("theatre", sort=False):
        most = largest(own, own["push"].abs())
        said.append(f"{name} {most['push']:+.1f} by {most['indicator']}")
    alt = (
        "What pushed the tension of each theatre since a year ago, in standard deviations, indicator by "
        "indicator. "
        f"The largest push of each: {listing(said)}."
    )
    return Plot(figure, alt, table)


def plot_swings(table: pd.DataFrame, least: float = 0.02) -> Plot:
    """Range over which each indicator alone would move the risk; `table` as of `swings`.

    The table of the plot has theatre, indicator, low and high of the bars drawn.
    """
    wide = table[(table[["low", "high"]].abs() >= least).any(axis=1)]
    figure = _bars(
        {
            THEATRE_LABELS[name]: [
                (str(r.indicator), r.high, r.low) for r in wide[wide["theatre"] == name].itertuples()
            ]
            for name in LATENTS
        }
    )
    drawn = wide[["theatre", "indicator", "low", "high"]].reset_index(drop=True)
    about = (
        "How far each indicator alone would move its theatre's tension had its last half-year been another"
    )
    if drawn.empty:
        return Plot(figure, f"{about}; none would by {least:g}.", drawn)
    most = largest(drawn, (drawn["high"] - drawn["low"]).abs())
    alt = (
        f"{about}, in standard deviations. The widest of {len(drawn)} is {most['indicator']}: "
        f"{most['low']:+.1f} to {most['high']:+.1f} in {THEATRE_LABELS[str(most['theatre'])]}."
    )
    return Plot(figure, alt, drawn)


def _bars(panels: Mapping[str, Sequence[tuple[str, Any, Any]]]) -> Figure:
    """Horizontal bars from zero to the first number, and to the second where there is one."""
    deepest = max(3, *(len(rows) for rows in panels.values()))
    rows_of_panels = -(-len(panels) // 2)
    height = rows_of_panels * (ROW * deepest + 0.55) + 0.25
    figure, axes = new_figure(9.6, height, rows_of_panels, 2, sharex=True)
    figure.subplots_adjust(
        left=0.125, right=0.985, top=1 - 0.33 / height, bottom=0.33 / height, wspace=0.36, hspace=0.38
    )
    for ax, (name, rows) in zip(axes, panels.items(), strict=False):
        for y, (_, one, other) in enumerate(rows):
            for value in (one, other):
                if value is not None:
                    ax.barh(y, value, height=0.62, color=AHEAD if value > 0 else PAST)
        ax.axvline(0.0, color=INK, linewidth=0.7)
        ax.set_yticks(range(len(rows)), [label for label, _, _ in rows], fontsize=SMALL)
        ax.set_ylim(deepest - 0.4, -0.6)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", color=GRID, linewidth=0.7)
        ax.tick_params(labelbottom=True)
        title(ax, name)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return figure


def plot_paths(paths: Mapping[str, pd.DataFrame], since: str = "1990-01") -> Plot:
    """Mean paths of several fits, one panel per theatre, with their correlation with the first of them.

    Parameters
    ----------
    paths : by label, months down and theatres across, on the reference scale.

    The table has fit, theatre, month and tension.
    """
    labels = list(paths)
    first = paths[labels[0]]
    months = pd.DatetimeIndex(first.index[first.index >= pd.Timestamp(since)])
    figure, axes = new_figure(9.0, 8.6, len(THEATRES), 1, sharex=True)
    figure.subplots_adjust(left=0.045, right=0.985, top=0.93, bottom=0.03, hspace=0.42)
    alike: list[tuple[float, str]] = []
    for ax, theatre in zip(axes, THEATRES, strict=True):
        said = []
        for n, label in enumerate(labels):
            path = paths[label].loc[months, theatre]
            ax.plot(days(months), path, color=COLOURS[n], linewidth=1.3 if n == 0 else 1.0, label=label)
            if n:
                likeness = float(np.corrcoef(path, first.loc[months, theatre])[0, 1])
                said.append(f"{label} {likeness:.2f}")
                alike.append((likeness, f"{label}, {THEATRE_LABELS[theatre]}"))
        ax.axhline(0.0, color=MUTED, linewidth=0.6)
        title(ax, THEATRE_LABELS[theatre], "correlation: " + ", ".join(said) if said else "")
        year_axis(ax, months, 4)
    axes[0].legend(fontsize=SMALL + 0.5, frameon=False, ncols=len(labels), loc="lower left",
                   bbox_to_anchor=(0.0, 1.16))  # fmt: skip
    parts = [
        paths[label].loc[months, list(THEATRES)].rename_axis("month").reset_index()
        .melt("month", var_name="theatre", value_name="tension").assign(fit=label)
        for label in labels
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)[["fit", "theatre", "month", "tension"]]
    alt = f"Tension by theatre from {months[0]:%B %Y} to {months[-1]:%B %Y} as {listing(labels)} have it."
    if alike:
        low, high = min(alike), max(alike)
        alt += (
            f" Correlation with {labels[0]} goes from {low[0]:.2f} ({low[1]}) to {high[0]:.2f} ({high[1]})."
        )
    return Plot(figure, alt, table)


def plot_rises(events: pd.DataFrame) -> Plot:
    """Rise of tension at each dated event with its 80 % interval.

    Parameters
    ----------
    events : theatre, event, months, real (whether it was a crisis there), rise, low, high, global_part; the
        table has the same.
    """
    table = pd.concat([events[events["real"]], events[~events["real"]]], ignore_index=True)
    height = ROW * len(table) + 0.8
    figure, (ax,) = new_figure(8.6, height, 1, 1)
    figure.subplots_adjust(left=0.42, right=0.98, top=1 - 0.4 / height, bottom=0.3 / height)
    y = np.arange(len(table))
    for real, colour, label in ((True, PAST, "a crisis of the theatre"), (False, AHEAD, "none of its own")):
        mine = (table["real"] == real).to_numpy()
        ax.hlines(y[mine], table["low"][mine], table["high"][mine], color=colour, linewidth=1.8, alpha=0.6)
        ax.plot(table["rise"][mine], y[mine], "o", color=colour, markersize=3.5, label=label)
    ax.plot(table["global_part"], y, "|", color=INK, markersize=7, label="part of the global factor")
    names = [f"{r.theatre}: {r.event} ({str(r.months)[:7]})" for r in table.itertuples()]
    ax.set_yticks(y, names, fontsize=SMALL)
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.axvline(0.0, color=INK, linewidth=0.7)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.1, 1.0))
    own = table[table["real"]]
    top = largest(table, table["rise"])
    alt = (
        f"Rise of tension at {len(table)} dated events with 80 % intervals. {int((own['low'] > 0).sum())} of "
        f"{len(own)} crises of a theatre have an interval above zero; the largest rise is "
        f"{top['rise']:+.1f}, "
        f"{top['theatre']}: {top['event']}."
    )
    return Plot(figure, alt, table)


def plot_window(
    risk: xr.DataArray,
    events: pd.DataFrame,
    theatre: str,
    first: str,
    last: str,
    spans: Mapping[str, tuple[str, str]] | None = None,
) -> Plot:
    """One theatre's tension between two months, median and 80 %, with dated events.

    Parameters
    ----------
    risk : (chain, draw, theatre, month), such as ``run.forecast["risk"]``.
    events : date, theatre, label, such as of `plots.read_events`.
    spans : first and last month to shade, by what they are.

    The table has month, q10, q50 and q90.
    """
    own = risk.sel(theatre=theatre, month=slice(first, last)).transpose("chain", "draw", "month")
    months = pd.DatetimeIndex(own["month"].values)
    low, median, high = np.quantile(own.to_numpy(), [0.1, 0.5, 0.9], axis=(0, 1))
    figure, (ax,) = new_figure(9.0, 2.9, 1, 1)
    figure.subplots_adjust(left=0.045, right=0.985, top=0.9, bottom=0.09)
    ax.fill_between(days(months), low, high, color=PAST, alpha=0.2, linewidth=0)
    ax.plot(days(months), median, color=PAST, linewidth=1.3)
    ax.axhline(0.0, color=MUTED, linewidth=0.6)
    year_axis(ax, months, 1)
    mine = events[(events["theatre"] == theatre) & events["date"].between(months[0], months[-1])]
    at = months.searchsorted(mine["date"], side="right") - 1
    bottom, top = float(low.min()) - 0.1, float(high.max()) + 0.1
    for label, ends in (spans or {}).items():
        begin, end = days(pd.DatetimeIndex([f"{ends[0]}-01", f"{ends[1]}-28"]))
        ax.axvspan(begin, end, color=AHEAD, alpha=0.2, linewidth=0)
        ax.text((begin + end) / 2, bottom + 0.05, label, fontsize=SMALL, color=INK, ha="center", va="bottom")
    flag_events(ax, mine, high[at].tolist(), bottom, top)
    title(ax, THEATRE_LABELS[theatre], "standard deviations of 2010-2019")
    table = pd.DataFrame({"month": months, "q10": low, "q50": median, "q90": high})
    top = largest(table, table["q50"])
    alt = (
        f"Tension of {THEATRE_LABELS[theatre]} from {months[0]:%B %Y} to {months[-1]:%B %Y} with dated "
        "events "
        f"({len(mine)}). It is highest in {top['month']:%B %Y}, at {top['q50']:+.1f} "
        f"({between(top['q10'], top['q90'])})."
    )
    return Plot(figure, alt, table)
