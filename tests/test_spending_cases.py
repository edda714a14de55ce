"""Origins, what is known there and what came out; foreign states and tables; hostile tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_folder import SPENDING
from escalation_forecast.schema import STATES, DataError
from escalation_forecast.score.spending_cases import (
    known_spending,
    log_levels,
    origins,
    outcomes,
    select_origins,
    with_vintages,
)
from escalation_forecast.score.spending_vintages import newest_label, spending_levels
from escalation_forecast.store import LeakError, Store
from made_up import compound, make_store, news_rows, spending_rows
from vintage_table import YEARS, foreign_growth, foreign_levels, foreign_rows, row, vintage_file

REAL7 = ["2017", "2018", "2020", "2021", "2023", "2024", "2025"]
PSEUDO14 = [f"{year}p" for year in range(2003, 2017)]


def labels(store: Store, text: str) -> list[str]:
    return [origin.label for origin in select_origins(store, text)]


@pytest.fixture
def foreign(whole_store: Store, tmp_path: Path) -> Store:
    return with_vintages(whole_store, vintage_file(tmp_path / "own.csv", foreign_rows()))


def test_named_sets_are_those_of_the_protocol(whole_store: Store) -> None:
    assert labels(whole_store, "real7") == REAL7
    assert labels(whole_store, "pseudo14") == PSEUDO14
    assert labels(whole_store, "combined21") == [*PSEUDO14, *REAL7]
    assert labels(whole_store, "real") == REAL7


def test_labels_and_ranges_come_in_the_order_of_time_once(whole_store: Store) -> None:
    assert labels(whole_store, "2021, 2017-2020,2018,2015p-2016p") == [
        "2015p", "2016p", "2017", "2018", "2020", "2021",
    ]  # fmt: skip


def test_an_origin_is_the_day_of_its_release(whole_store: Store) -> None:
    real, pseudo = select_origins(whole_store, "2009p,2020")[::-1]
    assert (real.release_year, real.day, real.kind) == (2020, pd.Timestamp("2020-04-27"), "real")
    assert (pseudo.release_year, pseudo.day, pseudo.kind) == (2009, pd.Timestamp("2009-04-30"), "pseudo")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reel7", r"`reel7` \(did you mean `real7`\?\)"),
        ("2019", "No origin answers to `2019`"),
        ("2026", "no later release covers a year"),
        ("2025-2017", "write 2017-2025"),
        ("2030-2040", "No origin answers to `2030-2040`"),
        (" , ", "No origin is named"),
    ],
)
def test_origins_that_are_not_there_are_refused_in_words(whole_store: Store, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        select_origins(whole_store, text)


def test_known_growth_ends_the_year_before_and_is_of_that_release(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2018")
    known = known_spending(whole_store, origin)
    printed = whole_store.releases("milex_constant", "JPN")
    level = printed[printed["release"] == "2018"].set_index("period_start")["value"]
    assert known.growth["JPN"].index[-1] == 2017
    assert known.growth["JPN"][2017] == pytest.approx(100 * np.log(level["2017-01-01"] / level["2016-01-01"]))
    assert np.diff(log_levels(known)["JPN"]) == pytest.approx(known.growth["JPN"].to_numpy())
    assert known.store.as_of_date == origin.day.date()


def test_entry_rule_leaves_out_a_state_whose_series_stops(whole_store: Store) -> None:
    # Protocol figure: Viet Nam is known at 2017 and 2018 and, with eight growth rates, from 2012p.
    has = {
        origin.label: "VNM" in known_spending(whole_store, origin).states
        for origin in select_origins(whole_store, "2011p,2012p,2017,2018,2020,2025")
    }
    assert has == {"2011p": False, "2012p": True, "2017": True, "2018": True, "2020": False, "2025": False}


def test_only_the_last_unbroken_run_counts(whole_store: Store) -> None:
    # Viet Nam's series has a gap from 1995 to 2002
    (origin,) = select_origins(whole_store, "2017")
    assert known_spending(whole_store, origin).growth["VNM"].index[0] == 2004


def test_number_of_cases_is_that_of_the_protocol(whole_store: Store) -> None:
    parts = []
    for origin in select_origins(whole_store, "combined21"):
        known = known_spending(whole_store, origin)
        parts.append(outcomes(whole_store, origin, known.states).assign(kind=origin.kind))
    cases = pd.concat(parts)
    first = cases[cases["truth"] == "first_print"]
    by_kind = first.groupby(["kind", "horizon"]).size()
    # Protocol figures: cases of all fourteen states.
    assert by_kind["pseudo"].to_list() == [187, 187, 187]
    assert by_kind["real"].to_list() == [93, 80, 67]
    strict = first[(first["kind"] == "real") & first["strict"]]
    assert strict.groupby("horizon").size().to_list() == [66, 52, 65]
    assert len(cases) == 1602


def test_first_print_is_of_the_earliest_release_held(whole_store: Store) -> None:
    (origin,) = select_origins(whole_store, "2018")
    table = outcomes(whole_store, origin, ["CHN", "VNM"]).set_index(["state", "horizon", "truth"])
    # the releases of 2019 and 2022 are not held
    assert table.loc[("CHN", 1, "first_print"), "truth_release"] == "2020"
    assert not table.loc[("CHN", 1, "first_print"), "strict"]
    # Viet Nam is missing in the release of 2020
    assert table.loc[("VNM", 1, "first_print"), "truth_release"] == "2021"
    assert table.loc[("CHN", 3, "release_2026"), "truth_release"] == "2026"


def test_outcomes_by_hand_stay_within_one_release() -> None:
    # every release is in other prices
    rows = [
        *spending_rows("2000", {"AAA": compound([2.0] * 9, 1990)}),
        *spending_rows("2001", {"AAA": compound([2.0] * 9 + [10.0], 1990, 16000.0)}),
        *spending_rows("2002", {"AAA": compound([2.0] * 9 + [21.0, 0.0], 1990, 4000.0)}),
    ]
    store = make_store([*rows, *news_rows([1.0])])
    origin = origins(store)[0]
    assert (origin.label, origin.release_year) == ("2000", 2000)
    table = outcomes(store, origin, ["AAA"], horizons=(1, 2)).set_index(["horizon", "truth"])
    assert newest_label(store) == "release_2002"
    assert table["outcome"].to_dict() == pytest.approx(
        {
            (1, "first_print"): 100 * np.log(1.1),
            (1, "release_2002"): 100 * np.log(1.21),
            (2, "first_print"): 0.0,
            (2, "release_2002"): 0.0,
        },
        abs=1e-9,
    )
    assert table.loc[(2, "first_print"), "outcome_cumulative"] == pytest.approx(100 * np.log(1.21))


def test_states_of_the_table_need_not_be_known_to_the_package(foreign: Store) -> None:
    assert {"POL", "DEU"}.isdisjoint(STATES)
    (origin,) = select_origins(foreign, "2012")
    known = known_spending(foreign, origin, ["POL"])
    assert known.states == ("POL",)
    expected = {year: g for year, g in foreign_growth("POL").items() if year < 2012}
    assert known.growth["POL"].to_dict() == pytest.approx(expected, abs=1e-6)
    table = outcomes(foreign, origin, ["POL"])
    assert table[table["truth"] == "first_print"]["outcome"].to_list() == pytest.approx(
        [foreign_growth("POL")[year] for year in (2012, 2013)], abs=1e-6
    )


def test_a_foreign_table_replaces_spending_and_nothing_else(whole_store: Store, foreign: Store) -> None:
    assert set(spending_levels(foreign)["state"]) == {"POL", "DEU"}
    other = whole_store.observations["series"] != SPENDING["series"]
    assert (foreign.observations["series"] != SPENDING["series"]).sum() == other.sum()


def test_a_foreign_table_gets_pseudo_origins_from_its_earliest_release(foreign: Store) -> None:
    assert labels(foreign, "real") == ["2011", "2012", "2013"]
    assert labels(foreign, "pseudo") == ["2009p", "2010p"]
    assert labels(foreign, "pseudo14") == ["2009p", "2010p"]
    (origin,) = select_origins(foreign, "2009p")
    assert origin.day == pd.Timestamp("2009-04-30")
    known = known_spending(foreign, origin)
    assert set(known.growth["DEU"].index) == set(range(2001, 2009))
    assert outcomes(foreign, origin, ["DEU"])["truth_release"].to_list()[0] == "2011"
    with pytest.raises(DataError, match="No origin answers to `real7`"):
        select_origins(foreign, "real7")


def test_unknown_states_are_named(foreign: Store) -> None:
    origin = origins(foreign)[0]
    with pytest.raises(DataError, match=r"no military spending of `POK` \(did you mean `POL`\?\)"):
        known_spending(foreign, origin, ["POK"])


def test_a_short_series_cannot_enter(whole_store: Store, tmp_path: Path) -> None:
    rows = [
        *foreign_rows(("POL",)),
        *(
            row("EST", year, 50.0 + year - 2000, str(release), f"{release}-04-20")
            for release in (2012, 2013)
            for year in range(2006, release)
        ),
    ]
    store = with_vintages(whole_store, vintage_file(tmp_path / "own.csv", rows))
    (origin,) = select_origins(store, "2012")
    assert known_spending(store, origin).states == ("POL",)
    with pytest.raises(DataError, match="no state has 8 growth rates up to 2011"):
        known_spending(store, origin, ["EST"])


def test_zeros_and_blanks_break_a_series(whole_store: Store, tmp_path: Path) -> None:
    rows = foreign_rows(("POL",))
    for figure in rows:
        if figure["period_start"] == "2002-01-01":
            figure["value"] = "0"
    store = with_vintages(whole_store, vintage_file(tmp_path / "own.csv", rows))
    (origin,) = select_origins(store, "2013")
    assert known_spending(store, origin).growth["POL"].index[0] == 2004


def test_a_release_with_figures_of_the_origins_future_is_a_leak(foreign: Store) -> None:
    from dataclasses import replace

    observations = foreign.observations.copy()
    ahead = (observations["release"] == "2013") & (observations["series"] == SPENDING["series"])
    observations.loc[ahead, "published_at"] = pd.Timestamp("2012-04-25")
    (origin,) = select_origins(foreign, "2012")
    late = replace(origin, day=pd.Timestamp("2012-04-30"))
    with pytest.raises(LeakError, match=r"origin 2012 .* release, 2013, covers 2012 for DEU"):
        known_spending(replace(foreign, observations=observations), late)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": "POLAND"}, "row 2: unknown unit `POLAND`"),
        ({"value": "many"}, "row 2: value `many` is not a number"),
        ({"value": "-5"}, "row 2: value -5 is outside what milex_constant can be"),
        ({"unit_of_measure": "zloty"}, "row 2: milex_constant is measured in `usd_mn`, not `zloty`"),
        ({"source": "ministry"}, "row 2: unknown source `ministry`"),
        ({"published_at": "1999-01-01"}, "row 2: published_at 1999-01-01 is before the period ends"),
        ({"release": ""}, "row 2: release is blank"),
    ],
)
def test_a_wrong_cell_of_a_foreign_table_is_named(
    whole_store: Store, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    rows = foreign_rows()
    rows[0] = rows[0] | change
    with pytest.raises(DataError, match=said):
        with_vintages(whole_store, vintage_file(tmp_path / "own.csv", rows))


def test_tables_that_are_none_are_refused(whole_store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file does not exist"):
        with_vintages(whole_store, tmp_path / "missing.csv")
    other = vintage_file(tmp_path / "a.csv", [r | {"series": "gpr_country"} for r in foreign_rows()])
    with pytest.raises(DataError, match="no row of the series milex_constant"):
        with_vintages(whole_store, other)
    zeros = vintage_file(tmp_path / "b.csv", [r | {"value": "0"} for r in foreign_rows()])
    with pytest.raises(DataError, match="is above zero"):
        with_vintages(whole_store, zeros)


def test_one_release_from_two_sources_is_refused(whole_store: Store, tmp_path: Path) -> None:
    twice = row("POL", 2005, 1.0, "2011", "2011-04-20", source="sipri-milex")
    with pytest.raises(DataError, match="2011 has POL of 2005 from two sources"):
        with_vintages(whole_store, vintage_file(tmp_path / "own.csv", [*foreign_rows(), twice]))


def test_one_release_has_no_real_origin_but_pseudo_ones(whole_store: Store, tmp_path: Path) -> None:
    path = vintage_file(tmp_path / "own.csv", foreign_rows(releases=[2014]))
    store = with_vintages(whole_store, path)
    assert labels(store, "pseudo") == [f"{year}p" for year in range(2009, 2014)]
    table = outcomes(store, origins(store)[0], ["POL"])
    assert set(table["truth"]) == {"first_print", "release_2014"}
    assert foreign_levels("POL", 2014)[YEARS[-1]] == pytest.approx(
        spending_levels(store).query("state == 'POL' and not pseudo")["value"].iloc[-1]
    )
