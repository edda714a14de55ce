"""The prior of one indicator's loading, said as an interval of what it means, among those of its family."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.store import Store

HEADING: Final = "Loadings of own indicators, kept by `data add`; other priors may stand here too"
NORMAL_90: Final = 1.6448536269514722  # the 95 % point of the standard normal


class Loading(NamedTuple):
    """How the loading of a family is said.

    ``factor``: what is said is a factor, of which the loading is the logarithm.
    """

    prior: str
    words: str
    factor: bool


LOADINGS: Final = {
    "news": Loading("news_loading", "standard deviations by which the log of the index rises", False),
    "count": Loading("count_loading", "factor by which the expected count rises", True),
    "share": Loading("share_loading", "factor by which the odds of the share rise", True),
    "annual": Loading("annual_loading", "standard deviations by which the log of the index moves", False),
    "troops": Loading("troop_loading", "steps of five per cent a quarter, of any sign", False),
}


def said(family: str) -> str:
    """The default of a family in words: the 90 per cent interval of what tension of one more does."""
    from escalation_forecast.priors import Priors

    loading = LOADINGS[family]
    spec = Priors.default()[loading.prior]
    middle, spread = (float(spec.parameters[name]) for name in ("mu", "sigma"))  # type: ignore[arg-type]
    ends = [middle - NORMAL_90 * spread, middle + NORMAL_90 * spread]
    if spec.family == "LogNormal":
        ends = [math.exp(end) for end in ends]
    if loading.factor:
        ends = [math.exp(end) for end in ends]
    return f"{ends[0]:.2g} to {ends[1]:.2g} {loading.words}"


def loading_prior(
    store: Store, indicator: str, interval: tuple[float, float] | None, file: Path, day: dt.date
) -> str | None:
    """The text of a priors file with the loading of an indicator; None where there is nothing to say.

    Lays the figures out for the model, so that an indicator that it could not take is refused here.

    Parameters
    ----------
    store : uncut, with the indicator.
    file : the file as it is, whose other priors stay.

    Raises
    ------
    DataError
    """
    import pandas as pd

    from escalation_forecast.panel import build_panel
    from escalation_forecast.prior_file import to_text
    from escalation_forecast.prior_spec import KNOWN_LABELS, OTHERS
    from escalation_forecast.priors import Priors

    panel = build_panel(store, pd.Timestamp(day))
    family = str(store.indicators.set_index("indicator").loc[indicator, "family"])
    loading = LOADINGS[family]
    default = Priors.default()
    now = default.replace(file) if file.exists() else default
    old = now[loading.prior]
    labels, own = _labels(panel, family, indicator)
    if interval is None and not any(isinstance(value, dict) for value in old.parameters.values()):
        return None
    base = default[loading.prior].parameters
    numbers: dict[str, Any] = {}
    for name in ("mu", "sigma"):
        table: Any = old.parameters[name]
        if isinstance(table, dict):
            numbers[name] = {label: table.get(label, table.get(OTHERS, base[name])) for label in labels}
        else:
            numbers[name] = dict.fromkeys(labels, table)
    reason = old.reason
    if interval is not None:
        numbers["mu"][own], numbers["sigma"][own] = _parameters(interval, old.family, loading)
        reason = f"{reason}; {indicator}: {interval[0]:g} to {interval[1]:g} {loading.words} (90 %)"
        reason = "; ".join(dict.fromkeys(reason.split("; ")))
    mine = default.replace({loading.prior: {"parameters": numbers, "reason": reason}})[loading.prior]
    specs = [mine if name == loading.prior else now[name] for name in now]
    changed = [change.after for change in default.diff(Priors({one.name: one for one in specs}))]
    return to_text([spec for spec in changed if spec], KNOWN_LABELS, HEADING)


def _labels(panel: Any, family: str, indicator: str) -> tuple[list[str], str]:
    """Labels of the loadings of a family as the model has them, and that of the indicator."""
    if family == "count":
        count = panel.items["count"]
        return list(dict.fromkeys(count["group"])), str(count.loc[indicator, "group"])
    if family == "share":
        return list(panel.items["share"].index), indicator
    rows = panel.items["reading"]
    rows = rows[rows["family"] == family]
    return list(rows.index[~rows["anchor"]] if family == "news" else rows.index), indicator


def _parameters(interval: tuple[float, float], law: str, loading: Loading) -> tuple[float, float]:
    low, high = interval
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"An interval from {low:g} to {high:g} is none; give the lower end first.")
    if loading.factor:
        if low <= 1.0:
            raise DataError(
                f"A factor of {low:g} means that more tension does nothing or lowers the figure; give "
                "factors above 1."
            )
        low, high = math.log(low), math.log(high)
    if law == "LogNormal":
        if low <= 0:
            raise DataError(f"More tension means a higher figure in this family, so {low:g} must be above 0.")
        low, high = math.log(low), math.log(high)
    return (low + high) / 2.0, (high - low) / (2.0 * NORMAL_90)
