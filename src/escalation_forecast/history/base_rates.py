"""How often force, deaths and wars began between two states: the plain counts beside the forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from escalation_forecast.history.dyads import FIRST_YEAR, LAST_YEAR, dyad_years, onsets
from escalation_forecast.history.tables import FOLDER, History
from escalation_forecast.history.today import AT_WAR, open_dyads
from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import write_table
from escalation_forecast.store import data_root

COLUMNS: Final = (
    "event", "theatre", "dyad", "events", "trials", "unit", "reference_class", "years", "source",
    "published_at",
)  # fmt: skip
EVENTS: Final[dict[str, str]] = {
    "force": "dispute with use of force begins",
    "fatal": "dispute with a death on either side begins",
    "war_both": "war begins between two originators of a dispute",
}
ALL_PERIODS: Final = (1816, 1946, 1991)
THEATRE_PERIODS: Final = (1950, 1991)


def base_rates(history: History) -> pd.DataFrame:
    """Counts by event, reference class and period, from MID 5.0.

    Returns
    -------
    DataFrame
        `COLUMNS`; `theatre` and `dyad` are ``all`` for sums; `trials` are years in which both were states.
    """
    last = LAST_YEAR["mid5"]
    rows = []
    everywhere = dyad_years(history, "mid5")
    for first in ALL_PERIODS:
        period = everywhere[everywhere["year"] >= first]
        for event in EVENTS:
            rows.append(
                (
                    event,
                    "all",
                    "all",
                    int(period[event].sum()),
                    len(period),
                    "politically relevant dyads",
                    first,
                )
            )
    theatres = theatre_years(history)
    what = f"dyads of the theatre without {AT_WAR[0]}"
    for first in THEATRE_PERIODS:
        period = theatres[theatres["year"] >= first]
        for event in EVENTS:
            for keys in (["theatre", "dyad"], ["theatre"], []):
                grouped = period.groupby(keys, sort=False) if keys else [((), period)]
                for key, group in grouped:
                    assert isinstance(key, tuple)
                    theatre, dyad = [*map(str, key), "all", "all"][:2]
                    said = what if keys else what.replace("the theatre", "the theatres")
                    said = "this dyad" if len(keys) == 2 else said
                    rows.append((event, theatre, dyad, int(group[event].sum()), len(group), said, first))
    return pd.DataFrame(
        [
            {
                "event": event, "theatre": theatre, "dyad": dyad, "events": events, "trials": trials,
                "unit": "dyad-years", "reference_class": f"{EVENTS[event]}; {said}",
                "years": f"{first}-{last}", "source": "cow-mid5",
                "published_at": history.disputes.query("coding == 'mid5'")["published_at"].max(),
            }
            for event, theatre, dyad, events, trials, said, first in rows
        ],
        columns=list(COLUMNS),
    )  # fmt: skip


def theatre_years(history: History) -> pd.DataFrame:
    """Years from 1816 in which both states of an open theatre dyad were members, with the `EVENTS` (0/1)."""
    years = pd.RangeIndex(FIRST_YEAR, LAST_YEAR["mid5"] + 1)
    dyads = open_dyads(history)[["theatre", "dyad", "state_a", "state_b"]]
    grid = dyads.merge(pd.DataFrame({"year": years}), how="cross")
    spans = history.states.assign(
        first=history.states["start"].dt.year, last=history.states["end"].dt.year.fillna(years[-1])
    )
    for side in ("state_a", "state_b"):
        alive = grid[[side, "year"]].reset_index().merge(spans, left_on=side, right_on="state")
        inside = alive[(alive["year"] >= alive["first"]) & (alive["year"] <= alive["last"])]
        grid = grid.loc[sorted(set(inside["index"]))].reset_index(drop=True)
    events = onsets(history, "mid5").assign(war_both=lambda rows: rows["war"] * rows["both"])
    begun = events.groupby(["year", "a", "b"])[list(EVENTS)].max().reset_index()
    found = grid.merge(begun, left_on=["year", "state_a", "state_b"], right_on=["year", "a", "b"], how="left")
    return found.fillna(dict.fromkeys(EVENTS, 0)).astype(dict.fromkeys(EVENTS, "int64"))


def write_base_rates(history: History, root: Path | None = None) -> Path:
    """Write `base_rates` into a data folder and return the path."""
    path = (root or data_root()) / FOLDER / "base_rates.csv"
    write_table(base_rates(history), path)
    return path


def read_base_rates(root: Path | None = None) -> pd.DataFrame:
    """The stored counts, with the columns of `base_rates`.

    Raises
    ------
    DataError
        When the file is missing or lacks a column.
    """
    path = (root or data_root()) / FOLDER / "base_rates.csv"
    try:
        frame = pd.read_csv(path, keep_default_na=False, parse_dates=["published_at"])
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); run `history fit` again.") from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise DataError(f"{path} lacks the column {missing[0]}; run `history fit` again.")
    return frame
