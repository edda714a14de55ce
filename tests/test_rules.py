"""Rules on paths: closed form, missing figures, and coherence between rules on the same draws."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from escalation_forecast import question_items, rules
from escalation_forecast.questions import draws, resolve
from escalation_forecast.schema import (
    CORE_FOUR,
    DataError,
)
from made_up import (
    BY_ID,
    FIRST,
    growth_paths,
    make_store,
    month_paths,
    one_path,
    spending_rows,
)

REGIONAL = {"states": CORE_FOUR, "threshold": 5.0, "span": 3, "at_least": 3}

# Rules, in closed form

FIVES = [8000.0, 8400.0, 8820.0, 9261.0]
CASES: list[tuple[dict[str, list[float]], bool]] = [
    ({"CHN": [5, 5, 5], "JPN": [5, 5, 5], "KOR": [5, 5, 5], "TWN": [0, 0, 0]}, True),
    ({"CHN": [6, 5, 4], "JPN": [15, 0, 0], "KOR": [0, 0, 15], "TWN": [-9, 0, 0]}, True),
    ({"CHN": [4.96, 5, 5], "JPN": [9, 9, 9], "KOR": [9, 9, 9], "TWN": [0, 0, 0]}, False),
    ({"CHN": [9, 9, 9], "JPN": [9, 9, 9], "KOR": [np.nan, 9, 9], "TWN": [0, 0, 0]}, False),
    ({"CHN": [9, 9, 9], "JPN": [9, 9, 9], "KOR": [9, 9, np.nan], "TWN": [9, 9, 9]}, True),
    ({"CHN": [9, 9, 9], "JPN": [9, 9, 9], "KOR": [0, 0, 14.9, 99], "TWN": [0, 0, 0]}, False),
    ({"CHN": [9, 9, 9], "JPN": [9, 9, 9], "KOR": [9, 1, 1], "TWN": [0, 0, 0]}, False),
    # 5.0 on average as printed, below it in logarithms
    ({"CHN": [-30, 0, 45], "JPN": [9, 9, 9], "KOR": [9, 9, 9], "TWN": [0, 0, 0]}, True),
]


def right(rule: rules.RuleFunction) -> list[bool]:
    """For each case, whether the rule gives the known answer."""
    params = rules.StatesGrow.model_validate(REGIONAL)
    out = []
    for growth, expected in CASES:
        width = max(len(ages) for ages in growth.values())
        padded = {state: [*ages, *[0.0] * (width - len(ages))] for state, ages in growth.items()}
        out.append(bool(rule(one_path(padded), params, 2026)[0, 0]) == expected)
    return out


def test_regional_rule_in_closed_form() -> None:
    assert all(right(rules.states_grow))


Array = xr.DataArray
BROKEN: dict[str, Callable[[Array, Any], Array]] = {
    "rounds": lambda g, p: g.sel(age=slice(0, 2)).mean("age", skipna=False).round(1) >= p.threshold,
    "leaves out the boundary": lambda g, p: g.sel(age=slice(0, 2)).mean("age", skipna=False) > p.threshold,
    "passes over missing years": lambda g, p: g.sel(age=slice(0, 2)).mean("age") >= p.threshold,
    "uses logarithms": lambda g, p: (
        np.log1p(g.sel(age=slice(0, 2)) / 100).mean("age", skipna=False) >= np.log(1.05)
    ),
    "averages too many years": lambda g, p: g.mean("age", skipna=False) >= p.threshold,
    "uses one year": lambda g, p: g.sel(age=0) >= p.threshold,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_caught_by_the_closed_form_cases(name: str) -> None:
    def broken(paths: xr.Dataset, params: Any, year: int) -> Array:
        return BROKEN[name](paths["growth_print"].sel(year=year), params).sum("state") >= params.at_least

    assert not all(right(broken))


def test_exactly_five_per_cent_in_the_figures_counts() -> None:
    levels = {state: dict(zip(range(2022, 2026), FIVES, strict=True)) for state in ("CHN", "JPN", "KOR")}
    store = make_store(spending_rows("2026", levels))
    (found,) = resolve(BY_ID["arms-race-count"], store, years=[2025])
    assert [value for _, _, value in found.figures[:3]] == [5.0, 5.0, 5.0]
    assert found.value == 3


def test_strict_rule_needs_every_year_on_both_sides() -> None:
    params = rules.DyadsEveryYear(dyads=("CHN-JPN", "KOR-JPN"), threshold=8.0, consecutive=3)
    rule = rules.dyads_grow_every_year
    base = {"CHN": [8.0, 8, 8], "JPN": [8.0, 9, 30], "KOR": [50.0, 50, 7.9]}
    assert rule(one_path(base), params, 2026).item() == 1
    assert rule(one_path(base | {"CHN": [20.0, 7.9, 20]}), params, 2026).item() == 0
    assert rule(one_path(base | {"JPN": [8.0, np.nan, 30]}), params, 2026).item() == 0


def test_acceleration_compares_with_the_state_s_own_norm() -> None:
    rule, params = rules.states_accelerate, rules.StatesAccelerate(states=("CHN", "JPN"), at_least=1)
    paths = one_path({"CHN": [9.0, 9, 9, 8, 8, 8], "JPN": [2.0, 2, 2, 2, 2, 2]})
    norm = {"growth_base_mean": 10.0, "growth_base_count": 20.0}
    shape = xr.zeros_like(paths["growth_print"].isel(age=0, chain=0, draw=0, drop=True))
    high = paths.assign({name: shape + value for name, value in norm.items()})
    assert rule(high, params, 2026).item() == 0
    assert rule(high.assign(growth_base_mean=shape + 8.0), params, 2026).item() == 1
    with pytest.raises(DataError, match="growth_base_mean"):
        rule(paths, params, 2026)


def test_three_valued_answers() -> None:
    table = xr.DataArray(
        [[1, 0, np.nan], [0, 0, np.nan], [1, 1, np.nan], [0, 0, 0], [1, 1, 1]], dims=("case", "part")
    )
    np.testing.assert_array_equal(rules.any_of(table, "part"), [1, np.nan, 1, 0, 1])
    np.testing.assert_array_equal(rules.all_of(table, "part"), [0, 0, np.nan, 0, 1])


# Coherence between questions on the same draws

GROWTHS = hnp.arrays(
    float, (2, 12, 4, 3, 6), elements=st.one_of(st.floats(-20, 30), st.just(5.0), st.just(float("nan")))
)
YEARS = (2026, 2027, 2028)


def shares(question_id: str, paths: xr.Dataset) -> dict[str, float]:
    question = BY_ID[question_id]
    window = question.window.model_copy(update={"years": YEARS})
    items = question_items.bind_absolute(question.model_copy(update={"window": window}))
    return {item.target: float(draws(item, paths).mean()) for item in items}


@settings(max_examples=25, deadline=None)
@given(GROWTHS)
def test_any_is_at_least_and_all_at_most_each_year(values: np.ndarray) -> None:
    found = shares("arms-race-regional", growth_paths(values, YEARS))
    each = [found[str(year)] for year in YEARS]
    assert found["any 2026-2028"] >= max(each)
    assert found["all 2026-2028"] <= min(each)
    assert found["any 2026-2028"] <= sum(each) + 1e-12


@settings(max_examples=25, deadline=None)
@given(GROWTHS)
def test_count_agrees_with_the_rules_that_count(values: np.ndarray) -> None:
    paths = growth_paths(values, YEARS)
    params = rules.StatesCount.model_validate({k: v for k, v in REGIONAL.items() if k != "at_least"})
    count = rules.states_count(paths, params, 2027)
    regional = rules.states_grow(paths, rules.StatesGrow.model_validate(REGIONAL), 2027)
    np.testing.assert_array_equal(count >= 3, regional == 1)
    for dyad in ("CHN-JPN", "CHN-TWN", "KOR-JPN"):
        both = rules.dyad_grows(paths, rules.DyadGrows(dyad=dyad, threshold=5.0), 2027)
        assert bool((both <= (count >= 2)).all())


@settings(max_examples=25, deadline=None)
@given(GROWTHS, st.floats(0, 8))
def test_the_strict_rule_is_part_of_a_dyad_with_a_lower_bar(values: np.ndarray, bar: float) -> None:
    paths = growth_paths(values, YEARS)
    strict = rules.dyads_grow_every_year(paths, rules.DyadsEveryYear(dyads=("CHN-JPN",), threshold=8.0), 2026)
    mean = rules.dyad_grows(paths, rules.DyadGrows(dyad="CHN-JPN", threshold=bar - 1e-9), 2026)
    assert bool((strict <= mean).all())


@settings(max_examples=10, deadline=None)
@given(GROWTHS, st.randoms(use_true_random=False))
def test_order_of_draws_does_not_matter(values: np.ndarray, random: Any) -> None:
    order = list(range(values.shape[1]))
    random.shuffle(order)
    one, other = growth_paths(values, YEARS), growth_paths(values[:, order], YEARS)
    for question_id in ("arms-race-regional", "arms-race-annual", "arms-race-count"):
        assert shares(question_id, one) == pytest.approx(shares(question_id, other), abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_monotone_in_horizon_level_and_number(seed: int) -> None:
    paths = month_paths(seed=seed)
    windows = [pd.date_range(FIRST, periods=n, freq="MS") for n in (1, 3, 6, 12, 24)]
    pairs: list[tuple[rules.RuleFunction, list[Any]]] = [
        (rules.ladder_reaches, [rules.LadderReaches(theatre="korea", level=level) for level in (3, 4)]),
        (rules.troops_exceed, [rules.TroopsExceed(above=n) for n in (8_000, 12_000)]),
        (
            rules.indicator_exceeds,
            [rules.IndicatorExceeds(indicator="news_korea", threshold=t) for t in (2, 4)],
        ),
    ]
    for rule, (easy, hard) in pairs:
        found = [rule(paths, easy, months) for months in windows]
        assert all(bool((short <= long).all()) for short, long in itertools.pairwise(found))
        assert all(
            bool((rule(paths, hard, months) <= answer).all())
            for months, answer in zip(windows, found, strict=True)
        )
