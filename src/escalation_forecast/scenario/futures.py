"""The simulated months ahead of a forecast, draw by draw, and what hypothetical figures make of them.

A figure gives every draw a density, by the model's own observation equation on the latent path of that draw,
and takes its place on the path. What a series carries over from month to month (the error of news, the memory
of a count) is carried over from the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from zlib import crc32

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_paths import LOG_MEAN_BOUNDS, future_exposure
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.scenario import densities
from escalation_forecast.scenario.figures import MONTHLY, Figure, reading_of
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import SpendingPanel

HIGHEST_LOG: Final = 20.0


@dataclass(frozen=True, eq=False)
class Futures:
    """Months from that of the as-of date on; arrays are (n, month) unless said otherwise.

    Attributes
    ----------
    announced : spending as known, with the hypothetical budgets.
    eta : (n, latent, month) on the model's scale.
    levels : monthly indicators in their own units.
    ladder : by theatre, levels 0, 3 and 4, missing behind where not coded.
    troops : persons; None before the first report.
    prints : (n, state, year) first print of growth, 100 x log difference.
    """

    panel: Panel
    announced: SpendingPanel
    draws: Draws
    priors: Priors
    seed: int
    months: pd.DatetimeIndex
    eta: np.ndarray
    levels: dict[str, np.ndarray]
    ladder: dict[str, np.ndarray]
    troops: np.ndarray | None
    prints: np.ndarray
    years: np.ndarray

    @classmethod
    def of(
        cls,
        panel: Panel,
        announced: SpendingPanel,
        posterior: xr.Dataset,
        priors: Priors,
        paths: xr.Dataset,
        seed: int,
    ) -> Self:
        """Futures of forecast paths and the posterior that they come from."""
        draws = Draws(posterior)
        ahead = paths.sel(month=slice(panel.months[panel.now], None))

        def flat(name: str, *dims: str) -> np.ndarray:
            values = ahead[name].transpose("chain", "draw", *dims).to_numpy()
            return np.asarray(values, float).reshape(draws.n, *values.shape[2:])

        scale = reference_scale()
        risk = np.concatenate(
            [flat("risk", "theatre", "month"), flat("global_risk", "month")[:, None]], axis=1
        )
        eta = risk * scale["sd"].to_numpy()[None, :, None] + scale["mean"].to_numpy()[None, :, None]
        levels, ladder = flat("indicator_level", "indicator", "month"), flat("ladder", "theatre", "month")
        first = (
            ahead["growth_print"].sel(age=0, drop=True).transpose("chain", "draw", "state", "year").to_numpy()
        )
        prints = 100.0 * np.log1p(np.asarray(first, float).reshape(draws.n, *first.shape[2:]) / 100.0)
        return cls(
            panel=panel,
            announced=announced,
            draws=draws,
            priors=priors,
            seed=seed,
            months=pd.DatetimeIndex(ahead["month"].to_numpy()),
            eta=eta,
            levels={str(name): levels[:, k] for k, name in enumerate(ahead["indicator"].to_numpy())},
            ladder={name: ladder[:, k] for k, name in enumerate(THEATRES)},
            troops=flat("dprk_troops", "month") if "dprk_troops" in ahead else None,
            prints=prints,
            years=ahead["year"].to_numpy(),
        )

    def predicted(self, figure: Figure) -> np.ndarray:
        """What a figure may turn out to be (n,), in the unit of its value."""
        if figure.kind == "indicator":
            return self.levels[figure.of][:, figure.ahead]
        if figure.kind == "ladder":
            return self.ladder[figure.of][:, figure.ahead]
        rng = np.random.default_rng([self.seed, crc32(str((figure.of, figure.when)).encode())])
        n, draws = self.draws.n, self.draws
        if figure.kind == "troops":
            assert self.troops is not None
            miss = draws["stock_miss"] * rng.standard_normal(n) + draws["stock_noise"] * rng.logistic(size=n)
            return np.asarray(self.troops[:, figure.ahead] * np.exp(np.clip(miss, None, HIGHEST_LOG)))
        i, reading = self.announced.states.index(figure.of), reading_of(self.announced, figure)
        df = float(self.priors["announcement_df"].array("value"))
        noise = draws["budget_noise"][:, i] * (1.0 + reading.doubt) * student_t(rng, df, (n,))
        # Expected inflation is what lies between the announced figure and what is read of it.
        nominal = self._first_print(figure) + draws["budget_bias"][:, i] + noise + reading.inflation
        return np.asarray(100.0 * np.expm1(np.clip(nominal, -200.0, 200.0) / 100.0))

    def density(self, figure: Figure) -> np.ndarray:
        """Log density of a figure at each draw (n,), given what the path holds of the month before."""
        now, panel, draws = figure.ahead, self.panel, self.draws
        if figure.kind == "ladder":
            eta = self.eta[:, LATENTS.index(figure.of), now]
            return densities.ladder(draws, figure.of, figure.value, eta)
        if figure.kind == "troops":
            assert self.troops is not None
            return densities.troops(draws, figure.low, figure.high, np.log(self.troops[:, now]))
        if figure.kind == "budget":
            reading = reading_of(self.announced, figure)
            given = (figure.of, reading.value, reading.doubt, self._first_print(figure))
            return densities.budget(panel, draws, self.priors, *given)
        block = block_of(panel, figure.of)
        k = LATENTS.index(str(panel.items[block].loc[figure.of, "theatre"]))
        eta, before = self.eta[:, k, now], self.eta[:, k, now - 1]
        last = self.levels[figure.of][:, now - 1]
        if block == "reading":
            return densities.news(panel, draws, figure.of, figure.value, last, eta, before)
        exposure = self._exposure(block, figure.of)
        if block == "share":
            return densities.share(panel, draws, figure.of, figure.value, exposure[now], eta)
        rate = self._rate(figure.of, now, last, exposure)
        return densities.count(figure.value, rate, densities.count_size(panel, draws, figure.of))

    def with_figure(self, figure: Figure) -> Self:
        """The same futures with the figure in its place."""
        at = figure.ahead
        if figure.kind == "indicator":
            levels = self.levels[figure.of].copy()
            if block_of(self.panel, figure.of) == "reading":
                levels[:, at:] = self._carried(figure, levels[:, at:])
            levels[:, at] = figure.value
            found = replace(self, levels={**self.levels, figure.of: levels})
            return found._counted_again(figure)
        if figure.kind == "ladder":
            ladder = self.ladder[figure.of].copy()
            ladder[:, at] = figure.value
            return replace(self, ladder={**self.ladder, figure.of: ladder})
        if figure.kind == "troops":
            assert self.troops is not None
            stock = self.troops.copy()
            # Within bounds the number stays what it was.
            inside = np.clip(stock[:, at], figure.low, figure.high)
            stock[:, at] = figure.value if figure.point else inside
            return replace(self, troops=stock)
        return self

    def _carried(self, figure: Figure, levels: np.ndarray) -> np.ndarray:
        """News from the figure's month on: the later errors move by what the month's error has moved."""
        panel, name = self.panel, figure.of
        item: Any = panel.items["reading"].loc[name]
        rho = densities.news_parameters(panel, self.draws, name)[2]
        y = densities.news_scale(panel, name, levels)
        moved = densities.news_scale(panel, name, np.asarray(figure.value)) - y[:, 0]
        y = (y + moved[:, None] * rho[:, None] ** np.arange(levels.shape[1])) * float(item["sd"]) + float(
            item["mean"]
        )
        if not item["log"]:
            return np.asarray(y)
        return np.asarray(np.maximum(np.exp(np.minimum(y, HIGHEST_LOG)) - LOG_OFFSET, 0.0))

    def _counted_again(self, figure: Figure) -> Self:
        """Months after the figure drawn anew, for a count that remembers the month before."""
        items = self.panel.items["count"]
        if figure.of not in items.index or not items.loc[figure.of, "memory"]:
            return self
        rng = np.random.default_rng([self.seed, crc32(figure.of.encode()), figure.ahead])
        levels, size = self.levels[figure.of].copy(), densities.count_size(self.panel, self.draws, figure.of)
        exposure = self._exposure("count", figure.of)
        for t in range(figure.ahead + 1, levels.shape[1]):
            rate = self._rate(figure.of, t, levels[:, t - 1], exposure)
            levels[:, t] = rng.poisson(np.exp(np.clip(rate, *LOG_MEAN_BOUNDS)) * rng.gamma(size) / size)
        return replace(self, levels={**self.levels, figure.of: levels})

    def _rate(self, name: str, at: int, before: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        k = LATENTS.index(str(self.panel.items["count"].loc[name, "theatre"]))
        month = self.months[at]
        decades = (month.year + (month.month - 0.5) / 12 - 2005.0) / 10.0
        given = (decades, (float(exposure[at - 1]), float(exposure[at])), before)
        return densities.count_rate(
            self.panel, self.draws, name, *given, self.eta[:, k, at], self.eta[:, k, at - 1]
        )

    def _exposure(self, block: str, name: str) -> np.ndarray:
        position = list(self.panel.items[block].index).index(name)
        return future_exposure(self.panel, block, position, self.months)

    def _first_print(self, figure: Figure) -> np.ndarray:
        column = int(np.flatnonzero(self.years == figure.month.year)[0])
        return self.prints[:, self.announced.states.index(figure.of), column]


def learned(futures: Futures, figures: Sequence[Figure]) -> tuple[np.ndarray, Futures]:
    """Log density (figure, n) of figures in order of time, and the futures that hold them."""
    found = []
    for figure in figures:
        found.append(futures.density(figure))
        futures = futures.with_figure(figure)
    return np.array(found), futures


def block_of(panel: Panel, name: str) -> str:
    """Block of the panel that a monthly indicator belongs to."""
    return next(block for block in MONTHLY if name in panel.items[block].index)
