"""Theatres: risk with its band and dated events, what pushed it, and the ladder of incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.page.chart import Axis, Chart
from escalation_forecast.page.material import Material
from escalation_forecast.page.words import Summary, day, month, pushed_words, share_words, signed, span
from escalation_forecast.report.layout import percent
from escalation_forecast.schema import GLOBAL, THEATRES

DRAWS: Final = "draws_theatres"
QUANTILES: Final = ("q10", "q25", "q50", "q75", "q90")
ZOOM: Final = 10 * 12
RUNGS: Final = {2: "threat", 3: "display of force", 4: "use of force", 5: "war"}
BEHIND, YEAR = 15, 12
FORCE: Final = 4
WINDOWS: Final = ("3m", "6m", "12m")


def theatres(material: Material) -> list[dict[str, Any]]:
    """A panel for each theatre and the global factor; none of a run without them."""
    from escalation_forecast.report.plots import read_events

    if not material.summary.get("theatres"):
        return []
    latent, ladder = material.table("latent"), _ladder(material)
    events = read_events()
    found = []
    for entry in material.summary["theatres"]:
        name = str(entry["theatre"])
        own = None if latent is None else latent[latent["theatre"] == name]
        dated = events[(events["theatre"] == name) & (events["date"] <= pd.Timestamp(material.as_of))]
        found.append(
            {
                "key": name,
                "label": entry["label"],
                "short": f"{signed(entry['now']['median'])}",
                "sentence": sentence(entry),
                "chart": None if own is None else latent_chart(entry, own, dated),
                "table": [] if own is None else _table(own),
                "events": [
                    {"day": day(e["date"]), "label": e["label"], "source": e["source"]}
                    for e in dated.sort_values("date").to_dict("records")
                ],
                "pushes": _pushes(material, entry),
                "ladder": None if ladder is None or name == GLOBAL else ladder_chart(entry, ladder[name]),
                "force": _force(material, name),
            }
        )
    return found


def sentence(entry: Summary) -> str:
    """Where a theatre stands, in two sentences."""
    now, before, trend, later = entry["now"], entry["year_ago"], entry["trend"], entry["forecast"]
    up = trend["probability_up"]
    moved = (
        f"It rose over six months with a probability of {percent(up)}"
        if up >= 0.5
        else f"It fell over six months with a probability of {percent(1.0 - up)}"
    )
    return (
        f"In {month(now['month'])} risk stood at {signed(now['median'])} (80 % band {span(now)}), above "
        f"{entry['percentile']:.0f} % of the months since 1990; a year before it stood at "
        f"{signed(before['median'])}. {moved}. Expected for {month(later['month'])}: "
        f"{signed(later['median'])} ({span(later)})."
    )


def latent_chart(entry: Summary, own: pd.DataFrame, events: pd.DataFrame) -> Chart:
    """Median and bands of 50 and 80 per cent since 1990, forecast in another colour, dated events."""
    months = pd.DatetimeIndex(own["month"])
    values: dict[str, list[float]] = {name: own[name].astype(float).tolist() for name in QUANTILES}
    start = int((own["phase"] == "history").sum())
    axis = Axis.around([*values["q10"], *values["q90"]])
    label = (
        f"{entry['label']}: monthly risk from {months[0]:%B %Y} to {months[-1]:%B %Y} in standard deviations "
        f"from the mean of 2010 to 2019. {sentence(entry)}"
    )
    chart = Chart(f"latent-{entry['theatre']}", label, axis, len(months), zoom=ZOOM + len(months) - start)
    chart.value_ticks(sign=True, n=7)
    chart.start = max(start - 1, 0)
    # The forecast starts at the last month of history, so that the two touch.
    for kind, part in (("past", slice(0, start)), ("ahead", slice(max(start - 1, 0), None))):
        places = range(len(months))[part]
        chart.band(f"band80 {kind}", places, values["q10"][part], values["q90"][part])
        chart.band(f"band50 {kind}", places, values["q25"][part], values["q75"][part])
        chart.line(f"line {kind}", places, values["q50"][part])
    if start < len(months):
        chart.upright("today", start - 1)
    at = (months.searchsorted(pd.DatetimeIndex(events["date"]), side="right") - 1).tolist()
    told: dict[int, list[str]] = {}
    for place, event in zip(at, events.to_dict("records"), strict=True):
        if place >= 0:
            told.setdefault(place, []).append(f"{day(event['date'])}: {event['label']}")
            chart.upright("event", place)
    for place in told:
        chart.dots.append((round(chart.x(place), 2), 0.0, "event"))
    for place, stamp in enumerate(months):
        if stamp.month == 1:
            chart.x_ticks.append((round(chart.x(place), 2), str(stamp.year), stamp.year % 5 != 0))
        now = {name: values[name][place] for name in QUANTILES}
        text = (
            f"{stamp:%B %Y}{', forecast' if place >= start else ''}: median {signed(now['q50'])}, half of "
            f"the draws {signed(now['q25'])} to {signed(now['q75'])}, 80 % {signed(now['q10'])} to "
            f"{signed(now['q90'])}"
        )
        chart.readings.append(". ".join([text, *told.get(place, [])]))
    return chart


def _table(own: pd.DataFrame) -> list[list[str]]:
    """The last month of each year behind, every third month ahead."""
    past = own["phase"] == "history"
    kept = own[(past & (own["month"].dt.month == YEAR)) | (~past & (own["month"].dt.month % 3 == 0))]
    if past.any():
        kept = pd.concat([kept, own[past].iloc[[-1]]]).drop_duplicates("month").sort_values("month")
    return [
        [f"{row['month']:%Y-%m}", row["phase"], *(signed(row[name], 2) for name in QUANTILES)]
        for row in kept.to_dict("records")
    ]


def _pushes(material: Material, entry: Summary) -> list[dict[str, Any]]:
    pushed = sorted(entry.get("pushed_by") or [], key=lambda p: -abs(p["push"]))
    most = max((abs(p["push"]) for p in pushed), default=0.0) or 1.0
    return [
        {
            "label": pushed_words(str(p["indicator"]), material.described),
            "value": signed(p["push"], 2),
            "up": p["push"] >= 0,
            "share": abs(p["push"]) / most,
        }
        for p in pushed
        if abs(p["push"]) >= 0.005
    ]


def _force(material: Material, name: str) -> list[dict[str, str]]:
    found = []
    for window in WINDOWS:
        answer = material.answers.get(f"use-of-force/{name}/{window}")
        if answer is not None:
            found.append(
                {
                    "window": f"{window.removesuffix('m')} months",
                    "chance": percent(answer["probability"]),
                    "rate": share_words(answer.get("base_rate")),
                }
            )
    return found


def _ladder(material: Material) -> dict[str, dict[str, Any]] | None:
    """Share of twelve months by highest rung, behind and ahead, by theatre."""
    draws = material.table(DRAWS)
    if draws is None:
        return None
    from escalation_forecast.realised import paths_from_store

    known = paths_from_store(material.store, vintage="newest")["ladder"].isel(chain=0, draw=0)
    past = known.to_series().unstack("theatre")
    first = pd.Timestamp(draws["month"].min())
    past = past[past.index < first]
    months = pd.date_range(first - pd.DateOffset(months=BEHIND * YEAR), periods=BEHIND * YEAR, freq="MS")
    past = past.reindex(months)
    found = {}
    for theatre in THEATRES:
        own = draws[draws["theatre"] == theatre]
        wide = own["ladder"].to_numpy(float).reshape(-1, own["month"].nunique())
        ahead = wide.shape[1] // YEAR
        blocks = wide[:, : ahead * YEAR].reshape(len(wide), ahead, YEAR)
        behind = past[theatre].to_numpy(float).reshape(BEHIND, YEAR)
        force = (blocks >= FORCE).sum(axis=2)
        found[theatre] = {
            "ends": [*months[YEAR - 1 :: YEAR], *(first + pd.DateOffset(months=YEAR * n + YEAR - 1)
                     for n in range(ahead))],
            "behind": {rung: (behind == rung).sum(axis=1).astype(float) for rung in RUNGS},
            "known": np.isfinite(behind).sum(axis=1),
            "ahead": {rung: (blocks == rung).sum(axis=2).mean(axis=0) for rung in RUNGS},
            "force": np.quantile(force, [0.1, 0.9], axis=0) if ahead else np.zeros((2, 0)),
        }  # fmt: skip
    return found


def ladder_chart(entry: Summary, own: Mapping[str, Any]) -> dict[str, Any]:
    """Bars of twelve months by highest rung, with a table of the same."""
    ends, n = own["ends"], len(own["ends"])
    label = (
        f"{entry['label']}: of each twelve months, how many had as their highest rung a threat, a display, "
        f"a use of force, or war; {BEHIND} years behind and {n - BEHIND} ahead. The table has the numbers."
    )
    chart = Chart(
        f"ladder-{entry['theatre']}", label, Axis(0.0, float(YEAR)), n, banded=True, start=BEHIND - 1
    )
    for value in (0, 3, 6, 9, 12):
        chart.y_ticks.append((round(chart.axis.share(value), 2), str(value)))
        chart.shapes.append(("zero" if value == 0 else "grid", f"M0 {chart.axis.y(value)}H2000"))
    table = []
    for place, end in enumerate(ends):
        kind, at = ("past", place) if place < BEHIND else ("ahead", place - BEHIND)
        counts = {rung: float(own["behind" if kind == "past" else "ahead"][rung][at]) for rung in RUNGS}
        floor = 0.0
        for rung in (5, 4, 3, 2):
            if counts[rung] > 0:
                chart.bar(f"rung rung{rung} {kind}", place, floor, floor + counts[rung])
                floor += counts[rung]
        said = ", ".join(f"{RUNGS[r]} {c:.0f}" if kind == "past" else f"{RUNGS[r]} {c:.1f}"
                         for r, c in counts.items())  # fmt: skip
        band = ""
        if kind == "ahead":
            low, high = own["force"][:, at]
            chart.upright("whisker", place, low, high)
            band = f"; use of force or war in {low:.0f} to {high:.0f} months (80 %)"
        elif own["known"][at] < YEAR:
            gap = YEAR - int(own["known"][at])
            chart.bar("gap", place, float(YEAR - gap), float(YEAR))
            band = f"; {gap} months not coded"
        when = f"Twelve months to {end:%B %Y}"
        chart.readings.append(f"{when}{', forecast' if kind == 'ahead' else ''}: months with {said}{band}")
        digits = 0 if kind == "past" else 1
        table.append([f"{end:%Y-%m}", "history" if kind == "past" else "forecast",
                      *(f"{c:.{digits}f}" for c in counts.values())])  # fmt: skip
        chart.x_ticks.append((round(chart.x(place), 2), f"{end:%Y}", place % 3 != 0))
    return {"chart": chart, "table": table}
