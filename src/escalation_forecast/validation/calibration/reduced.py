"""A small model with every block of the whole one: few years, few indicators, four states.

Its rows have the shape of real ones (ragged ends, links, exposures, ages of prints); what stands in them is
simulated. `Template.later` has the same rows and those of the months ahead, in which outcomes are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pymc as pm

from escalation_forecast import model
from escalation_forecast.indicator_paths import STALE_MONTHS
from escalation_forecast.indicator_rows import BLOCK_OF, BUILDERS, Grid, hurdle_rows, indicator_figures
from escalation_forecast.panel import STOCK_START, Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.spending_panel import YEARS_AHEAD, SpendingPanel
from escalation_forecast.store import Store

AS_OF: Final = pd.Timestamp("2026-10-15")
FIRST_YEAR: Final = 2021
LAST_YEAR: Final = 2026
HORIZON: Final = 36
CENTRED_MONTHS: Final = 48
STATES: Final = CORE_FOUR
BODIES: Final = ("body_a", "body_b")
INDICATORS: Final = (
    "news_world", "news_korea", "war_intensity", "distance_rus_chn", "transfer_usa_kor", "transfer_rus_vnm",
    "troops_us_korea", "troops_us_europe", "launches_prk", "pla_aircraft_adiz", "pla_aircraft_all",
    "designations_rus", "sanctions_rus", "ladder_korea", "ladder_taiwan",
    "ladder_east_china_sea", "ladder_south_china_sea", "ladder_ukraine_nato",
)  # fmt: skip
# What the default priors hold fixed is free here, so that every input of every kernel is put to the test.
FREED: Final[dict[str, dict[str, Any]]] = {
    "theatre_scale": {"family": "LogNormal", "parameters": {"mu": 0.0, "sigma": 0.3}},
    "slow_step": {"family": "LogNormal", "parameters": {"mu": -1.6, "sigma": 0.3}},
    "spillover": {"family": "Normal", "parameters": {"mu": 0.0, "sigma": 0.6}},
    "stock_miss": {"family": "LogNormal", "parameters": {"mu": -2.3, "sigma": 0.3}},
}
FIRST_REVISED: Final = 2022  # years from this one on have a first print of their own
BUDGETED: Final = 2022  # and from this one on a budget
STEP: Final = {"annual": 12, "transfer": 12, "troops": 3}


@dataclass(frozen=True)
class Template:
    """Rows to fill.

    Attributes
    ----------
    now : what is known on `AS_OF`.
    later : the same and the months of the horizon.
    catalogue : rows of the indicators.
    figures : by indicator the months with a figure and their exposure, those ahead too.
    """

    now: Panel
    later: Panel
    catalogue: pd.DataFrame
    figures: dict[str, pd.DataFrame]

    def known(self, name: str, figures: pd.DataFrame) -> pd.DataFrame:
        """Those figures of an indicator that are known on `AS_OF`."""
        return figures[figures["month"] <= self.now.last_period[name]]


def reduced_priors(priors: Priors | None = None) -> Priors:
    """The default priors with nothing held fixed that a kernel takes as a variable."""
    return (priors or Priors.default()).override(FREED)


def reduced_model(panel: Panel, priors: Priors) -> pm.Model:
    """`model.build_model` on the short calendar."""
    with _centred(CENTRED_MONTHS):
        return model.build_model(panel, priors)


@contextmanager
def _centred(months: int) -> Iterator[None]:
    """The latents have mean zero over the first months of their calendar, which is shorter here."""
    before = model.CENTRED_MONTHS
    model.CENTRED_MONTHS = months
    try:
        yield
    finally:
        model.CENTRED_MONTHS = before


def make_template(store: Store) -> Template:
    """Lay out the rows that the store has from `FIRST_YEAR` to `AS_OF`."""
    whole = build_panel(store, AS_OF)
    known = store.as_of(AS_OF)
    catalogue = known.indicators[known.indicators["indicator"].isin(INDICATORS)]
    now_figures: dict[str, pd.DataFrame] = {}
    later_figures: dict[str, pd.DataFrame] = {}
    row: Any
    for row in catalogue.itertuples():
        name, family = str(row.indicator), str(row.family)
        # A change of troops reads the risk of the year before.
        first = pd.Timestamp(FIRST_YEAR + (family == "troops"), 1, 1)
        figures = indicator_figures(known, row)
        if family == "transfer":  # a row for every year; which have a delivery is simulated
            figures["value"] = figures["value"].clip(lower=1.0)
        figures = figures[figures["month"] >= first].reset_index(drop=True)
        if family == "troops":  # levels are chained, so no quarter may be missing
            quarters = pd.date_range(figures["month"].iloc[0], figures["month"].iloc[-1], freq="3MS")
            figures = figures.set_index("month").reindex(quarters, method="ffill").rename_axis("month")
            figures = figures.reset_index()
        now_figures[name] = figures
        later_figures[name] = _continued(now_figures[name], STEP.get(family, 1))
    end = AS_OF + pd.DateOffset(months=HORIZON)
    now = _panel(whole, catalogue, now_figures, now_figures, LAST_YEAR)
    later = _panel(whole, catalogue, later_figures, now_figures, end.year)
    # Scales and means are those of what is known.
    return Template(now, replace(later, items=now.items), catalogue, later_figures)


def _continued(figures: pd.DataFrame, step: int) -> pd.DataFrame:
    """Figures with months up to the horizon after them; a stale indicator is left as it is."""
    last = figures["month"].iloc[-1]
    end = AS_OF + pd.DateOffset(months=HORIZON)
    if step == 1 and (AS_OF.year - last.year) * 12 + AS_OF.month - last.month - 1 >= STALE_MONTHS:
        return figures
    months = pd.date_range(last, end, freq=pd.DateOffset(months=step))[1:]
    exposure = float(figures["exposure"].iloc[-36:].max())
    ahead = pd.DataFrame({"month": months, "value": figures["value"].iloc[-1], "exposure": exposure})
    return pd.concat([figures, ahead], ignore_index=True)


def _panel(
    whole: Panel,
    catalogue: pd.DataFrame,
    figures: dict[str, pd.DataFrame],
    known: dict[str, pd.DataFrame],
    last_year: int,
) -> Panel:
    months = pd.date_range(f"{FIRST_YEAR}-01-01", f"{last_year}-12-01", freq="MS")
    grid = Grid(months, np.arange(FIRST_YEAR, last_year + 1))
    items, data = lay_out(catalogue, figures, grid)
    stock_months = months[months >= STOCK_START]
    return replace(
        whole,
        months=months,
        years=grid.years,
        items=items,
        data=data | _stock_rows(whole, len(stock_months)),
        spending=_spending(whole.spending, grid.years),
        exposures={name: frame.set_index("month")["exposure"] for name, frame in known.items()},
        last_period={name: frame["month"].max() for name, frame in known.items()},
        stock_months=stock_months,
        bodies=list(BODIES),
    )


def lay_out(
    catalogue: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Items and long-form arrays of figures, by the builders of `panel.build_panel`."""
    items: dict[str, pd.DataFrame] = {}
    data: dict[str, np.ndarray] = {}
    for block, builder in BUILDERS.items():
        rows = catalogue[catalogue["family"].map(BLOCK_OF) == block]
        items[block], arrays = builder(rows, figures, grid)
        data |= {f"{block}_{name}": values for name, values in arrays.items()}
    return items, data | hurdle_rows(catalogue[catalogue["family"] == "transfer"], figures, grid)


def _stock_rows(whole: Panel, n_months: int) -> dict[str, np.ndarray]:
    """Reports in the months that had real ones, by two bodies in turn."""
    stock, month = whole.data["stock_stock"], whole.data["stock_month"]
    keep = month < n_months
    source = (np.arange(keep.sum()) % len(BODIES)).astype(np.int32)
    empty = np.zeros(int(keep.sum()))
    return {
        "stock_stock": stock[keep],
        "stock_month": month[keep],
        "stock_source": source,
        "stock_low": empty,
        "stock_high": empty + 1.0,
    }


def _spending(whole: SpendingPanel, grid_years: np.ndarray) -> SpendingPanel:
    """Four states from `FIRST_YEAR` on, with a revision of every year and announcements of most."""
    states = [whole.states.index(state) for state in STATES]
    years = np.arange(FIRST_YEAR, LAST_YEAR + YEARS_AHEAD + 1)
    cut = slice(FIRST_YEAR - int(whole.years[0]), FIRST_YEAR - int(whole.years[0]) + len(years))
    last = whole.last_printed
    printed = np.broadcast_to(years <= last, (len(states), len(years)))
    rivals = whole.rivals[np.ix_(states, states)]
    total = rivals.sum(axis=1, keepdims=True)
    n = last - FIRST_YEAR + 1
    # Every state and year with a first print before the newest.
    revised = [(s, y) for s in range(len(states)) for y in range(FIRST_REVISED - FIRST_YEAR, n - 1)]
    budgets = [(s, y) for s in range(len(states)) for y in range(BUDGETED - FIRST_YEAR, n + 1)]
    budgets += [(s, n + 1) for s in range(2)]
    programmes = [(s, y) for s in (1, 3) for y in range(BUDGETED - FIRST_YEAR, n + 2)]
    return replace(
        whole,
        states=STATES,
        years=years,
        growth=np.zeros((len(states), len(years))),
        printed=printed.copy(),
        age=np.where(printed, last + 1 - years, 0),
        revisable=True,
        revisions={
            "state": np.array([s for s, _ in revised], np.int32),
            "step": np.zeros(len(revised)),
        },
        late_revisions={"trials": np.full(3, 40.0), "changed": np.zeros(3), "size": np.zeros(0)},
        budgets=_announced(budgets)
        | {
            "doubt": 0.5 * (np.arange(len(budgets)) % 3 == 0),
            "half_width": 1.0 * (np.arange(len(budgets)) % 5 == 0),
        },
        programmes=_announced(programmes),
        gdp=whole.gdp[states, cut],
        exposure=whole.exposure[states],
        rivals=np.divide(rivals, total, out=np.zeros_like(rivals), where=total > 0),
    )


def _announced(rows: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    return {
        "state": np.array([s for s, _ in rows], np.int32),
        "year": np.array([y for _, y in rows], np.int32),
        "first_print": np.zeros(len(rows)),
        "value": np.zeros(len(rows)),
    }
