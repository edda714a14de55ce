"""What follows from a run in the archive: explanation, export, report, alerts. Each is safe to repeat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast import archive
from escalation_forecast.job.config import Config
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger, RunRecord

HUB: Final = "hub"
FOLDERS: Final = ("metaculus",)
"""Kinds of so many files that they get a folder of their own."""
WIDTH: Final = 110


def before(ledger: Ledger, run: RunRecord) -> RunRecord | None:
    """The published run that was the newest when this one was made."""
    listed = ledger.runs(state="published")
    same_day = (listed["as_of"] == run.as_of) & (listed["created_at"] < run.created_at)
    older = listed[(listed["as_of"] < run.as_of) | same_day]
    ids = [name for name in older["run_id"] if name != run.run_id]
    return ledger.get(ids[0]) if ids else None


def export(ledger: Ledger, run: RunRecord, config: Config) -> str:
    """Write the run in the wanted formats to ``<out>/<run id>/``, which appears whole.

    The hub is one for all runs, ``<out>/hub``, and gets a round.
    """
    from escalation_forecast.export import EXPORTS

    out, wanted = config.export.out, config.export.kinds
    target = out / run.run_id
    if (target / archive.SUMMARY).is_file():
        return f"{target} is there"
    source = ledger.load(run.run_id)
    # First, and the same again if the job ends before the folder is there.
    if HUB in wanted:
        EXPORTS[HUB](source, out / HUB)
    with archive.partial(out, run.run_id) as half, archive.writing(out):
        # The summary goes with every export: it says what the rest is.
        for kind in dict.fromkeys(("json", *wanted)):
            if kind != HUB:
                EXPORTS[kind](source, half / kind if kind in FOLDERS else half)
        archive.finish(half, out, run.run_id)
    return f"{target}"


def report(run: RunRecord, config: Config) -> str:
    """What a forecaster reads first, ``<out>/<run id>.txt``, and the page; the same as ``latest``.

    The page is made with the data and questions of the configuration.
    """
    from io import StringIO

    from rich.console import Console

    from escalation_forecast.report.terminal import print_summary

    out, text = config.report.out, StringIO()
    print_summary(run.summary, Console(file=text, width=WIDTH, no_color=True))
    with archive.writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in (run.run_id, "latest"):
            if name != "latest" or run.state == "published":
                _replace(out / f"{name}.txt", text.getvalue())
    return f"{out / run.run_id}.{_page(run, config) if config.report.page else 'txt'}"


def _page(run: RunRecord, config: Config) -> str:
    """Write the page; returns the ending of its name."""
    from escalation_forecast.job.work import read
    from escalation_forecast.ledger import Ledger
    from escalation_forecast.page import render

    own, asked = config.report, read(config)
    with Ledger.open(config.archive.url, config.archive.files) as ledger:
        text = render(
            run, ledger=ledger, store=asked.store, questions=asked.questions, scenarios=own.scenarios,
            explorer=own.explorer,
        )  # fmt: skip
    with archive.writing(own.out):
        for name in (run.run_id, "latest"):
            if name != "latest" or run.state == "published":
                _replace(own.out / f"{name}.html", text)
    return "html"


def _replace(file: Path, text: str) -> None:
    half = file.with_name(f".{file.name}.partial")
    half.write_text(text, encoding="utf-8")
    half.replace(file)


def alert(ledger: Ledger, run_id: str, found: list[Any], config: Config) -> str:
    """Keep and send alerts, with those of earlier days that did not get through; says how many."""
    from escalation_forecast.alerts import deliver

    given: dict[str, Any] = {"targets": config.alerts.targets, "file": config.alerts.file}
    delivery = deliver(ledger, run_id, found, **given)
    if delivery.faults:
        raise DataError(str(delivery))
    return str(delivery)


def moved(run: RunRecord, previous: RunRecord | None, config: Config) -> list[Any]:
    """Alerts of answers that moved since the previous run."""
    from escalation_forecast.alerts import Limits
    from escalation_forecast.alerts import moved as rule

    limits = Limits(threshold=config.alerts.threshold, n_mcse=config.alerts.n_mcse)
    return list(rule(run.summary, previous.summary if previous else None, limits))
