"""What is measured, piece by piece; each runs in a process of its own and returns plain numbers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import least, once

# Between these days a month of all that comes monthly was published; a reforecast starts at the first's run.
EARLIER, LATER = "2026-01-27", "2026-02-27"
POINTS = 24


@dataclass(frozen=True)
class Wanted:
    """What a piece is given.

    Attributes
    ----------
    folder : for what pieces leave each other, such as runs.
    budget : seconds of sampling for each reference.
    """

    folder: Path
    budget: float = 180.0


def agreement(wanted: Wanted) -> dict[str, Any]:
    """Log densities and gradients of the references at random points; raises when one does not agree."""
    from benchmarks.references import density
    from benchmarks.setting import Setting

    setting = Setting()
    own = setting.program.as_pymc().density
    points = density.random_points(setting.layout, POINTS)
    found = {}
    for name, make in _densities(setting).items():
        found[name] = dataclasses.asdict(density.check(own, make(), points, name))
    if _has_stan():
        from benchmarks.references.stan_model import stan_density

        other = stan_density(setting.panel, setting.priors, setting.layout, points)
        found["c_stan"] = dataclasses.asdict(density.check(own, other, points, "c_stan"))
    return found


def _densities(setting: Any) -> dict[str, Callable[[], Any]]:
    from benchmarks.references import density

    def pymc() -> Any:
        return density.pymc_density(setting.model, setting.layout)

    def plain() -> Any:
        from benchmarks.references.plain_pymc import build_plain

        return density.pymc_density(build_plain(setting.panel, setting.priors), setting.layout)

    def numpyro() -> Any:
        import jax

        from benchmarks.references.numpyro_model import numpyro_density

        jax.config.update("jax_enable_x64", True)
        return numpyro_density(setting.panel, setting.priors, setting.layout)

    found = {"a_pymc": pymc, "d_plain": plain}
    if _has("numpyro"):
        found["b_numpyro"] = numpyro
    return found


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _has_stan() -> bool:
    from benchmarks.references.stan_model import stan_python

    return stan_python() is not None


def gradient(wanted: Wanted) -> dict[str, Any]:
    """Microseconds of one log density with its gradient, as each sampler calls it."""
    from benchmarks.references.density import random_points
    from benchmarks.setting import Setting

    setting = Setting()
    point = random_points(setting.layout, 3)[0]
    own = setting.program.density
    found = {"ours": 1e6 * least(lambda: own(point), number=50, repeats=60)}
    for name, make in _densities(setting).items():
        if name == "b_numpyro":
            found[name] = _inside_xla(setting, point)
        else:
            function = make()
            found[name] = 1e6 * least(lambda run=function: run(point), number=20, repeats=40)
    return {f"{name}_us": value for name, value in found.items()}


def _inside_xla(setting: Any, point: np.ndarray) -> float:
    """Many gradients in one call, as in NumPyro's trajectories: no way back to Python between them."""
    import jax

    from benchmarks.references.numpyro_model import log_density

    number = 200
    slope = jax.value_and_grad(log_density(setting.panel, setting.priors, setting.layout))

    @jax.jit
    def trajectory(x: Any, p: Any) -> Any:
        def step(_: Any, state: Any) -> Any:
            x, p = state
            return x + 1e-6 * p, p + 1e-6 * slope(x)[1]

        return jax.lax.fori_loop(0, number, step, (x, p))

    zero = np.zeros_like(point)
    return 1e6 * least(lambda: trajectory(point, zero)[0].block_until_ready(), repeats=15) / number


def _sampled(name: str) -> Callable[[Wanted], dict[str, Any]]:
    def piece(wanted: Wanted) -> dict[str, Any]:
        from benchmarks.samplers import run_sampler

        return run_sampler(name, wanted.budget)

    piece.__doc__ = f"Draws of `{name}`, what they cost and how many they are worth."
    return piece


def forecast_cold(wanted: Wanted) -> dict[str, Any]:
    """From nothing compiled to the printed forecast, as a newcomer has it."""
    with tempfile.TemporaryDirectory() as empty:
        return _forecast(wanted, None, {"PYTENSOR_FLAGS": f"base_compiledir={empty}"})


def forecast_warm(wanted: Wanted) -> dict[str, Any]:
    """The default forecast with the program on disk, in a folder without an earlier run."""
    with tempfile.TemporaryDirectory() as fresh:
        return _forecast(dataclasses.replace(wanted, folder=Path(fresh)), None, {})


def reforecast(wanted: Wanted) -> dict[str, Any]:
    """The forecast of a month with its new figures, started from the run of the month before."""
    import pandas as pd

    from escalation_forecast.panel import build_panel
    from escalation_forecast.pipeline import run_forecast
    from escalation_forecast.store import Store

    with tempfile.TemporaryDirectory() as fresh:
        runs = Path(fresh) / "runs"
        _forecast(dataclasses.replace(wanted, folder=Path(fresh)), EARLIER, {})
        before, store = (Store.embedded().as_of(day) for day in (EARLIER, LATER))
        new = [build_panel(one, pd.Timestamp(one.as_of_date)).n_observations for one in (before, store)]
        seconds, run = once(lambda: run_forecast(store, out=runs, start_from_last=True, progress=False))
    health = run.summary["diagnostics"]
    return {
        "seconds": seconds,
        "new_figures": new[1] - new[0],
        "started_from_an_earlier_run": run.summary.get("started_from") is not None,
        **{name: health[name] for name in ("compile_seconds", "sampling_seconds", "passed")},
    }


def _forecast(wanted: Wanted, day: str | None, environment: dict[str, str]) -> dict[str, Any]:
    """`escalation-forecast forecast` in a process of its own, with its peak of memory."""
    import os
    import resource

    from benchmarks.machine import peak_mb
    from benchmarks.setting import AS_OF

    out = wanted.folder / "runs"
    program = str(Path(sys.executable).with_name("escalation-forecast"))
    command = [program, "forecast", "--as-of", day or AS_OF]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--out", str(out)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no forecast")
    run = max(out.glob("*/summary.json"), key=lambda path: path.stat().st_mtime).parent
    health = json.loads((run / "summary.json").read_text())["diagnostics"]
    posterior = sum(path.stat().st_size for path in run.glob("posterior*"))
    return {
        "seconds": seconds,
        "compile_seconds": health["compile_seconds"],
        "sampling_seconds": health["sampling_seconds"],
        "passed": health["passed"],
        "ess_bulk_min": health["ess_bulk_min"]["value"],
        "peak_mb": peak_mb(resource.RUSAGE_CHILDREN),
        "posterior_mb": posterior / 1e6,
        "run_mb": sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) / 1e6,
    }


def workflow(wanted: Wanted) -> dict[str, Any]:
    """What one does with a finished run: another prior, all scenarios, the questions, the exports."""
    from benchmarks.setting import HORIZON, SEED, Setting
    from escalation_forecast import export
    from escalation_forecast.fit import diagnose
    from escalation_forecast.forecast import simulate
    from escalation_forecast.questions import evaluate, load_questions
    from escalation_forecast.scenario import Scenario, Scenarios, Step
    from escalation_forecast.update.updater import Updater

    setting = Setting()
    folder = newest_run(wanted, setting)
    found: dict[str, float] = {}
    found["prepare_run"], updater = once(lambda: Updater.of(folder))
    for name, alpha in (("prior_edit_first", 19.0), ("prior_edit", 17.0)):
        edited = setting.priors.replace({"phi_global": {"parameters": {"alpha": alpha, "beta": 2.0}}})
        found[name], _ = once(lambda priors=edited: updater.update(priors))
    found["prepare_scenarios"], study = once(lambda: Scenarios.of(updater))
    some = [Scenario(title=name, levers=(Step(lever=name),)) for name in list(study.book.levers)[:10]]
    found["ten_scenarios"], _ = once(lambda: [study.run(one, name=one.title) for one in some])
    posterior = updater.whole_posterior()
    found["simulate"], paths = once(lambda: simulate(setting.panel, posterior, setting.priors, HORIZON, SEED))
    questions = load_questions()
    found["evaluate"], answers = once(lambda: evaluate(questions, paths, setting.store))
    with updater.run.posterior as tree:
        stats = tree["sample_stats"].to_dataset().load()
    found["diagnose"], _ = once(lambda: diagnose(posterior, stats, paths, answers))
    with tempfile.TemporaryDirectory() as empty:
        for name, write in export.EXPORTS.items():
            found[f"export_{name}"], _ = once(lambda w=write, n=name: w(updater.run, Path(empty) / n))
    return {f"{name}_seconds": seconds for name, seconds in found.items()}


def newest_run(wanted: Wanted, setting: Any) -> Path:
    """The run of the default day that `forecast_cold` left, or a new one."""
    from escalation_forecast.pipeline import run_forecast

    runs = wanted.folder / "runs"
    for path in runs.glob("*/summary.json"):
        if json.loads(path.read_text())["as_of"] == setting.as_of:
            return path.parent
    return Path(run_forecast(setting.store, out=runs, progress=False).folder)


def backtest_cell(wanted: Wanted) -> dict[str, Any]:
    """One origin of the joint model's backtest: with the program's compilation, and with it in memory."""
    import pandas as pd

    from benchmarks.setting import Setting
    from escalation_forecast.score.tension_joint import joint_sampler
    from escalation_forecast.store import Store

    store = Store.embedded()
    priors = Setting().priors
    compile_seconds, forecast = once(lambda: joint_sampler(store, priors))
    first, _ = once(lambda: forecast(pd.Timestamp("2015-12-31"), 1))
    second, _ = once(lambda: forecast(pd.Timestamp("2019-12-31"), 1))
    return {"compile_seconds": compile_seconds, "first_seconds": first, "seconds": second}


def growth(wanted: Wanted) -> dict[str, Any]:
    """How costs grow with months, rows, states and draws."""
    from benchmarks.growth import measure

    return measure()


def parts(wanted: Wanted) -> dict[str, Any]:
    """pytest-benchmark's least time of each part of the gradient and of what follows a fit."""
    kept = wanted.folder / "parts.json"
    here = Path(__file__).resolve().parent
    command = [sys.executable, "-m", "pytest", str(here / "parts"), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--benchmark-json={kept}"], cwd=here.parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout.strip().splitlines()[-1])
    stats = json.loads(kept.read_text())["benchmarks"]
    return {f"{one['name'].removeprefix('test_')}_us": 1e6 * one["stats"]["min"] for one in stats}


PIECES: dict[str, Callable[[Wanted], dict[str, Any]]] = {
    "agreement": agreement,
    "gradient": gradient,
    "parts": parts,
    "growth": growth,
    "ours": _sampled("ours"),
    "a_pymc": _sampled("a_pymc"),
    "b_numpyro": _sampled("b_numpyro"),
    "c_stan": _sampled("c_stan"),
    "d_plain_nutpie": _sampled("d_plain_nutpie"),
    "d_plain_pymc": _sampled("d_plain_pymc"),
    "forecast_cold": forecast_cold,
    "forecast_warm": forecast_warm,
    "reforecast": reforecast,
    "workflow": workflow,
    "backtest_cell": backtest_cell,
}
REFERENCES = ("a_pymc", "b_numpyro", "c_stan", "d_plain_nutpie", "d_plain_pymc")
