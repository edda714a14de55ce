"""How the cost of a gradient grows with months, rows, states, and that of what follows a fit with draws.

Panels are made larger by repeating what they have: earlier months with the same figures, further indicators
with the same rows, further states with the same prints. The slope is that of a line through the logarithms:
one for a cost that is proportional to size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.references.density import Layout, random_points
from benchmarks.setting import HORIZON, SEED, Setting
from benchmarks.timing import least
from escalation_forecast.compile import compile_model
from escalation_forecast.indicator_rows import LATENTS, READING_FAMILIES
from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel
from escalation_forecast.prior_data import DataPriors
from escalation_forecast.program import shown
from escalation_forecast.spending_panel import SpendingPanel

SIZES = (1, 2, 4)
DRAWS = (125, 250, 500)  # of each of four chains
BLOCKS = ("reading", "count", "share", "ordinal", "hurdle")
PER_ITEM = ("reading", "count", "share")


def measure() -> dict[str, Any]:
    """Microseconds of a gradient and seconds of simulation and diagnosis by size, with their slopes."""
    setting = Setting()
    found: dict[str, Any] = {}
    ways: dict[str, Callable[[Panel, int], Panel]] = {
        "months": longer, "indicators": wider, "states": more_states
    }  # fmt: skip
    one = _gradient_us(setting, setting.panel)
    for name, larger in ways.items():
        times = [one, *(_gradient_us(setting, larger(setting.panel, k)) for k in SIZES[1:])]
        found[name] = {"sizes": list(SIZES), "gradient_us": times, "slope": slope(SIZES, times)}
    found |= _draws(setting)
    return found


def slope(sizes: Any, times: Any) -> float:
    """Slope of the logarithm of time over the logarithm of size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def _gradient_us(setting: Setting, panel: Panel) -> float:
    model = build_model(panel, DataPriors.of(setting.priors))
    density = compile_model(model).density
    point = random_points(Layout.of(model), 3)[0]
    return 1e6 * least(lambda: density(point), number=20, repeats=60)


def _draws(setting: Setting) -> dict[str, Any]:
    from escalation_forecast.fit import diagnose
    from escalation_forecast.forecast import simulate

    program = setting.program
    names = shown(setting.model)
    times: dict[str, list[float]] = {"expand": [], "simulate": [], "diagnose": []}
    stats: Any = {"diverging": np.zeros((4, 1))}
    for n in DRAWS:
        rng = np.random.default_rng(SEED)
        vectors = 0.1 * rng.standard_normal((4, n, program.n_dim))
        posterior = program.expand(vectors, names)
        given = (setting.panel, posterior, setting.priors, HORIZON, SEED)
        paths = simulate(*given)
        times["expand"].append(least(lambda v=vectors: program.expand(v, names), repeats=2))
        times["simulate"].append(least(lambda g=given: simulate(*g), repeats=2))
        times["diagnose"].append(least(lambda p=posterior, q=paths: diagnose(p, stats, q), repeats=2))
    sizes = [4 * n for n in DRAWS]
    return {
        f"draws_{name}": {"sizes": sizes, "seconds": seconds, "slope": slope(sizes, seconds)}
        for name, seconds in times.items()
    }


def longer(panel: Panel, k: int) -> Panel:
    """The panel with ``k - 1`` copies of its months and figures before it."""
    n, years = len(panel.months), len(panel.years)
    first = panel.months[0] - pd.DateOffset(months=(k - 1) * n)
    places = _places(n, years, k)
    data = dict(panel.data)
    for block in BLOCKS:
        names = [name for name in _of_block(panel, block) if not _summed(name)]
        for name in names:
            column = panel.data[name]
            moved = name.endswith(("_index", "_index_previous"))
            data[name] = np.concatenate([places[c][column] if moved else column for c in range(k)])
    for name in panel.data:
        if _summed(name):
            data[name] = panel.data[name] * (float(k) if name.endswith("weight") else 1)
    return dataclasses.replace(
        panel,
        months=pd.date_range(first, periods=k * n, freq="MS"),
        years=np.arange(panel.years[-1] - k * years + 1, panel.years[-1] + 1),
        data={name: values.astype(panel.data[name].dtype) for name, values in data.items()},
    )


def _places(n: int, years: int, k: int) -> np.ndarray:
    """(copy, position) where a position of the flat vector lies in one ``k`` times as long."""
    latents = len(LATENTS)
    found = []
    for c in range(k):
        parts, start = [], 0
        for length in (n, years, years):
            own = np.arange(length) + c * length
            parts.append(start + np.add.outer(np.arange(latents) * k * length, own).ravel())
            start += latents * k * length
        found.append(np.concatenate(parts))
    return np.stack(found)


def wider(panel: Panel, k: int) -> Panel:
    """The panel with every indicator ``k`` times."""
    items, data = dict(panel.items), dict(panel.data)
    for block in PER_ITEM:
        table = panel.items[block]
        copies = []
        for c in range(k):
            copy = table.copy()
            if c:
                copy.index = pd.Index([f"{name}.{c}" for name in table.index], name=table.index.name)
            if "group" in copy and c:
                copy["group"] = [f"{name}.{c}" for name in table["group"]]
                moved = table["group_index"] + c * (table["group_index"].max() + 1)
                copy["group_index"] = moved.to_numpy()
            copies.append(copy)
        whole = pd.concat(copies)
        if block == "reading":
            order = whole["family"].map({name: j for j, name in enumerate(READING_FAMILIES)})
            order = order.argsort(kind="stable").to_numpy()
        else:
            order = np.arange(len(whole))
        items[block], place = whole.iloc[order], np.argsort(order)
        for name in _of_block(panel, block):
            data[name] = _repeated(panel.data[name], k, name, len(table), place)
        _sort_rows(data, [name for name in _of_block(panel, block) if not _summed(name)], f"{block}_item")
    transfers = int((panel.items["reading"]["family"] == "transfer").sum())
    for name in _of_block(panel, "hurdle"):
        data[name] = _repeated(panel.data[name], k, name, transfers, np.arange(k * transfers))
    for name in _of_block(panel, "ordinal"):
        data[name] = np.tile(panel.data[name], k)
    return dataclasses.replace(panel, items=items, data=data)


def _repeated(values: np.ndarray, k: int, name: str, n_items: int, place: np.ndarray) -> np.ndarray:
    if not name.endswith("_item"):
        return np.tile(values, k)
    moved = np.concatenate([place[values + c * n_items] for c in range(k)])
    return moved.astype(values.dtype)


def _sort_rows(data: dict[str, np.ndarray], names: list[str], by: str) -> None:
    order = np.argsort(data[by], kind="stable")
    for name in names:
        data[name] = data[name][order]


def _of_block(panel: Panel, block: str) -> list[str]:
    return [name for name in panel.data if name.startswith(f"{block}_")]


def _summed(name: str) -> bool:
    return name.startswith(("count_unique_", "share_total_"))


def more_states(panel: Panel, k: int) -> Panel:
    """The panel with every state ``k`` times; rivals within each copy."""
    sp, n = panel.spending, len(panel.spending.states)

    def table(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name: np.concatenate([values + c * n if name == "state" else values for c in range(k)])
            for name, values in rows.items()
        }

    wide = {
        name: np.tile(getattr(sp, name), (k, 1)) for name in ("growth", "printed", "age", "gdp", "exposure")
    }
    states = tuple(name if not c else f"{name}.{c}" for c in range(k) for name in sp.states)
    larger: SpendingPanel = dataclasses.replace(
        sp,
        states=states,
        rivals=np.kron(np.eye(k), sp.rivals),
        revisions=table(sp.revisions),
        budgets=table(sp.budgets),
        programmes=table(sp.programmes),
        **wide,
    )
    return dataclasses.replace(panel, spending=larger)
