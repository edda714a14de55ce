"""Beliefs on outcomes become priors, priors become outcomes, and the check catches what is not sane."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from escalation_forecast.cli import app
from escalation_forecast.draws import Draws
from escalation_forecast.elicit.bounds import Bound, load_bounds
from escalation_forecast.elicit.check import PriorCheck, judge, prior_check
from escalation_forecast.elicit.density import BLOCKS, density_text
from escalation_forecast.elicit.meaning import arguments, meaning, moved, outcomes_of
from escalation_forecast.elicit.outcomes import OUTCOMES, SPIKE, exposure
from escalation_forecast.elicit.page import GROUPS, PLACE, fill, group_of, write_page
from escalation_forecast.elicit.prior_paths import QUANTITIES, PriorPaths, prior_paths
from escalation_forecast.elicit.translate import CHECK_DRAWS, Translation, say
from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.elicited import Elicited, experts, interval, quartiles, roulette
from escalation_forecast.indicator_paths import force_chance
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.war_chain import JoiningChain, PriorDraws

FRESH = 99


@pytest.fixture(scope="module")
def default() -> Priors:
    return Priors.default()


def drawn(priors: Priors, name: str, of: Mapping[str, str], n: int = CHECK_DRAWS) -> np.ndarray:
    return OUTCOMES[name].draws(PriorValues(priors, n, FRESH), of)


class Spy(PriorValues):
    """Notes which priors are read."""

    def __init__(self, priors: Priors) -> None:
        super().__init__(priors, 500, 1)
        self.read: set[tuple[str, str]] = set()

    def __call__(self, name: str, label: str = "") -> np.ndarray:
        self.read.add((name, label))
        return super().__call__(name, label)


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome_reads_what_it_says_and_stays_within_its_limits(name: str, default: Priors) -> None:
    outcome, spy = OUTCOMES[name], Spy(default)
    of = arguments(outcome)
    values = outcome.draws(spy, of)
    assert {read for read, _ in spy.read} == {outcome.adjusts, *outcome.also} - {"history_weight"}
    assert (outcome.adjusts, outcome.label(default, of)) in spy.read
    assert np.all((values >= outcome.limits[0]) & (values <= outcome.limits[1]))
    assert np.ptp(values) > 0
    assert "{" not in outcome.said(of)


@pytest.mark.parametrize("name", [n for n in OUTCOMES if "history_weight" in OUTCOMES[n].also])
def test_history_weight_widens_what_history_taught(name: str, default: Priors) -> None:
    of = arguments(OUTCOMES[name])
    trusted = default.replace(history_weight={"parameters": {"value": 1}})
    widths = [np.subtract(*np.quantile(np.log(drawn(p, name, of)), [0.9, 0.1])) for p in (default, trusted)]
    assert widths[0] > widths[1]


def test_values_are_those_that_the_forecast_draws(default: Priors) -> None:
    """The discount of history and the families, against the forecast's own draws."""
    theirs = PriorDraws(default, 40_000, 5)
    for name, label in (("war_given_fatal", ""), ("joining_logit", ""), ("fatal_given_force", "korea")):
        coords = {"theatre": list(THEATRES)} if label else None
        sample = theirs(name, coords)
        sample = sample[:, THEATRES.index(label)] if label else sample
        ours = PriorValues(default, 40_000, 5)(name, label)
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        np.testing.assert_allclose(np.quantile(ours, levels), np.quantile(sample, levels), rtol=0.08)


def test_force_in_a_spike_is_that_of_the_forecast(default: Priors) -> None:
    import xarray as xr

    values = PriorValues(default, 300, 4)
    names = ("ladder_any", "ladder_force", "ladder_slope")
    dims = ("chain", "draw", "theatre")
    posterior = xr.Dataset(
        {name: (dims, np.stack([values(name, k) for k in THEATRES], axis=1)[None]) for name in names}
    )
    eta = np.full((300, len(THEATRES) + 1, 1), SPIKE)
    chance = force_chance(Draws(posterior), eta)[:, :, 0]
    for k, theatre in enumerate(THEATRES):
        ours = OUTCOMES["force-spike-month"].draws(values, {"theatre": theatre})
        np.testing.assert_allclose(ours, 100 * chance[:, k])


def test_spike_adds_up_to_growth_as_month_by_month_in_the_model(default: Priors) -> None:
    values = PriorValues(default, 200, 4)
    of = {"state": "JPN", "theatre": "taiwan"}
    tension, total = np.full(200, SPIKE), np.zeros(200)
    for _ in range(12):
        total += tension
        tension = tension * values("phi", "taiwan")
    expected = values("threat_slope", "JPN") * 0.3 * total / 12
    np.testing.assert_allclose(OUTCOMES["spike-growth"].draws(values, of), expected)
    assert sum(w for (state, _), w in exposure().items() if state == "JPN") == pytest.approx(1)


def test_joining_within_a_year_is_that_of_the_chain(default: Priors) -> None:
    values = PriorValues(default, 300, 4)
    age = values("joining_reference_age")[0]
    names = {
        "logit": "joining_logit",
        "by_age": "joining_age",
        "end": "war_end_logit",
        "end_by_age": "war_end_age",
    }
    none = np.zeros((300, 0))
    chain = JoiningChain(
        age=int(age), reference_age=float(age), share=none, restrained=none, own=none, world=none, since=none,
        **{field: values(name) for field, name in names.items()},
    )  # fmt: skip
    joins, ends = chain.anybody(12), chain.ends(12)
    going, nobody = np.ones(300), np.ones(300)
    for month in range(12):
        nobody = nobody * (1 - going * joins[:, month])
        going = going * (1 - ends[:, month])
    np.testing.assert_allclose(OUTCOMES["joining-year"].draws(values, {}), 100 * (1 - nobody))


STATED: list[tuple[str, Elicited, dict[str, str]]] = [
    ("spike-growth", interval(0, 1), {"state": "KOR", "theatre": "korea"}),
    ("budget-miss", interval(1, 3), {"state": "JPN"}),
    ("growth-usual-year", interval(4, 9, 0.8), {"state": "CHN"}),
    ("growth-surprise", interval(3, 8), {"state": "CHN"}),
    ("tension-half-life", interval(3, 14), {"theatre": "taiwan"}),
    ("war-after-clash", interval(0.5, 5), {}),
    ("nuclear-war-after-clash", interval(0.1, 4), {}),
    ("joining-year", interval(2, 20), {}),
    ("first-revision", interval(0.2, 5, 0.8), {"state": "CHN"}),
    ("troops-year", quartiles(-30, -10, 15), {}),
    ("world-share", roulette([0, 20, 40, 60, 80, 100], [4, 6, 4, 2, 0]), {"theatre": "taiwan"}),
]


@pytest.mark.parametrize(("name", "said", "of"), STATED, ids=[name for name, _, _ in STATED])
def test_stated_outcome_comes_back_when_it_is_simulated_again(
    name: str, said: Elicited, of: dict[str, str], default: Priors
) -> None:
    found = say(default, name, said, of)
    assert found.met, found.warning
    values = drawn(found.priors, name, of)
    if said.method == "interval":
        low, high, mass = (said.number(key) for key in ("low", "high", "mass"))
        inside = (values >= low) & (values <= high)
        assert inside.mean() == pytest.approx(mass, abs=0.02)
        if low > OUTCOMES[name].limits[0]:
            assert (values < low).mean() == pytest.approx((1 - mass) / 2, abs=0.015)
    for asked, got in found.masses:
        assert got == pytest.approx(asked, abs=0.05)


@settings(max_examples=12, deadline=None)
@given(low=st.floats(0.05, 5), ratio=st.floats(1.3, 30), mass=st.floats(0.5, 0.95))
def test_any_interval_that_one_prior_can_give_is_met(low: float, ratio: float, mass: float) -> None:
    found = say(Priors.default(), "budget-miss", interval(low, low * ratio, mass), {"state": "KOR"})
    assert found.met, found.warning


def test_statement_about_a_state_changes_nothing_else_and_is_kept(default: Priors) -> None:
    said = interval(1, 3, who="A", on=pd.Timestamp("2026-11-27").date())
    found = say(default, "budget-miss", said, {"state": "JPN"})
    assert [change.name for change in default.diff(found.priors)] == ["budget_noise"]
    for state in set(STATES) - {"JPN"}:
        assert found.spec.at(state) == default["budget_noise"].at(state)
    (kept,) = found.spec.elicited
    assert (kept.who, kept.label, kept.outcome, kept.of) == ("A", "JPN", "budget-miss", {"state": "JPN"})
    assert kept.numbers == said.numbers
    again = say(found.priors, "budget-miss", interval(0.5, 2), {"state": "CHN"})
    assert [one.label for one in again.spec.elicited] == ["JPN", "CHN"]


def test_statement_about_a_state_of_a_pooled_prior_sets_the_states_apart(default: Priors) -> None:
    assert default["growth_mean"].pooling == "partial"
    found = say(default, "growth-usual-year", interval(4, 9, 0.8), {"state": "CHN"})
    assert found.spec.pooling == "none"
    assert [change.name for change in default.diff(found.priors)] == ["growth_mean"]
    # What is believed of another state has not changed.
    was, now = (drawn(priors, "growth-usual-year", {"state": "JPN"}) for priors in (default, found.priors))
    np.testing.assert_allclose(np.quantile(was, [0.1, 0.5, 0.9]), np.quantile(now, [0.1, 0.5, 0.9]), atol=0.2)
    again = say(found.priors, "growth-usual-year", interval(1, 5, 0.8), {"state": "JPN"})
    assert again.spec.at("CHN") == found.spec.at("CHN")
    assert default.replace(tomllib.loads(again.priors.to_toml(default))) == again.priors


def test_miss_of_a_budget_counts_the_doubt_of_open_definitions(default: Priors) -> None:
    sure, doubted = (np.median(drawn(default, "budget-miss", {"state": state})) for state in ("KOR", "IND"))
    assert doubted == pytest.approx(2 * sure, rel=0.05)


def test_written_statement_is_read_back_without_fitting_it_again(
    default: Priors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = say(default, "tension-half-life", interval(3, 14), {"theatre": "korea"})
    file = tmp_path / "mine.toml"
    file.write_text(found.priors.to_toml(default))
    monkeypatch.setattr("escalation_forecast.priors.fit", None)
    assert default.replace(file) == found.priors


def test_interval_that_cannot_be_met_says_which_priors_stand_in_the_way(default: Priors) -> None:
    found = say(default, "force-usual-month", interval(5, 6), {"theatre": "korea"})
    assert not found.met
    assert "Even with 'ladder_force' known exactly, ladder_any spread it" in found.warning
    assert found.warning in str(found)
    # Narrowed first, the same statement is met.
    narrow = say(default, "display-usual-month", interval(19.8, 20.2), {"theatre": "korea"})
    assert say(narrow.priors, "force-usual-month", interval(5, 6), {"theatre": "korea"}).met


def test_another_prior_behind_the_outcome_can_be_adjusted(default: Priors) -> None:
    of = {"theatre": "korea"}
    found = say(default, "force-usual-month", interval(1, 30, 0.8), of, adjust="ladder_any")
    assert [change.name for change in default.diff(found.priors)] == ["ladder_any"]
    with pytest.raises(DataError, match="does not read the prior `phi`; it reads ladder_force, ladder_any"):
        say(default, "force-usual-month", interval(1, 20), of, adjust="phi")


def test_one_sided_interval_of_a_wide_family_is_met_with_greatest_entropy(default: Priors) -> None:
    free = default.replace(reaction={"family": "Gamma", "parameters": {"alpha": 2, "beta": 20}})
    found = say(free, "rivals-growth", interval(0, 2), {})
    assert found.met
    best = found.spec.at()
    values = PriorValues(found.priors, CHECK_DRAWS, FRESH)("reaction")
    assert (values <= 0.2).mean() == pytest.approx(0.9, abs=0.01)
    # Of all with that quantile none has more entropy: a more and a less peaked one have less.
    from scipy import stats

    def entropy(alpha: float) -> float:
        scale = 0.2 / stats.gamma(alpha).ppf(0.9)
        return float(stats.gamma(alpha, scale=scale).entropy())

    assert entropy(best["alpha"]) >= max(entropy(0.7 * best["alpha"]), entropy(1.4 * best["alpha"])) - 1e-4


def test_experts_on_an_outcome_are_pooled_or_refused(default: Priors) -> None:
    of = {"state": "CHN"}
    found = say(default, "growth-usual-year", experts([interval(4, 9, who="A"), interval(2, 7, who="B")]), of)
    assert 4.5 < found.after[2] < 6.5
    panel = experts([interval(4, 5, who="A"), interval(12, 17, who="B")])
    with pytest.raises(DataError, match=r"A and B contradict each other, .* overlap by"):
        say(default, "growth-usual-year", panel, of)


REFUSED: dict[str, tuple[str, Elicited, dict[str, str], dict[str, str], str]] = {
    "unknown outcome": ("bugdet-miss", interval(1, 3), {}, {}, "did you mean `budget-miss`"),
    "argument missing": ("budget-miss", interval(1, 3), {}, {}, "needs the state"),
    "unknown state": ("budget-miss", interval(1, 3), {"state": "JPM"}, {}, "did you mean `JPN`"),
    "argument too many": ("war-after-clash", interval(1, 3), {"state": "JPN"}, {}, "it takes none"),
    "outside the limits": ("war-after-clash", interval(-1, 3), {}, {}, "outside what war-after-clash can be"),
    "says nothing": ("world-share", interval(0, 100), {"theatre": "korea"}, {}, "says nothing"),
    "not exposed": (
        "spike-growth",
        interval(0, 1),
        {"state": "KOR", "theatre": "taiwan"},
        {},
        "KOR is not exposed to taiwan.*choose korea",
    ),
    "family of one label": (
        "budget-miss", interval(1, 3), {"state": "JPN"}, {"family": "Gamma"}, "the labels share their family",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_statement_that_cannot_be_is_refused_in_one_sentence(case: str, default: Priors) -> None:
    name, said, of, more, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        say(default, name, said, of, **more)
    assert "\n" not in str(caught.value)


def test_a_constant_expresses_no_belief_until_it_has_a_family(default: Priors) -> None:
    fixed = default.replace(phi={"family": "Fixed", "parameters": {"value": 0.9}})
    with pytest.raises(DataError, match="is a Fixed prior, which expresses no belief"):
        say(fixed, "tension-half-life", interval(3, 14), {"theatre": "korea"})


def test_meaning_follows_a_change_to_every_outcome_that_reads_it(default: Priors) -> None:
    changed = default.replace(phi={"parameters": {"alpha": {"korea": 9}}})
    (change,) = default.diff(changed)
    pairs = list(moved(default, changed, change))
    assert [was.outcome.name for was, _ in pairs] == ["tension-half-life", "spike-growth"]
    for was, now in pairs:
        assert was.of["theatre"] == "korea"
        assert now.quantiles[2] < was.quantiles[2], "tension that fades faster means less of either"
    assert {one.name for one in outcomes_of("ladder_any")} >= {"display-usual-month", "force-usual-month"}
    assert meaning(default, OUTCOMES["growth-usual-year"], {"state": "JPN"}).of == {"state": "JPN"}


def test_density_stands_where_the_mass_is() -> None:
    text = density_text({"a": np.random.default_rng(1).normal(2, 1, 50_000), "bb": np.zeros(10)}, "points")
    first, _, ruler = text.splitlines()
    bars = first[4:64]
    assert bars[np.argmax([BLOCKS.index(c) for c in bars])] == BLOCKS[-1]
    low, high = -0.574, 3.96
    peak = low + (np.mean([k for k, c in enumerate(bars) if c == BLOCKS[-1]]) + 0.5) / 60 * (high - low)
    assert peak == pytest.approx(2, abs=0.3)
    assert ruler.endswith("points")
    assert not set(density_text({"a": np.arange(9.0)}, plain=True)) & set(BLOCKS[1:])


# --- the check ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(panel: Panel, priors: Priors) -> PriorPaths:
    return prior_paths(priors, panel, draws=120)


@pytest.fixture(scope="module")
def check(made: PriorPaths) -> PriorCheck:
    return judge(made, load_bounds())


def test_quantities_have_draws_and_name_priors_that_exist(made: PriorPaths, default: Priors) -> None:
    for name, quantity in QUANTITIES.items():
        assert set(quantity.reads) <= set(default), name
        found = quantity.compute(made)
        assert found, name
        for label, values in found.items():
            assert np.isfinite(values).all(), (name, label)
            assert np.ptp(values) > 0, (name, label)


def test_every_quantity_is_bounded_with_a_reason() -> None:
    bounds = load_bounds()
    assert {bound.quantity for bound in bounds} == set(QUANTITIES)
    assert all(len(bound.reason) > 20 for bound in bounds)


def test_chances_of_war_agree_between_theatres_and_the_whole(made: PriorPaths) -> None:
    whole = QUANTITIES["war_36"].compute(made)["any theatre"] / 100
    yearly = QUANTITIES["war_theatre_year"].compute(made)
    within = np.stack([1 - (1 - p / 100) ** 3 for p in yearly.values()])
    assert np.all(within.max(axis=0) <= whole + 1e-9)
    assert np.all(within.sum(axis=0) >= whole - 1e-9)


def test_monthly_force_adds_up_to_the_year(made: PriorPaths) -> None:
    for k, values in enumerate(QUANTITIES["force_year"].compute(made).values()):
        np.testing.assert_allclose(values, 100 * (1 - np.prod(1 - made.force[:, k, :12], axis=1)))


def test_absurd_prior_is_caught_with_its_label_and_where_to_look(panel: Panel, default: Priors) -> None:
    absurd = default.replace(
        growth_noise={"parameters": {"mu": {"JPN": 4.0}}, "pooling": "none"},
        phi={"parameters": {"beta": 0.02}},
    )
    bounds = [
        b for b in load_bounds() if (b.quantity, b.rule) in (("growth", "draws"), ("half_life", "draws"))
    ]
    found = prior_check(absurd, panel, bounds=bounds, draws=100)
    growth, life = found.rows
    assert growth.broken == ("JPN",)
    assert not life.passed
    assert not found.passed
    assert found.verdict.startswith("0 of 2 bounds hold")
    assert "growth_noise" in growth.text
    assert growth.bound.reason in found.verdict


def test_bound_on_the_mean_and_on_draws_differ(made: PriorPaths) -> None:
    values = QUANTITIES["force_month"].compute(made)
    mean = max(float(v.mean()) for v in values.values())
    on_mean = Bound("force_month", "mean", 0, mean + 0.1, 0, "r", "s")
    on_draws = Bound("force_month", "draws", 0, mean + 0.1, 0.01, "r", "s")
    first, second = judge(made, [on_mean, on_draws]).rows
    assert first.passed
    assert set(second.broken) == set(values)
    for label, share in second.value.items():
        assert share == pytest.approx(float((values[label] > mean + 0.1).mean()))


def test_check_says_what_the_record_and_the_table_say(check: PriorCheck) -> None:
    record = json.loads(json.dumps(check.record(), default=str))
    assert record["passed"] == check.passed == all(check.table()["passed"])
    assert len(record["bounds"]) == len(check.rows)
    for row, kept in zip(check.rows, record["bounds"], strict=True):
        assert kept["passed"] == row.passed
        assert kept["value"][row.worst] == row.value[row.worst]


def test_plot_marks_the_bound_that_is_broken(check: PriorCheck) -> None:
    row = check.rows[0]
    narrow = dataclasses.replace(row.bound, low=0.0, high=0.001)
    broken = dataclasses.replace(row, bound=narrow, value=dict.fromkeys(row.value, 1.0))
    figure = PriorCheck((broken, check.rows[1]), 100, check.as_of).plot()
    notes = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert [note.split(":")[0] for note in notes] == ["BROKEN", "holds"]
    assert "1 of 2 bounds hold" in figure.texts[0].get_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('quantity = "growth"', 'quantity = "grwoth"', "bound 1: there is no quantity `grwoth`.*`growth`"),
        ('\nrule = "draws"', '\nrule = "drawn"', "bound 1: rule is 'drawn'; use draws or mean"),
        ("high = 100", "high = -100", "bound 1: low is -50 and high is -100"),
        ("outside = 0.01\n", "", "bound 1: the rule draws, and only it, needs `outside`"),
        ("low = -50", "lo = -50", "bound 1 has an unknown key `lo`.*`low`"),
        ("[[bounds]]", "[[bound]]", "there are no bounds"),
        ("low = -50", "low = nan", "low must be a finite number"),
    ],
)
def test_broken_bounds_are_refused_with_their_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    from escalation_forecast.store import data_root

    file = tmp_path / "bounds.toml"
    text = (data_root() / "prior_bounds.toml").read_text()
    file.write_text(text.replace(old, new) if old == "[[bounds]]" else text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load_bounds(file)


# --- the command ----------------------------------------------------------------------------


def run(*args: object, **more: Any) -> Result:
    return CliRunner().invoke(app, ["priors", *(str(arg) for arg in args)], **more)


def test_beliefs_gather_in_a_file_and_diff_shows_what_they_mean(tmp_path: Path, default: Priors) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# Mine\n[priors.slow_step]\nparameters = { value = 0.3 }\n")
    spike = ["--outcome", "spike-growth", "--of", "state=KOR", "--of", "theatre=korea", "--interval", "0,1"]
    done = run("elicit", *spike, "--who", "A. Analyst", "--reason", "Seen in 2017", "--out", file)
    assert done.exit_code == 0, done.output
    assert "after" in done.stdout
    done = run("elicit", "--prior", "phi", "--quartiles", "0.8,0.87,0.92", "--out", file, "--json")
    assert json.loads(done.stdout)["prior"]["elicited"][0]["method"] == "quartiles"
    text = file.read_text()
    assert text.startswith("# Mine\n")
    chosen = default.replace(file)
    assert [change.name for change in default.diff(chosen)] == ["phi", "slow_step", "threat_slope"]
    (said,) = chosen["threat_slope"].elicited
    assert (said.who, said.of, chosen["threat_slope"].reason) == (
        "A. Analyst", {"state": "KOR", "theatre": "korea"}, "Seen in 2017",
    )  # fmt: skip
    shown = run("diff", file)
    assert "threat_slope: KOR HalfNormal(sigma=0.5) ->" in shown.stdout
    assert "raises the growth of South Korea" in shown.stdout
    records = json.loads(run("diff", file, "--json").stdout)
    assert [record["name"] for record in records] == ["phi", "slow_step", "threat_slope"]
    assert records[0]["outcomes"]
    assert "No prior differs." in run("diff", file, file).stdout


def test_dialogue_asks_again_until_an_answer_is_kept(tmp_path: Path, default: Priors) -> None:
    file = tmp_path / "mine.toml"
    answers = ["tension-half-life", "korea", "B", "interval", "8,3", "0.9", "interval", "3,x", "0.9",
               "interval", "3,14", "0.9", "n", "interval", "2,8", "0.8", "y", "Short crises"]  # fmt: skip
    done = run("elicit", "--out", file, input="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert done.output.count("That cannot be") == 2
    chosen = default.replace(file)
    (said,) = chosen["phi"].elicited
    assert (said.who, said.numbers["low"], said.numbers["high"], said.label) == ("B", 2, 8, "korea")
    months = drawn(chosen, "tension-half-life", {"theatre": "korea"})
    assert ((months >= 2) & (months <= 8)).mean() == pytest.approx(0.8, abs=0.02)
    assert chosen["phi"].reason == "Short crises"
    assert "B on " in chosen["phi"].source


def test_statement_not_met_writes_nothing_unless_told_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    asked = [
        "elicit",
        "--outcome",
        "force-usual-month",
        "--of",
        "theatre=korea",
        "--interval",
        "5,6",
        "--out",
        file,
    ]
    done = run(*asked)
    assert done.exit_code == 2
    assert "ladder_any spread it" in done.stderr
    assert not file.exists()
    done = run(*asked, "--anyway", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["met"] is False
    assert file.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--json"], "--json cannot ask"),
        (["--prior", "fi", "--interval", "1,2"], "no prior `fi`"),
        (["--prior", "phi", "--outcome", "budget-miss", "--interval", "1,2"], "one of them"),
        (["--prior", "phi", "--interval", "0.5,x"], "no list of numbers"),
        (["--prior", "phi", "--interval", "0.5"], "has 1 numbers; give 2"),
        (["--prior", "phi", "--interval", "0.5,0.9", "--quartiles", "0.5,0.6,0.7"], "Several statements"),
        (["--outcome", "budget-miss", "--of", "state", "--interval", "1,2"], "no pair"),
        (["--prior", "phi", "--expert", "A=0.5", "--expert", "B=0.5,0.9"], "expert `A`.*has 1 numbers"),
    ],
)
def test_wrong_options_end_in_one_sentence(args: list[str], message: str, tmp_path: Path) -> None:
    done = run("elicit", *args, "--out", tmp_path / "mine.toml")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert re.search(message, done.stderr)
    assert not (tmp_path / "mine.toml").exists()


def test_outcomes_are_listed_for_the_state_asked_for() -> None:
    rows = json.loads(run("outcomes", "--of", "state=JPN", "--json").stdout)
    assert {row["outcome"] for row in rows} == set(OUTCOMES)
    assert {row["of"].get("state", "JPN") for row in rows} == {"JPN"}
    assert run("outcomes", "--of", "state=JPM").exit_code == 2
    shown = json.loads(run("show", "phi", "--json").stdout)
    assert {row["outcome"] for row in shown["outcomes"]} == {"tension-half-life", "spike-growth"}


def test_check_of_a_file_prints_its_verdict_and_ends_by_it(
    made: PriorPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fake(priors: Priors, panel: Panel | None, **more: Any) -> PriorPaths:
        asked.update(priors=priors, panel=panel, **more)
        return made

    monkeypatch.setattr("escalation_forecast.elicit.check.prior_paths", fake)
    file, bounds, plot = tmp_path / "mine.toml", tmp_path / "bounds.toml", tmp_path / "plot.png"
    file.write_text("[priors.phi]\nparameters = { alpha = 9 }\n")
    head = '[[bounds]]\nquantity = "half_life"\nrule = "mean"\nreason = "Because it is so"\nlow = 0\n'
    bounds.write_text(f"{head}high = 1e9\n")
    done = run("check", file, "--bounds", bounds, "--plot", plot, "--draws", 120)
    assert done.exit_code == 0, done.output
    assert "The priors are sane" in done.stdout
    assert plot.stat().st_size > 10_000
    assert asked["priors"]["phi"].parameters["alpha"] == 9
    assert asked["draws"] == 120
    bounds.write_text(f"{head}high = 0.001\n")
    done = run("check", file, "--bounds", bounds, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["passed"] is False


def test_translation_prints_before_and_after(default: Priors) -> None:
    found = say(default, "budget-miss", interval(1, 3), {"state": "JPN"})
    assert isinstance(found, Translation)
    lines = str(found).splitlines()
    assert lines[0].endswith("90 % between 1 and 3 points")
    before = np.quantile(drawn(default, "budget-miss", {"state": "JPN"}), [0.5, 0.05])
    median, low = (float(number) for number in re.findall(r"median (\S+), 90 % between (\S+)", lines[1])[0])
    assert lines[1].startswith("  before  median ")
    assert (median, low) == pytest.approx(before, rel=0.03)
    assert lines[2].startswith("  after   median 1.73, 90 % between")


# --- the page -------------------------------------------------------------------------------


PAGE = Path(__file__).parents[1] / "docs" / "priors.md"
REWRITE = "run `python -m escalation_forecast.elicit`"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_page_has_every_prior_and_outcome_once(default: Priors) -> None:
    places = PLACE.finditer(PAGE.read_text(encoding="utf-8"))
    # The table of sensitivity has questions for rows.
    tables = "".join(match["body"] for match in places if match["name"] != "sensitivity")
    rows = re.findall(r"^\| `([^`]+)` \|", tables, re.MULTILINE)
    assert sorted(rows) == sorted([*default, *OUTCOMES]), REWRITE
    assert {group_of(name) for name in default} == set(GROUPS)


def test_page_takes_its_tables_and_keeps_a_table_of_sensitivity(tmp_path: Path, default: Priors) -> None:
    file = tmp_path / "priors.md"
    file.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(file, default, sensitivity="## What each prior does\n\n| a |\n| --- |")
    write_page(file, default)
    text = file.read_text(encoding="utf-8")
    assert text.count("## What each prior does") == 1
    assert meaning(default, OUTCOMES["war-after-clash"]).text in text
    with pytest.raises(DataError, match="Table 'other' is in the page or made, but not both"):
        fill("<!-- table: other -->\n<!-- end -->", {})


def test_examples_of_the_page_work(default: Priors, tmp_path: Path) -> None:
    (record,) = blocks("toml")
    file = tmp_path / "mine.toml"
    file.write_text(record, encoding="utf-8")
    stated = say(default, "spike-growth", interval(0, 1), {"state": "KOR", "theatre": "korea"})
    found = default.replace(file)["threat_slope"]
    assert found.at("KOR")["sigma"] == pytest.approx(stated.spec.at("KOR")["sigma"], rel=0.05)
    code, sliders = blocks("python")
    assert "explore(" in sliders  # has tests of its own
    names: dict[str, Any] = {}
    exec(code.replace("print(prior_check(priors))", ""), names)  # the check has tests of its own
    assert default.replace(_parsed(names["text"])) == names["priors"]
    for line in blocks("sh")[0].replace("\\\n", " ").splitlines():
        words = line.split("#")[0].split()
        assert words[0] == "escalation-forecast"
        if words[1] == "priors":
            assert run(words[2], "--help").exit_code == 0
            options = {word for word in words[3:] if word.startswith("--")}
            assert options <= set(run(words[2], "--help").stdout.split()), line


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)
