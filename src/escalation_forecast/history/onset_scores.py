"""How well the onset of disputes is foretold: a temporal split, beside simple methods.

Trained on 1946-1990, tested on 1991 to the end of the coding, politically relevant dyad-years; rivalry is
not used, because it is coded with hindsight. scikit-learn (extra ``backtest``) does the plain logit and
the ranking scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.history.dyads import Coding, dyad_years, onsets
from escalation_forecast.history.onset import fit_onset, mean_probability
from escalation_forecast.history.tables import History
from escalation_forecast.history.today import continued_onsets, theatre_rows
from escalation_forecast.schema import DataError

TRAIN: Final = (1946, 1990)
EVENTS: Final = ("any", "force", "fatal")
METHODS: Final = ("base rate", "peace and recent", "model")
COLUMNS: Final = ("coding", "event", "method", "events", "dyad_years", "auc", "ap", "brier", "log_score")
# Scores of a logit on the disputes of Gibler, Miller and Little, tested on 1991-2010, as computed once by
# independent code on 35,123 dyad-years; there a fatal dispute is fatal to any of its parties.
BARS: Final = (
    ("any", "peace years and 10-year count", 0.845, 0.211, np.nan, np.nan),
    ("any", "full logit", 0.896, 0.236, 0.01443, 0.0601),
    ("any", "full logit with rivalry, refitted yearly", 0.904, 0.237, 0.01442, 0.0597),
    ("force", "peace years and 10-year count", 0.853, 0.148, np.nan, np.nan),
    ("force", "full logit", 0.893, 0.155, 0.00988, 0.0438),
    ("force", "full logit with rivalry, refitted yearly", 0.899, 0.158, 0.00986, 0.0434),
    ("fatal", "peace years and 10-year count", 0.854, 0.088, np.nan, np.nan),
    ("fatal", "full logit", 0.893, 0.093, 0.00457, 0.0227),
    ("fatal", "full logit with rivalry, refitted yearly", 0.901, 0.094, 0.00457, 0.0225),
)


def onset_scores(
    history: History,
    coding: Coding = "gml",
    events: tuple[str, ...] = EVENTS,
    *,
    dispute_wide: bool = False,
    seed: int = 1,
    tell: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Scores of `METHODS` on the test years.

    Parameters
    ----------
    dispute_wide : take as fatal what was fatal to any party of the dispute, as `BARS` do.
    tell : told what is being fitted.

    Returns
    -------
    DataFrame
        `COLUMNS`: area under the ROC curve, average precision, Brier score, log score (natural).

    Raises
    ------
    DataError
        When scikit-learn is not installed.
    """
    _need_sklearn()
    from sklearn.metrics import average_precision_score, roc_auc_score

    frame = dyad_years(history, coding)
    if dispute_wide:
        wide = onsets(history, coding)
        wide = wide[wide["dispute_fatality"] >= 1]
        hit = pd.MultiIndex.from_frame(frame[["year", "a", "b"]]).isin(
            pd.MultiIndex.from_frame(wide[["year", "a", "b"]])
        )
        frame = frame.assign(fatal=hit.astype("int64"))
    train = frame[frame["year"].between(*TRAIN)]
    test = frame[frame["year"] > TRAIN[1]]
    rows = []
    for event in events:
        if tell:
            tell(f"{coding}, {event}")
        forecasts = {
            "base rate": np.full(len(test), train[event].mean()),
            "peace and recent": _plain_logit(train, test, event),
            "model": mean_probability(fit_onset(train, event, seed=seed), test, seed=seed),
        }
        y = test[event].to_numpy()
        for method, p in forecasts.items():
            flat = np.ptp(p) == 0
            rows.append(
                {
                    "coding": coding, "event": event, "method": method,
                    "events": int(y.sum()), "dyad_years": len(y),
                    "auc": 0.5 if flat else float(roc_auc_score(y, p)),
                    "ap": float(average_precision_score(y, p)),
                    "brier": float(np.mean((p - y) ** 2)),
                    "log_score": float(-np.log(np.where(y == 1, p, 1 - p)).mean()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def bars() -> pd.DataFrame:
    """`BARS` as a table with the columns of `onset_scores`."""
    table = pd.DataFrame(BARS, columns=["event", "method", "auc", "ap", "brier", "log_score"])
    return table.assign(coding="gml").reindex(columns=list(COLUMNS))


def since_2015(history: History, logit: pd.Series[Any], last: int = 2025) -> pd.DataFrame:
    """Years with an onset of force 2015 to `last` by theatre: expected at the rates given, and coded.

    Parameters
    ----------
    logit : log odds of a year by dyad. They were made with the covariates of a later year, so this says
        whether their level is right, not how well they would have forecast.
    """
    dyads = theatre_rows(history, last + 1)[["theatre", "dyad", "a", "b"]]
    found = continued_onsets(history)
    found = found[(found["force"] == 1) & found["year"].between(2015, last)]
    begun = found[["year", "a", "b"]].drop_duplicates().merge(dyads, on=["a", "b"])
    expected = (1 / (1 + np.exp(-logit.reindex(dyads["dyad"])))).to_numpy() * (last - 2014)
    table = dyads.assign(expected=expected).groupby("theatre", sort=False)["expected"].sum().reset_index()
    coded = begun.groupby("theatre").size()
    return table.assign(coded=table["theatre"].map(coded).fillna(0).astype("int64"), years=f"2015-{last}")


def _need_sklearn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise DataError(
            "The scores need scikit-learn, which is not installed; run "
            "`pip install 'escalation-forecast[backtest]'`."
        ) from error


def _plain_logit(train: pd.DataFrame, test: pd.DataFrame, event: str) -> np.ndarray:
    """Chance by a logit on years of peace and number of disputes in ten years, squares included."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def inputs(frame: pd.DataFrame) -> np.ndarray:
        peace, recent = np.log1p(frame[f"peace_{event}"]), np.log1p(frame["recent_any"])
        return np.column_stack([peace, peace**2, recent, recent**2])

    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=1000))
    fitted.fit(inputs(train), train[event])
    chance: np.ndarray = fitted.predict_proba(inputs(test))[:, 1]
    return chance
