"""``priors``: what is believed before the data, seen, checked, compared and changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli.common import (
    BAD_INPUT,
    NOT_WRITTEN,
    AsOf,
    Json,
    PriorsFile,
    group,
    known_on,
    read_priors,
    stop,
)
from escalation_forecast.cli.output import print_item, print_json, print_rows

if TYPE_CHECKING:
    from escalation_forecast.prior_spec import PriorSpec
    from escalation_forecast.priors import Priors

app = group("The priors: see, check, compare and change them.")


def tell_unknown(priors: Priors) -> None:
    """Say on stderr which labels are not in the program's own catalogue: yours, or slips of the pen."""
    from escalation_forecast.prior_labels import unknown_labels

    for said in unknown_labels(priors):
        typer.echo(f"Note: {said}", err=True)


@app.command("list")
def list_priors(priors: PriorsFile = None, json: Json = False) -> None:
    """List all priors, as your file changes them."""
    chosen = read_priors(priors)
    if json:
        print_json([prior_record(spec) for spec in chosen.values()])
        return
    changed = {row["name"] for row in chosen.changed(read_priors(None))} if priors else set()
    rows = [(name, spec.text, "yes" if name in changed else "", spec.reason) for name, spec in chosen.items()]
    print_rows(("prior", "distribution", "changed", "reason"), rows, f"{len(rows)} priors")


@app.command("show")
def show_prior(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name as in `priors list`.")],
    priors: PriorsFile = None,
    json: Json = False,
) -> None:
    """Show one prior, and what it means in outcomes."""
    from escalation_forecast.elicit.meaning import meaning, outcomes_of

    chosen = read_priors(priors)
    record = prior_record(chosen[known_name(name, list(chosen), "prior")])
    meant = [meaning(chosen, outcome) for outcome in outcomes_of(name)]
    if json:
        record["outcomes"] = [
            {"outcome": m.outcome.name, "of": dict(m.of), "quantiles": list(m.quantiles)} for m in meant
        ]
        print_json(record)
        return
    if meant:
        record["means"] = [f"{m.outcome.said(m.of)}: {m.text}" for m in meant]
    print_item(record)


@app.command("outcomes")
def list_outcomes(
    of: Annotated[
        list[str] | None,
        typer.Option("--of", metavar="KEY=VALUE", help="Such as state=JPN or theatre=korea."),
    ] = None,
    priors: PriorsFile = None,
    json: Json = False,
) -> None:
    """List what the priors mean in outcomes.

    On each of them you can state a belief with `priors elicit`.
    """
    from escalation_forecast.elicit.meaning import arguments, meaning
    from escalation_forecast.elicit.outcomes import OUTCOMES, check_argument, is_exposed

    chosen, wanted = read_priors(priors), read_pairs(of)
    found = []
    for key, value in wanted.items():
        check_argument(key, value)
    for outcome in OUTCOMES.values():
        mine = {key: value for key, value in wanted.items() if key in outcome.of}
        if is_exposed(arguments(outcome, mine)):
            found.append(meaning(chosen, outcome, mine))
    if json:
        print_json(
            [
                {
                    "outcome": m.outcome.name,
                    "words": m.outcome.said(m.of),
                    "of": dict(m.of),
                    "unit": m.outcome.unit,
                    "adjusts": m.outcome.adjusts,
                    "also": list(m.outcome.also),
                    "quantiles": list(m.quantiles),
                }
                for m in found
            ]
        )
        return
    rows = [(m.outcome.name, m.outcome.said(m.of), m.text, m.outcome.adjusts) for m in found]
    print_rows(("outcome", "in words", "now", "prior"), rows, f"{len(rows)} outcomes")


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Priors to change (TOML); default none.")
    ] = None,
    bounds: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bounds (TOML) instead of the embedded ones.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it too (PNG, PDF or SVG).")] = None,
    draws: Annotated[
        int, typer.Option(min=100, max=20_000, metavar="N", help="Draws from the priors.")
    ] = 500,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Hold what the priors alone say against bounds.

    Exit code 2 when a bound is broken.
    """
    import pandas as pd

    from escalation_forecast.elicit.bounds import load_bounds
    from escalation_forecast.elicit.check import prior_check
    from escalation_forecast.panel import build_panel
    from escalation_forecast.store import Store

    chosen, limits = read_priors(file), load_bounds(bounds)
    tell_unknown(chosen)
    panel = None
    if as_of is not None:
        store = known_on(Store.embedded(), as_of)
        panel = build_panel(store, pd.Timestamp(str(store.as_of_date)))
    found = prior_check(chosen, panel, bounds=limits, draws=draws)
    if plot is not None:
        save(lambda: found.plot().save(plot), plot)
    if json:
        print_json(found.record())
    else:
        from escalation_forecast.elicit.prior_paths import QUANTITIES

        rows = [
            (
                QUANTITIES[row.bound.quantity].words,
                row.bound.text,
                row.said(row.worst),
                "holds" if row.passed else "BROKEN",
            )
            for row in found.rows
        ]
        print_rows(("quantity", "bound", "furthest out", ""), rows, f"{found.draws} draws from the priors")
        typer.echo(found.verdict)
    if not found.passed:
        raise typer.Exit(BAD_INPUT)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="Priors file (TOML).")],
    second: Annotated[
        Path | None, typer.Argument(metavar="B", help="Another; without it A is compared with the defaults.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what differs, and how outcomes move."""
    from escalation_forecast.elicit.meaning import moved

    before, after = (
        (read_priors(first), read_priors(second)) if second else (read_priors(None), read_priors(first))
    )
    tell_unknown(after)
    changes = before.diff(after)
    # Each change by itself, so that an outcome which reads two of them tells them apart.
    shifts = {
        change.name: list(moved(before, before.replace({change.name: change.after}), change))
        for change in changes
        if change.before is not None and change.after is not None
    }
    if json:
        print_json(
            [
                {
                    "name": change.name,
                    "keys": list(change.keys),
                    "before": change.before.text if change.before else None,
                    "after": change.after.text if change.after else None,
                    "outcomes": [
                        {
                            "outcome": was.outcome.name,
                            "of": dict(was.of),
                            "before": list(was.quantiles),
                            "after": list(now.quantiles),
                        }
                        for was, now in shifts.get(change.name, [])
                    ],
                }
                for change in changes
            ]
        )
        return
    for change in changes:
        typer.echo(str(change))
        for was, now in shifts.get(change.name, []):
            typer.echo(f"  {was.outcome.said(was.of)}: {was.text} -> {now.text}")
    typer.echo(f"{len(changes)} priors differ" if changes else "No prior differs.")


def prior_record(spec: PriorSpec) -> dict[str, Any]:
    """One prior for a program."""
    from escalation_forecast.elicited import record

    return {
        "name": spec.name,
        "distribution": spec.text,
        "family": spec.family,
        "parameters": dict(spec.parameters),
        "dims": list(spec.dims),
        "pooling": spec.pooling,
        "spread": spec.spread if spec.pooling == "partial" else None,
        "support": spec.support,
        "reason": spec.reason,
        "source": spec.source,
        "elicited": [record(said) for said in spec.elicited],
    }


def known_name(name: str, names: list[str], what: str) -> str:
    """The name; raises `DataError` with the nearest when it is unknown."""
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    if name not in names:
        raise DataError(f"There is no {what} `{name}`{nearest(name, names)}; see `{what}s list`.")
    return name


def read_pairs(pairs: list[str] | None) -> dict[str, str]:
    """``KEY=VALUE`` options as a dict."""
    from escalation_forecast.schema import DataError

    found = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise DataError(f"`{pair}` is no pair; write --of state=JPN.")
        found[key.strip()] = value.strip()
    return found


def save(write: Any, path: Path) -> None:
    """Write a file, or end with the exit code for output that could not be written."""
    try:
        write()
    except (OSError, ValueError) as error:
        stop(f"{path} could not be written ({error}); give another file.", NOT_WRITTEN)
