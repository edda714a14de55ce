"""What the explorer in a browser is given: thinned draws, answers, and priors at all places of their sliders.

An answer is offered where the weights of the posterior alone change it, a prior where its density alone does:

- answers read off joint paths: what each draw says, yes or no;
- use of force, which stays pooled: each draw's own chance, whose change counts with the model's part in the
  pool, which is linear in it;
- wars: what the futures of each draw say, under priors that only the chain to war reads. Under priors of the
  model the chances of force would be pooled and the clashes weighted again, which a browser does not do.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.explorer.explorer import Explorer, ranked
from escalation_forecast.explorer.knobs import (
    SHOWN,
    WIDTHS,
    Knob,
    Position,
    has_width,
    moved_numbers,
    outcome_sizes,
)
from escalation_forecast.prior_law import law
from escalation_forecast.prior_spec import bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Item
from escalation_forecast.report.terminal import target_text
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.update.moves import SCALES
from escalation_forecast.update.power_scaling import one_by_one
from escalation_forecast.update.updater import Updater, kind_of
from escalation_forecast.update.war import CHAIN, CHAIN_CONSTANTS, FORCE, HAZARD
from escalation_forecast.war_chain import HISTORY

BY: Final = tuple(float(one) for one in np.arange(-8, 9) / 4)  # standard deviations
FAMILIES: Final = ("Normal", "LogNormal", "StudentT", "Beta", *SCALES)  # that the program can weigh
MODEL, CHAIN_ONLY = "model", "chain"
MOST: Final = 5  # priors of a question
OUTCOME_DRAWS: Final = 4000
FEWEST: Final = 200  # draws with which a tail can be fitted at all
# Group, pattern of answers, and how many of these: the ones nearest to even chances.
HEADLINES: Final = (
    ("A wider war", "wider-war/any/12m", 1),
    ("A wider war", "wider-war/any/36m", 1),
    ("A wider war", "wider-war/war/12m", 1),
    ("A wider war", "wider-war/joining/12m", 1),
    ("An arms race", "arms-race-regional/any-*", 1),
    ("An arms race", "arms-race-regional/[0-9]*", 2),
    ("An arms race", "arms-race-annual/[0-9]*", 1),
    ("Use of force within a year", "use-of-force/*/12m", len(THEATRES)),
    ("Tension and troops", "tension-exceeds/news_taiwan/12m", 1),
    ("Tension and troops", "troops-exceed/*/12m", 1),
)


@dataclass(frozen=True, eq=False)
class Thinned:
    """Some draws of every chain, evenly spaced.

    Attributes
    ----------
    places : (n,) positions among all draws, chain by chain.
    shape : (chain, draw).
    """

    places: np.ndarray
    shape: tuple[int, int]

    @property
    def n(self) -> int:
        """Number of draws kept."""
        return len(self.places)


def thinned(shape: tuple[int, int], draws: int) -> Thinned:
    """At most ``draws`` of the draws (chain, draw) of a run.

    Raises
    ------
    DataError
        For so few that no tail of weights can be fitted.
    """
    if draws < FEWEST:
        raise DataError(f"draws is {draws}; give {FEWEST} or more, or the tail of the weights has none.")
    chains, length = shape
    each = min(length, draws // chains)
    inside = ((np.arange(each) + 0.5) * length / each).astype(int)
    return Thinned((np.arange(chains)[:, None] * length + inside).ravel(), (chains, each))


@dataclass(frozen=True, eq=False)
class Asked:
    """An answer that can be offered.

    Attributes
    ----------
    part : whose priors move it: of the model or of the chain to war.
    values : (n,) of all draws; their mean moves the answer.
    share : by which a change of that mean counts.
    """

    item: Item
    group: str
    part: str
    values: np.ndarray
    share: float


def asked(explorer: Explorer, question: str | None = None) -> list[Asked]:
    """The headline answers that can be offered, and the one chosen.

    Raises
    ------
    DataError
        When the one chosen cannot, or none can.
    """
    updater, found = explorer.updater, dict[str, Asked]()
    stored = {name: float(updater.stored[name]["probability"]) for name in explorer.answers}
    wanted = [(group, *_matching(stored, pattern, most)) for group, pattern, most in HEADLINES]
    if question is not None:
        chosen = explorer.item(question).id
        if not any(chosen in row for row in wanted):
            wanted.append(("Chosen", chosen))
    for group, *names in wanted:
        for name in names:
            one = _asked(updater, explorer.item(name), group)
            if one is not None:
                found[name] = one
            elif question is not None and name == explorer.item(question).id:
                raise DataError(
                    f"Weights alone do not tell `{name}`; leave `question` out, or use `explore`."
                )
    if not found:
        raise DataError("The run has no open headline question to explore; ask one and run it again.")
    return list(found.values())


def _matching(stored: dict[str, float], pattern: str, most: int) -> list[str]:
    mine = [name for name in stored if fnmatch(name, pattern)]
    kept = sorted(mine, key=lambda name: abs(stored[name] - 0.5))[:most]
    return [name for name in mine if name in kept]


def _asked(updater: Updater, item: Item, group: str) -> Asked | None:
    kind = kind_of(item)
    if kind == "ladder":
        return _force(updater, item, group)
    values = updater.values[item.id].reshape(updater.draws.n, -1).mean(axis=1, dtype=float)
    if np.isnan(values).any():
        return None
    return Asked(item, group, CHAIN_ONLY if kind == "war" else MODEL, values, 1.0)


def _force(updater: Updater, item: Item, group: str) -> Asked | None:
    """Use of force from the first month ahead up to a horizon at which it is pooled, or not pooled at all."""
    state, theatre = updater.war, item.params.theatre
    ahead = len(item.months)
    if item.params.level != FORCE or not item.months.equals(state.months[:ahead]):
        return None
    share = 1.0
    if theatre in state.targets:
        if ahead not in state.targets[theatre]:
            return None
        share = float(load_pool().weights["joint_model"][ahead])
    own = 1.0 - np.prod(1.0 - state.own[:, THEATRES.index(theatre), :ahead], axis=1)
    return Asked(item, group, MODEL, own, share)


def payload(explorer: Explorer, question: str | None = None, *, draws: int = 1000) -> dict[str, Any]:
    """What `browser.js` reads, as JSON has it; arrays are little-endian float32 in base64.

    Parameters
    ----------
    question : id of an answer or of its question, shown first.
    draws : kept, evenly spaced within chains.

    Raises
    ------
    DataError
        For a question that cannot be offered, and for too few draws.
    """
    updater = explorer.updater
    kept = thinned(updater.draws.shape, draws)
    offered = asked(explorer, question)
    table = one_by_one(updater, [one.item.id for one in offered], explorer.moves)
    questions, names = [], dict[str, None]()
    for one in offered:
        ranked = ranking(explorer, table[table["id"] == one.item.id], one)
        if ranked.empty:
            continue
        names |= dict.fromkeys(ranked["prior"])
        questions.append(_question(updater, one, kept, ranked))
    first = explorer.item(question).id if question is not None else questions[0]["id"]
    run = updater.run.summary
    return {
        "run": str(run["run_id"]),
        "as_of": str(run["as_of"]),
        "draws": updater.draws.n,
        "shape": list(kept.shape),
        "first": first,
        "by": list(BY),
        "widths": list(WIDTHS),
        "questions": questions,
        "knobs": {name: _knob(explorer, explorer.knobs[name], kept) for name in names},
    }


def ranking(explorer: Explorer, moved: pd.DataFrame, one: Asked) -> pd.DataFrame:
    """The priors offered for an answer: those that clearly move it most, and a few that may by chance."""
    inside = [part_of(explorer, name) == one.part for name in moved["prior"]]
    return ranked(moved[inside], MOST)


def part_of(explorer: Explorer, name: str) -> str:
    """Whether the sampler or only the chain to war reads a prior; empty where a density does not do."""
    knob = explorer.knobs[name]
    if knob.prior in (HAZARD, *CHAIN_CONSTANTS) or explorer.updater.priors[knob.prior].family not in FAMILIES:
        return ""
    return CHAIN_ONLY if knob.prior in CHAIN else MODEL


def column(updater: Updater, knob: Knob) -> np.ndarray:
    """Draws (n,) whose density a prior decides: of its label, or of what its labels share."""
    common = updater.common(knob.prior) if knob.prior in updater.posterior else None
    if common is not None:
        return common
    values = updater.war.kept[knob.prior][0] if knob.prior in CHAIN else updater.draws[knob.prior]
    place = knob.labels.index(knob.label) if knob.label else 0
    return np.asarray(values.reshape(len(values), -1)[:, place], float)


def _question(updater: Updater, one: Asked, kept: Thinned, ranked: pd.DataFrame) -> dict[str, Any]:
    stored = updater.stored[one.item.id]
    title = one.item.question.title.partition(":")[0]
    return {
        "id": one.item.id,
        "group": one.group,
        "title": f"{title}: {target_text(one.item.target.removeprefix('news_'))}",
        "part": one.part,
        "before": float(stored["probability"]),
        "mcse": stored["mcse"],
        "share": one.share,
        "values": _encoded(one.values[kept.places]),
        "knobs": list(ranked["prior"]),
        "clear": [bool(clear) for clear in ranked["clear"]],
    }


def _knob(explorer: Explorer, knob: Knob, kept: Thinned) -> dict[str, Any]:
    updater, priors = explorer.updater, explorer.updater.priors
    spec = priors[knob.prior]
    wide = has_width(spec)
    places = [Position(by, width) for width in (WIDTHS if wide else (1.0,)) for by in BY]
    written = [moved_numbers(priors, knob, place) for place in places]
    # At home the numbers of the run, not those rounded for a file.
    home = places.index(Position())
    written[home] = {key: float(spec.at(knob.label)[key]) for key in written[home]}
    power = _power(updater, knob)
    used = [_powered(spec.family, one, power) for one in written]
    said, unit, sizes = outcome_sizes(priors, knob, written, OUTCOME_DRAWS)
    low, high = bounds_of(spec.support, spec.name)
    return {
        "prior": knob.prior,
        "label": knob.label,
        "family": spec.family,
        "part": part_of(explorer, knob.name),
        "reason": spec.reason,
        "bounds": [_finite(low), _finite(high)],
        "wide": wide,
        "home": home,
        "written": _columns(written),
        "others": _others(priors, knob),
        "used": _columns(used),
        "quantiles": _quantiles(spec.family, used),
        "outcome": said,
        "unit": unit,
        "sizes": [_shortened(one) for one in sizes],
        "draws": _encoded(_inside(column(updater, knob)[kept.places], (low, high))),
    }


def _others(priors: Priors, knob: Knob) -> dict[str, dict[str, float]]:
    """The numbers of all labels, where a file must have them because only the data know which there are."""
    spec = priors[knob.prior]
    if not knob.label or set(knob.labels) <= set(spec.labels.get(spec.dims[0], ())):
        return {}
    return {key: {label: spec.at(label)[key] for label in knob.labels} for key in spec.at(knob.label)}


def _power(updater: Updater, knob: Knob) -> float:
    return float(updater.priors["history_weight"].array("value")) if knob.prior in HISTORY else 1.0


def _powered(family: str, numbers: dict[str, float], power: float) -> dict[str, float]:
    from escalation_forecast.draws import POWERED

    if power == 1.0 or family not in POWERED:
        return numbers
    arrays = {key: np.asarray(value) for key, value in numbers.items()}
    return numbers | {key: float(value) for key, value in POWERED[family](arrays, power).items()}


def _quantiles(family: str, rows: Sequence[dict[str, float]]) -> list[list[float | None]]:
    columns = {key: np.array(column)[:, None] for key, column in _columns(rows).items()}
    return [_shortened(row) for row in law(family, columns).ppf(SHOWN)]


def _columns(rows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _shortened(numbers: Iterable[float]) -> list[float | None]:
    """Four digits; None for what has no end."""
    return [float(f"{one:.4g}") if np.isfinite(one) else None for one in numbers]


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None


def _inside(values: np.ndarray, bounds: Iterable[float]) -> np.ndarray:
    """The nearest float32 numbers that are still within open bounds, where rounding would reach one."""
    low, high = (np.float32(bound) for bound in bounds)
    near = values.astype(np.float32)
    near = np.where((near <= low) & (values > low), np.nextafter(low, np.float32(np.inf)), near)
    return np.where((near >= high) & (values < high), np.nextafter(high, np.float32(-np.inf)), near)


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode("ascii")


def decoded(text: str) -> np.ndarray:
    """The numbers that the program in the page sees, (n,)."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(float)
