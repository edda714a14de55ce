"""A fit to what was known and hypothetical figures, on a grid that reaches the months they are of.

The figures are added to the panel and not to the tables behind it, so that every indicator keeps the
scale that it has in the run, and questions, thresholds and the history of other methods stay those of the
as-of date.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast import forecast
from escalation_forecast.fit import Checking, Report, Settings, diagnose, sample
from escalation_forecast.history.tables import load_history
from escalation_forecast.indicator_paths import future_exposure
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import STOCKS, Panel, build_panel
from escalation_forecast.prior_data import PREFIX, DataPriors, swapped_priors
from escalation_forecast.questions import evaluate
from escalation_forecast.scenario.answers import fixed, put
from escalation_forecast.scenario.densities import news_scale
from escalation_forecast.scenario.figures import Figure, announced
from escalation_forecast.scenario.futures import Futures, block_of
from escalation_forecast.scenario.observed import LONGEST, TROOPS
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.force_targets import force_targets
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.update.result import Refit
from escalation_forecast.war_paths import war_paths

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

BODY: Final = "hypothetical"
HOUSE_EFFECT: Final = 0.01  # sd of what its reports are off by; as good as none
UNBOUNDED: Final = (-50.0, 50.0)  # logarithms that stand for no bound, as in the panel
# The program of the panel seen last, by what is part of it.
_PROGRAMS: Final[dict[str, tuple[Any, dict[str, list[Any]]]]] = {}


def fit_again(
    updater: Updater, figures: Sequence[Figure], settings: Settings, progress: Report | None = None
) -> Refit:
    """Fit the model of a run to hypothetical figures as well, and answer its questions.

    Draws of spending that come from simple methods (`spending_paths.pooled`) do not read budgets.

    Raises
    ------
    ConvergenceError
        When the sampler finds no place to start from. Gates that are not passed are in ``diagnostics``.
    """
    started = time.perf_counter()
    priors, horizon, seed = updater.priors, updater.horizon, updater.seed
    bare = wide_panel(updater)
    panel = with_rows(replace(bare, spending=announced(updater, figures, bare.years)), figures)
    program, fresh = _program(bare, panel, updater)
    compile_seconds = time.perf_counter() - started
    trace = sample(program, settings, seed, progress)
    posterior, stats = trace["posterior"].to_dataset(), trace["sample_stats"].to_dataset()

    history = load_history()
    given = (panel, posterior, priors, horizon, seed)
    with Checking(posterior, panel.as_of) as checking:
        own = forecast.war_chains(*given, history=history).force
        targets = force_targets(updater.known, panel.as_of, own, history, priors, load_pool())
        weight = updater.run.summary.get("spending_weight")
        pooled = {} if weight is None else {"spending_weight": weight}
        paths = forecast.simulate(*given, history=history, targets=targets, **pooled)
        if any(figure.kind == "ladder" for figure in figures):
            chains = forecast.war_chains(*given, history=history, targets=targets)
            paths = paths.assign(war_paths(fixed(chains, figures), posterior))
        futures = Futures.of(panel, panel.spending, posterior, priors, paths, seed)
        for figure in figures:
            futures = futures.with_figure(figure)
        paths = put(paths, futures, figures)
        answers = evaluate(updater.questions, paths, updater.known)
        health = diagnose(posterior, stats, paths, answers, checking)
    seconds = time.perf_counter() - started
    return Refit(posterior, paths, answers, health, seconds, fresh, compile_seconds)


def wide_panel(updater: Updater) -> Panel:
    """The panel of a run on a grid with all months that may be supposed, and a body that reports them."""
    day = updater.panel.as_of
    panel = build_panel(updater.known, day, until=(day + pd.DateOffset(months=LONGEST)).year)
    return replace(panel, bodies=[*panel.bodies, BODY])


def with_rows(panel: Panel, figures: Sequence[Figure]) -> Panel:
    """A panel with a row for each figure but budgets, which come with its spending.

    Figures are in order of time; one is linked to the figure of the month before, known or supposed.
    """
    data, seen = dict(panel.data), dict[tuple[str, pd.Timestamp], float]()
    for figure in figures:
        if figure.kind == "budget":
            continue
        for name, values in _rows(panel, figure, seen).items():
            old = data[name]
            data[name] = np.concatenate([old, np.asarray(values, old.dtype)])
        seen[figure.of, figure.month] = figure.value
    return replace(panel, data=data)


def _rows(panel: Panel, figure: Figure, seen: dict[tuple[str, pd.Timestamp], float]) -> dict[str, Any]:
    if figure.kind == "ladder":
        level = int(figure.value >= 3) + int(figure.value >= 4)
        k = THEATRES.index(figure.of)
        return _named("ordinal", item=[k], index=[_place(panel, figure.of, figure.month)], level=[level])
    if figure.kind == "troops":
        low, high = np.log(max(figure.low, 1e-9)), np.log(figure.high)
        return _named(
            "stock",
            stock=[STOCKS.index(TROOPS)],
            month=[panel.stock_months.get_loc(figure.month)],
            source=[panel.bodies.index(BODY)],
            low=[UNBOUNDED[0] if np.isneginf(figure.low) else low],
            high=[UNBOUNDED[1] if np.isinf(figure.high) else high],
        )
    block = block_of(panel, figure.of)
    items = panel.items[block]
    position, theatre = list(items.index).index(figure.of), str(items.loc[figure.of, "theatre"])
    here = _place(panel, theatre, figure.month)
    exposure = future_exposure(panel, block, position, panel.months) if block != "reading" else None
    if block == "share":
        assert exposure is not None
        n, k = int(exposure[_position(panel, figure.month)]), int(figure.value)
        return _named(
            block,
            item=[position] * n,
            index=[here] * n,
            sign=[1.0] * k + [-1.0] * (n - k),
            step=[*range(k), *range(n - k)],
            total_item=[position] * n,
            total_step=range(n),
            total_weight=[1.0] * n,
        )
    before = _before(panel, figure, seen)
    linked = before is not None and (block == "reading" or bool(items.loc[figure.of, "memory"]))
    at = {
        "item": [position],
        "index": [here],
        "index_previous": [here - 1 if linked else here],
        "has_previous": [float(linked)],
    }
    if block == "reading":
        y, last = (
            float(news_scale(panel, figure.of, np.asarray(one))) if one is not None else 0.0
            for one in (figure.value, before)
        )
        return _named(block, **at, y=[y], y_previous=[last if linked else 0.0])
    assert exposure is not None
    now = _position(panel, figure.month)
    decades = (figure.month.year + (figure.month.month - 0.5) / 12 - 2005.0) / 10.0
    last = np.log(((before or 0.0) + 0.5) / exposure[now - 1]) if linked else 0.0
    return _named(
        block,
        **at,
        y=[figure.value],
        log_exposure=[np.log(exposure[now])],
        trend=[decades * bool(items.loc[figure.of, "trend"])],
        log_rate_previous=[last],
        unique_item=[position],
        unique_y=[figure.value],
        unique_weight=[1.0],
    )


def _named(block: str, **values: Any) -> dict[str, Any]:
    return {f"{block}_{name}": value for name, value in values.items()}


def _place(panel: Panel, latent: str, month: pd.Timestamp) -> int:
    return LATENTS.index(latent) * len(panel.months) + _position(panel, month)


def _position(panel: Panel, month: pd.Timestamp) -> int:
    return int(panel.months.get_indexer(pd.DatetimeIndex([month]))[0])


def _before(panel: Panel, figure: Figure, seen: dict[tuple[str, pd.Timestamp], float]) -> float | None:
    """Figure of the month before, where there is one."""
    month = figure.month - pd.DateOffset(months=1)
    if (figure.of, month) in seen:
        return seen[figure.of, month]
    rows = panel.history
    known = rows.loc[(rows["indicator"] == figure.of) & (rows["month"] == month), "value"]
    return float(known.iloc[0]) if len(known) else None


def _program(bare: Panel, panel: Panel, updater: Updater) -> tuple[Any, bool]:
    """The program of the wide grid with the rows of a panel, and whether it had to be compiled."""
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model, swapped

    priors = updater.priors
    key = f"{bare.content_hash} {priors.content_hash()}"
    fresh = key not in _PROGRAMS
    if fresh:
        model = build_model(bare, DataPriors.of(priors))
        _PROGRAMS.clear()
        _PROGRAMS[key] = compile_model(model), {name: list(labels) for name, labels in model.coords.items()}
    program, coords = _PROGRAMS[key]
    house = f"{PREFIX}stock_body_sigma"
    values = swapped_priors(priors, coords)
    values[house] = np.where(np.array(coords["body"]) == BODY, HOUSE_EFFECT, values[house])
    read = set(program.data)
    data = {name: one for name, one in (values | swapped(panel)).items() if name in read}
    return program.with_data(**data), fresh
