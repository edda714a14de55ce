"""Yearly onset of a dispute, of one with use of force and of one with deaths, by dyad.

A year's chance has era intercepts, smooth terms in the years of peace and in the recent onsets (after Beck,
Katz and Tucker 1998 and Carter and Signorino 2010), borders and major powers, times an effect of the dyad
from a gamma distribution (Hausman, Hall and Griliches 1984). The likelihood is that of Poisson counts,
which is right in the mean for a yes or no (Zou 2004) and close to a logit at chances of a few per cent; but
the effects of two thousand dyads integrate out in closed form, where sampling them beside a logit took
minutes and did not mix. Above a chance of about a fifth the intervals come out too wide. Covariates are
taken in bands, so that years of a dyad that look alike make one row.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from escalation_forecast.history.sampling import sample_small

ERAS: Final[dict[str, int]] = {"1816-1945": 1816, "1946-1990": 1946, "1991-": 1991}
# First year of each band of the years of peace, and first number of each band of recent onsets.
PEACE_BANDS: Final = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90)
RECENT_BANDS: Final = (0, 1, 2, 3, 4, 6)
PEACE_TERMS: Final = 3
RECENT_TERMS: Final = 2
STRUCTURE: Final = ("land", "sea", "one_major", "two_majors", "land_and_major", "ever")
# What each event's memory is made of. Since 2015 only months of force are coded, so the counts behind
# the two hazards that are carried forward are of force.
MEMORY: Final[dict[str, tuple[str, str]]] = {
    "any": ("peace_any", "recent_any"),
    "force": ("peace_force", "recent_force"),
    "fatal": ("peace_fatal", "recent_force"),
}
FEATURES: Final = ["era", "peace", "recent", *STRUCTURE]
KEPT_DRAWS: Final = 1000
HIGHEST: Final = 0.95


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class OnsetFit:
    """Posterior of the onset model of one event.

    Attributes
    ----------
    cells : what it was fitted to, as `cells_of`.
    last_era : number of the era whose intercept holds for all later years.
    """

    event: str
    cells: pd.DataFrame
    posterior: xr.Dataset
    diagnostics: dict[str, float]

    @property
    def last_era(self) -> int:
        return int(self.cells["era"].max())

    @property
    def rows(self) -> int:
        """Dyad-years."""
        return int(self.cells["years"].sum())

    @property
    def events(self) -> int:
        """Onsets."""
        return int(self.cells["onsets"].sum())

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.diagnostics.items())
        return (
            f"<OnsetFit {self.event}: {self.events:,} onsets in {self.rows:,} dyad-years "
            f"({len(self.cells):,} rows), {numbers}>"
        )


def features(frame: pd.DataFrame, event: str) -> pd.DataFrame:
    """Bands and flags of dyad-years: era, peace, recent (band numbers) and `STRUCTURE` (0 or 1)."""
    peace, recent = MEMORY[event]
    majors = frame["majors"]
    found = {
        "era": _band(frame["year"], tuple(ERAS.values())),
        "peace": _band(frame[peace], PEACE_BANDS),
        "recent": _band(frame[recent], RECENT_BANDS),
        "land": frame["land"],
        "sea": frame["sea"],
        "one_major": (majors == 1).astype("int64"),
        "two_majors": (majors == 2).astype("int64"),
        "land_and_major": frame["land"] * (majors > 0),
        "ever": frame["ever_any"],
    }
    return pd.DataFrame(found, index=frame.index)


def _band(values: pd.Series, starts: tuple[int, ...]) -> np.ndarray:
    band: np.ndarray = np.searchsorted(starts, values.to_numpy(), side="right") - 1
    return band


def smooth_basis(starts: tuple[int, ...], terms: int) -> np.ndarray:
    """Orthogonal polynomials in the log of one plus the band's middle, (band, term), unit variance."""
    ends = (*starts[1:], starts[-1] * 1.3 + 1)
    middle = np.array([np.log1p(np.arange(low, high)).mean() for low, high in zip(starts, ends, strict=True)])
    powers = np.vander(middle - middle.mean(), terms + 1, increasing=True)
    basis = np.linalg.qr(powers)[0][:, 1:] * np.sqrt(len(starts))
    signed: np.ndarray = basis * np.sign(basis[-1])
    return signed


def cells_of(frame: pd.DataFrame, event: str) -> pd.DataFrame:
    """Dyad-years counted by dyad and `features`: columns a, b, those, years and onsets."""
    keyed = features(frame, event).assign(a=frame["a"], b=frame["b"], onset=frame[event])
    return (
        keyed.groupby(["a", "b", *FEATURES], sort=True)["onset"].agg(years="size", onsets="sum").reset_index()
    )


def onset_model(cells: pd.DataFrame) -> pm.Model:
    """The model of `cells_of`, the effects of the dyads integrated out."""
    dyad, n_dyads = _numbered(cells[["a", "b"]])
    # The rate is worked out once for every pattern of covariates and then handed to the rows.
    pattern, n_patterns = _numbered(cells[FEATURES])
    x = cells[FEATURES].drop_duplicates().reset_index(drop=True)
    first = int(x["era"].min())
    coords = {
        "era": list(ERAS)[first : int(x["era"].max()) + 1],
        "peace_term": range(PEACE_TERMS),
        "recent_term": range(RECENT_TERMS),
        "structure_term": STRUCTURE,
    }
    years, onsets = cells["years"].to_numpy(float), cells["onsets"].to_numpy(float)
    totals = np.bincount(dyad, onsets, n_dyads)
    numbers, times = np.unique(totals, return_counts=True)
    with pm.Model(coords=coords) as model:
        level = pm.Normal("level", -4.5, 1.5)
        # Centred: an era has hundreds of onsets.
        era_sd = pm.LogNormal("era_sd", -1.0, 0.5)
        era = pm.Normal("era_level", level, era_sd, dims="era")
        peace = pm.Normal("peace", 0, 1, dims="peace_term")
        recent = pm.Normal("recent", 0, 0.7, dims="recent_term")
        structure = pm.Normal("structure", 0, 1, dims="structure_term")
        # Standard deviation of the factor by which dyads differ; its mean is one.
        dyad_sd = pm.LogNormal("dyad_sd", -0.4, 0.5)
        size = dyad_sd**-2
        log_rate = era[x["era"].to_numpy() - first]
        log_rate += _curve(peace, PEACE_BANDS, PEACE_TERMS)[x["peace"].to_numpy()]
        log_rate += _curve(recent, RECENT_BANDS, RECENT_TERMS)[x["recent"].to_numpy()]
        for position, name in enumerate(STRUCTURE):
            log_rate += structure[position] * x[name].to_numpy(float)
        expected = pt.zeros(n_dyads)[dyad].inc(years * pt.exp(log_rate)[pattern])
        happened = (np.bincount(pattern, onsets, n_patterns) * log_rate).sum()
        pm.Potential("onsets", happened - ((totals + size) * pt.log(expected + size)).sum())
        constant = (times * pt.gammaln(numbers + size)).sum()
        pm.Potential("effects", constant + n_dyads * (size * pt.log(size) - pt.gammaln(size)))
    return model


def _numbered(keys: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Number of each row's key in the order in which keys appear, and how many there are."""
    number, found = pd.factorize(pd.MultiIndex.from_frame(keys))
    return number, len(found)


def _curve(slopes: pt.TensorVariable, starts: tuple[int, ...], terms: int) -> pt.TensorVariable:
    basis = smooth_basis(starts, terms)
    curve = slopes[0] * basis[:, 0]
    for term in range(1, terms):
        curve = curve + slopes[term] * basis[:, term]
    return curve


def fit_onset(frame: pd.DataFrame, event: str, *, seed: int = 1) -> OnsetFit:
    """Fit the onset of `event` (any, force or fatal) to the rows of `dyads.dyad_years`.

    Raises
    ------
    HistoryFitError
        When the sampler did not converge.
    """
    cells = cells_of(frame, event)
    posterior, diagnostics = sample_small(
        onset_model(cells), tune=700, draws=1500, seed=seed, target_accept=0.95
    )
    return OnsetFit(event, cells, posterior, diagnostics)


def chance_draws(fit: OnsetFit, frame: pd.DataFrame, *, seed: int = 1) -> np.ndarray:
    """Draws of the chance of an onset in the year, (row of `frame`, draw), at most `HIGHEST`.

    The effect of a dyad is drawn given its own history in the fit, that of an unseen dyad from all dyads;
    a year after the last era of the fit has that era's intercept.
    """
    kept = _kept(fit.posterior)
    pairs = pd.MultiIndex.from_frame(frame[["a", "b"]])
    wanted = pairs.unique()
    cells = fit.cells[pd.MultiIndex.from_frame(fit.cells[["a", "b"]]).isin(wanted)]
    place = wanted.get_indexer(pd.MultiIndex.from_frame(cells[["a", "b"]]))
    size = kept["dyad_sd"] ** -2
    expected = np.zeros((len(wanted), len(size)))
    np.add.at(expected, place, cells[["years"]].to_numpy(float) * _rate(fit, kept, cells))
    totals = np.bincount(place, cells["onsets"].to_numpy(float), len(wanted))[:, None]
    effects = np.random.default_rng(seed).gamma(totals + size) / (expected + size)
    rates = _rate(fit, kept, features(frame, fit.event)) * effects[wanted.get_indexer(pairs)]
    chance: np.ndarray = np.minimum(rates, HIGHEST)
    return chance


def _kept(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Evenly spaced draws of every variable, draws last."""
    stacked = posterior.stack(sample=("chain", "draw")).transpose(..., "sample")
    total = stacked.sizes["sample"]
    keep = np.linspace(0, total - 1, min(KEPT_DRAWS, total)).astype(int)
    return {str(name): array.values[..., keep] for name, array in stacked.data_vars.items()}


def _rate(fit: OnsetFit, kept: dict[str, np.ndarray], x: pd.DataFrame) -> np.ndarray:
    """Chance for a dyad of mean effect, (row of `x`, draw)."""
    first = fit.last_era + 1 - len(kept["era_level"])
    log_rate = kept["era_level"][np.clip(x["era"].to_numpy() - first, 0, fit.last_era - first)]
    log_rate = log_rate + (smooth_basis(PEACE_BANDS, PEACE_TERMS) @ kept["peace"])[x["peace"].to_numpy()]
    log_rate += (smooth_basis(RECENT_BANDS, RECENT_TERMS) @ kept["recent"])[x["recent"].to_numpy()]
    log_rate += x[list(STRUCTURE)].to_numpy(float) @ kept["structure"]
    rate: np.ndarray = np.exp(log_rate)
    return rate


def mean_probability(fit: OnsetFit, frame: pd.DataFrame, *, seed: int = 1) -> np.ndarray:
    """Posterior mean chance of an onset in the year, by row of `frame`."""
    pairs = frame["a"].to_numpy() * 1000 + frame["b"].to_numpy()
    order = np.argsort(pairs, kind="stable")
    result = np.empty(len(frame))
    for part in np.array_split(order, max(len(frame) // 5000, 1)):
        result[part] = chance_draws(fit, frame.iloc[part], seed=seed).mean(axis=1)
    return result
