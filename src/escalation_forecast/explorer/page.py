"""The explorer without any program: a table of each prior at five places, and small charts, as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from escalation_forecast.explorer.curves import Curves
from escalation_forecast.report.layout import percent
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST

if TYPE_CHECKING:
    from escalation_forecast.explorer.explorer import Explorer, Row, View

AGAIN: Final = "fit again"
# Colour and dashes: what is old and new, and without and with data, is told by both.
STROKES: Final = {
    "old prior": (MUTED, "2 3", 1.6),
    "new prior": (AHEAD, "2 3", 2.2),
    "old posterior": (PAST, "", 1.6),
    "new posterior": (AHEAD, "", 2.4),
}
STYLE: Final = f"""
.ef-explorer {{ color: {INK}; background: #fff; font-family: system-ui, sans-serif; font-size: 14px;
  line-height: 1.4; max-width: 1120px; }}
.ef-explorer table {{ border-collapse: collapse; width: 100%; margin: 8px 0; }}
.ef-explorer caption {{ text-align: left; padding: 4px 0; }}
.ef-explorer th, .ef-explorer td {{ text-align: left; vertical-align: top; padding: 6px 8px;
  border-bottom: 1px solid {GRID}; background: #fff; }}
.ef-explorer thead th {{ border-bottom: 1px solid {MUTED}; }}
.ef-explorer td strong {{ font-size: 16px; }}
.ef-explorer small {{ color: #555; font-weight: normal; }}
.ef-explorer tr {{ break-inside: avoid; }}
"""


def page(explorer: Explorer) -> str:
    """A whole page around `fragment`."""
    title = escape(f"Priors of {explorer.question}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f'<body style="margin:24px">\n{fragment(explorer)}\n</body></html>\n'
    )


def fragment(explorer: Explorer) -> str:
    """The table and its charts with their style; no program, nothing fetched."""
    return f'<section class="ef-explorer" lang="en"><style>{STYLE}</style>\n{table(explorer)}</section>'


def table(explorer: Explorer) -> str:
    """The table and its charts alone."""
    rows = explorer.grid()
    first = next(iter(rows[0].views.values()))
    run = explorer.updater.run.summary
    title = explorer.answers[explorer.question]
    error = "" if first.before_mcse is None else f" (Monte Carlo error {_points(first.before_mcse)})"
    heads = "".join(f'<th scope="col">{_place(by)}</th>' for by in rows[0].views)
    body = "\n".join(_row(row) for row in rows)
    return f"""<h3>{escape(title)}</h3>
<p>By the priors of the run: <strong>{percent(first.before)}</strong>{error}. Below, one prior at a time is
moved by its own standard deviations (sd), the others stay. Under each probability stands the shape k of the
tail of the weights, or that the wars were simulated again; where k or the draws left do not do, the cell
says "{AGAIN}" and nothing is known without a new fit.</p>
<table><caption>{escape(explorer.question)}, known on {escape(str(run["as_of"]))}, run
{escape(str(run["run_id"])[:12])}</caption>
<thead><tr><th scope="col">Prior</th>{heads}<th scope="col">Probability by place</th></tr></thead>
<tbody>
{body}
</tbody></table>
<p><small>In the chart: dots are probabilities with their 80 % Monte Carlo interval, where other random
numbers would put them; a cross at the foot is a place that needs a new fit; the dashed line is the run's own
priors. Of hundreds of priors tried, one may be in the table by chance.</small></p>"""


def _row(row: Row) -> str:
    cells = []
    for by, view in row.views.items():
        size = (row.words[by][1] or row.words[by][0]).rpartition(": ")[2]
        cells.append(f"<td>{_cell(view)}<br><small>{escape(_brief(size))}</small></td>")
    prior, outcome = row.words[0.0]
    about = outcome.rpartition(": ")[0] or "its own median"
    head = f"<code>{escape(row.name)}</code><br><small>{escape(prior.partition(':')[0])}. In the cells: "
    hint = f". {escape(row.hint)}" if row.hint else ""
    head += f"{escape(about)}, and in brackets where 90 % lies{hint}</small>"
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}<td>{svg_row(row)}</td></tr>'


def _brief(size: str) -> str:
    """``5.7 % (0.8 to 35)`` for ``5.7 (90 % between 0.8 and 35) %``, and of a prior's own numbers alike."""
    found = re.fullmatch(r"(?:median )?(\S+?),? \(?90 % between (\S+) and ([^\s)]+)\)?(.*)", size)
    return f"{found[1]}{found[4]} ({found[2]} to {found[3]})" if found else size


def _cell(view: View) -> str:
    if view.after is None:
        return f"<strong>{AGAIN}</strong><br>{escape(_why(view))}"
    way = view.update.answers[0].way
    how = f"k {view.k:.2f}" if view.k is not None else "as it is" if way == "unchanged" else way
    return f"<strong>{percent(view.after)}</strong><br>{how}"


def _why(view: View) -> str:
    if view.k is None or view.update.weights is None:
        return "no weights can tell"
    if view.k > view.update.limit:
        return f"k {view.k:.2f}"
    return f"{1.0 / float((view.update.weights**2).sum()):,.0f} draws left"


def _place(by: float) -> str:
    return "as it is" if by == 0 else f"{by:+g} sd".replace("-", "−")


def _points(error: float) -> str:
    return f"{100 * error:.2g} points"


def svg_row(row: Row, width: int = 220, height: int = 90) -> str:
    """Probability of an answer by place of one prior, with a text alternative."""
    from escalation_forecast.explorer.explorer import interval

    places = list(row.views)
    found = {by: view.after for by, view in row.views.items()}
    bars = {by: interval(p, row.views[by].mcse) for by, p in found.items() if p is not None}
    top = 1.15 * max(
        [p for p in found.values() if p is not None] + [b[1] for b in bars.values() if b] + [1e-4]
    )
    left, right, low, high = 40.0, width - 8.0, height - 18.0, 8.0
    x = {by: left + (right - left) * (k + 0.5) / len(places) for k, by in enumerate(places)}

    def y(p: float) -> float:
        return low - (low - high) * min(p / top, 1.0)

    before = next(iter(row.views.values())).before
    parts = [
        f'<line x1="{left}" y1="{low}" x2="{right}" y2="{low}" stroke="{MUTED}"/>',
        f'<line x1="{left}" y1="{y(before):.1f}" x2="{right}" y2="{y(before):.1f}" stroke="{MUTED}" '
        'stroke-dasharray="4 3"/>',
        *(
            _text(left - 4, y(p) + 3, percent(p) if p else "0", "end")
            for p in (0.0, before)
            if not p or low - y(p) > 12
        ),
    ]
    for by, p in found.items():
        parts.append(_text(x[by], height - 5, f"{by:+g}".replace("-", "−") if by else "0", "middle"))
        if p is None:
            a, b = x[by], low - 6
            cross = f"M{a - 4:.1f} {b - 4}l8 8m0 -8l-8 8"
            parts.append(f'<path d="{cross}" stroke="{INK}" stroke-width="1.6" fill="none"/>')
            continue
        if bar := bars[by]:
            ends = f'y1="{y(bar[0]):.1f}" y2="{y(bar[1]):.1f}"'
            parts.append(f'<line x1="{x[by]:.1f}" x2="{x[by]:.1f}" {ends} stroke="{PAST}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x[by]:.1f}" cy="{y(p):.1f}" r="3.5" fill="{PAST}"/>')
    said = "; ".join(f"{_place(by)}: {AGAIN if p is None else percent(p)}" for by, p in found.items())
    return _svg(width, height, f"Probability by place of {row.name}. {said}", parts)


def svg_curves(curves: Curves, width: int = 720, height: int = 250) -> str:
    """Densities of a prior before and after, with a legend and a text alternative."""
    left, right, low, high = 10.0, width - 10.0, height - 24.0, 34.0
    named = curves.named()
    span = float(curves.x[-1] - curves.x[0])
    # A density without bound at an end must not press the others flat.
    inner = slice(3, -3)
    top = 1.05 * max(float(np.max(values[inner])) for values in named.values())

    def xs(at: float) -> float:
        return left + (right - left) * (at - float(curves.x[0])) / span

    parts = [f'<line x1="{left}" y1="{low}" x2="{right}" y2="{low}" stroke="{MUTED}"/>']
    for tick in _ticks(float(curves.x[0]), float(curves.x[-1])):
        parts.append(
            f'<line x1="{xs(tick):.1f}" x2="{xs(tick):.1f}" y1="{low}" y2="{low + 4}" stroke="{MUTED}"/>'
        )
        parts.append(_text(xs(tick), low + 16, f"{tick:g}", "middle"))
    for place, (name, values) in enumerate(named.items()):
        colour, dash, wide = STROKES[name]
        ys = low - (low - high) * np.clip(values / top, 0.0, 1.0)
        points = " ".join(f"{xs(float(a)):.1f},{b:.1f}" for a, b in zip(curves.x, ys, strict=True))
        stroke = f'stroke="{colour}" stroke-width="{wide}" stroke-dasharray="{dash or "none"}" fill="none"'
        parts.append(f'<polyline points="{points}" {stroke}/>')
        at = left + 165 * place
        parts.append(f'<line x1="{at}" x2="{at + 34}" y1="12" y2="12" {stroke}/>')
        parts.append(_text(at + 40, 16, name, "start", 12))
    return _svg(width, height, curves.text, parts)


def _ticks(low: float, high: float) -> Sequence[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(7).tick_values(low, high)
    return [float(f"{tick:.10g}") for tick in ticks if low <= tick <= high]


def _text(x: float, y: float, text: str, anchor: str, size: int = 11) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {where} fill="{INK}" font-family="system-ui, sans-serif">{escape(text)}</text>'


def _svg(width: int, height: int, said: str, parts: list[str]) -> str:
    said = escape(said)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{said}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><title>{said}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>'
    )
