"""What the commands share: options, exit codes, and reading what the options name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from escalation_forecast.priors import Priors
    from escalation_forecast.question_file import Question
    from escalation_forecast.store import Store

BAD_INPUT: Final = 2
NOT_CONVERGED: Final = 3
NOT_WRITTEN: Final = 4
EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 any other failure; 2 bad option or bad input; 3 the fit did not pass its "
    "gates; 4 output could not be written; 130 interrupted."
)

AsOf = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="Use only what was public on this day (YYYY-MM-DD); default today."),
]
DataDir = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder instead of the embedded one.")
]
Observations = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Your own figures, added: a CSV file, or your folder of them."),
]
Indicators = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Catalogue rows (CSV) of your own indicators.")
]
PriorsFile = Annotated[
    Path | None, typer.Option("--priors", metavar="FILE", help="Priors to change (TOML); the rest stay.")
]
QuestionsFile = Annotated[
    Path | None, typer.Option("--questions", metavar="FILE", help="Questions (TOML) to use instead.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


class Root(TyperGroup):
    """Ends on wrong input with the sentence that says what is wrong, not with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:
            stop(
                f"{error.filename or 'A file'} cannot be read ({error.strerror}); check the path.", BAD_INPUT
            )
        except ValueError as error:
            from escalation_forecast.schema import DataError

            if isinstance(error, DataError):
                stop(error, BAD_INPUT)
            raise


def group(help_text: str, cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A group of commands with the house settings."""
    return typer.Typer(
        cls=cls,
        help=help_text,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def stop(message: object, code: int) -> NoReturn:
    """Say what is wrong on stderr and end with `code`."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def read_day(text: str | None) -> dt.date | None:
    """The day of ``--as-of``; raises `DataError` when it is no date or lies ahead."""
    from escalation_forecast.schema import DataError

    if text is None:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise DataError(f"`{text}` is not a date; write --as-of as YYYY-MM-DD.") from None
    if day > dt.date.today():
        raise DataError(
            f"--as-of {day} lies in the future, where nothing is known yet; give today or earlier."
        )
    return day


def read_store(data: Path | None, observations: Path | None, indicators: Path | None) -> Store:
    """The embedded store or that of `data`, with a user's own files on top."""
    from escalation_forecast.store import Store

    store = Store.load(data) if data else Store.embedded()
    if observations or indicators:
        store = store.with_files(observations=observations, indicators=indicators)
    return store


def known_on(store: Store, as_of: str | None) -> Store:
    """The store as it was known on the day of ``--as-of``, by default today."""
    return store.as_of(read_day(as_of) or dt.date.today())


def read_priors(path: Path | None, store: Store | None = None) -> Priors:
    """The default priors, changed by a user's file if there is one; its labels are those of the store."""
    from escalation_forecast.prior_labels import check_labels
    from escalation_forecast.priors import Priors

    default = Priors.default()
    if not path:
        return default
    chosen = default.override(path)
    if store is not None:
        check_labels(chosen, store)
    return chosen


def read_questions(path: Path | None) -> list[Question]:
    """The questions of a user's file, or the embedded ones."""
    from escalation_forecast.question_file import load_questions

    return load_questions(path)
