"""``data add``: a table of one's own as an indicator, by a mapping of its columns."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalation_forecast.intake.diff import changes
from escalation_forecast.intake.folder import Folder, checksum, default_folder, today, write_whole
from escalation_forecast.intake.loading import loading_prior
from escalation_forecast.intake.quality import Finding, check
from escalation_forecast.intake.table import Mapping, figures_of
from escalation_forecast.schema import INDICATOR_COLUMNS, DataError
from escalation_forecast.tables import OWN_CATALOGUE, read_csv

if TYPE_CHECKING:
    from escalation_forecast.store import Store


@dataclass(frozen=True, eq=False)
class Added:
    """What came of it.

    Attributes
    ----------
    figures : those that are new in the folder.
    waiting : periods whose figures are not public yet.
    priors : the file of priors, if a loading was said.
    command : what to run next.
    """

    indicator: str
    figures: pd.DataFrame
    findings: list[Finding]
    waiting: int
    written: Path | None
    priors: Path | None
    command: str


def add(
    file: Path | str,
    mapping: Mapping,
    *,
    to: Path | str | None = None,
    base: Store | None = None,
    received: dt.date | None = None,
    accept: tuple[str, ...] = (),
) -> Added:
    """Figures, catalogue row, prior of the loading and mapping of an indicator into a user's folder.

    The same again with a newer file adds what is new. Nothing is written before everything has been checked,
    the panel of the model included.

    Raises
    ------
    DataError
    """
    from escalation_forecast.store import Store

    path, day = Path(file), received or today()
    folder = Folder(Path(to) if to is not None else default_folder())
    below = Store.embedded() if base is None else base
    rows, waiting = figures_of(path, mapping, day)
    with folder.locked():
        store = folder.on(below)
        row = _catalogue_row(mapping, rows)
        held = store.indicators[store.indicators["indicator"] == mapping.indicator]
        catalogue = None if len(held) else pd.DataFrame([row], columns=list(INDICATOR_COLUMNS), dtype="str")
        if len(held) and not _same_row(held.iloc[0].to_dict(), row):
            raise DataError(
                f"The indicator `{mapping.indicator}` is there already with another family, theatre, unit or "
                f"options; give yours another name, or edit {folder.path / OWN_CATALOGUE}."
            )
        _own_series(mapping, store, bool(len(held)))
        found = changes(rows, store, received=day)
        coming = store.with_figures(found.figures, path.name, catalogue)
        findings = check(found.rows, store, today=today())
        refused = [one for one in findings if one.level == "refusal" and one.kind not in accept]
        if refused:
            raise DataError("\n".join(one.message for one in refused))
        prior = None
        if catalogue is not None or found.anything or mapping.loading:
            prior = loading_prior(
                coming, mapping.indicator, mapping.loading, folder.path / "priors.toml", day
            )
        if catalogue is not None:
            _append_row(folder.path / OWN_CATALOGUE, row)
        written = None
        if found.anything:
            entry = {
                "received": day.isoformat(),
                "source": "user",
                "sha256": checksum(path),
                "at": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
                "edition": mapping.indicator,
                "from": path.name,
                "series": sorted(set(rows["series"])),
            }
            written = folder.append(found.figures, entry)
        if prior is not None:
            write_whole(folder.path / "priors.toml", prior)
        (folder.path / "mappings").mkdir(exist_ok=True)
        write_whole(folder.path / "mappings" / f"{mapping.indicator}.toml", mapping.to_toml())
    priors = folder.path / "priors.toml"
    command = f"escalation-forecast forecast --observations {folder.path}"
    if priors.exists():
        command += f" --priors {priors}"
    return Added(
        mapping.indicator, found.figures, [one for one in findings if one.kind != "stale"], waiting, written,
        priors if priors.exists() else None, command,
    )  # fmt: skip


def _catalogue_row(mapping: Mapping, rows: pd.DataFrame) -> dict[str, str]:
    first = rows["period_start"].min()
    start = mapping.start or (f"{first:%Y}" if mapping.family == "annual" else f"{first:%Y-%m}")
    return {
        "indicator": mapping.indicator, "family": mapping.family, "series": mapping.indicator,
        "units": mapping.unit, "theatre": mapping.theatre, "exposure_series": mapping.exposure,
        "options": mapping.options, "start": start, "end": "", "note": mapping.note,
    }  # fmt: skip


def _same_row(held: dict[Any, Any], row: dict[str, str]) -> bool:
    return all(str(held[name]) == row[name] for name in ("family", "series", "units", "theatre", "options"))


def _own_series(mapping: Mapping, store: Store, again: bool) -> None:
    if not again:
        for name in filter(None, (mapping.indicator, mapping.exposure)):
            if name in set(store.series["series"]):
                raise DataError(f"`{name}` is a series of the catalogue; give your indicator another name.")


def _append_row(path: Path, row: dict[str, str]) -> None:
    old = read_csv(path, str(path), INDICATOR_COLUMNS)[0][list(INDICATOR_COLUMNS)] if path.exists() else None
    new = pd.DataFrame([row], columns=list(INDICATOR_COLUMNS))
    table = new if old is None else pd.concat([old, new], ignore_index=True)
    write_whole(path, str(table.to_csv(index=False, lineterminator="\n")))
