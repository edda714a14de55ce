"""``priors elicit``: state a belief, see what it means, keep it in a file."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from escalation_forecast.cli.common import BAD_INPUT, Json, read_priors, stop
from escalation_forecast.cli.output import print_json
from escalation_forecast.cli.priors import app, known_name, prior_record, read_pairs, save

if TYPE_CHECKING:
    from escalation_forecast.elicit.outcomes import Outcome
    from escalation_forecast.elicited import Elicited
    from escalation_forecast.priors import Priors

__all__ = ["app"]

HEADING: Final = (
    "Beliefs of a forecaster, kept by `escalation-forecast priors elicit`; use with "
    "`escalation-forecast forecast --priors FILE`."
)
METHODS: Final = ("interval", "quartiles", "roulette")
QUESTIONS: Final[dict[str, str]] = {
    "interval": "Low and high, such as 2,8",
    "quartiles": "Lower quartile, median, upper quartile, such as 3,5,7",
    "roulette": "Edges of the bins and chips on them, such as 0,2,4,6:3,5,2",
}


@dataclass(frozen=True)
class Target:
    """What a statement is about: an outcome with arguments, or a prior with a label."""

    prior: str
    label: str
    outcome: Outcome | None
    of: Mapping[str, str]

    @property
    def words(self) -> str:
        """In words."""
        if self.outcome:
            return f"{self.outcome.said(self.of)}, {self.outcome.unit}"
        return f"the prior {self.prior}{f' of {self.label}' if self.label else ''}"


@app.command()
def elicit(
    outcome: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="State a belief on an outcome, as in `priors outcomes`."),
    ] = None,
    prior: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or on a prior itself, as in `priors list`.")
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option("--of", metavar="KEY=VALUE", help="Such as state=JPN or theatre=korea."),
    ] = None,
    label: Annotated[
        str, typer.Option(metavar="LABEL", help="One label of the prior, such as korea; default all.")
    ] = "",
    interval: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="The belief lies between these with --mass.")
    ] = None,
    mass: Annotated[float, typer.Option(metavar="SHARE", help="How surely, 0 to 1.")] = 0.9,
    quartiles: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Lower quartile, median, upper quartile.")
    ] = None,
    roulette: Annotated[
        str | None, typer.Option(metavar="EDGES:CHIPS", help="Chips on bins, such as 0,2,4,6:3,5,2.")
    ] = None,
    expert: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO=LOW,HIGH[,MASS]", help="One of several experts; give it for each."),
    ] = None,
    family: Annotated[str, typer.Option(metavar="FAMILY", help="Another family for the prior.")] = "",
    adjust: Annotated[
        str, typer.Option(metavar="PRIOR", help="Which of the priors behind the outcome to change.")
    ] = "",
    who: Annotated[str, typer.Option(metavar="NAME", help="Who says it.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the belief is kept; others in the file stay.")
    ] = Path("my_priors.toml"),
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Keep it though the statement cannot be met.")
    ] = False,
    json: Json = False,
) -> None:
    """State a belief, see what it does, keep it.

    It shows the prior and the outcomes before and after, and adds the belief to a file. Without --outcome
    and --prior, or without a statement, it asks.
    """
    from escalation_forecast.schema import DataError

    base = read_priors(out if out.is_file() else None)
    asks = not (outcome or prior) or not (interval or quartiles or roulette or expert)
    if asks and json:
        raise DataError("--json cannot ask; give --outcome or --prior, and a statement such as --interval.")
    if outcome and prior:
        raise DataError("Both --outcome and --prior are given; a statement is about one of them.")
    target = _target(base, outcome, prior, read_pairs(of), label, adjust)
    today = dt.date.today()
    if not asks:
        said = _said(interval, mass, quartiles, roulette, expert, who, today)
        new, record, warning = _applied(base, target, said, family)
    else:
        new, record, warning, who, reason = _dialogue(base, target, family, who, reason, today)
    warning = " ".join(filter(None, [warning, *_unknown(new)]))
    if warning and not anyway:
        stop(f"{warning} Nothing was written; --anyway keeps it.", BAD_INPUT)
    new = _reasoned(new, target.prior, who, reason, today)
    save(lambda: _write(new, target.prior, out), out)
    if json:
        print_json({**record, "prior": prior_record(new[target.prior]), "file": str(out)})
        return
    if not asks:
        _show(base, new, target, warning)
    typer.echo(f"Kept in {out}. `priors check {out}` says whether all of it is sane.")


def _unknown(priors: Priors) -> list[str]:
    from escalation_forecast.prior_labels import unknown_labels

    return unknown_labels(priors)


def _target(
    base: Priors, outcome: str | None, prior: str | None, of: dict[str, str], label: str, adjust: str
) -> Target:
    from escalation_forecast.elicit.outcomes import OUTCOMES, get

    if prior:
        return Target(known_name(prior, list(base), "prior"), label, None, {})
    if outcome is None:
        for number, one in enumerate(OUTCOMES.values(), 1):
            blanks = {key: f"[{key}]" for key in one.of}
            typer.echo(f"{number:3d}  {one.name:26}{one.words.format(**blanks)}, {one.unit}")
        answer = typer.prompt("Which outcome (number or name)")
        outcome = list(OUTCOMES)[int(answer) - 1] if _is_position(answer, len(OUTCOMES)) else answer
    chosen = get(outcome)
    chosen = chosen.adjusting(adjust) if adjust else chosen
    for key in chosen.of:
        if key not in of:
            of[key] = typer.prompt(f"Which {key}")
    of = chosen.check_of(of)
    return Target(chosen.adjusts, chosen.label(base, of), chosen, of)


def _is_position(text: str, most: int) -> bool:
    return text.isdigit() and 1 <= int(text) <= most


def _said(
    interval: str | None,
    mass: float,
    quartiles: str | None,
    roulette: str | None,
    expert: list[str] | None,
    who: str,
    on: dt.date,
) -> Elicited:
    from escalation_forecast import elicited
    from escalation_forecast.schema import DataError

    given = [x for x in (interval, quartiles, roulette, expert) if x]
    if len(given) != 1:
        raise DataError(
            "Several statements are given; keep one of --interval, --quartiles, --roulette, --expert."
        )
    if interval:
        low, high = _numbers(interval, (2,), "--interval")
        return elicited.interval(low, high, mass, who, on)
    if quartiles:
        lower, median, upper = _numbers(quartiles, (3,), "--quartiles")
        return elicited.quartiles(lower, median, upper, who, on)
    if roulette:
        edges, _, chips = roulette.partition(":")
        return elicited.roulette(
            _numbers(edges, (), "--roulette"), _numbers(chips, (), "--roulette"), who, on
        )
    panel = []
    for one in expert or []:
        name, _, numbers = one.partition("=")
        low, high, *share = _numbers(numbers, (2, 3), f"--expert `{name}`")
        panel.append(elicited.interval(low, high, share[0] if share else mass, name.strip(), on))
    return elicited.experts(panel)


def _numbers(text: str, counts: tuple[int, ...], option: str) -> list[float]:
    from escalation_forecast.schema import DataError

    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise DataError(f"{option}: `{text}` is no list of numbers; write such as 2,8.") from None
    if counts and len(found) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise DataError(f"{option}: `{text}` has {len(found)} numbers; give {wanted} with commas between.")
    return found


def _applied(base: Priors, target: Target, said: Elicited, family: str) -> tuple[Priors, dict[str, Any], str]:
    """The priors with the statement, a record for a program, and a warning."""
    if target.outcome is None:
        change = {"elicited": said.about(target.label), **({"family": family} if family else {})}
        return base.replace({target.prior: change}), {"target": target.words, "met": True}, ""
    from escalation_forecast.elicit.translate import SHOWN, say

    found = say(base, target.outcome, said, target.of, family=family)
    levels = [f"{q:g}" for q in SHOWN]
    record = {
        "target": target.words,
        "met": found.met,
        "warning": found.warning,
        "before": dict(zip(levels, found.before, strict=True)),
        "after": dict(zip(levels, found.after, strict=True)),
    }
    return found.priors, record, found.warning


def _dialogue(
    base: Priors, target: Target, family: str, who: str, reason: str, today: dt.date
) -> tuple[Priors, dict[str, Any], str, str, str]:
    """Ask until an answer is kept; an answer that cannot be meant is asked again."""
    from escalation_forecast.schema import DataError

    typer.echo(f"About {target.words}:")
    _show(base, base, target, "")
    who = who or typer.prompt("Who says it", default="", show_default=False)
    while True:
        try:
            said = _ask(who, today)
            new, record, warning = _applied(base, target, said, family)
        except DataError as error:
            typer.echo(f"That cannot be: {error}")
            continue
        _show(base, new, target, warning)
        question = "Keep it though it is not met" if warning else "Keep it"
        answer = typer.prompt(f"{question}? y to keep, n for other numbers, q to leave", default="y")
        if answer.strip().lower().startswith("q"):
            raise typer.Exit
        if answer.strip().lower().startswith("y"):
            reason = reason or typer.prompt("Why", default="", show_default=False)
            return new, record, "", who, reason


def _ask(who: str, today: dt.date) -> Elicited:
    from escalation_forecast.schema import DataError

    method = typer.prompt(f"How: {', '.join(METHODS)}", default="interval").strip()
    if method not in METHODS:
        raise DataError(f"there is no way `{method}`; choose one of {', '.join(METHODS)}.")
    text = typer.prompt(QUESTIONS[method])
    mass = 0.9
    if method == "interval":
        mass = _numbers(typer.prompt("How surely, 0 to 1", default="0.9"), (1,), "How surely")[0]
    answers = {name: text if name == method else None for name in METHODS}
    return _said(answers["interval"], mass, answers["quartiles"], answers["roulette"], None, who, today)


def _show(before: Priors, after: Priors, target: Target, warning: str) -> None:
    """Densities as text: the outcome or the prior itself, and then the other outcomes that it moves."""
    from escalation_forecast.elicit.density import density_text
    from escalation_forecast.elicit.meaning import moved, prior_draws
    from escalation_forecast.elicit.translate import CHECK_DRAWS, SEED
    from escalation_forecast.elicit.values import PriorValues

    sets = {"now": before} if before is after else {"before": before, "after": after}
    plain = "utf" not in (getattr(sys.stdout, "encoding", "") or "").lower()
    if target.outcome is not None:
        one, of = target.outcome, target.of
        drawn = {name: one.draws(PriorValues(p, CHECK_DRAWS, SEED), of) for name, p in sets.items()}
        typer.echo(density_text(drawn, one.unit, plain=plain))
    else:
        label = target.label or _first_label(after, target.prior)
        drawn = {name: prior_draws(p, target.prior, label) for name, p in sets.items()}
        typer.echo(density_text(drawn, plain=plain))
    if before is not after:
        typer.echo(f"{target.prior} is now {_at(after, target)}")
        for change in before.diff(after):
            for was, now in moved(before, after, change):
                if target.outcome is None or was.outcome.name != target.outcome.name:
                    typer.echo(f"  moves {was.outcome.said(was.of)}: {was.text} -> {now.text}")
    if warning:
        typer.echo(warning)


def _at(priors: Priors, target: Target) -> str:
    spec = priors[target.prior]
    if not target.label:
        return spec.text
    inside = ", ".join(f"{key}={value:.6g}" for key, value in spec.at(target.label).items())
    return f"{spec.family}({inside}) for {target.label}"


def _first_label(priors: Priors, name: str) -> str:
    tables = [value for value in priors[name].parameters.values() if isinstance(value, dict)]
    return next(iter(tables[0])) if tables else ""


def _reasoned(priors: Priors, name: str, who: str, reason: str, today: dt.date) -> Priors:
    import dataclasses

    source = f"Stated by {who} on {today}" if who else f"Stated on {today}"
    spec = dataclasses.replace(priors[name], source=source, reason=reason or priors[name].reason)
    return priors.replace({name: spec})


def _write(priors: Priors, name: str, out: Path) -> None:
    """Add the prior to the file; a file that has it already is written anew."""
    from escalation_forecast.priors import Priors as Set

    default = Set.default()
    old = out.read_text(encoding="utf-8") if out.is_file() else ""
    if old and f"[priors.{name}" not in old and f"priors.{name}." not in old:
        change = next(change for change in default.diff(priors) if change.name == name)
        text = f"{old.rstrip()}\n\n{Set({name: change.partial()}, {}).to_toml()}"
    else:
        text = priors.to_toml(default, HEADING)
        lost = [line for line in old.splitlines() if line.startswith("#") and line[2:] not in HEADING]
        if lost:
            typer.echo(f"The comments in {out} are gone: the file was written anew.", err=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
