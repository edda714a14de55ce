"""Log density of single rows of the likelihood at many draws, by the observation equations of `model`.

All are up to the constants that the model leaves out as well, and arrays are (row, n). What a run does not
keep (the miss that reports of a month share) is integrated out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp

from escalation_forecast.draws import Draws, prior_sample
from escalation_forecast.explain.rows import WEIGHT, OtherDrawsError, Tables
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors

LEAST: Final = 1e-12  # added to a chance of the ladder, as in its kernel
NODES: Final = 41  # of Gauss and Hermite, for the miss that reports of a month share
ROWS: Final = 96  # at a time


class Likelihood:
    """Densities of rows at the draws of a fit.

    Parameters
    ----------
    draws : with the paths of the latents.
    panel : of the calendar and the indicators of the draws.
    priors : for constants, and for bodies that have not reported before.
    """

    def __init__(self, draws: Draws, panel: Panel, priors: Priors) -> None:
        self.draws, self.priors = draws, priors
        self.items = panel.items
        self._known: dict[str, np.ndarray] = {}

    def total(self, rows: Tables) -> np.ndarray:
        """Sum (n,) of the log densities of rows with their weights, as `rows.difference` gives them.

        Raises
        ------
        OtherDrawsError
            When the draws have no parameter for a row.
        """
        out = np.zeros(self.draws.n)
        blocks: dict[str, Callable[[Any, pd.DataFrame], np.ndarray]] = {
            "reading": self._reading,
            "count": self._count,
            "share": self._share,
            "share_total": self._share_total,
            "ordinal": self._ordinal,
            "hurdle": self._hurdle,
        }
        for block, table in rows.items():
            if block == "stock":
                continue
            weights = table[WEIGHT].to_numpy(float)
            if block in blocks:
                for name, own in table.groupby("item", sort=True):
                    for start in range(0, len(own), ROWS):
                        part = own.iloc[start : start + ROWS]
                        out += part[WEIGHT].to_numpy(float) @ blocks[block](name, part)
            else:
                out += weights @ getattr(self, f"_{block}")(table)
        return out

    def stocks(self, rows: pd.DataFrame) -> np.ndarray:
        """Sum (n,) over months of the log density of all reports of a month."""
        draws, out = self.draws, np.zeros(self.draws.n)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        miss = self["stock_miss"][:, None] * nodes
        noise = self["stock_noise"][:, None]
        labels = draws.labels("stock")
        for (stock, _), own in rows.groupby(["stock", "month"], sort=True):
            level = self["log_stock"][:, labels.index(str(stock)), int(own["month"].iloc[0])]
            centre = level[:, None] + miss
            inside = np.zeros_like(centre)
            row: Any
            for row in own.itertuples():
                at = centre + self._body(str(row.body))[:, None]
                inside += float(row.weight) * _interval(float(row.low), float(row.high), at, noise)
            out += logsumexp(inside, axis=1, b=weights / weights.sum())
        return out

    def _body(self, name: str) -> np.ndarray:
        """House effect (n,) of a body; of one that the draws do not know, from its prior."""
        labels = self.draws.labels("body")
        if name in labels:
            return np.asarray(self["stock_body"][:, labels.index(name)])
        rng = np.random.default_rng(crc32(name.encode()))
        return prior_sample(rng, self.priors["stock_body"], self.draws.n, {"body": [name]})[:, 0]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._known:
            self._known[name] = self.draws[name]
        return self._known[name]

    @cached_property
    def flat(self) -> np.ndarray:
        """Monthly values, year means and means of three years before, (place, n); as `model._flat`."""
        eta = self.draws.posterior["eta"].transpose(..., "chain", "draw").to_numpy()
        eta = eta.reshape(*eta.shape[:2], self.draws.n)
        yearly = eta.reshape(len(eta), -1, 12, self.draws.n).mean(axis=2)
        padded = np.concatenate([yearly[:, :1]] * 3 + [yearly], axis=1)
        n = yearly.shape[1]
        before = (padded[:, :n] + padded[:, 1 : n + 1] + padded[:, 2 : n + 2]) / 3.0
        return np.concatenate([part.reshape(-1, self.draws.n) for part in (eta, yearly, before)])

    def _at(self, rows: pd.DataFrame, column: str = "index") -> np.ndarray:
        return np.asarray(self.flat[rows[column].to_numpy(int)], float)

    def _of(self, name: str, dim: str, label: str) -> np.ndarray:
        labels = self.draws.labels(dim)
        if label not in labels:
            raise OtherDrawsError(f"the draws have no parameters of {label}")
        return np.asarray(self[name][:, labels.index(label)])

    def reading_parameters(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Intercept, slope on the latent, persistence of the error and scale of its innovations, (n,)."""
        item: Any = self.items["reading"].loc[name]
        family = str(item["family"])
        short = {"troops": "troop"}.get(family, family)
        if family == "news":
            group = ("anchor_loading", "anchor") if item["anchor"] else ("news_loading", "loaded_news")
            loading = self._of(*group, name)
        elif family == "transfer":
            loading = self["transfer_loading"]
        else:
            loading = self._of(f"{short}_loading", family, name)
        rho = np.zeros(self.draws.n)
        if family in ("news", "annual"):
            rho = SHORT_MEMORY * self._of(f"{family}_persistence", family, name)
        intercept, noise = (self._of(f"{short}_{what}", family, name) for what in ("intercept", "noise"))
        return intercept, float(item["sign"]) * loading, rho, noise

    def _reading(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        intercept, slope, rho, noise = self.reading_parameters(name)
        df = READING_DF[str(self.items["reading"].loc[name, "family"])]
        y, before, link = (_column(rows, key) for key in ("y", "y_previous", "has_previous"))
        spread = 1.0 - (1.0 - link) * rho * rho
        previous = link * (before - intercept - slope * self._at(rows, "index_previous"))
        z = (y - intercept - slope * self._at(rows) - rho * previous) * np.sqrt(spread) / noise
        return np.asarray(-0.5 * (df + 1.0) * np.log1p(z * z / df) - np.log(noise) + 0.5 * np.log(spread))

    def _count(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        item: Any = self.items["count"].loc[name]
        base = self._of("count_intercept", "count", name) + _column(rows, "log_mean")
        loading = self._of("count_loading", "count_group", str(item["group"]))
        size = self._of("count_dispersion", "count", name)
        surprise = _column(rows, "log_rate_previous") - base - loading * self._at(rows, "index_previous")
        log_mean = base + loading * self._at(rows) + self["count_trend"] * _column(rows, "trend")
        log_mean = log_mean + _column(rows, "log_exposure")
        log_mean = log_mean + SHORT_MEMORY * self["count_memory"] * _column(rows, "has_previous") * surprise
        y, log_size = _column(rows, "y"), np.log(size)
        log_sum = np.logaddexp(log_mean, log_size)
        kernel = y * (log_mean - log_sum) + size * (log_size - log_sum)
        return np.asarray(kernel + self._gammas(rows["y"].to_numpy(float), size))

    def _gammas(self, y: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Log-gamma terms, once for each number; a row on a new scale brings the same ones back."""
        values, where = np.unique(y, return_inverse=True)
        return np.asarray((gammaln(values[:, None] + size) - gammaln(size))[where])

    def _share(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        intercept, loading, size = (
            self._of(f"share_{what}", "share", name) for what in ("intercept", "loading", "concentration")
        )
        logit = _column(rows, "sign") * (intercept + loading * self._at(rows))
        return np.asarray(np.log(size / (1.0 + np.exp(-logit)) + _column(rows, "step")))

    def _share_total(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(np.log(self._of("share_concentration", "share", name) + _column(rows, "step")))

    def _ordinal(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        any_display, force, slope = (
            self._of(f"ladder_{what}", "theatre", name) for what in ("any", "force", "slope")
        )
        push = slope * self._at(rows)
        some, most = (
            1.0 / (1.0 + np.exp(np.log1p(-p) - np.log(p) - push)) for p in (any_display, any_display * force)
        )
        level = _column(rows, "level")
        chance = np.where(level == 0, 1.0 - some, np.where(level == 1, some - most, most))
        return np.asarray(np.log(chance + LEAST))

    def _hurdle(self, name: str, rows: pd.DataFrame) -> np.ndarray:
        logit = self._of("hurdle_intercept", "transfer", name) + self["hurdle_loading"] * self._at(rows)
        return np.asarray(_column(rows, "z") * logit - np.logaddexp(0.0, logit))

    def _states(self, rows: pd.DataFrame) -> list[int]:
        labels = self.draws.labels("state")
        return [labels.index(str(state)) for state in rows["state"]]

    def _revision(self, rows: pd.DataFrame) -> np.ndarray:
        scale = self["revision_scale"] * self["revision_state"][:, self._states(rows)].T
        return _student_t(_column(rows, "step"), scale, self._constant("revision_df"))

    def _late(self, rows: pd.DataFrame) -> np.ndarray:
        ages = [self.draws.labels("late_age").index(str(int(age))) for age in rows["age"]]
        chance = self["late_revision_chance"][:, ages].T
        return np.asarray(np.where(_column(rows, "changed") > 0, np.log(chance), np.log1p(-chance)))

    def _late_size(self, rows: pd.DataFrame) -> np.ndarray:
        return _student_t(_column(rows, "size"), self["late_revision_size"], self._constant("revision_df"))

    def _budget(self, rows: pd.DataFrame) -> np.ndarray:
        states = self._states(rows)
        scale = self["budget_noise"][:, states].T * (1.0 + _column(rows, "doubt"))
        scale = np.sqrt(scale**2 + _column(rows, "half_width") ** 2)
        return self._announced(rows, states, self["budget_bias"], scale)

    def _programme(self, rows: pd.DataFrame) -> np.ndarray:
        states, years = self._states(rows), rows["year"].to_numpy(int)
        unrest = self["growth_scale"][:, states, years] / self["growth_noise"][:, states]
        scale = self["programme_noise"][:, states] * unrest
        return self._announced(rows, states, self["programme_bias"], scale.T)

    def _announced(
        self, rows: pd.DataFrame, states: list[int], bias: np.ndarray, scale: np.ndarray
    ) -> np.ndarray:
        forecast = self["first_print"][:, states, rows["slot"].to_numpy(int)].T
        target = np.where(_column(rows, "ahead") > 0, forecast, _column(rows, "first_print"))
        error = _column(rows, "value") - target - bias[:, states].T
        return _student_t(error, scale, self._constant("announcement_df"))

    def _constant(self, name: str) -> float:
        return float(self.priors[name].array("value"))


def _column(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(float)[:, None]


def _student_t(error: np.ndarray, scale: np.ndarray, df: float) -> np.ndarray:
    z = error / scale
    return np.asarray(-0.5 * (df + 1.0) * np.log1p(z * z / df) - np.log(scale))


def _interval(low: float, high: float, centre: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """A report between two logarithms, with a logistic error around ``centre``."""
    below, above = (low - centre) / noise, (high - centre) / noise
    gap = np.log(-np.expm1(below - above))
    return np.asarray(above + gap - np.logaddexp(0.0, above) - np.logaddexp(0.0, below))
