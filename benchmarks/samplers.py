"""The samplers that are compared, each on the same posterior, told in the same terms."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.setting import SEED, Setting

CORES = 2
STEPS = 90  # gradients of a draw, warm-up and all: for the length of a run that a budget allows
DEFAULT_TUNE, DEFAULT_DRAWS = 500, 500
ESS = ("bulk_min", "bulk_min_shown", "bulk_median", "tail_min", "tail_median")


@dataclass(frozen=True)
class Length:
    """Tuning draws and draws of a chain."""

    tune: int
    draws: int
    chains: int = CORES

    @classmethod
    def within(cls, budget: float, gradient: float, chains: int = CORES) -> Length:
        """What a budget in seconds is enough for at ``gradient`` seconds each, up to the defaults."""
        each = int(budget * CORES / (chains * 2 * STEPS * gradient))
        return cls(min(max(each, 100), DEFAULT_TUNE), min(max(each, 100), DEFAULT_DRAWS), chains)


@dataclass(frozen=True)
class Sampled:
    """Draws of a sampler and what they cost.

    Attributes
    ----------
    parameters : (chain, draw, ...) by the names of the model.
    compile_seconds : from the model to the first gradient, beyond what a cache on disk saved.
    tune_seconds, draw_seconds : wall clock with both cores.
    tune_gradients, draw_gradients : over all chains.
    """

    parameters: dict[str, np.ndarray]
    length: Length
    compile_seconds: float
    tune_seconds: float
    draw_seconds: float
    tune_gradients: int
    draw_gradients: int
    divergences: int
    more: dict[str, Any] = field(default_factory=dict)


def _parameters(posterior: Any, setting: Setting) -> dict[str, np.ndarray]:
    return {name: posterior[name].transpose("chain", "draw", ...).values for name in setting.layout.names}


def _nutpie(compiled: Any, length: Length, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A trace, and what it cost: the share of the time that warm-up took is its share of the gradients."""
    import nutpie

    start = time.perf_counter()
    trace = nutpie.sample(
        compiled, draws=length.draws, tune=length.tune, chains=length.chains, cores=CORES, seed=SEED,
        progress_bar=False, save_warmup=True, **options,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    tuning, drawing = (
        int(trace[group]["n_steps"].sum()) for group in ("warmup_sample_stats", "sample_stats")
    )
    share = drawing / (tuning + drawing)
    return trace, {
        "length": length,
        "tune_seconds": seconds * (1.0 - share),
        "draw_seconds": seconds * share,
        "tune_gradients": tuning,
        "draw_gradients": drawing,
        "divergences": int(trace["sample_stats"]["diverging"].sum()),
    }


def ours(setting: Setting, length: Length | None = None) -> Sampled:
    """The program's own sampling, at the settings of a published fit."""
    from escalation_forecast.compile import VECTOR
    from escalation_forecast.fit import Settings

    settings = Settings.default()
    start = time.perf_counter()
    program = setting.program
    seconds = time.perf_counter() - start
    trace, cost = _nutpie(
        program.sampler, length or Length(settings.tune, settings.draws, settings.chains),
        target_accept=settings.target_accept, extra_doublings=settings.extra_doublings,
    )  # fmt: skip
    vectors = program.unconstrained(trace["posterior"][VECTOR].transpose("chain", "draw", ...).values)
    return Sampled(setting.layout.constrained(vectors), compile_seconds=seconds, **cost)


def plain_nutpie(setting: Setting, length: Length) -> Sampled:
    """The plain model through nutpie as its documentation has it."""
    import nutpie

    from benchmarks.references.plain_pymc import build_plain

    start = time.perf_counter()
    compiled = nutpie.compile_pymc_model(build_plain(setting.panel, setting.priors))
    seconds = time.perf_counter() - start
    trace, cost = _nutpie(compiled, length)
    return Sampled(_parameters(trace["posterior"], setting), compile_seconds=seconds, **cost)


def _pymc(model: Any, length: Length, setting: Setting) -> Sampled:
    import pymc as pm

    start = time.perf_counter()
    with model:
        trace = pm.sample(
            length.draws, tune=length.tune, chains=length.chains, cores=CORES, random_seed=SEED,
            nuts_sampler="pymc", progressbar=False, compute_convergence_checks=False,
            discard_tuned_samples=False,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    stats = {group: trace[group] for group in ("warmup_sample_stats", "sample_stats")}
    # Both cores are busy for half of the chains' time each.
    tune, draw = (float(s["perf_counter_diff"].sum()) / min(CORES, length.chains) for s in stats.values())
    tuning, drawing = (int(s["n_steps"].sum()) for s in stats.values())
    return Sampled(
        _parameters(trace["posterior"], setting), length, seconds - tune - draw, tune, draw, tuning, drawing,
        int(stats["sample_stats"]["diverging"].sum()),
    )  # fmt: skip


def pymc_nuts(setting: Setting, length: Length) -> Sampled:
    """PyMC's own NUTS on the model of the program."""
    return _pymc(setting.model, length, setting)


def plain_pymc(setting: Setting, length: Length) -> Sampled:
    """PyMC's own NUTS on the plain model."""
    from benchmarks.references.plain_pymc import build_plain

    return _pymc(build_plain(setting.panel, setting.priors), length, setting)


def numpyro_nuts(setting: Setting, length: Length) -> Sampled:
    """NumPyro's NUTS, a chain on each of two devices of the host."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={CORES}"
    os.environ["XLA_FLAGS"] = flags.strip()
    import jax
    import numpyro

    from benchmarks.references.numpyro_model import numpyro_model

    jax.config.update("jax_enable_x64", True)
    compiling = [0.0]

    def listen(event: str, duration: float, **_: Any) -> None:
        # Tracing, lowering and XLA's own compilation; every call of MCMC compiles anew.
        if event.startswith("/jax/core/compile/"):
            compiling[0] += duration

    jax.monitoring.register_event_duration_secs_listener(listen)
    kernel = numpyro.infer.NUTS(numpyro_model(setting.panel, setting.priors))
    sampler = numpyro.infer.MCMC(
        kernel, num_warmup=length.tune, num_samples=length.draws, num_chains=length.chains,
        chain_method="parallel", progress_bar=False,
    )  # fmt: skip
    key, fields = jax.random.key(SEED), ("num_steps", "diverging")

    def timed(run: Any) -> tuple[float, float, int]:
        """Seconds of compiling and of running, and gradients."""
        before, start = compiling[0], time.perf_counter()
        run()
        jax.block_until_ready(sampler.last_state.z)
        compiled = compiling[0] - before
        steps = int(sampler.get_extra_fields()["num_steps"].sum())
        return compiled, time.perf_counter() - start - compiled, steps

    warmed = timed(lambda: sampler.warmup(key, extra_fields=fields, collect_warmup=True))
    drawn = timed(lambda: sampler.run(key, extra_fields=fields))
    samples = sampler.get_samples(group_by_chain=True)
    diverging = int(sampler.get_extra_fields()["diverging"].sum())
    return Sampled(
        {name: np.asarray(samples[name]) for name in setting.layout.names}, length,
        warmed[0] + drawn[0], warmed[1], drawn[1], warmed[2], drawn[2], diverging,
        {"compile_of_drawing_seconds": drawn[0]},
    )  # fmt: skip


def stan_nuts(setting: Setting, length: Length) -> Sampled:
    """Stan's NUTS through pystan, in a Python of its own."""
    from benchmarks.references.stan_model import stan_sample

    found = stan_sample(
        setting.panel, setting.priors, setting.layout, length.tune, length.draws, length.chains
    )
    return Sampled(length=length, **found)


SAMPLERS: dict[str, Callable[..., Sampled]] = {
    "ours": ours,
    "a_pymc": pymc_nuts,
    "b_numpyro": numpyro_nuts,
    "c_stan": stan_nuts,
    "d_plain_nutpie": plain_nutpie,
    "d_plain_pymc": plain_pymc,
}
GRADIENT = {
    "a_pymc": 3e-4, "b_numpyro": 7e-4, "c_stan": 1e-3, "d_plain_nutpie": 1.5e-3, "d_plain_pymc": 1.5e-3
}  # fmt: skip
"""Seconds of a gradient, roughly: for how long a run a budget buys."""


def run_sampler(name: str, budget: float) -> dict[str, Any]:
    """Draws of a sampler, what they cost and how many they are worth, as plain numbers."""
    import resource

    from benchmarks.effective import effective
    from benchmarks.machine import peak_mb

    setting = Setting()
    given = () if name == "ours" else (Length.within(budget, GRADIENT[name]),)
    found = SAMPLERS[name](setting, *given)
    # Before anything else takes memory.
    peak = max(peak_mb(resource.RUSAGE_SELF), peak_mb(resource.RUSAGE_CHILDREN))
    ess = effective(setting, setting.posterior(found.parameters)).summary()
    seconds, gradients = found.draw_seconds, found.draw_gradients
    return {
        **{
            key: value
            for key, value in dataclasses.asdict(found).items()
            if key not in ("parameters", "more")
        },
        **found.more,
        **ess,
        "peak_mb": peak,
        "gradients_per_draw": gradients / (found.length.draws * found.length.chains),
        "gradient_us": 1e6 * seconds * min(CORES, found.length.chains) / gradients,
        **{f"{kind}_per_second": ess[kind] / seconds for kind in ESS},
        **{f"{kind}_per_1000_gradients": 1e3 * ess[kind] / gradients for kind in ESS},
        "seconds_to_ess_400": found.compile_seconds + found.tune_seconds + 400.0 * seconds / ess["bulk_min"],
    }
