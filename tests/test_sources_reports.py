"""Readers of troop reports and arms transfers, on small raw folders that the tests write themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast.schema import DataError
from escalation_forecast.sources import arms_transfers, timeline, us_troops


def write(raw: Path, folder: str, file: str, header: str, rows: Sequence[str]) -> None:
    (raw / folder).mkdir(parents=True, exist_ok=True)
    (raw / folder / file).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def pick(frame: pd.DataFrame, unit: str, year: int | None = None, series: str | None = None) -> pd.DataFrame:
    chosen = frame[frame["unit"] == unit]
    if year is not None:
        chosen = chosen[chosen["period_start"].dt.year == year]
    return chosen if series is None else chosen[chosen["series"] == series]


def by_release(frame: pd.DataFrame) -> dict[str, float]:
    return dict(zip(frame["release"], frame["value"].round(4), strict=True))


# --- North Korean troops and arms --------------------------------------------------------------


TROOP_HEADER = "date,as_of,measure,value,low,high,reported_by,url,confidence"
ARMS_HEADER = "date,as_of,direction,item,basis,value,low,high,reported_by,url,confidence"
PAGE = "https://example.org"


def read_timeline(raw: Path, troops: Sequence[str] = (), arms: Sequence[str] = ()) -> pd.DataFrame:
    write(raw, timeline.FOLDER, timeline.TROOPS, TROOP_HEADER, troops)
    write(raw, timeline.FOLDER, timeline.ARMS, ARMS_HEADER, arms)
    return timeline.read(raw)


def reports(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["series"] == "dprk_troops_in_russia") & (frame["source"] != "structural-zero")]


def test_only_stocks_enter_and_plans_never_do(tmp_path: Path) -> None:
    frame = read_timeline(
        tmp_path,
        [
            f"2025-02-05,2025-02,planned_total,20000,20000,,Zelensky,{PAGE},low",
            f"2025-02-05,2025-02,sent_cumulative,14000,,,NIS of South Korea,{PAGE},high",
            f"2025-02-05,2025-02,killed_cum,300,,,NIS of South Korea,{PAGE},high",
            f"2025-02-04,2025-02-04,stock_kursk,8000,,8000,HUR (Budanov),{PAGE},medium",
            f"2025-02-06,2025-02-06,stock_kursk,,,,HUR (Budanov),{PAGE},medium",
        ],
    )
    found = reports(frame)
    assert found[["value", "high", "source", "note"]].iloc[0].tolist() == [8000, 8000, "hur", "stock_kursk"]
    assert len(found) == 1
    assert pd.isna(found["low"].iloc[0])


def test_reports_with_one_root_collapse_to_the_earliest(tmp_path: Path) -> None:
    frame = read_timeline(
        tmp_path,
        [
            f"2026-02-17,2026-02-17,stock_kursk,8000,,,ISW Update from HUR,{PAGE},medium",
            f"2026-02-09,2026-01,stock_kursk,8000,8000,10000,HUR official to a paper,{PAGE},high",
            f"2026-02-11,2026-01,stock_kursk,8000,8000,,HUR,{PAGE},high",
            f"2026-02-11,2026-01,stock_kursk,8000,,,Pentagon,{PAGE},high",
            f"2026-05-11,2026-05,stock_kursk,8000,,,HUR,{PAGE},high",
        ],
    )
    found = reports(frame).sort_values("published_at")
    days = [f"{day:%m-%d}" for day in found["published_at"]]
    assert list(zip(found["source"], days, strict=True)) == [
        ("hur", "02-09"),
        ("us-government", "02-11"),
        ("hur", "05-11"),
    ]


def test_sappers_are_a_part_of_the_stock_of_the_same_report(tmp_path: Path) -> None:
    frame = read_timeline(
        tmp_path,
        [
            f"2025-09-02,2025-09-02,stock_sappers,1000,,,NIS of South Korea,{PAGE},high",
            f"2025-11-04,2025-11-04,stock_border,10000,10000,,NIS of South Korea,{PAGE},high",
            f"2025-11-04,2025-11-04,stock_sappers,1000,1000,,NIS of South Korea,{PAGE},high",
        ],
    )
    assert reports(frame)[["value", "low"]].to_numpy().tolist() == [[11000.0, 11000.0]]


def test_zeros_end_the_month_before_the_first_deployment(tmp_path: Path) -> None:
    frame = read_timeline(tmp_path)
    assert set(frame["value"]) == {0.0}
    assert [f"{d:%Y-%m}" for d in (frame["period_start"].min(), frame["period_start"].max())] == [
        "2022-02",
        "2024-09",
    ]
    assert len(frame) == 32


def test_shells_are_cumulative_and_go_to_russia(tmp_path: Path) -> None:
    frame = read_timeline(
        tmp_path,
        arms=[
            f"2024-02-27,2024-02,DPRK->Russia,containers,cumulative,10000,,,White House,{PAGE},medium",
            f"2024-03-18,2024-03,Russia->DPRK,containers,cumulative,9000,,,South Korean MND,{PAGE},high",
            f"2024-10-04,2024-10,DPRK->Russia,artillery_shells,flow,3000000,,,NATO,{PAGE},medium",
        ],
    )
    arms = frame[frame["source"] != "structural-zero"]
    assert arms["series"].tolist() == ["dprk_containers"]
    # The month is not over when the figure is printed: it refers to the day of the report.
    assert f"{arms['period_end'].iloc[0]:%Y-%m-%d}" == "2024-02-27"


def test_an_unknown_reporting_body_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'A new ministry'.*BODIES"):
        read_timeline(tmp_path, [f"2026-03-01,2026-03,stock_total,9000,,,A new ministry,{PAGE},high"])


# --- United States forces ----------------------------------------------------------------------


def test_europe_is_missing_when_one_host_is_and_gaps_are_not_filled(tmp_path: Path) -> None:
    full = [f"{host},2024,3,1000" for host in us_troops.EUROPE]
    write(
        tmp_path,
        us_troops.FOLDER,
        us_troops.QUARTERS,
        "iso3,year,quarter,us_active_duty",
        [*full, *(line.replace(",3,", ",4,") for line in full[1:]), "KOR,2024,4,23291", "JPN,2024,4,"],
    )
    write(
        tmp_path,
        us_troops.FOLDER,
        us_troops.YEARS,
        "iso3,year,us_active_duty,source_of_value",
        ["KOR,1952,326863,country_year_csv", "KOR,1957,71043,country_year_csv", "KOR,2008,25772,report"],
    )
    frame = us_troops.read(tmp_path)
    found = {
        (u, f"{d:%Y-%m}"): v
        for u, d, v in zip(frame["unit"], frame["period_end"], frame["value"], strict=True)
    }
    assert found == {("EUR", "2024-09"): 6000, ("KOR", "2024-12"): 23291, ("KOR", "1957-12"): 71043}
    assert (frame["published_at"] - frame["period_end"]).dt.days.unique().tolist() == [75]


# --- Arms transfers ----------------------------------------------------------------------------


def read_transfers(raw: Path) -> pd.DataFrame:
    folder = arms_transfers.FOLDER
    write(
        raw,
        folder,
        arms_transfers.EXPORTS_2024,
        "supplier_iso3,recipient_iso3,year,tiv_mn,release_year",
        ["RUS,CHN,2021,700,2024", "RUS,CHN,2022,0,2024", "RUS,CHN,2023,300,2024", "RUS,PRK,2009,20,2024"],
    )
    write(
        raw,
        folder,
        arms_transfers.DYADS_2025,
        "supplier_iso3,recipient_iso3,delivery_year,tiv_mn",
        [
            "RUS,CHN,2021,700",
            "RUS,CHN,2023,310.5",
            "PRK,RUS,2023,10",
            "PRK,RUS,2023,2.5",
            "PRK,RUS,2024,242.5",
        ],
    )
    write(
        raw,
        folder,
        arms_transfers.EXTRACT_2026,
        "supplier_iso3,recipient_iso3,delivery_year,tiv_mn,recipient_complete",
        ["PRK,RUS,2024,211.3,True", "IRN,RUS,2025,80,True", "RUS,IND,2025,5,False"],
    )
    return arms_transfers.read(raw)


def test_a_later_release_of_transfers_is_a_row_only_where_it_differs(tmp_path: Path) -> None:
    frame = read_transfers(tmp_path)
    assert by_release(pick(frame, "RUS>CHN", 2021)) == {"2024p": 700.0}
    assert by_release(pick(frame, "RUS>CHN", 2023)) == {"2024": 300.0, "2025": 310.5}
    assert by_release(pick(frame, "PRK>RUS", 2023)) == {"2025p": 12.5}
    assert by_release(pick(frame, "PRK>RUS", 2024)) == {"2025": 242.5, "2026": 211.3}


def test_pseudo_vintages_of_transfers_date_from_the_next_march(tmp_path: Path) -> None:
    frame = read_transfers(tmp_path)
    dates = pick(frame, "PRK>RUS", 2023)["published_at"].dt.strftime("%Y-%m-%d").tolist()
    assert dates == ["2024-03-15"]
    assert pick(frame, "RUS>CHN", 2023)["published_at"].dt.strftime("%Y-%m-%d").tolist()[0] == "2024-03-11"


def test_a_printed_zero_is_a_small_delivery_and_an_absent_row_is_none(tmp_path: Path) -> None:
    frame = read_transfers(tmp_path)
    small = pick(frame, "RUS>CHN", 2022)
    assert small[["value", "low", "high"]].iloc[0].tolist() == [0.25, 0.0, 0.5]
    # The next release has no row for that year although it covers the dyad: a revision to none.
    assert small[["release", "value"]].iloc[1].tolist() == ["2025", 0.0]
    assert by_release(pick(frame, "PRK>RUS", 2010)) == {"2025p": 0.0}
    assert by_release(pick(frame, "PRK>RUS", 2025)) == {"2026": 0.0}
    assert pick(frame, "RUS>IND", 2025)["value"].tolist() == [5.0]
    assert pick(frame, "USA>IND", 2025).empty


def test_russia_to_north_korea_is_never_a_zero(tmp_path: Path) -> None:
    assert "RUS>PRK" not in set(read_transfers(tmp_path)["unit"])
