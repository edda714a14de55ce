"""Folders of small finished runs, as the pipeline leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from escalation_forecast import archive

RUN = "0123456789abcdef"


def answer(name: str, probability: float | None = 0.25, **changes: Any) -> dict[str, Any]:
    """An entry of ``questions`` in a summary."""
    entry = {
        "id": name,
        "question": name.partition("/")[0],
        "target": name.partition("/")[2],
        "kind": "binary",
        "probability": probability,
        "mcse": 0.004,
        "ess": 4000.0,
        "r_hat": 1.001,
        "distribution": None,
        "prior_share": None,
        "base_rate": {"rate": 0.1, "events": 3, "trials": 30, "reference_class": "years 1992 to 2021"},
        "title": f"Whether {name} comes true",
        "resolves_on": "a named release",
        "note": "",
    }
    return entry | changes


def count(name: str, shares: dict[str, float]) -> dict[str, Any]:
    return answer(name, None, kind="count", distribution=shares)


def quantity(name: str, mean: float) -> dict[str, Any]:
    spread = {"low": mean - 2, "median": mean, "mean": mean, "high": mean + 2}
    return answer(name, None, kind="continuous", distribution=spread, base_rate=None)


DEFAULT = (answer("use-of-force/korea/12m"), answer("arms-race-regional/2026", 0.6))


def summary_of(run_id: str = RUN, answers: Sequence[Any] = DEFAULT, **changes: Any) -> dict[str, Any]:
    """Content of ``summary.json``; passed and published unless changed."""
    summary = {
        "run_id": run_id,
        "as_of": "2026-11-27",
        "created_at": "2026-11-27T03:39:14+00:00",
        "draft": False,
        "published": True,
        "horizon_months": 36,
        "seed": 1,
        "model_version": "3",
        "settings": {"draws": 2200, "tune": 300},
        "versions": {"python": "3.13.0"},
        "data": {"content_hash": "ab" * 32, "last_month": {"ladder_korea": "2026-08"}, "n_observations": 9},
        "priors_changed": [],
        "diagnostics": {"passed": True, "reasons": []},
        "questions": list(answers),
    }
    return summary | changes


def run_folder(out: Path, run_id: str = RUN, *, priors: str = "", **changes: Any) -> Path:
    """A finished run under ``out/<run id>/``."""
    folder = out / run_id
    folder.mkdir(parents=True)
    draws = np.linspace(0, 1, 8).reshape(2, 4)
    archive.write_posterior(
        {"posterior": xr.Dataset({"phi": (("chain", "draw"), draws)})}, folder / "posterior.nc"
    )
    (folder / "priors.toml").write_text(
        priors or '[priors.phi]\nfamily = "Beta"\nreason = "a"\n', encoding="utf-8"
    )
    (folder / "draws_theatres.parquet").write_bytes(b"PAR1")
    archive.write_summary(summary_of(run_id, **changes), folder)
    return folder
