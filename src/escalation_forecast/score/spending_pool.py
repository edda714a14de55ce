"""A linear pool of a model of spending with the mixture of simple methods.

One weight holds for whole paths: a draw is a path over all states and years of either source, so that rules
over several of them stay coherent. The CRPS of the pool is quadratic in the weight (see `tension_pool`), so
what earlier outcomes have earned has a closed form, and so has its average with a prior weight.

``python -m escalation_forecast.score.spending_pool --from FOLDER --write`` learns the weights of the forecast
from the cells of a finished backtest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import Cell
from escalation_forecast.score.spending_cases import FIRST_PRINT, SpendingOrigin
from escalation_forecast.score.spending_vintages import spending_levels
from escalation_forecast.score.tension_cases import Predictive
from escalation_forecast.score.tension_pool import crps_matrix
from escalation_forecast.store import Store

if TYPE_CHECKING:
    from escalation_forecast.score.spending_pool_file import SpendingPool

__all__ = ["MIX", "POOLS", "Earned", "Pooling", "crps_forms", "earned_weight", "known_on", "pooled_draws"]

MIX: Final = "mix4"
POOLS: Final[Mapping[str, str]] = {
    "pool": "joint",
    "pool-no-latent": "joint-no-latent",
    "pool-no-reaction": "joint-no-reaction",
    "pool-no-budgets": "joint-no-budgets",
    "pool-no-revisions": "joint-no-revisions",
}
"""By name of the pool, the model that is pooled with `MIX`."""
PRIOR_WEIGHT: Final = 0.75  # of the model
PRIOR_ORIGINS: Final = 10.0  # origins that speak for it; not tuned, 2 to 20 do alike on origins before 2018

Finished = Callable[[Cell], xr.Dataset | None]
"""Draws of a finished cell, None where it is not finished."""


@dataclass(frozen=True)
class Earned:
    """A weight of the model and what it rests on.

    Attributes
    ----------
    weight : share of the model's draws.
    origins, cases : number of them with an outcome.
    """

    weight: float
    origins: int
    cases: int


def crps_forms(model: xr.Dataset, mix: xr.Dataset, truth: pd.DataFrame) -> pd.DataFrame:
    """What the CRPS of a pool needs of each first print.

    With weight w of the model it is w^2 ``model`` + 2 w (1 - w) ``cross`` + (1 - w)^2 ``mix``.

    Parameters
    ----------
    model, mix : draws, with first_print (sample, state, horizon).
    truth : as from `spending_cases.outcomes`.

    Returns
    -------
    pandas.DataFrame
        Rows of ``truth`` that are first prints, with model, cross and mix.
    """
    rows = truth[truth["truth"] == FIRST_PRINT]
    parts = []
    for draws in (model, mix):
        growth = draws["first_print"].transpose("state", "horizon", "sample")
        at = growth.get_index("state").get_indexer(pd.Index(rows["state"]))
        step = growth.get_index("horizon").get_indexer(pd.Index(rows["horizon"]))
        parts.append(Predictive.equal(growth.values[at, step].astype(float)))
    form = crps_matrix(parts, rows["outcome"].to_numpy(float))
    return rows.assign(model=form[:, 0, 0], cross=form[:, 0, 1], mix=form[:, 1, 1])


def known_on(store: Store, truth: pd.DataFrame) -> pd.Series:
    """Day on which each outcome was published: by its release, or earlier by a release cut by year.

    Parameters
    ----------
    store : not cut.
    truth : state, target_year, truth_release.
    """
    levels = spending_levels(store)
    printed = truth["truth_release"].map(levels.groupby("release")["published_at"].max())
    cut = levels[levels["pseudo"]].groupby(["state", "year"])["published_at"].min()
    keys = pd.MultiIndex.from_frame(truth[["state", "target_year"]])
    by_year = pd.Series(cut.reindex(keys).to_numpy(), index=truth.index)
    return pd.concat([printed, by_year], axis=1).min(axis=1)


def earned_weight(forms: pd.DataFrame, day: pd.Timestamp) -> Earned:
    """Weight of the model that minimises the mean CRPS of outcomes known on a day, shrunk to 0.75.

    Every origin and horizon counts the same, whatever its number of states. The prior weight counts as ten
    origins of the mean curvature; three horizons make an origin.

    Parameters
    ----------
    forms : as from `crps_forms`, with origin and known_on.
    """
    past = forms[forms["known_on"] <= day]
    gain = past["mix"] - past["cross"]
    curvature = past["model"] - 2.0 * past["cross"] + past["mix"]
    table = pd.DataFrame({"gain": gain, "curvature": curvature})
    means = table.groupby([past["origin"], past["horizon"]]).mean()
    bend = float(means["curvature"].sum())
    if bend <= 0.0:
        return Earned(PRIOR_WEIGHT, int(past["origin"].nunique()), len(past))
    origins = len(means) / 3.0
    best = float(means["gain"].sum()) / bend
    weight = (origins * best + PRIOR_ORIGINS * PRIOR_WEIGHT) / (origins + PRIOR_ORIGINS)
    return Earned(float(np.clip(weight, 0.0, 1.0)), int(past["origin"].nunique()), len(past))


def pooled_draws(model: xr.Dataset, mix: xr.Dataset, weight: float) -> xr.Dataset:
    """Whole draws of both in the ratio of the weights, as many as there are, evenly spaced."""
    sizes = (model.sizes["sample"], mix.sizes["sample"])
    shares = (weight, 1.0 - weight)
    total = min(size / share for size, share in zip(sizes, shares, strict=True) if share > 0.0)
    states = list(model["state"].values)
    parts = []
    for draws, size, share in zip((model, mix), sizes, shares, strict=True):
        n = min(round(share * total), size)
        # The middles of equal stretches, so that every part of a mixture keeps its share.
        use = ((np.arange(n) + 0.5) * size / max(n, 1)).astype(int)
        own = draws[["first_print", "settled", "window"]].sel(state=states)
        parts.append(own.isel(sample=use))
    return xr.concat(parts, "sample")


@dataclass
class Pooling:
    """Pools of one backtest, each origin with the weight that earlier outcomes have earned.

    Attributes
    ----------
    store : not cut.
    origins : those of the backtest, in the order of time.
    truth : by origin, as from `spending_cases.outcomes`.
    finished : draws of cells.
    """

    store: Store
    origins: tuple[SpendingOrigin, ...]
    truth: Callable[[SpendingOrigin], pd.DataFrame]
    finished: Finished
    _forms: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)

    def parts(self, model: str, origin: SpendingOrigin) -> tuple[xr.Dataset, xr.Dataset] | None:
        """Draws of a model and of the mixture, if both are finished."""
        found = [self.finished(Cell("spending", name, origin.label)) for name in (model, MIX)]
        return None if found[0] is None or found[1] is None else (found[0], found[1])

    def forms(self, model: str, before: pd.Timestamp) -> pd.DataFrame | None:
        """Forms of every finished origin before a day, with origin and known_on."""
        found = []
        for origin in self.origins:
            if origin.day >= before:
                continue
            key = (model, origin.label)
            if key not in self._forms:
                parts = self.parts(model, origin)
                self._forms[key] = None if parts is None else self._of(origin, *parts)
            if (own := self._forms[key]) is not None:
                found.append(own)
        return pd.concat(found, ignore_index=True) if found else None

    def _of(self, origin: SpendingOrigin, model: xr.Dataset, mix: xr.Dataset) -> pd.DataFrame:
        forms = crps_forms(model, mix, self.truth(origin))
        return forms.assign(origin=origin.label, known_on=known_on(self.store, forms))

    def earned(self, model: str, day: pd.Timestamp) -> Earned:
        """The weight of a model on a day; the prior weight where no outcome was known."""
        forms = self.forms(model, day)
        return Earned(PRIOR_WEIGHT, 0, 0) if forms is None else earned_weight(forms, day)

    def draws(self, name: str, origin: SpendingOrigin) -> xr.Dataset:
        """Draws of a pool at an origin, with weight, weight_origins and weight_cases in the attributes.

        Raises
        ------
        DataError
            When a part is not finished.
        """
        model = POOLS[name]
        parts = self.parts(model, origin)
        if parts is None:
            raise DataError(
                f"{name} at origin {origin.label} is made of {model} and {MIX}, which are not both finished; "
                "run them first."
            )
        earned = self.earned(model, origin.day)
        out = pooled_draws(*parts, earned.weight)
        out.attrs = {
            "weight": earned.weight,
            "weight_origins": earned.origins,
            "weight_cases": earned.cases,
        }
        return out

    def final(self, model: str) -> SpendingPool:
        """The weights of a forecast: at every origin, and on the day of the newest release.

        Raises
        ------
        DataError
            When no origin has both parts.
        """
        from escalation_forecast.score.spending_pool_file import SpendingPool

        levels = spending_levels(self.store)
        newest = pd.Timestamp(levels.loc[~levels["pseudo"], "published_at"].max())
        forms = self.forms(model, newest)
        if forms is None:
            raise DataError(
                f"No origin has finished cells of both {model} and {MIX}; run the backtest first."
            )
        used = [origin for origin in self.origins if origin.label in set(forms["origin"])]
        days = [*(origin.day for origin in used), newest]
        weights = {day: self.earned(model, day).weight for day in days}
        last = self.earned(model, newest)
        provenance = {
            "model": model,
            "mixture": MIX,
            "first_origin": used[0].label,
            "last_origin": used[-1].label,
            "origins": last.origins,
            "cases": last.cases,
            "prior_weight": PRIOR_WEIGHT,
            "prior_origins": PRIOR_ORIGINS,
            "data": self.store.content_hash(),
        }
        return SpendingPool(weights, provenance)


if __name__ == "__main__":
    from escalation_forecast.score.spending_pool_file import main

    main()
