"""The readers of arms transfers, personnel, events, disputes and a user's own figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import detect, dmdc, read
from escalation_forecast.sources.live.workbook import Formula
from escalation_forecast.store import Store
from originators import (
    DELIVERIES,
    HOST_COUNTS,
    OWN_ROW,
    RECEIVED,
    dmdc_book,
    dyadic_csv,
    ged_csv,
    grid,
    mida_csv,
    midb_csv,
    own_csv,
    register,
    set_cell,
    tiv_values,
)


def values(frame: Any, unit: str) -> dict[int, float]:
    chosen = frame[frame["unit"] == unit]
    return dict(zip(chosen["period_start"].dt.year, chosen["value"], strict=True))


# --- Arms transfers ------------------------------------------------------------------------------


def test_deliveries_of_a_dyad_and_year_are_added_up_and_the_rest_is_zero(tmp_path: Path) -> None:
    path = register(tmp_path / "register.csv")
    assert detect(path) == "sipri-transfers"
    reading = read(path, received=RECEIVED)
    frame = reading.observations
    assert (reading.edition, str(reading.published_at)) == ("2025, generated 2026-02-12", "2025-03-10")
    china = values(frame, "RUS>CHN")
    assert (china[2020], china[2019]) == (26.0, 0.0)
    assert values(frame, "PRK>RUS")[2024] == 12.5
    assert min(china) == 1995
    assert "RUS>PRK" not in set(frame["unit"])
    notes = dict(zip(frame["value"] > 0, frame["note"], strict=True))
    assert notes == {True: "own sum of deal rows", False: "no delivery identified"}


def test_the_release_is_the_one_in_force_when_the_data_were_generated(tmp_path: Path) -> None:
    newer = register(tmp_path / "a.csv", last=2026, day="2 Apr 2027")
    reading = read(newer, received=dt.date(2027, 4, 3))
    assert set(reading.observations["release"]) == {"2027"}
    assert str(reading.published_at) == "2027-04-02"
    assert max(values(reading.observations, "RUS>CHN")) == 2026
    early = register(tmp_path / "b.csv", last=2026, day="2 Mar 2027")
    assert set(read(early, received=dt.date(2027, 4, 3)).observations["release"]) == {"2026"}
    fresh = (*DELIVERIES, ("Russia", "India", 1, 2026, 5.0, 5.0))
    march = register(tmp_path / "c.csv", last=2026, day="10 Mar 2027", rows=fresh)
    assert set(read(march, received=dt.date(2027, 4, 3)).observations["release"]) == {"2027"}


def test_a_table_of_values_keeps_the_bounds_of_a_printed_zero(tmp_path: Path) -> None:
    path = tiv_values(tmp_path / "values.csv")
    assert detect(path) == "sipri-transfers"
    frame = read(path, received=RECEIVED).observations
    taiwan = frame[frame["unit"] == "USA>TWN"]
    taiwan = taiwan.set_index(taiwan["period_start"].dt.year)
    assert taiwan.loc[2020, ["value", "low", "high"]].tolist() == [0.25, 0.0, 0.5]
    assert taiwan.loc[2019, "note"] == "no delivery identified"
    assert values(frame, "USA>AUS") == {2018: 900.0, 2019: 1000.0, 2020: 0.0, 2021: 330.0}
    assert set(values(frame, "USA>KOR").values()) == {0.0}


@pytest.mark.parametrize(
    ("make", "old", "new", "place", "what"),
    [
        (register, ",No,New,1,2.0,20.0,", ",No,New,1,2.0,200.0,", "line 7", "is not 10 deliveries of 2"),
        (register, ",2020,No,New,1,2.0,20.0,", ",2.0,No,New,1,2020,20.0,", "line 7", "'2.0' is no year"),
        (register, ",1.5,6.0,", ",1.5,six,", "line 8, column 'TIV delivery values'", "'six' is not a number"),
        (register, "50001,Russia,China,X-1", "50001,Russia,China,X-1,y", "line 8", "18 cells where"),
        (register, "TIV delivery values", "TIV values", "", "none of the text files"),
        (register, "Data generated: 12 Feb 2026", "Data generated", "", "says when"),
        (register, "to All countries ", "", "", "from whom, to whom"),
        (register, "'1995' to '2024'", "'1995' to '2022'", "line 9", "'2024' is no year from 1995 to 2022"),
        (tiv_values, "Japan,690", "Japan,609", "line 10", "do not add up to 2410"),
        (tiv_values, ",2018,2019", ",2019,2018", "line 7", "years are not 2018 to 2021"),
        (tiv_values, "Total,1690", "Total,1609", "line 12", "not the sum of the column of 2018"),
        (tiv_values, "Total,1690,1805,920,330,4745\n", "", "", "the table is cut off"),
        (tiv_values, "Taiwan,100", "Taiwan,1e2", "line 11", "'1e2' is no whole number"),
    ],
)  # fmt: skip
def test_transfers_not_as_published_are_refused(
    make: Callable[[Path], Path], old: str, new: str, place: str, what: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "table.csv")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(path, received=RECEIVED)
    assert place in str(caught.value)
    assert what in str(caught.value)


def test_the_old_register_is_refused_because_its_years_cannot_be_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(
        "Data generated: 5 Nov 2024 4:52:25 AM\nRecipient,Supplier,Year of order, ,Number ordered, ,Weapon "
        "designation,Weapon description,Number delivered, ,Year(s) of delivery,status,Comments,SIPRI TIV per "
        "unit,SIPRI TIV for total order,SIPRI TIV of delivered weapons\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="download the register by year of delivery"):
        read(path, received=RECEIVED)


# --- Personnel -----------------------------------------------------------------------------------


def test_hosts_and_the_sum_of_europe_are_read_for_the_quarter(tmp_path: Path) -> None:
    path = dmdc_book(tmp_path / "report.xlsx")
    assert detect(path) == "us-dmdc"
    reading = read(path, received=RECEIVED)
    frame = reading.observations.set_index("unit")
    assert frame["value"].to_dict() == {
        "KOR": sum(HOST_COUNTS["KOREA, REPUBLIC OF"]),
        "JPN": sum(HOST_COUNTS["JAPAN"]),
        "GUM": sum(HOST_COUNTS["GUAM"]),
        "EUR": sum(
            sum(HOST_COUNTS[host])
            for host in ("GERMANY", "ITALY", "UNITED KINGDOM", "SPAIN", "BELGIUM", "TURKEY")
        ),
    }
    assert str(frame.loc["KOR", "period_start"].date()) == "2025-07-01"
    assert frame.loc["KOR", "release"] == "dmdc-2025-09"


def test_a_withheld_host_is_missing_and_takes_the_sum_of_europe_with_it(tmp_path: Path) -> None:
    path = dmdc_book(tmp_path / "moved.xlsx", heading=8, withheld="GERMANY", day="March 31, 2026")
    reading = read(path, received=RECEIVED)
    assert set(reading.observations["unit"]) == {"KOR", "JPN", "GUM"}
    assert "No figure of DEU" in " ".join(reading.skipped)


@pytest.mark.parametrize(
    ("cell", "value", "place", "what"),
    [
        ("C15", "20,000", "cell C15", "'20,000' where a number of persons"),
        ("C15", float("inf"), "cell C15", "'inf' where a number of persons"),
        ("C15", 20_500, "cell H15", "is not the sum of the branches"),
        ("C15", Formula("=C14"), "cell C15", "the formula '=C14'"),
        ("A15", "GUAM", "cell A15", "GUAM stands there twice"),
        ("A15", "CHAD", "cell A10", "no row below is named 'JAPAN'"),
        ("A19", "BELGIUM", "cell A19", "hosts are in alphabetical order"),
        ("H21", 999_999, "cell H21", "the hosts add up to"),
        ("A2", "By Duty Location (as of August 31, 2025)", "cell A2", "not in the last month of a quarter"),
        ("A2", "By Duty Location", "cell A1", "no cell says 'As of"),
        ("H6", "ALL", "cell B6", "below 'ACTIVE DUTY' stand"),
        ("C6", "MARINE CORPS", "cell B6", "below 'ACTIVE DUTY' stand"),
    ],
)
def test_personnel_not_as_published_is_refused(
    cell: str, value: Any, place: str, what: str, tmp_path: Path
) -> None:
    book = grid(dmdc_book(tmp_path / "report.xlsx"))
    set_cell(book.sheets[0], cell, value)
    with pytest.raises(DataError) as caught:
        dmdc.read(book, RECEIVED)
    assert f"sheet 'Sep 25', {place}" in str(caught.value)
    assert what in str(caught.value)


# --- Events and disputes, of which no series is made -----------------------------------------------


@pytest.mark.parametrize(
    ("make", "layout", "edition", "said"),
    [
        (ged_csv, "ucdp-candidate", "events of 2026-09 to 2026-09", "1 event with 12 deaths"),
        (mida_csv, "cow-mid", "MIDA 5", "2 disputes in 2 rows of 1902 to 2013"),
        (midb_csv, "cow-mid", "MIDB 5", "1 dispute in 2 rows"),
        (dyadic_csv, "cow-mid", "dyadic without a version", "1 dispute in 1 row"),
    ],
)
def test_a_file_without_a_series_is_checked_and_says_so(
    make: Callable[[Path], Path], layout: str, edition: str, said: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "table.csv")
    assert detect(path) == layout
    reading = read(path, received=RECEIVED)
    assert reading.observations.empty
    assert reading.edition == edition
    assert said in " ".join(reading.skipped)
    assert "no series of the catalogue" in reading.skipped[0]


@pytest.mark.parametrize(
    ("make", "old", "new", "what"),
    [
        (ged_csv, "900002", "900001", "line 3, column 'id'"),
        (ged_csv, "2026-09-07 00", "2026-09-04 00", "line 3: type of violence, days or deaths"),
        (ged_csv, "2026-09-07 00", "7.9.2026 00", "line 3, column 'date_end'"),
        (ged_csv, ",12,20,5", ",many,20,5", "line 2, column 'best'"),
        (mida_csv, ",7,1902,", ",7,190,", "line 2, column 'styear'"),
        (mida_csv, ",7,4,0,", ",7,9,0,", "line 3, column 'hostlev'"),
        (midb_csv, "1902,24,1,1903,1", "1904,24,1,1903,1", "ends before it begins"),
    ],
)
def test_events_and_disputes_not_as_published_are_refused(
    make: Callable[[Path], Path], old: str, new: str, what: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "table.csv")
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())
    with pytest.raises(DataError) as caught:
        read(path, received=RECEIVED)
    assert what in str(caught.value)


# --- A user's own figures --------------------------------------------------------------------------


def test_own_figures_pass_the_checks_of_the_store(tmp_path: Path, whole_store: Store) -> None:
    path = own_csv(tmp_path / "own.csv")
    assert detect(path) == "observations"
    reading = read(path, received=RECEIVED)
    assert reading.observations["value"].tolist() == [24_000.0]
    assert str(reading.published_at) == "2026-06-10"
    more = whole_store.with_files(observations=path)
    assert len(more.observations) == len(whole_store.observations) + 1


def test_the_same_figure_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: the same figure and release as on line 2"):
        read(own_csv(tmp_path / "own.csv", [OWN_ROW, OWN_ROW | {"value": "1"}]), received=RECEIVED)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"value": "24.000,5"}, "line 2, column 'value': '24.000,5' is not a number"),
        ({"value": "=1+1"}, "line 2, column 'value': '=1+1' is not a number"),
        ({"value": "inf"}, "is not a number"),
        ({"value": ""}, "line 2: value, low and high are blank"),
        ({"published_at": "10.6.2026"}, "line 2, column 'published_at': '10.6.2026' is not a date"),
        ({"published_at": "2026-06-31"}, "is not a date"),
        ({"published_at": "2027-01-01"}, "it is dated 2027-01-01, after the 2026-11-20"),
        ({"unit": ""}, "line 2, column 'unit': the cell is blank"),
        ({"note": '=HYPERLINK("http://x.example")'}, "line 2, column 'note'"),
        ({"quality": "sure"}, "'sure' is no quality"),
        ({"period_end": "2025-12-31"}, "the period ends before it starts"),
    ],
)
def test_own_figures_with_a_bad_cell_are_refused(change: dict[str, str], what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(own_csv(tmp_path / "own.csv", [OWN_ROW | change]), received=RECEIVED)
    assert what in str(caught.value)
