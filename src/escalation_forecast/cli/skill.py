"""``skill``: one page on how good the forecasts are, from finished backtests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escalation_forecast.cli.common import NOT_WRITTEN, Json, stop
from escalation_forecast.cli.output import print_json


def skill(
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="DIR", help="Folder of a backtest, or of archived forecasts; may be repeated."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of skill.md and images/.")] = Path("docs"),
    store: Annotated[
        bool, typer.Option("--store", help="Also write skill.toml of the data folder, which forecasts quote.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the page on skill from finished backtests.

    By default from runs/backtest. Needs the extra `backtest`. With --json the page is not written.
    """
    from escalation_forecast.skill.folders import gather
    from escalation_forecast.skill.headline import AIMS, headlines, kept_beside, reached
    from escalation_forecast.skill.page import write_page
    from escalation_forecast.skill.stored import load_skill, sentence, write_skill

    evidence = gather(folders or [Path("runs/backtest")])
    scores = headlines(evidence)
    written: list[Path] = []
    try:
        if not json:
            written = write_page(evidence, out)
        if store:
            written.append(write_skill(kept_beside(load_skill(), evidence)))
    except OSError as error:
        stop(f"The page could not be written to {out} ({error}); give another --out.", NOT_WRITTEN)
    if json:
        print_json(
            {
                "scores": {kind: {"text": sentence(kind, s), **s.model_dump()} for kind, s in scores.items()},
                "aims": [
                    {
                        "label": aim.label, "horizons": aim.at, "most": aim.most, "least": aim.least,
                        "reached": reached(aim, evidence.tasks).T.to_dict(),
                    }
                    for aim in AIMS
                ],
                "backtests": {task: measured.digest for task, measured in evidence.tasks.items()},
                "left_out": evidence.left_out,
            }
        )  # fmt: skip
        return
    for kind, score in scores.items():
        typer.echo(sentence(kind, score))
    for note in evidence.left_out:
        typer.echo(note, err=True)
    typer.echo(f"{len(written)} files written: {', '.join(str(path) for path in written)}")
