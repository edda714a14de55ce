"""The page from a run: its sections gathered, put into the template, and locked against foreign code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from escalation_forecast import archive
from escalation_forecast.archive import Run, load_run
from escalation_forecast.page import safety
from escalation_forecast.page.material import Material
from escalation_forecast.page.words import day
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from jinja2 import Environment

    from escalation_forecast.ledger import Ledger, RunRecord
    from escalation_forecast.question_file import Question
    from escalation_forecast.store import Store
    from escalation_forecast.update.updater import Updater

TEMPLATES: Final = Path(__file__).with_name("templates")
CACHE: Final = "pages"
"""Folder beside those of the runs for what takes long to find."""
EXPLORER_BYTES: Final = 1_200_000
SLOT: Final = "<!--slot-->"
"""Where a server puts its list of runs."""
SECTIONS: Final = {
    "headline": "Headline", "changed": "What changed", "theatres": "Theatres", "routes": "Routes to war",
    "questions": "Questions", "spending": "Spending", "scenarios": "Scenarios", "explorer": "Other priors",
    "indicators": "Indicators", "skill": "Skill", "card": "Model card", "cite": "How to cite",
}  # fmt: skip


def write_page(
    run: Run | RunRecord | Path | str,
    out: Path | str,
    *,
    ledger: Ledger | None = None,
    since: str | None = None,
    store: Store | None = None,
    questions: Sequence[Question] | None = None,
    scenarios: bool = False,
    explorer: bool = True,
) -> Path:
    """Write the page of a run as one file; takes the parameters of `render`.

    Raises
    ------
    DataError
        As `render`.
    ArchiveError
        When the file cannot be written.
    """
    out = Path(out)
    text = render(
        run, ledger=ledger, since=since, store=store, questions=questions, scenarios=scenarios,
        explorer=explorer,
    )  # fmt: skip
    put(out, text)
    return out


def put(file: Path, text: str) -> None:
    """Write a file that appears whole."""
    with archive.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.partial")
        half.write_text(text, encoding="utf-8", newline="\n")
        half.replace(file)


def render(
    run: Run | RunRecord | Path | str,
    *,
    ledger: Ledger | None = None,
    since: str | None = None,
    store: Store | None = None,
    questions: Sequence[Question] | None = None,
    scenarios: bool = False,
    explorer: bool = True,
) -> str:
    """The page of a run as HTML that needs nothing else.

    Parameters
    ----------
    run : a run, its folder, or the record of one in the archive; a fit that failed has a page too.
    ledger : the archive, for what changed since an earlier run.
    since : id of the earlier run; by default the one that an explanation is kept for, or the one published
        before.
    store, questions : what the run was made with; by default the embedded ones.
    scenarios : compute them, half a minute the first time; they are kept beside the run's folder.
    explorer : put the explorer of priors on the page, if the run has draws.

    Raises
    ------
    DataError
        When there is no such run, or the figures and questions given are not those of the run.
    """
    from escalation_forecast.card import model_card
    from escalation_forecast.question_file import load_questions
    from escalation_forecast.store import Store

    summary, found = _opened(run, ledger)
    as_of = dt.date.fromisoformat(str(summary["as_of"]))
    known = (store or Store.embedded()).as_of(as_of)
    asked = load_questions() if questions is None else list(questions)
    material = Material(summary, found.folder if found else None, known, asked)
    content = _content(material, ledger, since)
    updater, reason = _updater(found, known, asked) if scenarios or explorer else (None, "")
    content["scenarios"] = _scenarios(material, updater, reason) if scenarios else []
    content["explorer"], content["no_explorer"] = _explorer(updater, reason) if explorer else ("", "")
    content["card"] = Markup(model_card(found or Run(Path(), dict(summary)), known).html())
    return _filled(content)


def _opened(run: Run | RunRecord | Path | str, ledger: Ledger | None) -> tuple[Mapping[str, Any], Run | None]:
    """The summary, and the run with its folder if it has one."""
    if isinstance(run, str | Path):
        run = load_run(run)
    if isinstance(run, Run):
        return run.summary, run
    if run.state == "failed" or ledger is None:
        return run.summary, None
    return run.summary, ledger.load(run.run_id)


def _content(material: Material, ledger: Ledger | None, since: str | None) -> dict[str, Any]:
    from escalation_forecast.page import catalogue, figures, headline, moved, routes, spending, theatres
    from escalation_forecast.report.terminal import pool_text

    summary = material.summary
    families = catalogue.questions(material)
    shared = pool_text(summary) if summary.get("questions") else ""
    return {
        "summary": summary,
        "as_of": day(material.as_of),
        "made": str(summary.get("created_at", ""))[:16].replace("T", " "),
        "version": version("escalation-forecast"),
        "banners": headline.banners(summary),
        "changed": headline.changed(summary),
        "headline": headline.headline(material),
        "pool": " ".join(shared.split()),
        "moved": moved.moved(material, ledger, since),
        "theatres": theatres.theatres(material),
        "routes": routes.routes(material),
        "families": families,
        "groups": list(dict.fromkeys(family["group"] for family in families)),
        "n_answers": len(material.answers),
        "spending": spending.spending(material),
        "indicators": figures.indicators(material),
        "skill": figures.skill(material),
        "cite": _cite(material),
    }


def _cite(material: Material) -> dict[str, str]:
    own, run_id = material.summary, str(material.summary["run_id"])
    made = str((own.get("versions") or {}).get("escalation-forecast", version("escalation-forecast")))
    title = f"Escalation forecast as of {day(material.as_of)}"
    note = f"Run {run_id}, model version {own.get('model_version', '')}, program version {made}"
    key = f"escalation-forecast-{material.as_of}"
    return {
        "text": f"escalation-forecast ({material.as_of.year}). {title}. {note}.",
        "bibtex": f"@misc{{{key},\n  title = {{{title}}},\n  author = {{{{escalation-forecast}}}},\n"
        f"  year = {{{material.as_of.year}}},\n  note = {{{note}}}\n}}",
    }


def cache_folder(run: Run) -> Path:
    """Folder beside that of the run; the run's own is never written to."""
    return run.folder.parent / CACHE


def _updater(run: Run | None, known: Store, questions: Sequence[Question]) -> tuple[Updater | None, str]:
    """The run with what its draws need; or why there is none."""
    from escalation_forecast.update.updater import Updater

    if run is None or not (run.folder / archive.POSTERIOR).is_file():
        return None, "the run has no draws"
    try:
        return Updater.of(run, store=known, questions=questions), ""
    except DataError as error:
        return None, str(error).rstrip(".")


def _scenarios(material: Material, updater: Updater | None, reason: str) -> list[dict[str, Any]]:
    from escalation_forecast.page.what_if import scenarios

    if updater is None:
        raise DataError(
            f"No scenario can be put on run {material.summary['run_id']}: {reason}; leave out --scenarios."
        )
    return scenarios(material, updater, cache_folder(updater.run))


def _explorer(updater: Updater | None, reason: str) -> tuple[Markup | str, str]:
    """The explorer, or why the page has none: it is no reason to go without a page."""
    from escalation_forecast.explorer.browser import fragment

    if updater is None:
        return "", reason
    try:
        text = fragment(updater)
    except DataError as error:
        return "", str(error).rstrip(".")
    size = len(text.encode())
    return (Markup(text), "") if size <= EXPLORER_BYTES else ("", f"it would take {size:,} bytes")


def _unbroken(value: Any) -> Any:
    """A number and its per cent sign stay on one line."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


@cache
def environment() -> Environment:
    """The templates; what is put into them is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_unbroken,
    )  # fmt: skip
    found.filters["json"] = safety.json_text
    found.filters["day"] = day
    return found


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _filled(content: Mapping[str, Any]) -> str:
    """The template filled; only the program's own scripts may run."""
    early, code = _text("early.js"), _text("page.js")
    own = [early, code, *safety.scripts_of(str(content["explorer"]))]
    wanted = content["explorer"] or content["no_explorer"]
    shown = [item for item in SECTIONS.items() if item[0] != "explorer" or wanted]
    return environment().get_template("page.html.j2").render(
        **content,
        sections=shown,
        policy=safety.policy(own),
        css=Markup(_text("page.css")),
        early=Markup(early),
        code=Markup(code),
        slot=Markup(SLOT),
    )  # fmt: skip
