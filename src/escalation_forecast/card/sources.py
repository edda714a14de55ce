"""What was known on the day, by source: how much, how often printed, how new, and under which terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd

from escalation_forecast.history.tables import FOLDER
from escalation_forecast.schema import FIGURE_KEY
from escalation_forecast.store import Store

ABOUT: Final = ("title", "citation", "terms")


def source_records(known: Store) -> list[dict[str, Any]]:
    """Entry ``data.sources`` of a run's summary: the sources known on the day, in the catalogue's order.

    Returns
    -------
    list of dict
        source; ``figures``; ``vintages``, most releases of one figure; ``newest``, latest day of
        publication; ``first`` and ``last`` month; ``pseudo``, share of rows whose day of publication is a
        typical delay. Of sources that only the tables of history read, from which priors come, ``figures``
        is 0 and the rest None.
    """
    rows = known.observations
    once = rows.drop_duplicates(list(FIGURE_KEY))
    prints = rows.groupby(list(FIGURE_KEY), sort=False).size()
    by_source = pd.DataFrame(
        {
            "figures": once.groupby("source").size(),
            "vintages": prints.groupby("source").max(),
            "newest": rows.groupby("source")["published_at"].max(),
            "first": rows.groupby("source")["period_start"].min(),
            "last": rows.groupby("source")["period_end"].max(),
            "pseudo": rows["quality"].str.contains("pseudo_vintage").groupby(rows["source"]).mean(),
        }
    )
    history = _history(known)
    found: list[dict[str, Any]] = []
    for source in known.sources["source"]:
        if source in by_source.index:
            row = by_source.loc[source]
            found.append(
                {
                    "source": str(source),
                    "figures": int(row["figures"]),
                    "vintages": int(row["vintages"]),
                    "newest": f"{row['newest']:%Y-%m-%d}",
                    "first": f"{row['first']:%Y-%m}",
                    "last": f"{row['last']:%Y-%m}",
                    "pseudo": round(float(row["pseudo"]), 4),
                }
            )
        elif source in history:
            nothing = dict.fromkeys(("vintages", "newest", "first", "last", "pseudo"))
            found.append({"source": str(source), "figures": 0, **nothing})
    return found


def _history(known: Store) -> set[str]:
    """Sources of the tables of history that were public on the day."""
    found: set[str] = set()
    for file in sorted((known.root / FOLDER).glob("*.csv")):
        table = pd.read_csv(file, usecols=["source", "published_at"], dtype=str)
        if known.as_of_date is not None:
            table = table[table["published_at"] <= known.as_of_date.isoformat()]
        found |= set(table["source"])
    return found


def with_terms(records: Iterable[Mapping[str, Any]], store: Store | None) -> list[dict[str, Any]]:
    """The entries with title, citation and terms, from the catalogue of a store or the embedded one."""
    from escalation_forecast.store import data_root

    if store is None:
        catalogue = pd.read_csv(data_root() / "sources.csv", dtype=str, keep_default_na=False)
    else:
        catalogue = store.sources
    about = catalogue.set_index("source")
    return [
        {**one, **{name: str(about.at[one["source"], name]) if one["source"] in about.index else ""
                   for name in ABOUT}}
        for one in records
    ]  # fmt: skip
