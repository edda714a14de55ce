"""Moving priors by hand: the state, the page without a program, and the controls without a front end."""

from __future__ import annotations

import builtins
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest

from escalation_forecast import explore
from escalation_forecast.explorer import Explorer, explorer, page
from escalation_forecast.explorer.curves import weighted_density
from escalation_forecast.explorer.knobs import HOME, Position, moved_numbers, numbers
from escalation_forecast.explorer.widget import Panel
from escalation_forecast.prior_law import law, to_free
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.update import Updater
from escalation_forecast.update import refit as refit_module

QUESTIONS = ("arms-race-annual", "use-of-force", "wider-war")
ARMS, WAR = "arms-race-annual/2026", "wider-war/any/12m"


@pytest.fixture(scope="module")
def made(updater: Updater) -> Explorer:
    return explore(updater, WAR, n=3)


@pytest.fixture
def shown(made: Explorer) -> Panel:
    made.question = WAR
    return Panel(made)


def added(shown: Panel, name: str) -> tuple[Any, Any, Any]:
    """The controls of one prior, put there by those of the panel."""
    shown.other.value = name
    shown.add.click()
    return shown.sliders[name]


def far(name: str) -> dict[str, Position]:
    return {name: Position(2.0, 0.5)}


def test_moves_equal_updates_of_the_same_priors(made: Explorer, updater: Updater) -> None:
    moves = {"growth_drift": Position(0.5), "joining_logit": Position(0.25), "phi[korea]": HOME}
    view = made.view(moves, ARMS)
    mu, sigma = (updater.priors["growth_drift"].at()[key] for key in ("mu", "sigma"))
    logit = updater.priors["joining_logit"].at()
    weight = float(updater.priors["history_weight"].array("value"))
    by_hand = updater.priors.replace(
        growth_drift={"parameters": {"mu": mu + 0.5 * sigma}},
        joining_logit={"parameters": {"mu": logit["mu"] + 0.25 * logit["sigma"] / np.sqrt(weight)}},
    )
    found = updater.update(by_hand)
    assert [change.name for change in view.update.changes] == ["growth_drift", "joining_logit"]
    assert view.after == pytest.approx(found[ARMS].after, abs=1e-5)
    assert view.after != view.before
    assert view.k == pytest.approx(found.k, abs=1e-3)
    war = made.view(moves, WAR)
    assert war.after == pytest.approx(found[WAR].after, abs=1e-5)
    assert found.chain_k is not None
    assert war.k == pytest.approx(max(found.k, found.chain_k), abs=1e-3)


def test_some_questions_alone_are_answered_as_all(updater: Updater) -> None:
    priors = updater.priors.replace(growth_drift={"parameters": {"mu": -1.6}})
    for name, id_ in (("use-of-force", "use-of-force/korea/12m"), (WAR, WAR), (ARMS, ARMS)):
        assert updater.update(priors, questions=[name])[id_] == updater.update(priors)[id_]
    with pytest.raises(DataError, match="no question `wider-warr`"):
        updater.update(priors, questions=["wider-warr"])


def test_every_prior_can_be_moved_and_read_back(made: Explorer, updater: Updater) -> None:
    for name, knob in made.knobs.items():
        priors = made.priors({name: Position(-1.0, 0.71)})
        [change] = updater.priors.diff(priors)
        assert change.name == knob.prior
        assert change.labels in ((knob.label,), ()), name
        array = priors[knob.prior].array(next(iter(priors[knob.prior].parameters)))
        assert np.isfinite(array).all()
    moves = {"phi[korea]": Position(1.0, 2.0), "phi[taiwan]": Position(-1.0)}
    copied = tomllib.loads(made.view(moves).toml)
    assert not [one for one in made.priors(moves).diff(updater.priors.replace(copied)) if one.decides]


def test_place_and_width_are_in_units_of_the_prior(made: Explorer, updater: Updater) -> None:
    for name in ("phi[korea]", "growth_drift", "nuclear_restraint", "war_given_fatal"):
        knob = made.knobs[name]
        family = updater.priors[knob.prior].family
        old = numbers(updater.priors, knob)
        new = numbers(made.priors({name: Position(0.0, 2.0)}), knob)
        before, after = to_free(family, old), to_free(family, new)
        assert after[0] == pytest.approx(before[0], abs=1e-4)
        assert after[-1] - before[-1] == pytest.approx(np.log(2.0), abs=1e-4)
        up = numbers(made.priors({name: Position(1.0)}), knob)
        assert law(family, up).median() > law(family, old).median()
    assert moved_numbers(updater.priors, made.knobs["history_weight"], Position(2.0)) == {"value": 1.0}


def test_verdict_says_when_to_fit_again(made: Explorer) -> None:
    near = made.view({"growth_drift": Position(0.25)}, ARMS)
    away = made.view({f"phi[{theatre}]": Position(-2.0, 0.5) for theatre in THEATRES}, ARMS)
    assert near.tells
    assert near.verdict.startswith("The draws at hand can tell: k ")
    assert not away.tells
    assert away.k is not None
    assert away.k > 0.7
    assert away.verdict.startswith("Fit again: k is ")
    assert (away.after, away.mcse, away.ess) == (None, None, None)
    curves = made.curves("phi[taiwan]", away)
    assert curves is not None
    assert curves.new_posterior is None
    assert "cannot be told without a new fit" in curves.note


def test_densities_integrate_to_one_and_follow_the_weights(made: Explorer, updater: Updater) -> None:
    x = np.linspace(0.0, 1.0, 2001)
    draws = np.random.default_rng(0).beta(3, 4, 20_000)
    weights = draws / draws.sum()
    for share, (a, b) in ((None, (3, 4)), (weights, (4, 4))):
        found = weighted_density(draws, share, x, (0.0, 1.0))
        assert np.trapezoid(found, x) == pytest.approx(1.0, abs=0.01)
        assert abs(found - law("Beta", {"alpha": a, "beta": b}).pdf(x)).max() < 0.12
    up = made.curves("growth_drift", made.view({"growth_drift": Position(0.5)}, ARMS))
    assert up is not None
    assert up.new_posterior is not None
    assert up.old_posterior is not None
    assert up.mean(up.new_posterior) > up.mean(up.old_posterior)
    chain = made.curves("nuclear_restraint", made.view({"nuclear_restraint": Position(0.5)}))
    assert chain is not None
    assert (chain.old_posterior, "No data" in chain.note) == (None, True)
    assert made.curves("history_weight", made.view({})) is None


class Tags(HTMLParser):
    """Names and attributes of what a browser would make of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))


def test_page_needs_no_program_and_is_escaped(
    made: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.question = WAR
    monkeypatch.setitem(made.answers, WAR, "<script>alert('&')</script>")
    text = made.save_html(tmp_path / "page.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.seen]
    assert "script" not in names
    assert "&lt;script&gt;" in text
    assert not [key for _, attrs in tags.seen for key in attrs if key.startswith("on") or key == "src"]
    assert names.count("svg") == len(made.top())
    assert all(attrs["aria-label"] for tag, attrs in tags.seen if tag == "svg")
    assert names.count("td") == len(made.top()) * (len(explorer.GRID) + 1)


def test_page_says_where_weights_fail(made: Explorer) -> None:
    for view in (made.view({"growth_drift": Position(0.25)}, ARMS), made.view(far("phi[taiwan]"), ARMS)):
        assert (page.AGAIN in page._cell(view)) is not view.tells
    row = explorer.Row("phi[taiwan]", {2.0: made.view(far("phi[taiwan]"), ARMS)}, {2.0: ("", "")})
    assert "+2 sd: fit again" in page.svg_row(row)


def test_sliders_move_the_answer_and_reset_restores_it(shown: Panel, made: Explorer) -> None:
    start = shown.result.value
    assert list(shown.sliders) == list(made.top())
    place, width, text = added(shown, "joining_logit")
    said = text.value
    place.value = 0.5
    assert shown.view is not None
    assert shown.view.after == made.view({"joining_logit": Position(0.5)}).after
    assert shown.shown.value == "joining_logit"
    assert "[priors.joining_logit]" in shown.toml.value
    assert 'role="img"' in shown.plot.value
    assert text.value != said
    assert width is not None
    width.value = 2.0
    assert shown.positions["joining_logit"] == Position(0.5, 2.0)
    shown.reset.click()
    assert shown.result.value == start
    assert (place.value, width.value, text.value) == (0.0, 1.0, said)
    assert list(shown.sliders) == list(made.top())
    assert shown.toml.value == explorer.NOTHING


def test_another_question_keeps_what_is_moved(shown: Panel) -> None:
    added(shown, "growth_drift")[0].value = 0.5
    shown.question.value = ARMS
    assert shown.view is not None
    assert shown.view.item.id == ARMS
    assert shown.sliders["growth_drift"][0].value == 0.5
    assert shown.view.after != shown.view.before


def test_fits_again_only_when_pressed(
    shown: Panel, made: Explorer, updater: Updater, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fit(_: Any, priors: Priors, settings: Any, progress: Any) -> Any:
        asked.append(priors)
        progress(5, 10, 1)
        assert (shown.progress.value, shown.progress.max) == (5, 10)
        assert "1 diverged" in shown.note.value
        raise DataError("The sampler finds no place to start from.")

    monkeypatch.setattr(refit_module, "refit", fit)
    assert shown.fit.layout.display == "none"
    place, width, _ = added(shown, "phi[taiwan]")
    place.value, width.value = 2.0, 0.5
    assert shown.fit.layout.display == ""
    assert "Fit again: " in shown.result.value
    assert not asked
    shown.fit.click()
    assert asked == [made.priors(shown.positions)]
    assert "The sampler finds no place to start from." in shown.error.value
    shown.reset.click()
    assert shown.error.value == ""


def test_what_goes_wrong_is_said_and_not_swallowed(shown: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(error: Exception) -> Any:
        def fail(*_: Any, **__: Any) -> Any:
            raise error

        return fail

    place = added(shown, "joining_logit")[0]
    monkeypatch.setattr(shown.explorer, "view", broken(DataError("<b> is no prior.")))
    place.value = 1.0
    assert "&lt;b&gt; is no prior." in shown.error.value
    assert 'role="alert"' in shown.error.value
    assert shown.view is None
    assert shown.result.value == ""
    monkeypatch.setattr(shown.explorer, "view", broken(KeyError("lost")))
    with pytest.raises(KeyError):
        place.value = 1.5
    assert "lost" in shown.error.value


def test_every_control_has_a_description(shown: Panel) -> None:
    def within(widget: Any) -> Iterator[Any]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from within(child)

    controls = [
        widget for widget in within(shown.box) if not isinstance(widget, ipywidgets.HTML | ipywidgets.Box)
    ]
    assert len(controls) > 8
    assert all(widget.description for widget in controls)
    assert all(widget.tabbable is not False for widget in controls)


def test_shows_table_without_front_end_and_sliders_with_one(
    made: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.question = WAR
    view = "application/vnd.jupyter.widget-view+json"
    alone = made._repr_mimebundle_()
    assert set(alone) == {"text/plain", "text/html"}
    monkeypatch.setattr(explorer, "_front_end", lambda: True)
    both = made._repr_mimebundle_()
    assert {"text/html", view} <= set(both)
    assert both["text/html"] == alone["text/html"]

    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith(("ipywidgets", "escalation_forecast.explorer.widget")):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert set(made._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(DataError, match=re.escape("escalation-forecast[notebook]")):
        made.widget()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda m: explore(m.updater, "wider-warr"), "no probability for `wider-warr`"),
        (lambda m: explore(m.updater, WAR, n=0), "show at least one prior"),
        (lambda m: m.view({"phy[korea]": Position(1.0)}), "no prior `phy"),
    ],
)
def test_hostile_input_gets_a_sentence(made: Explorer, what: Any, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        what(made)
