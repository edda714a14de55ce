"""A linear pool of forecasts of force, with weights that earlier outcomes have earned.

The weights maximise the log score of the pool, for which the problem is concave and expectation
maximisation climbs without steps to choose; equal weights stand in the prior (Hall and Mitchell 2007;
Geweke and Amisano 2011).
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_cases import CASE, CLIP, FIRST_ORIGIN
from escalation_forecast.store import data_root

FILE: Final = "ladder_pool.toml"
METHOD: Final = "pool"
COMPONENTS: Final = ("joint_model", "dyad_history", "clim_theatre", "decay12", "logit_lags")
# The decaying mean is shrunk to climatology, which would count twice beside it.
POOLED: Final = ("joint_model", "dyad_history", "decay12", "logit_lags")
FIRST_YEARS: Final = 3  # of equal weights
PRIOR_CASES: Final = 10.0  # cases by which each component is given an equal share beforehand
STEPS: Final = 500


@dataclass(frozen=True)
class Pool:
    """Weights by horizon, and where they come from.

    Attributes
    ----------
    weights : pandas.DataFrame
        Rows are horizons in months, columns components; not negative, each row adds to one.
    provenance : dict
        Origins, cases, scores and date, as in the file.
    """

    weights: pd.DataFrame
    provenance: dict[str, Any]

    def apply(self, probabilities: pd.DataFrame) -> pd.DataFrame:
        """Pooled probability of each case.

        Parameters
        ----------
        probabilities : theatre, origin, horizon, method, p, with every component of the pool; horizons
            between those of the weights take the weights of the nearest one.

        Raises
        ------
        DataError
            When a component is missing.
        """
        wide = _wide(probabilities, tuple(self.weights.columns))
        horizon = wide.index.get_level_values("horizon").to_numpy()
        known = self.weights.index.to_numpy()
        nearest = np.abs(horizon[:, None] - known[None, :]).argmin(axis=1)
        p = (wide.to_numpy() * self.weights.to_numpy()[nearest]).sum(axis=1)
        return wide.index.to_frame(index=False).assign(method=METHOD, p=p)


def live_pool(components: pd.DataFrame, pool: Pool) -> pd.DataFrame:
    """The pooled chance of force from the components of a live forecast.

    Parameters
    ----------
    components : theatre, method, horizon, probability, as from `ladder_baselines.live_components`,
        `ladder_history.live_history` and, under the method ``joint_model``, the forecast's own ladder.

    Returns
    -------
    pandas.DataFrame
        theatre, horizon, probability.

    Raises
    ------
    DataError
        When a component of the pool is missing.
    """
    found = pool.apply(components.rename(columns={"probability": "p"}).assign(origin=pd.Timestamp(0)))
    return found.rename(columns={"p": "probability"})[["theatre", "horizon", "probability"]]


def pool_weights(p: np.ndarray, y: np.ndarray, case_weight: np.ndarray | None = None) -> np.ndarray:
    """Weights of a linear pool by its penalised log score.

    Parameters
    ----------
    p : (case, component) probabilities.
    y : (case,) 0 or 1.
    case_weight : (case,); windows that overlap say less than one each.

    Returns
    -------
    numpy.ndarray
        (component,), not negative, sum one; equal without a case.
    """
    n = p.shape[1]
    weights = np.full(n, 1.0 / n)
    case = np.ones(len(y)) if case_weight is None else case_weight
    clipped = np.clip(p, *CLIP)
    given = np.where(y[:, None] == 1, clipped, 1.0 - clipped)
    for _ in range(STEPS):
        shares = given * weights
        credit = (case[:, None] * shares / shares.sum(axis=1, keepdims=True)).sum(axis=0) + PRIOR_CASES
        before, weights = weights, credit / credit.sum()
        if np.abs(weights - before).max() < 1e-9:
            break
    return weights


def prequential_pool(
    probabilities: pd.DataFrame, truth: pd.DataFrame, components: Sequence[str] = COMPONENTS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pool at each origin with the weights earned on windows complete at that origin.

    Equal weights for the first three years of origins.

    Parameters
    ----------
    probabilities : theatre, origin, horizon, method, p.
    truth : theatre, origin, horizon, y.

    Returns
    -------
    pooled : theatre, origin, horizon, method, p.
    weights : origin, horizon and a column by component.
    """
    wide = _wide(probabilities, components)
    y = truth.set_index(list(CASE))["y"].reindex(wide.index).to_numpy()
    cases = wide.index.to_frame(index=False)
    pooled, weights = [], []
    for horizon, of_horizon in cases.groupby("horizon"):
        p, outcome = wide.to_numpy()[of_horizon.index], y[of_horizon.index]
        at = of_horizon["origin"]
        for origin in sorted(at.unique()):
            done = (at + pd.DateOffset(months=int(str(horizon))) <= origin).to_numpy() & np.isfinite(outcome)
            if origin < FIRST_ORIGIN + pd.DateOffset(years=FIRST_YEARS):
                done[:] = False
            w = pool_weights(p[done], outcome[done], np.full(done.sum(), 1.0 / float(str(horizon))))
            here = (at == origin).to_numpy()
            pooled.append(of_horizon[here].assign(method=METHOD, p=p[here] @ w))
            weights.append({"origin": origin, "horizon": horizon, **dict(zip(components, w, strict=True))})
    return pd.concat(pooled, ignore_index=True), pd.DataFrame(weights)


def final_pool(
    probabilities: pd.DataFrame,
    truth: pd.DataFrame,
    components: Sequence[str] = COMPONENTS,
    provenance: dict[str, Any] | None = None,
) -> Pool:
    """Weights from every case with an outcome, for forecasts from now on."""
    wide = _wide(probabilities, components)
    y = truth.set_index(list(CASE))["y"].reindex(wide.index)
    wide, y = wide[y.notna()], y.dropna()
    horizon = wide.index.get_level_values("horizon")
    rows = {
        int(h): pool_weights(
            wide[horizon == h].to_numpy(), y[horizon == h].to_numpy(), np.full((horizon == h).sum(), 1.0 / h)
        )
        for h in sorted(horizon.unique())
    }
    weights = pd.DataFrame.from_dict(rows, orient="index", columns=list(components)).rename_axis("horizon")
    origin = wide.index.get_level_values("origin")
    found = {
        "first_origin": f"{origin.min():%Y-%m}",
        "last_origin": f"{origin.max():%Y-%m}",
        "origins": int(origin.nunique()),
        "cases": len(wide),
        "fitted_on": dt.date.today().isoformat(),
    }
    return Pool(weights, found | (provenance or {}))


def _wide(probabilities: pd.DataFrame, components: Sequence[str]) -> pd.DataFrame:
    missing = sorted({*components} - {*probabilities["method"]})
    if missing:
        raise DataError(
            f"The pool needs forecasts of {', '.join(missing)}; add them, or pool fewer components."
        )
    wide = probabilities.pivot(index=list(CASE), columns="method", values="p")[list(components)]
    return wide.dropna().sort_index(level=["horizon", "origin", "theatre"])


def write_pool(pool: Pool, path: Path | None = None) -> Path:
    """Write the weights as TOML, by default where `load_pool` reads them."""
    path = path or data_root() / FILE
    lines = [
        "# Weights of the pool of forecasts of force on the ladder, by horizon in months.",
        "[provenance]",
    ]
    lines += [f"{name} = {_toml(value)}" for name, value in pool.provenance.items()]
    for horizon, row in pool.weights.iterrows():
        # The last weight takes up the rounding, so that what is read adds to one.
        rounded = [round(float(value), 4) for value in row]
        rounded[-1] = round(1.0 - sum(rounded[:-1]), 4)
        lines += ["", f"[weights.{horizon}]"]
        lines += [f"{name} = {value:.4f}" for name, value in zip(pool.weights.columns, rounded, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def load_pool(path: Path | None = None) -> Pool:
    """Read and check the weights.

    Raises
    ------
    DataError
        Naming the file, the horizon and the remedy.
    """
    path = path or data_root() / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"There is no {path.name} in {path.parent}; make it with the backtest of the ladder."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path.name} is not TOML ({error}); correct that line.") from None
    table = content.get("weights", {})
    names = list(next(iter(table.values()), {}))
    for horizon, row in table.items():
        values = list(row.values())
        if not horizon.isdecimal() or int(horizon) < 1:
            raise DataError(f"{path.name}: horizon {horizon} is not a number of months; correct it.")
        if list(row) != names:
            raise DataError(f"{path.name}: the horizons have different components; give each the same ones.")
        if not all(isinstance(v, int | float) and v >= 0 for v in values) or abs(sum(values) - 1.0) > 1e-6:
            raise DataError(
                f"{path.name}: the weights at {horizon} months are negative or do not add to one; "
                "correct them."
            )
    if not names:
        raise DataError(f"{path.name} has no weights; add a table such as [weights.12].")
    weights = pd.DataFrame.from_dict(
        {int(h): row for h, row in table.items()}, orient="index", columns=names, dtype=float
    )
    return Pool(weights.rename_axis("horizon").sort_index(), content.get("provenance", {}))
