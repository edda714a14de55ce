"""Growth within one release, vintages before 2017, revisions, budgets, and the rule of the arms race."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from escalation_forecast.panel import Panel
from escalation_forecast.schema import CORE_FOUR, STATES, THEATRES, DataError
from escalation_forecast.spending_panel import (
    BUDGET_STATES,
    SpendingPanel,
    _weights,
    build_spending,
    growth_prints,
)
from escalation_forecast.store import Store
from made_up import compound, make_store, spending_rows

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
    assert list(spending.years[~row]) == [*range(1995, 2004), 2026, 2027]
    assert (spending.growth[STATES.index("VNM")][~row] == 0).all()


def test_before_2017_one_release_serves_as_every_vintage(whole_store: Store) -> None:
    early = at(whole_store, "2012-06-30")
    assert (early.release, early.last_printed) == ("2017p", 2011)
    assert early.prints["year"].max() == 2011
    assert set(early.prints["release"]) == {"2017p"}
    # What is cut from one release shows no revisions.
    assert not len(early.revisions["step"])
    assert not early.late_revisions["trials"].any()
    real = at(whole_store, "2017-05-31")
    assert (real.release, real.last_printed) == ("2017", 2016)
    assert early.growth[:, :22] == pytest.approx(real.growth[:, :22])


def test_a_release_counts_from_its_day(whole_store: Store) -> None:
    assert at(whole_store, "2026-04-26").release == "2025"
    assert at(whole_store, "2026-04-27").release == "2026"
    assert list(at(whole_store, "2026-04-26").forward_years) == [2025, 2026, 2027]
    assert list(at(whole_store, "2026-04-27").forward_years) == [2026, 2027]


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


def _made_up(rows: list[dict[str, object]]) -> SpendingPanel:
    from escalation_forecast.spending_panel import _newest_release, _revision_steps

    store = make_store(rows)
    prints = growth_prints(store)
    revisions, late = _revision_steps(prints)
    empty = np.zeros((0, 0))
    return SpendingPanel(
        YEARS, empty, empty, empty, _newest_release(store), prints, revisions, late, {}, empty, empty, empty
    )


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
    assert {STATES[k] for k in rows["state"]} == set(BUDGET_STATES)
    prints = panel.spending.prints
    korea = rows[(rows["state"] == STATES.index("KOR")) & (rows["year"] == 2023 - 1990)]
    earliest = prints[(prints["state"] == "KOR") & (prints["year"] == 2023) & (prints["release"] == "2024")]
    assert (korea["first_print"] == earliest["growth"].item()).all()


def test_budget_announced_later_is_not_known_before(whole_store: Store) -> None:
    rows = pd.DataFrame(at(whole_store, "2025-12-31").budgets)
    assert not ((rows["state"] == STATES.index("CHN")) & (rows["year"] == 2026 - 1990)).any()


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
        _weights(replace(known, root=tmp_path), "exposure.csv", "theatre", THEATRES)


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
