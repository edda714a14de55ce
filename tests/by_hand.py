"""What oracles of log densities share: Student-t without its constant, and the latent by calendar labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel

Point = dict[str, np.ndarray]


def t_logpdf(error: Any, scale: Any, df: float) -> Any:
    """Student-t log density less the constant of its degrees of freedom, which the model leaves out."""
    return stats.t.logpdf(error, df, scale=scale) - stats.t.logpdf(0.0, df)


def risk_by_month(at: Point, panel: Panel, latent: str) -> pd.Series:
    return pd.Series(at["eta"][LATENTS.index(latent)], index=panel.months)


def risk_by_year(at: Point, panel: Panel, latent: str) -> pd.Series:
    monthly = risk_by_month(at, panel, latent)
    return monthly.groupby(monthly.index.year).mean()
