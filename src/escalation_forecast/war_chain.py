"""The chain from tension to war, and the chance that a state joins the war that goes on.

War is never regressed on the latent. Tension moves the ladder; a month with use of force may be
fatal; a fatal clash may become a war. The steps are learned from history (`history`), discounted by
`history_weight` and, where nuclear powers meet, by `nuclear_restraint`. Everything here is per draw
and rises with the latent, so the whole chain does.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from scipy.special import expit

from escalation_forecast.draws import prior_sample
from escalation_forecast.history.tables import History
from escalation_forecast.history.ties import candidates
from escalation_forecast.history.today import open_dyads
from escalation_forecast.history.wars import MONTH_DAYS
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES

Loosen = Literal["", "discount", "slope", "base"]

HISTORY: Final = (
    "dyad_force_logit",
    "dyad_fatal_logit",
    "fatal_given_force",
    "fatal_months_per_episode",
    "material_given_fatal",
    "war_given_fatal",
    "joining_logit",
    "joining_age",
    "joining_ties",
    "war_end_logit",
    "war_end_age",
)
LOOSENED: Final[dict[str, tuple[str, ...]]] = {
    "discount": ("nuclear_restraint",),
    "slope": ("war_slope", "joining_own", "joining_world"),
}
WIDER: Final = 2.0  # a loosened prior is so much wider; history loosened weighs so much less

JOINERS: Final = ("NATO", "USA", "CHN", "JPN", "KOR")
# Whose tension pulls a joiner in; NATO stands for the members other than the United States.
THEATRE_OF: Final[dict[str, str]] = {
    "NATO": "ukraine_nato", "USA": "ukraine_nato", "CHN": "taiwan", "JPN": "east_china_sea", "KOR": "korea",
}  # fmt: skip
NATO_DYAD: Final = "RUS-NATO"


@dataclass(frozen=True)
class ClashChain:
    """Steps from use of force to war by draw.

    Attributes
    ----------
    dyads, theatre : dyads and the position of each one's theatre.
    share : (draw, dyad), of the fatal clashes of a theatre; sums to one within it.
    fatal : (draw, theatre), chance that a month with use of force is fatal.
    opens : (draw,), chance that a month with a fatal clash is the first of its episode.
    material : (draw,), chance that a fatal clash costs 25 lives or more.
    war : (draw,), logit of the chance that a fatal clash becomes a war, at the mean risk of 1990-2014.
    slope : (draw,), change of that logit per unit of the latent.
    restraint : (draw, dyad), multiplier of that chance; 1 where not both sides have nuclear arms.
    """

    dyads: tuple[str, ...]
    theatre: np.ndarray
    share: np.ndarray
    fatal: np.ndarray
    opens: np.ndarray
    material: np.ndarray
    war: np.ndarray
    slope: np.ndarray
    restraint: np.ndarray

    def war_chance(self, dyad: np.ndarray, draw: np.ndarray, risk: np.ndarray) -> np.ndarray:
        """Chance that a fatal clash becomes a war, for arrays of dyads, draws and latent risk."""
        chance = expit(self.war[draw] + self.slope[draw] * risk) * self.restraint[draw, dyad]
        return np.asarray(np.minimum(chance, 1.0))


@dataclass(frozen=True)
class JoiningChain:
    """Hazard of joining the war that goes on by draw.

    Attributes
    ----------
    age : whole months of the war so far; the first month of the forecast is one older.
    logit, by_age : (draw,), logit of the monthly chance that any state joins at `reference_age`, and its
        change per unit of log(1 + age).
    end, end_by_age : (draw,), the same for the end of the war.
    share : (draw, joiner), expected share of the joiners named, before restraint.
    restrained : (draw, joiner), the same times the restraint where a nuclear power is opposed.
    own, world : (draw,), change of a joiner's log hazard per unit of its theatre's latent and of the
        global factor, from their means since the war began.
    since : (draw, latent), those means.
    """

    age: int
    reference_age: float
    logit: np.ndarray
    by_age: np.ndarray
    end: np.ndarray
    end_by_age: np.ndarray
    share: np.ndarray
    restrained: np.ndarray
    own: np.ndarray
    world: np.ndarray
    since: np.ndarray

    def anybody(self, months: int) -> np.ndarray:
        """Chance in each month ahead that some state joins while the war goes on, (draw, month)."""
        return np.asarray(expit(self.logit[:, None] + self.by_age[:, None] * self._aged(months)))

    def ends(self, months: int) -> np.ndarray:
        """Chance in each month ahead that the war ends, (draw, month)."""
        return np.asarray(expit(self.end[:, None] + self.end_by_age[:, None] * self._aged(months)))

    def joins(self, latents: np.ndarray) -> np.ndarray:
        """Chance in each month ahead that a joiner enters while the war goes on, (draw, joiner, month).

        Parameters
        ----------
        latents : (draw, latent, month) ahead, theatres and then the global factor.
        """
        moved = latents - self.since[:, :, None]
        theatre = [THEATRES.index(THEATRE_OF[name]) for name in JOINERS]
        pull = self.own[:, None, None] * moved[:, theatre] + (self.world[:, None] * moved[:, -1])[:, None]
        base = -np.log1p(-self.anybody(latents.shape[2]))[:, None] * self.restrained[:, :, None]
        # Beyond e^30 the chance is one to the last digit.
        return np.asarray(-np.expm1(-base * np.exp(np.minimum(pull, 30.0))))

    def _aged(self, months: int) -> np.ndarray:
        age = self.age + 1 + np.arange(months)
        return np.asarray(np.log1p(age) - np.log1p(self.reference_age))[None, :]


@dataclass(frozen=True)
class War:
    """The war that others may join: its name, first day and the states in it on a day."""

    start: pd.Timestamp
    belligerents: tuple[str, ...]


def ongoing_war(history: History, day: pd.Timestamp) -> War | None:
    """The Russia-Ukraine war with its belligerents on a day; None before it."""
    rows = history.wars[(history.wars["coding"] == "own") & (history.wars["entry"] <= day)]
    if rows.empty:
        return None
    return War(rows["entry"].min(), tuple(rows["iso3"]))


class PriorDraws:
    """Draws of the priors of the chain, the same numbers for a prior whatever is loosened elsewhere."""

    def __init__(self, priors: Priors, n: int, seed: int, loosen: Loosen = "") -> None:
        self.priors, self.n, self.seed, self.loosen = priors, n, seed, loosen
        self.power = float(priors["history_weight"].array("value"))
        if loosen == "base":
            self.power /= WIDER

    def __call__(self, name: str, coords: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        power = self.power if name in HISTORY else 1.0
        values = prior_sample(rng, self.priors[name], self.n, coords, power)
        if name in LOOSENED.get(self.loosen, ()):
            # Twice as wide on the log scale, about the same median.
            centre = np.median(values)
            values = centre * (values / centre) ** WIDER
        return values


def dyad_groups(history: History) -> dict[str, str]:
    """The dyad of the simulation by dyad of the theatres that is not at war: Russia's with NATO are one."""
    dyads = open_dyads(history)
    names = zip(dyads["dyad"], dyads["theatre"], strict=True)
    return {str(dyad): NATO_DYAD if theatre == "ukraine_nato" else str(dyad) for dyad, theatre in names}


def clash_chain(draws: PriorDraws, history: History, day: pd.Timestamp) -> ClashChain:
    """The steps for the dyads of the theatres; Russia's with members of NATO are one dyad."""
    dyads = open_dyads(history)
    labels = list(dyads["dyad"])
    deadly = expit(draws("dyad_fatal_logit", {"dyad": labels}))
    group = list(dyad_groups(history).values())
    names = tuple(dict.fromkeys(group))
    member = np.array([[name == label for label in group] for name in names], float)
    rate = deadly @ member.T
    theatre = np.array([THEATRES.index(dyads["theatre"].iloc[group.index(name)]) for name in names])
    total = np.stack([rate[:, theatre == k].sum(axis=1) for k in range(len(THEATRES))], axis=1)

    armed = set(history.nuclear.loc[history.nuclear["start"] <= day, "state"])
    sides = [set(dyads.iloc[group.index(name)][["state_a", "state_b"]]) for name in names]
    both = np.array([name == NATO_DYAD or side <= armed for name, side in zip(names, sides, strict=True)])
    restraint = np.where(both[None, :], draws("nuclear_restraint")[:, None], 1.0)
    chance = draws("war_given_fatal")
    return ClashChain(
        dyads=names,
        theatre=theatre,
        share=rate / total[:, theatre],
        fatal=draws("fatal_given_force", {"theatre": list(THEATRES)}),
        opens=1.0 / np.maximum(draws("fatal_months_per_episode"), 1.0),
        material=draws("material_given_fatal"),
        war=np.log(chance) - np.log1p(-chance),
        slope=draws("war_slope"),
        restraint=restraint,
    )


def joining_chain(
    draws: PriorDraws, history: History, war: War, day: pd.Timestamp, since: np.ndarray
) -> JoiningChain:
    """The hazard of joining on a day; `since` as in `JoiningChain`."""
    could = candidates(history, day, war.belligerents)
    ties = list(draws.priors["joining_ties"].labels["tie"])
    weight = np.exp(draws("joining_ties", {"tie": ties}) @ could[ties].to_numpy(float).T)
    share = weight / weight.sum(axis=1, keepdims=True)
    against = could["against_nuclear"].to_numpy(bool)
    restraint = np.where(against[None, :], draws("nuclear_restraint")[:, None], 1.0)
    nato = could["nato"].to_numpy(bool) & (could.index != "USA")
    groups = np.array([nato if name == "NATO" else could.index == name for name in JOINERS], float)
    age = int((day - war.start).days // MONTH_DAYS)
    return JoiningChain(
        age=age,
        reference_age=float(draws.priors["joining_reference_age"].array("value")),
        logit=draws("joining_logit"),
        by_age=draws("joining_age"),
        end=draws("war_end_logit"),
        end_by_age=draws("war_end_age"),
        share=share @ groups.T,
        restrained=(share * restraint) @ groups.T,
        own=draws("joining_own"),
        world=draws("joining_world"),
        since=since,
    )
