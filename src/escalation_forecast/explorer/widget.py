"""Sliders over an `Explorer`: what is shown and pressed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

import ipywidgets as w

from escalation_forecast.explorer.explorer import Explorer, View, interval
from escalation_forecast.explorer.knobs import HOME, WIDTHS, Position
from escalation_forecast.explorer.page import svg_curves
from escalation_forecast.report.layout import percent
from escalation_forecast.report.style import AHEAD, MUTED, PAST
from escalation_forecast.schema import DataError

STYLE: Final = {"description_width": "initial"}
FULL: Final = {"width": "100%", "max_width": "1080px"}


class Panel:
    """The controls, in the order of the tab key.

    Attributes
    ----------
    box : all of them.
    positions : where the priors are that have been moved or added.
    view : what is shown; None after an error.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self.positions: dict[str, Position] = {}
        self.view: View | None = None
        self._quiet = False
        self.question = _chooser("Question", list(explorer.answers), explorer.question)
        self.result, self.plot, self.error = (w.HTML(layout=FULL) for _ in range(3))
        self.rows = w.VBox(layout=FULL)
        self.sliders: dict[str, tuple[w.FloatSlider, w.SelectionSlider | None, w.HTML]] = {}
        names = sorted(explorer.knobs)
        self.other = _chooser("Another prior", names, names[0])
        self.add = w.Button(description="Add this prior")
        self.shown = _chooser("Plot of", [""], "")
        self.reset = w.Button(description="Reset all", tooltip="Put every prior back to that of the run")
        self.fit = w.Button(
            description="Fit again",
            tooltip="Fits the model with these priors; takes a minute or more",
            button_style="warning",
        )
        self.progress = w.IntProgress(description="Fitting", min=0, max=1, style=STYLE, layout=FULL)
        self.note = w.HTML(layout=FULL)
        self.toml = w.Textarea(description="As TOML", rows=7, style=STYLE, layout=FULL)
        self._connect()
        self._choose()
        self.box = w.VBox(
            [
                self.question, self.result, self.error, self.rows,
                w.HBox([self.other, self.add]),
                w.HBox([self.reset, self.fit]),
                self.progress, self.note, self.shown, self.plot, self.toml,
            ],
            layout={"width": "100%", "padding": "4px"},
        )  # fmt: skip

    def _connect(self) -> None:
        self.question.observe(lambda _: self._safely(self._choose), "value")
        self.shown.observe(lambda _: self._safely(self._draw), "value")
        self.add.on_click(lambda _: self._safely(lambda: self._show([*self.sliders, self.other.value])))
        self.reset.on_click(lambda _: self._safely(self._home))
        self.fit.on_click(lambda _: self._safely(self._fit))

    def _safely(self, act: Callable[[], None]) -> None:
        """Run what a control asks for; what goes wrong is said, and not only in a log."""
        if self._quiet:
            return
        self.error.value = ""
        try:
            act()
        except Exception as error:
            self.view = None
            self.result.value = self.plot.value = ""
            self.fit.layout.display = self.progress.layout.display = "none"
            said = str(error) or type(error).__name__
            self.error.value = f'<p role="alert"><strong>Not done.</strong> {escape(said)}</p>'
            if not isinstance(error, DataError | ArithmeticError | RuntimeError):
                raise

    def _choose(self) -> None:
        """Another question: the priors that matter to it, and those already moved."""
        self.explorer.question = self.question.value
        moved = [name for name, position in self.positions.items() if position != HOME]
        self._show([*self.explorer.top(), *moved])

    def _show(self, names: list[str]) -> None:
        kept, self.sliders = self.sliders, {}
        for name in dict.fromkeys(names):
            self.sliders[name] = kept.get(name) or self._row(name)
        self.rows.children = [
            w.VBox([w.HBox([one for one in (place, width) if one is not None]), text])
            for place, width, text in self.sliders.values()
        ]
        self._quietly(self._name_plots)
        self._update()

    def _name_plots(self) -> None:
        now = self.shown.value
        self.shown.options = list(dict.fromkeys([*self.sliders, now]))
        self.shown.value = now if now in self.sliders else next(iter(self.sliders))
        self.shown.options = list(self.sliders)

    def _row(self, name: str) -> tuple[w.FloatSlider, w.SelectionSlider | None, w.HTML]:
        at = self.positions.get(name, HOME)
        place = w.FloatSlider(
            value=at.by, min=-2, max=2, step=0.25, description=f"{name}, sd", continuous_update=False,
            readout_format="+.2f", style={"description_width": "270px"}, layout={"width": "620px"},
        )  # fmt: skip
        width = None
        if self.explorer.has_width(name):
            width = w.SelectionSlider(
                options=[(f"× {one:g}", one) for one in WIDTHS], value=at.width,
                description="width", continuous_update=False, layout={"width": "380px"},
            )  # fmt: skip
            width.observe(lambda _: self._safely(lambda: self._take(name)), "value")
        place.observe(lambda _: self._safely(lambda: self._take(name)), "value")
        text = w.HTML(layout=FULL)
        self._say(name, at, text)
        return place, width, text

    def _take(self, name: str) -> None:
        place, width, text = self.sliders[name]
        self.positions[name] = Position(place.value, width.value if width else 1.0)
        self._say(name, self.positions[name], text)
        self._quietly(lambda: setattr(self.shown, "value", name))
        self._update()

    def _say(self, name: str, position: Position, text: w.HTML) -> None:
        prior, outcome = self.explorer.words(name, position)
        second = f"<br>That is: {escape(outcome)}." if outcome else ""
        if hint := self.explorer.hint(name):
            second += f"<br><em>{escape(hint)}.</em>"
        text.value = f'<div style="margin:0 0 8px 270px;line-height:1.35">{escape(prior)}.{second}</div>'

    def _home(self) -> None:
        self.positions = {}
        self._quietly(self._centre)
        self._show(list(self.explorer.top()))

    def _centre(self) -> None:
        for name, (place, width, text) in self.sliders.items():
            place.value = HOME.by
            if width:
                width.value = HOME.width
            self._say(name, HOME, text)

    def _quietly(self, act: Callable[[], None]) -> None:
        self._quiet = True
        try:
            act()
        finally:
            self._quiet = False

    def _update(self) -> None:
        self._tell(self.explorer.view(self.positions))

    def _fit(self) -> None:
        self.fit.disabled, self.progress.value, self.progress.layout.display = True, 0, ""
        self.note.value = (
            "<p>Fitting again; the first time the program of the run is loaded, which takes some seconds.</p>"
        )
        try:
            self._tell(self.explorer.view(self.positions, refit=True, progress=self._report))
        finally:
            self.note.value, self.fit.disabled = "", False

    def _report(self, done: int, total: int, divergences: int) -> None:
        self.progress.max, self.progress.value = max(total, 1), done
        diverged = f", {divergences} diverged" if divergences else ""
        self.note.value = f"<p>{done:,} of {total:,} draws{diverged}</p>"

    def _tell(self, view: View) -> None:
        self.view = view
        self.result.value = result(view, self.explorer.answers[view.item.id])
        self.toml.value = view.toml
        self.fit.layout.display = "none" if view.tells else ""
        self.progress.layout.display = "none"
        self._draw()

    def _draw(self) -> None:
        if self.view is None:
            return
        found = self.explorer.curves(self.shown.value, self.view)
        if found is None:
            self.plot.value = "<p>A constant has no density to draw.</p>"
        else:
            note = f"<p>{escape(found.note)}</p>" if found.note else ""
            self.plot.value = f"{svg_curves(found)}{note}"


def _chooser(description: str, options: list[str], value: str) -> w.Combobox:
    """A field with suggestions: where a list has the focus, JupyterLab takes letters for its own commands."""
    return w.Combobox(
        options=options, value=value, description=description, ensure_option=True, continuous_update=False,
        tooltip="Type a part of a name and choose", style=STYLE, layout={"width": "520px"},
    )  # fmt: skip


def result(view: View, title: str) -> str:
    """The answer before and after, with errors and verdict, as HTML."""
    rows = _line("Priors of the run", view.before, view.before_mcse, PAST)
    if view.update.changes:
        rows += _line("Moved priors", view.after, view.mcse, AHEAD)
    change = ""
    if view.after is not None and view.update.changes:
        error = "" if view.change_mcse is None else f" (Monte Carlo error {100 * view.change_mcse:.2g})"
        change = f"<p>Change: {100 * (view.after - view.before):+.2g} points{error}.</p>"
    return (
        f'<div role="status" style="line-height:1.4"><p><strong>{escape(title)}</strong></p>'
        f'<table style="border-collapse:collapse">{rows}</table>{change}<p>{escape(view.verdict)}</p></div>'
    )


def _line(name: str, p: float | None, mcse: float | None, colour: str) -> str:
    value, around, bar = "fit again", "", ""
    if p is not None:
        value = percent(p)
        if ends := interval(p, mcse):
            low, high = (f"{100 * end:.2f}" for end in ends)
            around = f"80 % Monte Carlo interval {low} to {high} %"
        bar = (
            f'<div style="width:200px;border:1px solid {MUTED}">'
            f'<div style="width:{200 * p:.1f}px;height:10px;background:{colour}"></div></div>'
        )
    cell = '<td style="padding:2px 14px 2px 0">'
    return f"<tr>{cell}{name}</td>{cell}<strong>{value}</strong></td>{cell}{bar}</td>{cell}{around}</td></tr>"
