"""Readers of the annual and report series, on small raw folders that the tests write themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation_forecast import sources
from escalation_forecast.schema import CORE_FOUR, OBSERVATION_COLUMNS, DataError
from escalation_forecast.sources import (
    arms_transfers,
    budgets,
    imf_weo,
    sipri_milex,
    timeline,
    us_troops,
)
from escalation_forecast.sources._common import (
    month_end,
    observation_frame,
    period,
    text_of,
    write_observations,
)

EMBEDDED = Path(__file__).parents[1] / "data" / "observations"


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


def row(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "series": "milex_constant",
        "unit": "CHN",
        "period_start": "2020-01-01",
        "period_end": "2020-12-31",
        "value": 1.0,
        "unit_of_measure": "usd_mn",
        "source": "sipri-milex",
        "release": "2021",
        "published_at": "2021-04-26",
        "quality": "estimate",
    }
    return base | changes


# --- Dates, rows, files ------------------------------------------------------------------------


def test_periods_cover_whole_months_quarters_and_years() -> None:
    spans = [period(2024), period(2024, 2), period(2023, quarter=4)]
    text = [(f"{a:%Y-%m-%d}", f"{b:%Y-%m-%d}") for a, b in spans]
    assert text == [
        ("2024-01-01", "2024-12-31"),
        ("2024-02-01", "2024-02-29"),
        ("2023-10-01", "2023-12-31"),
    ]
    assert month_end("2024-02-29") == pd.Timestamp("2024-02-29")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"value": None}, "No value"),
        ({"published_at": None}, "A date is missing"),
        ({"quality": "guessed"}, "Unknown quality"),
        ({"period_end": "2019-12-31"}, "ends before"),
        ({"source": ""}, "empty text"),
    ],
)
def test_rows_that_the_store_would_refuse_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        observation_frame([row(**changes)])


def test_the_same_figure_twice_in_one_release_is_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        observation_frame([row(), row(value=2.0)])


@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False))
def test_number_text_is_plain_and_close(value: float) -> None:
    text = text_of(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=5.1e-6, abs=1e-300)


def test_whole_numbers_keep_every_digit() -> None:
    assert [text_of(12345678.0), text_of(0.0), text_of(7.0), text_of(float("nan"))] == [
        "12345678",
        "0",
        "7",
        "",
    ]


def test_file_is_sorted_and_a_failed_write_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spending.csv"
    frame = observation_frame([row(unit="JPN", value=2.5), row()])
    write_observations(frame.iloc[::-1], path)
    kept = path.read_bytes()
    assert b"\r" not in kept
    assert kept.decode().splitlines()[1:] == [
        "milex_constant,CHN,2020-01-01,2020-12-31,1,,,usd_mn,sipri-milex,2021,2021-04-26,estimate,",
        "milex_constant,JPN,2020-01-01,2020-12-31,2.5,,,usd_mn,sipri-milex,2021,2021-04-26,estimate,",
    ]

    def fail(self: pd.DataFrame, stream: object, **_: object) -> None:
        stream.write("half")  # type: ignore[attr-defined]
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_observations(frame, path)
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_raw_folder_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    milex(raw, ["2026,CHN,2024,constant_usd_mn,2024,100,sipri_estimate"])
    with pytest.raises(DataError, match="'imf-weo-2025-10' is missing"):
        sources.build(raw, out)
    assert not out.exists()


def test_a_missing_raw_column_is_named(tmp_path: Path) -> None:
    write(tmp_path, sipri_milex.FOLDER, sipri_milex.FILE, "release_year,iso3,year", ["2026,CHN,2024"])
    with pytest.raises(DataError, match=r"lacks column.*price_base_year"):
        sipri_milex.read(tmp_path)


# --- Spending ----------------------------------------------------------------------------------


def milex(raw: Path, rows: Sequence[str]) -> None:
    write(raw, sipri_milex.FOLDER, sipri_milex.FILE, ",".join(sipri_milex.COLUMNS), rows)


def test_old_origins_read_the_2017_release_cut_at_their_year(tmp_path: Path) -> None:
    milex(
        tmp_path,
        [
            "2017,JPN,2015,constant_usd_mn,2015,100,reported",
            "2017,JPN,2016,constant_usd_mn,2015,101,reported",
            "2026,JPN,2015,constant_usd_mn,2024,140,highly_uncertain",
        ],
    )
    frame = sipri_milex.read(tmp_path)
    first = pick(frame, "JPN", 2015).set_index("release")
    assert list(first.index) == ["2017p", "2017", "2026"]
    assert f"{first.loc['2017p', 'published_at']:%Y-%m-%d}" == "2016-04-30"
    assert first.loc["2017p", "quality"] == "reported;pseudo_vintage"
    assert first.loc["2026", "quality"] == "uncertain"
    assert first.loc["2026", "note"] == "constant 2024 USD"
    # 2016 has its true first print, so a pseudo-vintage would be a second one.
    assert by_release(pick(frame, "JPN", 2016)) == {"2017": 101.0}


def test_blank_spending_is_missing_and_not_zero(tmp_path: Path) -> None:
    milex(
        tmp_path,
        [
            "2026,VNM,2019,constant_usd_mn,2024,,",
            "2026,VNM,2018,constant_usd_mn,2024,7.5,sipri_estimate",
            "2026,VNM,2018,share_gdp_pct,,2.1,sipri_estimate",
        ],
    )
    assert by_release(sipri_milex.read(tmp_path)) == {"2026": 7.5}


def test_a_release_without_a_known_date_is_refused(tmp_path: Path) -> None:
    milex(tmp_path, ["2031,CHN,2030,constant_usd_mn,2029,100,sipri_estimate"])
    with pytest.raises(DataError, match="2031"):
        sipri_milex.read(tmp_path)


def three_year_means(release: int) -> pd.Series:
    """Mean growth of the last three years, in per cent, read inside one embedded release."""
    frame = pd.read_csv(EMBEDDED / "spending.csv", dtype={"release": "str"})
    frame = frame[frame["release"] == str(release)]
    wide = frame.pivot(index="period_start", columns="unit", values="value")[list(CORE_FOUR)]
    years = [f"{release - lag}-01-01" for lag in (4, 3, 2, 1)]
    growth = 100.0 * (wide.loc[years] / wide.loc[years].shift(1) - 1.0)
    return growth.iloc[1:].mean()


def test_embedded_three_year_means_of_2025() -> None:
    assert three_year_means(2026).round(1).to_dict() == {"CHN": 6.9, "JPN": 14.4, "KOR": 1.6, "TWN": 5.7}


@pytest.mark.parametrize(("release", "expected"), [(2024, False), (2025, True), (2026, True)])
def test_embedded_data_resolve_the_regional_build_up(release: int, expected: bool) -> None:
    assert bool(three_year_means(release).ge(5.0).sum() >= 3) is expected


# --- Economy -----------------------------------------------------------------------------------


def test_projections_and_blanks_of_the_outlook_stay_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        imf_weo.FOLDER,
        imf_weo.FILE,
        "iso3,year,real_gdp_growth_pct,cpi_inflation_avg_pct,is_projection",
        ["TWN,2023,1.1,2.5,False", "TWN,2024,,2.2,False", "TWN,2025,3.7,1.7,True", "PRK,2023,1,1,False"],
    )
    frame = imf_weo.read(tmp_path)
    found = {
        (s, d.year): v for s, d, v in zip(frame["series"], frame["period_start"], frame["value"], strict=True)
    }
    assert found == {("gdp_growth", 2023): 1.1, ("cpi_inflation", 2023): 2.5, ("cpi_inflation", 2024): 2.2}
    assert set(frame["unit"]) == {"TWN"}
    assert f"{frame['published_at'].max():%Y-%m-%d}" == "2025-04-20"


def test_a_blank_projection_flag_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        imf_weo.FOLDER,
        imf_weo.FILE,
        "iso3,year,real_gdp_growth_pct,cpi_inflation_avg_pct,is_projection",
        ["TWN,2023,1.1,2.5,False", "TWN,2024,3,2.2,"],
    )
    with pytest.raises(DataError, match="is_projection"):
        imf_weo.read(tmp_path)


# --- Budgets -----------------------------------------------------------------------------------


def budget(
    state: str,
    start: str,
    stage: str,
    known: str,
    amount: object = "",
    growth: object = "",
    note: str = "",
    url: str = "https://example.org",
    confidence: str = "high",
) -> str:
    return f"{state},{start[:4]},{start},{stage},{known},{amount},{growth},{note},{url},{confidence}"


def read_budgets(raw: Path, *rows: str) -> pd.DataFrame:
    write(raw, budgets.FOLDER, budgets.FILE, ",".join(budgets.COLUMNS), rows)
    return budgets.read(raw)


def test_korean_enacted_budget_replaces_the_proposal_by_its_later_date(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("KOR", "2024-01", "enacted", "2023-12-21", 100.0, 4.2),
        budget("KOR", "2025-01", "proposal", "2024-08-27", 103.6, 3.6),
        budget("KOR", "2025-01", "enacted", "2024-12-10", 103.1, 3.1),
        budget("KOR", "2025-01", "supplementary", "2025-05", 110.0),
        budget("KOR", "2026-01", "plan", "2025-09-03", 120.0, 7.7),
    )
    rows = pick(frame, "KOR", 2025)
    assert by_release(rows) == {"1-proposal": 3.6, "2-enacted": 3.1}
    assert list(rows.sort_values("published_at")["release"]) == ["1-proposal", "2-enacted"]
    assert pick(frame, "KOR", 2026).empty


def test_japanese_fiscal_years_are_spread_over_calendar_years(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("JPN", "2022-04", "enacted", "2022-03-22", 100.0),
        budget("JPN", "2023-04", "enacted", "2023-03-28", 120.0),
        budget("JPN", "2024-04", "cabinet_draft", "2023-12-22", 150.0),
        budget("JPN", "2024-04", "enacted", "2024-03-28", 140.0),
        budget("JPN", "2024-04", "supplementary", "2024-11-29", 30.0),
    )
    # 2023: 3/4 of 120 and 1/4 of 100; 2024: 3/4 of 150 (140) and 1/4 of 120.
    assert by_release(pick(frame, "JPN", 2024)) == {
        "1-proposal": round(100 * (142.5 / 115 - 1), 4),
        "2-enacted": round(100 * (135 / 115 - 1), 4),
    }
    assert pick(frame, "JPN", 2023).empty


def test_chinese_growth_is_the_announced_rate_and_not_a_ratio_of_levels(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("CHN", "2024-01", "announced", "2024-03-05", 100.0, 7.2),
        budget("CHN", "2025-01", "announced", "2025-03-05", 120.0, 7.2),
    )
    assert by_release(pick(frame, "CHN", 2025)) == {"2-enacted": 7.2}


def test_taiwan_counts_special_budgets_from_2021(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("TWN", "2019-01", "enacted", "2019-01-10", 340.0),
        budget("TWN", "2020-01", "proposal", "2019-08-15", 358.0, 5.2, "ministry budget"),
        budget("TWN", "2020-01", "proposal", "2019-08-15", 400.0, "", "total with funds"),
        budget("TWN", "2020-01", "enacted", "2020-01-20", 351.0, 3.2),
        budget("TWN", "2021-01", "proposal", "2020-08-13", 366.0, 4.4, "ministry budget"),
        budget("TWN", "2021-01", "proposal", "2020-08-13", 440.0, 9.9, "total with special budget"),
        budget("TWN", "2022-01", "special", "2021-11-25", 237.0, "", "several years together"),
        budget("TWN", "2026-01", "proposal", "2025-08-21", 561.0, 18.5, "ministry budget"),
        budget("TWN", "2025-01", "proposal", "2024-08-22", 500.0, 6.6, "total with special budgets"),
        budget("TWN", "2026-01", "proposal", "2025-08-21", 625.0, 26, "old definition: with special"),
        budget("TWN", "2026-01", "proposal", "2025-08-21", 900.0, 40, "new wide definition"),
    )
    assert by_release(pick(frame, "TWN", 2020)) == {"1-proposal": 5.2}
    assert by_release(pick(frame, "TWN", 2021)) == {"1-proposal": 10.0}
    last = pick(frame, "TWN", 2026)
    assert last[["low", "value", "high"]].iloc[0].tolist() == [18.5, 25.0, 25.0]
    assert len(last) == 1


def test_taiwan_budget_of_eighteen_months_counts_at_its_monthly_rate(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("TWN", "1997-07", "enacted", "1997-06", 120.0),
        budget("TWN", "1998-07", "enacted", "1998-06", 120.0),
        budget("TWN", "1999-07", "enacted", "1999-06", 216.0),
        budget("TWN", "2001-01", "enacted", "2001-01", 144.0),
    )
    # 10 a month to June 1999, 12 a month from July 1999 on.
    assert by_release(pick(frame, "TWN", 1999)) == {"2-enacted": 10.0}
    assert by_release(pick(frame, "TWN", 2000)) == {"2-enacted": round(100 * (144 / 132 - 1), 4)}
    assert by_release(pick(frame, "TWN", 2001)) == {"2-enacted": 0.0}


def test_recalled_and_undated_budgets_become_known_late(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("KOR", "1999-01", "enacted", "1998-12", 100.0, 1.0),
        budget("CHN", "1995-01", "announced", "1995-03-06", 62.8, 21.2, url="", confidence="low"),
    )
    known = {unit: f"{d:%Y-%m-%d}" for unit, d in zip(frame["unit"], frame["published_at"], strict=True)}
    assert known == {"KOR": "1998-12-31", "CHN": "1995-04-06"}
    assert pick(frame, "CHN")["quality"].tolist() == ["recalled"]


def test_recalled_budgets_of_other_states_stay_out(tmp_path: Path) -> None:
    frame = read_budgets(
        tmp_path,
        budget("MYS", "2025-01", "proposal", "2024-10-18", 21.1, 7.1),
        budget("MYS", "2024-01", "proposal", "2023-10-13", 19.7, 11.3, url="", confidence="low"),
    )
    assert frame["period_start"].dt.year.tolist() == [2025]


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


# --- Embedded files ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spending", "economy", "budgets", "troops", "transfers"])
def test_embedded_file_is_as_its_writer_would_write_it(name: str, tmp_path: Path) -> None:
    path = EMBEDDED / f"{name}.csv"
    frame = pd.read_csv(path, dtype={"release": "str"}, keep_default_na=False, na_values=[""])
    assert tuple(frame.columns) == OBSERVATION_COLUMNS
    text = frame.select_dtypes("str").columns
    frame[text] = frame[text].fillna("")
    write_observations(observation_frame(frame.to_dict("records")), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
