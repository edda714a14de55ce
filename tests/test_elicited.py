"""What people say of priors: kept, made into parameters, written and read back, refused when it cannot be."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from escalation_forecast.draws import prior_sample
from escalation_forecast.elicited import Elicited, experts, interval, quartiles, roulette
from escalation_forecast.pooling import marginal, shifted
from escalation_forecast.prior_labels import check_labels, unknown_labels
from escalation_forecast.prior_law import FREE, from_free, law, overlap, to_free
from escalation_forecast.prior_spec import FAMILIES, PriorSpec, bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.store import Store

DAY = dt.date(2026, 11, 27)


@pytest.fixture(scope="module")
def default() -> Priors:
    return Priors.default()


def test_default_survives_the_round_trip(default: Priors) -> None:
    assert Priors.from_toml(default.to_toml()) == default


NUMBER = st.floats(-1e6, 1e6, allow_subnormal=False)
ABOVE = st.floats(1e-6, 1e6, allow_subnormal=False)
# Everything that TOML can hold; surrogates are no text.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
LABEL = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def statements(draw: st.DrawFn, panel: bool = True) -> Elicited:
    kind = draw(st.sampled_from(["interval", "quartiles", "roulette", *["experts"] * panel]))
    points = sorted(draw(st.lists(NUMBER, min_size=4, max_size=4, unique=True)))
    who, on = draw(LABEL), draw(st.none() | st.dates())
    if kind == "interval":
        said = interval(points[0], points[1], draw(st.floats(0.01, 0.99)), who, on)
    elif kind == "quartiles":
        said = quartiles(*points[:3], who, on)
    elif kind == "roulette":
        said = roulette(points, [draw(st.integers(1, 20)), 0, draw(st.integers(1, 20))], who, on)
    else:
        said = experts([draw(statements(panel=False)) for _ in range(2)], [1, draw(ABOVE)], 0.05)
    of = draw(st.dictionaries(TEXT, LABEL, max_size=2))
    return said.about(draw(LABEL), draw(LABEL), of)


@st.composite
def specs(draw: st.DrawFn) -> PriorSpec:
    family = draw(st.sampled_from(["Normal", "LogNormal", "Beta", "HalfNormal", "StudentT"]))
    dims, order = draw(st.sampled_from([((), ()), (("theatre",), THEATRES), (("state",), STATES)]))
    by_label = bool(dims) and draw(st.booleans())
    parameters: dict[str, Any] = {
        key: {label: draw(ABOVE) for label in order} if by_label and not n else draw(ABOVE)
        for n, key in enumerate(FAMILIES[family])
    }
    pooling = draw(st.sampled_from(["none", "complete", "partial"])) if dims and not by_label else "none"
    return PriorSpec(
        name=draw(TEXT),
        family=family,
        parameters=parameters,
        dims=dims,
        reason=draw(TEXT),
        source=draw(TEXT),
        support={"Normal": "real", "StudentT": "real", "Beta": "unit"}.get(family, "positive"),
        labels=dict.fromkeys(dims, order),
        pooling=pooling,
        spread=draw(ABOVE) if pooling == "partial" else 0.0,
        elicited=tuple(draw(st.lists(statements(), max_size=2))),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(specs(), min_size=1, max_size=3, unique_by=lambda spec: spec.name))
def test_any_priors_survive_the_round_trip_to_the_last_digit(made: list[PriorSpec]) -> None:
    priors = Priors({spec.name: spec for spec in made})
    assert Priors.from_toml(priors.to_toml()) == priors


@settings(max_examples=40, deadline=None)
@given(before=specs(), other=specs())
def test_a_file_of_the_difference_gives_the_changed_priors(before: PriorSpec, other: PriorSpec) -> None:
    """Of priors with the same name, dims and support; a reader of the part needs the whole under it."""
    after = dataclasses.replace(
        other, name=before.name, dims=before.dims, labels=before.labels, support=before.support
    )
    if before.family != other.family or other.dims != before.dims:
        after = dataclasses.replace(before, reason=other.reason, elicited=other.elicited)
    first, second = Priors({before.name: before}), Priors({before.name: after})
    if first == second:
        return
    text = second.to_toml(first)
    assert first.replace(_tables(text)) == second


def _tables(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def test_a_part_leaves_labels_that_do_not_differ_to_the_whole(default: Priors) -> None:
    mine = default.replace(budget_bias={"parameters": {"mu": {"CHN": 7}}})
    later = default.replace(budget_bias={"parameters": {"mu": 2}})
    both = later.replace(_tables(mine.to_toml(default)))["budget_bias"].at
    assert (both("CHN")["mu"], both("JPN")["mu"]) == (7, 2)


def test_record_of_a_label_replaces_that_label_only(default: Priors) -> None:
    first = default.replace(phi=interval(0.6, 0.9, who="A", on=DAY).about("korea"))
    second = first.replace(phi=interval(0.7, 0.95, who="B").about("taiwan"))
    third = second.replace(phi=quartiles(0.7, 0.8, 0.88, who="C").about("korea"))
    assert [(one.label, one.who) for one in third["phi"].elicited] == [("taiwan", "B"), ("korea", "C")]
    assert third["phi"].at("taiwan") == second["phi"].at("taiwan")
    assert third["phi"].at("ukraine_nato") == {"alpha": 18, "beta": 2}
    assert third["phi"].at("korea") != second["phi"].at("korea")
    whole = third.replace(phi=interval(0.5, 0.9, who="D"))
    assert [one.who for one in whole["phi"].elicited] == ["D"]


def test_numbers_by_hand_end_what_was_said(default: Priors) -> None:
    said = default.replace(phi=interval(0.6, 0.9, who="A", on=DAY))
    assert said["phi"].elicited[0].on == DAY
    assert said.replace(phi={"reason": "Because"})["phi"].elicited == said["phi"].elicited
    assert said.replace(phi={"parameters": {"alpha": 9}})["phi"].elicited == ()


def test_who_and_when_do_not_change_the_hash_but_pooling_does(default: Priors) -> None:
    one = default.replace(phi=interval(0.6, 0.9, who="A", on=DAY))
    other = default.replace(phi=interval(0.6, 0.9))
    assert one.content_hash() == other.content_hash() != default.content_hash()
    assert [c.keys for c in one.diff(other)] == [("elicited",)]
    assert not one.diff(other)[0].decides
    pooled = default.replace(phi={"pooling": "complete"})
    assert pooled.content_hash() != default.content_hash()
    assert pooled.changed(default) == [
        {
            "name": "phi",
            "default": "Beta(alpha=18, beta=2)",
            "used": "Beta(alpha=18, beta=2), one value for all",
        }
    ]


def test_quartiles_are_those_of_the_prior(default: Priors) -> None:
    p = default.replace(news_loading=quartiles(0.5, 0.8, 1.3))["news_loading"].parameters
    found = stats.lognorm(p["sigma"], scale=np.exp(p["mu"])).ppf([0.25, 0.5, 0.75])
    np.testing.assert_allclose(found, [0.5, 0.8, 1.3], rtol=0.02)


TRUE = {
    "Normal": stats.norm(9, 3),
    "LogNormal": stats.lognorm(0.4, scale=3),
    "Gamma": stats.gamma(5, scale=0.7),
    "Beta": stats.beta(4, 8),
    "HalfNormal": stats.halfnorm(scale=2),
    "StudentT": stats.t(5, 1, 2),
    "Exponential": stats.expon(scale=3),
}


@pytest.mark.parametrize("family", TRUE)
@pytest.mark.parametrize("bins", [7, 25])
def test_roulette_finds_the_law_that_laid_the_chips_whatever_the_bins(family: str, bins: int) -> None:
    """Bins of any width: a fit of densities to shares is right for bins of width one only."""
    from escalation_forecast.prior_methods import fit

    truth = TRUE[family]
    low = 0.0 if truth.cdf(0) == 0 else truth.ppf(0.0005)
    edges = np.linspace(low, truth.ppf(0.9995), bins + 1)
    chips = 1000 * np.diff(truth.cdf(edges))
    held = {"nu": 5.0} if family == "StudentT" else {}
    got = law(family, fit(roulette(edges, chips), family, held, "here"))
    np.testing.assert_allclose(got.cdf(edges), truth.cdf(edges), atol=0.01)


def test_experts_are_pooled_by_weight_between_them(default: Priors) -> None:
    low, high = interval(1, 5, who="A"), interval(3, 8, who="B")
    alone = [default.replace(growth_mean=one)["growth_mean"].parameters["mu"] for one in (low, high)]
    even = default.replace(growth_mean=experts([low, high]))["growth_mean"]
    lean = default.replace(growth_mean=experts([low, high], [1, 4]))["growth_mean"]
    assert even.parameters["mu"] == pytest.approx(np.mean(alone), abs=0.06)
    assert even.parameters["mu"] < lean.parameters["mu"] < alone[1]
    # A pool is wider than either: they disagree.
    assert even.parameters["sigma"] > default.replace(growth_mean=high)["growth_mean"].parameters["sigma"]
    assert [one.who for one in even.elicited[0].experts] == ["A", "B"]


def test_experts_who_contradict_each_other_are_told_by_how_much(default: Priors) -> None:
    panel = [interval(1, 3, who="A"), interval(2, 4, who="B"), interval(6, 9, who="C")]
    with pytest.raises(DataError, match=r"A and C contradict each other.*overlap by 0\.\d+ % where 10 %"):
        default.replace(growth_mean=experts(panel))
    accepted = default.replace(growth_mean=experts(panel, least_overlap=0))
    assert 3 < accepted["growth_mean"].parameters["mu"] < 6


def test_overlap_of_normals_is_the_known_one() -> None:
    for shift in (0.0, 0.5, 2.0, 6.0):
        known = 2 * stats.norm.cdf(-shift / 2)
        assert overlap(stats.norm(0, 1), stats.norm(shift, 1)) == pytest.approx(known, abs=1e-3)
    assert overlap(stats.norm(0, 1), stats.norm(0, 1e-3)) == pytest.approx(0.004, abs=0.003)


@given(family=st.sampled_from(FREE), first=st.floats(0.2, 5), second=st.floats(0.2, 5))
def test_parameters_come_back_from_the_free_scale(family: str, first: float, second: float) -> None:
    values = [first, second, 1.5][: len(FAMILIES[family])]
    parameters = dict(zip(FAMILIES[family], values, strict=True))
    if family == "Uniform":
        parameters["upper"] = first + second
    back = from_free(family, to_free(family, parameters), parameters)
    assert back == pytest.approx(parameters)


HOSTILE = {
    "mass of one": ("phi", {"interval": [0.5, 0.9], "mass": 1}, "mass is 1"),
    "outside the support": (
        "phi",
        {"quartiles": [0.5, 0.9, 1.2]},
        "does not fit Beta, whose support is 0 to 1",
    ),
    "chips below zero": (
        "news_loading",
        {"roulette": {"edges": [-1, 0, 1, 2], "chips": [2, 3, 1]}},
        "does not fit LogNormal",
    ),
    "edges and chips": (
        "phi",
        {"roulette": {"edges": [0, 0.5, 1], "chips": [1, 2, 3]}},
        "one edge more than",
    ),
    "no chips": ("phi", {"roulette": {"edges": [0, 0.5, 1], "chips": [0, 3]}}, "fewer than two bins"),
    "negative chips": ("phi", {"roulette": {"edges": [0, 0.5, 1], "chips": [-1, 3]}}, "-1 chips"),
    "quartiles fall": ("phi", {"quartiles": [0.9, 0.8, 0.7]}, "do not rise"),
    "two quartiles": ("phi", {"quartiles": [0.9, 0.8]}, "three numbers"),
    "quartiles nobody has": ("threat_slope", {"quartiles": [0.1, 0.15, 0.9]}, "the nearest has 0"),
    "two ways at once": ("phi", {"interval": [0.5, 0.9], "quartiles": [0.5, 0.6, 0.7]}, "keep one"),
    "unknown method": ("phi", {"elicited": {"method": "rulette"}}, "did you mean `roulette`"),
    "unknown key": ("phi", {"elicited": {"methud": "interval"}}, "did you mean `method`"),
    "not finite": ("phi", {"interval": [0.5, float("inf")]}, "is not finite"),
    "text for a number": ("phi", {"interval": [0.5, "high"]}, "needs numbers, not 'high'"),
    "day as text": ("phi", {"elicited": {"method": "interval", "on": "today"}}, "must be a day"),
    "unknown label": ("phi", {"elicited": interval(0.5, 0.9).about("taiwn")}, "the nearest is 'taiwan'"),
    "a constant": ("growth_df", {"quartiles": [3, 4, 5]}, "quartiles cannot set a Fixed prior"),
    "an outcome": ("phi", {"elicited": interval(3, 14).about("", "tension-half-life")}, "priors elicit"),
    "one label of another family": (
        "phi",
        {"family": "Uniform", "elicited": interval(0.5, 0.9).about("korea")},
        "one label cannot have a Uniform",
    ),
    "negative scale": (
        "news_loading",
        {"parameters": {"sigma": -0.3}},
        "sigma is -0.3.*cannot be normalised",
    ),
    "infinite mass": (
        "growth_mean",
        {"family": "Uniform", "parameters": {"lower": 0, "upper": float("inf")}},
        "upper is inf.*cannot be normalised",
    ),
    "wrong dim": ("phi", {"parameters": {"alpha": {"CHN": 3}}}, "CHN"),
    "unknown family": ("phi", {"family": "Bta"}, "unknown family 'Bta'"),
    "pooling of a scalar": ("phi_global", {"pooling": "complete"}, "no dims"),
    "unknown pooling": ("phi", {"pooling": "some"}, "unknown pooling 'some'"),
    "partial without spread": ("phi", {"pooling": "partial"}, "spread 0"),
    "spread alone": ("phi", {"spread": 1}, "spread without partial"),
    "one expert": (
        "phi",
        {"elicited": {"method": "experts", "experts": [{"method": "quartiles"}]}},
        "expert 1: .*lacks the number",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_input_is_refused_in_one_sentence_with_the_prior(case: str, default: Priors) -> None:
    name, change, message = HOSTILE[case]
    with pytest.raises(DataError, match=message) as caught:
        default.replace({name: change})
    text = str(caught.value)
    assert f"'{name}'" in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize(
    "twice",
    [
        "[priors.phi]\npooling = 'none'\npooling = 'none'\n",
        "[priors.phi]\nspread = 0\n[priors.phi]\nspread = 0\n",
    ],
)
def test_what_stands_twice_in_a_file_is_named(twice: str) -> None:
    with pytest.raises(DataError, match=r"prior 'phi': not valid TOML.*stands there twice; keep one\.$"):
        Priors.from_toml(twice, "mine.toml")


def test_misspelt_name_in_any_way_of_changing_names_the_nearest(default: Priors) -> None:
    with pytest.raises(DataError, match="no prior 'growth_maen'; the nearest is 'growth_mean'"):
        default.replace(growth_maen=interval(1, 2))


def test_override_is_replace(default: Priors) -> None:
    change = {"phi": {"parameters": {"alpha": 9}}}
    assert default.override(change) == default.replace(change) == default.replace(phi=change["phi"])
    spec = default.replace(change)["phi"]
    assert default.replace(phi=spec)["phi"] == spec


@settings(max_examples=50)
@given(x=st.floats(0.05, 0.95), step=st.floats(-3, 3))
def test_steps_of_partial_pooling_stay_in_the_support(x: float, step: float) -> None:
    assert shifted(np.array(x), step, -np.inf, np.inf) == pytest.approx(x + step)
    assert np.log(shifted(np.array(x), step, 0, np.inf) / x) == pytest.approx(step, abs=1e-9)
    inside = shifted(np.array(x), step, 0.0, 1.0)
    assert 0 < inside < 1
    logit = np.log(inside / (1 - inside)) - np.log(x / (1 - x))
    assert logit == pytest.approx(step, abs=1e-6)


def test_pooled_draws_share_a_value_and_partly_pooled_ones_differ_by_the_spread(default: Priors) -> None:
    rng = np.random.default_rng(1)
    same = prior_sample(rng, default.replace(phi={"pooling": "complete"})["phi"], 2000)
    assert np.ptp(same, axis=1).max() == 0
    assert same[:, 0].mean() == pytest.approx(0.9, abs=0.01)
    alike = default.replace(growth_mean={"pooling": "partial", "spread": 0.5})["growth_mean"]
    drawn = prior_sample(rng, alike, 4000)
    assert (drawn[:, 0] - drawn[:, 1]).std() == pytest.approx(0.5 * np.sqrt(2), rel=0.05)
    assert drawn[:, 0].std() == pytest.approx(np.hypot(alike.parameters["sigma"], 0.5), rel=0.05)


def test_a_pooled_prior_with_numbers_by_label_says_what_to_do(default: Priors) -> None:
    with pytest.raises(DataError, match=r'give single numbers, or pooling = "none"'):
        default.replace(growth_mean={"parameters": {"mu": {"CHN": 7}}})
    freed = default.replace(growth_mean={"parameters": {"mu": {"CHN": 7}}, "pooling": "none"})
    assert (freed["growth_mean"].at("CHN")["mu"], freed["growth_mean"].spread) == (7, 0)
    assert default.replace(_tables(freed.to_toml(default))) == freed


@pytest.mark.parametrize("name", ["growth_mean", "growth_noise"])
def test_labels_set_apart_have_the_law_that_pooling_gave_them(default: Priors, name: str) -> None:
    pooled = default.replace({name: {"pooling": "partial", "spread": 0.8}})[name]
    alone = marginal(pooled.family, pooled.parameters, 0.8, *bounds_of(pooled.support, name), "here")
    apart = default.replace({name: {"pooling": "none", "parameters": alone}})[name]
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    together, alike = (
        np.quantile(prior_sample(np.random.default_rng(k), spec, 40_000)[:, 3], levels)
        for k, spec in enumerate((pooled, apart))
    )
    assert_allclose(together, alike, rtol=0.03, atol=0.05 * np.ptp(alike[1:4]))


def test_a_pooled_beta_has_no_law_by_label(default: Priors) -> None:
    with pytest.raises(DataError, match=r'here is a partly pooled Beta prior.*pooling = "none" first'):
        marginal("Beta", {"alpha": 2.0, "beta": 2.0}, 0.3, 0.0, 1.0, "here")


def test_pooled_variables_of_the_model_have_the_same_draws(default: Priors) -> None:
    import pymc as pm

    changed = default.replace(phi={"pooling": "complete"}, growth_noise={"pooling": "partial", "spread": 0.3})
    with pm.Model(coords={"theatre": list(THEATRES), "state": list(STATES)}) as model:
        for name in ("phi", "growth_noise"):
            changed.to_pymc_extras(name).create_variable(name)
    phi, noise = pm.draw([model["phi"], model["growth_noise"]], 400, random_seed=3, mode="FAST_COMPILE")
    assert phi.shape == (400, 5)
    assert np.ptp(phi, axis=1).max() == 0
    assert np.log(noise[:, 0] / noise[:, 1]).std() == pytest.approx(0.3 * np.sqrt(2), rel=0.15)
    assert {v.name for v in model.free_RVs} == {
        "phi_common",
        "growth_noise_common",
        "growth_noise_innovation",
    }


# --- labels that only the data know ---------------------------------------------------------------


def test_a_part_of_labels_that_only_the_data_know_leaves_the_others(default: Priors) -> None:
    mine = default.replace(
        count_loading={"parameters": {"mu": {"pla": -0.3}}},
        annual_noise=interval(0.3, 0.6, who="A", on=DAY).about("distance_rus_chn"),
    )
    groups = {"count_group": ["launches_prk", "pla"]}
    assert_allclose(mine["count_loading"].array("mu", groups), [-0.7, -0.3])
    assert mine["count_loading"].at("launches_prk") == {"mu": -0.7, "sigma": 0.35}
    assert mine["annual_noise"].at("distance_rus_prk") == default["annual_noise"].at("")
    assert default.replace(_tables(mine.to_toml(default))) == mine
    assert Priors.from_toml(mine.to_toml())["count_loading"] == mine["count_loading"]
    back = mine.replace(count_loading={"parameters": {"mu": {"pla": -0.7}}})
    assert back["count_loading"] == default["count_loading"]
    assert back.content_hash() != mine.content_hash()


def test_all_labels_given_in_full_are_the_same_priors_as_those_that_differ(default: Priors) -> None:
    full = default.replace(count_loading={"parameters": {"mu": {"launches_prk": -0.7, "pla": -0.3}}})
    part = default.replace(count_loading={"parameters": {"mu": {"pla": -0.3}}})
    assert full == part
    assert full.content_hash() == part.content_hash()


def test_a_label_that_the_catalogue_does_not_know_is_told_with_the_nearest(default: Priors) -> None:
    slip = default.replace(count_loading={"parameters": {"mu": {"plla": -0.3}}})
    (said,) = unknown_labels(slip)
    assert said == "Prior 'count_loading' names 'plla', which is no count_group of the catalogue; " + (
        "the nearest is 'pla'."
    )
    with pytest.raises(DataError, match="the nearest is 'pla'"):
        check_labels(slip, Store.embedded())
    # Labels of every kind of dim are known: an indicator, a group, a reporting body, an age.
    check_labels(
        default.replace(
            count_loading={"parameters": {"mu": {"pla": -0.3}}},
            troop_noise={"parameters": {"mu": {"troops_us_korea": -0.3}}},
            stock_body={"parameters": {"mu": {"nis": 0.1}}},
            late_revision_chance={"parameters": {"alpha": {"2": 2}}},
        ),
        Store.embedded(),
    )


def test_a_change_back_to_one_number_is_told_by_label(default: Priors) -> None:
    mine = default.replace(
        budget_bias={"parameters": {"mu": {"CHN": 7}}}, count_loading={"parameters": {"mu": {"pla": -0.3}}}
    )
    there, back = default.diff(mine), mine.diff(default)
    assert [str(one) for one in back] == [
        "count_loading: pla LogNormal(mu=-0.3, sigma=0.35) -> LogNormal(mu=-0.7, sigma=0.35)",
        "budget_bias: CHN Normal(mu=7, sigma=0.7) -> Normal(mu=0, sigma=0.7)",
    ]
    assert [one.labels for one in there] == [one.labels for one in back] == [("pla",), ("CHN",)]
    assert mine.replace(_tables(default.to_toml(mine))) == default
    others = mine.replace(count_loading={"parameters": {"mu": {"*": -0.5}}})
    (change,) = mine.diff(others)
    assert change.labels == ("*",)
    assert str(change).startswith("count_loading: others LogNormal(mu=-0.7")
    assert mine.replace(_tables(others.to_toml(mine))) == others
