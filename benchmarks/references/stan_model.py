"""Stan, if there is one: pystan in a Python that it was built for, by ``STAN_PYTHON`` or in `.venv-stan`.

pystan's compiled models do not load in Python 3.13, so it has an environment of its own (`stan_worker`) and
is spoken to by files.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.references.density import Density, Layout
from benchmarks.references.rows import CENTRED_MONTHS, MONTHS, rows_of, spending_tables
from escalation_forecast.model import model_coords
from escalation_forecast.panel import Panel
from escalation_forecast.prior_spec import bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import YEARS_AHEAD

HERE = Path(__file__).resolve().parent
SEED = 1
SPENDING = ("growth", "printed", "newest", "gdp", "weight", "exposure", "rivals")
_LAWS = {
    "Normal": ("normal", ("mu", "sigma")),
    "LogNormal": ("lognormal", ("mu", "sigma")),
    "HalfNormal": ("normal", ("zero", "sigma")),
    "Beta": ("beta", ("alpha", "beta")),
    "Gamma": ("gamma", ("alpha", "beta")),
    "StudentT": ("student_t", ("nu", "mu", "sigma")),
    "Exponential": ("exponential", ("lam",)),
}
_BOUNDS = {"real": "", "positive": "<lower=0>", "unit": "<lower=0, upper=1>"}


def stan_python() -> Path | None:
    """The Python that has pystan, or None."""
    named = os.environ.get("STAN_PYTHON")
    found = Path(named) if named else HERE.parents[1] / ".venv-stan" / "bin" / "python"
    return found if found.exists() else None


def stan_code(priors: Priors, layout: Layout) -> str:
    """The Stan program, with the parameters and priors of the program."""
    declared, given, stated = [], [], []
    for name in layout.names:
        shape = layout.shapes[name]
        bound = _BOUNDS[layout.kinds[name]]
        kind = ("real", "vector", "matrix")[len(shape)]
        size = f"[{', '.join(map(str, shape))}]" if shape else ""
        declared.append(f"{kind}{bound}{size} {name};")
    for name, spec in priors.items():
        own = name if name in layout.shapes else f"{name}_common"
        if own not in layout.shapes:
            continue
        law, keys = _LAWS[spec.family]
        shape = layout.shapes[own]
        kind = f"vector[{shape[0]}]" if shape else "real"
        given += [f"{kind} prior_{name}_{key};" for key in keys]
        stated.append(f"{own} ~ {law}({', '.join(f'prior_{name}_{key}' for key in keys)});")
        if own != name:
            low, high = bounds_of(spec.support, name)
            if spec.pooling != "partial" or np.isfinite(high) or low not in (0.0, -np.inf):
                raise ValueError(f"Stan's reference has no pooling like that of {name}")
            given.append(f"real prior_{name}_spread;")
            steps = f"prior_{name}_spread * {name}_innovation"
            moved = f"{own} * exp({steps})" if low == 0.0 else f"{own} + {steps}"
            stated.append(f"{name}_innovation ~ std_normal();")
            stated.insert(0, f"vector[{layout.shapes[f'{name}_innovation'][0]}] {name} = {moved};")
    text = (HERE / "model.stan").read_text()
    for part, lines in (("data", given), ("parameters", declared), ("model", stated)):
        text = text.replace(f"// PRIORS: {part}", "\n  ".join(lines))
    return text


def stan_data(panel: Panel, priors: Priors, layout: Layout) -> dict[str, Any]:
    """What the program reads; positions count from one there."""
    rows, data, spending, coords = rows_of(panel), panel.data, spending_tables(panel), model_coords(panel)
    years, months = len(panel.years), len(panel.months)
    n, width = rows.n_family, spending["growth"].shape
    before = np.zeros((years, years))
    np.add.at(before, (np.repeat(np.arange(years), 3), rows.before.ravel()), 1.0 / 3.0)
    lag = np.subtract.outer(np.arange(width[1]), np.arange(width[1]))
    order = np.argsort(data["ordinal_item"], kind="stable")
    ranked = data["ordinal_item"][order]
    theatres = np.arange(len(THEATRES))

    def constant(name: str) -> float:
        return float(priors[name].array("value"))

    scale = np.broadcast_to(priors["theatre_scale"].array("value"), len(THEATRES) - 1)
    if priors["spillover"].array("value").any():
        raise ValueError("Stan's reference has no spillovers")
    found = {
        "L": len(coords["latent"]), "T": months, "Y": years, "S": width[0], "W": width[1],
        "P": spending["n_printed"], "A": YEARS_AHEAD, "centred": CENTRED_MONTHS,
        "innovation_df": constant("innovation_df"), "slow_step": constant("slow_step"),
        "theatre_scale_full": np.concatenate([[1.0], scale]),
        "spread": np.tril(np.ones((years + 1,) * 2)).T @ rows.level_weights,
        "yearly_mean": np.kron(np.eye(years), np.full((MONTHS, 1), 1.0 / MONTHS)),
        "years_before": before.T,
        "n_items": len(rows.sign), **{f"n_{family}": count for family, count in n.items()},
        "memory_max": rows.memory, "anchor_first": rows.anchor_first + 1, "sign": rows.sign, "df": rows.df,
        "n_readings": len(data["reading_y"]), "reading_linked": data["reading_has_previous"],
        **_ones(data, "reading", ("item", "index", "index_previous")),
        "reading_y": data["reading_y"], "reading_y_previous": data["reading_y_previous"],
        "n_counted": len(rows.count_group), "count_log_mean": rows.count_log_mean,
        "count_group": rows.count_group + 1, "n_counts": len(data["count_y"]),
        **_ones(data, "count", ("item", "index", "index_previous")),
        "count_y": data["count_y"].astype(int), "count_trend_row": data["count_trend"],
        "count_log_exposure": data["count_log_exposure"], "count_linked": data["count_has_previous"],
        "count_log_rate_previous": data["count_log_rate_previous"],
        "n_shares": len(rows.share_k), "share_item": rows.share_item + 1, "share_index": rows.share_index + 1,
        "share_k": rows.share_k, "share_n": rows.share_n,
        "n_ranked": len(order), "ordinal_index": data["ordinal_index"][order] + 1,
        "ordinal_level": data["ordinal_level"][order] + 1,
        "ordinal_first": np.searchsorted(ranked, theatres) + 1,
        "ordinal_last": np.searchsorted(ranked, theatres, side="right"),
        "n_hurdles": len(data["hurdle_z"]), **_ones(data, "hurdle", ("item", "index")),
        "hurdle_z": data["hurdle_z"].astype(int),
        "n_stocks": len(coords["stock"]), "n_report_months": len(panel.stock_months),
        "stock_theatre": THEATRES.index("ukraine_nato") + 1, "n_reports": len(data["stock_low"]),
        "stock_miss": constant("stock_miss"), **_ones(data, "stock", ("stock", "month", "source")),
        "stock_low": data["stock_low"], "stock_high": data["stock_high"],
        **{name: spending[name] for name in SPENDING},
        "revisable": float(spending["revisable"]), "first_year": spending["first_year"],
        "later_years": spending["later_years"], "running": np.triu(np.ones((width[1],) * 2)),
        "fading": np.triu(constant("growth_noise_memory") ** np.maximum(-lag, 0).astype(float)),
        **{name: constant(name) for name in ("growth_df", "revision_df", "announcement_df")},
        "n_steps": len(spending["step_state"]), "step_state": spending["step_state"] + 1,
        "step_year": spending["step_year"] + 1,
        "step_growth": spending["growth"][:, 1:][spending["step_state"], spending["step_year"]],
        "n_revisions": len(spending["revision_step"]), "revision_of": spending["revision_state"] + 1,
        "revision_step": spending["revision_step"], "n_ages": len(spending["late_trials"]),
        **{f"late_{name}": spending[f"late_{name}"].astype(int) for name in ("trials", "changed")},
        "n_late": len(spending["late_size"]), "late_size": spending["late_size"],
    }  # fmt: skip
    for kind in ("budget", "programme"):
        found[f"n_{kind}s"] = len(spending[f"{kind}_value"])
        found[f"{kind}_of"] = spending[f"{kind}_state"] + 1
        found[f"{kind}_slot"] = spending[f"{kind}_slot"] + 1
        found[f"{kind}_ahead"] = spending[f"{kind}_ahead"].astype(float)
        for name in ("first_print", "value"):
            found[f"{kind}_{name}"] = np.nan_to_num(spending[f"{kind}_{name}"])
    found |= {f"budget_{name}": spending[f"budget_{name}"] for name in ("doubt", "half_width")}
    found["programme_year"] = spending["programme_year"] + 1
    for name, spec in priors.items():
        own = name if name in layout.shapes else f"{name}_common"
        if own in layout.shapes:
            for key in _LAWS[spec.family][1]:
                number = np.zeros(()) if key == "zero" else spec.array(key, coords)
                found[f"prior_{name}_{key}"] = np.broadcast_to(number, layout.shapes[own])
            if own != name:
                found[f"prior_{name}_spread"] = spec.spread
    return {name: np.asarray(value).tolist() for name, value in found.items()}


def _ones(data: dict[str, np.ndarray], block: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {f"{block}_{name}": data[f"{block}_{name}"] + 1 for name in names}


def _asked(panel: Panel, priors: Priors, layout: Layout, **wanted: Any) -> dict[str, np.ndarray]:
    """What the worker answers."""
    python = stan_python()
    if python is None:
        raise RuntimeError("no Python with pystan; name one in STAN_PYTHON")
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder) / "question.json", Path(folder) / "answer.npz"
        asked = {"code": stan_code(priors, layout), "data": stan_data(panel, priors, layout), "seed": SEED}
        question.write_text(json.dumps(asked | wanted))
        command = [str(python), "-W", "ignore", str(HERE / "stan_worker.py"), str(question), str(answer)]
        # httpstan keeps models here; a folder of its own, so that every build is a whole one.
        apart = os.environ | {"XDG_CACHE_HOME": folder}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=apart)
        if done.returncode:
            raise RuntimeError(f"Stan: {done.stderr.strip()[-2000:]}")
        with np.load(answer) as found:
            return dict(found)


def _turned(layout: Layout, vectors: np.ndarray, back: bool = False) -> np.ndarray:
    """Matrices by columns, as Stan lays them out, or ``back`` by rows."""
    order = np.arange(layout.size)
    places = layout.join({name: part.T for name, part in layout.split(order).items()}).astype(int)
    out = np.empty_like(vectors)
    if back:
        out[..., places] = vectors
    else:
        out = vectors[..., places]
    return out


def stan_density(panel: Panel, priors: Priors, layout: Layout, points: np.ndarray) -> Density:
    """The log density at the points given, which are sent to Stan at once."""
    found = _asked(panel, priors, layout, points=_turned(layout, points).tolist())
    slopes = _turned(layout, found["gradients"], back=True)
    known = {point.tobytes(): k for k, point in enumerate(points)}

    def density(vector: np.ndarray) -> tuple[float, np.ndarray]:
        k = known[vector.tobytes()]
        return float(found["values"][k]), slopes[k]

    return density


def stan_sample(
    panel: Panel, priors: Priors, layout: Layout, tune: int, draws: int, chains: int
) -> dict[str, Any]:
    """Draws by the names of the model, and what they cost, as in `samplers.Sampled`."""
    found = _asked(panel, priors, layout, tune=tune, draws=draws, chains=chains)
    parameters = {}
    for name in layout.names:
        values = found[f"draw_{name}"]  # (*shape, draw, chain)
        parameters[name] = np.moveaxis(values, (-1, -2), (0, 1))
    steps, seconds = found["n_steps"], float(found["seconds"])
    tuning, drawing = int(steps[:tune].sum()), int(steps[tune:].sum())
    share = drawing / (tuning + drawing)
    return {
        "parameters": parameters,
        "compile_seconds": float(found["build_seconds"]),
        "tune_seconds": seconds * (1.0 - share),
        "draw_seconds": seconds * share,
        "tune_gradients": tuning,
        "draw_gradients": drawing,
        "divergences": int(found["diverging"]),
    }
