"""The ladder of militarised incidents: how many months of a year reached each rung, and will."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.patches import Patch

from escalation_forecast.report.plot import Plot, listing, of_run
from escalation_forecast.report.style import AHEAD, INK, MUTED, PAST, SMALL, new_figure, title
from escalation_forecast.schema import THEATRE_LABELS

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

RUNGS: Final = {2: "threat", 3: "display", 4: "use of force", 5: "war"}
FORCE: Final = 4
YEAR: Final = 12


def plot_ladder(run: Run | xr.Dataset, *, years: int = 20) -> Plot:
    """Months by highest rung, in windows of twelve up to the start of the forecast and after it.

    Bars of the forecast are means over the draws; the line on them is the central 80 % of the number of
    months with use of force or war. The table has theatre, year of the window's end, phase, the months of
    each rung, and low and high of the line.

    Parameters
    ----------
    run : a run, or its forecast paths.
    """
    paths, _ = of_run(run)
    months = pd.DatetimeIndex(paths["month"].values)
    start = int((months < pd.Timestamp(paths.attrs["first_forecast_month"])).sum())
    ahead = (len(months) - start) // YEAR
    behind = min(years, start // YEAR)
    first = start - YEAR * behind
    window = slice(first, start + YEAR * ahead)
    figure, axes = new_figure(11.5, 4.6, 2, 3)
    figure.subplots_adjust(left=0.045, right=0.99, top=0.93, bottom=0.07, hspace=0.4, wspace=0.13)
    ends = [f"{months[first + YEAR * (n + 1) - 1]:%Y}" for n in range(behind + ahead)]
    shades = dict(zip(RUNGS, (0.15, 0.35, 0.75, 1.0), strict=True))
    tables = []
    for ax, theatre in zip(axes, paths["theatre"].values, strict=False):
        rungs = paths["ladder"].sel(theatre=theatre).isel(month=window)
        values = rungs.stack(sample=("chain", "draw")).transpose("sample", "month").values
        blocks = values.reshape(len(values), behind + ahead, YEAR)
        floor = np.zeros(behind + ahead)
        heights = {name: (blocks == rung).sum(axis=2).mean(axis=0) for rung, name in RUNGS.items()}
        for rung in (5, 4, 3, 2):
            height = heights[RUNGS[rung]]
            for part, colour in ((slice(0, behind), PAST), (slice(behind, None), AHEAD)):
                ax.bar(np.arange(behind + ahead)[part], height[part], bottom=floor[part], width=0.8,
                       color=colour, alpha=shades[rung], linewidth=0)  # fmt: skip
            floor = floor + height
        force = (blocks[:, behind:] >= FORCE).sum(axis=2)
        low, high = np.quantile(force, [0.1, 0.9], axis=0)
        ax.vlines(np.arange(behind, behind + ahead), low, high, color=INK, linewidth=1.1)
        gap = np.full(behind, np.nan)
        tables.append(
            pd.DataFrame(
                {
                    "theatre": str(theatre),
                    "year": [int(end) for end in ends],
                    "phase": np.repeat(["history", "forecast"], [behind, ahead]),
                    **heights,
                    "low": np.concatenate([gap, low]),
                    "high": np.concatenate([gap, high]),
                }
            )
        )
        ticks = [n for n, end in enumerate(ends) if int(end) % 5 == 0 and n < behind] + [len(ends) - 1]
        ax.set_xticks(ticks, [ends[n] for n in ticks])
        ax.set_ylim(0, YEAR)
        ax.set_yticks([0, 3, 6, 9, 12])
        title(ax, THEATRE_LABELS[str(theatre)])
    _key(axes[-1], shades, f"{months[start - 1]:%B}")
    table = pd.concat(tables, ignore_index=True)
    return Plot(figure, _alt(table), table)


def _alt(table: pd.DataFrame) -> str:
    force = table.assign(force=table["use of force"] + table["war"])
    said = []
    for theatre, own in force.groupby("theatre", sort=False):
        past, ahead = (own[own["phase"] == phase]["force"] for phase in ("history", "forecast"))
        then = f"{past.iloc[-1]:.1f}" if len(past) else "unknown"
        now = f"{ahead.iloc[0]:.1f}" if len(ahead) else "unknown"
        said.append(f"{THEATRE_LABELS[str(theatre)]} {now} ({then})")
    return (
        "Months with each rung of the ladder by theatre, in windows of twelve. Expected months with use of "
        f"force or war in the first window ahead, and in the last one behind: {listing(said)}."
    )


def _key(ax: Any, shades: Mapping[int, float], last: str) -> None:
    ax.set_axis_off()
    handles = [Patch(color=PAST, alpha=shades[rung], label=name) for rung, name in RUNGS.items()]
    handles += [Patch(color=AHEAD, label="the same, forecast")]
    ax.legend(handles=handles[::-1], frameon=False, fontsize=SMALL + 1, loc="center left",
              title="Months of twelve in which the highest\nrung was", title_fontsize=SMALL + 1,
              alignment="left")  # fmt: skip
    ax.text(0.03, -0.12, f"Each bar: the twelve months up to {last}\nof the year named below it.",
            fontsize=SMALL, color=MUTED)  # fmt: skip
