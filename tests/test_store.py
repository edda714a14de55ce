"""The store: what was known when, what its content hash sees, a user's own files."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_folder import FIGURE, INDICATOR, SPENDING, cells, folder, write
from escalation_forecast import store
from escalation_forecast.schema import FIGURE_KEY, INDICATOR_COLUMNS, OBSERVATION_COLUMNS, DataError
from escalation_forecast.store import LeakError, Store, data_root
from escalation_forecast.tables import Tables


@pytest.fixture(scope="module")
def embedded() -> Store:
    return Store.embedded()


# --- what was known when


def day(offset: int) -> pd.Timestamp:
    return (pd.Timestamp("2020-01-01") + pd.Timedelta(days=offset)).as_unit("us")


@st.composite
def random_store(draw: st.DrawFn) -> Store:
    """Many releases of few figures with colliding dates; spending and a latent figure known from day 0."""
    plan = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["gpr_country", "milex_constant"]), st.sampled_from(["KOR", "JPN"]),
                st.integers(0, 2), st.sampled_from(["2017", "2017p", "2018"]), st.integers(0, 20),
            ),
            max_size=25, unique_by=lambda row: row[:4],
        )
    )  # fmt: skip
    plan += [("gpr_country", "TWN", 0, "2017", 0), ("milex_constant", "TWN", 0, "2017", 0)]
    rows = [
        {
            "series": series, "unit": unit, "period_start": day(-400 + 31 * period),
            "period_end": day(-372 + period), "value": float(i), "low": None, "high": None,
            "unit_of_measure": "u", "source": "s", "release": release, "published_at": day(published),
            "quality": "reported", "note": "", "file": "f", "row": i + 2,
        }
        for i, (series, unit, period, release, published) in enumerate(plan)
    ]  # fmt: skip
    blank = pd.DataFrame({"series": pd.Series(["gpr_country", "milex_constant"]), "file": "", "row": 0})
    indicators = pd.DataFrame([INDICATOR]).assign(file="", row=0)
    frame = pd.DataFrame(draw(st.permutations(rows)))
    sources = pd.DataFrame({"source": ["s"], "file": "", "row": 0})
    return Store._from_tables(Tables(Path(), frame, indicators, blank, sources, ()))


few = settings(max_examples=50, deadline=None)


def identity(held: Store) -> set[tuple[Any, ...]]:
    return set(held.observations[[*FIGURE_KEY, "release", "published_at"]].itertuples(index=False, name=None))


@few
@given(random_store(), st.integers(0, 22), st.integers(0, 22))
def test_as_of_grows_with_the_date_and_never_sees_past_it(full: Store, first: int, second: int) -> None:
    early, late = full.as_of(day(min(first, second))), full.as_of(day(max(first, second)))
    assert identity(early) <= identity(late) <= identity(full)
    assert (late.observations["published_at"] <= day(max(first, second))).all()
    dropped = identity(full) - identity(late)
    assert all(row[-1] > day(max(first, second)) for row in dropped)


@few
@given(random_store(), st.integers(0, 22), st.integers(0, 22))
def test_as_of_is_idempotent_and_the_earlier_of_two_cuts_wins(full: Store, first: int, second: int) -> None:
    low, high = day(min(first, second)), day(max(first, second))
    once = full.as_of(low)
    assert once.as_of(low).content_hash() == once.content_hash()
    assert full.as_of(high).as_of(low).content_hash() == once.content_hash()


@few
@given(random_store(), st.integers(0, 22))
def test_latest_is_the_last_published_release_of_each_figure(full: Store, offset: int) -> None:
    best: dict[tuple[Any, ...], tuple[pd.Timestamp, str, float]] = {}
    for row in full.observations.to_dict("records"):
        key = tuple(row[name] for name in FIGURE_KEY)
        candidate = (row["published_at"], row["release"], row["value"])
        if row["published_at"] <= day(offset) and (key not in best or candidate > best[key]):
            best[key] = candidate
    cut = full.as_of(day(offset))
    frame = pd.concat([cut.latest(series) for series in cut.series["series"]])
    got = {
        tuple(row[name] for name in FIGURE_KEY): (row["published_at"], row["release"], row["value"])
        for row in frame.to_dict("records")
    }
    assert got == best
    assert len(frame) == len(best)


def test_broken_as_of_filter_leaks_a_planted_future_figure_and_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = FIGURE | {"value": "99", "release": "r2", "published_at": "2024-06-02"}
    full = Store.load(folder(tmp_path / "data", {"a": [FIGURE, planted], "b": [SPENDING]}))
    honest = full.as_of("2024-06-01")
    honest.assert_known("2024-06-01")
    assert honest.latest("gpr_country")["value"].tolist() == [0.5]

    def off_by_a_day(observations: pd.DataFrame, date: pd.Timestamp) -> pd.Series:
        return observations["published_at"] <= date + pd.Timedelta(days=1)

    monkeypatch.setattr(store, "known_rows", off_by_a_day)
    with pytest.raises(LeakError, match=r"1 figures .* 2024-06-01.* KOR .*a\.csv, row 3"):
        full.as_of("2024-06-01")
    monkeypatch.setattr(Store, "assert_known", lambda self, date: None)
    leaky = full.as_of("2024-06-01")
    monkeypatch.undo()
    assert leaky.latest("gpr_country")["value"].tolist() == [99]  # the leak is real, so catching it matters
    with pytest.raises(LeakError):
        leaky.assert_known("2024-06-01")


def test_embedded_store_at_any_origin_holds_no_later_figure(embedded: Store) -> None:
    for date in ("1995-06-30", "2016-12-31", "2022-02-23", "2024-04-21", "2025-04-28"):
        cut = embedded.as_of(date)
        cut.assert_known(date)
        assert len(cut.observations) < len(embedded.observations)
    with pytest.raises(LeakError):
        embedded.assert_known("2025-04-28")


def test_before_2017_only_the_pseudo_release_of_spending_is_known(embedded: Store) -> None:
    before = embedded.as_of("2016-12-31").releases("milex_constant")
    assert set(before["release"]) == {"2017p"}
    assert before["quality"].str.contains("pseudo_vintage").all()
    assert before["period_start"].dt.year.max() == 2015
    after = embedded.as_of("2017-05-01").latest("milex_constant", "KOR")
    assert set(after["release"]) == {"2017"}


def test_revisions_show_releases_in_order_of_publication(embedded: Store) -> None:
    wide = embedded.revisions("milex_constant", "TWN")
    assert list(wide.columns)[-3:] == ["2024", "2025", "2026"]
    growth = wide.pct_change(fill_method=None).xs(pd.Timestamp("2022-01-01"), level="period_start").iloc[0]
    assert growth["2023"] < 0.02 < 0.10 < growth["2026"]  # the special budget was counted in later


def test_as_of_before_the_first_figures_names_the_first_possible_date(tmp_path: Path) -> None:
    full = Store.load(folder(tmp_path / "data"))
    assert full.first_as_of() == dt.date(2020, 4, 27)
    with pytest.raises(DataError, match=r"2020-04-26; the first possible date is 2020-04-27\.$"):
        full.as_of("2020-04-26")
    assert full.as_of(dt.date(2020, 4, 27)).as_of_date == dt.date(2020, 4, 27)
    with pytest.raises(DataError, match="YYYY-MM-DD"):
        full.as_of("the day before yesterday")


def test_a_cut_store_refuses_a_later_date_and_added_files(tmp_path: Path) -> None:
    cut = Store.load(folder(tmp_path / "data")).as_of("2021-01-01")
    with pytest.raises(DataError, match="cut at 2021-01-01"):
        cut.as_of("2022-01-01")
    with pytest.raises(DataError, match="uncut store"):
        cut.with_files(observations=tmp_path / "mine.csv")


# --- content hash


@pytest.mark.parametrize("column", OBSERVATION_COLUMNS)
def test_content_hash_changes_with_any_observation_cell(tmp_path: Path, column: str) -> None:
    full = Store.load(folder(tmp_path / "data"))
    frame = full.observations.copy()
    value = frame.loc[0, column]
    if column in ("value", "low", "high"):
        frame.loc[0, column] = 0.25
    elif column in ("period_start", "period_end", "published_at"):
        frame.loc[0, column] = value + pd.Timedelta(days=1)
    else:
        frame.loc[0, column] = f"{value}x"
    assert dataclasses.replace(full, observations=frame).content_hash() != full.content_hash()


@pytest.mark.parametrize("column", INDICATOR_COLUMNS)
def test_content_hash_changes_with_any_indicator_cell(tmp_path: Path, column: str) -> None:
    full = Store.load(folder(tmp_path / "data"))
    frame = full.indicators.copy()
    frame.loc[0, column] = f"{frame.loc[0, column]}x"
    assert dataclasses.replace(full, indicators=frame).content_hash() != full.content_hash()


def test_content_hash_tells_a_value_from_a_bound_and_ignores_order_of_rows_and_files(tmp_path: Path) -> None:
    rows = [FIGURE | {"release": f"r{i}", "value": str(i / 7)} for i in range(5)]
    one = Store.load(folder(tmp_path / "one", {"a": [*rows, SPENDING]}))
    other = Store.load(folder(tmp_path / "two", {"z": rows[::-2], "b": [SPENDING, *rows[-2::-2]]}))
    assert len(one.observations) == len(other.observations) == 6
    assert one.content_hash() == other.content_hash()
    pd.testing.assert_frame_equal(one.observations, other.observations)
    turned = dataclasses.replace(one, observations=one.observations[::-1])
    assert turned.content_hash() == one.content_hash()
    bound = Store.load(folder(tmp_path / "three", {"a": [FIGURE | {"value": "", "low": "0.5"}, SPENDING]}))
    plain = Store.load(folder(tmp_path / "four", {"a": [FIGURE, SPENDING]}))
    assert bound.content_hash() != plain.content_hash()


# --- a user's files


def test_user_file_adds_figures_and_a_revision(tmp_path: Path) -> None:
    base = Store.load(folder(tmp_path / "data"))
    mine = [
        FIGURE | {"value": "0.6", "release": "r2", "published_at": "2020-09-01"},
        FIGURE | {"unit": "JPN", "source": "user"},
    ]
    path = write(tmp_path / "mine.csv", OBSERVATION_COLUMNS, cells(mine, OBSERVATION_COLUMNS))
    full = base.with_files(observations=path)
    assert full.latest("gpr_country", "KOR")["value"].tolist() == [0.6]
    assert full.as_of("2020-08-31").latest("gpr_country", "KOR")["value"].tolist() == [0.5]
    assert full.latest("gpr_country", "JPN")["source"].tolist() == ["user"]
    assert len(base.observations) == 2
    assert full.content_hash() != base.content_hash()
    with pytest.raises(DataError, match=r"mine\.csv, row 2: .* is already in row \d of .*mine\.csv"):
        full.with_files(observations=path)


def test_user_indicator_registers_a_new_series_but_a_misspelt_one_is_refused(tmp_path: Path) -> None:
    base = Store.load(folder(tmp_path / "data"))
    figure = FIGURE | {"series": "drills", "unit_of_measure": "events", "value": "3", "source": "user"}
    figures = write(tmp_path / "drills.csv", OBSERVATION_COLUMNS, cells([figure], OBSERVATION_COLUMNS))
    row = INDICATOR | {"indicator": "drills_korea", "family": "count", "series": "drills"}
    indicator = write(tmp_path / "rows.csv", INDICATOR_COLUMNS, cells([row], INDICATOR_COLUMNS))
    full = base.with_files(observations=figures, indicators=indicator)
    described = full.describe().set_index("series").loc["drills"]
    assert described[["frequency", "kind", "unit_of_measure", "rows"]].tolist() == ["M", "count", "events", 1]
    assert list(full.indicators["indicator"]) == ["news_korea", "drills_korea"]
    with pytest.raises(DataError, match=r"drills\.csv, row 2: unknown series `drills`"):
        base.with_files(observations=figures)
    with pytest.raises(DataError, match=r"rows\.csv, row 2: unknown series `drills`"):
        base.with_files(indicators=indicator)
    with pytest.raises(DataError, match=r"nothing\.csv: the file does not exist"):
        base.with_files(observations=tmp_path / "nothing.csv")


# --- looking things up


def test_unknown_series_or_unit_is_refused_with_the_nearest_name(embedded: Store) -> None:
    with pytest.raises(DataError, match="did you mean `gpr_country`"):
        embedded.latest("gpr_contry")
    with pytest.raises(DataError, match="Unknown unit `KORE`"):
        embedded.latest("gpr_country", "KORE")
    assert embedded.latest("gpr_country", "AUS").empty


def test_describe_has_a_row_for_every_series_even_without_figures(embedded: Store) -> None:
    table = embedded.as_of("2000-01-01").describe().set_index("series")
    assert list(table.index) == list(embedded.series["series"])
    assert table.loc["pla_vessels", "rows"] == 0
    assert table["rows"].sum() == len(embedded.as_of("2000-01-01").observations)
    full = embedded.describe().set_index("series")
    assert full.loc["unsc_vetoes", "units"] == "CHN RUS"
    assert full.loc["gpr_world", "last_published"] == pd.Timestamp("2026-06-06")
    assert "figures of" in repr(embedded)
    assert "<table" in embedded._repr_html_()


def test_installed_data_folder_goes_before_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "src" / "escalation_forecast" / "store.py"
    (module.parent / "_data").mkdir(parents=True)
    monkeypatch.setattr(store, "__file__", str(module))
    assert data_root() == module.parent / "_data"
    (module.parent / "_data").rmdir()
    assert data_root() == tmp_path / "data"
