"""Densities as text, for a terminal without plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from escalation_forecast.elicit.translate import short

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
ASCII: Final = " .:-=+*#@"
WIDTH: Final = 60
OUTER: Final = (0.005, 0.975)  # of skewed laws the upper tail would take most of the line


def density_text(
    drawn: Mapping[str, np.ndarray], unit: str = "", *, width: int = WIDTH, plain: bool = False
) -> str:
    """One line of bars for each set of draws, on one axis with its ends, and their median and 90 %.

    Parameters
    ----------
    drawn
        Draws by name, such as before and after.
    plain
        Without letters beyond ASCII.
    """
    ends = np.array([np.quantile(values, OUTER) for values in drawn.values()])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not low < high:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    margin = max(len(name) for name in drawn) + 2
    letters = ASCII if plain else BLOCKS
    lines = []
    for name, values in drawn.items():
        counts, _ = np.histogram(values, bins=width, range=(low, high))
        levels = np.ceil(counts / max(counts.max(), 1) * (len(letters) - 1)).astype(int)
        q = np.quantile(values, [0.05, 0.5, 0.95])
        bars = "".join(letters[level] for level in levels)
        first, middle, last = (short(x, high - low) for x in q)
        lines.append(f"{name:<{margin}}{bars}  {middle} ({first} to {last})")
    left, middle, right = (short(x, high - low) for x in (low, (low + high) / 2, high))
    ruler = left + middle.rjust(width // 2 + len(middle) // 2 - len(left))
    ruler += right.rjust(width - len(ruler)) + f" {unit}" * bool(unit)
    return "\n".join([*lines, " " * margin + ruler])
