"""What the latent risk looks like, what it is made of, and what a block's absence does to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.mixing import mixing
from escalation_forecast.priors import Priors
from escalation_forecast.run_files import prior_draws
from escalation_forecast.schema import THEATRE_LABELS, THEATRES

RECENT: Final = "2015-01-01"
LOADINGS: Final[dict[str, tuple[str, ...]]] = {
    "news": ("anchor_loading", "news_loading"),
    "voting distance": ("annual_loading",),
    "transfers, volume": ("transfer_loading",),
    "transfers, any": ("hurdle_loading",),
    "US forces": ("troop_loading",),
    "counts": ("count_loading",),
    "sanctions, senders": ("share_loading",),
    "ladder": ("ladder_slope",),
    "reported stocks": ("stock_threat",),
    "spending": ("threat_slope", "reaction"),
}


@dataclass(frozen=True)
class Event:
    """A dated window and where the risk should have risen; ``real`` is False where it should not."""

    theatre: str
    label: str
    first: str
    last: str
    real: bool = True


EVENTS: Final[tuple[Event, ...]] = (
    Event("ukraine_nato", "Crimea and Donbas", "2014-03", "2014-12"),
    Event("ukraine_nato", "full-scale invasion", "2022-02", "2022-12"),
    Event("korea", "Cheonan to Yeonpyeong", "2010-03", "2010-12"),
    Event("korea", "third test, Kaesong closed", "2013-02", "2013-05"),
    Event("korea", "missiles and sixth test", "2017-07", "2017-12"),
    Event("taiwan", "missile crisis", "1995-07", "1996-04"),
    Event("taiwan", "after the Pelosi visit", "2022-08", "2022-12"),
    Event("south_china_sea", "Scarborough standoff", "2012-04", "2012-08"),
    Event("south_china_sea", "Second Thomas Shoal", "2023-08", "2024-08"),
    Event("east_china_sea", "trawler collision", "2010-09", "2010-12"),
    Event("east_china_sea", "Senkaku purchase", "2012-09", "2013-06"),
    Event("korea", "summits, not a crisis", "2018-03", "2018-06", real=False),
    *(Event(k, "Gulf war, elsewhere", "1990-08", "1991-03", real=False) for k in THEATRES),
    *(Event(k, "11 September, elsewhere", "2001-09", "2002-03", real=False) for k in THEATRES),
    *(Event(k, "war with Iran, elsewhere", "2026-03", "2026-04", real=False) for k in THEATRES),
)


def standard(posterior: xr.Dataset) -> np.ndarray:
    """Latents (sample, latent, month) on the frozen reference scale."""
    scale = reference_scale().loc[list(LATENTS)]
    eta = Draws(posterior)["eta"]
    return np.asarray((eta - scale["mean"].to_numpy()[:, None]) / scale["sd"].to_numpy()[:, None])


def event_rise(path: np.ndarray, months: pd.DatetimeIndex, first: str, last: str) -> np.ndarray:
    """Mean of a path (..., month) over the event less its mean over the 12 months before."""
    start = pd.Timestamp(first)
    during = (months >= start) & (months <= pd.Timestamp(last))
    before = (months < start) & (months >= start - pd.DateOffset(months=12))
    return np.asarray(path[..., during].mean(axis=-1) - path[..., before].mean(axis=-1))


def event_table(posterior: xr.Dataset) -> pd.DataFrame:
    """Rise at each event: of the median path, its 80 % interval over draws, and the part of the factor."""
    months = pd.DatetimeIndex(posterior["month"].values)
    draws, risk = Draws(posterior), standard(posterior)
    sd = reference_scale().loc[list(LATENTS), "sd"].to_numpy()
    rows = []
    for event in EVENTS:
        k = LATENTS.index(event.theatre)
        path = risk[:, k]
        median = np.median(path, axis=0)
        rise = event_rise(path, months, event.first, event.last)
        share = np.sqrt(draws["global_share"][:, k])[:, None] * draws["eta"][:, -1] / sd[k]
        during = (months >= pd.Timestamp(event.first)) & (months <= pd.Timestamp(event.last))
        around = (months >= pd.Timestamp(event.first) - pd.DateOffset(months=12)) & (
            months <= pd.Timestamp(event.last) + pd.DateOffset(months=12)
        )
        rows.append(
            {
                "theatre": THEATRE_LABELS[event.theatre],
                "event": event.label,
                "months": f"{event.first} to {event.last}",
                "real": event.real,
                "level": float(median[during].mean()),
                "rise": float(event_rise(median, months, event.first, event.last)),
                "low": float(np.quantile(rise, 0.1)),
                "high": float(np.quantile(rise, 0.9)),
                "global_part": float(event_rise(share, months, event.first, event.last).mean()),
                "peak": f"{months[around][int(median[around].argmax())]:%Y-%m}",
            }
        )
    return pd.DataFrame(rows)


def extremes(posterior: xr.Dataset, now: pd.Timestamp, n: int = 4) -> pd.DataFrame:
    """The highest months of every latent, at most one in any 12, by the posterior median."""
    months = pd.DatetimeIndex(posterior["month"].values)
    known = months <= now
    rows = []
    for k, name in enumerate(LATENTS):
        median = np.median(standard(posterior)[:, k, known], axis=0)
        found: list[int] = []
        for position in np.argsort(-median):
            if all(abs(position - other) >= 12 for other in found):
                found.append(int(position))
            if len(found) == n:
                break
        peaks = ", ".join(f"{months[p]:%Y-%m} ({median[p]:+.1f})" for p in found)
        rows.append({"latent": THEATRE_LABELS[name], "peaks": peaks, "now": f"{median[-1]:+.1f}"})
    return pd.DataFrame(rows)


def loading_table(posterior: xr.Dataset, priors: Priors) -> pd.DataFrame:
    """Every loading: posterior and prior mean and sd, mean of each chain, R-hat and bulk ESS."""
    prior = prior_draws(posterior, priors, seed=0)
    rows = []
    for block, names in LOADINGS.items():
        for name in names:
            values = posterior[name].transpose("chain", "draw", ...).values.astype(float)
            flat = values.reshape(*values.shape[:2], -1)
            drawn = prior[name].values.reshape(prior.sizes["draw"], -1)
            dims = [dim for dim in posterior[name].dims if dim not in ("chain", "draw")]
            labels = posterior[dims[0]].values if dims else [""]
            for position, label in enumerate(labels):
                one = flat[:, :, position]
                varies = np.ptp(one) > 0
                r_hat, bulk, _ = mixing(one[None]) if varies else (np.full(1, np.nan),) * 3
                rows.append(
                    {
                        "block": block,
                        "loading": f"{name}[{label}]" if dims else name,
                        "mean": one.mean(),
                        "sd": one.std(),
                        "low": np.quantile(one, 0.05),
                        "high": np.quantile(one, 0.95),
                        "prior_mean": drawn[:, position].mean(),
                        "prior_sd": drawn[:, position].std(),
                        "prior_low": np.quantile(drawn[:, position], 0.05),
                        "prior_high": np.quantile(drawn[:, position], 0.95),
                        "chains": one.mean(axis=1),
                        "r_hat": float(r_hat[0]),
                        "ess": float(bulk[0]),
                    }
                )
    return pd.DataFrame(rows)


def global_share_table(posterior: xr.Dataset, now: pd.Timestamp) -> pd.DataFrame:
    """Share of the fast variance that is global, and the variance of its path against the theatre's."""
    draws = Draws(posterior)
    months = pd.DatetimeIndex(posterior["month"].values)
    known = months <= now
    eta = draws["eta"][:, :, known]
    rows = []
    for k, name in enumerate(THEATRES):
        share = draws["global_share"][:, k]
        fast = share * eta[:, -1].var(axis=1) / eta[:, k].var(axis=1)
        rows.append(
            {
                "theatre": THEATRE_LABELS[name],
                "mean": share.mean(),
                "low": np.quantile(share, 0.1),
                "high": np.quantile(share, 0.9),
                "path": fast.mean(),
                "correlation": np.mean(
                    [np.corrcoef(a, b)[0, 1] for a, b in zip(eta[:, k], eta[:, -1], strict=True)]
                ),
            }
        )
    return pd.DataFrame(rows)


def mean_path(posterior: xr.Dataset) -> np.ndarray:
    """Posterior mean of the latents (latent, month) on the reference scale."""
    return np.asarray(standard(posterior).mean(axis=0))


def path_mixing(posterior: xr.Dataset) -> float:
    """Largest R-hat over the latents, every sixth month."""
    eta = posterior["eta"].transpose("latent", "month", "chain", "draw").values[:, ::6]
    r_hat, _, _ = mixing(eta.reshape(-1, *eta.shape[2:]).astype(float))
    return float(r_hat.max())


def compare(posterior: xr.Dataset, against: xr.Dataset, now: pd.Timestamp) -> pd.DataFrame:
    """Correlation of mean paths since 1990 and since 2015, and change of the current risk, by latent."""
    months = pd.DatetimeIndex(posterior["month"].values)
    one, other = mean_path(posterior), mean_path(against)
    spread = standard(against)[:, :, months == now].std(axis=0)[:, 0]
    known, recent = months <= now, (months <= now) & (months >= pd.Timestamp(RECENT))
    here = int(months.searchsorted(now))
    rows = [
        {
            "latent": name,
            "all": np.corrcoef(one[k, known], other[k, known])[0, 1],
            "recent": np.corrcoef(one[k, recent], other[k, recent])[0, 1],
            "change": one[k, here] - other[k, here],
            "change_in_posterior_sd": (one[k, here] - other[k, here]) / spread[k],
        }
        for k, name in enumerate(LATENTS)
    ]
    return pd.DataFrame(rows).set_index("latent")
