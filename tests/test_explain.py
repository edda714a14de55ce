"""Why answers moved: parts that add up, densities row by row, weights from both ends, made-up runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from escalation_forecast.archive import Run, load_run, write_summary
from escalation_forecast.cli import app
from escalation_forecast.draws import Draws
from escalation_forecast.explain import Part, climb, explain
from escalation_forecast.explain.climb import Base
from escalation_forecast.explain.estimate import change_error, estimate
from escalation_forecast.explain.explain import TODAY
from escalation_forecast.explain.figures import OTHERS, apply, sorted_changes
from escalation_forecast.explain.likelihood import Likelihood
from escalation_forecast.explain.result import Why, add_up
from escalation_forecast.explain.rows import OtherDrawsError, check_draws, difference, tables_of
from escalation_forecast.explain.sides import before_run
from escalation_forecast.explain.states import State, Step, steps_between
from escalation_forecast.explain.words import whole_hundredths
from escalation_forecast.ledger import Ledger
from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.questions import load_questions
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from escalation_forecast.update.reweight import changes_of, posterior_weights
from prior_fit import Evaluate
from whole_run import FUTURES, stand_in, whole_run

EARLIER, LATER = "2026-06-15", "2026-07-20"
FIRST, SECOND = "2026-06-28", "2026-07-02"  # of the made-up runs: little news, another month
ASKED = (
    "arms-race-annual",
    "use-of-force",
    "war-joining",
    "tension-exceeds",
    "troops-exceed",
    "arms-race-count",
)


@pytest.fixture(scope="module")
def data() -> Store:
    return Store.embedded()


@pytest.fixture(scope="module")
def earlier(data: Store) -> Store:
    return data.as_of(EARLIER)


@pytest.fixture(scope="module")
def later(data: Store) -> Store:
    return data.as_of(LATER)


@pytest.fixture(scope="module")
def panels(earlier: Store, later: Store) -> tuple[Panel, Panel]:
    return build_panel(earlier, pd.Timestamp(EARLIER)), build_panel(later, pd.Timestamp(LATER))


def edited(store: Store, chosen: Any, **changes: Any) -> Store:
    """The store with other values in some rows."""
    rows = store.observations.copy()
    for name, value in changes.items():
        rows.loc[chosen(rows), name] = value
    return replace(store, observations=rows)


# What adds up -------------------------------------------------------------------------------------------

shares = st.tuples(st.integers(0, 8800), st.integers(0, 8800)).map(
    lambda pair: (pair[0] / 8800, pair[1] / 8800)
)
levels = st.lists(st.floats(0.0, 1.0, allow_nan=False), max_size=20)


def made_up(ends: tuple[float, float], estimates: list[float]) -> tuple[list[float], tuple[Part, ...]]:
    """Changes from one estimate to the next, and the parts of the published change."""
    changes = np.diff([ends[0], *estimates]).tolist()
    return changes, add_up(*ends, [Part("news", "x", change, 0.01) for change in changes], 0.02)


@given(shares, levels)
def test_parts_add_up_to_the_published_change_to_the_last_digit(
    ends: tuple[float, float], estimates: list[float]
) -> None:
    before, after = ends
    changes, parts = made_up(ends, estimates)
    np.testing.assert_allclose([part.change for part in parts[:-1]], changes, atol=1e-12)
    assert parts[-1].kind == "sampling"
    assert abs(math.fsum([before, *(part.change for part in parts), -after])) <= 2.0**-53


@given(shares, levels)
def test_printed_changes_add_up_to_the_printed_ends(
    ends: tuple[float, float], estimates: list[float]
) -> None:
    _, parts = made_up(ends, estimates)
    before, after, *rounded = whole_hundredths(*(100 * e for e in ends), [100 * p.change for p in parts])
    assert before + sum(rounded) == after
    for part, printed in zip(parts[:-1], rounded, strict=False):
        assert abs(100 * part.change - printed / 100) <= 0.005 + 1e-9


def test_the_error_of_a_change_is_paired_where_the_draws_are_the_same() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random((4, 2500)) < 0.3).astype(float)
    # One draw in a hundred says otherwise.
    flipped = np.where(rng.random(values.shape) < 0.01, 1.0 - values, values)
    even = np.full(values.shape, 1.0 / values.size)
    here, there = object(), object()
    first, second = estimate(values, even, "binary", here), estimate(flipped, even, "binary", here)
    other = estimate(flipped, even, "binary", there)
    usual = math.sqrt(0.3 * 0.7 / values.size)
    assert first.mcse == pytest.approx(usual, rel=0.15)
    assert change_error(first, other) == pytest.approx(math.sqrt(2) * usual, rel=0.15)
    assert change_error(first, second) < 0.3 * usual


def test_the_error_of_a_median_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(1)
    even = np.full((4, 500), 1.0 / 2000)
    found = [estimate(rng.normal(size=(4, 500)), even, "continuous", None) for _ in range(200)]
    spread = np.std([one.value for one in found])
    assert np.mean([one.mcse for one in found]) == pytest.approx(spread, rel=0.2)


# Densities ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """Draws from the prior with the density of each block that the model itself gives them."""

    posterior: xr.Dataset
    densities: dict[str, np.ndarray]


def prior_draws(panel: Panel, priors: Priors, n: int) -> Known:
    model = build_model(panel, priors)
    program = Evaluate(model)
    rows = [program.at_prior_draw(seed) for seed in range(n)]
    kept = {}
    for variable in model.unobserved_RVs:
        name = str(variable.name)
        coords = {dim: np.asarray(model.coords[dim]) for dim in model.named_vars_to_dims.get(name) or ()}
        values = np.stack([row[name] for row in rows])[None]
        kept[name] = xr.DataArray(values, coords, dims=("chain", "draw", *coords))
    names = [str(potential.name) for potential in model.potentials]
    return Known(xr.Dataset(kept), {name: np.array([float(row[name]) for row in rows]) for name in names})


BLOCKS = {
    "readings": ("reading",),
    "counts": ("count",),
    "shares": ("share", "share_total"),
    "ladder": ("ordinal",),
    "hurdle": ("hurdle",),
    "first_revisions": ("revision",),
    "late_revisions": ("late",),
    "late_sizes": ("late_size",),
    "budgets": ("budget",),
    "programmes": ("programme",),
}


def test_rows_have_the_densities_that_the_model_gives_them(panels: tuple[Panel, Panel]) -> None:
    known = prior_draws(panels[0], Priors.default(), 3)
    likelihood = Likelihood(Draws(known.posterior), panels[0], Priors.default())
    tables = tables_of(panels[0])
    for name, blocks in BLOCKS.items():
        found = likelihood.total({block: tables[block] for block in blocks})
        np.testing.assert_allclose(found, known.densities[name], rtol=1e-9, atol=1e-6, err_msg=name)


def test_reports_of_stocks_have_their_shared_miss_integrated_out(panels: tuple[Panel, Panel]) -> None:
    """The mean over drawn misses of the product of the model's interval densities, month by month."""
    known = prior_draws(panels[0], Priors.default(), 1)
    likelihood = Likelihood(Draws(known.posterior), panels[0], Priors.default())
    table = tables_of(panels[0])["stock"]
    month = table.groupby(["stock", "month"]).size().idxmax()
    rows = table[(table["stock"] == month[0]) & (table["month"] == month[1])]
    assert len(rows) > 1
    p = {name: known.posterior[name].values[0, 0] for name in ("stock_miss", "stock_noise")}
    level = float(known.posterior["log_stock"].sel(stock=month[0]).values[0, 0, int(month[1])])
    miss = p["stock_miss"] * np.random.default_rng(0).standard_normal(400_000)
    product = np.ones_like(miss)
    for row in rows.itertuples():
        centre = level + miss + float(known.posterior["stock_body"].sel(body=row.body).values[0, 0])
        high, low = (1.0 / (1.0 + np.exp(-(b - centre) / p["stock_noise"])) for b in (row.high, row.low))
        product *= high - low
    assert likelihood.stocks(rows)[0] == pytest.approx(math.log(product.mean()), abs=0.02)


def test_only_rows_that_changed_are_left_of_a_difference(panels: tuple[Panel, Panel]) -> None:
    before, after = (tables_of(panel) for panel in panels)
    assert difference(before, before) == {}
    moved = difference(before, after)
    assert set(moved) == {"reading", "count", "share", "share_total", "ordinal"}
    assert (moved["ordinal"]["weight"] == 1.0).all()
    # War intensity got a figure, so its scale moved and all its rows with it; other readings stayed.
    assert set(moved["reading"]["item"]) == {"war_intensity"}
    back = difference(after, before)
    assert all((back[block]["weight"].sum() == -moved[block]["weight"].sum()) for block in moved)


def test_other_growth_needs_other_draws(panels: tuple[Panel, Panel], later: Store) -> None:
    gdp = edited(later, lambda rows: (rows["series"] == "gdp_growth") & (rows["unit"] == "JPN"), value=9.0)
    check_draws(*panels)
    with pytest.raises(OtherDrawsError, match="GDP"):
        check_draws(panels[1], build_panel(gdp, pd.Timestamp(LATER)))


# Steps --------------------------------------------------------------------------------------------------


def state(store: Store, day: str, **changes: Any) -> State:
    settings = {"tune": 1, "draws": 2, "chains": 4, "target_accept": 0.85}
    own = State(store, pd.Timestamp(day), Priors.default(), (), 1, 12, 0.8, settings)
    return replace(own, **changes)


def test_nothing_changed_is_no_step_whatever_the_order_of_rows(later: Store) -> None:
    shuffled = replace(later, observations=later.observations.sample(frac=1.0, random_state=3))
    assert steps_between(state(later, LATER), state(shuffled, LATER)) == []


def test_news_come_by_date_and_name_and_lead_to_the_later_figures(earlier: Store, later: Store) -> None:
    steps = steps_between(state(earlier, EARLIER), state(later, LATER))
    assert [step.kind for step in steps] == ["time", *["news"] * (len(steps) - 1)]
    labels = [step.label for step in steps[1:]]
    assert labels.index("sanctions_senders_acting") < labels.index("sanctions_designations")
    dates = [step.published_on for step in steps[1:-1]]
    assert dates == sorted(dates)
    assert labels[-1] == OTHERS
    assert not any(label.startswith(("pla_days", "sanctions_senders_covered")) for label in labels)
    assert steps[-1].state.known.content_hash() == later.content_hash()
    assert steps[0].state.known.observations.equals(earlier.observations)


def test_the_date_alone_moves_the_origin_and_no_row(earlier: Store) -> None:
    before = state(earlier, EARLIER)
    after = before.at(pd.Timestamp(LATER))
    built = build_panel(after.known, pd.Timestamp(LATER))
    assert after.panel.now == built.now == before.panel.now + 1
    assert difference(tables_of(built), after.tables) == {}


def test_an_altered_figure_is_a_revision_and_a_release_of_spending_is_news(data: Store) -> None:
    now = data.as_of("2026-03-01")
    altered = edited(
        now,
        lambda rows: (rows["series"] == "gpr_country") & (rows["period_start"] == "2022-03-01"),
        value=1.0,
    )
    (change,) = sorted_changes(now, altered)
    assert (change.kind, change.label) == ("revision", "gpr_country")
    assert apply(now, change).content_hash() == altered.content_hash()
    spring = sorted_changes(now, data.as_of("2026-05-15"))
    kinds = {(change.kind, change.label) for change in spring}
    assert ("news", "milex_constant") in kinds
    assert ("revision", "milex_constant") not in kinds


def test_priors_and_configuration_are_steps_of_their_own(later: Store) -> None:
    before = state(later, LATER)
    priors = before.priors.replace(ladder_slope={"parameters": {"mu": -0.5}})
    after = replace(before, priors=priors, seed=2, spending_weight=0.7)
    steps = steps_between(before, after)
    assert [(step.kind, step.label) for step in steps] == [
        ("priors", "ladder_slope"),
        ("configuration", "weight of the spending pool 0.8 to 0.7"),
        ("configuration", "seed 1 to 2"),
    ]
    assert steps[-1].state.priors.content_hash() == priors.content_hash()


# Weights from both ends, on a normal mean whose posterior is known --------------------------------------

N = (4, 2000)


class Mean:
    """Posterior of a mean with a standard normal prior after unit-variance readings."""

    def __init__(self, readings: Sequence[float]) -> None:
        self.readings = tuple(readings)
        self.precision = 1.0 + len(self.readings)
        self.value = sum(self.readings) / self.precision

    def base(self, rung: int, name: str, seed: int) -> Base:
        draws = self.value + np.random.default_rng(seed).standard_normal(N) / math.sqrt(self.precision)
        posterior = xr.Dataset({"theta": (("chain", "draw"), draws)})
        return Base(posterior, self, rung, name)  # type: ignore[arg-type]


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    def toy(base: Base) -> Any:
        return SimpleNamespace(draws=SimpleNamespace(n=N[0] * N[1], shape=N), base=base)

    def log_step(likelihood: Any, old: Mean, new: Mean, changes: Any = ()) -> np.ndarray:
        theta = likelihood.base.posterior["theta"].values.ravel()
        density = [-0.5 * sum((y - theta) ** 2 for y in one.readings) for one in (old, new)]
        return np.asarray(density[1] - density[0]) + np.zeros_like(theta)

    monkeypatch.setattr(Base, "likelihood", property(toy))
    monkeypatch.setattr(climb, "log_step", log_step)


def rungs(sets: Sequence[Sequence[float]]) -> list[Step]:
    return [Step("news", f"reading {k}", Mean(one)) for k, one in enumerate(sets)]  # type: ignore[arg-type]


def means_at(found: Any) -> list[float]:
    return [
        float((stand.weights.values * stand.base.posterior["theta"].values).sum()) for stand in found.stands
    ]


def test_weights_of_the_earlier_draws_reach_where_little_changes(means: None) -> None:
    steps = rungs([(0.3,), (0.3, 0.9), (0.3, 0.9, 0.1)])
    start = Mean(()).base(0, "earlier run", 1)
    found = climb.climb(start, steps, lambda: pytest.fail("the later draws are not needed"))
    expected = [0.0, *(Mean(step.state.readings).value for step in steps)]  # type: ignore[attr-defined]
    np.testing.assert_allclose(means_at(found), expected, atol=0.05)
    assert not found.reasons


def test_the_later_draws_take_over_where_the_earlier_ones_wear_out(means: None) -> None:
    far = (0.3, *[9.0] * 12)
    steps = rungs([(0.3,), far, (*far, 9.5)])
    found = climb.climb(
        Mean(()).base(0, "earlier run", 1), steps, lambda: Mean((*far, 9.5)).base(3, "later run", 2)
    )
    assert [stand.base.name for stand in found.stands if stand] == [
        "earlier run", "earlier run", "later run", "later run",
    ]  # fmt: skip
    expected = [0.0, *(Mean(step.state.readings).value for step in steps)]  # type: ignore[attr-defined]
    np.testing.assert_allclose(means_at(found), expected, atol=0.05)
    assert found.fits == ()


def test_a_fit_is_made_between_two_leaps_and_two_at_most(means: None) -> None:
    steps = rungs([[6.0] * 12 * k for k in range(1, 5)])
    fitted: list[Any] = []

    def fit(mean: Any) -> xr.Dataset:
        fitted.append(mean)
        return mean.base(0, "", len(fitted)).posterior

    # Leaps of a mean that readings of alternating sign pull to and fro.
    signs = [[8.0] * 12, [8.0] * 12 + [-8.0] * 24, [8.0] * 48 + [-8.0] * 24, [8.0] * 48 + [-8.0] * 72]
    steps = rungs(signs)
    found = climb.climb(
        Mean(()).base(0, "earlier run", 1), steps, lambda: Mean(signs[-1]).base(4, "later run", 2), fit
    )
    assert len(fitted) == len(found.fits) == climb.MOST_FITS
    reached = [stand is not None for stand in found.stands]
    assert reached == [True, True, True, False, True]


# Whole runs on draws that stand in for fits ---------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(
    data: Store, panels: tuple[Panel, Panel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Run, Run]]:
    out = tmp_path_factory.mktemp("runs")
    trace = stand_in(panels[0], Priors.default())
    with pytest.MonkeyPatch.context() as patch:
        # As few futures as when the runs were made.
        patch.setattr("escalation_forecast.war_paths.FUTURES", FUTURES)
        first, second = (whole_run(data.as_of(day), trace, out, ASKED, 12) for day in (FIRST, SECOND))
        yield out, first, second


@pytest.fixture(scope="module")
def questions() -> list[Any]:
    return [question for question in load_questions() if question.id in ASKED]


@pytest.fixture(scope="module")
def found(runs: tuple[Path, Run, Run], questions: list[Any]) -> Any:
    out, first, second = runs
    return explain(out, second.folder.name, first.folder.name, questions=questions, refit="never")


def test_an_explanation_adds_up_from_one_summary_to_the_other(
    found: Any, runs: tuple[Path, Run, Run]
) -> None:
    before, after = ({e["id"]: e["probability"] for e in one.summary["questions"]} for one in runs[1:])
    assert {why.answer for why in found.answers} == set(before) & set(after)
    # Both ways of weighting are at work in this pair.
    assert set(found.steps["draws"]) == {"earlier run", "later run"}
    for why in found.answers:
        if why.unit != "binary":
            continue
        assert (why.before, why.after) == (before[why.answer], after[why.answer])
        total = math.fsum(part.change for part in why.parts)
        assert abs(total - (why.after - why.before)) <= 2.0**-53
        assert all(part.mcse >= 0 for part in why.parts)
    assert found.table()["kind"].iloc[0] == "time"
    summed = found.table().groupby("answer", sort=False)["change"].sum()
    whole = found.summary().set_index("answer")["change"]
    np.testing.assert_allclose(summed[whole.index], whole, atol=1e-12)


def test_a_run_against_itself_has_no_change_in_any_part(
    runs: tuple[Path, Run, Run], questions: list[Any]
) -> None:
    run = runs[2]
    found = explain(runs[0], run, run, questions=questions)
    assert (found.table()["change"] == 0.0).all()
    assert (found.table()["mcse"] == 0.0).all()
    assert any("Nothing that decides" in note for note in found.notes)


@pytest.mark.slow
def test_the_order_of_rows_in_the_data_is_irrelevant(
    runs: tuple[Path, Run, Run], questions: list[Any], found: Any, data: Store
) -> None:
    mixed = replace(
        data,
        observations=data.observations.sample(frac=1.0, random_state=5),
        where=data.where.sample(frac=1.0, random_state=5),
    )
    given: dict[str, Any] = {"questions": questions, "refit": "never"}
    again = explain(runs[0], runs[2], runs[1], store=mixed, previous_store=data, **given)
    pd.testing.assert_frame_equal(again.table(), found.table())


def test_other_models_are_one_step_and_said_to_be(runs: tuple[Path, Run, Run], tmp_path: Path) -> None:
    old = runs[1]
    folder = tmp_path / old.folder.name
    folder.mkdir()
    write_summary({**old.summary, "model_version": "2"}, folder)
    found = explain(runs[0], runs[2], load_run(folder))
    for why in found.answers:
        assert [part.kind for part in why.parts] == ["code", "sampling"]
        assert why.parts[0].change == why.change
        assert why.parts[1].change == 0.0
    assert "cannot be told apart" in found.notes[0]


@pytest.mark.slow
def test_a_change_of_the_questions_is_seen(runs: tuple[Path, Run, Run], questions: list[Any]) -> None:
    changed = []
    for question in questions:
        if question.id == "arms-race-annual":
            params = {**question.params, "threshold": 9.0}
            question = question.model_copy(update={"params": params})
        changed.append(question)
    given: dict[str, Any] = {"questions": questions, "previous_questions": changed, "refit": "never"}
    found = explain(runs[0], runs[2], runs[2], **given)
    for why in found.answers:
        parts = {part.label: part.change for part in why.parts}
        if why.answer.startswith("arms-race-annual"):
            # The run was not made with the others, so the way there and the way back are both seen.
            assert parts["questions"] > 0.05
            assert parts[TODAY] == pytest.approx(-parts["questions"], abs=0.05)
        else:
            assert parts["questions"] == 0.0
            assert TODAY not in parts
    assert any(TODAY in note for note in found.notes)


@pytest.mark.slow
def test_a_change_of_priors_gives_the_weights_of_an_update(
    runs: tuple[Path, Run, Run], questions: list[Any], data: Store
) -> None:
    updater = Updater.of(runs[2].folder, store=data, questions=questions)
    priors = updater.priors.replace(
        ladder_slope={"parameters": {"mu": -0.4}}, growth_drift={"parameters": {"mu": -1.6}}
    )
    before = replace(state(updater.known, SECOND), priors=updater.priors)
    steps = steps_between(before, before.but(priors=priors))
    assert sorted(step.label for step in steps) == ["growth_drift", "ladder_slope"]
    base = Base(updater.whole_posterior(), before, 0, "earlier run")
    states = [before, *(step.state for step in steps)]
    moved = sum(
        climb.log_step(base.likelihood, old, step.state, step.changes)
        for old, step in zip(states, steps, strict=False)
    )
    (weights, _) = posterior_weights(updater, changes_of(updater.priors, priors))
    assert weights is not None
    np.testing.assert_allclose(moved, weights.log_ratio.ravel(), atol=1e-9)
    assert np.ptp(moved) > 1.0


def test_wrong_requests_are_refused_in_a_sentence(
    runs: tuple[Path, Run, Run], questions: list[Any], data: Store
) -> None:
    out, first, second = runs
    with pytest.raises(DataError, match="the other way round"):
        explain(out, first, second)
    rows = data.observations["series"] == "unsc_vetoes"
    kept = data.observations[~rows], data.where[~rows]
    other = replace(data, observations=kept[0], where=kept[1])
    with pytest.raises(DataError, match="other figures than the data hold"):
        explain(out, second, first, store=other)
    with pytest.raises(DataError, match="No run was made before"):
        explain(out, first)
    with pytest.raises(DataError, match="keeps no draws"):
        explain(out, second, Run(out / "gone", first.summary), questions=questions)


def test_an_explanation_is_kept_printed_and_drawn(
    runs: tuple[Path, Run, Run], found: Any, tmp_path: Path
) -> None:
    out, first, second = runs
    with Ledger.open(f"sqlite:///{tmp_path}/archive.sqlite", str(out)) as ledger:
        for one in (first, second):
            ledger.add(one.folder)
        assert before_run(ledger, second) == before_run(out, second) == first.folder.name
        rows = found.rows()
        assert ledger.put("explanations", rows) == len(rows)
        assert ledger.put("explanations", rows) == 0
        kept = ledger.table("explanations", run_id=found.run_id)
        assert kept["change"].sum() == pytest.approx(found.table()["change"].sum())
    why: Why = found.largest(1)[0]
    assert why.answer in found.words(why.answer)
    assert str(found.run_id) in repr(found)
    assert "<table>" in found._repr_html_()
    figure = found.plot(why.answer)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == f"earlier run, {FIRST}"
    assert labels[-1] == f"later run, {SECOND}"


def test_the_command_prints_what_the_function_finds(
    runs: tuple[Path, Run, Run], found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first, second = runs
    monkeypatch.setattr("escalation_forecast.explain.explain", lambda *_, **__: found)
    name = found.largest(1)[0].answer
    given = ["explain", second.folder.name, "--since", first.folder.name, "--files", str(out)]
    result = CliRunner().invoke(app, [*given, "--question", name])
    assert result.exit_code == 0, result.output
    assert found.text(name) in result.output
    assert CliRunner().invoke(app, [*given, "--question", "use-of-farce"]).exit_code == 2


# Two short fits on the real data ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_change_of_one_series_alone_is_put_down_to_it(data: Store, tmp_path: Path) -> None:
    """The explanation is told nothing but the two runs; two samplings differ by Monte Carlo error."""
    from escalation_forecast import run_forecast

    known = data.as_of("2026-08-01")

    def korean(rows: pd.DataFrame) -> Any:
        return (
            (rows["series"] == "budget_growth") & (rows["unit"] == "KOR") & (rows["period_start"] >= "2026")
        )

    value = known.observations.loc[korean(known.observations), "value"] + 3.0
    other = edited(known, korean, value=value)
    before, after = (run_forecast(one, draft=True, out=tmp_path, progress=False) for one in (known, other))
    found = explain(tmp_path, after, before, store=other, previous_store=known, refit="never")
    assert list(found.steps["label"]) == ["budget_growth"]
    apart = []
    for why in found.answers:
        (own, chance) = why.parts
        assert (own.kind, chance.kind) == ("revision", "sampling")
        slack = 3.0 * math.hypot(own.mcse, chance.mcse)
        assert abs(own.change) >= 0.95 * abs(why.change) - slack, why.answer
        if chance.mcse > 0 and why.unit == "binary":
            apart.append(chance.change / chance.mcse)
    # What is left over is as large as Monte Carlo error says.
    assert 0.3 < float(np.sqrt(np.mean(np.square(apart)))) < 2.0
    regional = found["arms-race-regional/2027"].parts[0]
    # Short fits: a larger budget raises it, by more than chance.
    assert regional.change > 2 * regional.mcse
