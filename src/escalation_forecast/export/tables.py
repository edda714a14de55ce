"""The tables of a run as Parquet and CSV, and as one workbook if asked: columns as `columns` has them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.archive import Run
from escalation_forecast.export import source
from escalation_forecast.export.columns import TABLES, Table
from escalation_forecast.export.files import publish, refuse, staged
from escalation_forecast.export.inert import inert_columns

WORKBOOK: Final = "tables.xlsx"
LICENCE: Final = "Apache-2.0; figures of others under their own terms, see data/sources.csv"
STEPS: Final = {
    "force": "at least one month with use of force",
    "fatal_given_force": "a month with use of force has a deadly clash",
    "fatal": "at least one deadly clash",
    "material": "at least one clash with 25 deaths or more",
    "war_given_fatal": "a deadly clash becomes a war",
    "war": "at least one war",
}
JOINING: Final = {
    "war_goes_on": "the war in Ukraine lasts so long",
    "anybody": "some state joins it",
    "share": "a joiner is one of those named",
    "restraint": "what the nuclear discount leaves of that",
    "joins": "one of those named joins",
}


def tables(run: Run, out: Path | str, *, xlsx: bool = False) -> list[Path]:
    """Write every table as ``<name>.parquet`` and ``<name>.csv``, and ``tables.xlsx`` if asked.

    Text that a spreadsheet would take for a formula is inert in CSV and in the workbook; Parquet has it as
    it is.

    Raises
    ------
    DataError
        When the run did not pass its gates.
    """
    from escalation_forecast.export.check_tables import check_tables

    out = Path(out)
    source.check_finished(run)
    found = frames(run)
    with staged(out) as stage:
        stage.mkdir(exist_ok=True)
        about = {"run_id": str(run.summary["run_id"]), "as_of": str(run.summary["as_of"]), "licence": LICENCE}
        for name, frame in found.items():
            (stage / f"{name}.parquet").write_bytes(_parquet(frame, TABLES[name], about))
            (stage / f"{name}.csv").write_bytes(to_csv(frame, TABLES[name]))
        if xlsx:
            from escalation_forecast.export.xlsx import workbook

            (stage / WORKBOOK).write_bytes(workbook(found, about))
        refuse(check_tables(stage))
        return publish(stage, out)


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """The tables with their columns and types, in the order of `columns.TABLES`."""
    made: dict[str, Callable[[Run], pd.DataFrame]] = {
        "questions": _questions, "routes": _routes, "war_steps": _war_steps, "theatres": _theatres,
        "pushes": _pushes, "latent": _latent, "spending": _spending, "indicators": _indicators,
        "diagnostics": _diagnostics, "priors": _priors,
    }  # fmt: skip
    return {name: _typed(made[name](run), table) for name, table in TABLES.items()}


def _typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The columns of the table, in order, with its types."""
    known: dict[str, Any] = {"text": "str", "real": "float64", "integer": "Int64", "truth": "boolean"}
    frame = frame.reindex(columns=table.names)
    for column in table.columns:
        values = frame[column.name]
        if column.kind in ("month", "day"):
            frame[column.name] = pd.to_datetime(values).astype("datetime64[us]")
        else:
            frame[column.name] = values.astype(known[column.kind])
    return frame


def _questions(run: Run) -> pd.DataFrame:
    from escalation_forecast.report.tables import question_table

    return question_table(run.summary).assign(
        r_hat=[entry.get("r_hat") for entry in run.summary["questions"]]
    )


def _routes(run: Run) -> pd.DataFrame:
    rows = []
    for answer in source.answers(run):
        share, rate = answer.entry.get("prior_share"), answer.entry.get("base_rate") or {}
        if not share:
            continue
        p = answer.entry["probability"]
        rows.append(
            {
                "id": answer.id,
                "question": answer.question,
                "route": answer.place,
                "months": answer.horizon,
                "until": answer.end.replace(day=1),
                "probability": p,
                "mcse": answer.entry["mcse"],
                "one_in": 1 / p if p else None,
                "base_rate": rate.get("rate"),
                "base_events": rate.get("events"),
                "base_trials": rate.get("trials"),
                "reference_class": rate.get("reference_class"),
                **{
                    f"prior_{key}": share.get(key) for key in ("base", "slope", "discount", "change", "label")
                },
            }
        )
    return pd.DataFrame(rows, columns=TABLES["routes"].names)


def _war_steps(run: Run) -> pd.DataFrame:
    war = run.summary.get("war") or {}
    parts = [(entry["theatre"], entry, STEPS) for entry in war.get("theatres") or []]
    if joining := war.get("joining"):
        parts.append(("joining", joining, JOINING))
    rows = [
        {
            "theatre": place,
            "step": step,
            "months": entry["months"],
            "probability": entry[step],
            "meaning": said,
        }
        for place, entry, steps in parts
        for step, said in steps.items()
    ]
    return pd.DataFrame(rows, columns=TABLES["war_steps"].names)


def _theatres(run: Run) -> pd.DataFrame:
    from escalation_forecast.report.tables import theatre_rows

    return theatre_rows(run.summary["theatres"])


def _pushes(run: Run) -> pd.DataFrame:
    rows = [
        {"theatre": entry["theatre"], "rank": rank, "indicator": one["indicator"], "push": one["push"]}
        for entry in run.summary["theatres"]
        for rank, one in enumerate(entry.get("pushed_by", []), 1)
    ]
    return pd.DataFrame(rows, columns=TABLES["pushes"].names)


def _latent(run: Run) -> pd.DataFrame:
    from escalation_forecast.report.tables import latent_table

    return _stored(run, "latent", latent_table)


def _spending(run: Run) -> pd.DataFrame:
    from escalation_forecast.report.tables import spending_table

    return _stored(run, "spending", spending_table)


def _stored(run: Run, name: str, make: Callable[[Any], pd.DataFrame]) -> pd.DataFrame:
    """The table that the run wrote; made from the draws where it did not."""
    file = run.folder / f"{name}.parquet"
    return pd.read_parquet(file) if file.is_file() else make(run.forecast)


def _indicators(run: Run) -> pd.DataFrame:
    ahead = source.predictions(run, ["indicator_level"])
    if "indicator_level" not in ahead:
        return pd.DataFrame(columns=TABLES["indicators"].names)
    levels = ahead["indicator_level"].transpose("chain", "draw", "indicator", "month")
    draws = levels.values.reshape(-1, *levels.shape[2:])
    # Months with a figure are the same in every draw; so can be a forecast of what has stopped.
    past_months = levels["month"].values <= np.datetime64(run.summary["as_of"])
    known = (draws == draws[:1]).all(axis=0) & past_months
    bands = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
    index = pd.MultiIndex.from_product(
        [levels["indicator"].values.astype(str), pd.DatetimeIndex(levels["month"].values)],
        names=["indicator", "month"],
    )
    frame = pd.DataFrame(
        {f"q{p}": band.ravel() for p, band in zip((10, 50, 90), bands, strict=True)}, index=index
    )
    frame["phase"] = np.where(known, "known", "forecast").ravel()
    frame["observed"] = np.where(known, draws[0], np.nan).ravel()
    past = _known_levels(run, levels["month"].values[0])
    frame = frame.dropna(subset="q50").reset_index()
    whole = pd.concat([past, frame], ignore_index=True) if len(past) else frame
    return whole.sort_values(["indicator", "month"], ignore_index=True)


def _known_levels(run: Run, before: np.datetime64) -> pd.DataFrame:
    """Figures of the months before draws begin, without those that are missing."""
    if run.paths is not None:
        return pd.DataFrame()
    levels = source.stored(run, "observed_data", ["indicator_level"])["indicator_level"]
    levels = levels.rename(past_month="month")
    frame = levels[:, levels["month"].values < before].to_series().dropna().rename("observed").reset_index()
    figures = frame["observed"]
    return frame.assign(
        indicator=frame["indicator"].astype(str), phase="known", q10=figures, q50=figures, q90=figures
    )


def _diagnostics(run: Run) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name, found in run.summary["diagnostics"].items():
        if name == "reasons":
            rows += [{"name": "reason", "note": reason} for reason in found]
        elif isinstance(found, Mapping):
            rows.append({"name": name, "value": found.get("value"), "quantity": found.get("quantity")})
        else:
            rows.append({"name": name, "value": None if found is None else float(found)})
    return pd.DataFrame(rows, columns=TABLES["diagnostics"].names)


def _priors(run: Run) -> pd.DataFrame:
    from escalation_forecast.run_files import priors_of

    changed = {str(one.get("name", one.get("prior"))) for one in run.summary.get("priors_changed", [])}
    kept = priors_of(run.folder)
    rows = [
        {
            "name": spec.name,
            "family": spec.family,
            "parameters": json.dumps(dict(spec.parameters), ensure_ascii=False),
            "dims": ", ".join(spec.dims),
            "support": spec.support,
            "pooling": spec.pooling,
            "changed": spec.name in changed,
            "reason": spec.reason,
            "source": spec.source,
        }
        for spec in (kept.values() if kept else ())
    ]
    return pd.DataFrame(rows, columns=TABLES["priors"].names)


def _parquet(frame: pd.DataFrame, table: Table, about: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(frame, schema=table.schema(), preserve_index=False)
    buffer = io.BytesIO()
    # Without pandas' own metadata: every reader sees the same types.
    pq.write_table(arrow.replace_schema_metadata(dict(about)), buffer, compression="zstd")
    return buffer.getvalue()


def to_csv(frame: pd.DataFrame, table: Table) -> bytes:
    """UTF-8 with one header line; numbers in full, months as ISO dates, what is missing empty."""
    text: str = inert_columns(frame).to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
    return text.encode()
