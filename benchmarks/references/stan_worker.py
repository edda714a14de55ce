"""Run by the Python that has pystan: builds a model, evaluates its density at points or samples it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp.client
import numpy as np
import stan

# pystan waits five minutes for a model that httpstan compiles.
aiohttp.client.DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=None)
_run = subprocess.run


def _patient(*given: Any, timeout: float | None = None, **named: Any) -> Any:
    """httpstan gives Stan's translator one second, too little for a long program on a busy machine."""
    return _run(*given, timeout=None if timeout is None else 60.0 * timeout, **named)


subprocess.run = _patient


def main(question: Path, answer: Path) -> None:
    asked = json.loads(question.read_text())
    start = time.perf_counter()
    model = stan.build(asked["code"], data=asked["data"], random_seed=asked["seed"])
    found = {"build_seconds": np.asarray(time.perf_counter() - start)}
    if "points" in asked:
        found["values"] = np.array([model.log_prob(point) for point in asked["points"]])
        found["gradients"] = np.array([model.grad_log_prob(point) for point in asked["points"]])
    else:
        tune, draws, chains = asked["tune"], asked["draws"], asked["chains"]
        start = time.perf_counter()
        fit = model.sample(num_chains=chains, num_warmup=tune, num_samples=draws, save_warmup=True)
        found["seconds"] = np.asarray(time.perf_counter() - start)
        statistics = {name: fit._draws[k] for k, name in enumerate(fit.sample_and_sampler_param_names)}
        found["n_steps"] = statistics["n_leapfrog__"]
        found["diverging"] = statistics["divergent__"][tune:].sum()
        for name in fit.param_names:
            shape = (*fit.dims[fit.param_names.index(name)], tune + draws, chains)
            # Elements of a parameter by columns, then draws, then chains.
            values = fit._draws[list(fit._parameter_indexes(name))].reshape(shape, order="F")
            found[f"draw_{name}"] = values[..., tune:, :]
    np.savez(answer, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
