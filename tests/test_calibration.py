"""Ranks of true values and tests of their uniformity on cases with known answers, the task and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import expit

import escalation_forecast
from escalation_forecast.fit import Settings
from escalation_forecast.score.cells import Task, identity_hash
from escalation_forecast.validation.calibration.page import PAGE, write_page
from escalation_forecast.validation.calibration.ranks import DRAWS, pit, rank, thinning
from escalation_forecast.validation.calibration.task import SOURCES, CalibrationTask, program_digest
from escalation_forecast.validation.calibration.truth import autoregression
from escalation_forecast.validation.calibration.uniform import (
    Places,
    alarm,
    bands,
    by_block,
    events,
    exact_tests,
    holm,
    uniformity,
)
from escalation_forecast.validation.markdown import TABLE

RARE = 1e-4  # chance of a false alarm, where a test of chance is made


def uniform_p(u: np.ndarray) -> float:
    return float(stats.kstest(u, "uniform").pvalue)


# --- ranks


@pytest.mark.parametrize("kind", ["normal", "counts", "rare event", "few draws"])
def test_places_of_a_value_among_draws_like_it_are_uniform(kind: str) -> None:
    rng = np.random.default_rng(1)
    size, n = 4_000, 3 if kind == "few draws" else 100
    if kind == "counts":
        values = rng.poisson(rng.gamma(0.5, 2.0, (size, 1)), (size, n + 1)).astype(float)
    elif kind == "rare event":
        values = (rng.random((size, n + 1)) < rng.beta(0.2, 2.0, (size, 1))).astype(float)
    else:
        values = rng.normal(rng.normal(size=(size, 1)), 1.0, (size, n + 1))
    assert uniform_p(pit(values[:, 0], values[:, 1:], rng)) > RARE
    # One that is moved, or less certain than it is, is found.
    moved = values.copy()
    moved[:, 0] += 0.3 if kind in ("normal", "few draws") else values[:, 0] > -1
    assert uniform_p(pit(moved[:, 0], moved[:, 1:], rng)) < RARE


def test_the_place_lies_within_the_rank() -> None:
    rng = np.random.default_rng(2)
    draws = np.array([1.0, 2.0, 2.0, 2.0, 5.0])
    for value, below, same in ((0.0, 0, 0), (2.0, 1, 3), (3.0, 4, 0), (9.0, 5, 0)):
        found = np.array([pit(np.array(value), draws, rng) for _ in range(200)])
        assert found.min() >= below / 6
        assert found.max() <= (below + same + 1) / 6
        assert np.ptp(found) > 0.5 * (same + 1) / 6


def test_chains_that_remember_are_thinned_until_places_are_uniform() -> None:
    rng = np.random.default_rng(3)
    size, n, phi = 600, 1_000, 0.98
    chain = autoregression(rng.normal(size=(size, n)), np.full(size, phi))
    true = rng.normal(size=size)
    ess = n * (1.0 - phi) / (1.0 + phi)
    step = thinning(ess, n)
    assert step == round(n / ess)
    assert uniform_p(pit(true, chain[:, ::step], rng)) > RARE
    beginning = chain[:, :DRAWS]  # as many draws of a chain that has hardly moved
    assert uniform_p(pit(true, beginning, rng)) < RARE
    assert thinning(1e9, n) == n // DRAWS
    assert thinning(0.0, n) == n
    assert thinning(1e9, 30) == 1


def test_ranking_goes_by_labels_and_leaves_nothing_out() -> None:
    rng = np.random.default_rng(4)
    dims = ("chain", "draw", "state")
    draws = xr.Dataset(
        {
            "slope": (dims, rng.normal(size=(1, 400, 2))),
            "event": (("chain", "draw"), np.zeros((1, 400))),
        },
        {"state": ["CHN", "KOR"]},
    )
    truth = xr.Dataset(
        {"slope": (dims, np.array([[[9.0, -9.0]]])), "event": (("chain", "draw"), np.zeros((1, 1)))},
        {"state": ["KOR", "CHN"]},
    )
    found = rank(draws, truth, rng)
    assert list(found.index) == ["slope[CHN]", "slope[KOR]", "event"]
    assert found.loc["slope[CHN]", "pit"] < 1 / DRAWS < 1 - 1 / DRAWS < found.loc["slope[KOR]", "pit"]
    assert found.loc["event", "tied"] == 1.0
    assert np.isnan(found.loc["event", "ess"])
    assert found.loc["slope[KOR]", "n_draws"] == DRAWS
    assert found.loc["slope[KOR]", "r_hat"] == pytest.approx(1.0, abs=0.02)


# --- uniformity


def made_up_cases(fits: int, quantities: int, rng: np.random.Generator, n: int = 100) -> pd.DataFrame:
    """As cells leave them, with uniform places, and questions that are calibrated by ``n`` draws."""
    rows = []
    for fit in range(fits):
        for k in range(quantities):
            rows.append((f"{fit:04d}", f"eta[{k}]", "latent", 0.0, rng.random(), 0.0, np.nan, np.nan))
        for k, chance in enumerate(rng.beta(0.4, 0.8, 8)):
            draws = rng.random(n) < chance
            happened = float(rng.random() < chance)
            place = float(pit(np.array(happened), draws.astype(float), rng))
            rows.append(
                (f"{fit:04d}", f"use-of-force/{k}", "question", happened, place, 0.9, draws.mean(), n)
            )
    columns = ["origin", "quantity", "group", "outcome", "pit", "tied", "probability", "n_simulated"]
    return pd.DataFrame(rows, columns=columns)


def test_exact_tests_hold_their_size_for_few_fits() -> None:
    rng = np.random.default_rng(5)
    found = pd.DataFrame([exact_tests(rng.random(25)) for _ in range(600)])
    for name in ("kolmogorov", "tails"):
        assert (found[name] < 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def test_an_alarm_is_raised_by_one_quantity_and_not_by_chance() -> None:
    rng = np.random.default_rng(20)
    assert alarm(Places.of(made_up_cases(20, 200, rng))) > RARE
    cases = made_up_cases(20, 200, rng)
    cases.loc[cases["quantity"] == "eta[3]", "pit"] *= 0.3
    assert alarm(Places.of(cases)) < RARE


def test_holm_is_that_of_the_paper() -> None:
    assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.5])), [0.04, 0.09, 0.09, 0.5])
    assert_allclose(holm(np.array([0.6, 0.5])), [1.0, 1.0])


def test_one_quantity_among_many_that_is_too_sure_of_itself_is_found() -> None:
    rng = np.random.default_rng(6)
    cases = made_up_cases(100, 60, rng)
    table = uniformity(Places.of(cases))
    assert table["holm"].min() > RARE
    narrow = cases["quantity"] == "eta[7]"
    cases.loc[narrow, "pit"] = stats.norm.cdf(stats.norm.ppf(cases.loc[narrow, "pit"]) / 0.5)
    table = uniformity(Places.of(cases))
    assert table["holm"].idxmin() == "eta[7]"
    assert table.loc["eta[7]", "holm"] < 0.01
    blocks = by_block(table).set_index("block")
    assert blocks.loc["latents", "worst"] == "eta[7]"
    assert blocks.loc["questions", "quantities"] == 8


def test_what_never_varies_is_not_tested_and_what_seldom_varies_is() -> None:
    rng = np.random.default_rng(7)
    cases = made_up_cases(40, 2, rng)
    cases.loc[cases["quantity"] == "eta[0]", "tied"] = 1.0
    seldom = cases["quantity"] == "eta[1]"
    cases.loc[seldom, "tied"] = np.where(np.arange(seldom.sum()) == 0, 0.99, 1.0)
    places = Places.of(cases)
    assert "eta[0]" not in places.pit
    assert places.pit["eta[1]"].notna().all()


def test_probabilities_that_are_right_pass_and_bold_or_shifted_ones_do_not() -> None:
    rng = np.random.default_rng(8)
    cases = made_up_cases(400, 1, rng)
    right = events(cases)
    assert right.n == 3_200
    assert max(abs(right.bias_z), abs(right.brier_z), right.bins["z"].abs().max()) < 4.5
    # Shares of few draws too, which are far from the chance that they stand for.
    assert events(made_up_cases(400, 1, rng, n=4)).bins["z"].abs().max() < 4.5
    p = cases["probability"]
    bold = events(
        cases.assign(probability=np.round(100 * expit(2.0 * np.log((p + 0.005) / (1.005 - p)))) / 100)
    )
    assert bold.brier_z > 4.5
    assert events(cases.assign(probability=np.minimum(p + 0.05, 1.0))).bias_z < -4.5


def test_the_band_holds_uniform_places_and_not_others() -> None:
    rng = np.random.default_rng(9)
    x, low, high = bands(60, 0.95, 400)

    def inside(u: np.ndarray) -> bool:
        gap = np.searchsorted(np.sort(u), x, side="right") / len(u) - x
        return bool(((gap >= low - 1e-9) & (gap <= high + 1e-9)).all())

    kept = np.mean([inside(rng.random(60)) for _ in range(400)])
    assert kept == pytest.approx(0.95, abs=0.05)
    assert not inside(rng.beta(3.0, 3.0, 60))


def test_the_page_has_its_tables_and_its_figure(tmp_path: Path) -> None:
    cases = made_up_cases(30, 5, np.random.default_rng(10))
    cells = pd.DataFrame(
        {"seconds": 1.0, "attempts": 1.0, "divergences": 0.0, "ess": 90.0, "r_hat": 1.01, "steps": 63.0},
        index=range(30),
    )
    tables = write_page(CalibrationTask(30), cases, cells, tmp_path)
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert all(table in text for table in tables.values())
    assert "`use-of-force/" in tables["worst"]
    assert (tmp_path / "images" / "validation_calibration.png").stat().st_size > 10_000


def test_the_published_page_has_every_table_filled() -> None:
    docs = Path(__file__).parents[1] / "docs"
    text = (docs / PAGE).read_text(encoding="utf-8")
    tables = {match["name"]: match["body"] for match in TABLE.finditer(text)}
    assert set(tables) == {"fits", "blocks", "worst", "probabilities"}
    assert all(body.count("\n") > 2 for body in tables.values())
    assert (docs / "images" / "validation_calibration.png").stat().st_size < 400_000


# --- the task


def test_cells_and_identity_are_those_of_a_task() -> None:
    task = CalibrationTask(3)
    assert isinstance(task, Task)
    assert [cell.origin for cell in task.cells()] == ["0000", "0001", "0002"]
    assert identity_hash(task, 1) == identity_hash(CalibrationTask(200), 1)
    longer = CalibrationTask(3, Settings(tune=200, draws=500, chains=1, extra_doublings=1))
    assert identity_hash(task, 1) != identity_hash(longer, 1)
    assert identity_hash(task, 1) != identity_hash(task, 2)


def test_a_fit_belongs_to_the_source_of_the_program() -> None:
    package = Path(escalation_forecast.__file__).parent
    for pattern in SOURCES:
        assert list(package.glob(pattern)), pattern
    assert CalibrationTask(3).identity()["program"] == program_digest()
