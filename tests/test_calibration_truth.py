"""The simulator of calibration against analytic moments, and its latents against those of the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import expit

from escalation_forecast.model import SPILLOVERS
from escalation_forecast.panel import Panel
from escalation_forecast.prior_law import law
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import SpendingPanel
from escalation_forecast.validation.calibration import observe as observing
from escalation_forecast.validation.calibration import truth as truths
from escalation_forecast.validation.calibration.reduced import CENTRED_MONTHS, reduced_model
from escalation_forecast.validation.calibration.task import Workbench, workbench
from escalation_forecast.validation.calibration.truth import Truth
from prior_fit import Evaluate

RARE = 1e-4  # chance of a false alarm, where a test of chance is made
DRAWN = 400


def uniform_p(u: np.ndarray) -> float:
    return float(stats.kstest(u, "uniform").pvalue)


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return workbench()


@pytest.fixture(scope="module")
def drawn(bench: Workbench) -> list[Truth]:
    rng = np.random.default_rng(11)
    return [truths.draw_truth(bench.template, bench.priors, bench.coords, rng) for _ in range(DRAWN)]


def near(values: np.ndarray, mean: float, sd: float) -> bool:
    """Whether the mean of draws is that expected, but for one case in ten thousand or so."""
    return bool(abs(values.mean() - mean) < 4.5 * sd / np.sqrt(len(values)))


def test_the_spillovers_are_those_of_the_model() -> None:
    assert truths.LINKS == SPILLOVERS


def test_parameters_have_the_laws_of_their_priors(bench: Workbench, drawn: list[Truth]) -> None:
    seen = 0
    for name, spec in bench.priors.items():
        if name not in drawn[0].free:
            continue
        labels = {dim: [str(label) for label in bench.coords[dim]] for dim in spec.dims}
        numbers = {key: spec.array(key, labels) for key in spec.parameters}
        values = np.array([one[name] for one in drawn])
        place = law(spec.family, numbers).cdf(values).reshape(DRAWN, -1)
        for column in place.T:
            assert uniform_p(column) > 1e-6, name
            seen += 1
    assert seen > 100
    # A partly pooled prior: labels vary around what they share.
    growth = np.array([one["growth_mean"] for one in drawn])
    assert near(growth[:, 0], 3.0, np.hypot(1.5, 2.5))
    assert near((growth[:, 0] - growth[:, 1]) ** 2, 2 * 2.5**2, 2 * 2.5**2 * np.sqrt(2))


def test_innovations_are_student_t_of_unit_variance(drawn: list[Truth]) -> None:
    z = np.concatenate([one.free["innovation"].ravel()[:400] for one in drawn[:50]])
    scale = np.sqrt(3.0 / 5.0)
    assert uniform_p(stats.t(5.0, scale=scale).cdf(z)) > RARE


def test_paths_are_stationary_from_the_first_month(drawn: list[Truth]) -> None:
    rng = np.random.default_rng(12)
    phi = np.full(4_000, 0.8)
    path = truths.autoregression(rng.normal(size=(4_000, 30)), phi)
    sd = np.sqrt(2.0)
    for t in (0, 1, 10, 29):
        assert near(path[:, t] ** 2, 1.0, sd)
    assert near(path[:, 10] * path[:, 13], 0.8**3, np.sqrt(1.0 + 0.8**6))


def test_latents_have_the_variances_that_follow_from_their_parts() -> None:
    template, n = workbench().template, 1_500
    rng = np.random.default_rng(13)
    found, knots = [], []
    for _ in range(n):
        one = Truth()
        one.values |= {
            "phi": np.full(5, 0.5),
            "phi_global": np.array(0.5),
            "global_share": np.full(5, 0.3),
            "theatre_scale": np.full(4, 2.0),
            "slow_step": np.array(0.4),
            "spillover": np.zeros(3),
        }
        truths.draw_latents(one, template, 5.0, rng)
        found.append(one.eta[[0, 1, 5]] + one.values["centre"][[0, 1, 5], None])
        knots.append(one.values["next_level"][0])
        assert_allclose(one.eta[:, :CENTRED_MONTHS].mean(axis=1), 0.0, atol=1e-12)
    eta = np.array(found)
    # Tails of t with 5 degrees of freedom: the variance of a square is wider than that of a normal one.
    wide = 4.0
    for month in (0, 6, 12, 30):
        year, part = divmod(month / 12, 1)
        slow = 0.16 * (year + 1 + part**2)
        assert near(eta[:, 0, month] ** 2, 1.0 + slow, wide * (1.0 + slow))
        assert near(eta[:, 1, month] ** 2, 4.0 + slow, wide * (4.0 + slow))
        assert near(eta[:, 0, month] * eta[:, 2, month], np.sqrt(0.3), wide)
        assert near(eta[:, 0, month] * eta[:, 1, month], 0.3 * 2.0, wide * 2.0)
    years = len(template.now.years)
    assert near(np.array(knots) ** 2, 0.16 * (years + 1), 0.16 * (years + 1) * np.sqrt(2))


def test_spillovers_come_a_month_later_and_one_after_the_other() -> None:
    theatre = np.zeros((5, 6))
    theatre[THEATRES.index("south_china_sea"), 2] = 1.0
    theatre[THEATRES.index("ukraine_nato"), 0] = 1.0
    out = truths.with_spillovers(theatre, np.array([0.5, 0.2, -0.3]))
    assert_allclose(out[THEATRES.index("korea")], [0.5, 0.5, 0, 0, 0, 0])
    assert_allclose(out[THEATRES.index("taiwan")], [0, 0, 0, 0.2, 0, 0])
    assert_allclose(out[THEATRES.index("east_china_sea")], [0, 0, 0, 0, -0.06, 0])


def test_the_model_says_the_same_of_what_the_sampler_moves(bench: Workbench, drawn: list[Truth]) -> None:
    """Every latent quantity of the model, from the innovations that the simulator drew."""
    for one in drawn[:1]:
        panel, _ = observed(bench, one, np.random.default_rng(19))
        model = reduced_model(panel, bench.priors)
        found = Evaluate(model)(one.free)
        for name in (*observing.DIMS, "growth_mean", "growth_noise", "growth_persistence"):
            assert_allclose(found[name], one[name], atol=1e-9, err_msg=name)
        assert {str(rv.name) for rv in model.free_RVs} <= set(one.free)


def observed(bench: Workbench, one: Truth, rng: np.random.Generator) -> tuple[Panel, xr.Dataset]:
    return observing.observe(bench.template, one, bench.priors, bench.coords, rng)


def test_a_panel_has_the_rows_of_the_template_and_no_other_figures(
    bench: Workbench, drawn: list[Truth]
) -> None:
    now = bench.template.now
    panel, paths = observed(bench, drawn[0], np.random.default_rng(14))
    assert set(panel.data) == set(now.data)
    for name, values in now.data.items():
        assert panel.data[name].dtype.kind == values.dtype.kind, name
        if name.split("_")[0] in ("count", "ordinal", "hurdle", "stock") and "unique" not in name:
            assert len(panel.data[name]) == len(values), name
    y, before = panel.data["reading_y"], panel.data["reading_y_previous"]
    linked = np.flatnonzero(panel.data["reading_has_previous"] > 0)
    assert len(linked) > 50
    assert_allclose(before[linked], y[linked - 1])
    # Deliveries have an amount where there was one.
    transfers = panel.items["reading"]["family"].to_numpy()[panel.data["reading_item"]] == "transfer"
    assert transfers.sum() == panel.data["hurdle_z"].sum()
    # History is what the rows say, and the outcomes go on from it.
    ladder = panel.history[panel.history["indicator"] == "ladder_taiwan"]
    assert ladder["month"].max() == now.last_period["ladder_taiwan"]
    shown = paths["ladder"].sel(theatre="taiwan", month=ladder["month"].to_numpy())[0, 0]
    assert_allclose(shown, ladder["value"])
    assert paths["ladder"].sel(theatre="taiwan").notnull().all()


def fixed(drawn: list[Truth], **values: Any) -> Truth:
    """One truth with some values as given."""
    return dataclasses.replace(
        drawn[0], values=drawn[0].values | {k: np.asarray(v) for k, v in values.items()}
    )


def test_counts_and_ladder_have_the_moments_of_their_equations(bench: Workbench, drawn: list[Truth]) -> None:
    one = fixed(
        drawn, count_intercept=np.zeros(4), count_loading=np.full(3, 0.3), count_dispersion=np.full(4, 2.0),
        count_trend=0.0, count_memory=0.5, ladder_any=np.full(5, 0.4), ladder_force=np.full(5, 0.5),
        ladder_slope=np.full(5, 0.7),
    )  # fmt: skip
    rng, n = np.random.default_rng(15), 40
    made = [observing._replicated(bench.template, one, bench.priors, bench.coords, rng) for _ in range(n)]
    items = bench.template.now.items["count"]
    eta = one.eta[THEATRES.index("ukraine_nato"), 0]
    exposure = bench.template.figures["designations_rus"]["exposure"].iloc[0]
    mean = np.exp(items.loc["designations_rus", "log_mean"] + 0.3 * eta) * exposure
    counts = np.array([m["designations_rus"][0] for m in made])
    assert near(counts, mean, np.sqrt(mean + mean**2 / 2.0))
    levels = np.array([m["ladder_korea"][0] for m in made])
    push = 0.7 * one.eta[0, 0]
    for level, chance in ((1, 0.4), (2, 0.2)):
        p = expit(push + np.log(chance / (1.0 - chance)))
        assert near((levels >= level).astype(float), p, np.sqrt(p * (1.0 - p)))


def test_reports_of_stocks_fall_into_their_intervals_as_often_as_they_should(
    bench: Workbench, drawn: list[Truth]
) -> None:
    now = bench.template.now
    one = fixed(
        drawn, stock_noise=0.2, stock_body=np.array([0.1, -0.1]), stock_reported=np.full((2, 60), 9.17)
    )
    rng = np.random.default_rng(16)
    made = [observing.observe_stocks(now, one, rng) for _ in range(1_500)]
    low, high = (np.array([m[f"stock_{end}"] for m in made]) for end in ("low", "high"))
    assert (low < high).all()
    body = np.array([0.1, -0.1])[now.data["stock_source"]]
    for row in (0, 1, 2):
        for below in np.unique(high[:, row])[:40]:
            p = expit((below - 9.17 - body[row]) / 0.2)
            assert near((high[:, row] <= below + 1e-9).astype(float), p, max(np.sqrt(p * (1 - p)), 0.02))


def test_spending_without_surprises_is_the_recursion_and_announcements_read_first_prints(
    bench: Workbench, drawn: list[Truth]
) -> None:
    sp = bench.template.now.spending
    quiet = fixed(
        drawn, growth_noise=np.full(4, 1e-9), growth_mean=np.full(4, 2.0), growth_persistence=np.full(4, 0.5),
        reaction=0.1, gdp_slope=0.0, threat_slope=np.zeros(4), revision_scale=1.0,
        revision_state=np.full(4, 1e-9), budget_bias=np.full(4, 0.5), budget_noise=np.full(4, 1.0),
        late_revision_chance=np.array([0.2, 0.1, 0.05]),
    )  # fmt: skip
    rng = np.random.default_rng(17)
    truths.draw_spending(quiet, bench.template, bench.priors, rng)
    gap = np.full(4, truths.FIRST_GROWTH - 2.0)
    for t in range(sp.n_printed + 3):
        assert_allclose(quiet.growth[:, t], 2.0 + gap, atol=1e-6)
        gap = 0.5 * gap + 0.1 * sp.rivals @ gap
    made = [observing.observe_spending(sp, quiet, bench.priors, rng) for _ in range(600)]
    rows = sp.budgets
    for row in (0, 5, 6):
        error = np.array([m.budgets["value"][row] for m in made]) - 0.5
        error -= quiet.first_print[rows["state"][row], rows["year"][row]]
        scale = np.hypot(1.0 + rows["doubt"][row], rows["half_width"][row])
        assert uniform_p(stats.t(3.0, scale=scale).cdf(error)) > RARE
    assert np.isnan(made[0].budgets["first_print"][rows["year"] >= sp.n_printed]).all()
    changed = np.array([m.late_revisions["changed"] for m in made])
    for k, p in enumerate((0.2, 0.1, 0.05)):
        assert near(changed[:, k], 40 * p, np.sqrt(40 * p * (1 - p)))
    assert all(len(m.late_revisions["size"]) == m.late_revisions["changed"].sum() for m in made)


def test_what_a_print_shows_is_what_it_was_revised_from(bench: Workbench, drawn: list[Truth]) -> None:
    sp = bench.template.now.spending
    n = sp.n_printed
    for one in drawn[:4]:
        panel, paths = observed(bench, one, np.random.default_rng(18))
        own = panel.spending
        assert_allclose(own.growth[:, : n - 1], one.growth[:, : n - 1])
        assert_allclose(own.growth[:, n - 1] + one["revision"], one.growth[:, n - 1])
        # Rows of revisions name the years that announcements read.
        by_year = {(s, y): step for (s, y), step in zip(revised(sp), own.revisions["step"], strict=True)}
        for s, y, first in zip(
            own.budgets["state"], own.budgets["year"], own.budgets["first_print"], strict=True
        ):
            if (s, y) in by_year:
                assert first + by_year[s, y] == pytest.approx(own.growth[s, y])
        shown = paths["growth_print"].sel(age=0).to_numpy()[0, 0]
        assert_allclose(np.log1p(shown / 100.0) * 100.0, one.first_print[:, n:], rtol=1e-4)


def revised(sp: SpendingPanel) -> list[tuple[int, int]]:
    """State and year of each first revision of the template: every year but the first and the newest."""
    per_state = len(sp.revisions["state"]) // len(sp.states)
    years = range(sp.n_printed - 1 - per_state, sp.n_printed - 1)
    return [(s, y) for s in range(len(sp.states)) for y in years]


def test_every_block_of_the_model_has_rows(bench: Workbench) -> None:
    for block in ("reading", "count", "share", "ordinal", "hurdle", "stock"):
        assert len(bench.template.now.data[f"{block}_{'stock' if block == 'stock' else 'item'}"]) > 5, block
