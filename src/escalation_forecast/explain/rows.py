"""The rows that the likelihood reads, as tables that can be compared from one set of figures to the next.

A row names its indicator, body or state, so that tables of two panels can be set against each other. A new
figure also moves the scale of its indicator (`indicator_rows`); then every row of the indicator has changed,
and counts as taken away and put back.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.panel import STOCKS, Panel
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import LATE_AGES

WEIGHT: Final = "weight"
READING: Final = ("index", "index_previous", "y", "y_previous", "has_previous")
COUNT: Final = (
    "index", "index_previous", "y", "log_exposure", "trend", "log_rate_previous", "has_previous",
)  # fmt: skip
BUDGET: Final = ("slot", "ahead", "first_print", "value", "doubt", "half_width")
PROGRAMME: Final = ("year", "slot", "ahead", "first_print", "value")
# Of spending, what the draws of growth were made from; other values need other draws.
FIXED: Final = ("n_printed", "growth", "printed", "newest", "revisable", "gdp", "exposure", "rivals")

Tables = dict[str, pd.DataFrame]


class OtherDrawsError(Exception):
    """The draws at hand cannot speak for the other figures; the message says why."""


def tables_of(panel: Panel) -> Tables:
    """Every row of the likelihood by block, with how often it counts in column ``weight``."""
    data, items = panel.data, panel.items
    reading, count, share = (
        np.asarray(items[block].index, object) for block in ("reading", "count", "share")
    )
    transfers = items["reading"].index[items["reading"]["family"] == "transfer"]
    found = {
        "reading": _table(data, "reading", READING, item=reading),
        "count": _table(data, "count", COUNT, item=count),
        "share": _table(data, "share", ("index", "sign", "step"), item=share),
        "share_total": _table(data, "share_total", ("step",), item=share, weight=-data["share_total_weight"]),
        "ordinal": _table(data, "ordinal", ("index", "level"), item=np.array(THEATRES, object)),
        "hurdle": _table(data, "hurdle", ("index", "z"), item=np.asarray(transfers, object)),
        "stock": _table(data, "stock", ("month", "low", "high"), stock=np.array(STOCKS, object)),
    }
    found["stock"]["body"] = np.asarray(panel.bodies, object)[data["stock_source"]]
    # The level that a count's rate is measured from is a matter of the panel.
    found["count"]["log_mean"] = found["count"]["item"].map(items["count"]["log_mean"]).astype(float)
    return found | _spending(panel)


def _spending(panel: Panel) -> Tables:
    own = panel.spending.arrays()
    states = np.array(panel.spending.states, object)
    late = pd.DataFrame({"age": LATE_AGES, WEIGHT: own["late_changed"]})
    quiet = pd.DataFrame({"age": LATE_AGES, WEIGHT: own["late_trials"] - own["late_changed"]})
    return {
        "revision": _table(own, "revision", ("step",), state=states),
        "late": pd.concat([late.assign(changed=1.0), quiet.assign(changed=0.0)], ignore_index=True),
        "late_size": pd.DataFrame({"size": own["late_size"], WEIGHT: 1.0}),
        "budget": _table(own, "budget", BUDGET, state=states),
        "programme": _table(own, "programme", PROGRAMME, state=states),
    }


def _table(
    data: dict[str, np.ndarray],
    block: str,
    columns: tuple[str, ...],
    weight: np.ndarray | None = None,
    **labels: np.ndarray,
) -> pd.DataFrame:
    named = {name: values[data[f"{block}_{name}"].astype(int)] for name, values in labels.items()}
    rest: dict[str, Any] = {name: data[f"{block}_{name}"].astype(float) for name in columns}
    n = len(next(iter(named.values())))
    return pd.DataFrame(named | rest | {WEIGHT: np.ones(n) if weight is None else weight})


def difference(old: Tables, new: Tables) -> Tables:
    """Rows that count more (positive) or less (negative weight) than before, by block; no others."""
    found = {}
    for block, after in new.items():
        before = old[block]
        if before.equals(after):
            continue
        both = pd.concat([after, before.assign(weight=-before[WEIGHT])], ignore_index=True)
        keys = [str(name) for name in both.columns if name != WEIGHT]
        moved = both.groupby(keys, as_index=False, sort=True)[WEIGHT].sum()
        moved = moved[moved[WEIGHT] != 0.0]
        if len(moved):
            found[block] = moved.reset_index(drop=True)
    return found


def check_draws(old: Panel, new: Panel) -> None:
    """Raise where draws made for one panel are not draws for the other.

    Raises
    ------
    OtherDrawsError
        When the calendar, the indicators or the printed growth differ.
    """
    if len(old.months) != len(new.months):
        raise OtherDrawsError(f"the calendar of the draws ends with {old.months[-1]:%Y}")
    for block, items in new.items.items():
        if list(items.index) != list(old.items[block].index):
            raise OtherDrawsError("the indicators are others")
        fixed = [name for name in ("theatre", "sign", "anchor", "group", "trend", "memory") if name in items]
        if not items[fixed].equals(old.items[block][fixed]):
            raise OtherDrawsError("indicators mean something else")
    before, after = old.spending, new.spending
    if before.states != after.states or before.last_printed != after.last_printed:
        raise OtherDrawsError("another year of military spending is printed")
    mine, theirs = before.arrays(), after.arrays()
    for name in FIXED:
        if not np.array_equal(mine[name], theirs[name]):
            what = {"gdp": "growth of GDP", "exposure": "weights", "rivals": "weights"}.get(name, "growth")
            raise OtherDrawsError(f"the draws of military spending start from other {what}")
