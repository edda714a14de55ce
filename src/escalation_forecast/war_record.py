"""What the tables of history say has happened, in the form of the simulated clashes and joiners."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.history.today import open_dyads
from escalation_forecast.history.wars import OWN_CODED_TO
from escalation_forecast.history_rates import embedded
from escalation_forecast.war_chain import JOINERS, dyad_groups
from escalation_forecast.war_paths import FATAL, MATERIAL, NONE, WAR

FORCE, WAR_LEVEL, MATERIAL_DEATHS = 4, 5, 25


def clashes(ladder: xr.DataArray, known: pd.Timestamp) -> xr.DataArray:
    """Highest clash by dyad and month as coded by a day; missing where the month was not coded.

    Parameters
    ----------
    ladder : (theatre, month), levels; a month below use of force had no clash.
    """
    history = embedded()
    groups, dyads = dyad_groups(history), open_dyads(history)
    months = ladder.indexes["month"]
    names = list(dict.fromkeys(groups.values()))
    grouped = dyads.assign(group=dyads["dyad"].map(groups)).drop_duplicates("group")
    of = grouped.set_index("group")["theatre"]
    out = np.stack([np.where(ladder.sel(theatre=of[name]).notnull(), NONE, np.nan) for name in names])
    table = history.clashes[(history.clashes["published_at"] <= known) & (history.clashes["level"] >= FORCE)]
    position = {month: k for k, month in enumerate(months)}
    for row in table[table["dyad"].isin(list(groups))].to_dict("records"):
        if row["month"] not in position:
            continue
        deaths = np.nan_to_num(row["deaths_low"])
        level = WAR if row["level"] == WAR_LEVEL else MATERIAL if deaths >= MATERIAL_DEATHS else FATAL
        place = names.index(groups[row["dyad"]]), position[row["month"]]
        if pd.isna(row["fatal"]):
            # Not known whether anybody died: open, unless another clash of the month settles it.
            out[place] = out[place] if out[place] >= FATAL else np.nan
        elif row["fatal"]:
            out[place] = np.nanmax([out[place], level])
    return xr.DataArray(out, coords={"dyad": names, "month": months}, dims=("dyad", "month"))


def joined(months: pd.DatetimeIndex, known: pd.Timestamp) -> xr.DataArray:
    """Month in which a joiner entered the Russia-Ukraine war, as coded by a day; missing where not coded."""
    history = embedded()
    war = history.wars[history.wars["coding"] == "own"]
    members = history.groups[history.groups["group"] == "nato"]["state"]
    coded = (months >= war["entry"].min()) & (months <= min(known, OWN_CODED_TO))
    out = np.full((len(JOINERS), len(months)), np.nan)
    out[:, coded] = 0.0
    position = {month: k for k, month in enumerate(months)}
    for row in war[war["entry"] <= known].to_dict("records"):
        name = row["iso3"] if row["iso3"] in JOINERS else "NATO" if row["state"] in set(members) else ""
        month = row["entry"].to_period("M").to_timestamp()
        if name and month in position:
            out[JOINERS.index(name), position[month]] = 1.0
    return xr.DataArray(out, coords={"joiner": list(JOINERS), "month": months}, dims=("joiner", "month"))
