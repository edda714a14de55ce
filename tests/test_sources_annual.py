"""Readers of spending, economy and budgets, and what all readers share, on raw folders made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation_forecast import sources
from escalation_forecast.schema import CORE_FOUR, OBSERVATION_COLUMNS, DataError
from escalation_forecast.sources import budgets, imf_weo, sipri_milex
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
