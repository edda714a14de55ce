"""Parts of a document, which can be written as Markdown or as HTML; any text is data and never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from escalation_forecast.report.markdown import escaped, markdown


@dataclass(frozen=True)
class Table:
    """A table; its first ``text`` columns are text, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1


@dataclass(frozen=True)
class Code:
    """Lines for a terminal."""

    lines: tuple[str, ...]


Part = str | tuple[str, ...] | Table | Code
"""A paragraph, a list, a table or lines of code."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    parts: tuple[Part, ...]


def to_markdown(title: str, sections: Iterable[Section]) -> str:
    """The document, with one heading of the first level."""
    blocks = [f"# {_safe(title)}"]
    for section in sections:
        blocks += [f"## {_safe(section.title)}", *(_markdown(part) for part in section.parts)]
    return "\n\n".join(blocks) + "\n"


def to_html(title: str, sections: Iterable[Section], level: int = 3) -> str:
    """A fragment: an ``<article>`` whose title has the level given and its sections one more."""
    inner = [f"<h{level}>{escape(title)}</h{level}>"]
    for section in sections:
        inner.append(f"<section><h{level + 1}>{escape(section.title)}</h{level + 1}>")
        inner += [_html(part) for part in section.parts]
        inner.append("</section>")
    return '<article class="model-card">\n' + "\n".join(inner) + "\n</article>\n"


def _markdown(part: Part) -> str:
    if isinstance(part, str):
        return _line(part)
    if isinstance(part, Code):
        return "\n".join(f"    {' '.join(line.split())}" for line in part.lines)
    if isinstance(part, Table):
        return markdown(part.header, [[_safe(cell) for cell in row] for row in part.rows], part.text)
    return "\n".join(f"- {_line(one)}" for one in part)


def _safe(text: str) -> str:
    """Text without links, images, emphasis or HTML."""
    plain = escaped(text)
    for mark in ("[", "]", "*"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _line(text: str) -> str:
    """Text at the start of a line, where it would make a heading or a list."""
    return re.sub(r"^([#+=~-]+|\d+(?=[.)]\s))", lambda found: _numeral(found[0]), _safe(text))


def _numeral(start: str) -> str:
    return f"{start}\\" if start.isdigit() else f"\\{start}"


def _html(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Code):
        return f"<pre><code>{escape(chr(10).join(part.lines))}</code></pre>"
    if isinstance(part, Table):
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in part.header)
        body = "\n".join(
            "<tr>" + "".join(_cell(cell, k, part.text) for k, cell in enumerate(row)) + "</tr>"
            for row in part.rows
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return "<ul>\n" + "\n".join(f"<li>{escape(one)}</li>" for one in part) + "\n</ul>"


def _cell(cell: str, column: int, text: int) -> str:
    if column == 0:
        return f'<th scope="row">{escape(cell)}</th>'
    return f"<td{'' if column < text else ' class=number'}>{escape(cell)}</td>"
