"""Growth within one release, vintages before 2017, revisions, budgets, and the rule of the arms race."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from escalation_forecast.panel import Panel
from escalation_forecast.schema import CORE_FOUR, STATES, THEATRES, DataError
from escalation_forecast.score.spending_cases import with_vintages
from escalation_forecast.spending_panel import (
    BUDGET_STATES,
    SpendingPanel,
    _revision_steps,
    _weights,
    build_spending,
    growth_prints,
)
from escalation_forecast.store import Store
from made_up import compound, make_store, spending_rows
from vintage_table import foreign_growth, foreign_rows, vintage_file

YEARS = np.arange(1990, 2028)


def at(store: Store, date: str) -> SpendingPanel:
    return build_spending(store.as_of(date), pd.Timestamp(date), YEARS)


def test_growth_is_taken_within_one_release() -> None:
    # The second release has another price base: a ratio across releases would be 50 per cent.
    rows = spending_rows("2020", {"KOR": compound([10.0, 10.0], 2017, start=100.0)})
    rows += spending_rows("2021", {"KOR": compound([10.0, 10.0, 20.0], 2017, start=150.0)})
    prints = growth_prints(make_store(rows)).set_index(["release", "year"])["growth"]
    assert_allclose(prints.loc["2020"], 100 * np.log([1.1, 1.1]))
    assert_allclose(prints.loc["2021"], 100 * np.log([1.1, 1.1, 1.2]))
    assert list(prints.loc["2021"].index) == [2018, 2019, 2020]


def test_a_print_ages_by_a_year_with_every_release() -> None:
    rows = spending_rows("2020", {"KOR": compound([1.0] * 4, 2015)})
    rows += spending_rows("2021", {"KOR": compound([1.0] * 5, 2015)})
    ages = growth_prints(make_store(rows)).set_index(["release", "year"])["age"]
    assert ages.loc[("2020", 2019)] == 1
    assert ages.loc[("2021", 2020)] == 1
    assert ages.loc[("2021", 2019)] == 2


def test_no_growth_across_a_missing_year(whole_store: Store) -> None:
    prints = growth_prints(whole_store)
    years = set(prints.loc[(prints["state"] == "VNM") & (prints["release"] == "2026"), "year"])
    # Levels are held to 1994 and from 2003 on.
    assert years == {*range(1989, 1995), *range(2004, 2026)}
    spending = at(whole_store, "2026-06-15")
    row = spending.printed[STATES.index("VNM")]
    assert list(spending.years[~row]) == [*range(1995, 2004), *range(2026, 2031)]
    assert (spending.growth[STATES.index("VNM")][~row] == 0).all()


def test_before_2017_one_release_serves_as_every_vintage(whole_store: Store) -> None:
    early = at(whole_store, "2012-06-30")
    assert (early.release, early.last_printed, early.revisable) == ("2017p", 2011, False)
    assert early.prints["year"].max() == 2011
    assert set(early.prints["release"]) == {"2017p"}
    # What is cut from one release shows no revisions.
    assert not len(early.revisions["step"])
    assert not early.late_revisions["trials"].any()
    real = at(whole_store, "2017-05-31")
    assert (real.release, real.last_printed, real.revisable) == ("2017", 2016, True)
    assert early.growth[:, :22] == pytest.approx(real.growth[:, :22])


def test_a_release_counts_from_its_day(whole_store: Store) -> None:
    before, after = (at(whole_store, f"2026-04-{day}") for day in (26, 27))
    assert (before.release, after.release) == ("2025", "2026")
    assert (before.last_printed, after.last_printed) == (2024, 2025)


def test_a_programme_speaks_before_the_spring_of_the_year_before(whole_store: Store) -> None:
    rows = pd.DataFrame(at(whole_store, "2026-06-15").programmes).set_index("year")["value"]
    known = whole_store.releases("programme_growth", "JPN")
    inflation = whole_store.latest("cpi_inflation", "JPN").set_index("period_start")
    for year in (2017, 2023, 2024):
        told = known[known["period_start"].dt.year == year].sort_values("published_at")
        early = told[told["published_at"] < f"{year - 1}-05-10"].iloc[-1]
        past = inflation[inflation["published_at"] <= early["published_at"]]["value"].iloc[-1]
        expected = 100 * np.log1p(early["value"] / 100) - 100 * np.log1p(past / 100)
        assert rows[year - 1990] == pytest.approx(expected)
    # The programme of December 2022 was too late for 2023, and not for 2024.
    assert rows[2023 - 1990] < 3 < 10 < rows[2024 - 1990]


def first_edition_means(prints: pd.DataFrame, year: int) -> pd.Series:
    """Three-year means of simple growth as the first edition that covers ``year`` has them."""
    real = prints[prints["release"] != "2017p"]
    release = real.loc[real["release_year"] > year, "release_year"].min()
    rows = real[(real["release_year"] == release) & real["year"].between(year - 2, year)]
    simple = 100 * np.expm1(rows["growth"] / 100)
    return simple.groupby(rows["state"]).mean().loc[list(CORE_FOUR)]


def test_regional_rule_on_the_prints(whole_store: Store) -> None:
    prints = growth_prints(whole_store)
    held = {year: int((first_edition_means(prints, year) >= 5).sum()) for year in (2023, 2024, 2025)}
    assert {year: n >= 3 for year, n in held.items()} == {2023: False, 2024: True, 2025: True}
    means = first_edition_means(prints, 2025)
    assert_allclose(means, [6.9, 14.4, 1.6, 5.7], atol=0.05)


def test_first_revisions_are_steps_between_neighbouring_releases() -> None:
    first = {"KOR": compound([5.0, 5.0, 5.0, 2.0], 2015)}
    second = {"KOR": compound([5.0, 6.0, 5.0, 3.0, 4.0], 2015)}
    spending = _made_up(spending_rows("2020", first) + spending_rows("2021", second))
    log = 100 * np.log1p(np.array([0.03, 0.02, 0.06, 0.05]))
    assert_allclose(spending.revisions["step"], [log[0] - log[1]], atol=1e-9)
    assert spending.revisions["state"].tolist() == [STATES.index("KOR")]
    # Ages 2 to 4 in the earlier release: growth of 2018, 2017 and 2016, of which 2017 changed.
    assert spending.late_revisions["trials"].tolist() == [1, 1, 1]
    assert spending.late_revisions["changed"].tolist() == [0, 1, 0]
    assert_allclose(spending.late_revisions["size"], [log[2] - log[3]], atol=1e-9)


def _made_up(rows: list[dict[str, object]]) -> SimpleNamespace:
    prints = growth_prints(make_store(rows))
    revisions, late = _revision_steps(prints, STATES)
    return SimpleNamespace(revisions=revisions, late_revisions=late)


def test_budgets_are_less_the_inflation_known_when_announced(panel: Panel, known: Store) -> None:
    rows = pd.DataFrame(panel.spending.budgets)
    china = rows[(rows["state"] == STATES.index("CHN")) & (rows["year"] == 2026 - 1990)]
    assert len(china) == 1
    announced = known.latest("budget_growth", "CHN").set_index("period_start").loc["2026-01-01"]
    cpi = known.latest("cpi_inflation", "CHN")
    cpi = cpi[(cpi["published_at"] <= announced["published_at"]) & (cpi["period_start"] < "2026")]
    expected = 100 * np.log1p(announced["value"] / 100) - 100 * np.log1p(cpi["value"].iloc[-1] / 100)
    assert china["half_width"].item() == 0
    assert china["value"].item() == pytest.approx(expected)
    assert np.isnan(china["first_print"].item())


def test_budgets_of_printed_years_meet_the_earliest_print_held(panel: Panel) -> None:
    rows = pd.DataFrame(panel.spending.budgets)
    assert {STATES[k] for k in rows["state"]} > set(BUDGET_STATES)
    prints = panel.spending.prints
    korea = rows[(rows["state"] == STATES.index("KOR")) & (rows["year"] == 2023 - 1990)]
    earliest = prints[(prints["state"] == "KOR") & (prints["year"] == 2023) & (prints["release"] == "2024")]
    assert (korea["first_print"] == earliest["growth"].item()).all()


def test_budget_announced_later_is_not_known_before(whole_store: Store) -> None:
    rows = pd.DataFrame(at(whole_store, "2025-12-31").budgets)
    assert not ((rows["state"] == STATES.index("CHN")) & (rows["year"] == 2026 - 1990)).any()


def test_doubt_is_of_figures_from_memory_and_of_open_definitions(panel: Panel, known: Store) -> None:
    rows = pd.DataFrame(panel.spending.budgets)
    rows["state"] = [STATES[k] for k in rows["state"]]
    quality = known.latest("budget_growth").assign(year=lambda frame: frame["period_start"].dt.year - 1990)
    quality = quality.set_index(["unit", "year"])["quality"]
    for row in rows.itertuples():
        recalled = "recalled" in quality[(row.state, row.year)]
        assert row.doubt == 0.5 * recalled + 1.0 * (row.state not in BUDGET_STATES)
    assert set(rows.loc[rows["state"] == "CHN", "doubt"]) == {0.0, 0.5}
    assert set(rows.loc[rows["state"] == "IND", "doubt"]) == {1.0}


def programme_years(spending: SpendingPanel) -> list[int]:
    """Years ahead that a programme speaks of."""
    years = spending.years[spending.programmes["year"]]
    return sorted(int(year) for year in years if year > spending.last_printed)


def test_a_programme_speaks_until_the_budget_of_the_year(whole_store: Store) -> None:
    budgets = whole_store.releases("budget_growth", "JPN")
    first = budgets.loc[budgets["period_start"] == "2026-01-01", "published_at"].min()
    before, after = (at(whole_store, f"{first + pd.Timedelta(days=d):%Y-%m-%d}") for d in (-1, 0))
    assert 2026 in programme_years(before)
    assert 2026 not in programme_years(after)
    assert set(after.programmes["state"]) == {STATES.index("JPN")}


def test_a_programme_is_the_word_of_the_spring_before_less_inflation(panel: Panel, known: Store) -> None:
    rows = pd.DataFrame(panel.spending.programmes)
    rows = rows.set_index(panel.spending.years[rows["year"]])
    said = known.releases("programme_growth", "JPN")
    said = said[(said["period_start"] == "2024-01-01") & (said["published_at"] < "2023-05-10")]
    newest = said.sort_values("published_at").iloc[-1]
    cpi = known.latest("cpi_inflation", "JPN").sort_values("period_start")
    cpi = cpi[(cpi["published_at"] <= newest["published_at"]) & (cpi["period_start"] < "2024")]
    expected = 100 * np.log1p(newest["value"] / 100) - 100 * np.log1p(cpi["value"].iloc[-1] / 100)
    assert rows.loc[2024, "value"] == pytest.approx(expected)


def test_readings_are_of_prints_known_or_of_the_three_years_ahead(panel: Panel) -> None:
    sp = panel.spending
    n = sp.n_printed
    table = {
        "state": np.array([0, 1, 2, 3, 4], np.int32),
        "year": np.array([n - 1, n - 1, n, n + 2, n + 3], np.int32),
        "first_print": np.array([2.0, np.nan, np.nan, np.nan, np.nan]),
        "value": np.arange(5.0),
        "doubt": np.zeros(5),
        "half_width": np.ones(5),
    }
    found = replace(sp, budgets=table).arrays()
    assert found["budget_state"].tolist() == [0, 2, 3]
    assert found["budget_ahead"].tolist() == [0, 1, 1]
    assert found["budget_slot"].tolist() == [0, 0, 2]
    assert found["budget_first_print"].tolist() == [2, 0, 0]
    assert found["budget_value"].tolist() == [0, 2, 3]
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["newest"].sum() == sp.printed[:, n - 1].sum() == len(STATES)
    assert (found["newest"].argmax(axis=1) == n - 1).all()


@pytest.fixture
def foreign(whole_store: Store, tmp_path: Path) -> Store:
    return with_vintages(whole_store, vintage_file(tmp_path / "own.csv", foreign_rows(("POL", "DEU", "JPN"))))


def test_states_of_a_table_that_has_others(foreign: Store) -> None:
    spending = at(foreign, "2013-12-31")
    assert spending.states == ("JPN", "DEU", "POL")
    assert spending.last_printed == 2012
    printed = spending.years[spending.printed[2]]
    expected = [foreign_growth("POL")[year] for year in printed]
    assert list(printed) == list(range(2001, 2013))
    assert_allclose(spending.growth[2, spending.printed[2]], expected, atol=1e-6)
    # Weights and announcements are those of states that the tables name.
    assert_allclose(spending.exposure.sum(axis=1), [1, 0, 0])
    assert (spending.rivals == 0).all()
    assert set(spending.budgets["state"]) == {0}
    assert np.isfinite(spending.gdp).all()


def test_weights_add_to_one_and_no_state_is_its_own_rival(panel: Panel) -> None:
    sp = panel.spending
    assert sp.exposure.shape == (len(STATES), len(THEATRES))
    assert_allclose(sp.exposure.sum(axis=1), 1.0)
    assert_allclose(sp.rivals.sum(axis=1), 1.0)
    assert (np.diag(sp.rivals) == 0).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("XXX,taiwan,0.4", r"exposure.csv, row 2: unknown state or theatre \(XXX, taiwan\)"),
        ("CHN,mars,0.4", r"exposure.csv, row 2: unknown state or theatre \(CHN, mars\); use one of korea"),
        ("CHN,taiwan,0", r"exposure.csv, row 2: weight 0(\.0)? is not positive"),
    ],
)
def test_bad_weights_name_file_and_row(known: Store, tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "exposure.csv").write_text(f"state,theatre,weight,reason\n{row},made up\n")
    with pytest.raises(DataError, match=message):
        _weights(replace(known, root=tmp_path), "exposure.csv", "theatre", THEATRES, STATES)


def test_income_growth_is_less_the_states_mean_and_zero_where_unknown(panel: Panel) -> None:
    sp = panel.spending
    assert_allclose(sp.gdp.sum(axis=1), 0.0, atol=1e-9)
    assert (sp.gdp[:, sp.years >= 2026] == 0).all()


def test_no_spending_at_all_says_so(known: Store) -> None:
    rows = known.observations[known.observations["series"] != "milex_constant"]
    with pytest.raises(DataError, match="no growth of military spending in 1990 or later had been published"):
        build_spending(replace(known, observations=rows), pd.Timestamp("2026-06-15"), YEARS)


@pytest.mark.parametrize("date", ["1989-04-30", "1991-04-29"])
def test_too_early_a_date_says_so(whole_store: Store, date: str) -> None:
    with pytest.raises(DataError, match=f"1990 or later had been published by {date}; choose a later as_of"):
        at(whole_store, date)
