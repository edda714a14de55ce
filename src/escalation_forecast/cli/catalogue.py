"""``priors`` and ``questions``: what a forecaster may want to change, as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli.common import Json, PriorsFile, QuestionsFile, group, read_priors, read_questions
from escalation_forecast.cli.output import print_item, print_json, print_rows

if TYPE_CHECKING:
    from escalation_forecast.priors import PriorSpec
    from escalation_forecast.question_file import Question

priors_app = group("The priors, and what your file changes.")
questions_app = group("The questions that a forecast answers.")


@priors_app.command("list")
def list_priors(priors: PriorsFile = None, json: Json = False) -> None:
    """List all priors, as your file changes them."""
    chosen = read_priors(priors)
    if json:
        print_json([_prior_record(spec) for spec in chosen.values()])
        return
    changed = {row["name"] for row in chosen.changed(read_priors(None))} if priors else set()
    rows = [(name, spec.text, "yes" if name in changed else "", spec.reason) for name, spec in chosen.items()]
    print_rows(("prior", "distribution", "changed", "reason"), rows, f"{len(rows)} priors")


@priors_app.command("show")
def show_prior(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name as in `priors list`.")],
    priors: PriorsFile = None,
    json: Json = False,
) -> None:
    """Show one prior with its reason and source."""
    chosen = read_priors(priors)
    record = _prior_record(chosen[_known(name, list(chosen), "prior")])
    print_json(record) if json else print_item(record)


@questions_app.command("list")
def list_questions(questions: QuestionsFile = None, json: Json = False) -> None:
    """List all questions by id."""
    records = [_question_record(question) for question in read_questions(questions)]
    if json:
        print_json(records)
        return
    rows = [(record["id"], record["kind"], record["title"]) for record in records]
    print_rows(("id", "kind", "title"), rows, f"{len(rows)} questions")


@questions_app.command("show")
def show_question(
    question_id: Annotated[str, typer.Argument(metavar="ID", help="Id as in `questions list`.")],
    questions: QuestionsFile = None,
    json: Json = False,
) -> None:
    """Show one question: text, rule, resolution."""
    by_id = {question.id: question for question in read_questions(questions)}
    record = _question_record(by_id[_known(question_id, list(by_id), "question")])
    print_json(record) if json else print_item(record)


def _known(name: str, names: list[str], what: str) -> str:
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    if name not in names:
        raise DataError(f"There is no {what} `{name}`{nearest(name, names)}; see `{what}s list`.")
    return name


def _prior_record(spec: PriorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "distribution": spec.text,
        "family": spec.family,
        "parameters": dict(spec.parameters),
        "dims": list(spec.dims),
        "support": spec.support,
        "reason": spec.reason,
        "source": spec.source,
    }


def _question_record(question: Question) -> dict[str, Any]:
    from escalation_forecast.rules import get

    return {
        "id": question.id,
        "kind": get(question.rule).kind,
        **question.model_dump(mode="json", exclude={"id"}),
    }
