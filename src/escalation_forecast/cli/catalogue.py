"""``questions``: what a forecast answers, as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli import records
from escalation_forecast.cli.common import Json, QuestionsFile, group, read_questions
from escalation_forecast.cli.output import print_item, print_json, print_rows
from escalation_forecast.cli.priors import known_name

if TYPE_CHECKING:
    from escalation_forecast.question_file import Question

questions_app = group("The questions that a forecast answers, and what came of them.")


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
    record = _question_record(by_id[known_name(question_id, list(by_id), "question")])
    print_json(record) if json else print_item(record)


def _question_record(question: Question) -> dict[str, Any]:
    from escalation_forecast.rules import get

    return {
        "id": question.id,
        "kind": get(question.rule).kind,
        **question.model_dump(mode="json", exclude={"id"}),
    }


questions_app.command()(records.resolve)
questions_app.command()(records.score)
questions_app.add_typer(records.crowd_app, name="crowd")
