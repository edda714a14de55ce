"""The spending block of the joint model, which also stands alone.

Its observations are data that can be swapped: one program serves every day, set of announcements and
ablation of the same states and calendar.
"""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from escalation_forecast.model_parts import Draw, mixed_t
from escalation_forecast.priors import Priors
from escalation_forecast.spending_kernel import (
    announcement_density,
    growth_step_density,
    late_size_density,
    revision_density,
    spending_paths,
)
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
    growth_mean = draw("growth_mean")
    states, ahead = ("state", "spending_year"), ("state", "year_ahead")
    noise = draw("growth_noise")
    drift = draw("growth_drift")
    level_steps = pm.Normal("growth_level_innovation", 0.0, 1.0, dims=states)
    scale_steps = pm.Normal("growth_scale_innovation", 0.0, 1.0, dims=states)
    step = draw("growth_noise_step")
    revision_scale = draw("revision_scale") * draw("revision_state")
    df = draw.constant("revision_df")
    newest = _seen_revisions(data, revision_scale, df, draw)

    persistence, reaction = draw("growth_persistence"), draw("reaction")
    push = draw("gdp_slope") * data["gdp"]
    if threat is not None:
        push = push + draw("threat_slope")[:, None] * threat
    growth_df = draw.constant("growth_df")
    innovation = mixed_t("growth", growth_df, ahead)
    forward_revision = mixed_t("forward_revision", df, ahead)
    level, scale, revision, forward, first_print, *_ = spending_paths(
        level_steps, scale_steps, innovation, forward_revision, newest, growth_mean, noise, drift, step,
        revision_scale, persistence, reaction, push, data["growth"], data["printed"], data["newest"],
        data["revisable"], data["rivals"], data["n_printed"], draw.constant("growth_noise_memory"),
    )  # fmt: skip
    level = pm.Deterministic("growth_level", level, dims=states)
    scale = pm.Deterministic("growth_scale", scale, dims=states)
    revision = pm.Deterministic("revision", revision, dims="state")
    pm.Deterministic("growth", forward, dims=ahead)
    first_print = pm.Deterministic("first_print", first_print, dims=ahead)
    steps = growth_step_density(
        level, scale, revision, persistence, reaction, push, data["growth"], data["printed"], data["newest"],
        data["rivals"], growth_df,
    )  # fmt: skip
    pm.Potential("growth_steps", steps[0])
    _announcements(data, first_print, scale, noise, draw)


def _seen_revisions(data: dict[str, Any], scale: Any, df: float, draw: Draw) -> Any:
    """Densities of the revisions seen; returns that to come of the newest print over its scale, (state,).

    First revisions are Student-t with a scale by state. Later ones are rare; their chance by age and
    their size are learned here for the forecast of prints. What was cut from a later release has its
    revisions behind it.
    """
    pm.Potential(
        "first_revisions", revision_density(scale, data["revision_state"], data["revision_step"], df)[0]
    )
    chance, size = draw("late_revision_chance"), draw("late_revision_size")
    quiet = data["late_trials"] - data["late_changed"]
    late = data["late_changed"] * pt.log(chance) + quiet * pt.log1p(-chance)
    pm.Potential("late_revisions", late.sum())
    pm.Potential("late_sizes", late_size_density(size, data["late_size"], df)[0])
    return mixed_t("revision", df, ("state",))


def _announcements(data: dict[str, Any], first_print: Any, scale: Any, noise: Any, draw: Draw) -> None:
    """Announced growth less expected inflation as a reading of the first print.

    Budgets of the year, and programmes of several years for years whose budget is still to come. What a
    programme says years ahead misses by more where a state's growth has come to surprise more: by the scale
    of that year's surprises as a multiple of the state's usual one.
    """
    for kind in ("budget", "programme"):
        rows = [data[f"{kind}_{name}"] for name in ("state", "slot", "ahead", "first_print", "value")]
        if kind == "budget":
            rest = [pt.full_like(rows[0], -1), data["budget_doubt"], data["budget_half_width"]]
        else:
            nothing = pt.zeros_like(rows[4])
            rest = [data["programme_year"], nothing, nothing]
        bias, own = draw(f"{kind}_bias"), draw(f"{kind}_noise")
        density = announcement_density(
            first_print, bias, own, scale, noise, *rows, *rest, draw.constant("announcement_df")
        )
        pm.Potential(f"{kind}s", density[0])
