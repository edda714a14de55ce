"""The panel: nothing from the future, the right place on the grid, gaps, and a user's own indicators."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data_folder import FIGURE, INDICATOR, cells, write
from escalation_forecast import store as store_module
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.latent_kernel import flat_latents
from escalation_forecast.model import build_model
from escalation_forecast.panel import STOCKS, Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import INDICATOR_COLUMNS, OBSERVATION_COLUMNS, THEATRES, DataError
from escalation_forecast.spending_panel import YEARS_AHEAD
from escalation_forecast.store import LeakError, Store
from prior_fit import Evaluate, plain

EVE = pd.Timestamp("2022-01-31")


@pytest.fixture(scope="module")
def eve(whole_store: Store) -> Panel:
    """Three weeks before the invasion."""
    return build_panel(whole_store, EVE)


def kept(store: Store, rows: pd.Series) -> Store:
    observations = store.observations[rows].reset_index(drop=True)
    return replace(store, observations=observations, where=store.where[rows].reset_index(drop=True))


def rows_of(panel: Panel, block: str, name: str) -> np.ndarray:
    position = list(panel.items[block].index).index(name)
    return panel.data[f"{block}_item"] == position


def months_of(panel: Panel, block: str, name: str) -> pd.DatetimeIndex:
    """Months that the flat positions of a monthly indicator stand for."""
    index = panel.data[f"{block}_index"][rows_of(panel, block, name)]
    return panel.months[index % len(panel.months)]


# --- nothing from the future


def test_panel_ends_with_what_had_been_published(eve: Panel, whole_store: Store) -> None:
    assert eve.now == 12 * 32
    assert eve.history["month"].max() == pd.Timestamp("2021-12-01")
    assert eve.last_period["news_ukraine_nato"] == pd.Timestamp("2021-12-01")
    assert eve.last_period["troops_us_korea"] == pd.Timestamp("2021-09-01")
    assert eve.spending.release == "2021"
    assert eve.spending.last_printed == 2020
    keys = ["series", "unit", "period_start"]
    published = whole_store.observations.groupby(keys)["published_at"].min()
    for name, month in eve.last_period.items():
        row = whole_store.indicators.set_index("indicator").loc[name]
        if row["family"] == "troops":
            continue
        for unit in row["units"].split("+"):
            assert published[row["series"], unit, month] <= EVE
    n_months = len(eve.months)
    for block in ("count", "ordinal"):
        assert (eve.data[f"{block}_index"] % n_months).max() < eve.now
    assert "war_intensity" not in eve.last_period


def test_later_figures_do_not_change_the_panel(eve: Panel, whole_store: Store) -> None:
    again = build_panel(kept(whole_store, whole_store.observations["published_at"] <= EVE), EVE)
    for name, values in eve.data.items():
        if name != "stock_source":
            assert_array_equal(values, again.data[name], err_msg=name)
    assert_array_equal(eve.spending.growth, again.spending.growth)
    assert eve.content_hash == again.content_hash


def test_scales_come_from_the_figures_known_then(eve: Panel, panel: Panel) -> None:
    rows = eve.data["reading_y"][rows_of(eve, "reading", "news_korea")]
    assert_allclose([rows.mean(), rows.std()], [0.0, 1.0], atol=1e-12)
    now = panel.items["reading"].loc["news_ukraine_nato"]
    assert now["mean"] != eve.items["reading"].loc["news_ukraine_nato"]["mean"]


def test_a_broken_filter_is_caught_before_the_panel(
    whole_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "known_rows", lambda rows, _: rows["published_at"].notna())
    with pytest.raises(LeakError, match=r"figures were published after 2022-01-31, first .* published 20"):
        build_panel(whole_store, EVE)


def test_one_planted_figure_of_the_future_is_caught(
    whole_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = whole_store.observations.iloc[[0]].assign(
        series="gpr_world", unit="WLD", period_start=pd.Timestamp("2022-01-01"), value=999.0,
        period_end=pd.Timestamp("2022-01-31"), release="planted", published_at=pd.Timestamp("2022-02-05"),
    )  # fmt: skip
    rows = pd.concat([whole_store.observations, planted], ignore_index=True)
    where = pd.concat(
        [whole_store.where, pd.DataFrame({"file": ["planted.csv"], "row": [2]})], ignore_index=True
    )
    leaky = replace(whole_store, observations=rows, where=where)
    assert 999.0 not in set(build_panel(leaky, EVE).history["value"])
    monkeypatch.setattr(
        store_module,
        "known_rows",
        lambda frame, date: (frame["published_at"] <= date) | (frame["release"] == "planted"),
    )
    with pytest.raises(LeakError, match=r"1 figures .* gpr_world WLD of 2022-01-01 \(planted.csv, row 2\)"):
        build_panel(leaky, EVE)


# --- places on the grid


def test_positions_are_months_years_and_three_years_before(panel: Panel) -> None:
    n_months, n_years = len(panel.months), len(panel.years)
    rng = np.random.default_rng(1)
    eta = rng.normal(size=(len(LATENTS), n_months))
    flat = np.asarray(flat_latents(eta).eval(mode=plain()))
    assert len(flat) == len(LATENTS) * (n_months + 2 * n_years)
    table = pd.DataFrame(eta.T, index=panel.months, columns=list(LATENTS))
    yearly = table.groupby(table.index.year).mean()

    index = panel.data["reading_index"]
    months = panel.history[panel.history["indicator"] == "news_taiwan"]["month"]
    found = flat[index[rows_of(panel, "reading", "news_taiwan")]]
    assert_allclose(found, table.loc[months, "taiwan"])

    found = flat[index[rows_of(panel, "reading", "distance_rus_prk")]]
    assert_allclose(found, yearly.loc[1991 : panel.last_period["distance_rus_prk"].year, "global"])

    rows = panel.transfers[panel.transfers["indicator"] == "transfer_usa_pol"]
    years = rows.loc[rows["value"] > 0, "month"].dt.year
    found = flat[index[rows_of(panel, "reading", "transfer_usa_pol")]]
    assert_allclose(found, [yearly.loc[y - 3 : y - 1, "ukraine_nato"].mean() for y in years])

    levels = panel.troop_levels[panel.troop_levels["indicator"] == "troops_us_guam"]
    quarters = set(levels["month"].dt.to_period("Q"))
    years = [quarter.year - 1 for quarter in sorted(quarters) if quarter - 1 in quarters]
    found = flat[index[rows_of(panel, "reading", "troops_us_guam")]]
    assert_allclose(found, yearly.loc[years, "taiwan"])

    for block, latent, name in (("count", "korea", "launches_prk"), ("share", "korea", "sanctions_prk")):
        found = flat[panel.data[f"{block}_index"][rows_of(panel, block, name)]]
        assert_allclose(found, table.loc[months_of(panel, block, name), latent])


def test_ladder_rows_carry_their_theatre_in_any_order_of_the_catalogue(known: Store, panel: Panel) -> None:
    turned = replace(known, indicators=known.indicators[::-1].reset_index(drop=True))
    other = build_panel(turned, panel.as_of)
    for data in (panel.data, other.data):
        by_theatre = data["ordinal_index"] // len(panel.months)
        assert_array_equal(data["ordinal_item"], by_theatre)
    order = np.lexsort((other.data["ordinal_level"], other.data["ordinal_index"]))
    mine = np.lexsort((panel.data["ordinal_level"], panel.data["ordinal_index"]))
    assert_array_equal(other.data["ordinal_level"][order], panel.data["ordinal_level"][mine])


def test_ukraine_rows_are_the_ladder_of_the_russia_nato_edge(panel: Panel, known: Store) -> None:
    k = THEATRES.index("ukraine_nato")
    rows = panel.data["ordinal_item"] == k
    ladder = known.latest("ladder", "ukraine_nato")
    used = ladder[~ladder["quality"].str.contains("uncertain")]
    assert_array_equal(
        panel.months[panel.data["ordinal_index"][rows] % len(panel.months)], used["period_start"]
    )
    classes = np.select([used["value"] >= 4, used["value"] >= 3], [2, 1], 0)
    assert_array_equal(panel.data["ordinal_level"][rows], classes)
    assert set(classes) == {0, 1, 2}
    # Each theatre has its own slope and cutpoints, and every one has rows.
    assert set(panel.data["ordinal_item"]) == set(range(len(THEATRES)))


def test_thin_months_of_the_ladder_are_left_out(panel: Panel, known: Store) -> None:
    ladder = known.latest("ladder")
    thin = ladder[ladder["quality"].str.contains("uncertain")]
    assert len(thin) > 10
    assert len(panel.data["ordinal_level"]) == len(ladder[ladder["period_start"] >= "1993"]) - len(thin)
    history = panel.history.set_index(["indicator", "month"]).index
    for unit, month in zip(thin["unit"], thin["period_start"], strict=True):
        assert (f"ladder_{unit}", month) not in history


def test_news_of_four_states_is_the_mean_of_standardised_logs(panel: Panel, known: Store) -> None:
    rows = panel.history[panel.history["indicator"] == "news_ukraine_nato"].set_index("month")["value"]
    parts = []
    for state in ("UKR", "RUS", "POL", "FIN"):
        values = known.latest("gpr_country", state).set_index("period_start")["value"]
        logs = np.log(values + 0.01)
        parts.append((logs - logs.mean()) / logs.std(ddof=0))
    expected = sum(parts) / 4
    assert_allclose(rows, expected.loc["1990":], atol=1e-12)
    assert not panel.items["reading"].loc["news_ukraine_nato", "log"]


def test_count_of_two_states_is_their_sum(panel: Panel, known: Store) -> None:
    rows = panel.history[panel.history["indicator"] == "vetoes"].set_index("month")["value"]
    china, russia = (
        known.latest("unsc_vetoes", u).set_index("period_start")["value"] for u in ("CHN", "RUS")
    )
    assert_array_equal(rows, (china + russia).loc["1990":"2025-08"])


# --- gaps


def with_gap(store: Store, series: str, unit: str, first: str, last: str) -> Store:
    rows = store.observations
    gone = (rows["series"] == series) & (rows["unit"] == unit) & rows["period_start"].between(first, last)
    assert gone.any()
    return kept(store, ~gone)


def test_a_gap_breaks_the_link_to_the_month_before(known: Store, panel: Panel) -> None:
    holed = build_panel(with_gap(known, "gpr_country", "KOR", "2010-03-01", "2010-04-30"), panel.as_of)
    for which, unlinked in ((panel, ["1990-01"]), (holed, ["1990-01", "2010-05"])):
        rows = rows_of(which, "reading", "news_korea")
        months = months_of(which, "reading", "news_korea")
        linked = which.data["reading_has_previous"][rows]
        assert [f"{m:%Y-%m}" for m in months[linked == 0]] == unlinked
        before = which.data["reading_index_previous"][rows][linked == 1]
        assert_array_equal(before, which.data["reading_index"][rows][linked == 1] - 1)
        y, y_before = (which.data[f"reading_{name}"][rows] for name in ("y", "y_previous"))
        assert_array_equal(y_before[1:][linked[1:] == 1], y[:-1][linked[1:] == 1])


def test_a_gap_breaks_the_memory_of_a_count(known: Store, panel: Panel) -> None:
    holed = build_panel(with_gap(known, "pla_aircraft_all", "TWN", "2023-06-01", "2023-06-30"), panel.as_of)
    rows = rows_of(holed, "count", "pla_aircraft_all")
    linked = holed.data["count_has_previous"][rows]
    months = months_of(holed, "count", "pla_aircraft_all")
    assert [f"{m:%Y-%m}" for m in months[linked == 0]] == ["2022-08", "2023-07"]
    # No memory across the change of definition in August 2022, and none for the other counts.
    assert not panel.data["count_has_previous"][rows_of(panel, "count", "vetoes")].any()


def test_a_missing_quarter_leaves_out_two_changes_of_troops(known: Store, panel: Panel) -> None:
    holed = build_panel(with_gap(known, "us_troops", "KOR", "2015-01-01", "2015-03-31"), panel.as_of)
    before = rows_of(panel, "reading", "troops_us_korea").sum()
    assert rows_of(holed, "reading", "troops_us_korea").sum() == before - 2


def test_exposure_scales_counts_and_empty_exposure_drops_the_month(panel: Panel, known: Store) -> None:
    rows = rows_of(panel, "count", "pla_vessels")
    days = known.latest("pla_days_vessels", "TWN").set_index("period_start")["value"]
    months = months_of(panel, "count", "pla_vessels")
    assert_allclose(np.exp(panel.data["count_log_exposure"][rows]), days.loc[months])
    assert np.isfinite(panel.data["count_log_exposure"]).all()
    acting = known.latest("sanctions_senders_acting", "RUS").set_index("period_start")["value"]
    assert (acting.loc[months_of(panel, "count", "designations_rus")] > 0).all()


def test_more_successes_than_trials_is_refused(known: Store, panel: Panel) -> None:
    rows = known.observations.copy()
    odd = (rows["series"] == "sanctions_senders_acting") & (rows["unit"] == "BLR")
    odd &= rows["period_start"] == "2012-03-01"
    rows.loc[odd, "value"] = 9.0
    with pytest.raises(DataError, match=r"indicator sanctions_blr: 9 of \d in 2012-03 is more than all"):
        build_panel(replace(known, observations=rows), panel.as_of)


def test_two_sources_for_one_month_are_refused(known: Store, panel: Panel) -> None:
    rows = known.observations
    twin = rows[(rows["series"] == "gpr_country") & (rows["unit"] == "KOR")].tail(1).assign(source="user")
    where = pd.concat([known.where, known.where.tail(1)], ignore_index=True)
    twice = replace(known, observations=pd.concat([rows, twin], ignore_index=True), where=where)
    with pytest.raises(DataError, match=r"news_korea: gpr_country of KOR has several figures in 2026-04"):
        build_panel(twice, panel.as_of)


def test_data_are_complete_and_typed(panel: Panel) -> None:
    for name, values in panel.data.items():
        assert values.ndim == 1, name
        assert np.isfinite(values).all(), name
        column = name.partition("_")[2]
        whole = column.startswith("index") or column.endswith("item")
        whole |= column in ("level", "stock", "month", "source")
        assert values.dtype == (np.int32 if whole else np.float64), name


# --- stocks


def test_stock_reports_are_intervals_of_the_log(panel: Panel) -> None:
    rows = {name: panel.data[f"stock_{name}"] for name in ("stock", "month", "low", "high")}
    troops = rows["stock"] == STOCKS.index("dprk_troops_in_russia")
    assert troops.sum() >= 10
    assert (rows["low"] < rows["high"]).all()
    low, high = np.exp(rows["low"][troops]), np.exp(np.minimum(rows["high"][troops], 15))
    assert (low[rows["low"][troops] > 0] > 500).all()
    assert (high[rows["high"][troops] < 50] < 40_000).all()
    months = panel.stock_months[rows["month"][troops]]
    assert months.min() == pd.Timestamp("2024-10-01")


def test_before_the_first_report_there_is_no_row(eve: Panel, whole_store: Store) -> None:
    assert not len(eve.data["stock_stock"])
    assert eve.data["stock_stock"].dtype == np.int32
    spring = build_panel(whole_store, pd.Timestamp("2024-05-31"))
    assert set(spring.data["stock_stock"]) == {STOCKS.index("dprk_containers")}


# --- a user's own indicators


def user_figures(series: str, values: dict[str, float], unit: str = "KOR") -> list[dict[str, str]]:
    return [
        FIGURE
        | {
            "series": series, "unit": unit, "period_start": f"{month}-01", "value": str(value),
            "period_end": str(pd.Period(month, "M").end_time.date()), "unit_of_measure": "events",
            "published_at": str((pd.Period(month, "M").end_time + pd.Timedelta(days=5)).date()),
            "source": "user", "quality": "reported",
        }
        for month, value in values.items()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def enlarged(whole_store: Store, panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The panel with a user's news, count and share from two files, and nothing else."""
    folder = tmp_path_factory.mktemp("mine")
    months = [f"{m:%Y-%m}" for m in pd.period_range("2015-01", "2026-04", freq="M")]
    rng = np.random.default_rng(1)
    press = dict(zip(months, rng.gamma(2.0, size=len(months)).round(3), strict=True))
    drills = dict(zip(months, rng.poisson(3.0, size=len(months)).astype(float), strict=True))
    trials = dict.fromkeys(months, 7.0)
    hits = dict(zip(months, rng.binomial(7, 0.3, size=len(months)).astype(float), strict=True))
    rows = [
        *user_figures("my_press", press), *user_figures("my_drills", drills, "TWN"),
        *user_figures("my_papers_hit", hits, "CHN"), *user_figures("my_papers", trials, "CHN"),
    ]  # fmt: skip
    figures = write(folder / "figures.csv", OBSERVATION_COLUMNS, cells(rows, OBSERVATION_COLUMNS))
    base = INDICATOR | {"start": "2015-01"}
    mine = [
        base | {"indicator": "my_news", "series": "my_press"},
        base
        | {"indicator": "my_count", "family": "count", "series": "my_drills", "units": "TWN",
           "theatre": "taiwan", "options": "trend;memory"},
        base
        | {"indicator": "my_share", "family": "share", "series": "my_papers_hit", "units": "CHN",
           "theatre": "south_china_sea", "exposure_series": "my_papers"},
    ]  # fmt: skip
    catalogue = write(folder / "indicators.csv", INDICATOR_COLUMNS, cells(mine, INDICATOR_COLUMNS))
    store = whole_store.with_files(observations=figures, indicators=catalogue)
    return build_panel(store, panel.as_of)


def test_a_users_indicators_reach_the_panel(enlarged: Panel, panel: Panel) -> None:
    for block, name in (("reading", "my_news"), ("count", "my_count")):
        rows = rows_of(enlarged, block, name)
        assert rows.sum() == 136
        assert months_of(enlarged, block, name)[-1] == pd.Timestamp("2026-04-01")
        grown = len(enlarged.data[f"{block}_y"]) - len(panel.data[f"{block}_y"])
        assert grown == 136
    assert rows_of(enlarged, "share", "my_share").sum() == 7 * 136
    assert enlarged.items["count"].loc["my_count", ["trend", "memory"]].tolist() == [True, True]
    latent = enlarged.data["share_index"][rows_of(enlarged, "share", "my_share")] // len(enlarged.months)
    assert set(latent) == {THEATRES.index("south_china_sea")}
    assert enlarged.content_hash != panel.content_hash


def test_a_users_indicators_reach_the_model(enlarged: Panel, at: dict[str, np.ndarray]) -> None:
    model = build_model(enlarged, Priors.default())
    for dim, name in (
        ("news", "my_news"), ("loaded_news", "my_news"), ("count", "my_count"), ("count_group", "my_count"),
        ("share", "my_share"),
    ):  # fmt: skip
        assert name in model.coords[dim]
    evaluate = Evaluate(model)
    point = evaluate.at_prior_draw(seed=8)
    for variable, dim, name, potential in (
        ("news_loading", "loaded_news", "my_news", "readings"),
        ("count_loading", "count_group", "my_count", "counts"),
        ("share_loading", "share", "my_share", "shares"),
    ):
        given = {str(rv.name): np.array(point[str(rv.name)], float) for rv in model.free_RVs}
        given[variable][list(model.coords[dim]).index(name)] *= 1.5
        assert evaluate(given)[potential] != point[potential]


def test_a_later_date_needs_no_other_grid(whole_store: Store, eve: Panel, panel: Panel) -> None:
    assert eve.months.equals(panel.months)
    later = build_panel(whole_store, pd.Timestamp(dt.date(2027, 1, 5)))
    assert later.months[-1] == pd.Timestamp("2027-12-01")
    assert later.spending.years[-1] == 2027 + YEARS_AHEAD


def test_the_first_possible_date_has_a_panel(whole_store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="first possible date is 1989-04-30"):
        build_panel(whole_store, pd.Timestamp("1989-04-29"))
    early = build_panel(whole_store, pd.Timestamp("1991-06-30"))
    assert early.last_period["news_world"] == pd.Timestamp("1991-05-01")
    point = Evaluate(build_model(early, Priors.default())).at_prior_draw(seed=1)
    assert all(np.isfinite(value).all() for value in point.values())
