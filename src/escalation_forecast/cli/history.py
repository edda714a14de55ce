"""``history``: hazards learned from two centuries, how well they hold, and refitting them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli.common import BAD_INPUT, NOT_CONVERGED, NOT_WRITTEN, DataDir, Json, group, stop
from escalation_forecast.cli.output import print_frame, print_json, print_rows, records

if TYPE_CHECKING:
    from escalation_forecast.history.stored import StoredPriors

app = group("Hazards learned from the history of disputes and wars.")


def _tell(name: str) -> None:
    """Say on a terminal what is being done; it takes a while."""
    if sys.stderr.isatty():
        typer.echo(f"{name} ...", err=True)


@app.command("fit")
def fit(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="One fit, as in `history show`; may be repeated.")
    ] = None,
    data: DataDir = None,
    json: Json = False,
) -> None:
    """Refit the hazards and rewrite history_priors.toml and base_rates.csv of the data folder.

    A few minutes for all of them.
    """
    from escalation_forecast import datapackage
    from escalation_forecast.history.fits import fit_history
    from escalation_forecast.history.sampling import HistoryFitError
    from escalation_forecast.history.tables import load_history
    from escalation_forecast.store import data_root

    root = data or data_root()
    try:
        found = fit_history(load_history(root), only or (), root=root, tell=None if json else _tell)
        datapackage.write_package(root)
    except HistoryFitError as error:
        stop(error, NOT_CONVERGED)
    except OSError as error:
        stop(f"The priors could not be written ({error}); check the folder and the space left.", NOT_WRITTEN)
    if json:
        print_json({name: records(fitted.table) for name, fitted in found.items()})
        return
    for name, fitted in found.items():
        where = fitted.provenance
        print_frame(fitted.table, f"{name}: {where.events:,} events in {where.rows:,} rows, {where.years}")


@app.command()
def show(data: DataDir = None, json: Json = False) -> None:
    """Show the stored priors with where they come from."""
    stored = _stored(data)
    if json:
        print_json({name: _fit_record(stored, name) for name in stored.fits})
        return
    rows = [
        (name, prior, stored.priors[prior].text, f"{where.events:,} of {where.rows:,}", where.years)
        for name, where in stored.fits.items()
        for prior in where.priors
    ]
    print_rows(("fit", "prior", "distribution", "events", "years"), rows, f"{len(rows)} priors")
    for name, where in stored.fits.items():
        mixed = "in closed form" if where.r_hat_max is None else (
            f"R-hat {where.r_hat_max:.3f}, effective sample size {where.ess_min:,.0f}, "
            f"{where.divergences} divergences"
        )  # fmt: skip
        typer.echo(f"{name}: fitted {where.fitted_on} by version {where.code_version}, {mixed}. {where.note}")


@app.command()
def check(
    data: DataDir = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the refits; counts and stored priors only.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the reference figures: base rates, scores of onset and joining beside simple methods.

    The refits take some minutes and need scikit-learn (extra `backtest`).
    """
    from escalation_forecast.history import joining_scores, onset_scores
    from escalation_forecast.history.base_rates import base_rates
    from escalation_forecast.history.choice import state_table
    from escalation_forecast.history.tables import load_history
    from escalation_forecast.history.wars import SETS

    history, stored = load_history(data), _stored(data)
    rates = base_rates(history)
    rates = rates[rates["dyad"] == "all"].drop(columns=["dyad", "unit", "source", "published_at"])
    logit = stored.priors["dyad_force_logit"]
    since = onset_scores.since_2015(history, _by_label(logit.parameters["mu"]))
    tables = {
        "base_rates": rates,
        "since_2015": since,
        "joining_by_age": joining_scores.hazard_tables(history),
        "joining_by_tie": state_table(history, SETS["gml_1946"]),
    }
    captions = {
        "base_rates": "Dyad-years with an event, Militarized Interstate Disputes 5.0",
        "since_2015": "Onsets of force in the dyads of a theatre: expected at the stored rates, and coded",
        "joining_by_age": "Months of war with a new joiner by age of the war in months, 90 % intervals",
        "joining_by_tie": f"States and wars by tie, {SETS['gml_1946'].label}, wars with known pacts",
    }
    if not quick:
        gml = onset_scores.onset_scores(history, "gml", dispute_wide=True, tell=None if json else _tell)
        mid5 = onset_scores.onset_scores(history, "mid5", tell=None if json else _tell)
        tables |= {"onset": gml, "onset_bars": onset_scores.bars(), "onset_mid5": mid5}
        captions |= {
            "onset": "Onset of disputes 1991-2010, trained on 1946-1990 (Gibler, Miller and Little)",
            "onset_bars": "The same task, by others: scores to beat",
            "onset_mid5": "Onset of disputes 1991-2014, trained on 1946-1990 (MID 5.0)",
        }
        if not json:
            _tell("joining")
        tables["joining"], tables["joining_12_months"] = joining_scores.score_tables(history)
        captions["joining"] = "A joiner in a month of war, log scores, each war predicted from the others"
        captions["joining_12_months"] = "The same within twelve months, from the chain of monthly hazards"
    if json:
        print_json({name: records(table) for name, table in tables.items()})
        return
    for name, table in tables.items():
        print_frame(table, captions[name])


@app.command()
def ladder(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of fits and tables; fits are kept.")
    ] = Path("runs/ladder"),
    origins: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="That many origins, evenly spread; default all 144."),
    ] = None,
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="With the joint model, or without.")] = True,
    write_pool: Annotated[
        bool, typer.Option("--write-pool", help="Store the weights of the pool for forecasts.")
    ] = False,
) -> None:
    """Score use of force within 1 to 12 months at past origins beside simple methods.

    Refits the joint model at every origin, a quarter of an hour for all 144; needs scikit-learn (extra
    `backtest`).
    """
    from escalation_forecast.score.ladder import main

    arguments = ["--out", str(out), *(["--origins", str(origins)] if origins else [])]
    arguments += [] if fit else ["--no-fit"]
    if code := main([*arguments, *(["--write-pool"] if write_pool else [])]):
        raise typer.Exit(code)


def _stored(data: Any) -> StoredPriors:
    from escalation_forecast.history.stored import read_stored, stored_path

    path = stored_path(data)
    if not path.is_file():
        stop(f"{path} does not exist; run `escalation-forecast history fit` first.", BAD_INPUT)
    return read_stored(path)


def _fit_record(stored: StoredPriors, name: str) -> dict[str, Any]:
    import dataclasses

    where = stored.fits[name]
    priors = {
        prior: {"distribution": stored.priors[prior].text, "reason": stored.priors[prior].reason}
        for prior in where.priors
    }
    return {**dataclasses.asdict(where), "fitted_on": where.fitted_on.isoformat(), "priors": priors}


def _by_label(values: Any) -> Any:
    import pandas as pd

    return pd.Series(values)
