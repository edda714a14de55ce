"""A task with cheap cells: real arithmetic, sleeps, errors and processes that end themselves."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.score.cells import Cell, CellResult, sampler_cores


@dataclass(frozen=True)
class ToyTask:
    """Forecasts the mean of seeded random numbers.

    A model is called ``<what>`` or ``<what>-<label>``; what it does besides arithmetic follows from the
    first word: ``mean`` nothing, ``sleep`` sleeps for `seconds`, ``raise`` raises, ``die`` kills its own
    process, ``leave`` ends it, ``flaky`` raises until the file `marker` exists, ``wrong`` mislabels.

    Attributes
    ----------
    log : a line is added to this file for each cell that starts: model, origin, process id, cores,
        time.
    """

    models: tuple[str, ...] = ("mean", "sleep")
    origins: tuple[str, ...] = ("2001", "2002", "2003")
    seconds: float = 0.0
    setting: int = 1
    log: Path | None = None
    marker: Path | None = None
    many_cores: tuple[str, ...] = ()
    name: str = field(default="toy")

    def cells(self) -> list[Cell]:
        return [Cell(self.name, model, origin) for origin in self.origins for model in self.models]

    def sampled(self, cell: Cell) -> bool:
        return cell.model in self.many_cores

    def identity(self) -> dict[str, Any]:
        return {"setting": self.setting, "version": 1}

    def run(self, cell: Cell, seed: int) -> CellResult:
        if self.log:
            with self.log.open("a") as log:  # one short line, so that appends of processes do not mix
                log.write(f"{cell.model} {cell.origin} {os.getpid()} {sampler_cores()} {time.time()}\n")
        match cell.model.split("-")[0]:
            case "sleep":
                time.sleep(self.seconds)
            case "raise":
                raise ValueError("the third number is odd\nand this is a second line")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leave":
                os._exit(7)
            case "flaky" if self.marker and not self.marker.exists():
                raise OSError("not there yet")
        rng = np.random.default_rng([seed, self.setting, *cell.model.encode(), int(cell.origin)])
        draws = rng.normal(size=(400, 3))
        cases = pd.DataFrame(
            {
                "task": self.name,
                "model": "other" if cell.model == "wrong" else cell.model,
                "origin": cell.origin,
                "horizon": [1, 2, 3],
                "truth": 0.0,
                "outcome": 0.0,
                "error": draws.mean(axis=0),
            }
        )
        data = xr.Dataset({"value": (("sample", "horizon"), draws)}, {"horizon": [1, 2, 3]}, {"seconds": 0.5})
        return CellResult(cases, data, {"r_hat": 1.0 + draws.std() / 100.0, "ess": float("nan")})
