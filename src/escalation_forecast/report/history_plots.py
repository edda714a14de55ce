"""How often it happened before, and how much of that is taken over: base rates and their discount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy.special import expit

from escalation_forecast.draws import prior_sample
from escalation_forecast.prior_spec import PriorSpec
from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, largest, listing
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, new_figure, title
from escalation_forecast.report.war_plots import rate_interval
from escalation_forecast.schema import THEATRE_LABELS

EVENT_LABELS: Final[dict[str, str]] = {
    "force": "use of force begins", "fatal": "a first death", "war_both": "war begins",
}  # fmt: skip
DRAWS: Final = 40_000
LEAST: Final = 1e-5
BINS: Final = np.linspace(-5.0, 0.0, 51)  # log10 of a chance


def plot_base_rates(rates: pd.DataFrame) -> Plot:
    """Events per dyad-year with 80 % intervals, by period and by theatre.

    Parameters
    ----------
    rates : event, theatre, dyad, events, trials, reference_class, years, as of `history.base_rates`.

    The table has group, event, events, trials, rate, low and high.
    """
    sums = rates[rates["dyad"] == "all"]
    worldwide = sums["reference_class"].str.contains("politically relevant")
    groups = [(f"all relevant pairs, {years}", rows) for years, rows in sums[worldwide].groupby("years")]
    since = sums[~worldwide & (sums["years"].str[:4] == sums[~worldwide]["years"].str[:4].min())]
    for theatre, rows in since[since["theatre"] != "all"].groupby("theatre", sort=False):
        groups.append((f"{THEATRE_LABELS[str(theatre)]}, {rows['years'].iloc[0]}", rows))
    figure, (ax,) = new_figure(9.0, 0.34 * len(groups) + 0.9, 1, 1)
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=0.22, right=0.8, top=1 - 0.4 / height, bottom=0.35 / height)
    drawn: list[tuple[str, str, int, int, float, float, float]] = []
    for (event, label), colour, shift in zip(
        EVENT_LABELS.items(), (PAST, AHEAD, INK), (-0.2, 0.0, 0.2), strict=True
    ):
        for y, (_, rows) in enumerate(groups):
            row = rows[rows["event"] == event].iloc[0]
            events, trials = int(row["events"]), int(row["trials"])
            low, high = rate_interval(events, trials)
            drawn.append((groups[y][0], label, events, trials, events / trials, low, high))
            ax.hlines(y + shift, max(low, LEAST), high, color=colour, linewidth=1.6, alpha=0.6)
            if events:
                ax.plot(events / trials, y + shift, "o", color=colour, markersize=4)
        ax.plot([], [], "o-", color=colour, markersize=4, label=label)
    for y, (_, rows) in enumerate(groups):
        events_of = rows.set_index("event")["events"]
        counts = " / ".join(f"{int(events_of[event]):,}" for event in EVENT_LABELS)
        ax.text(1.02, y, f"{counts} of {int(rows['trials'].iloc[0]):,}", fontsize=SMALL, color=MUTED,
                va="center", transform=ax.get_yaxis_transform())  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(LEAST, 1.0)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.set_yticks(range(len(groups)), [name for name, _ in groups], fontsize=SMALL + 0.5)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.legend(fontsize=SMALL + 0.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    columns = ["group", "event", "events", "trials", "rate", "low", "high"]
    table = pd.DataFrame(drawn, columns=columns)
    return Plot(figure, _rates_alt(table), table)


def _rates_alt(table: pd.DataFrame) -> str:
    said = [
        f"{row['event']} {percent(row['rate'])} ({row['events']:,} of {row['trials']:,})"
        for row in table[table["group"] == table["group"].iloc[0]].to_dict("records")
    ]
    force = table[table["event"] == EVENT_LABELS["force"]]
    high = largest(force, force["rate"])
    return (
        f"Events a pair of states and year with 80 % intervals, in {table['group'].nunique()} groups. "
        f"Of {table['group'].iloc[0]}: {listing(said)}. Use of force begins most often in {high['group']}, "
        f"{percent(float(high['rate']))} a year."
    )


def weighted_chances(spec: PriorSpec, weights: Sequence[float], *, seed: int = 1) -> dict[float, np.ndarray]:
    """Draws of a chance learned from history when history counts by such a weight.

    Log odds are turned into chances. Of a prior with labels every label is drawn, (draw, label).

    Raises
    ------
    DataError
        When the prior's family has no discount.
    """
    found = {}
    for weight in weights:
        values = prior_sample(np.random.default_rng(seed), spec, DRAWS, power=weight)
        found[weight] = expit(values) if spec.support == "real" else values
    return found


def plot_weights(chances: Mapping[str, Mapping[float, np.ndarray]]) -> Plot:
    """How sure one is of a chance when history counts for less, on a log axis; the mean is the diamond.

    Parameters
    ----------
    chances : by what it is a chance of, draws by weight, such as of `weighted_chances`.

    The table has chance, weight, x (log10), density; and the mean of the draws.
    """
    tables: list[pd.DataFrame] = []
    figure, axes = new_figure(9.4, 2.7, 1, len(chances))
    figure.subplots_adjust(left=0.02, right=0.985, top=0.86, bottom=0.11, wspace=0.08)
    for ax, (name, by_weight) in zip(axes, chances.items(), strict=True):
        for (weight, values), colour in zip(by_weight.items(), (PAST, INK, AHEAD, THIRD), strict=False):
            mass, _ = np.histogram(np.log10(values), bins=BINS, density=True)
            centre = (BINS[1:] + BINS[:-1]) / 2
            mean = np.log10(values.mean())
            curve = {"chance": name, "weight": weight, "x": centre, "density": mass, "mean": values.mean()}
            tables.append(pd.DataFrame(curve))
            ax.plot(centre, mass, color=colour, linewidth=1.3, label=f"weight {weight:g}")
            ax.plot(mean, np.interp(mean, centre, mass), "D", color=colour, markersize=4.5)
        ax.set_xticks(range(-5, 1), [f"{10.0 ** (k + 2):g} %" for k in range(-5, 1)], fontsize=SMALL)
        ax.set_yticks([])
        ax.set_ylim(bottom=0)
        title(ax, name)
    axes[0].legend(fontsize=SMALL + 0.5, frameon=False, loc="upper left")
    said = [
        f"{name} {', '.join(f'{percent(v.mean())} at weight {w:g}' for w, v in by_weight.items())}"
        for name, by_weight in chances.items()
    ]
    alt = f"Distributions of chances when history counts for less. Means: {'; '.join(said)}."
    return Plot(figure, alt, pd.concat(tables, ignore_index=True))
