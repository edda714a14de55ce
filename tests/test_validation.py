"""The helpers behind the validation page: dropping, permuting, rises, coverage, marks of the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

from escalation_forecast.fit import Settings
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.replicate import flat_latents
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.validation import free_sign, latent, predictive
from escalation_forecast.validation.blocks import BLOCKS, GROUPS, Block, drop, permute
from escalation_forecast.validation.fits import Lengths, Study, permuted_spending
from escalation_forecast.validation.markdown import TABLE, bare_page, fill

AS_OF = pd.Timestamp("2026-11-22")
MONTHS = pd.date_range("1990-01-01", "2026-12-01", freq="MS")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(Store.embedded(), AS_OF)


def family_rows(panel: Panel, family: str) -> np.ndarray:
    items = panel.items["reading"]
    return np.isin(panel.data["reading_item"], np.flatnonzero(items["family"] == family))


@pytest.mark.parametrize("name", [n for n in BLOCKS if BLOCKS[n][0].arrays != "reading"])
def test_dropping_a_whole_array_leaves_no_row_of_it_and_all_others(panel: Panel, name: str) -> None:
    arrays = BLOCKS[name][0].arrays
    data = drop(panel, BLOCKS[name])
    assert set(data) == set(panel.data)
    for key, values in panel.data.items():
        assert data[key].dtype == values.dtype
        if key.startswith(f"{arrays}_"):
            assert len(data[key]) == 0, key
        else:
            assert data[key] is values, key


def test_dropping_a_family_of_readings_keeps_the_other_families(panel: Panel) -> None:
    data = drop(panel, BLOCKS["news"])
    kept = ~family_rows(panel, "news")
    assert 0 < kept.sum() < len(kept)
    for key in (k for k in panel.data if k.startswith("reading_")):
        np.testing.assert_array_equal(data[key], panel.data[key][kept])


def test_dropping_some_counts_recounts_the_unique_pairs(panel: Panel) -> None:
    data = drop(panel, GROUPS["all sanctions"])
    names = panel.items["count"].index
    left = [str(names[k]) for k in np.unique(data["count_item"])]
    assert left
    assert not any(name.startswith("designations") for name in left)
    assert len(data["share_item"]) == len(data["share_total_weight"]) == 0
    assert data["count_unique_weight"].sum() == len(data["count_y"])
    pairs = set(zip(data["count_unique_item"], data["count_unique_y"], strict=True))
    assert pairs == set(zip(data["count_item"], data["count_y"], strict=True))


def test_a_recount_of_all_counts_is_the_panels_own(panel: Panel) -> None:
    data = drop(panel, [Block("count", items="no such item")])
    for key in ("count_unique_item", "count_unique_y", "count_unique_weight"):
        np.testing.assert_array_equal(data[key], panel.data[key])


@pytest.mark.parametrize("name", list(BLOCKS))
def test_permuting_moves_the_figures_of_one_block_only(panel: Panel, name: str) -> None:
    data = permute(panel, BLOCKS[name], seed=1)
    arrays = BLOCKS[name][0].arrays
    changed = {key for key, values in panel.data.items() if not np.array_equal(data[key], values)}
    assert changed
    assert all(key.startswith(f"{arrays}_") for key in changed)
    again = permute(panel, BLOCKS[name], seed=1)
    assert all(np.array_equal(data[key], again[key]) for key in data)


def test_permuted_readings_keep_each_items_figures_and_their_links(panel: Panel) -> None:
    data = permute(panel, BLOCKS["news"], seed=1)
    item, linked = panel.data["reading_item"], panel.data["reading_has_previous"] > 0
    for position in np.unique(item):
        mine = item == position
        np.testing.assert_array_equal(
            np.sort(data["reading_y"][mine]), np.sort(panel.data["reading_y"][mine])
        )
    others = ~family_rows(panel, "news")
    for key in ("reading_y", "reading_y_previous"):
        np.testing.assert_array_equal(data[key][others], panel.data[key][others])
    follows = np.flatnonzero(linked)
    np.testing.assert_array_equal(data["reading_y_previous"][follows], data["reading_y"][follows - 1])


def test_a_permuted_count_takes_its_exposure_along(panel: Panel) -> None:
    data = permute(panel, BLOCKS["counts"], seed=1)

    def triples(rows: dict[str, np.ndarray]) -> list[tuple[float, float, float]]:
        return sorted(zip(rows["count_item"], rows["count_y"], rows["count_log_exposure"], strict=True))

    assert triples(data) == triples(panel.data)
    follows = np.flatnonzero(panel.data["count_has_previous"])
    rate = np.log(data["count_y"] + 0.5) - data["count_log_exposure"]
    np.testing.assert_allclose(data["count_log_rate_previous"][follows], rate[follows - 1])


def test_the_senders_of_a_permuted_month_stay_together(panel: Panel) -> None:
    data = permute(panel, BLOCKS["sanctions, senders"], seed=1)

    def months(index: np.ndarray) -> pd.DataFrame:
        rows = pd.DataFrame({"item": panel.data["share_item"], "index": index})
        rows["acts"] = panel.data["share_sign"] > 0
        return rows.groupby(["item", "index"])["acts"].agg(["sum", "size"])

    before, after = months(panel.data["share_index"]), months(data["share_index"])
    assert before.index.equals(after.index)
    order = ["item", "sum", "size"]
    pd.testing.assert_frame_equal(
        *(t.reset_index()[order].sort_values(order, ignore_index=True) for t in (before, after))
    )


def test_permuted_spending_keeps_the_figures_of_each_state(panel: Panel) -> None:
    before, after = panel.spending.growth, permuted_spending(panel, seed=1).spending.growth
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
    np.testing.assert_array_equal(after[~panel.spending.printed], before[~panel.spending.printed])


def test_rise_is_the_event_against_the_twelve_months_before() -> None:
    path = np.zeros(len(MONTHS))
    path[MONTHS < "2013-03-01"] = 50.0  # too early to count
    path[(MONTHS >= "2013-03-01") & (MONTHS < "2014-03-01")] = 1.0
    path[(MONTHS >= "2014-03-01") & (MONTHS <= "2014-04-01")] = [3.0, 5.0]
    path[MONTHS > "2014-04-01"] = 90.0
    assert latent.event_rise(path, MONTHS, "2014-03", "2014-04") == pytest.approx(3.0)
    both = latent.event_rise(np.stack([path, 2 * path]), MONTHS, "2014-03", "2014-04")
    np.testing.assert_allclose(both, [3.0, 6.0])


def made_up_posterior(path: np.ndarray, n: int = 4) -> xr.Dataset:
    eta = np.broadcast_to(path, (1, n, len(LATENTS), len(MONTHS)))
    dims = ("chain", "draw", "latent", "month")
    return xr.Dataset({"eta": (dims, eta)}, {"latent": list(LATENTS), "month": MONTHS})


def test_a_latent_agrees_with_itself_and_a_flipped_one_does_not() -> None:
    rng = np.random.default_rng(0)
    path = rng.normal(size=(len(LATENTS), len(MONTHS)))
    flipped = path.copy()
    flipped[0] *= -1
    now = pd.Timestamp("2026-11-01")
    noisy = made_up_posterior(path).map(lambda x: x + rng.normal(scale=0.01, size=x.shape))
    found = latent.compare(made_up_posterior(flipped), noisy, now)
    assert found.loc["korea", "all"] == pytest.approx(-1.0, abs=0.01)
    assert found.loc["taiwan", "all"] == pytest.approx(1.0, abs=0.01)
    assert found.loc["taiwan", "change"] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("slope", [0.8, -0.8])
def test_a_free_sign_finds_the_sign_of_the_ladder(panel: Panel, slope: float) -> None:
    rng = np.random.default_rng(1)
    path = np.repeat(rng.normal(size=(len(LATENTS), len(MONTHS) // 6)), 6, axis=1)
    posterior = made_up_posterior(path)
    x = latent.standard(posterior)[0, LATENTS.index("korea")]
    low, high = expit(slope * x - 1.0), expit(slope * x - 2.0)
    u = rng.random(len(x))
    history = pd.DataFrame(
        {
            "indicator": "ladder_korea",
            "month": MONTHS,
            "value": np.where(u < high, 4.0, np.where(u < low, 3.0, 0.0)),
        }
    )
    items = panel.items | {"ordinal": panel.items["ordinal"].loc[["ladder_korea"]]}
    made_up = dataclasses.replace(panel, history=history, items=items)
    found = free_sign.ladder_slopes(made_up, posterior).iloc[0]
    assert found["slope"] == pytest.approx(slope, abs=0.3)
    assert found["positive"] == (slope > 0)


def test_coverage_of_draws_from_the_same_distribution_is_nominal() -> None:
    rng = np.random.default_rng(2)
    for drawn, y in (
        (rng.normal(size=(800, 2000)), rng.normal(size=2000)),
        (rng.poisson(0.3, size=(800, 2000)), rng.poisson(0.3, size=2000)),
    ):
        where = predictive.position_in(y, drawn, rng)
        assert predictive.coverage(where, 0.8) == pytest.approx(0.8, abs=0.03)
    assert predictive.coverage(predictive.position_in(y + 9, drawn, rng), 0.8) == 0.0


def test_flat_latents_are_months_years_and_three_years_before() -> None:
    eta = np.random.default_rng(3).normal(size=(2, len(LATENTS), 60))
    flat = flat_latents(eta)
    yearly = eta.reshape(2, len(LATENTS), 5, 12).mean(axis=3)
    np.testing.assert_array_equal(flat[:, : len(LATENTS) * 60], eta.reshape(2, -1))
    third = flat[:, len(LATENTS) * 65 :].reshape(2, len(LATENTS), 5)
    np.testing.assert_allclose(third[:, 1, 4], yearly[:, 1, 1:4].mean(axis=1))


def test_a_new_table_leaves_the_text_of_the_page_alone() -> None:
    page = bare_page(["events"]).replace("# Validation\n", "# Validation\n\nBy hand.\n")
    filled = fill(page, {"events": "| a |\n| --- |"})
    assert "By hand." in filled
    again = fill(filled, {"events": "| b |\n| --- |"})
    assert "| b |" in again
    assert "| a |" not in again


def test_a_page_without_the_place_of_a_table_is_an_error() -> None:
    with pytest.raises(DataError, match="loadings"):
        fill(bare_page(["events"]), {"events": "", "loadings": ""})
    with pytest.raises(DataError, match="events"):
        fill(bare_page(["events"]), {})


def test_the_published_page_has_every_table_filled() -> None:
    docs = Path(__file__).parents[1] / "docs"
    text = (docs / "validation.md").read_text(encoding="utf-8")
    tables = {match["name"]: match["body"] for match in TABLE.finditer(text)}
    assert {"events", "loadings", "drop", "placebo", "sensitivity"} <= set(tables)
    assert all(body.count("\n") > 2 for body in tables.values())
    images = list((docs / "images").glob("validation_*.png"))
    assert images
    assert all(image.stat().st_size < 200_000 for image in images)


@pytest.mark.slow
def test_a_fit_without_the_ladder_samples_and_is_read_back(tmp_path: Path) -> None:
    tiny = Settings(tune=30, draws=20, chains=2)
    study = Study(Store.embedded(), AS_OF, Lengths(tiny, tiny, tiny), tmp_path)
    made = study.get("drop ladder")
    assert made is not None
    kept = dataclasses.replace(study, offline=True).get("drop ladder")
    assert kept is not None
    np.testing.assert_allclose(made["eta"].values, kept["eta"].values, atol=1e-5)
    assert dataclasses.replace(study, offline=True).get("drop news") is None
