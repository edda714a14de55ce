"""What was known of each indicator, and how far each would move the tension."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import LATENTS, indicator_figures
from escalation_forecast.panel import Panel
from escalation_forecast.push import RECENT_MONTHS, Density, densities
from escalation_forecast.schema import GLOBAL, THEATRES
from escalation_forecast.store import Store

ORDER: Final = (GLOBAL, *THEATRES)
RISK_STEPS: Final = np.linspace(-6.0, 6.0, 601)
EXPOSED: Final = ("count", "share")


def evidence(known: Store) -> pd.DataFrame:
    """What was known of each indicator, by theatre and family.

    Returns
    -------
    DataFrame
        indicator, theatre, family, figures (how many periods), first, last (periods), published (day of the
        newest figure), source (titles), note; indicators without a figure are left out.
    """
    titles = known.sources.set_index("source")["title"]
    rows = []
    row: Any
    for row in known.indicators.itertuples():
        figures = indicator_figures(known, row)
        if figures.empty:
            continue
        parts = [known.latest(str(row.series), unit) for unit in str(row.units).split("+")]
        released = pd.concat(parts)
        rows.append(
            {
                "indicator": row.indicator,
                "theatre": row.theatre,
                "family": row.family,
                "figures": len(figures),
                "first": figures["month"].min(),
                "last": figures["month"].max(),
                "published": released["published_at"].max(),
                "source": "; ".join(titles[name] for name in released["source"].unique()),
                "note": row.note,
            }
        )
    found = pd.DataFrame(rows)
    place = found["theatre"].map(ORDER.index)
    return (
        found.assign(place=place).sort_values("place", kind="stable", ignore_index=True).drop(columns="place")
    )


def swings(panel: Panel, posterior: xr.Dataset, years: int = 10) -> pd.DataFrame:
    """How far the risk would move if one indicator had had another half-year.

    The last six figures of one indicator are set to the 10th, or the 90th, percentile of its figures of the
    past `years`. A constant risk over those months is then found anew as the mode of what `push` reads: the
    densities of all recent figures and a normal prior around the risk of a year ago. Of that change the
    present keeps what the theatre's persistence leaves of it since the indicator's last figure. Parameters
    stay at their posterior means, everything else at what was observed. Short fits to the changed figures,
    which learn other parameters too, moved by 0.5, 0.6, 1.0 and 1.2 of it in four of the widest cases.

    Returns
    -------
    DataFrame
        theatre, indicator, low, high (change of the risk on the reference scale), now (mean of the last six
        figures), level_low, level_high (what replaces them), in the indicator's unit, counts and shares by
        exposure; the widest first within a theatre. Indicators of the global factor move the factor: what a
        theatre's own figures say of it is not moved with it. Those without a figure in the last year are left
        out: they cannot move the present.
    """
    mean = posterior.mean(("chain", "draw"))
    sd = reference_scale()["sd"]
    phi = dict(zip(THEATRES, mean["phi"].to_numpy(), strict=True)) | {GLOBAL: float(mean["phi_global"])}
    rows: list[dict[str, Any]] = []
    for latent in LATENTS:
        start = float(mean["eta"].sel(latent=latent).isel(month=panel.now - 12))
        variance = float(1.0 - phi[latent] ** 24)
        actual = densities(panel, mean, latent)
        here = _mode(actual, start, variance)
        for indicator in actual:
            found: dict[str, Any] = {"indicator": indicator}
            behind = panel.now - int(panel.months.searchsorted(panel.last_period[indicator]))
            kept = float(phi[latent] ** behind)
            for name, (level, changed) in _half_years(panel, indicator, years).items():
                other = densities(changed, mean, latent)
                moved = kept * (_mode(other, start, variance) - here) / float(sd[latent])
                found |= {name: moved, f"level_{name}": level}
            found["now"] = found.pop("level_now")
            rows.append({**found, "theatre": latent})
    table = pd.DataFrame(rows)
    place = table["theatre"].map(LATENTS.index)
    wide = table.assign(place=place, narrow=-(table["high"] - table["low"]).abs())
    ordered = wide.sort_values(["place", "narrow"], kind="stable", ignore_index=True)
    return ordered[["theatre", "indicator", "low", "high", "now", "level_low", "level_high"]]


def _mode(densities: Mapping[str, Density], start: float, variance: float) -> float:
    """The likeliest constant risk; on a grid, because heavy tails make more than one mode possible."""
    values = [
        sum(density(risk) for density in densities.values()) - 0.5 * (risk - start) ** 2 / variance
        for risk in RISK_STEPS + start
    ]
    return float(RISK_STEPS[int(np.argmax(values))] + start)


def _half_years(panel: Panel, indicator: str, years: int) -> dict[str, tuple[float, Panel]]:
    """By ``low``, ``high`` and ``now``: the level of the last six figures and the panel that ends in it."""
    rows = panel.history[panel.history["indicator"] == indicator]
    exposure: np.ndarray = np.ones(len(rows))
    if any(indicator in panel.items[block].index for block in EXPOSED):
        exposure = panel.exposures[indicator].reindex(rows["month"]).to_numpy(float)
    rate: np.ndarray = rows["value"].to_numpy(float) / exposure
    lately = rate[(rows["month"] > panel.months[panel.now] - pd.DateOffset(years=years)).to_numpy()]
    out = {"now": (float(rate[-RECENT_MONTHS:].mean()), panel)}
    for name, chance in (("low", 0.1), ("high", 0.9)):
        # A figure that has been: a ladder has no level between two.
        level = float(np.quantile(lately, chance, method="nearest"))
        history = panel.history.copy()
        history.loc[rows.index[-RECENT_MONTHS:], "value"] = level * exposure[-RECENT_MONTHS:]
        out[name] = level, dataclasses.replace(panel, history=history)
    return out
