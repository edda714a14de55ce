"""A figure with a publication date that is too early is found by what it is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from escalation_forecast.schema import DataError
from escalation_forecast.score.leaks import assert_no_leaks, leaks, lookup_forecast
from escalation_forecast.score.spending_cases import select_origins
from escalation_forecast.store import LeakError, Store

Which = Callable[[pd.DataFrame], "pd.Series[bool]"]


def moved(store: Store, which: Which, day: str) -> Store:
    """A copy in which some figures of spending claim to have been published on an earlier day."""
    observations = store.observations.copy()
    rows = (observations["series"] == "milex_constant") & which(observations)
    assert rows.any()
    observations.loc[rows, "published_at"] = pd.Timestamp(day)
    return replace(store, observations=observations)


def test_the_embedded_data_leak_nothing_at_any_origin_of_the_protocol(whole_store: Store) -> None:
    chosen = select_origins(whole_store, "combined21")
    assert leaks(whole_store, chosen).empty
    assert_no_leaks(whole_store, chosen)


@pytest.mark.parametrize("state", ["JPN", "RUS", "MYS"])
def test_a_later_release_known_too_early_is_found_with_origin_and_state(
    whole_store: Store, state: str
) -> None:
    bad = moved(whole_store, lambda f: (f["release"] == "2018") & (f["unit"] == state), "2017-04-01")
    chosen = select_origins(whole_store, "2015p-2016p,2017-2020")
    found = leaks(bad, chosen)
    assert found[["origin", "state"]].to_numpy().tolist() == [["2017", state]]
    row = found.iloc[0]
    assert row["gain"] > 0
    assert (
        row["rows"]
        == (
            (whole_store.observations["release"] == "2018") & (whole_store.observations["unit"] == state)
        ).sum()
    )
    # the row in the file is that of the figure
    place = bad.where[(bad.observations["release"] == "2018") & (bad.observations["unit"] == state)].iloc[0]
    assert row["first_row"] == f"{place['file']}, row {place['row']}"
    with pytest.raises(LeakError, match=rf"At origin 2017 \d+ figures of {state} are known"):
        assert_no_leaks(bad, chosen)


def test_a_whole_release_known_too_early_is_found_in_every_state(whole_store: Store) -> None:
    bad = moved(whole_store, lambda f: f["release"] == "2018", "2017-01-15")
    found = leaks(bad, select_origins(whole_store, "2017"))
    assert found["state"].nunique() == 14
    # who knows next year's figure does better at it
    assert (found["gain"] > 0).all()


def test_a_real_release_before_a_pseudo_origin_is_found(whole_store: Store) -> None:
    bad = moved(whole_store, lambda f: (f["release"] == "2017") & (f["unit"] == "KOR"), "2014-04-01")
    found = leaks(bad, select_origins(whole_store, "2012p-2016p"))
    assert found["origin"].to_list() == ["2014p", "2015p", "2016p"]
    assert (found["gain"] > 0).all()


def test_a_single_row_is_found_though_it_is_worth_nothing_alone(whole_store: Store) -> None:
    bad = moved(
        whole_store,
        lambda f: (f["release"] == "2018") & (f["unit"] == "JPN") & (f["period_start"] == "2017-01-01"),
        "2017-04-01",
    )
    found = leaks(bad, select_origins(whole_store, "2017"))
    assert found[["state", "rows", "gain"]].to_numpy().tolist() == [["JPN", 1, 0.0]]


def test_states_not_asked_about_are_not_reported(whole_store: Store) -> None:
    bad = moved(whole_store, lambda f: f["release"] == "2018", "2017-01-15")
    found = leaks(bad, select_origins(whole_store, "2017"), ["KOR"])
    assert found["state"].to_list() == ["KOR"]


def test_lookup_takes_what_is_known_and_else_the_mean_of_ten_years(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2017")
    honest = lookup_forecast(whole_store.as_of(origin.day), origin, ["KOR"])
    assert honest.loc["KOR"].nunique() == 1
    seer = lookup_forecast(whole_store, origin, ["KOR"])
    assert seer.loc["KOR"].nunique() == 3


def test_no_origin_is_refused(whole_store: Store) -> None:
    with pytest.raises(DataError, match="No origin to check"):
        leaks(whole_store, [])
