"""Why did the answers move? A fixed order of steps, each valued on draws at hand.

Revision and news as in nowcasting (Banbura and Modugno 2014, Journal of Applied Econometrics 29; statsmodels
calls the same `news`), for a model that is neither linear nor Gaussian: the figures of two runs are exchanged
series by series, and after each exchange the answers are found again from weighted draws.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.archive import Run
from escalation_forecast.explain import estimate
from escalation_forecast.explain.answers import Sayings, history_tables
from escalation_forecast.explain.climb import Base, Climb, climb, fit_at
from escalation_forecast.explain.estimate import Estimate
from escalation_forecast.explain.result import Explanation, Part, Why, add_up
from escalation_forecast.explain.sides import Archive, Side, before_run, check_order, load
from escalation_forecast.explain.states import State, Step, steps_between
from escalation_forecast.identity import run_identity
from escalation_forecast.questions import Question, load_questions
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update.reweight import summary_value

if TYPE_CHECKING:
    from escalation_forecast.fit import Settings
    from escalation_forecast.history.tables import History

BEYOND: Final = 3.0  # Monte Carlo errors; a run's own draws may say something else by chance
TODAY: Final = "questions and tables of the program"

Told = Callable[[str], None]


def explain(
    runs: Archive | Path | str,
    run: str | Run,
    previous: str | Run | None = None,
    *,
    store: Store | None = None,
    previous_store: Store | None = None,
    questions: Sequence[Question] | None = None,
    previous_questions: Sequence[Question] | None = None,
    refit: Literal["auto", "never"] = "auto",
    settings: Settings | None = None,
    tell: Told | None = None,
) -> Explanation:
    """Why the answers of a run differ from those of an earlier one.

    Parameters
    ----------
    runs : a `ledger.Ledger`, or the folder that holds the runs' folders.
    run, previous : ids, or runs; by default the earlier run is the one published before.
    store, previous_store : data that the runs were made from; by default the embedded ones, cut at the day of
        each run. ``previous_store`` is by default ``store``.
    questions, previous_questions : likewise.
    refit : ``auto`` makes a fit, two at most, where weights from neither run reach; ``never`` leaves the
        steps between together.
    settings : of such a fit; by default `update.refit.SETTINGS`.
    tell : told in a word or two what is being done.

    Raises
    ------
    DataError
        When a run or its data are not there, or the earlier run is the later one.
    ConvergenceError
        When the sampler of such a fit finds no place to start from.
    """
    started = time.perf_counter()
    tell = tell or (lambda _: None)
    if refit not in ("auto", "never"):
        raise DataError(f"refit is {refit!r}; choose auto or never.")
    tell("reading the runs")
    later = run if isinstance(run, Run) else load(runs, run)
    earlier = previous if isinstance(previous, Run) else load(runs, previous or before_run(runs, later))
    check_order(earlier, later)
    if earlier.summary["model_version"] != later.summary["model_version"]:
        return _other_model(earlier, later, started)
    store = store or Store.embedded()
    asked = load_questions() if questions is None else questions
    new = Side.of(later, store, asked, "later")
    old = Side.of(earlier, previous_store or store, previous_questions or asked, "earlier")
    steps = steps_between(old.state, new.state)
    base = Base(old.posterior, old.state, 0, "earlier run")

    def made(state: State) -> xr.Dataset:
        assert tell is not None
        tell("fitting where weights do not reach")
        return fit_at(state, settings)

    tell("weighting draws")
    top = len(steps)
    found = climb(
        base,
        steps,
        lambda: Base(new.posterior, steps[-1].state if steps else new.state, top, "later run"),
        made if refit == "auto" else None,
    )
    levels = _levels(old.state, steps, found, tell)
    history = history_tables()
    verified = tuple(_as_made_today(side.state, side.run.summary, history) for side in (old, new))
    answers = _answers(old, new, steps, levels, verified[0])
    return Explanation(
        run_id=new.id,
        previous_id=old.id,
        as_of=str(later.summary["as_of"]),
        previous_as_of=str(earlier.summary["as_of"]),
        answers=tuple(answers),
        steps=_table(steps, found),
        notes=_notes(steps, found, verified),
        only_new=tuple(name for name in new.answers if name not in old.answers),
        only_old=tuple(name for name in old.answers if name not in new.answers),
        seconds=time.perf_counter() - started,
        labels=_labels(new.state.known, steps),
    )


def _levels(
    start: State, steps: Sequence[Step], found: Climb, tell: Told
) -> list[dict[str, Estimate] | None]:
    """Estimates by rung and id; None where no draws speak."""
    sayings: dict[int, Sayings] = {}
    levels: list[dict[str, Estimate] | None] = []
    states = [start, *(step.state for step in steps)]
    for rung, (state, stand) in enumerate(zip(states, found.stands, strict=True)):
        if stand is None:
            levels.append(None)
            continue
        tell(f"step {rung} of {len(steps)}")
        before = found.stands[rung - 1] if rung else None
        if rung and before is not None and before.base is stand.base and _nothing(steps[rung - 1]):
            levels.append(levels[-1])
            continue
        if id(stand.base) not in sayings:
            sayings.clear()  # draws of one fit at a time
            sayings[id(stand.base)] = Sayings(stand.base.posterior)
        weights = stand.weights.values
        said = sayings[id(stand.base)].at(state, weights)
        kinds = {name: item.rule.kind for name, item in sayings[id(stand.base)].items.items()}
        levels.append(
            {name: estimate.estimate(v, weights, kinds[name], stand.base) for name, v in said.items()}
        )
    return levels


def _nothing(step: Step) -> bool:
    """Whether a step decides nothing but Monte Carlo error."""
    return step.label == "settings of the sampler"


def _answers(
    old: Side,
    new: Side,
    steps: Sequence[Step],
    levels: Sequence[dict[str, Estimate] | None],
    verified: bool,
) -> list[Why]:
    found = []
    for name, entry in new.answers.items():
        if name not in old.answers:
            continue
        before, after = summary_value(old.answers[name]), summary_value(entry)
        errors = [float(one["mcse"] or 0.0) for one in (old.answers[name], entry)]
        parts, last = _parts(name, steps, levels)
        first = levels[0][name] if levels[0] and name in levels[0] else None
        apart = 0.0 if first is None else abs(first.value - before)
        if not verified and first is not None and apart > BEYOND * math.hypot(errors[0], first.mcse):
            # What the run said is compared with what its own draws say to today's questions and tables.
            parts.append(Part("configuration", TODAY, first.value - before, first.mcse))
        mcse = math.hypot(*errors)
        if first is not None and last is not None:
            # The estimates at both ends have chance events of their own, beside those of the published ones.
            same = first.source is last.source
            own = estimate.change_error(first, last) if same else math.hypot(first.mcse, last.mcse)
            mcse = math.hypot(mcse, own)
        if before == after and all(part.change == 0.0 for part in parts):
            mcse = 0.0 if old.id == new.id else mcse
        found.append(
            Why(
                answer=name,
                title=str(entry["title"]),
                target=str(entry["target"]),
                unit=entry["kind"],
                before=before,
                after=after,
                parts=add_up(before, after, parts, mcse),
            )
        )
    return found


def _parts(
    name: str, steps: Sequence[Step], levels: Sequence[dict[str, Estimate] | None]
) -> tuple[list[Part], Estimate | None]:
    """Changes of an answer by step, and the last estimate; steps that cannot be told apart are one."""
    parts: list[Part] = []
    waiting: list[Step] = []
    last = levels[0].get(name) if levels[0] else None
    for step, level in zip(steps, levels[1:], strict=True):
        waiting.append(step)
        now = level.get(name) if level else None
        if now is None:
            continue
        if last is not None:
            label = " and ".join(one.label for one in waiting)
            error = estimate.change_error(last, now)
            parts.append(Part(step.kind, label, now.value - last.value, error))
            waiting = []
        last = now
    return parts, last


def _table(steps: Sequence[Step], found: Climb) -> pd.DataFrame:
    rows = []
    for rung, (step, stand) in enumerate(zip(steps, found.stands[1:], strict=True), start=1):
        rows.append(
            {
                "kind": step.kind,
                "label": step.label,
                "published_on": step.published_on,
                "figures": step.n_figures,
                "draws": stand.base.name if stand else "none",
                "k": stand.weights.k if stand else np.nan,
                "ess": stand.weights.ess if stand else 0.0,
                "why_not_before": found.reasons.get(rung, ""),
            }
        )
    names = ["kind", "label", "published_on", "figures", "draws", "k", "ess", "why_not_before"]
    return pd.DataFrame(rows, columns=names)


def _notes(steps: Sequence[Step], found: Climb, verified: tuple[bool, ...]) -> tuple[str, ...]:
    notes = []
    if not steps and all(verified):
        notes.append("Nothing that decides the numbers differs; what moved is Monte Carlo error.")
    for rung in found.fits:
        notes.append(f"Fitted again at `{steps[rung - 1].label}`: {found.reasons[rung]}.")
    names = [stand.base.name if stand else "" for stand in found.stands]
    crossing = next((k for k, name in enumerate(names) if name == "later run"), None)
    if crossing:
        notes.append(
            f"From `{steps[crossing - 1].label}` on the later run's draws are used "
            f"({found.reasons.get(crossing, 'weights from the earlier run do not reach')}), so that step "
            "bears the Monte Carlo error of both."
        )
    if any(stand is None for stand in found.stands):
        notes.append("Steps that no draws speak for are left together; allow a fit to tell them apart.")
    if not verified[0]:
        notes.append(
            "The earlier run was made with other questions or tables of the program than today's; what that "
            f"did is the step `{TODAY}`."
        )
    if not verified[1]:
        notes.append(
            "The later run was made with other questions or tables of the program than today's; what that "
            "did is part of sampling."
        )
    return tuple(notes)


def _labels(store: Store, steps: Sequence[Step]) -> dict[str, str]:
    """Series in words."""
    words = store.series.set_index("series")["description"]
    return {step.label: f"{words[step.label]} ({step.label})" for step in steps if step.label in words.index}


def _other_model(earlier: Run, later: Run, started: float) -> Explanation:
    old, new = ({e["id"]: e for e in run.summary["questions"]} for run in (earlier, later))
    versions = [str(run.summary["model_version"]) for run in (earlier, later)]
    label = f"model version {versions[0]} to {versions[1]}"
    answers = []
    for name, entry in new.items():
        if name not in old:
            continue
        before, after = summary_value(old[name]), summary_value(entry)
        if not (np.isfinite(before) and np.isfinite(after)):
            continue
        error = float(np.hypot(old[name]["mcse"] or 0.0, entry["mcse"] or 0.0))
        parts = (Part("code", label, after - before, error), Part("sampling", "Monte Carlo", 0.0, 0.0))
        answers.append(
            Why(name, str(entry["title"]), str(entry["target"]), entry["kind"], before, after,
                parts)
        )  # fmt: skip
    note = (
        f"The runs are of different models (version {versions[0]} and {versions[1]}), whose draws do not "
        "mean the same. The whole change is put down to the model; new figures, another date and chance are "
        "in it and cannot be told apart. Run the later model on the earlier day to separate them."
    )
    return Explanation(
        run_id=str(later.summary["run_id"]),
        previous_id=str(earlier.summary["run_id"]),
        as_of=str(later.summary["as_of"]),
        previous_as_of=str(earlier.summary["as_of"]),
        answers=tuple(answers),
        steps=_table([], Climb((None,), {}, ())),
        notes=(note,),
        only_new=tuple(name for name in new if name not in old),
        only_old=tuple(name for name in old if name not in new),
        seconds=time.perf_counter() - started,
    )


def _as_made_today(state: State, summary: Mapping[str, Any], history: History) -> bool:
    """Whether `pipeline.run_forecast` would give the run its id again.

    A run keeps its priors and the hash of its figures; of questions, histories and weights of pools it keeps
    only what they did to its id.
    """
    identity = run_identity(
        state.panel, history=history, spending_weight=state.spending_weight, as_of=state.day.date(),
        priors=state.priors, questions=state.questions, horizon=state.horizon, settings=state.settings,
        model_version=str(summary["model_version"]), seed=state.seed, draft=bool(summary["draft"]),
    )  # fmt: skip
    return str(summary["run_id"]) == identity
