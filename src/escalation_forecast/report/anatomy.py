"""What stands behind a theatre's tension: its figures, its loadings, and what would move it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import LATENTS, indicator_figures
from escalation_forecast.panel import Panel
from escalation_forecast.push import RECENT_MONTHS, Density, densities
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
from escalation_forecast.schema import GLOBAL, THEATRE_LABELS, THEATRES
from escalation_forecast.store import Store

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
ORDER: Final = (GLOBAL, *THEATRES)
COLOURS: Final = (PAST, AHEAD, THIRD, "#CC79A7")
RISK_STEPS: Final = np.linspace(-6.0, 6.0, 601)
EXPOSED: Final = ("count", "share")
ROW: Final = 0.17  # inches


def evidence(known: Store) -> pd.DataFrame:
    """What was known of each indicator, by theatre and family.

    Returns
    -------
    DataFrame
        indicator, theatre, family, figures (how many periods), first, last (periods), published (day of the
        newest figure), source (titles), note; indicators without a figure are left out.
    """
    titles = known.sources.set_index("source")["title"]
    rows = []
    row: Any
    for row in known.indicators.itertuples():
        figures = indicator_figures(known, row)
        if figures.empty:
            continue
        parts = [known.latest(str(row.series), unit) for unit in str(row.units).split("+")]
        released = pd.concat(parts)
        rows.append(
            {
                "indicator": row.indicator,
                "theatre": row.theatre,
                "family": row.family,
                "figures": len(figures),
                "first": figures["month"].min(),
                "last": figures["month"].max(),
                "published": released["published_at"].max(),
                "source": "; ".join(titles[name] for name in released["source"].unique()),
                "note": row.note,
            }
        )
    found = pd.DataFrame(rows)
    place = found["theatre"].map(ORDER.index)
    return (
        found.assign(place=place).sort_values("place", kind="stable", ignore_index=True).drop(columns="place")
    )


def plot_evidence(table: pd.DataFrame, as_of: pd.Timestamp) -> Figure:
    """From when to when each indicator has figures; `table` as of `evidence`."""
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
    return figure


def plot_loadings(table: pd.DataFrame, permuted: pd.DataFrame | None = None) -> Figure:
    """Each loading under its prior and as fitted: mean and 90 % interval, one heading per block.

    Parameters
    ----------
    table : block, loading, mean, low, high, prior_mean, prior_low, prior_high.
    permuted : block, loading, mean, low, high of fits to figures in random order of time.
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
    for label, values, prefix, colour, shift in kinds:
        low, mean, high = (values[f"{prefix}{part}"].to_numpy(float) for part in ("low", "mean", "high"))
        ax.hlines(place + shift, low, high, color=colour, linewidth=1.7, alpha=0.6)
        ax.plot(mean, place + shift, "o", color=colour, markersize=3, label=label)
    for block in blocks:
        ax.text(-0.01, at[block], block, fontsize=SMALL + 0.5, fontweight="bold", color=INK, ha="right",
                va="center", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_yticks(place, table["loading"], fontsize=SMALL)
    ax.set_ylim(len(rows) - 0.4, -0.7)
    ax.axvline(0.0, color=INK, linewidth=0.7)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return figure


def plot_push(theatres: Sequence[Mapping[str, Any]], least: float = 0.02) -> Figure:
    """What pushed each theatre since a year ago; `theatres` as in the summary of a run."""
    shown = {str(one["label"]): [p for p in one["pushed_by"] if abs(p["push"]) >= least] for one in theatres}
    return _bars({name: [(p["indicator"], p["push"], None) for p in rows] for name, rows in shown.items()})


def swings(panel: Panel, posterior: xr.Dataset, years: int = 10) -> pd.DataFrame:
    """How far the risk would move if one indicator had had another half-year.

    The last six figures of one indicator are set to the 10th, or the 90th, percentile of its figures of the
    past `years`. A constant risk over those months is then found anew as the mode of what `push` reads: the
    densities of all recent figures and a normal prior around the risk of a year ago. Of that change the
    present keeps what the theatre's persistence leaves of it since the indicator's last figure. Parameters
    stay at their posterior means, everything else at what was observed. Short fits to the changed figures,
    which learn other parameters too, moved by 0.5, 0.6, 1.0 and 1.2 of it in four of the widest cases.

    Returns
    -------
    DataFrame
        theatre, indicator, low, high (change of the risk on the reference scale), now (mean of the last six
        figures), level_low, level_high (what replaces them), in the indicator's unit, counts and shares by
        exposure; the widest first within a theatre. Indicators of the global factor move the factor: what a
        theatre's own figures say of it is not moved with it. Those without a figure in the last year are left
        out: they cannot move the present.
    """
    mean = posterior.mean(("chain", "draw"))
    sd = reference_scale()["sd"]
    phi = dict(zip(THEATRES, mean["phi"].to_numpy(), strict=True)) | {GLOBAL: float(mean["phi_global"])}
    rows: list[dict[str, Any]] = []
    for latent in LATENTS:
        start = float(mean["eta"].sel(latent=latent).isel(month=panel.now - 12))
        variance = float(1.0 - phi[latent] ** 24)
        actual = densities(panel, mean, latent)
        here = _mode(actual, start, variance)
        for indicator in actual:
            found: dict[str, Any] = {"indicator": indicator}
            behind = panel.now - int(panel.months.searchsorted(panel.last_period[indicator]))
            kept = float(phi[latent] ** behind)
            for name, (level, changed) in _half_years(panel, indicator, years).items():
                other = densities(changed, mean, latent)
                moved = kept * (_mode(other, start, variance) - here) / float(sd[latent])
                found |= {name: moved, f"level_{name}": level}
            found["now"] = found.pop("level_now")
            rows.append({**found, "theatre": latent})
    table = pd.DataFrame(rows)
    place = table["theatre"].map(LATENTS.index)
    wide = table.assign(place=place, narrow=-(table["high"] - table["low"]).abs())
    ordered = wide.sort_values(["place", "narrow"], kind="stable", ignore_index=True)
    return ordered[["theatre", "indicator", "low", "high", "now", "level_low", "level_high"]]


def _mode(densities: Mapping[str, Density], start: float, variance: float) -> float:
    """The likeliest constant risk; on a grid, because heavy tails make more than one mode possible."""
    values = [
        sum(density(risk) for density in densities.values()) - 0.5 * (risk - start) ** 2 / variance
        for risk in RISK_STEPS + start
    ]
    return float(RISK_STEPS[int(np.argmax(values))] + start)


def _half_years(panel: Panel, indicator: str, years: int) -> dict[str, tuple[float, Panel]]:
    """By ``low``, ``high`` and ``now``: the level of the last six figures and the panel that ends in it."""
    rows = panel.history[panel.history["indicator"] == indicator]
    exposure: np.ndarray = np.ones(len(rows))
    if any(indicator in panel.items[block].index for block in EXPOSED):
        exposure = panel.exposures[indicator].reindex(rows["month"]).to_numpy(float)
    rate: np.ndarray = rows["value"].to_numpy(float) / exposure
    lately = rate[(rows["month"] > panel.months[panel.now] - pd.DateOffset(years=years)).to_numpy()]
    out = {"now": (float(rate[-RECENT_MONTHS:].mean()), panel)}
    for name, chance in (("low", 0.1), ("high", 0.9)):
        # A figure that has been: a ladder has no level between two.
        level = float(np.quantile(lately, chance, method="nearest"))
        history = panel.history.copy()
        history.loc[rows.index[-RECENT_MONTHS:], "value"] = level * exposure[-RECENT_MONTHS:]
        out[name] = level, dataclasses.replace(panel, history=history)
    return out


def plot_swings(table: pd.DataFrame, least: float = 0.02) -> Figure:
    """Range over which each indicator alone would move the risk; `table` as of `swings`."""
    wide = table[(table[["low", "high"]].abs() >= least).any(axis=1)]
    return _bars(
        {
            THEATRE_LABELS[name]: [
                (str(r.indicator), r.high, r.low) for r in wide[wide["theatre"] == name].itertuples()
            ]
            for name in LATENTS
        }
    )


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


def plot_paths(paths: Mapping[str, pd.DataFrame], since: str = "1990-01") -> Figure:
    """Mean paths of several fits, one panel per theatre, with their correlation with the first of them.

    Parameters
    ----------
    paths : by label, months down and theatres across, on the reference scale.
    """
    labels = list(paths)
    first = paths[labels[0]]
    months = pd.DatetimeIndex(first.index[first.index >= pd.Timestamp(since)])
    figure, axes = new_figure(9.0, 8.6, len(THEATRES), 1, sharex=True)
    figure.subplots_adjust(left=0.045, right=0.985, top=0.93, bottom=0.03, hspace=0.42)
    for ax, theatre in zip(axes, THEATRES, strict=True):
        said = []
        for n, label in enumerate(labels):
            path = paths[label].loc[months, theatre]
            ax.plot(days(months), path, color=COLOURS[n], linewidth=1.3 if n == 0 else 1.0, label=label)
            if n:
                said.append(f"{label} {np.corrcoef(path, first.loc[months, theatre])[0, 1]:.2f}")
        ax.axhline(0.0, color=MUTED, linewidth=0.6)
        title(ax, THEATRE_LABELS[theatre], "correlation: " + ", ".join(said) if said else "")
        year_axis(ax, months, 4)
    axes[0].legend(fontsize=SMALL + 0.5, frameon=False, ncols=len(labels), loc="lower left",
                   bbox_to_anchor=(0.0, 1.16))  # fmt: skip
    return figure


def plot_rises(events: pd.DataFrame) -> Figure:
    """Rise of tension at each dated event with its 80 % interval.

    Parameters
    ----------
    events : theatre, event, months, real (whether it was a crisis there), rise, low, high, global_part.
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
    return figure


def plot_window(
    risk: xr.DataArray,
    events: pd.DataFrame,
    theatre: str,
    first: str,
    last: str,
    spans: Mapping[str, tuple[str, str]] | None = None,
) -> Figure:
    """One theatre's tension between two months, median and 80 %, with dated events.

    Parameters
    ----------
    risk : (chain, draw, theatre, month), such as ``run.forecast["risk"]``.
    events : date, theatre, label, such as of `plots.read_events`.
    spans : first and last month to shade, by what they are.
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
    return figure
