"""Decisions on a whole run: what they add, what that changes, and what may be said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm
from typer.testing import CliRunner

from escalation_forecast import forecast
from escalation_forecast.cli import app
from escalation_forecast.draws import Draws
from escalation_forecast.indicator_rows import LOG_OFFSET
from escalation_forecast.questions import bind, load_questions
from escalation_forecast.scenario import (
    Book,
    Effect,
    Lever,
    Observed,
    Scenario,
    Scenarios,
    Step,
    load_scenarios,
)
from escalation_forecast.scenario.effects import Shifts, profile, shifts_of
from escalation_forecast.scenario.files import write_results
from escalation_forecast.scenario.levers import LONGEST, UNITS
from escalation_forecast.scenario.page import lever_table, result_table, write_page
from escalation_forecast.scenario.plots import plot_changes, plot_fans, plot_heat
from escalation_forecast.scenario.response import Slope, respond, tipping_point
from escalation_forecast.scenario.result import BEYOND, COLUMNS, NOT_SETTLED
from escalation_forecast.scenario.study import TWO_CHANNELS
from escalation_forecast.scenario.sweep import sweep
from escalation_forecast.scenario.windows import months_to, with_shorter
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from whole_run import asked, whole_run

QUESTIONS = (
    "arms-race-annual", "arms-race-regional", "spending-growth", "use-of-force", "tension-exceeds",
    "troops-exceed", "wider-war", "war-joining",
)  # fmt: skip
TEN = {
    "mediation", "assurances", "security-council", "arms-ukraine", "sanctions-russia", "dialogue",
    "troop-withdrawal", "troop-deployment", "china-restrains", "china-enables", "technology-to-pyongyang",
}  # fmt: skip
KOREA, UKRAINE = THEATRES.index("korea"), THEATRES.index("ukraine_nato")


def effect(channel: str, *of: str, mu: float = 0.0, sigma: float = 0.0, **more: Any) -> Effect:
    return Effect.model_validate({"channel": channel, "of": of, "mu": mu, "sigma": sigma, **more})


def lever(*effects: Effect, **more: Any) -> Lever:
    words = dict.fromkeys(("title", "text", "why_not_conditional", "evidence", "source"), "x")
    return Lever(**words, effects=effects, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def updater(
    known: Store, trace: xr.DataTree, few_futures: None, tmp_path_factory: pytest.TempPathFactory
) -> Updater:
    """A run of three years, so that there are answers of which nothing is said."""
    run = whole_run(known, trace, tmp_path_factory.mktemp("runs"), QUESTIONS, horizon=36)
    return Updater.of(run.folder, store=known, questions=asked(QUESTIONS))


@pytest.fixture(scope="module")
def at(updater: Updater) -> Scenarios:
    return Scenarios.of(updater)


def with_lever(at: Scenarios, one: Lever) -> Scenarios:
    return Scenarios(at.ground, Book({"own": one}, {}))


def shifts(at: Scenarios, *effects: Effect, steps: tuple[Step, ...] = (Step(lever="own"),)) -> Shifts:
    own = with_lever(at, lever(*effects))
    return own.shifts(own.book.steps(Scenario(title="x", levers=steps)))


# --- data ---------------------------------------------------------------------------------------------


def test_the_ten_levers_come_with_evidence_and_work_on_what_a_run_has(at: Scenarios) -> None:
    book = load_scenarios()
    assert set(book.levers) >= TEN
    for name, one in book.levers.items():
        assert min(map(len, (one.evidence, one.source, one.why_not_conditional))) > 15, name
        at.shifts(book.steps(book[name]))
    assert {e.channel for one in book.levers.values() for e in one.effects} == set(UNITS)


WRONG = {
    "channel": ('channel = "latnt", of = ["korea"], mu = 0, sigma = 1', "latent"),
    "theatre": ('channel = "latent", of = ["koera"], mu = 0, sigma = 1', "did you mean `korea`"),
    "scale": ('channel = "latent", of = ["korea"], mu = 0, sigma = -1', "sigma"),
    "infinite": ('channel = "latent", of = ["korea"], mu = inf, sigma = 1', "mu"),
    "huge": ('channel = "latent", of = ["korea"], mu = 30, sigma = 1', "beyond 3 sd of the latent"),
    "lag": ('channel = "latent", of = ["korea"], mu = 0, sigma = 1, lag = [5, 2]', "smaller first"),
    "key": (
        'channel = "latent", of = ["korea"], mu = 0, sigma = 1, halflife = 2',
        "did you mean `half_life`",
    ),
    "missing": ('channel = "latent", of = ["korea"], mu = 0', "sigma"),
    "twice": ('channel = "latent", of = ["korea", "korea"], mu = 0, sigma = 1', "twice"),
    "late": ('channel = "latent", of = ["korea"], mu = 0, sigma = 1, after_reversal = true', "reversal"),
    "label": (
        'channel = "indicator", of = ["lunches_prk"], mu = 0, sigma = 1',
        "did you mean `launches_prk`",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_gets_one_sentence(case: str, at: Scenarios, tmp_path: Path) -> None:
    line, said = WRONG[case]
    words = "\n".join(f'{k} = "x"' for k in ("title", "text", "why_not_conditional", "evidence", "source"))
    file = tmp_path / "my.toml"
    file.write_text(f"[levers.mine]\n{words}\neffects = [{{ {line} }}]\n")
    with pytest.raises(DataError, match="mine") as caught:
        Scenarios(at.ground, load_scenarios(file)).run("mine")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[levers.a]\n[levers.a]\n", "not valid TOML"),
        ("[lever.a]\n", "did you mean `levers`"),
        ('[scenarios.a]\ntitle = "x"\n', "give `levers`, `observed`, or both"),
        ('[scenarios.a]\ntitle = "x"\nlevers = [{ lever = "mediaton" }]\n', "did you mean `mediation`"),
        ('[scenarios.mediation]\ntitle = "x"\nlevers = [{ lever = "dialogue" }]\n', "both a lever and"),
        ('[scenarios.a]\ntitle = "x"\nlevers = [{ lever = "dialogue", from_month = 40 }]\n', "from_month"),
    ],
)
def test_a_wrong_scenario_gets_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=r"my\.toml") as caught:
        load_scenarios(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lever_is_added_without_code(at: Scenarios, tmp_path: Path) -> None:
    words = "\n".join(f'{k} = "x"' for k in ("title", "text", "why_not_conditional", "evidence", "source"))
    file = tmp_path / "my.toml"
    file.write_text(
        f"[levers.mine]\n{words}\neffects = [{{ channel = 'latent', of = ['korea'], mu = 0.5, sigma = 0 }}]\n"
        "[scenarios.both]\ntitle = 'x'\n"
        "levers = [{ lever = 'mine' }, { lever = 'mediation', from_month = 3 }]\n"
    )
    own = Scenarios(at.ground, load_scenarios(file))
    alone, both = own.run("mine", conditional=False), own.run("both", conditional=False)
    assert alone["use-of-force/korea/12m"].change.mean > 0.01  # type: ignore[union-attr]
    korea = [one["use-of-force/korea/12m"].change for one in (both, alone)]
    assert korea[0].mean == korea[1].mean  # type: ignore[union-attr]
    assert both["use-of-force/ukraine_nato/12m"].change.mean < 0.0  # type: ignore[union-attr]


# --- effects ------------------------------------------------------------------------------------------


def test_an_effect_waits_grows_and_fades() -> None:
    one = effect("latent", "korea", mu=1.0, lag=(2, 4), ramp=2, half_life=3)
    found = profile(one, 8, np.array([0.0, 1.0]), np.array([np.inf, 6.0]))
    fades = 0.5 ** (np.arange(6) / 3)
    assert found[0] == pytest.approx([0.0, 0.5, *fades])
    # The second begins in month 4 and is undone after month 6.
    assert found[1] == pytest.approx([0, 0, 0, 0.5, 1.0, 0.5 ** (1 / 3), 0, 0])


def test_a_lag_within_a_month_leaves_a_part_of_it() -> None:
    one = effect("latent", "korea", mu=1.0, lag=(1, 2))
    assert profile(one, 3, np.array([0.25]), np.array([np.inf]))[0] == pytest.approx([0.75, 1.0, 1.0])


def test_half_of_what_is_undone_with_chance_a_half_is_left_after_a_year() -> None:
    one = lever(effect("latent", "korea", mu=1.0), reversal=0.5)
    found = shifts_of([("a", one, Step(lever="a"))], 4000, 30, seed=1).of("latent")["korea"]
    assert found[:, 11].mean() == pytest.approx(0.5, abs=0.002)
    assert found[:, 23].mean() == pytest.approx(0.25, abs=0.002)


def test_what_begins_after_a_reversal_does_not_begin_before() -> None:
    both = lever(
        effect("latent", "korea", mu=1.0),
        effect("latent", "taiwan", mu=1.0, after_reversal=True),
        reversal=0.5,
    )
    found = shifts_of([("a", both, Step(lever="a"))], 500, 30, seed=1)
    stands, undone = found.of("latent")["korea"] > 0, found.of("latent")["taiwan"] > 0
    assert undone.any()
    assert not (stands[:, 1:] & undone[:, :-1]).any()


def test_sizes_are_drawn_without_sampling_error_to_speak_of() -> None:
    one = lever(effect("latent", "korea", mu=-0.2, sigma=0.2))
    sizes = shifts_of([("a", one, Step(lever="a"))], 1000, 2, seed=3).sizes[:, 0]
    assert sizes.mean() == pytest.approx(-0.2, abs=1e-3)
    assert (sizes > 0).mean() == pytest.approx(norm.sf(1.0), abs=1e-3)


def test_a_lever_applied_twice_is_twice_the_lever(at: Scenarios) -> None:
    one = effect("latent", "korea", mu=0.2, sigma=0.3, lag=(1, 6), half_life=4)
    twice = shifts(at, one, steps=(Step(lever="own"), Step(lever="own")))
    double = shifts(at, one, steps=(Step(lever="own", scale=2.0),))
    assert np.array_equal(twice.by["latent"]["korea"], double.by["latent"]["korea"])
    assert np.array_equal(twice.sizes, double.sizes)
    first, second = at.ground.outcome(twice), at.ground.outcome(double)
    assert first.values.keys() == second.values.keys()
    for name, values in first.values.items():
        assert np.array_equal(values, second.values[name], equal_nan=True), name


def test_there_and_back_is_nothing_to_the_last_bit(at: Scenarios) -> None:
    one = effect("latent", "korea", mu=0.2, sigma=0.3)
    back = shifts(at, one, steps=(Step(lever="own"), Step(lever="own", scale=-1.0)))
    assert back.nothing
    assert not at.ground.outcome(back).values


# --- structural ---------------------------------------------------------------------------------------


def test_a_null_lever_changes_no_number_at_all(at: Scenarios) -> None:
    every = tuple(
        effect(channel, of)
        for channel, of in (
            ("latent", "korea"), ("coupling", "taiwan"), ("incidents", "korea"), ("war", "korea"),
            ("joining", "NATO"), ("spending", "CHN"), ("gdp", "CHN"), ("indicator", "launches_prk"),
            ("indicator", "news_korea"), ("stock", "dprk_troops"), ("transfer", "transfer_rus_chn"),
        )
    )  # fmt: skip
    found = with_lever(at, lever(*every)).run("own")
    assert {row.id for row in found.rows} == {item.id for item in at.ground.items}
    for row in found.rows:
        if row.note != BEYOND and np.isfinite(row.before):
            assert row.after == row.before, row.id
            assert row.change.low == row.change.high == 0.0  # type: ignore[union-attr]
    assert not found.readouts
    fans = found.fans
    assert np.array_equal(fans["before_0.5"], fans["after_0.5"])


def test_answers_without_decisions_are_those_of_the_run(at: Scenarios, updater: Updater) -> None:
    asked = [item for item in at.ground.items if item.id in updater.stored]
    shorter = {item.id.rpartition("/")[2] for item in at.ground.items} - {
        item.id.rpartition("/")[2] for item in asked
    }
    assert shorter <= {"any-2026-2027", "all-2026-2027"}
    for item in asked:
        stored = updater.stored[item.id]["probability"]
        if stored is not None:
            error = updater.stored[item.id]["mcse"]
            assert at.ground.values[item.id].mean() == pytest.approx(stored, abs=4 * error + 1e-9), item.id


def test_chances_of_force_move_on_the_scale_of_log_odds(at: Scenarios) -> None:
    found = at.ground.outcome(
        shifts(at, effect("latent", "korea", mu=0.5), effect("incidents", "taiwan", mu=1))
    )
    war, slope = at.ground.updater.war, at.ground.draws["ladder_slope"]
    assert logit(found.force[:, KOREA]) - logit(war.force[:, KOREA]) == pytest.approx(
        np.repeat(0.5 * slope[:, [KOREA]], found.force.shape[2], axis=1), abs=1e-6
    )
    taiwan = THEATRES.index("taiwan")
    assert np.array_equal(found.force[:, taiwan], war.force[:, taiwan])
    lower = expit(logit(war.anything[:, taiwan]) + 1.0)
    assert found.anything[:, taiwan] == pytest.approx(np.maximum(lower, war.force[:, taiwan]), abs=1e-9)


def test_growth_carries_over_and_rivals_answer(at: Scenarios) -> None:
    found = at.ground.outcome(shifts(at, effect("spending", "CHN", mu=3.0, sigma=1.0)))
    sp, d = at.ground.panel.spending, at.ground.draws
    china, japan = sp.states.index("CHN"), sp.states.index("JPN")
    months = at.ground.months
    size = 3.0 + (shifts(at, effect("spending", "CHN", mu=3.0, sigma=1.0)).sizes[:, 0] - 3.0)
    t = int(months[0].year) - int(sp.years[0])
    first = size * (months.year == months[0].year).sum() / 12
    assert found.growth[:, china, t] == pytest.approx(first)
    expected = (
        size + d["growth_persistence"][:, china] * first
        + d["reaction"] * sp.rivals[china, china] * first
    )  # fmt: skip
    assert found.growth[:, china, t + 1] == pytest.approx(expected)
    assert found.growth[:, japan, t + 1] == pytest.approx(d["reaction"] * sp.rivals[japan, china] * first)


def test_risk_reaches_spending_the_year_after_where_a_state_is_exposed(at: Scenarios) -> None:
    found = at.ground.outcome(shifts(at, effect("latent", "korea", mu=1.0)))
    sp, d, months = at.ground.panel.spending, at.ground.draws, at.ground.months
    t = int(months[0].year) - int(sp.years[0])
    korea = sp.states.index("KOR")
    share = (months.year == months[0].year).sum() / 12
    assert not found.growth[:, :, t].any()
    expected = d["threat_slope"][:, korea] * sp.exposure[korea, KOREA] * share
    assert found.growth[:, korea, t + 1] == pytest.approx(expected)


def test_news_moves_by_its_loading(at: Scenarios) -> None:
    ground = at.ground
    one = shifts(at, effect("latent", "korea", mu=0.7))
    gain = ground.news_gain(one, ground.added(one))["news_korea"]
    items = ground.panel.items["reading"]
    news = items[items["family"] == "news"]
    loaded = list(news.index[~news["anchor"]])
    slope = ground.draws["news_loading"][:, loaded.index("news_korea")] * items.loc["news_korea", "sd"]
    assert gain[:, 5] == pytest.approx(0.7 * slope)
    moved = ground._news(ground.news_gain(one, ground.added(one)))
    assert moved is not None
    before, after = (
        array.sel(indicator="news_korea").transpose("chain", "draw", "month").to_numpy().reshape(*gain.shape)
        for array in (ground.paths["indicator_level"], moved)
    )
    inside = after > 0
    assert np.log(after + LOG_OFFSET)[inside] == pytest.approx(
        (np.log(before + LOG_OFFSET) + gain)[inside], abs=1e-4
    )


def test_coupling_is_another_share_of_the_same_movements(at: Scenarios) -> None:
    ground, updater = at.ground, at.ground.updater
    gain = ground.added(shifts(at, effect("coupling", "taiwan", mu=0.1)))
    k = THEATRES.index("taiwan")
    share = updater.posterior["global_share"].copy()
    share.loc[{"theatre": "taiwan"}] = np.clip(share.sel(theatre="taiwan") + 0.1, 0.0, 1.0)
    whole = updater.whole_posterior()
    months = forecast.month_axis(ground.panel, updater.horizon)
    paths = [
        forecast.extend_latents(
            ground.panel, Draws(one), updater.priors, len(months),
            np.random.default_rng(np.random.SeedSequence(updater.seed).spawn(1)[0]),
        )[:, k, ground.panel.now + 1 : len(months)]
        for one in (whole, whole.assign(global_share=share))
    ]  # fmt: skip
    assert gain[:, k] == pytest.approx(paths[1] - paths[0], abs=1e-6)
    beyond = len(ground.panel.months) - ground.panel.now - 1
    assert not gain[:, k, :beyond].any()
    assert gain[:, k, beyond:].any()


def test_chance_events_are_common_so_that_more_risk_never_means_fewer_wars(at: Scenarios) -> None:
    ground = at.ground
    more = ground.outcome(shifts(at, *(effect("latent", name, mu=0.3) for name in THEATRES)))
    for name in ("wider-war/war/24m", "wider-war/any/12m", "use-of-force/korea/12m", "war-joining/NATO/12m"):
        assert (more.values[name] >= ground.values[name]).all(), name
        assert (more.values[name] > ground.values[name]).any(), name
    joined = ground.outcome(shifts(at, effect("joining", "NATO", mu=1.0)))
    assert (joined.values["war-joining/NATO/12m"] >= ground.values["war-joining/NATO/12m"]).all()
    for name in ("war-joining/CHN/12m", "wider-war/war/24m"):
        assert np.array_equal(joined.values[name], ground.values[name]), name


def test_a_pushed_war_is_one_in_closed_form(at: Scenarios) -> None:
    found = with_lever(at, lever(effect("war", "korea", mu=0.5))).run("own")
    row = found["war/korea/12m"]
    chain, force = at.ground.updater.war.clash, at.ground.updater.war.force
    lat = at.ground.latents
    quiet = np.ones(len(force))
    for t in range(12):
        war = 0.0
        for dyad in np.flatnonzero(chain.theatre == KOREA):
            chance = np.minimum(
                expit(chain.war + chain.slope * lat[:, KOREA, t]) * chain.restraint[:, dyad], 1.0
            )
            war = war + chain.share[:, dyad] * (1.0 - (1.0 - chance) ** np.exp(0.5))
        quiet *= 1.0 - force[:, KOREA, t] * chain.fatal[:, KOREA] * chain.opens * war
    assert row.after == pytest.approx(float(1.0 - quiet.mean()), rel=1e-9)


def test_deployment_and_withdrawal_move_incidents_and_war_in_opposite_directions(at: Scenarios) -> None:
    for name, sign in (("troop-withdrawal", -1.0), ("troop-deployment", 1.0)):
        found = at.run(name)
        assert TWO_CHANNELS in found.caveats
        for theatre in ("korea", "taiwan", "east_china_sea"):
            incidents, war = found[f"incident-months/{theatre}/12m"], found[f"war/{theatre}/12m"]
            assert np.sign(incidents.change.mean) == sign  # type: ignore[union-attr]
            assert np.sign(war.change.mean) == -sign  # type: ignore[union-attr]


def with_draws(at: Scenarios, book: Book, **values: float) -> Scenarios:
    """The same run with some parameters the same in every draw."""
    updater = at.ground.updater
    twin = replace(updater)
    twin.__dict__.update(updater.__dict__)
    posterior = updater.posterior.assign({k: updater.posterior[k] * 0.0 + v for k, v in values.items()})
    twin.__dict__.update(posterior=posterior, draws=Draws(posterior))
    return Scenarios(replace(at.ground, updater=twin), book)


def test_sanctions_tell_of_risk_only_along_the_arrow_that_a_decision_cuts(at: Scenarios) -> None:
    """C raises the risk that is inferred; S leaves it alone, and C does too once the arrow is cut."""
    seen = (Observed(kind="indicator", of="sanctions_rus", months=(1,), value=4),)
    book = Book({"own": lever(effect("indicator", "sanctions_rus", mu=1.0), observed=seen)}, {})
    hears, deaf = (
        with_draws(at, book, share_loading=loading, share_intercept=-1.0, share_concentration=20.0).run("own")
        for loading in (0.8, 0.0)
    )
    for found in (hears, deaf):
        assert found["indicator/sanctions_rus/12m"].change.mean > 0.1  # type: ignore[union-attr]
        assert not [row for row in found.readouts if row.id.startswith("risk/")]
        assert all(row.change.mean == 0.0 for row in found.rows if row.change is not None)
        assert found.conditional is not None
    now, still = (
        one.conditional.inferred.query("latent == 'ukraine_nato' and ahead == 1").iloc[0]  # type: ignore[union-attr]
        for one in (hears, deaf)
    )
    assert now["change"] > 4 * now["mcse"]
    assert still["change"] == 0.0


# --- reading ------------------------------------------------------------------------------------------


def test_a_single_effect_has_the_sign_of_its_size(at: Scenarios) -> None:
    """Risk is linear in the size, so that its change has the distribution of the size."""
    found = with_lever(at, lever(effect("latent", "korea", mu=-0.2, sigma=0.2))).run("own")
    sd = forecast.reference_scale().loc["korea", "sd"]
    change = found["risk/korea/12m"].change
    assert change is not None
    assert change.lowers == pytest.approx(norm.cdf(1.0), abs=0.01)
    assert change.low == pytest.approx((-0.2 - 1.2816 * 0.2) / sd, rel=0.03)
    assert change.high == pytest.approx((-0.2 + 1.2816 * 0.2) / sd, rel=0.05)
    force = found["use-of-force/korea/12m"]
    assert force.change.lowers == pytest.approx(norm.cdf(1.0), abs=0.05)  # type: ignore[union-attr]
    assert NOT_SETTLED in force.words


def test_a_slope_of_either_sign_settles_nothing(at: Scenarios) -> None:
    """Tension moves troops by a slope that is as likely negative as positive, whatever the size."""
    found = with_lever(at, lever(effect("latent", "ukraine_nato", mu=-1.0))).run("own")
    row = found["troops/12m"]
    lower = float((at.ground.draws["stock_threat"][:, 0] > 0).mean())
    assert 0.4 < lower < 0.6
    assert row.change.lowers == pytest.approx(lower, abs=0.02)  # type: ignore[union-attr]
    pushes = at.ground.outcome(shifts(at, effect("latent", "ukraine_nato", mu=-1.0))).pushes
    assert (pushes["troops-exceed/5000/12m"] < 0).mean() == pytest.approx(lower, abs=0.02)
    assert not row.change.settled  # type: ignore[union-attr]
    growth = found["growth/RUS/2028"].change
    assert growth is not None
    assert growth.high - growth.low > 0.5 * abs(growth.mean)


def test_an_interval_off_zero_is_not_said_to_settle_nothing(at: Scenarios) -> None:
    found = with_lever(at, lever(effect("latent", "korea", mu=-0.5, sigma=0.05))).run("own")
    row = found["use-of-force/korea/12m"]
    assert row.change.settled  # type: ignore[union-attr]
    assert NOT_SETTLED not in row.words


def test_a_hidden_move_of_the_same_size_and_place_cancels_an_effect(at: Scenarios) -> None:
    found = with_lever(at, lever(effect("latent", "korea", mu=-0.3))).run("own")
    assert found["use-of-force/korea/12m"].tipping == pytest.approx(0.3, rel=0.12)
    assert found["wider-war/joining/12m"].tipping is None


def test_nothing_is_said_beyond_two_years(at: Scenarios) -> None:
    found = at.run("mediation")
    first = at.ground.months[0]
    late = [row for row in found.rows if row.item is not None and months_to(row.item, first) > LONGEST]
    assert late
    for row in late:
        assert row.change is None
        assert row.note == BEYOND
        assert BEYOND in row.words
    assert found.table().loc[lambda t: t["note"] == BEYOND, "after"].isna().all()


def test_a_window_of_years_that_ends_too_late_has_a_shorter_one_beside_it(known: Store) -> None:
    items = bind(load_questions(), known, horizon=36)
    first = pd.Timestamp("2026-07-01")
    both = with_shorter(items, first)
    ids = [item.id for item in both]
    place = ids.index("arms-race-regional/any-2026-2028")
    short = both[place + 1]
    assert (short.id, short.years, short.combine) == ("arms-race-regional/any-2026-2027", (2026, 2027), "any")
    assert short.target.endswith("any 2026-2027")
    assert months_to(both[place], first) == 30
    assert months_to(short, first) == 18
    # What is there already stays in its order; nothing that ends in time, or is of one year, gets another.
    added = [item for item in both if item.id not in {one.id for one in items}]
    assert [item for item in both if item not in added] == items
    assert all(months_to(item, first) <= LONGEST and len(item.years) > 1 for item in added)
    assert with_shorter(added, first) == tuple(added)


def test_a_shorter_window_is_answered_from_the_draws_of_its_years(at: Scenarios) -> None:
    own = with_lever(at, lever(effect("spending", "JPN", "KOR", mu=4.0, sigma=1.0))).run("own")
    ids = [row.id for row in own.rows]
    whole, part = "arms-race-regional/any-2026-2028", "arms-race-regional/any-2026-2027"
    assert ids.index(part) == ids.index(whole) + 1
    assert (own[whole].note, own[whole].change) == (BEYOND, None)
    years = [at.ground.values[f"arms-race-regional/{year}"] for year in (2026, 2027)]
    assert own[part].before == pytest.approx(float(np.maximum(*years).mean()), abs=1e-9)
    assert own[part].change is not None
    assert own[part].change.mean > 0.0
    # Without a decision there is nothing to tell of a window that the run was not asked about.
    assert part not in [row.id for row in at.run("china-budget").rows]


def test_tables_keep_the_order_of_the_questions(at: Scenarios) -> None:
    found = at.run("mediation")
    table = found.table()
    assert list(table.columns) == list(COLUMNS)
    ids = [item.id for item in at.ground.items]
    assert list(table["id"][: len(ids)]) == ids
    shown = [row.id for row in found.largest(5)]
    assert shown == [one for one in ids if one in shown]
    claimed = found["use-of-force/ukraine_nato/12m"]
    assert found.stated(claimed) == claimed.change.lowers  # type: ignore[union-attr]
    assert at.run("security-council", conditional=False).stated(claimed) is None


def test_names_are_looked_up_kindly(at: Scenarios) -> None:
    with pytest.raises(DataError, match="did you mean `mediation`"):
        at.run("mediaton")
    with pytest.raises(DataError, match="did you mean `wider-war/any/12m`"):
        at.run("mediation")["wider-war/any/12"]


@settings(max_examples=25, deadline=None)
@given(st.floats(-2, 2), st.floats(0.05, 1), st.integers(0, 10_000))
def test_the_interval_is_that_of_what_the_sizes_bring(mean: float, sd: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = mean + sd * rng.standard_normal((4000, 1))
    change = 0.3 * sizes[:, 0] + 0.02 * rng.standard_normal(4000)
    found = respond(change, sizes, (4, 1000), seed)
    low, high = 0.3 * np.quantile(sizes, [0.1, 0.9])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    assert found.lowers == pytest.approx(norm.cdf(-mean / sd), abs=0.04)


def test_columns_that_repeat_each_other_do_not_break_the_regression() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((2000, 1))
    found = respond(one[:, 0] * 0.1, np.hstack([one, one, np.full((2000, 1), 0.3)]), (4, 500), 1)
    assert found.low == pytest.approx(-0.128, abs=0.01)
    assert np.isfinite([found.low, found.high, found.mcse]).all()


def test_a_slope_within_noise_has_no_tipping_point() -> None:
    change = respond(np.full(100, 0.1), np.ones((100, 1)), (2, 50), 1)
    clear, noise = (Slope(np.array([0.2]), np.array([error])) for error in (0.01, 0.1))
    assert tipping_point(change, clear, [0]) == pytest.approx(-0.5)
    assert tipping_point(change, noise, [0]) is None
    assert tipping_point(change, None, [0]) is None
    assert tipping_point(change, clear, []) is None


# --- sweeps, files, commands --------------------------------------------------------------------------


def test_a_sweep_is_the_scenarios_one_by_one(at: Scenarios, tmp_path: Path) -> None:
    grid = {"mediation.scale": [0.0, 1.0], "mediation.1.mu": [-0.4, 0.2], "mediation.from_month": [6]}
    answers = ["use-of-force/ukraine_nato/12m", "wider-war/any/12m"]
    folder = at.ground.updater.run.folder
    table = sweep(folder, "mediation", grid, answers=answers, out=tmp_path, executor="here", progress=False)
    assert len(table) == 4 * 2
    assert list(table.columns[:4]) == [*grid, "id"]
    assert (table.loc[table["mediation.scale"] == 0.0, "change"] == 0.0).all()
    one = Scenarios(
        at.ground, at.book.changed("mediation", {"mediation.1.mu": 0.2, "mediation.from_month": 6})
    )
    row = table.query("`mediation.scale` == 1 and `mediation.1.mu` == 0.2 and `mediation.from_month` == 6")
    expected = one.run("mediation")[answers[0]].change
    assert row.loc[row["id"] == answers[0], "change"].item() == pytest.approx(expected.mean, rel=1e-9)  # type: ignore[union-attr]
    whole = sweep(
        folder, "mediation", {"mediation.scale": [1.0]}, answers=["wider-war"], out=tmp_path, executor="here",
        progress=False,
    )  # fmt: skip
    assert set(whole["id"]) == {item.id for item in at.ground.items if item.question.id == "wider-war"}
    every = at.run("mediation")
    assert list(whole["change"].fillna(0)) == [
        0.0 if every[name].change is None else every[name].change.mean
        for name in whole["id"]  # type: ignore[union-attr]
    ]
    again = sweep(folder, "mediation", grid, answers=answers, out=tmp_path, executor="here", progress=False)
    pd.testing.assert_frame_equal(table, again)
    figure = plot_heat(table, answers[0], "mediation.scale", "mediation.1.mu")
    assert len(figure.axes[0].texts) >= 4


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, "at least one place"),
        ({"mediaton.scale": [1]}, "did you mean `mediation`"),
        ({"mediation.3.mu": [1]}, "2.half_life"),
        ({"mediation.1.sigma": [-1]}, "sigma"),
        ({"mediation.scale": list(range(6000))}, "at most"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_runs(
    grid: dict[str, list[float]], said: str, at: Scenarios, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        sweep(at.ground.updater.run.folder, "mediation", grid, out=tmp_path / "none", executor="here")
    assert not (tmp_path / "none").exists()


def test_results_are_written_as_tables_and_pictures(at: Scenarios, tmp_path: Path) -> None:
    found = [at.run("mediation"), at.run("clash-in-korea")] if "clash-in-korea" in at.names else []
    written = write_results(found, tmp_path)
    assert {path.name for path in written} >= {
        "scenarios.csv",
        "mediation-risk.png",
        "clash-in-korea-changes.png",
    }
    table = pd.read_parquet(tmp_path / "scenarios.parquet")
    assert set(table["label"]) == {"S", "C"}
    learned = table[table["label"] == "C"]
    assert learned["change"].isna().all()
    assert learned["conditional"].notna().any()
    assert len(plot_changes(found, ["wider-war/any/12m"]).axes[0].get_yticklabels()) == 2


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_several_scenarios_have_a_panel_for_each_answer(at: Scenarios) -> None:
    found = [at.run(name) for name in ("troop-withdrawal", "mediation", "clash-in-korea")]
    answers = ["wider-war/any/12m", "war/korea/12m"]
    figure = plot_changes(found, answers)
    assert [ax.get_title(loc="left").split(",")[0] for ax in figure.axes] == answers
    assert all(
        [label.get_text() for label in ax.get_yticklabels()] == [r.name for r in found] for ax in figure.axes
    )
    # Mediation leaves Korea alone; what news say of a quantity that no question is of is not known.
    assert texts(figure.axes[1])[1:3] == ["unchanged", "C is of questions alone"]
    assert any(text.startswith("C: ") for text in texts(figure.axes[0]))
    with pytest.raises(DataError, match="did you mean `war/korea/12m`"):
        plot_changes(found, ["war/kore/12m"])


def test_a_risk_that_does_not_move_is_said_and_not_drawn(at: Scenarios) -> None:
    still = plot_fans(at.run("troop-withdrawal"))
    assert not any(ax.lines for ax in still.axes)
    assert any("no theatre moves" in text for text in texts(still.axes[0]))
    found = at.run("mediation")
    above, below = plot_fans(found).axes
    assert above.get_title(loc="left") == "Ukraine-NATO"
    dots = [line.get_ydata()[0] for line in below.lines if line.get_marker() == "o"]  # type: ignore[index]
    assert dots == [found[f"risk/ukraine_nato/{months}m"].change.mean for months in (6, 12, 24)]  # type: ignore[union-attr]


def test_text_and_table_say_how_c_was_found_and_leave_out_blank_columns(at: Scenarios) -> None:
    learned = at.run("clash-in-korea")
    assert learned.conditional is not None
    for shown in (learned.words(), unescape(learned._repr_html_())):
        assert learned.conditional.verdict in shown
        assert "C beside it" not in shown
    assert "tipping" not in learned._repr_html_()
    assert "C: change" not in at.run("mediation")._repr_html_()


def test_the_page_has_the_levers_of_the_file_and_changes_by_label(at: Scenarios, tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "scenarios.md"
    made = lever_table(load_scenarios())
    assert made in page.read_text(encoding="utf-8")
    for unit in UNITS:
        assert f"| `{unit}` |" in page.read_text(encoding="utf-8")
    twin = tmp_path / "page.md"
    twin.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(twin)
    assert twin.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    rows = result_table([at.run("mediation"), at.run("clash-in-korea")], ["wider-war/any/12m"]).splitlines()
    assert "not settled" in rows[2]
    assert rows[3].startswith("| `clash-in-korea` | C | C ")


def test_commands(at: Scenarios, tmp_path: Path) -> None:
    runner, folder = CliRunner(), str(at.ground.updater.run.folder)
    listed = json.loads(runner.invoke(app, ["scenario", "list", "--json"]).output)
    assert {row["scenario"] for row in listed} >= TEN
    assert {row["label"] for row in listed} == {"S", "P", "C"}
    shown = runner.invoke(app, ["scenario", "show", "assurances"])
    assert "Evidence" in shown.output
    assert "after a reversal" in shown.output
    told = runner.invoke(
        app, ["scenario", "run", "mediation", "--run", folder, "--question", "wider-war", "--json",
              "--out", str(tmp_path)],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    (record,) = json.loads(told.stdout)
    assert record["label"] == "S"
    assert {row["id"].split("/")[0] for row in record["rows"]} == {"wider-war"}
    assert (tmp_path / "mediation-changes.png").is_file()
    wrong = runner.invoke(app, ["scenario", "run", "mediaton", "--run", folder])
    assert wrong.exit_code == 2
    bad = runner.invoke(app, ["scenario", "sweep", "mediation", "mediation.scale=a", "--run", folder])
    assert bad.exit_code == 2


def test_weights_that_do_not_do_are_not_read_as_nothing_moving(at: Scenarios) -> None:
    found = at.run("package-every-month")
    assert found.conditional is not None
    assert found.conditional.needs_refit
    for text in (found.words(), unescape(found._repr_html_())):
        assert "The draws at hand cannot tell." in text
        assert "No probability moves" not in text
        assert "Fit again" in text
    assert found["wider-war/any/12m"].words == "wider-war/any/12m: the draws at hand cannot tell."
    assert "C: fit again" in result_table([found], ["wider-war/any/12m"])
    told = at.run("clash-in-korea")
    assert "cannot tell" not in told.words()
