"""Rules about war: small cases with known answers, coherence on random posteriors, and resolution."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation_forecast import history_rates, rules
from escalation_forecast.question_file import Question, load_questions
from escalation_forecast.questions import bind, draws, evaluate, resolve
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.war_chain import JOINERS
from escalation_forecast.war_record import clashes, joined
from escalation_forecast.war_rules import FatalClash, WarJoining, WiderWar, dyad_theatres
from war_case import FIRST, make_chains, simulated

QUESTIONS = [
    q for q in load_questions() if q.rule in ("fatal-clash", "interstate-war", "war-joining", "wider-war")
]
MONTHS = pd.date_range(FIRST, periods=12, freq="MS")


def case(clash: dict[tuple[str, int], int], joins: dict[tuple[str, int], int] | None = None) -> xr.Dataset:
    """One chain, one draw, one future: level of a dyad in a month, joiner in a month."""
    names = list(dyad_theatres())
    level = np.zeros((1, 1, 1, len(names), 12), np.uint8)
    for (dyad, month), value in clash.items():
        level[..., names.index(dyad), month] = value
    enters = np.zeros((1, 1, 1, len(JOINERS), 12), np.uint8)
    for (joiner, month), value in (joins or {}).items():
        enters[..., JOINERS.index(joiner), month] = value
    dims = ("chain", "draw", "future")
    return xr.Dataset(
        {
            "clash": ((*dims, "dyad", "future_month"), level),
            "joined": ((*dims, "joiner", "future_month"), enters),
        },
        coords={"dyad": names, "joiner": list(JOINERS), "future_month": MONTHS},
    )


def answer(rule: str, paths: xr.Dataset, months: int = 12, **params: object) -> float:
    chosen = rules.get(rule)
    return float(chosen.function(paths, chosen.params.model_validate(params), MONTHS[:months]).squeeze())


def test_a_war_is_a_material_clash_is_a_fatal_clash() -> None:
    paths = case({("KOR-PRK", 2): 3, ("CHN-JPN", 1): 1})
    for deaths in (1, 25):
        assert answer("fatal-clash", paths, dyad="KOR-PRK", deaths=deaths) == 1
    assert answer("interstate-war", paths, dyad="KOR-PRK") == 1
    assert answer("fatal-clash", paths, dyad="CHN-JPN") == 1
    assert answer("fatal-clash", paths, dyad="CHN-JPN", deaths=25) == 0
    assert answer("interstate-war", paths, dyad="CHN-JPN") == 0
    assert answer("interstate-war", paths, months=2, dyad="KOR-PRK") == 0


@pytest.mark.parametrize(("apart", "expected"), [(0, 1), (6, 1), (7, 0)])
def test_two_theatres_count_within_six_months(apart: int, expected: int) -> None:
    paths = case({("KOR-PRK", 1): 2, ("CHN-TWN", 1 + apart): 2})
    assert answer("wider-war", paths, route="two-theatres") == expected
    assert answer("wider-war", paths, route="any") == expected


def test_two_clashes_in_one_theatre_are_not_two_theatres() -> None:
    paths = case({("KOR-PRK", 1): 2, ("USA-PRK", 2): 2, ("CHN-TWN", 3): 1})
    assert answer("wider-war", paths, route="two-theatres") == 0


def test_routes_of_joining_and_war() -> None:
    paths = case({("CHN-VNM", 4): 3}, {("KOR", 8): 1})
    assert answer("wider-war", paths, route="war") == 1
    assert answer("wider-war", paths, months=4, route="any") == 0
    assert answer("wider-war", paths, route="joining") == 1
    assert answer("wider-war", paths, route="joining", states=["NATO", "USA"]) == 0
    assert answer("war-joining", paths, states=["KOR"]) == 1
    assert answer("war-joining", paths, months=8, states=["KOR"]) == 0
    assert answer("wider-war", paths.drop_vars("joined"), route="joining") == 0


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.0, 10.0))
def test_answers_fit_together_on_every_draw(seed: int, scale: float) -> None:
    """Monotone in the horizon, routes within the whole, the part within what it is part of."""
    paths = simulated(make_chains(n=8, months=36, seed=seed, scale=scale))
    known = [q for q in QUESTIONS if q.rule == "wider-war"]
    items = {item.id: draws(item, paths) for item in bind(known, _STORE, paths=paths)}
    for route in ("any", "joining", "war", "two-theatres"):
        by_horizon = [items[f"wider-war/{route}/{h}m"] for h in (3, 6, 12, 24, 36)]
        for shorter, longer in pairwise(by_horizon):
            assert (shorter <= longer).all()
    for h in (3, 6, 12, 24, 36):
        whole = items[f"wider-war/any/{h}m"]
        routes = [items[f"wider-war/{route}/{h}m"] for route in ("joining", "war", "two-theatres")]
        assert all((route <= whole).all() for route in routes)
        assert (whole <= sum(routes) + 1e-12).all()
        assert ((whole >= 0) & (whole <= 1)).all()
    months = paths.indexes["future_month"]
    war = rules.get("wider-war").function(paths, WiderWar(route="war"), months)
    for dyad in paths["dyad"].values:
        fatal, material = (
            rules.get("fatal-clash").function(paths, FatalClash.model_construct(dyad=dyad, deaths=d), months)
            for d in (1, 25)
        )
        one = (paths["clash"].sel(dyad=dyad) == 3).any("future_month").mean("future")
        assert (one <= material).all()
        assert (material <= fatal).all()
        assert (one <= war).all()
    joining = rules.get("war-joining").function(paths, WarJoining(states=JOINERS), months)
    for name in JOINERS:
        assert (rules.get("war-joining").function(paths, WarJoining(states=(name,)), months) <= joining).all()


_STORE = Store.embedded().as_of("2026-11-22")


def test_answers_have_base_rates_and_error() -> None:
    paths = simulated(make_chains(n=400, months=36, seed=3))
    found = {a.item.id: a for a in evaluate([q for q in QUESTIONS if q.id != "fatal-clash"], paths, _STORE)}
    year = found["wider-war/any/12m"]
    assert year.base_rate is not None
    assert year.base_rate.events <= year.base_rate.trials == 62
    assert year.mcse is not None
    assert 0 < year.mcse < 0.02
    war = found["interstate-war/KOR-PRK/12m"]
    assert war.base_rate is not None
    assert war.base_rate.trials > 1000
    assert found["war-joining/NATO/12m"].base_rate is not None
    assert found["wider-war/two-theatres/12m"].base_rate is None


def test_before_the_war_nobody_is_asked_who_joins_it() -> None:
    paths = simulated(make_chains(n=20, months=36)).drop_vars("joined")
    ids = {a.item.id.rsplit("/", 1)[0] for a in evaluate(QUESTIONS[-2:], paths, _STORE)}
    assert ids == {"wider-war/any", "wider-war/war", "wider-war/two-theatres"}


def test_base_rates_know_nothing_after_their_day() -> None:
    params = WiderWar()
    early, late = (history_rates.wider(params, 12, dt.date(year, 6, 1)) for year in (1980, 2020))
    assert early is not None
    assert late is not None
    assert early[:2] == (early[0], 34)
    assert late[1] == 62
    war_early = history_rates.war(None, 12, dt.date(1980, 6, 1))
    war_late = history_rates.war(None, 12, dt.date(2020, 6, 1))
    assert war_early is not None
    assert war_late is not None
    assert war_early[1] < war_late[1]
    joins_early, joins_late = (history_rates.joining(None, 12, dt.date(year, 6, 1)) for year in (1951, 2020))
    assert joins_early is not None
    assert joins_late is not None
    assert joins_early[1] < joins_late[1]
    assert joins_late[:2] == (18, 144)
    # Korea 1950 is a war of theatre dyads, Kosovo 1999 none.
    assert 1950 in history_rates._wider_years("war")
    assert 1999 not in history_rates._wider_years("war")
    # China and the coalition joined in Korea, a month and more after it began.
    assert 1950 in history_rates._wider_years("joining")


def test_what_happened_is_read_by_the_same_rule() -> None:
    """The Yeonpyeong shelling of November 2010 killed South Korean marines."""
    question = next(q for q in QUESTIONS if q.id == "fatal-clash")
    found = {r.item.id: r for r in resolve(question, Store.embedded(), as_of="2010-10-31")}
    assert found["fatal-clash/1/KOR-PRK/12m"].status == "true"
    assert found["fatal-clash/1/CHN-TWN/12m"].status == "false"


def test_record_is_cut_at_its_day() -> None:
    months = pd.date_range("2009-01-01", "2012-12-01", freq="MS")
    theatres = list(dict.fromkeys(dyad_theatres().values()))
    ladder = xr.DataArray(
        np.zeros((5, 48)), {"theatre": theatres, "month": months}, dims=("theatre", "month")
    )
    ladder[0, -1] = np.nan
    early, late = (
        clashes(ladder, pd.Timestamp(day)).sel(dyad="KOR-PRK") for day in ("2010-06-30", "2013-06-30")
    )
    assert late.sel(month="2010-11-01") >= 1
    assert early.sel(month="2010-11-01") == 0
    assert np.isnan(late.sel(month="2012-12-01"))


def test_joiners_are_recorded_as_far_as_they_are_coded() -> None:
    months = pd.date_range("2020-01-01", "2026-12-01", freq="MS")
    assert joined(months, pd.Timestamp("2022-01-31")).isnull().all()
    found = joined(months, pd.Timestamp("2026-11-22"))
    assert (found.sel(month=slice("2022-03-01", "2026-08-01")) == 0).all()
    assert found.sel(month=["2022-01-01", "2026-10-01"]).isnull().all()


def test_question_of_an_unknown_pair_or_joiner_names_the_nearest() -> None:
    raw = QUESTIONS[1].model_dump() | {"over": {"dyad": ("KOR-PRC",)}}
    with pytest.raises(Exception, match="KOR-PRK"):
        list(Question.model_validate(raw).parts())
    with pytest.raises(ValueError, match="unknown joiner"):
        WarJoining(states=("POL",))
    with pytest.raises(DataError, match="unknown rule"):
        rules.get("wider-wor")
