"""Whether places of true values are uniform, with the number of looks taken into account."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

TESTS: Final = ("order", "chi2", "kolmogorov", "tails")
BIN_SIZE: Final = 10  # places expected in a bin of the chi-squared test
MOST_BINS: Final = 20
TAIL: Final = 0.05  # of either end
EDGES: Final = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
# First part of a name -> block, for tables and figures; the first that fits.
BLOCKS: Final[dict[str, tuple[str, ...]]] = {
    "latents: parameters": ("phi", "global_share", "theatre_scale", "slow_step", "spillover"),
    "latents": ("eta", "centre", "last_path", "next_level"),
    "readings": ("anchor", "news", "annual", "transfer", "hurdle", "troop"),
    "counts, shares, stocks": ("count", "share", "stock", "log_stock"),
    "ladder": ("ladder",),
    "spending": (
        "growth", "threat", "reaction", "gdp", "revision", "late", "budget", "programme", "first_print",
    ),
}  # fmt: skip
PATH_BLOCKS: Final[dict[str, tuple[str, ...]]] = {
    "ahead: risk": ("risk", "global_risk"),
    "ahead: figures and ladder": ("ladder", "indicator", "us_troops", "transfers", "dprk"),
    "ahead: spending": ("growth",),
}


def block_of(group: str, quantity: str) -> str:
    """The block that a quantity belongs to."""
    if group in ("question", "density"):
        return {"question": "questions", "density": "log density"}[group]
    table = PATH_BLOCKS if group == "path" else BLOCKS
    return next((block for block, names in table.items() if quantity.startswith(names)), "other")


@dataclass(frozen=True)
class Places:
    """Places of every quantity in every fit.

    Attributes
    ----------
    pit : one row per fit, one column per quantity that varies in some fit; missing where a fit lacks it.
    blocks : by quantity.
    """

    pit: pd.DataFrame
    blocks: pd.Series

    @classmethod
    def of(cls, cases: pd.DataFrame) -> Places:
        varies = cases.groupby("quantity", sort=False)["tied"].transform("min") < 1.0
        cases = cases[varies]
        pit = cases.pivot(index="origin", columns="quantity", values="pit")
        pit = pit[list(dict.fromkeys(cases["quantity"]))]
        groups = cases.drop_duplicates("quantity").set_index("quantity")["group"]
        blocks = pd.Series({name: block_of(str(groups[name]), str(name)) for name in pit.columns})
        return cls(pit, blocks)


def uniformity(places: Places) -> pd.DataFrame:
    """Tests of uniformity, one row per quantity.

    Returns
    -------
    pandas.DataFrame
        block, n; p-values ``order`` (ArviZ's ``pot_c``, Tesso and Vehtari 2026), ``chi2``, ``kolmogorov``
        (exact) and ``tails`` (exact, of the number in the outer tenth); mean place and its distance from a
        half in standard errors; ``p``, the smallest times the number of tests; ``holm``, adjusted for the
        number of quantities.
    """
    orders = _orders(places.pit)
    rows = []
    for name in places.pit.columns:
        u = places.pit[name].dropna().to_numpy()
        found = {"order": orders[name], **exact_tests(u)}
        rows.append(
            {
                "quantity": name,
                "block": places.blocks[name],
                "n": len(u),
                **found,
                "mean": u.mean(),
                "z": (u.mean() - 0.5) * np.sqrt(12.0 * len(u)),
                "p": min(1.0, len(TESTS) * min(found.values())),
            }
        )
    table = pd.DataFrame(rows).set_index("quantity")
    table["holm"] = holm(table["p"].to_numpy())
    return table


def _orders(pit: pd.DataFrame) -> pd.Series:
    """ArviZ's test of every column."""
    from arviz_stats.base import array_stats

    return pd.Series(
        {name: float(array_stats.uniformity_test(pit[name].dropna().to_numpy())[0]) for name in pit.columns}
    )


def exact_tests(u: np.ndarray) -> dict[str, float]:
    """p-values that hold for any number of fits; chi-squared for many."""
    bins = int(np.clip(len(u) // BIN_SIZE, 2, MOST_BINS))
    counts = np.histogram(u, bins, (0.0, 1.0))[0]
    outer = int(np.sum((u < TAIL) | (u > 1.0 - TAIL)))
    return {
        "chi2": float(stats.chisquare(counts).pvalue),
        "kolmogorov": float(stats.kstest(u, "uniform", method="exact").pvalue),
        "tails": float(stats.binomtest(outer, len(u), 2.0 * TAIL).pvalue),
    }


def alarm(places: Places) -> float:
    """Chance that places of right draws have an exact test as bad as the worst one here; an upper bound.

    Holds for any number of fits and any dependence between quantities.
    """
    exact = [exact_tests(places.pit[name].dropna().to_numpy()) for name in places.pit.columns]
    p = [found[test] for found in exact for test in ("kolmogorov", "tails")]
    return float(min(1.0, len(p) * min(p)))


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for their number, whatever their dependence (Holm 1979)."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out


def by_block(table: pd.DataFrame) -> pd.DataFrame:
    """What the tests found, one row per block: quantities, the worst and its p-values, share below 0.05."""
    rows = []
    for block, own in table.groupby("block", sort=False):
        worst = own["p"].idxmin()
        rows.append(
            {
                "block": block,
                "quantities": len(own),
                "worst": worst,
                "p": own["p"].min(),
                "holm": own["holm"].min(),
                "below": float((own[list(TESTS)] < 0.05).to_numpy().mean()),
                "largest_z": float(own["z"].abs().max()),
            }
        )
    return pd.DataFrame(rows)


def bands(n: int, probability: float, simulations: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simultaneous band of the ECDF's difference from the diagonal: places, lower and upper end.

    Säilynoja, Bürkner and Vehtari (2022), by ArviZ.
    """
    from arviz_stats.ecdf_utils import ecdf_pit

    x, _, low, high = ecdf_pit(np.linspace(0.0, 1.0, n), probability, simulations)
    return x, low - x, high - x


@dataclass(frozen=True)
class Events:
    """Probabilities of questions against what happened, all of them together.

    Attributes
    ----------
    bias, bias_z : mean of outcome less probability, and in standard errors over fits.
    brier, brier_z : mean Brier score, and how far it is from what the probabilities expect of themselves
        (Spiegelhalter 1986).
    bins : by probability: n, mean probability, frequency, z.
    """

    n: int
    bias: float
    bias_z: float
    brier: float
    brier_z: float
    bins: pd.DataFrame


def events(cases: pd.DataFrame) -> Events:
    """Calibration of the probabilities; fits are independent, the questions of one fit are not.

    The outcome counts as one more draw: of L + 1 that are exchangeable each is a yes with the same chance, so
    that the share among them is calibrated for any L, where the share among L is only nearly so.
    """
    asked = cases[cases["probability"].notna()].copy()
    p, y, n = (asked[name].to_numpy(float) for name in ("probability", "outcome", "n_simulated"))
    q = (n * p + y) / (n + 1.0)
    asked["share"], asked["gap"], asked["excess"] = q, y - q, (y - q) * (1.0 - 2.0 * q)
    rows = []
    for low, high in pairwise(EDGES):
        own = asked[(q >= low) & ((q < high) | (high == 1.0))]
        if len(own):
            rows.append(
                {
                    "low": low,
                    "high": high,
                    "n": len(own),
                    "probability": float(own["share"].mean()),
                    "frequency": float(own["outcome"].mean()),
                    "z": _clustered(own, "gap"),
                }
            )
    return Events(
        n=len(asked),
        bias=float(asked["gap"].mean()),
        bias_z=_clustered(asked, "gap"),
        brier=float(((y - p) ** 2).mean()),
        brier_z=_clustered(asked, "excess"),
        bins=pd.DataFrame(rows),
    )


def _clustered(asked: pd.DataFrame, column: str) -> float:
    """Sum over everything in standard errors, with the sums of fits as what is independent."""
    sums = asked.groupby("origin")[column].sum().to_numpy()
    spread = float(np.sqrt((sums**2).sum()))
    return float(sums.sum() / spread) if spread > 0 else 0.0


def as_datatree(places: Places) -> xr.DataTree:
    """Places as ArviZ wants them for `arviz.plot_ecdf_pit`, group ``prior_sbc``."""
    found = {str(name): (("chain", "draw"), places.pit[[name]].dropna().to_numpy().T) for name in places.pit}
    return xr.DataTree.from_dict({"prior_sbc": xr.Dataset(found)})
