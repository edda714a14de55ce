"""A finished forecast with all that another prior needs: its draws, its priors and what was known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import realised, run_files
from escalation_forecast.archive import Run, load_run
from escalation_forecast.draws import Draws
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Item, Question, bind, draws, load_questions
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest
from escalation_forecast.update.war import WarState, war_state
from escalation_forecast.war_summary import RULES as WAR_RULES

if TYPE_CHECKING:
    from escalation_forecast.store import Store
    from escalation_forecast.update.power_scaling import Sensitivity
    from escalation_forecast.update.result import Refit, Update

SAME: Final = 1e-6
LADDER_RULES: Final = ("ladder-reaches",)
# Paths of latents and levels are large and needed by few.
LARGE: Final = ("eta", "growth_level", "growth_scale", "log_stock", "centre")

Kind = Literal["paths", "ladder", "war"]


@dataclass(frozen=True, eq=False, repr=False)
class Updater:
    """A run whose priors can be changed; what it reads from disk is kept.

    Attributes
    ----------
    run, priors, questions : the run, and what it was made with.
    known, panel : what was public on its as-of date.
    """

    run: Run
    priors: Priors
    questions: tuple[Question, ...]
    known: Store
    panel: Panel

    @classmethod
    def of(
        cls,
        run: Run | Path | str,
        *,
        store: Store | None = None,
        priors: Priors | None = None,
        questions: Sequence[Question] | None = None,
    ) -> Updater:
        """Prepare a run, in memory or in its folder.

        Parameters
        ----------
        store, priors, questions : what the run was made with; by default the embedded data and questions,
            and the priors kept in the run's folder.

        Raises
        ------
        DataError
            When they are not those of the run.
        """
        from escalation_forecast.store import Store

        run = run if isinstance(run, Run) else load_run(run)
        day = pd.Timestamp(run.summary["as_of"])
        known = (store or Store.embedded()).as_of(day)
        panel = build_panel(known, day)
        priors = priors or run_files.priors_of(run.folder) or Priors.default()
        questions = tuple(load_questions() if questions is None else questions)
        _check_data(run, panel)
        return cls(run, priors, questions, known, panel)

    def update(self, priors: Priors, **options: Any) -> Update:
        """What the questions' probabilities are under other priors; see `reweight.update`."""
        from escalation_forecast.update.reweight import update

        return update(self, priors, **options)

    def sensitivity(self, **options: Any) -> Sensitivity:
        """How far each question rests on priors; see `power_scaling.sensitivity`."""
        from escalation_forecast.update.power_scaling import sensitivity

        return sensitivity(self, **options)

    def refit(self, priors: Priors, **options: Any) -> Refit:
        """A new fit with other priors; see `refit.refit`."""
        from escalation_forecast.update.refit import refit

        return refit(self, priors, **options)

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.run.summary["seed"])

    @property
    def horizon(self) -> int:
        """Months ahead."""
        return int(self.run.summary["horizon_months"])

    @cached_property
    def posterior(self) -> xr.Dataset:
        """Parameters of the posterior, without the paths of latents and levels."""
        with self.run.posterior as tree:
            whole = tree["posterior"].to_dataset()
            return whole.drop_vars([name for name in LARGE if name in whole]).load()

    @cached_property
    def draws(self) -> Draws:
        """The same, draw by draw."""
        return Draws(self.posterior)

    def whole_posterior(self) -> xr.Dataset:
        """All that the run keeps of the posterior, read anew."""
        with self.run.posterior as tree:
            return tree["posterior"].to_dataset().load()

    @cached_property
    def paths(self) -> xr.Dataset:
        """Forecast paths with the growth of past years that rules compare with."""
        return realised.with_growth_base(self.run.forecast, self.known)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The parts of the questions that the run answers."""
        found = bind(self.questions, self.known, paths=self.paths)
        answered = {entry["id"] for entry in self.run.summary["questions"]}
        return tuple(item for item in found if item.id in answered)

    def asked(self, names: Sequence[str] | None = None) -> tuple[Item, ...]:
        """The parts of the questions with these ids, of questions or of answers; by default all.

        Raises
        ------
        DataError
            For an unknown id.
        """
        if names is None:
            return self.items
        known = {*(item.id for item in self.items), *(item.question.id for item in self.items)}
        for name in names:
            if name not in known:
                raise DataError(
                    f"The run has no question `{name}`{nearest(name, known)}; see `questions list`."
                )
        return tuple(item for item in self.items if item.id in names or item.question.id in names)

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """What each draw says about each item, (chain, draw); about war (chain, draw, future)."""
        found = {}
        for item in self.items:
            if kind_of(item) != "war":
                found[item.id] = draws(item, self.paths).to_numpy().astype(float)
        found |= war_values(self.items, self.paths)
        _check_answers(found, self.stored)
        return found

    @cached_property
    def war(self) -> WarState:
        """The chain from tension to war, and the chances of use of force that drive it."""
        return war_state(self)

    @cached_property
    def stored(self) -> dict[str, dict[str, Any]]:
        """Answers of the run by id."""
        return {entry["id"]: entry for entry in self.run.summary["questions"]}

    def common(self, name: str) -> np.ndarray | None:
        """Draws (n,) of what the labels of a pooled prior share."""
        key = f"{name}_common"
        return self.draws[key] if key in self.posterior else None

    def coords(self, name: str) -> dict[str, list[str]]:
        """Labels of a prior's dims in the order of the posterior."""
        return {dim: self.draws.labels(dim) for dim in self.priors[name].dims}

    def __repr__(self) -> str:
        n = self.run.summary
        return f"<Updater of run {n['run_id']}, as of {n['as_of']}: {len(n['questions'])} answers>"


def kind_of(item: Item) -> Kind:
    """What an item reads: joint paths, the ladder, or simulated wars."""
    if item.rule.name in WAR_RULES:
        return "war"
    return "ladder" if item.rule.name in LADDER_RULES else "paths"


def war_values(items: Sequence[Item], paths: xr.Dataset) -> dict[str, np.ndarray]:
    """What each future of each draw says about the items on war, (chain, draw, future)."""
    asked = [item for item in items if kind_of(item) == "war"]
    if not asked:
        return {}
    names = [name for name in ("clash", "joined") if name in paths]
    futures = paths[names].rename(draw="one", future="two").stack(draw=("one", "two"))
    n_draws, n_futures = paths.sizes["draw"], paths.sizes["future"]
    single = futures.drop_vars(["draw", "one", "two"]).assign_coords(draw=np.arange(n_draws * n_futures))
    single.attrs = dict(paths.attrs)
    shape = (paths.sizes["chain"], n_draws, n_futures)
    return {item.id: draws(item, single).to_numpy().astype(np.float32).reshape(shape) for item in asked}


def _check_data(run: Run, panel: Panel) -> None:
    if panel.content_hash != run.summary["data"]["content_hash"]:
        raise DataError(
            f"The run {run.summary['run_id']} was made from other data than those given; give its data "
            "folder and figures, or run the forecast again."
        )


def _check_answers(found: dict[str, np.ndarray], stored: dict[str, dict[str, Any]]) -> None:
    """What the items say of the paths must be what the run answered, or they are other questions."""
    for name, values in found.items():
        before = stored[name]["probability"]
        if before is not None and abs(before - float(values.mean(dtype=float))) > SAME:
            raise DataError(
                f"The answer to `{name}` on the paths of the run is not the one that it gave; give the "
                "questions that it was made with, or run the forecast again."
            )
