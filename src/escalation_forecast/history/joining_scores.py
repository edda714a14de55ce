"""Scores of simple methods and of the hazard with war effects, each war predicted from all others.

The definitions of the simple methods are fixed; `REFERENCE` has their scores as computed once by
independent code, and `history check` prints both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import beta

from escalation_forecast.history.hazard import CENTRE_AGE, Array, Hazard, left_out, nodes, sequential
from escalation_forecast.history.tables import History
from escalation_forecast.history.wars import SETS, WINDOW, war_months, windows
from escalation_forecast.schema import DataError

BANDS: Final = ((0, 0), (1, 5), (6, 11), (12, 23), (24, None))
CLIP: Final = 1e-4
SHRINK_MONTHS: Final = 10.0
PENALTY: Final = {"month": 10.0, "window": 1.0}
HAZARD: Final = "hazard_war_effects"
END_INPUTS: Final = ("age",)

# Log scores of the definitions below from independent code: set -> method -> value.
REFERENCE: Final[dict[str, dict[str, float]]] = {
    "cow": {
        "constant": 0.11988, "age_band": 0.11890, "logit_logage": 0.11250, "logit_logage_nbel_maj": 0.10829,
    },
    "cow_1946": {
        "constant": 0.16696, "age_band": 0.16944, "logit_logage": 0.15828, "logit_logage_nbel_maj": 0.15195,
    },
    "mid5_1946": {
        "constant": 0.22546, "age_band": 0.22019, "logit_logage": 0.21510, "logit_logage_nbel_maj": 0.19579,
    },
    "mid5": {
        "constant": 0.23091, "age_band": 0.22713, "logit_logage": 0.22555, "logit_logage_nbel_maj": 0.20574,
    },
    "gml_1946": {
        "constant": 0.19301, "age_band": 0.17451, "logit_logage": 0.17113, "logit_logage_nbel_maj": 0.16078,
    },
}  # fmt: skip
REFERENCE_WINDOWS: Final[dict[str, dict[str, float]]] = {
    "cow": {"base_rate": 0.34301, "window_logit_logage_nbel_maj": 0.34870},
    "cow_1946": {"base_rate": 0.47681, "window_logit_logage_nbel_maj": 0.48215},
    "mid5_1946": {"base_rate": 0.58456, "window_logit_logage_nbel_maj": 0.51649},
    "gml_1946": {"base_rate": 0.52003, "window_logit_logage_nbel_maj": 0.46193},
}


def hazard_by_age(months: pd.DataFrame) -> pd.DataFrame:
    """Months, months with a joiner, their share and its 90 % interval (Jeffreys), by age of the war."""
    rows = []
    for first, last in BANDS:
        band = months[months["age"].between(first, np.inf if last is None else last)]
        n, k = len(band), int(band["joined"].sum())
        low, high = beta.ppf([0.05, 0.95], k + 0.5, n - k + 0.5)
        label = f"{first}+" if last is None else str(first) if first == last else f"{first}-{last}"
        rows.append((label, n, k, k / n, low, high))
    return pd.DataFrame(rows, columns=["age", "months", "events", "hazard", "low", "high"])


def log_score(y: Array, p: Array) -> Array:
    """Minus log of the probability given to what happened, clipped as in the reference."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(-np.where(y == 1, np.log(p), np.log1p(-p)))


# --- simple methods: chances (row,) with each war predicted from the others

Method = Callable[[pd.DataFrame, pd.DataFrame], Array]


def leave_one_out(rows: pd.DataFrame, method: Method) -> Array:
    """Chances by a method that takes training rows and rows to predict."""
    chances = np.zeros(len(rows))
    for war in rows["war"].unique():
        out = (rows["war"] == war).to_numpy()
        chances[out] = method(rows[~out], rows[out])
    return chances


def constant(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """(Events + 1/2) / (rows + 1) of the other wars."""
    return np.full(len(test), (train["joined"].sum() + 0.5) / (len(train) + 1))


def age_band(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """The share in the band of age, shrunk to the overall share by ten months."""
    edges = [first for first, _ in BANDS[1:]]
    band = np.digitize(train["age"], edges)
    n = np.bincount(band, minlength=len(BANDS))
    k = np.bincount(band, train["joined"], minlength=len(BANDS))
    rate = train["joined"].mean()
    shares = (k + SHRINK_MONTHS * rate) / (n + SHRINK_MONTHS)
    return np.asarray(shares[np.digitize(test["age"], edges)])


def logit(penalty: float, *, full: bool) -> Method:
    """scikit-learn's ridge logit on log(1 + age); `full` adds log participants and a great power."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise DataError(
            "The simple methods need scikit-learn, which is not installed; install "
            "`escalation-forecast[backtest]`."
        ) from error

    def inputs(rows: pd.DataFrame) -> Array:
        age = np.log1p(rows["age"].to_numpy(float))
        if not full:
            return age[:, None]
        number = np.log(np.maximum(rows["participants"].to_numpy(float), 2))
        return np.column_stack([age, number, rows["major"].to_numpy(float)])

    def method(train: pd.DataFrame, test: pd.DataFrame) -> Array:
        model = LogisticRegression(C=penalty, max_iter=1000).fit(inputs(train), train["joined"])
        return np.asarray(model.predict_proba(inputs(test))[:, 1])

    return method


# --- the hazard with war effects


@dataclasses.dataclass(frozen=True)
class Predicted:
    """Chances of the hazard with war effects, each war left out.

    Attributes
    ----------
    monthly : (month of war,), given the war's own earlier months.
    window : (origin,), of a joiner within twelve months, the war ending on the way or not.
    effective : smallest number of draws that the weights of a war are worth.
    """

    monthly: Array
    window: Array
    effective: float


def predict(months: pd.DataFrame, seed: int = 1, refit_below: float | None = None) -> Predicted:
    """Predict every war of a set from all others by the hazards of joining and of ending.

    In a window the participants stay as they are at its origin, and the months before the origin
    inform the war's effect.
    """
    joining = Hazard.of(months, "joined")
    ending = Hazard.of(months, "ends", END_INPUTS, effects=False)
    options: dict[str, Any] = {} if refit_below is None else {"refit_below": refit_below}
    origin = _origins(months)
    monthly = np.zeros(len(months))
    window = np.full(len(months), np.nan)
    effective = np.inf
    ends = left_out(ending, seed, **options)
    for (war, known), (_, ending_known) in zip(left_out(joining, seed, **options), ends, strict=True):
        rows = np.flatnonzero(joining.war == war)
        monthly[rows], joint = sequential(joining, war, known)
        effective = min(effective, known.effective)
        end_draw = ending_known.draws.T @ np.exp(ending_known.log_weights)
        for place, row in enumerate(rows):
            if origin[row]:
                window[row] = _window(joining, int(row), known.draws, joint[place], end_draw)
    return Predicted(monthly, window[origin], effective)


def _origins(months: pd.DataFrame) -> Any:
    marked = months.assign(row=np.arange(len(months)))
    chosen = np.zeros(len(months), dtype=bool)
    chosen[windows(marked)["row"].to_numpy()] = True
    return chosen


def _window(hazard: Hazard, row: int, draws: Array, log_weights: Array, end: Array) -> float:
    """Chance of a joiner in the months `row`, ..., `row` + 11, the war over after each with a hazard."""
    points, _ = nodes(hazard)
    ages = np.expm1(hazard.X[row, 1] + np.log1p(CENTRE_AGE)) + np.arange(WINDOW)
    log_age = np.log1p(ages) - np.log1p(CENTRE_AGE)
    fixed = draws[:, : hazard.n_coefficients] @ hazard.X[row] - draws[:, 1] * hazard.X[row, 1]
    effect = np.exp(draws[:, -1])[:, None] * points
    still, none = np.ones_like(effect), np.zeros_like(effect)
    for x in log_age:
        still = still * expit(-(fixed[:, None] + draws[:, 1, None] * x + effect))
        over = expit(end[0] + end[1] * x)
        none += still * over
        still = still * (1 - over)
    return float(1 - (np.exp(log_weights) * (none + still)).sum())


# --- tables


def hazard_tables(history: History) -> pd.DataFrame:
    """`hazard_by_age` of every set, with its key in the column set."""
    parts = [hazard_by_age(war_months(history, wars)).assign(set=name) for name, wars in SETS.items()]
    frame = pd.concat(parts, ignore_index=True)
    return frame[["set", *(name for name in frame.columns if name != "set")]]


def score_tables(
    history: History, names: tuple[str, ...] = tuple(SETS), seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean log scores by set and method, per month of war and per window of twelve months.

    Columns: set, method, score, reference, gain (over the constant rate, in all), gain_se (wars as
    units), lead (over the logit with age, participants and great power, in all), lead_se, cases, events,
    wars. The second table has the sets of `REFERENCE_WINDOWS`.
    """
    monthly: list[dict[str, Any]] = []
    window: list[dict[str, Any]] = []
    for name in names:
        months = war_months(history, SETS[name])
        ours = predict(months, seed)
        chances = {
            "constant": leave_one_out(months, constant),
            "age_band": leave_one_out(months, age_band),
            "logit_logage": leave_one_out(months, logit(PENALTY["month"], full=False)),
            "logit_logage_nbel_maj": leave_one_out(months, logit(PENALTY["month"], full=True)),
            HAZARD: ours.monthly,
        }
        monthly += _scored(name, months, chances, REFERENCE[name], "constant", "logit_logage_nbel_maj")
        if name not in REFERENCE_WINDOWS:
            continue
        origins, full = windows(months), "window_logit_logage_nbel_maj"
        chances = {
            "base_rate": leave_one_out(origins, constant),
            full: leave_one_out(origins, logit(PENALTY["window"], full=True)),
            HAZARD: ours.window,
        }
        window += _scored(name, origins, chances, REFERENCE_WINDOWS[name], "base_rate", full)
    return pd.DataFrame(monthly), pd.DataFrame(window)


def _scored(
    name: str,
    rows: pd.DataFrame,
    chances: dict[str, Array],
    reference: dict[str, float],
    base: str,
    rival: str,
) -> list[dict[str, Any]]:
    y, wars = rows["joined"].to_numpy(float), rows["war"]
    scores = {method: log_score(y, p) for method, p in chances.items()}

    def gain(method: str, over: str) -> tuple[float, float]:
        per_war = pd.Series(scores[over] - scores[method]).groupby(wars.to_numpy()).sum()
        return float(per_war.sum()), float(per_war.std(ddof=1) * np.sqrt(len(per_war)))

    table = []
    for method, score in scores.items():
        (total, se), (lead, lead_se) = gain(method, base), gain(method, rival)
        table.append(
            {
                "set": name, "method": method, "score": float(score.mean()),
                "reference": reference.get(method, np.nan), "gain": total, "gain_se": se,
                "lead": lead, "lead_se": lead_se, "cases": len(rows), "events": int(y.sum()),
                "wars": int(wars.nunique()),
            }
        )  # fmt: skip
    return table
