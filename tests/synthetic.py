"""Made-up forecast paths with the dims and attributes of real ones, for tests and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import CORE_FOUR, STATES, THEATRES

INDICATORS = (
    "news_world",
    "news_korea",
    "news_taiwan",
    "news_ukraine_nato",
    "launches_prk",
    "pla_aircraft_all",
)
AGES = 6
SHOCKS = {
    "korea": {"1994-06": 1.5, "2010-03": 1.2, "2010-11": 1.3, "2013-04": 1.4, "2017-09": 2.2, "2022-10": 1.0},
    "taiwan": {"1995-07": 1.5, "1996-03": 2.0, "2022-08": 2.2, "2024-05": 0.7},
    "east_china_sea": {"2010-09": 1.0, "2012-09": 2.4, "2013-11": 1.0, "2025-12": 1.4},
    "south_china_sea": {"2012-04": 1.0, "2014-05": 1.2, "2023-08": 1.3, "2024-06": 1.6},
    "ukraine_nato": {"2014-03": 2.2, "2018-11": 0.8, "2022-02": 3.2, "2024-10": 0.8},
}


def synthetic_paths(
    *,
    seed: int = 7,
    chains: int = 2,
    draws: int = 50,
    as_of: str = "2026-06-15",
    horizon: int = 36,
    missing_prints: tuple[int, ...] = (2018, 2021),
) -> xr.Dataset:
    """Paths of all variables that questions, plots and tables read.

    Parameters
    ----------
    missing_prints
        Years whose first edition is not held: the print is missing in every draw.
    """
    rng = np.random.default_rng(seed)
    now = pd.Timestamp(as_of).to_period("M").to_timestamp()
    months = pd.date_range("1990-01-01", now + pd.DateOffset(months=horizon), freq="MS")
    n_past = int((months <= now).sum())
    last = now + pd.DateOffset(months=horizon)
    years = np.arange(2009, last.year - 1 + int(last.month >= 5))
    n_released = int((years < pd.Timestamp(as_of).year - int(now.month < 5)).sum())
    base = {"chain": np.arange(chains), "draw": np.arange(draws)}
    risk = _risk(rng, chains, draws, months, n_past)
    prints, true = _growth(rng, chains, draws, len(years), n_released)
    for year in missing_prints:
        prints[..., years == year, :] = np.nan
    odds = np.array([0.72, 0.16, 0.12])
    ladder = rng.choice([0.0, 3.0, 4.0], p=odds, size=(chains, draws, len(THEATRES), len(months)))
    ladder[..., :n_past] = ladder[:1, :1, :, :n_past]
    level = np.exp(rng.normal(0, 0.4, (chains, draws, len(INDICATORS), len(months))))
    level[..., :n_past] = level[:1, :1, :, :n_past]
    troops = 11_000 * np.exp(np.cumsum(rng.normal(0, 0.03, (chains, draws, len(months))), axis=-1))
    troops[..., : int((months < "2024-10-01").sum())] = 0
    return xr.Dataset(
        {
            "risk": (("chain", "draw", "theatre", "month"), risk[..., :-1, :]),
            "global_risk": (("chain", "draw", "month"), risk[..., -1, :]),
            "growth_print": (("chain", "draw", "state", "year", "age"), prints),
            "growth_true": (("chain", "draw", "state", "year"), true),
            "ladder": (("chain", "draw", "theatre", "month"), ladder),
            "indicator_level": (("chain", "draw", "indicator", "month"), level),
            "dprk_troops": (("chain", "draw", "month"), troops),
        },
        coords={
            **base,
            "theatre": list(THEATRES),
            "state": list(STATES),
            "indicator": list(INDICATORS),
            "month": months,
            "year": years,
            "age": np.arange(AGES),
        },
        attrs={
            "as_of": as_of,
            "horizon": horizon,
            "first_forecast_month": f"{months[n_past]:%Y-%m-%d}",
        },
    )


def _risk(
    rng: np.random.Generator, chains: int, draws: int, months: pd.DatetimeIndex, n_past: int
) -> np.ndarray:
    """Tension around a shared past, certain to +-0.25, fanning out after the last month."""
    n = len(months)
    past = np.zeros((len(THEATRES) + 1, n))
    for k, name in enumerate((*THEATRES, "global")):
        shocks = np.zeros(n)
        for month, size in SHOCKS.get(name, {"1990-08": 2.0, "2001-09": 2.5, "2022-02": 2.0}).items():
            shocks[months.get_loc(pd.Timestamp(month))] += size
        shocks += rng.normal(0, 0.22, n)
        for t in range(1, n):
            past[k, t] = 0.9 * past[k, t - 1] + shocks[t]
    risk = past + rng.normal(0, 0.25, (chains, draws, 1, 1))
    wobble = rng.normal(0, 0.15, (chains, draws, *past.shape))
    for t in range(1, n):
        wobble[..., t] += 0.7 * wobble[..., t - 1]
    risk = risk + wobble
    for t in range(n_past, n):
        noise = 0.3 * rng.standard_t(5, (chains, draws, past.shape[0]))
        risk[..., t] = 0.92 * risk[..., t - 1] + noise
    return risk


def _growth(
    rng: np.random.Generator, chains: int, draws: int, n_years: int, n_released: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prints (.., state, year, age) and true growth; released years are the same in all draws."""
    mean = np.where(np.isin(STATES, CORE_FOUR), [6.0 if s != "TWN" else 5.0 for s in STATES], 3.0)[:, None]
    shape = (chains, draws, len(STATES), n_years + AGES)
    true = mean + rng.normal(0, 2.0, shape)
    known = n_released + AGES
    true[..., :known] = true[:1, :1, :, :known] + rng.normal(0, 0.5, (chains, draws, len(STATES), known))
    prints = np.empty((chains, draws, len(STATES), n_years, AGES))
    for age in range(AGES):
        about = true[..., AGES - age : AGES - age + n_years]
        prints[..., age] = about + rng.normal(0, 1.2 / (1 + age), about.shape)
    prints[..., :n_released, :] = prints[:1, :1, :, :n_released, :]
    return prints, true[..., AGES:]


def synthetic_summary(paths: xr.Dataset, *, draft: bool = False) -> dict[str, Any]:
    """A summary with every kind of question, for the paths given."""
    from escalation_forecast.report.tables import spending_summaries, theatre_summaries

    theatres = theatre_summaries(paths)
    for n, entry in enumerate(theatres):
        sign = 1 if n % 2 else -1
        entry["pushed_by"] = [
            {"indicator": "news_korea", "push": 0.31 * sign},
            {"indicator": "launches_prk", "push": -0.12 * sign},
        ]
    return {
        "run_id": "0123456789abcdef",
        "as_of": paths.attrs["as_of"],
        "created_at": "2026-06-15T08:00:00+00:00",
        "draft": draft,
        "published": not draft,
        "horizon_months": paths.attrs["horizon"],
        "seed": 1,
        "model_version": "1",
        "versions": {"pymc": "6.3.2"},
        "priors_changed": [
            {"name": "phi", "default": "Beta(alpha=18, beta=2)", "used": "Beta(alpha=9, beta=2)"}
        ],
        "diagnostics": {
            "r_hat_max": {"value": 1.006, "quantity": "slope_share[sanctions_prk]"},
            "ess_bulk_min": {"value": 612.0, "quantity": "phi[korea]"},
            "ess_tail_min": {"value": 733.0, "quantity": "pi[taiwan]"},
            "divergences": 0,
            "e_bfmi_min": 0.71,
            "passed": True,
            "reasons": [],
            "compile_seconds": 22.0,
            "sampling_seconds": 61.0,
            "total_seconds": 95.0,
            "peak_memory_mb": 1210,
        },
        "data": {"content_hash": "ab12", "last_month": {"news_world": "2026-05"}, "n_observations": 41_234},
        "theatres": theatres,
        "spending": spending_summaries(paths),
        "questions": _questions(),
    }


def _question(name: str, target: str, title: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{name}/{target}",
        "question": name,
        "kind": "binary",
        "title": title,
        "target": target,
        "probability": None,
        "mcse": 0.006,
        "ess": 900.0,
        "distribution": None,
        "base_rate": None,
        "resolves_on": "SIPRI release of the year after",
        "note": "",
        **more,
    }


def _rate(events: int, trials: int, about: str) -> dict[str, Any]:
    return {"rate": events / trials, "events": events, "trials": trials, "reference_class": about}


def _questions() -> list[dict[str, Any]]:
    found = []
    years = _rate(3, 17, "years 2009-2025")
    regional = "At least 3 of 4 states with 3-year mean growth of 5 % or more"
    for target, p in (("2026", 0.41), ("2027", 0.44), ("2028", 0.29), ("any 2026-2028", 0.61)):
        rate = None if target.startswith("any") else years
        found.append(_question("arms-race-regional", target, regional, probability=p, base_rate=rate))
    for target, p in (("2026", 0.55), ("2027", 0.48), ("2028", 0.43)):
        title = "At least 2 of 4 states with growth of 5 % or more"
        found.append(
            _question("arms-race-annual", target, title, probability=p, base_rate=_rate(6, 16, "years"))
        )
    for target, shares in (
        ("2026", (0.04, 0.19, 0.36, 0.3, 0.11)),
        ("2027", (0.05, 0.2, 0.31, 0.28, 0.16)),
        ("2028", (0.1, 0.28, 0.33, 0.2, 0.09)),
    ):
        dist = {str(n): p for n, p in enumerate(shares)}
        title = "Number of states with 3-year mean growth of 5 % or more"
        found.append(_question("arms-race-count", target, title, kind="count", distribution=dist))
    for state in CORE_FOUR:
        dist = {"median": 5.1, "low": 1.8, "high": 8.6, "mean": 5.2}
        found.append(
            _question("spending-growth", f"{state} 2026", "Growth", kind="continuous", distribution=dist)
        )
    for n, theatre in enumerate(THEATRES):
        for m, months in enumerate((3, 6, 12)):
            title = "Use of force (ladder level 4 or more)"
            p = min(0.97, 0.08 + 0.15 * n + 0.1 * m)
            found.append(
                _question(
                    "use-of-force",
                    f"{theatre}, {months} months",
                    title,
                    probability=p,
                    base_rate=_rate(30 + 4 * n, 402, "months"),
                )
            )
    for months, p in ((12, 0.0004), (36, 0.012)):
        title = "A wider war, by any route"
        found.append(_question("wider-war", f"{months} months", title, probability=p, mcse=0.0003))
    found.append(
        _question(
            "troops-exceed", "15000 by 2026-12-31", "North Korean troops in Russia above", probability=0.18
        )
    )
    return found
