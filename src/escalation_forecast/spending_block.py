"""The spending block of the joint model, which also stands alone.

Its observations are data that can be swapped: one program serves every day, set of announcements and
ablation of the same states and calendar.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from escalation_forecast.kernels import ar_filter, student_t_rows, student_t_sum
from escalation_forecast.model_parts import Draw, mixed_t
from escalation_forecast.priors import Priors
from escalation_forecast.spending_panel import LATE_AGES, YEARS_AHEAD, SpendingPanel


def build_spending_model(sp: SpendingPanel, priors: Priors) -> pm.Model:
    """Spending alone, without the latent: the last block of `model.build_model`."""
    coords = spending_coords(sp)
    with pm.Model(coords=coords, check_bounds=False) as model:
        spending_block(sp, spending_data(sp), None, Draw(priors, coords))
    return model


def spending_data(sp: SpendingPanel) -> dict[str, Any]:
    """The arrays of the spending block as data of the model in context.

    Compiled programs take vectors, so that is what the data are.
    """
    out = {}
    for name, values in sp.arrays().items():
        vector = pm.Data(f"spending_{name}", values.ravel())
        out[name] = vector[0] if values.ndim == 0 else vector
        if values.ndim > 1:
            out[name] = vector.reshape(values.shape)
    return out


def spending_coords(sp: SpendingPanel) -> dict[str, list[Any]]:
    """Dims and labels of the spending block; years ahead count from the last printed year."""
    return {
        "state": list(sp.states),
        "spending_year": list(sp.years),
        "year_ahead": list(range(1, YEARS_AHEAD + 1)),
        "late_age": list(LATE_AGES),
    }


def spending_block(sp: SpendingPanel, data: dict[str, Any], threat: Any, draw: Draw) -> None:
    """Real growth of military spending by state and year, its revisions, and what is announced of it.

    The true growth of a printed year is the print plus the revision still to come; of a year not
    printed yet it is simulated from the dynamics, and announcements read its first print. Growth
    goes back to a drifting level of its own, with surprises whose scale changes slowly; both walks are
    centred on the printed years.

    Parameters
    ----------
    data : the arrays of ``sp.arrays()`` by name; they can be swapped for those of another day.
    threat : (state, year) risk in the theatres that a state is exposed to, or None.
    """
    n = data["n_printed"]
    growth_mean = draw("growth_mean")
    printed = data["printed"]
    weight = printed / pt.maximum(printed.sum(axis=1, keepdims=True), 1.0)
    noise = draw("growth_noise")
    level = growth_mean[:, None] + (draw("growth_drift") * noise)[:, None] * _walk(
        "growth_level_innovation", weight, pt.ones(len(sp.states))
    )
    memory = np.full(len(sp.states), draw.constant("growth_noise_memory"))
    quiet = _walk("growth_scale_innovation", weight, pt.constant(memory))
    scale = noise[:, None] * pt.exp(draw("growth_noise_step") * quiet)
    pm.Deterministic("growth_level", level, dims=("state", "spending_year"))
    pm.Deterministic("growth_scale", scale, dims=("state", "spending_year"))
    revision_scale = draw("revision_scale") * draw("revision_state")
    revision = _revisions(data, revision_scale, draw)

    persistence, reaction, df = draw("growth_persistence"), draw("reaction"), draw.constant("growth_df")
    push = draw("gdp_slope") * data["gdp"]
    if threat is not None:
        push = push + draw("threat_slope")[:, None] * threat

    growth = data["growth"] + (1.0 - printed) * level + data["newest"] * revision[:, None]
    gap = growth - level
    rivals = pt.dot(data["rivals"], gap)
    step = persistence[:, None] * gap + reaction * rivals + push
    error = growth[:, 1:] - level[:, 1:] - step[:, :-1]
    both = printed[:, 1:] * printed[:, :-1]
    pm.Potential("growth_steps", student_t_sum(error, scale[:, 1:], df, both))

    innovation = mixed_t("growth", df, ("state", "year_ahead"))
    columns, last = [], gap[:, n - 1]
    for k in range(YEARS_AHEAD):
        drawn = persistence * last + reaction * pt.dot(data["rivals"], last) + push[:, n + k - 1]
        last = drawn + scale[:, n + k] * innovation[:, k]
        columns.append(level[:, n + k] + last)
    forward = pm.Deterministic("growth", pt.stack(columns, axis=1), dims=("state", "year_ahead"))
    ahead = mixed_t("forward_revision", draw.constant("revision_df"), ("state", "year_ahead"))
    first_print = forward - data["revisable"] * revision_scale[:, None] * ahead
    pm.Deterministic("first_print", first_print, dims=("state", "year_ahead"))
    _announcements(data, first_print, scale / noise[:, None], draw)


def _walk(name: str, weight: Any, memory: Any) -> Any:
    """(state, year) walk of standard normal steps, with mean zero over the printed years."""
    steps = pm.Normal(name, 0.0, 1.0, dims=("state", "spending_year"))
    walk = ar_filter(steps, memory)
    return walk - (weight * walk).sum(axis=1, keepdims=True)


def _revisions(data: dict[str, Any], scale: Any, draw: Draw) -> Any:
    """Revision still to come of the newest printed year, (state,), in points.

    First revisions are Student-t with a scale by state. Later ones are rare; their chance by age and
    their size are learned here for the forecast of prints. What was cut from a later release has its
    revisions behind it.
    """
    df = draw.constant("revision_df")
    seen = student_t_sum(data["revision_step"], scale[data["revision_state"]], df)
    pm.Potential("first_revisions", seen)

    chance, size = draw("late_revision_chance"), draw("late_revision_size")
    quiet = data["late_trials"] - data["late_changed"]
    late = data["late_changed"] * pt.log(chance) + quiet * pt.log1p(-chance)
    pm.Potential("late_revisions", late.sum())
    pm.Potential("late_sizes", student_t_rows(data["late_size"], size, df).sum())

    newest = mixed_t("revision", df, ("state",))
    return pm.Deterministic("revision", data["revisable"] * newest * scale, dims="state")


def _announcements(data: dict[str, Any], first_print: Any, unrest: Any, draw: Draw) -> None:
    """Announced growth less expected inflation as a reading of the first print.

    Budgets of the year, and programmes of several years for years whose budget is still to come. What a
    programme says years ahead misses by more where a state's growth has come to surprise more.

    Parameters
    ----------
    unrest : (state, year) scale of a year's surprises as a multiple of the state's usual one.
    """
    for kind in ("budget", "programme"):
        rows = {name: data[f"{kind}_{name}"] for name in ("state", "slot", "ahead", "first_print", "value")}
        state = rows["state"]
        target = pt.switch(rows["ahead"], first_print[state, rows["slot"]], rows["first_print"])
        error = rows["value"] - target - draw(f"{kind}_bias")[state]
        scale = draw(f"{kind}_noise")[state]
        if kind == "budget":
            scale = pt.sqrt((scale * (1.0 + data["budget_doubt"])) ** 2 + data["budget_half_width"] ** 2)
        else:
            scale = scale * unrest[state, data["programme_year"]]
        pm.Potential(f"{kind}s", student_t_sum(error, scale, draw.constant("announcement_df")))
