"""Military spending: growth behind and ahead, state by state, beside the threshold."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.page.chart import Axis, Chart
from escalation_forecast.page.material import Material
from escalation_forecast.page.words import STATE_NAMES, signed
from escalation_forecast.report.layout import percent
from escalation_forecast.report.tables import THRESHOLD

QUANTILES: Final = ("q10", "q25", "q50", "q75", "q90")


def spending(material: Material) -> list[dict[str, Any]]:
    """A panel for each state of the run's table; none of a run without it."""
    table = material.table("spending")
    if table is None:
        return []
    return [_state(str(state), own) for state, own in table.groupby("state", sort=False)]


def _state(state: str, own: pd.DataFrame) -> dict[str, Any]:
    printed = own[own["measure"] == "print"].set_index("year")
    mean = own[own["measure"] == "three_year_mean"].set_index("year").reindex(printed.index)
    ahead = ~printed["released"].to_numpy(bool)
    name = STATE_NAMES.get(state, state)
    said = []
    for year in printed.index[ahead]:
        row = printed.loc[year]
        said.append(
            f"{year}: {signed(row['q50'])} % (80 % {signed(row['q10'])} to {signed(row['q90'])}); chance "
            f"of a 3-year mean of {THRESHOLD:g} % or more {percent(mean.loc[year, 'probability_5'])}"
        )
    return {
        "key": state,
        "label": name,
        "said": said,
        "chart": _chart(state, name, printed, mean, ahead, said),
        "table": [_row(int(year), printed.loc[year], mean.loc[year]) for year in printed.index],
    }


def _chart(
    state: str, name: str, printed: pd.DataFrame, mean: pd.DataFrame, ahead: np.ndarray, said: list[str]
) -> Chart:
    years = [int(year) for year in printed.index]
    q: dict[str, list[float]] = {k: printed[k].astype(float).tolist() for k in QUANTILES}
    own_mean: list[float] = mean["q50"].astype(float).tolist()
    axis = Axis.around([*q["q10"], *q["q90"], *own_mean], 0.0, THRESHOLD)
    label = (
        f"{name}: real growth of military spending by year, first print, {years[0]} to {years[-1]}, with the "
        f"forecast and the threshold of {THRESHOLD:g} per cent. {'. '.join(said)}"
    )
    chart = Chart(f"spending-{state}", label, axis, len(years), banded=True, unit="%")
    chart.value_ticks(sign=True)
    chart.level("threshold", THRESHOLD)
    places = list(range(len(years)))
    start = int((~ahead).sum())
    chart.start = max(start - 1, 0)
    chart.line("mean past", places[:start], own_mean[:start])
    chart.line("mean ahead", places[max(start - 1, 0) :], own_mean[max(start - 1, 0) :])
    if 0 < start < len(years):
        chart.upright("today", start - 0.5)
    for place in places:
        known = place < start
        if known:
            chart.dot("past", place, q["q50"][place])
        elif np.isfinite(q["q50"][place]):
            chart.bar("band80 ahead", place, q["q10"][place], q["q90"][place], 0.5)
            chart.bar("band50 ahead", place, q["q25"][place], q["q75"][place], 0.5)
            chart.dot("ahead", place, q["q50"][place])
        chart.x_ticks.append((round(chart.x(place), 2), str(years[place]), years[place] % 5 != 0))
        chart.readings.append(
            _reading(years[place], {k: v[place] for k, v in q.items()}, own_mean[place], known)
        )
    return chart


def _reading(year: int, q: dict[str, float], mean: float, known: bool) -> str:
    if not np.isfinite(q["q50"]):
        return f"{year}: release not held"
    after = f"; 3-year mean {signed(mean)} %" if np.isfinite(mean) else ""
    if known:
        return f"{year}: {signed(q['q50'])} %{after}"
    band = f"{signed(q['q10'])} to {signed(q['q90'])}"
    return f"{year}, forecast: median {signed(q['q50'])} %, 80 % {band} %{after}"


def _row(year: int, printed: pd.Series, mean: pd.Series) -> list[str]:
    released = bool(printed["released"])
    band = "" if released else f"{signed(printed['q10'])} to {signed(printed['q90'])}"
    share = "" if released else percent(mean["probability_5"])
    phase = "printed" if released else "forecast"
    return [str(year), phase, signed(printed["q50"]), band, signed(mean["q50"]), share]
