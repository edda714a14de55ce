"""A page as its elements, and pages of runs that are only a summary."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from escalation_forecast.archive import Run
from escalation_forecast.ledger import Ledger
from escalation_forecast.page import render
from escalation_forecast.store import Store
from run_folder import answer, run_folder, summary_of

EARLIER, LATER = "0" * 16, "1" * 16
VOID = {"meta", "link", "input", "br", "img", "path"}


class Tree(HTMLParser):
    """Elements in order, each with its attributes and the text directly or below it; unbalanced tags fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()
        assert not self.open, f"<{self.found[self.open[-1]][0]}> is never closed"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        self.texts.append("")
        self.handle_data(" ")
        if tag not in VOID:
            self.open.append(len(self.found) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.found[self.open[-1]][0] == tag, f"</{tag}> closes <{self.found[self.open[-1]][0]}>"
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.texts[index] += data

    def all(self, tag: str, **wanted: str) -> list[str]:
        """Texts of the elements whose attributes hold the given words."""
        return [
            " ".join(text.replace("\xa0", " ").split())
            for (name, attributes), text in zip(self.found, self.texts, strict=True)
            if name == tag
            and all(v in str(attributes.get(k.strip("_"), "")).split() for k, v in wanted.items())
        ]


def small(summary: dict[str, Any], tmp_path: Path) -> Run:
    """A run that is only a summary."""
    return Run(tmp_path, summary)


def made(known: Store, tmp_path: Path, **changes: Any) -> str:
    whole: dict[str, Any] = {"as_of": "2026-06-15", "theatres": [], "spending": [], "skill": [], "war": None}
    return render(small(summary_of(**whole | changes), tmp_path), store=known, explorer=False)


def two_runs(place: Path) -> Ledger:
    """An archive of two published runs that share two answers."""
    ledger = Ledger.open(f"sqlite:///{place / 'a.sqlite'}", str(place / "runs"))
    rest: dict[str, Any] = {"theatres": [], "spending": [], "war": None, "skill": []}
    for name, day, p in ((EARLIER, "2026-05-01", 0.2), (LATER, "2026-06-15", 0.29)):
        own = [answer("arms-race-regional/2026", p), answer("use-of-force/korea/12m", 0.4)]
        ledger.publish(run_folder(place / "runs", name, as_of=day, answers=own, **rest))
    return ledger
