"""Multi-year programmes: the rates by hand, readings at later budgets, what was known when, bad tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalation_forecast.schema import DataError
from escalation_forecast.sources import budgets, programmes
from escalation_forecast.sources._common import observation_frame, write_observations
from escalation_forecast.store import Store, data_root

EMBEDDED = data_root() / programmes.FILE
# Round numbers: 300 over three years after 100, no growth; in current prices.
LINE = {
    "state": "JPN", "fy_first": "2021", "fy_last": "2023", "fy_start_month": "4", "total_local_bn": "300",
    "base_local_bn": "", "mean_growth_pct": "", "price_base": "", "currency": "JPY", "definition": "core",
    "published_at": "2020-12-10", "ended_at": "", "url": "http://a.b", "title": "Page", "quality": "reported",
    "note": "",
}  # fmt: skip


def table(path: Path, *lines: dict[str, str]) -> Path:
    frame = pd.DataFrame([LINE | line for line in lines], columns=list(programmes.COLUMNS))
    frame.to_csv(path, index=False)
    return path


def budget(year: int, stage: str, day: str, amount: float, note: str = "", confidence: str = "high") -> str:
    return f"JPN,FY{year},{year}-04,{stage},{day},{amount},,{note},http://c.d,{confidence}"


def raw_budgets(raw: Path, rows: Sequence[str]) -> Path:
    (raw / budgets.FOLDER).mkdir(parents=True)
    text = "\n".join([",".join(budgets.COLUMNS), *rows]) + "\n"
    (raw / budgets.FOLDER / budgets.FILE).write_text(text, encoding="utf-8")
    return raw


YEARLY = (
    budget(2019, "enacted", "2019-03-27", 100.0),
    budget(2020, "enacted", "2020-03-27", 110.0, "core without them 100.0 bn"),
    budget(2021, "cabinet_draft", "2020-12-21", 120.0),
    budget(2021, "enacted", "2021-03-26", 120.0),
    budget(2022, "enacted", "2022-03-22", 90.0),
)


def values(frame: pd.DataFrame) -> dict[tuple[str, int], float]:
    keys = zip(frame["release"], frame["period_start"].dt.year, strict=True)
    return dict(zip(keys, frame["value"], strict=True))


def read(tmp_path: Path, *lines: dict[str, str], rows: Sequence[str] = YEARLY) -> pd.DataFrame:
    return programmes.read(raw_budgets(tmp_path / "raw", rows), table(tmp_path / "own.csv", *lines))


# --- arithmetic


def test_what_is_left_of_a_total_in_current_prices_is_spread_over_the_years_left(tmp_path: Path) -> None:
    found = values(read(tmp_path, {}))
    # On its day the base is the core figure 100, and 300 over three years is no growth at all.
    start = [found["2020-12-10", year] for year in (2021, 2022, 2023)]
    assert start == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    # After 120 for 2021, 180 is left for two years: 120 (r + r^2) = 180, so r = (sqrt(7) - 1) / 2.
    r = (np.sqrt(7.0) - 1.0) / 2.0
    # Calendar 2021 is 3/4 of 120 and 1/4 of 100; calendar 2022 is 3/4 of 120 r and 1/4 of 120.
    first = 100.0 * ((90.0 * r + 30.0) / 115.0 - 1.0)
    second = 100.0 * ((90.0 * r**2 + 30.0 * r) / (90.0 * r + 30.0) - 1.0)
    assert found["2020-12-21", 2022] == pytest.approx(first)
    assert found["2020-12-21", 2023] == pytest.approx(second) == pytest.approx(100.0 * (r - 1.0))
    # The enacted budget of 2021 adds nothing to its draft; that of 2022 has no draft, and 90 are left.
    assert found["2022-03-22", 2023] == pytest.approx(100.0 * (90.0 / 97.5 - 1.0))
    assert {release for release, _ in found} == {"2020-12-10", "2020-12-21", "2022-03-22"}


def test_a_total_in_prices_of_a_base_year_gives_a_rate_that_later_budgets_do_not_change(
    tmp_path: Path,
) -> None:
    # 364.1 after 100 is 10 per cent a year.
    line = {"total_local_bn": "364.1", "price_base": "2020"}
    found = values(read(tmp_path, line))
    assert found["2020-12-21", 2023] == pytest.approx(10.0)
    # 3/4 of 132 and 1/4 of 120 on 3/4 of 120 and 1/4 of 100.
    assert found["2020-12-21", 2022] == pytest.approx(100.0 * (129.0 / 115.0 - 1.0))


def test_printed_mean_growth_is_the_growth_of_every_year_without_a_budget(tmp_path: Path) -> None:
    line = {
        "state": "KOR", "fy_start_month": "1", "total_local_bn": "", "mean_growth_pct": "7.5",
        "definition": "general_account", "published_at": "2021-01-11",
    }  # fmt: skip
    rows = [
        f"KOR,{year},{year}-01,enacted,{year - 1}-12-08,{amount},,,http://c.d,high"
        for year, amount in ((2020, 50.0), (2021, 53.0), (2022, 60.0))
    ]
    found = values(read(tmp_path, line, rows=rows))
    # The plan is made anew every year, so the budget of 2022 is no new reading of it.
    assert found == pytest.approx({("2021-01-11", 2022): 7.5, ("2021-01-11", 2023): 7.5})


@given(st.floats(1.0, 1e5), st.integers(1, 10), st.floats(-0.5, 1.0).filter(lambda rate: abs(rate) > 1e-3))
def test_constant_rate_adds_up_to_the_total(base: float, years: int, rate: float) -> None:
    # closed form of the geometric series
    total = base * (1.0 + rate) * ((1.0 + rate) ** years - 1.0) / rate
    assert programmes.constant_rate(base, total, years) == pytest.approx(rate, abs=1e-7)


# --- what was known when


def test_no_reading_before_the_programme_nor_after_it_was_replaced(tmp_path: Path) -> None:
    successor = {"fy_first": "2022", "fy_last": "2024", "published_at": "2021-12-16", "total_local_bn": "400"}
    frame = read(tmp_path, {}, successor)
    assert (frame["release"] == frame["published_at"].dt.strftime("%Y-%m-%d")).all()
    old = frame[frame["note"].str.contains("2021-2023")]
    assert set(old["release"]) == {"2020-12-10", "2020-12-21"}
    assert old["published_at"].min() == pd.Timestamp("2020-12-10")
    assert set(frame["release"]) - set(old["release"]) == {"2021-12-16", "2022-03-22"}


def test_a_dropped_programme_is_read_no_more(tmp_path: Path) -> None:
    frame = read(tmp_path, {"ended_at": "2020-12-15"})
    assert set(frame["release"]) == {"2020-12-10"}


def test_a_budget_of_the_future_changes_nothing(tmp_path: Path) -> None:
    known = values(read(tmp_path / "a", {}, rows=YEARLY[:3]))
    later = values(read(tmp_path / "b", {}))
    assert known == {key: value for key, value in later.items() if key[0] <= "2020-12-21"}
    assert len(known) == 5


def test_a_recalled_programme_becomes_known_a_month_late(tmp_path: Path) -> None:
    frame = read(tmp_path, {"quality": "recalled", "url": ""})
    assert frame["published_at"].min() == pd.Timestamp("2021-01-10")
    assert set(frame["quality"]) == {"recalled"}
    # By then the draft of 2021 is out, so its year is no part of the reading.
    assert frame["period_start"].dt.year.min() == 2022


def test_a_recalled_budget_marks_the_reading_it_enters(tmp_path: Path) -> None:
    rows = [*YEARLY[:2], budget(2021, "cabinet_draft", "2020-12-21", 120.0, confidence="low")]
    frame = read(tmp_path, {}, rows=rows).set_index("release")
    assert set(frame.loc["2020-12-10", "quality"]) == {"reported"}
    assert set(frame.loc["2021-01-21", "quality"]) == {"recalled"}


def test_a_year_that_has_begun_without_a_known_budget_stops_the_reading(tmp_path: Path) -> None:
    assert not read(tmp_path / "a", {}, rows=YEARLY[:2]).empty
    assert read(tmp_path / "b", {"published_at": "2021-05-01"}, rows=YEARLY[:2]).empty


# --- the table


HOSTILE: list[tuple[dict[str, str], str]] = [
    ({"total_local_bn": "43 trillion"}, r"row 2: total_local_bn `43 trillion` is not a number"),
    ({"total_local_bn": "-5"}, "row 2: total_local_bn -5 is not positive"),
    ({"total_local_bn": ""}, "row 2: there is no total and no growth"),
    ({"mean_growth_pct": "nan"}, "row 2: mean_growth_pct `nan` is not a number"),
    ({"fy_last": "2020"}, "row 2: 2021 to 2020 is not a window"),
    ({"fy_last": "2121"}, "row 2: 2021 to 2121 is not a window"),
    ({"fy_first": "FY2021"}, "row 2: fy_first `FY2021` is not a whole number"),
    ({"fy_start_month": "13"}, "row 2: fy_start_month 13 is no month"),
    ({"price_base": "1995"}, "row 2: price_base 1995 is not the year"),
    ({"definition": "headline"}, "row 2: unknown definition `headline`; use one of core, general_account"),
    ({"state": "Japan"}, "row 2: state `Japan` is not an ISO 3166"),
    ({"published_at": "2020-12"}, "row 2: published_at `2020-12` is not a date"),
    ({"ended_at": "2020-12-01"}, "row 2: ended_at is not after published_at"),
    ({"url": ""}, "row 2: a reported row has no url"),
    ({"quality": "guessed"}, "row 2: unknown quality `guessed`"),
    ({"currency": ""}, "row 2: currency is blank"),
]


@pytest.mark.parametrize(("change", "complaint"), HOSTILE)
def test_a_wrong_cell_is_named_with_its_row(tmp_path: Path, change: dict[str, str], complaint: str) -> None:
    assert len(programmes.load(table(tmp_path / "sound.csv", {}))) == 1
    with pytest.raises(DataError, match=complaint):
        programmes.load(table(tmp_path / "own.csv", change))


def test_two_programmes_of_one_day_and_a_lost_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 3: JPN has a programme of that day in row 2"):
        programmes.load(table(tmp_path / "own.csv", {}, {"fy_last": "2024"}))
    path = table(tmp_path / "less.csv", {})
    pd.read_csv(path, dtype="str").drop(columns="definition").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"lacks column.*definition"):
        programmes.load(path)
    with pytest.raises(DataError, match="does not exist"):
        programmes.load(tmp_path / "none.csv")


# --- the embedded data


def embedded(unit: str | None = None) -> pd.DataFrame:
    frame = pd.read_csv(
        EMBEDDED.parent / "observations" / "programmes.csv",
        dtype={"release": "str"}, keep_default_na=False, na_values={"low": [""], "high": [""]},
    )  # fmt: skip
    chosen = frame if unit is None else frame[frame["unit"] == unit]
    return observation_frame(
        [{str(name): cell for name, cell in row.items()} for row in chosen.to_dict("records")]
    )


def test_japanese_programmes_give_the_growth_that_was_printed_with_them() -> None:
    """Growth printed by the government: 2.1 (1995), 0.8 (2013), 1.1 (2018)."""
    found = values(embedded("JPN"))
    last = {"1995-12-14": (2000, 2.1), "2013-12-17": (2018, 0.8), "2018-12-18": (2023, 1.1)}
    for release, (year, printed) in last.items():
        assert found[release, year] == pytest.approx(printed, abs=0.05)


def test_the_programme_of_2022_read_by_hand() -> None:
    found = values(embedded("JPN"))
    g = found["2022-12-23", 2025] / 100.0
    assert sum(6600.1 * (1 + g) ** k for k in range(1, 5)) == pytest.approx(40500 - 6600.1, rel=1e-5)
    grown = (0.75 * (1 + g) + 0.25) * 6600.1 / (0.75 * 6600.1 + 0.25 * 5178.8)
    assert found["2022-12-23", 2024] == pytest.approx(100.0 * (grown - 1.0), abs=1e-3)


def test_origins_see_only_programmes_decided_by_then() -> None:
    store = Store.embedded()
    table = programmes.load(EMBEDDED)
    for day in ("2000-12-20", "2013-04-30", "2018-12-17", "2022-12-15"):
        seen = store.as_of(day).releases("programme_growth", "JPN")
        last = max(p.known for p in table if p.state == "JPN" and p.known <= pd.Timestamp(day))
        following = min(p.known for p in table if p.state == "JPN" and p.known > pd.Timestamp(day))
        assert last <= seen["published_at"].max() <= pd.Timestamp(day) < following
        # no year whose budget stood then: the last one announced is the year of the day or the next
        newest = seen[seen["published_at"] == seen["published_at"].max()]
        announced = store.as_of(day).releases("budget_growth", "JPN")
        at = announced[announced["published_at"] <= newest["published_at"].max()]
        assert newest["period_start"].min() > at["period_start"].max()


def test_embedded_readings_are_as_their_writer_would_write_them(tmp_path: Path) -> None:
    path = EMBEDDED.parent / "observations" / "programmes.csv"
    write_observations(embedded(), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
