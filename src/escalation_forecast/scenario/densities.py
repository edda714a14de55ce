"""Log densities of one month's figure at many draws, by the observation equations of `model`.

All are up to the constants that the model leaves out as well; a figure weighs draws, and constants cancel.
Arrays are by draw, (n,).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.special import gammaln, logsumexp

from escalation_forecast.draws import Draws
from escalation_forecast.indicator_rows import LOG_OFFSET
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES

LEAST: Final = 1e-12  # added to a chance of the ladder, as in its kernel
NODES: Final = 41  # of the Gauss-Hermite rule for the miss that reports of a month share


def news_scale(panel: Panel, name: str, value: np.ndarray) -> np.ndarray:
    """Figures on the scale of the model: standardised, logarithms first where there is one unit."""
    item: Any = panel.items["reading"].loc[name]
    raw = np.log(value + LOG_OFFSET) if item["log"] else value
    return np.asarray((raw - float(item["mean"])) / float(item["sd"]))


def news_parameters(panel: Panel, draws: Draws, name: str) -> tuple[np.ndarray, ...]:
    """Intercept, slope on the latent, persistence of the error and its innovations' scale."""
    items = panel.items["reading"]
    news = items[items["family"] == "news"]
    position = list(news.index).index(name)
    anchor = bool(news["anchor"].iloc[position])
    group = list(news.index[news["anchor"] == anchor])
    table = draws["anchor_loading" if anchor else "news_loading"]
    slope = float(news["sign"].iloc[position]) * table[:, group.index(name)]
    rho = SHORT_MEMORY * draws["news_persistence"][:, position]
    return draws["news_intercept"][:, position], slope, rho, draws["news_noise"][:, position]


def news(
    panel: Panel,
    draws: Draws,
    name: str,
    value: float,
    before: np.ndarray,
    eta: np.ndarray,
    eta_before: np.ndarray,
) -> np.ndarray:
    """Student-t reading with an AR(1) error, given the month before."""
    intercept, slope, rho, noise = news_parameters(panel, draws, name)
    df = READING_DF["news"]
    error = news_scale(panel, name, np.asarray(value)) - intercept - slope * eta
    last = news_scale(panel, name, before) - intercept - slope * eta_before
    z = (error - rho * last) / noise
    return np.asarray(-0.5 * (df + 1.0) * np.log1p(z * z / df) - np.log(noise))


def count_rate(
    panel: Panel,
    draws: Draws,
    name: str,
    decades: float,
    exposure: tuple[float, float],
    before: np.ndarray,
    eta: np.ndarray,
    eta_before: np.ndarray,
) -> np.ndarray:
    """Log mean of a count.

    Parameters
    ----------
    decades : since 2005, for the technology trend.
    exposure : of the month before and of the month.
    """
    items = panel.items["count"]
    position = list(items.index).index(name)
    item: Any = items.iloc[position]
    base = draws["count_intercept"][:, position] + float(item["log_mean"])
    loading = draws["count_loading"][:, int(item["group_index"])]
    out = base + loading * eta + draws["count_trend"] * decades * bool(item["trend"]) + np.log(exposure[1])
    if item["memory"]:
        surprise = np.log((before + 0.5) / exposure[0]) - base - loading * eta_before
        out = out + SHORT_MEMORY * draws["count_memory"] * surprise
    return np.asarray(out)


def count_size(panel: Panel, draws: Draws, name: str) -> np.ndarray:
    """Size of the negative binomial."""
    return draws["count_dispersion"][:, list(panel.items["count"].index).index(name)]


def count(value: float, log_mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Negative binomial of mean ``exp(log_mean)``."""
    log_size = np.log(size)
    log_sum = np.logaddexp(log_mean, log_size)
    kernel = value * (log_mean - log_sum) + size * (log_size - log_sum)
    return np.asarray(kernel + gammaln(value + size) - gammaln(size))


def share(panel: Panel, draws: Draws, name: str, value: float, trials: float, eta: np.ndarray) -> np.ndarray:
    """Beta-binomial number of ``trials`` that act, by rising factorials."""
    position = list(panel.items["share"].index).index(name)
    logit = draws["share_intercept"][:, position] + draws["share_loading"][:, position] * eta
    c = draws["share_concentration"][:, position]
    p, q = 1.0 / (1.0 + np.exp(-logit)), 1.0 / (1.0 + np.exp(logit))
    return np.asarray(_rising(c * p, value) + _rising(c * q, trials - value) - _rising(c, trials))


def _rising(a: np.ndarray, n: float) -> np.ndarray:
    return np.asarray(np.log(a[:, None] + np.arange(int(n))).sum(axis=1))


def ladder(draws: Draws, theatre: str, value: float, eta: np.ndarray) -> np.ndarray:
    """Ordered logit in three classes: below 3, threat or display, use of force."""
    k = THEATRES.index(theatre)
    any_display, force = draws["ladder_any"][:, k], draws["ladder_force"][:, k]
    push = draws["ladder_slope"][:, k] * eta
    cut = [np.log(p) - np.log1p(-p) for p in (any_display, any_display * force)]
    some, most = (1.0 / (1.0 + np.exp(-one - push)) for one in cut)
    chance = 1.0 - some if value < 3 else some - most if value < 4 else most
    return np.asarray(np.log(chance + LEAST))


def interval(low: float, high: float, centre: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """A report between two logarithms, with a logistic error around ``centre``.

    Bounds at infinity are those that the panel puts in their place.
    """
    below, above = (max(low, -50.0) - centre) / noise, (min(high, 50.0) - centre) / noise
    gap = np.log(-np.expm1(below - above))
    return np.asarray(above + gap - np.logaddexp(0.0, above) - np.logaddexp(0.0, below))


def troops(draws: Draws, low: float, high: float, log_stock: np.ndarray) -> np.ndarray:
    """A report of troops between two numbers, from a body without a house effect.

    The miss that all reports of a month share is integrated out.
    """
    with np.errstate(divide="ignore"):
        bounds = np.log(max(low, 0.0)), np.log(high)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    miss = draws["stock_miss"][:, None] * nodes
    given = interval(*bounds, log_stock[:, None] + miss, draws["stock_noise"][:, None])
    return np.asarray(logsumexp(given, axis=1, b=weights / weights.sum()))


def budget(
    panel: Panel,
    draws: Draws,
    priors: Priors,
    state: str,
    value: float,
    doubt: float,
    first_print: np.ndarray,
) -> np.ndarray:
    """Announced growth less expected inflation, 100 x log, as a reading of the first print."""
    i = panel.spending.states.index(state)
    df = float(priors["announcement_df"].array("value"))
    scale = draws["budget_noise"][:, i] * (1.0 + doubt)
    z = (value - first_print - draws["budget_bias"][:, i]) / scale
    return np.asarray(-0.5 * (df + 1.0) * np.log1p(z * z / df) - np.log(scale))


def programme(
    draws: Draws, priors: Priors, i: int, value: float, first_print: np.ndarray, unrest: np.ndarray
) -> np.ndarray:
    """What a programme of several years says of a year, as a reading of the first print of state ``i``."""
    df = float(priors["announcement_df"].array("value"))
    scale = draws["programme_noise"][:, i] * unrest
    z = (value - first_print - draws["programme_bias"][:, i]) / scale
    return np.asarray(-0.5 * (df + 1.0) * np.log1p(z * z / df) - np.log(scale))
