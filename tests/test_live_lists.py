"""The readers of sanctions lists: one file, several senders together, and two copies of SDN.CSV."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import Reading, detect, ofac, read, read_lists, read_pair
from escalation_forecast.sources.live._lists import COMPILED_TO
from escalation_forecast.store import Store
from originators import (
    RECEIVED,
    SDN_NEW,
    SDN_ROWS,
    eu_csv,
    eu_xml,
    ofsi_csv,
    sdn_csv,
    sdn_xml,
    uk_csv,
    un_xml,
)


def figure(reading: Reading, series: str, unit: str, month: str) -> float:
    frame = reading.observations
    chosen = frame[
        (frame["series"] == series)
        & (frame["unit"] == unit)
        & (frame["period_start"] == pd.Timestamp(f"{month}-01"))
    ]
    return float(chosen["value"].item())


NAMES, ACTING, COVERED = "sanctions_designations", "sanctions_senders_acting", "sanctions_senders_covered"


def test_the_store_counts_five_senders_to_the_month_from_which_a_list_counts(whole_store: Store) -> None:
    last = whole_store.releases(COVERED)["period_start"].max()
    assert f"{last:%Y-%m}" == COMPILED_TO


@pytest.mark.parametrize(
    ("make", "layout", "day", "counts"),
    [
        (sdn_xml, "us-ofac", "2026-11-16",
         {("RUS", "2026-08"): 1, ("PRK", "2026-08"): 1, ("RUS", "2026-10"): 1, ("BLR", "2026-10"): 1}),
        (un_xml, "un-list", "2026-11-03", {("PRK", "2026-09"): 2}),
        (eu_xml, "eu-list", "2026-11-05",
         {("RUS", "2026-09"): 1, ("BLR", "2026-10"): 1, ("IRN", "2026-08"): 1}),
        (eu_csv, "eu-list", "2026-11-05",
         {("RUS", "2026-09"): 1, ("BLR", "2026-10"): 1, ("IRN", "2026-08"): 1}),
        (uk_csv, "uk-list", "2026-11-08",
         {("RUS", "2026-09"): 1, ("RUS", "2026-10"): 1, ("IRN", "2026-09"): 1}),
    ],
)  # fmt: skip
def test_names_are_counted_once_by_target_and_month_of_listing(
    make: Callable[[Path], Path], layout: str, day: str, counts: dict[tuple[str, str], int], tmp_path: Path
) -> None:
    path = make(tmp_path / "list")
    assert detect(path) == layout
    reading = read(path, received=RECEIVED)
    assert str(reading.published_at) == day
    months = reading.observations["period_start"].dt.strftime("%Y-%m")
    assert sorted(set(months)) == ["2026-08", "2026-09", "2026-10"]
    for unit in ("PRK", "RUS", "CHN", "IRN", "BLR"):
        for month in ("2026-08", "2026-09", "2026-10"):
            number = counts.get((unit, month), 0)
            assert figure(reading, NAMES, unit, month) == number
            assert figure(reading, ACTING, unit, month) == (number > 0)
            assert figure(reading, COVERED, unit, month) == 1


def test_a_list_that_ends_within_a_month_does_not_cover_it(tmp_path: Path) -> None:
    reading = read(ofsi_csv(tmp_path / "old.csv"), received=RECEIVED)
    assert reading.observations.empty
    assert any("No month after 2026-07" in sentence for sentence in reading.skipped)


def test_several_lists_count_as_several_senders(tmp_path: Path) -> None:
    files = [make(tmp_path / make.__name__) for make in (sdn_xml, un_xml, eu_csv, uk_csv)]
    reading = read_lists(files, received=RECEIVED)
    assert figure(reading, COVERED, "RUS", "2026-10") == 4
    assert figure(reading, ACTING, "RUS", "2026-10") == 2
    assert figure(reading, NAMES, "RUS", "2026-10") == 2
    assert figure(reading, ACTING, "PRK", "2026-09") == 1
    assert figure(reading, NAMES, "PRK", "2026-09") == 2
    assert set(reading.observations["note"]) == {"names still listed on 2026-11-16; EUU GBR UNO USA"}
    with pytest.raises(DataError, match="it is a second list of EUU"):
        read_lists([*files, eu_xml(tmp_path / "again.xml")], received=RECEIVED)
    with pytest.raises(DataError, match="no list of sanctions with dates"):
        read_lists([sdn_csv(tmp_path / "sdn.csv")], received=RECEIVED)


def test_two_copies_of_sdn_csv_give_the_month_between_them(tmp_path: Path) -> None:
    old, new = sdn_csv(tmp_path / "old.csv"), sdn_csv(tmp_path / "new.csv", (*SDN_ROWS[:2], *SDN_NEW))
    assert read(new, received=RECEIVED).observations.empty
    reading = read_pair(old, new, received=(dt.date(2026, 9, 1), dt.date(2026, 9, 30)))
    assert set(reading.observations["period_start"].dt.strftime("%Y-%m")) == {"2026-09"}
    assert figure(reading, NAMES, "PRK", "2026-09") == 2
    assert figure(reading, NAMES, "RUS", "2026-09") == 1
    assert figure(reading, NAMES, "IRN", "2026-09") == 0
    assert reading.skipped[0].startswith("3 entries added and 1 removed")
    with pytest.raises(DataError, match="compare copies of just before a month and just after it"):
        read_pair(old, new, received=(dt.date(2026, 8, 1), dt.date(2026, 9, 30)))
    with pytest.raises(DataError, match=r"only copies of SDN\.CSV are compared"):
        read_pair(old, sdn_xml(tmp_path / "new.xml"), received=(dt.date(2026, 9, 1), dt.date(2026, 9, 30)))


@pytest.mark.parametrize(
    ("programme", "remarks", "expected"),
    [
        ("DPRK2", "", ("PRK",)), ("SDGT] [DPRK3", "", ("PRK",)), ("NPWMD", "from North Korea", ("PRK",)),
        ("NPWMD", "from elsewhere", ()), ("RUSSIA-EO14024] [BELARUS", "", ("RUS", "BLR")),
        ("IRAN-EO13902] [IFSR", "", ("IRN",)), ("GLOMAG", "", ()), ("HK-EO13936", "", ("CHN",)),
        ("CAATSA - RUSSIA", "", ("RUS",)), ("MAGNIT", "", ("RUS",)),
    ],
)  # fmt: skip
def test_programmes_name_their_targets(programme: str, remarks: str, expected: tuple[str, ...]) -> None:
    assert ofac.targets(programme, remarks) == expected


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("make", "old", "new", "place", "what"),
    [
        (sdn_csv, '36,"AERO', '50001,"AERO', "line 2", "entry 50001 stands there twice"),
        (sdn_csv, ',"DOB 1960."', "", "line 2", "11 cells where 12 are expected"),
        (sdn_xml, 'ProfileID="3"', 'ProfileID="2"', "entry 3", "blank or twice"),
        (sdn_xml, "<Month>10</Month>", "<Month>12</Month>", "entry 5", "after the list's own 2026-11-16"),
        (sdn_xml, "DateOfIssue", "DateIssued", "", "no date of issue"),
        (un_xml, "2017-12-22", "22 Dec 2017", "entry 1", "'22 Dec 2017' is no day of listing"),
        (un_xml, "<DATAID>3<", "<DATAID>1<", "entry 1", "stands there twice"),
        (un_xml, "2026-11-03T", "last week T", "", "the list is dated"),
        (eu_xml, 'logicalId="21"', 'logicalId="20"', "entry '20'", "stands there twice"),
        (eu_xml, "2014-03-17", "17.3.2014", "entry 20", "'17.3.2014' is no day"),
        (eu_csv, "2014-03-17", "2014/03/17", "line 4", "is no day"),
        (eu_csv, ";20;", ";;", "line 4", "no Entity_LogicalId"),
        (eu_csv, "05/11/2026;13", "soon;13", "", "the list is dated 'soon'"),
        (uk_csv, "21/10/2026", "10/21/2026", "line 6, column 'Date Designated'", "is no day (DD/MM/YYYY)"),
        (uk_csv, "21/10/2026", "21/12/2026", "line 6", "up to 2026-11-08"),
        (uk_csv, "Report Date", "Reported", "", "no line before the heading says"),
        (uk_csv, ",UK,09/09/2026,9123456", ",UK,09/09/2026", "line 4", "11 cells where the heading has 12"),
    ],
)
def test_what_is_not_as_published_is_refused_with_its_place(
    make: Callable[[Path], Path], old: str, new: str, place: str, what: str, tmp_path: Path
) -> None:
    path = changed(make(tmp_path / "list"), old, new)
    with pytest.raises(DataError) as caught:
        read(path, received=RECEIVED)
    assert place in str(caught.value)
    assert what in str(caught.value)


def test_a_list_made_after_it_was_received_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is dated 2026-11-03, after the 2026-10-01"):
        read(un_xml(tmp_path / "un.xml"), received=dt.date(2026, 10, 1))
