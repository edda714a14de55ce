"""Which state joins, given that one does: a conditional logit on the ties of the states that could.

The log weight of a state is the sum over its ties (McFadden 1974). Several joiners of one day choose
independently from the same states (Breslow's form). Joiners that the risk set does not hold, and wars
without a belligerent whose pacts are known, are left out and counted.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray

from escalation_forecast.history.sampling import sample_small
from escalation_forecast.history.tables import History
from escalation_forecast.history.ties import PACTS_COVER, TIES, ties
from escalation_forecast.history.wars import MONTH_DAYS, SETS, WarSet

# They hold many of the same wars, so each counts a third.
CODINGS: Final[tuple[WarSet, ...]] = (SETS["cow_1946"], SETS["mid5_1946"], SETS["gml_1946"])
TIE_SD: Final = 1.5
OTHER: Final = "other relevant"


@dataclasses.dataclass(frozen=True)
class Choices:
    """Joiners and the states that could have joined in their place.

    Attributes
    ----------
    ties : (event, alternative, tie), zero where there is no alternative.
    there : (event, alternative), whether there is one.
    chosen : (event,), index of the joiner.
    weight : (event,).
    covered, uncovered, outside : joiners used; in wars without known pacts; not in the risk set.
    """

    ties: NDArray[np.float64]
    there: NDArray[np.bool_]
    chosen: NDArray[np.intp]
    weight: NDArray[np.float64]
    covered: int
    uncovered: int
    outside: int


def choices(history: History, sets: tuple[WarSet, ...] = CODINGS) -> Choices:
    """The choice sets of the joiners in some codings, each coding with the same share of the weight."""
    found: list[tuple[pd.DataFrame, int, float]] = []
    uncovered = outside = 0
    for wars in sets:
        for day, joiner, belligerents in _joinings(history, wars):
            if not PACTS_COVER & set(belligerents):
                uncovered += 1
                continue
            frame = ties(history, day, belligerents)
            if joiner not in frame.index:
                outside += 1
                continue
            found.append((frame, int(np.flatnonzero(frame.index == joiner)[0]), 1 / len(sets)))
    width = max(len(frame) for frame, _, _ in found)
    x = np.zeros((len(found), width, len(TIES)))
    there = np.zeros((len(found), width), dtype=bool)
    for i, (frame, _, _) in enumerate(found):
        x[i, : len(frame)] = frame[list(TIES)].to_numpy(float)
        there[i, : len(frame)] = True
    chosen = np.array([place for _, place, _ in found], dtype=np.intp)
    weight = np.array([share for _, _, share in found])
    return Choices(x, there, chosen, weight, len(found), uncovered, outside)


def _joinings(history: History, wars: WarSet) -> list[tuple[pd.Timestamp, int, list[int]]]:
    """Day, joiner and the states in the war before that day, for each joiner of a set of wars."""
    table = history.wars[history.wars["coding"] == wars.coding]
    began = table.groupby("war")["entry"].transform("min").dt.year
    table = table[began.between(wars.first, wars.last) & ~table["war"].isin(wars.without)]
    events = []
    for _, rows in table.groupby("war"):
        for day, state in rows.loc[rows["joiner"] == 1, ["entry", "state"]].itertuples(index=False):
            before = rows[(rows["entry"] < day) | (rows["originator"] == 1)]
            here = before[(before["exit"].isna() | (before["exit"] >= day)) & (before["state"] != state)]
            if len(here):
                events.append((day, int(state), sorted({int(code) for code in here["state"]})))
    return events


def model(data: Choices) -> pm.Model:
    """Conditional logit with normal priors on the log weights of the ties."""
    with pm.Model(coords={"tie": list(TIES)}) as built:
        weights = pm.Normal("joining_ties", 0.0, TIE_SD, dims="tie")
        score = pt.sum(data.ties * weights, axis=2)
        masked = pt.switch(data.there, score, -1e9)
        picked = masked[np.arange(len(data.chosen)), data.chosen]
        pm.Potential("choice", pt.sum(data.weight * (picked - pt.logsumexp(masked, axis=1))))
    return built


def fit_choice(history: History, seed: int = 1) -> tuple[xr.Dataset, dict[str, float], Choices]:
    """Posterior of `joining_ties` (chain, draw, tie), diagnostics of the sampler, and the choices."""
    data = choices(history)
    posterior, diagnostics = sample_small(model(data), seed=seed)
    return posterior, diagnostics, data


def shares(frame: pd.DataFrame, weights: NDArray[np.float64]) -> pd.Series[float]:
    """Chance of being the one that joins, by row of a table of ties; log weights as `TIES`."""
    score = frame[list(TIES)].to_numpy(float) @ weights
    score = np.exp(score - score.max())
    return pd.Series(score / score.sum(), index=frame.index, name="share")


def state_table(history: History, wars: WarSet) -> pd.DataFrame:
    """Joining by kind of tie: one case per relevant state and war, ties to the originators at the start.

    Columns: kind, pairs, joined, share, monthly (joiners per month that a state was at risk). Kinds
    exclude each other but `rivalry`, which counts every rival of an originator again. Wars without an
    originator whose pacts are known are left out.
    """
    table = history.wars[history.wars["coding"] == wars.coding]
    began = table.groupby("war")["entry"].transform("min").dt.year
    table = table[began.between(wars.first, wars.last)]
    cases = []
    for _, rows in table.groupby("war"):
        first, last = rows["entry"].min(), rows["exit"].max()
        begun = {int(state) for state in rows.loc[rows["originator"] == 1, "state"]}
        if not PACTS_COVER & begun:
            continue
        entries = rows[rows["joiner"] == 1].groupby("state")["entry"].min()
        frame = ties(history, first, begun)
        entry = entries.reindex(frame.index)
        out = entry.fillna(last)
        cases.append(
            frame.assign(
                joined=entry.notna(), months=(out - first).dt.days / MONTH_DAYS + 1, kind=_kind(frame)
            )
        )
    every = pd.concat(cases)
    rivals = every[every["rivalry"] == 1].assign(kind="rivalry")
    grouped = pd.concat([every, rivals]).groupby("kind")
    result = grouped.agg(pairs=("joined", "size"), joined=("joined", "sum"), months=("months", "sum"))
    result["share"] = result["joined"] / result["pairs"]
    result["monthly"] = result["joined"] / result["months"]
    return result.drop(columns="months").reset_index()


def _kind(frame: pd.DataFrame) -> NDArray[np.str_]:
    pact, land, major = (frame[name] == 1 for name in ("defence_pact", "land_border", "major_power"))
    kinds = [
        (major & pact, "major and pact"), (major, "major without pact"), (land & pact, "border and pact"),
        (land, "land border"), (pact, "defence pact"),
    ]  # fmt: skip
    return np.select([flag for flag, _ in kinds], [label for _, label in kinds], OTHER)
