"""Readers of the monthly series, on small raw folders that the tests write themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast.schema import FIGURE_KEY, OBSERVATION_COLUMNS, DataError
from escalation_forecast.sources import (
    gpr,
    ladder,
    launches,
    pla_taiwan,
    sanctions,
    security_council,
    unga,
    war_intensity,
)


def write(raw: Path, folder: str, file: str, header: str, rows: Sequence[str]) -> None:
    (raw / folder).mkdir(parents=True, exist_ok=True)
    (raw / folder / file).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def pick(frame: pd.DataFrame, series: str, unit: str) -> pd.DataFrame:
    chosen = frame[(frame["series"] == series) & (frame["unit"] == unit)]
    return chosen.assign(month=chosen["period_start"].dt.strftime("%Y-%m"))


def by_month(frame: pd.DataFrame, series: str, unit: str) -> dict[str, float]:
    chosen = pick(frame, series, unit)
    return dict(zip(chosen["month"], chosen["value"], strict=True))


# --- Geopolitical risk -------------------------------------------------------------------------


def write_gpr(raw: Path, compared: Sequence[str]) -> None:
    write(
        raw,
        gpr.FOLDER,
        gpr.WORLD_FILE,
        "month,series,value",
        ["1984-12,GPR,99", "2025-11,GPR,100", "2025-12,GPR,130", "2026-01,GPR,168", "2026-01,GPRA,7"],
    )
    write(
        raw,
        gpr.FOLDER,
        gpr.COUNTRY_FILE,
        "month,iso3,gprc_pct_articles",
        ["2025-11,TWN,0.2", "2025-12,TWN,0.3", "2025-12,PHL,0.01", "2025-12,BRA,0.5"],
    )
    write(raw, gpr.FOLDER, gpr.VINTAGE_FILE, "vintage_file_date,month,series,value", compared)


GPR_VINTAGES = (
    "2026-06-06,2025-12,GPR,130",
    "2026-06-06,2025-11,GPR,100",
    "2026-04-29,2025-12,GPR,131",
    "2026-01-05,2025-12,GPR,127",
    "2026-01-05,2025-11,GPR,100",
    "2026-04-29,2026-01,GPR,160",
    "2026-01-05,2025-12,GPRC_TWN,0.3",
    "2026-01-05,2025-12,GPRT,55",
)


def test_gpr_earliest_vintage_is_what_was_known_first(tmp_path: Path) -> None:
    write_gpr(tmp_path, GPR_VINTAGES)
    world = pick(gpr.read(tmp_path), "gpr_world", "WLD")
    december = world[world["month"] == "2025-12"].sort_values("published_at")
    assert december["value"].tolist() == [127.0, 131.0, 130.0]
    assert december["release"].tolist() == ["2026-01-05", "2026-04-29", "2026-06-06"]
    assert december["published_at"].dt.strftime("%Y-%m-%d").tolist() == [
        "2026-01-05",
        "2026-04-29",
        "2026-06-06",
    ]
    assert december["quality"].tolist() == ["reported;pseudo_vintage", "reported", "reported"]


def test_gpr_vintage_that_changes_nothing_is_no_revision(tmp_path: Path) -> None:
    write_gpr(tmp_path, GPR_VINTAGES)
    frame = gpr.read(tmp_path)
    world = pick(frame, "gpr_world", "WLD")
    assert (world["month"] == "2025-11").sum() == 1
    assert (pick(frame, "gpr_country", "TWN")["month"] == "2025-12").sum() == 1


def test_gpr_vintage_back_at_the_first_figure_is_a_revision_again(tmp_path: Path) -> None:
    write_gpr(
        tmp_path,
        ["2026-01-05,2025-12,GPR,130", "2026-04-29,2025-12,GPR,131", "2026-06-06,2025-12,GPR,130"],
    )
    world = pick(gpr.read(tmp_path), "gpr_world", "WLD")
    assert world.loc[world["month"] == "2025-12", "value"].tolist() == [130.0, 131.0, 130.0]


def test_gpr_month_that_only_a_late_vintage_holds_keeps_the_typical_lag(tmp_path: Path) -> None:
    write_gpr(tmp_path, GPR_VINTAGES)
    world = pick(gpr.read(tmp_path), "gpr_world", "WLD")
    january = world[world["month"] == "2026-01"].sort_values("published_at")
    assert january["value"].tolist() == [160.0, 168.0]
    assert january["published_at"].iloc[0] == pd.Timestamp("2026-02-05")


def test_gpr_keeps_only_its_states_and_years(tmp_path: Path) -> None:
    write_gpr(tmp_path, GPR_VINTAGES)
    frame = gpr.read(tmp_path)
    assert set(frame["unit"]) == {"WLD", "TWN", "PHL"}
    assert frame["period_start"].min() == pd.Timestamp("2025-11-01")


# --- Sanctions ---------------------------------------------------------------------------------


def write_sanctions(raw: Path) -> None:
    write(
        raw,
        sanctions.FOLDER,
        sanctions.COMPOSITE_FILE,
        "month,target_iso3,n_designations_all_senders,n_senders_acting,n_senders_covered",
        [
            "2018-02,PRK,9,2,5",
            "2018-03,PRK,0,0,5",
            "2024-04,PRK,4,1,5",
            "2024-05,PRK,3,1,4",
            "2024-06,PRK,0,0,1",
            "2024-07,PRK,0,0,0",
            "2024-05,SYR,8,2,4",
        ],
    )
    write(
        raw,
        sanctions.FOLDER,
        sanctions.SENDER_FILE,
        "month,target_iso3,sender,series,n_designations,n_action_days,date_status",
        [
            "2018-02,PRK,USA,ofac_sdn_programme,5,1,dated",
            "2018-03,RUS,USA,ofac_sdn_programme,5,,estimated",
            "2018-03,PRK,USA,ofac_sdn_programme,0,0,none",
            "2024-04,PRK,USA,ofac_sdn_programme,1,1,dated",
            "2024-05,PRK,USA,ofac_address_country,1,,dated",
        ],
    )


def test_sanctions_month_without_a_covered_sender_is_missing_and_not_zero(tmp_path: Path) -> None:
    write_sanctions(tmp_path)
    frame = sanctions.read(tmp_path)
    for series in sanctions.SERIES:
        months = by_month(frame, series, "PRK")
        assert "2024-07" not in months
        assert "2024-06" in months
    assert by_month(frame, "sanctions_designations", "PRK")["2024-06"] == 0


def test_sanctions_denominator_follows_the_coverage(tmp_path: Path) -> None:
    write_sanctions(tmp_path)
    covered = by_month(sanctions.read(tmp_path), "sanctions_senders_covered", "PRK")
    assert covered == {"2018-02": 5, "2018-03": 5, "2024-04": 5, "2024-05": 4, "2024-06": 1}


def test_sanctions_change_of_the_american_list_is_said_from_its_month_on(tmp_path: Path) -> None:
    write_sanctions(tmp_path)
    names = pick(sanctions.read(tmp_path), "sanctions_designations", "PRK")
    assert names.loc[names["note"] != "", "month"].tolist() == ["2024-05", "2024-06"]


def test_sanctions_months_with_estimated_american_dates_are_estimates(tmp_path: Path) -> None:
    write_sanctions(tmp_path)
    frame = sanctions.read(tmp_path)
    acting = pick(frame, "sanctions_senders_acting", "PRK").set_index("month")["quality"]
    assert acting["2018-02"] == "reported;pseudo_vintage"
    assert acting["2018-03"] == "estimate;pseudo_vintage"
    covered = pick(frame, "sanctions_senders_covered", "PRK").set_index("month")["quality"]
    assert covered["2018-03"] == "reported;pseudo_vintage"


# --- Security Council --------------------------------------------------------------------------


def write_vetoes(raw: Path) -> None:
    write(
        raw,
        security_council.FOLDER,
        security_council.FILE,
        "date,draft_symbol,topic_short,region,veto_CHN,veto_FRA,veto_GBR,veto_RUS,veto_USA,source",
        [
            "1984-12-20,S/1,x,,0,0,0,1,0,WPDL",
            "1985-02-10,S/2,x,,0,0,0,0,1,WPDL",
            "1985-03-01,S/3,x,,1,0,0,1,0,WPDL",
            "1985-03-01,S/3/Amend.1,x,,0,0,0,1,0,WPDL",
            "1985-05-12,S/4,x,,0,0,0,0,1,secondary",
        ],
    )


def test_vetoes_of_amendments_count_as_the_source_lists_them(tmp_path: Path) -> None:
    write_vetoes(tmp_path)
    frame = security_council.read(tmp_path)
    assert by_month(frame, "unsc_vetoes", "RUS")["1985-03"] == 2
    assert by_month(frame, "unsc_vetoes", "CHN")["1985-03"] == 1


def test_vetoes_of_other_members_count_as_coverage_but_not_as_vetoes(tmp_path: Path) -> None:
    write_vetoes(tmp_path)
    russia = by_month(security_council.read(tmp_path), "unsc_vetoes", "RUS")
    assert russia == {"1985-01": 0, "1985-02": 0, "1985-03": 2, "1985-04": 0, "1985-05": 0}


def test_vetoes_of_the_last_month_end_on_the_last_day_of_the_list(tmp_path: Path) -> None:
    write_vetoes(tmp_path)
    last = pick(security_council.read(tmp_path), "unsc_vetoes", "RUS").iloc[-1]
    assert last["period_end"] == pd.Timestamp("1985-05-12")
    assert last["published_at"] == pd.Timestamp("1985-05-13")
    assert "uncertain" in last["quality"]


# --- General Assembly --------------------------------------------------------------------------


def test_unga_distance_uses_all_votes_and_says_when_it_cannot(tmp_path: Path) -> None:
    write(
        tmp_path,
        unga.FOLDER,
        unga.FILE,
        "cow_code,iso3,year,idealpointall,idealpointfp",
        [
            "365,RUS,2023,-1.25,-0.4",
            "731,PRK,2023,-1.5,-0.6",
            "710,CHN,2023,-1,-0.7",
            "365,RUS,2024,,-0.5",
            "731,PRK,2024,,-0.75",
            "2,USA,2023,2,1.5",
            "710,CHN,1990,-1,-1",
        ],
    )
    frame = unga.read(tmp_path)
    pair = pick(frame, "unga_distance", "PRK-RUS")
    pair = pair.set_index(pair["period_start"].dt.year)
    assert pair["value"].to_dict() == {2023: 0.25, 2024: 0.25}
    assert "uncertain" not in pair.loc[2023, "quality"]
    assert "uncertain" in pair.loc[2024, "quality"]
    assert "another scale" in pair.loc[2024, "note"]
    assert pair.loc[2023, "published_at"] == pd.Timestamp("2024-07-31")
    # One state without an ideal point leaves no distance.
    assert pick(frame, "unga_distance", "CHN-RUS")["month"].tolist() == ["2023-01"]


# --- Launches ----------------------------------------------------------------------------------

LAUNCH_HEADER = "month,iso3,missile,ballistic_or_slv_events,total_events"


def test_launches_count_ballistic_events_and_not_all_missiles(tmp_path: Path) -> None:
    write(
        tmp_path,
        launches.FOLDER,
        launches.FILE,
        LAUNCH_HEADER,
        ["1984-12,PRK,1,1,1", "2022-01,PRK,7,6,9", "2022-02,PRK,0,0,1"],
    )
    frame = launches.read(tmp_path)
    assert by_month(frame, "dprk_launches", "PRK") == {"2022-01": 6, "2022-02": 0}


def test_launches_of_the_month_the_page_was_read_in_are_a_part_of_it(tmp_path: Path) -> None:
    month = launches.PAGE_DATE.strftime("%Y-%m")
    write(tmp_path, launches.FOLDER, launches.FILE, LAUNCH_HEADER, [f"{month},PRK,2,0,2"])
    row = launches.read(tmp_path).iloc[0]
    assert row["period_end"] == launches.PAGE_DATE
    assert "uncertain" in row["quality"]


def test_launches_after_the_page_date_are_refused(tmp_path: Path) -> None:
    later = (launches.PAGE_DATE + pd.DateOffset(months=1)).strftime("%Y-%m")
    write(tmp_path, launches.FOLDER, launches.FILE, LAUNCH_HEADER, [f"{later},PRK,2,0,2"])
    with pytest.raises(DataError, match="PAGE_DATE"):
        launches.read(tmp_path)


# --- Taiwan ------------------------------------------------------------------------------------


def write_pla(raw: Path) -> None:
    write(
        raw,
        pla_taiwan.FOLDER,
        pla_taiwan.FILE,
        "date,pla_aircraft_n,plan_vessels_n,aircraft_definition",
        [
            "2020-06-09,3,,sporadic_public_reports",
            "2022-04-05,5,,adiz_entries_reported",
            "2022-06-01,,,adiz_entries_reported",
            "2022-06-02,7,,adiz_entries_reported",
            "2022-06-30,2,,adiz_entries_reported",
            "2022-08-01,4,,adiz_entries_reported",
            "2022-08-03,40,,all_aircraft_around_taiwan",
            "2022-08-06,20,14,all_aircraft_around_taiwan",
            "2022-10-01,,,all_aircraft_around_taiwan",
            "2022-11-01,6,5,all_aircraft_around_taiwan",
            "2022-11-02,0,4,all_aircraft_around_taiwan",
            "2022-11-03,,,all_aircraft_around_taiwan",
        ],
    )


def test_pla_definition_break_is_two_series_that_share_no_month(tmp_path: Path) -> None:
    write_pla(tmp_path)
    frame = pla_taiwan.read(tmp_path)
    old = by_month(frame, "pla_aircraft_adiz", "TWN")
    new = by_month(frame, "pla_aircraft_all", "TWN")
    assert old == {"2022-04": 5, "2022-06": 9}
    assert new == {"2022-08": 60, "2022-11": 6}


def test_pla_month_without_coverage_is_missing_and_not_zero(tmp_path: Path) -> None:
    write_pla(tmp_path)
    frame = pla_taiwan.read(tmp_path)
    assert "2022-05" not in by_month(frame, "pla_aircraft_adiz", "TWN")
    for month in ("2022-09", "2022-10"):
        assert month not in by_month(frame, "pla_aircraft_all", "TWN")
        assert month not in by_month(frame, "pla_days_all", "TWN")


def test_pla_exposure_is_the_calendar_before_the_break_and_the_listed_days_after(tmp_path: Path) -> None:
    write_pla(tmp_path)
    frame = pla_taiwan.read(tmp_path)
    # June 2022 has one listed day whose figure is lost, so 29 of its 30 days are known.
    assert by_month(frame, "pla_days_adiz", "TWN") == {"2022-04": 30, "2022-06": 29}
    assert by_month(frame, "pla_days_all", "TWN") == {"2022-08": 2, "2022-11": 2}
    assert by_month(frame, "pla_days_vessels", "TWN") == {"2022-08": 1, "2022-11": 2}


def test_pla_last_month_ends_and_is_published_on_the_last_day_of_the_file(tmp_path: Path) -> None:
    write_pla(tmp_path)
    frame = pla_taiwan.read(tmp_path)
    last = pick(frame, "pla_aircraft_all", "TWN").iloc[-1]
    assert last["period_end"] == last["published_at"] == pd.Timestamp("2022-11-03")
    whole = pick(frame, "pla_aircraft_all", "TWN").iloc[0]
    assert whole["period_end"] == pd.Timestamp("2022-08-31")
    assert whole["published_at"] == pd.Timestamp("2022-09-01")


# --- Ladder ------------------------------------------------------------------------------------

MID_HEADER = "dispnum,incidnum,ccode,iso3,start_date,end_date,incident_side_a,hostlev"
CODED_HEADER = (
    "theatre,month,level,n_incidents_3plus,n_incidents_4plus,basis,level_mid5,level_no_low,coverage"
)


def mid(*rows: str) -> pd.DataFrame:
    names = MID_HEADER.split(",")
    table = pd.DataFrame([dict(zip(names, row.split(","), strict=True)) for row in rows])
    return table.astype({"dispnum": int, "incidnum": int, "incident_side_a": int, "hostlev": int})


def mid_months(*rows: str) -> dict[tuple[str, str], int]:
    found = ladder.mid_levels(mid(*rows))
    return dict(zip(zip(found["theatre"], found["month"], strict=True), found["level"], strict=True))


def test_ladder_two_states_on_the_same_side_are_no_incident_between_them() -> None:
    together = (
        "1,11,710,CHN,1994-07-19,1994-07-19,1,4",
        "1,11,713,TWN,1994-07-19,1994-07-19,1,3",
    )
    assert mid_months(*together) == {}
    against = mid_months(*together, "1,11,816,VNM,1994-07-19,1994-07-19,0,1")
    assert against == {("south_china_sea", "1994-07"): 4}


def test_ladder_incidents_are_dated_to_the_month_they_start() -> None:
    found = mid_months(
        "2,21,710,CHN,1996-03-08,1996-05-25,1,3",
        "2,21,713,TWN,1996-03-08,1996-05-25,0,1",
    )
    assert found == {("taiwan", "1996-03"): 3}


def test_ladder_month_takes_the_highest_level_of_either_side() -> None:
    found = mid_months(
        "3,31,365,RUS,2014-03-01,2014-03-01,1,3",
        "3,31,369,UKR,2014-03-01,2014-03-01,0,4",
        "3,32,365,RUS,2014-03-20,2014-03-20,1,2",
        "3,32,290,POL,2014-03-20,2014-03-20,0,1",
    )
    assert found == {("ukraine_nato", "2014-03"): 4}


def test_ladder_incident_dated_to_the_month_counts_and_to_the_year_does_not() -> None:
    found = mid_months(
        "4,41,710,CHN,1999-05,1999-05,1,3",
        "4,41,740,JPN,1999-05,1999-05,0,1",
        "4,42,710,CHN,2001,2001,1,4",
        "4,42,740,JPN,2001,2001,0,1",
    )
    assert found == {("east_china_sea", "1999-05"): 3}


def test_ladder_states_of_different_incidents_do_not_meet() -> None:
    found = mid_months(
        "5,51,710,CHN,1998-01-02,1998-01-02,1,4",
        "5,51,101,VEN,1998-01-02,1998-01-02,0,1",
        "5,52,840,PHL,1998-01-02,1998-01-02,0,4",
        "5,52,101,VEN,1998-01-02,1998-01-02,1,1",
    )
    assert found == {}


def write_ladder(raw: Path, coded: Sequence[str]) -> None:
    write(
        raw,
        ladder.MID_FOLDER,
        ladder.MID_FILE,
        MID_HEADER,
        ["6,61,732,KOR,2010-11-23,2010-11-23,0,4", "6,61,731,PRK,2010-11-23,2010-11-23,1,4"],
    )
    write(raw, ladder.CODED_FOLDER, ladder.CODED_FILE, CODED_HEADER, coded)


CODED = (
    "korea,2015-01,0,0,0,none_found,0,0,fair",
    "korea,2015-02,0,0,0,none_found,0,0,thin",
    "korea,2015-03,4,1,1,incidents,3,4,thin",
    "korea,2015-04,4,1,1,incidents,3,0,fair",
    "ukraine_nato,2015-11,4,2,1,incidents,4,4,fair",
    "ukraine_nato,2022-03,5,2,2,continuous_war,5,5,fair",
    "ukraine_nato_edge,2015-11,4,1,1,incidents,4,4,fair",
    "ukraine_nato_edge,2022-03,3,1,0,incidents,3,3,fair",
)


def test_ladder_thin_month_with_nothing_found_is_missing(tmp_path: Path) -> None:
    write_ladder(tmp_path, CODED)
    korea = pick(ladder.read(tmp_path), "ladder", "korea")
    coded = korea[korea["source"] == "ladder-coding"].set_index("month")
    assert coded["value"].to_dict() == {"2015-01": 0, "2015-03": 3, "2015-04": 3}
    assert "uncertain" in coded.loc["2015-03", "quality"]
    assert "uncertain" not in coded.loc["2015-01", "quality"]


def test_ladder_month_that_rests_on_recalled_incidents_says_so(tmp_path: Path) -> None:
    write_ladder(tmp_path, CODED)
    korea = pick(ladder.read(tmp_path), "ladder", "korea").set_index("month")["quality"]
    assert "recalled" in korea["2015-04"]
    assert "recalled" not in korea["2015-03"]


def test_ladder_of_ukraine_is_the_edge_and_the_war_is_its_own_series(tmp_path: Path) -> None:
    write_ladder(tmp_path, CODED)
    frame = ladder.read(tmp_path)
    edge = by_month(frame, "ladder", "ukraine_nato")
    assert (edge["2015-11"], edge["2022-03"]) == (4, 3)
    war = pick(frame, "ladder_war", "ukraine_nato").set_index("month")
    assert war["value"].to_dict() == {"2015-11": 4, "2022-03": 5}
    assert "edge" in war.loc["2015-11", "note"]


def test_ladder_mid_months_without_an_incident_are_real_zeros(tmp_path: Path) -> None:
    write_ladder(tmp_path, CODED)
    korea = pick(ladder.read(tmp_path), "ladder", "korea")
    before = korea[korea["source"] == "cow-mid5"].set_index("month")["value"]
    assert len(before) == 22 * 12
    assert before.sum() == before["2010-11"] == 4


def test_ladder_month_after_the_coding_ended_is_refused(tmp_path: Path) -> None:
    later = (ladder.CODED_TO + pd.DateOffset(months=1)).strftime("%Y-%m")
    write_ladder(tmp_path, [f"taiwan,{later},0,0,0,none_found,0,0,fair"])
    with pytest.raises(DataError, match="CODED_TO"):
        ladder.read(tmp_path)


# --- War ---------------------------------------------------------------------------------------


def write_war(raw: Path) -> None:
    write(
        raw,
        war_intensity.ECONOMIST_FOLDER,
        war_intensity.ECONOMIST_FILE,
        "month,as_of_date,iso3,measure,estimate,ci95_low,ci95_high,estimate_month_increment",
        [
            "2022-02,2022-02-28,RUS,cumulative_casualties,6364,1736,25488,",
            "2022-03,2022-03-31,RUS,cumulative_casualties,12958,6524,25739,6594",
            "2022-04,2022-04-21,RUS,cumulative_casualties,15000,9000,26000,2042",
            "2022-03,2022-03-31,RUS,cumulative_deaths,3000,2000,4000,1500",
        ],
    )
    write(
        raw,
        war_intensity.CLAIMS_FOLDER,
        war_intensity.CLAIMS_FILE,
        "as_of_date,month,iso3,item,cumulative_claimed,month_increment",
        [
            "2022-02-28,2022-02,RUS,personnel,5300,",
            "2022-03-31,2022-03,RUS,personnel,17500,12200",
            "2022-03-31,2022-03,RUS,tank,600,400",
            "2022-04-08,2022-04,RUS,personnel,18900,1400",
        ],
    )


@pytest.mark.parametrize(
    ("series", "value", "published"),
    [("russian_casualties", 6594, "2022-04-10"), ("war_claims", 12200, "2022-04-03")],
)
def test_war_series_hold_whole_months_of_persons_only(
    tmp_path: Path, series: str, value: float, published: str
) -> None:
    write_war(tmp_path)
    rows = pick(war_intensity.read(tmp_path), series, "RUS")
    assert rows[["month", "value"]].to_numpy().tolist() == [["2022-03", value]]
    assert rows["published_at"].tolist() == [pd.Timestamp(published)]
    # The interval of the running total is not an interval of the month.
    assert rows[["low", "high"]].isna().all(axis=None)


# --- All ---------------------------------------------------------------------------------------


def test_nothing_is_published_before_its_period_ends_and_no_figure_is_twice(tmp_path: Path) -> None:
    write_gpr(tmp_path, GPR_VINTAGES)
    write_sanctions(tmp_path)
    write_vetoes(tmp_path)
    write_pla(tmp_path)
    write_ladder(tmp_path, CODED)
    write_war(tmp_path)
    for reader in (gpr, sanctions, security_council, pla_taiwan, ladder, war_intensity):
        frame = reader.read(tmp_path)
        assert tuple(frame.columns) == OBSERVATION_COLUMNS
        assert (frame["published_at"] >= frame["period_end"]).all(), reader.__name__
        assert not frame.duplicated([*FIGURE_KEY, "release"]).any(), reader.__name__


@pytest.mark.parametrize(
    "reader", [gpr, ladder, launches, pla_taiwan, sanctions, security_council, unga, war_intensity]
)
def test_missing_raw_folder_is_named(tmp_path: Path, reader: object) -> None:
    with pytest.raises(DataError, match="missing"):
        reader.read(tmp_path)  # type: ignore[attr-defined]
