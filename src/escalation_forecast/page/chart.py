"""Charts as plain SVG that stretches: lines and bands are drawn, words stay text beside them.

The drawing is stretched to whatever width there is, so that letters keep their size on a phone; positions
of labels are in per cent of the drawing. Colours come from the style sheet, for light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

WIDTH: Final = 2000
HEIGHT: Final = 1000


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` (bottom) to ``high`` (top)."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], *also: float, room: float = 0.06) -> Axis:
        """All values, with some room; of no values an axis from 0 to 1."""
        known = [v for v in (*values, *also) if math.isfinite(v)]
        if not known:
            return cls(0.0, 1.0)
        low, high = min(known), max(known)
        pad = (high - low or 1.0) * room
        return cls(low - pad, high + pad)

    def share(self, value: float) -> float:
        """Per cent from the top."""
        return 100.0 * (self.high - value) / (self.high - self.low)

    def y(self, value: float) -> int:
        """In the drawing."""
        return round(self.share(value) * HEIGHT / 100)

    def ticks(self, n: int = 5) -> list[float]:
        """About `n` round values."""
        rough = (self.high - self.low) / n
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]


@dataclass
class Chart:
    """What the template draws.

    Attributes
    ----------
    key : unique on the page.
    label : the chart in words, for those who do not see it.
    n : number of places on the x axis; ``banded`` if each has a width of its own.
    readings : what a pointer or the arrow keys read off, by place; ``start`` is the first to be read.
    zoom : number of last places that are shown when the view is closer.
    """

    key: str
    label: str
    axis: Axis
    n: int
    banded: bool = False
    unit: str = ""
    shapes: list[tuple[str, str]] = field(default_factory=list)
    x_ticks: list[tuple[float, str, bool]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)
    dots: list[tuple[float, float, str]] = field(default_factory=list)
    readings: list[str] = field(default_factory=list)
    zoom: int | None = None
    start: int = 0

    def x(self, place: float) -> float:
        """Per cent from the left."""
        if self.banded:
            return 100.0 * (place + 0.5) / self.n
        return 100.0 * place / max(self.n - 1, 1)

    def _at(self, place: float, value: float) -> str:
        return f"{round(self.x(place) * WIDTH / 100)} {self.axis.y(value)}"

    def line(self, kind: str, places: Sequence[float], values: Sequence[float]) -> None:
        """A line, broken where a value is missing."""
        parts, pen = [], "M"
        for place, value in zip(places, values, strict=True):
            if not math.isfinite(value):
                pen = "M"
                continue
            parts.append(pen + self._at(place, value))
            pen = "L"
        if parts:
            self.shapes.append((kind, "".join(parts)))

    def band(self, kind: str, places: Sequence[float], low: Sequence[float], high: Sequence[float]) -> None:
        """The area between two lines."""
        known = [(p, a, b) for p, a, b in zip(places, low, high, strict=True) if math.isfinite(a + b)]
        if known:
            there = "L".join(self._at(p, b) for p, _, b in known)
            back = "L".join(self._at(p, a) for p, a, _ in reversed(known))
            self.shapes.append((kind, f"M{there}L{back}Z"))

    def bar(self, kind: str, place: float, low: float, high: float, width: float = 0.8) -> None:
        """A box of a banded chart."""
        left, right = (round(WIDTH * (place + 0.5 + side * width / 2) / self.n) for side in (-1.0, 1.0))
        top, bottom = self.axis.y(high), self.axis.y(low)
        self.shapes.append((kind, f"M{left} {top}H{right}V{bottom}H{left}Z"))

    def level(self, kind: str, value: float) -> None:
        """A line across."""
        self.shapes.append((kind, f"M0 {self.axis.y(value)}H{WIDTH}"))

    def upright(self, kind: str, place: float, low: float | None = None, high: float | None = None) -> None:
        """A line upright, from edge to edge unless ends are given."""
        x = round(self.x(place) * WIDTH / 100)
        top = 0 if high is None else self.axis.y(high)
        bottom = HEIGHT if low is None else self.axis.y(low)
        self.shapes.append((kind, f"M{x} {top}V{bottom}"))

    def dot(self, kind: str, place: float, value: float) -> None:
        """A point; it stays round because it is not part of the drawing."""
        if math.isfinite(value):
            self.dots.append((round(self.x(place), 2), round(self.axis.share(value), 2), kind))

    def value_ticks(self, digits: int = 0, *, sign: bool = False, n: int = 5) -> None:
        """Marks of the y axis and lines across."""
        for value in self.axis.ticks(n):
            text = f"{value + 0.0:+.{digits}f}" if sign and value else f"{value + 0.0:.{digits}f}"
            self.y_ticks.append((round(self.axis.share(value), 2), text.replace("-", "\u2212")))
            self.shapes.insert(0, ("zero" if value == 0 else "grid", f"M0 {self.axis.y(value)}H{WIDTH}"))

    def data(self) -> dict[str, Any]:
        """What a pointer or the arrow keys read off."""
        return {
            "n": self.n,
            "banded": self.banded,
            "zoom": self.zoom,
            "start": self.start,
            "readings": self.readings,
        }
