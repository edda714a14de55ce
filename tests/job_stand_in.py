"""A job whose figures are a line of text and whose fit writes a tiny whole run in milliseconds."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from escalation_forecast import archive
from escalation_forecast.archive import Run
from escalation_forecast.fit import ConvergenceError, Settings
from escalation_forecast.job import Config, Tools
from escalation_forecast.job.content import Asked
from escalation_forecast.schema import DataError
from run_folder import answer, summary_of

DAY = dt.date(2026, 11, 27)
REASON = "R-hat of phi[korea] is 1.200, not below 1.01."


WORST = {"value": 1.004, "quantity": "phi[korea]"}
HEALTH = {
    "passed": True, "reasons": [], "r_hat_max": WORST, "r_hat_other": WORST, "ess_bulk_min": WORST,
    "ess_tail_min": WORST, "divergences": 0, "e_bfmi_min": 0.7, "total_seconds": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Figures(Asked):
    """What is asked, where the figures are a line of text."""

    text: str = ""

    def digest(self) -> str:
        return hashlib.sha256(f"{self.text} {self.as_of:%Y-%m} {self.seed}".encode()).hexdigest()


class Ids:
    """Ids of runs on those figures."""

    answers = 2

    def __init__(self, asked: Any) -> None:
        self.asked = asked

    def of(self, settings: Settings) -> str:
        asked = self.asked
        content = {"text": asked.text, "as_of": str(asked.as_of), "settings": settings.canonical()}
        return archive.run_id(content | {"seed": asked.seed, "draft": asked.draft})


def read(config: Config) -> Figures:
    """The figures of the file that `observations` names; the word `bad` is refused."""
    assert config.data.observations is not None
    text = config.data.observations.read_text()
    if "bad" in text:
        raise DataError("figures.txt, row 1: `bad` is no figure; correct it.")
    nothing: Any = None
    return Figures(
        store=nothing, as_of=config.run.as_of or DAY, horizon=config.run.horizon, seed=config.run.seed,
        priors=nothing, questions=(), draft=config.run.draft,
        settings=Settings.draft() if config.run.draft else Settings.default(), text=text,
    )  # fmt: skip


@dataclass
class Fit:
    """Stands in for the sampler: counts in a file, fails as often as it is told, and takes its time.

    Attributes
    ----------
    failures : how many tuning draws are too few; a fit with no more of them does not pass.
    slow : seconds, spent in small pieces.
    """

    count: Path
    failures: int = 0
    slow: float = 0.0
    during: Callable[[], None] | None = None

    def __call__(self, asked: Any, settings: Settings, out: Path) -> Run:
        identity = Ids(asked).of(settings)
        if (found := archive.find(out, identity)) is not None:
            return found
        with self.count.open("a") as file:
            file.write(f"{identity} {os.getpid()} {settings.tune}\n")
        asked_of = {"as_of": str(asked.as_of), "seed": asked.seed, "draft": asked.draft}
        made = {"created_at": dt.datetime.now(dt.UTC).isoformat(), "settings": settings.canonical()}
        nothing = {"theatres": [], "spending": [], "war": None, "skill": [], "spending_weight": 1.0}
        heading = summary_of(identity, **asked_of, **made, **nothing, diagnostics=HEALTH)
        if self.during is not None:
            self.during()
        with archive.partial(out, identity) as folder, archive.writing(out):
            draws = xr.Dataset({"phi": (("chain", "draw"), np.ones((2, 4)))})
            archive.write_posterior({"posterior": draws}, folder / archive.POSTERIOR)
            until = time.monotonic() + self.slow
            while time.monotonic() < until:
                time.sleep(0.001)
            if settings.tune <= self.failures:
                health = {"passed": False, "reasons": [REASON]}
                failed = heading | {"published": False, "questions": [], "diagnostics": health}
                archive.fail(out, identity, failed)
                raise ConvergenceError(REASON)
            (folder / "questions.csv").write_text("id\n")
            (folder / "draws_theatres.parquet").write_bytes(b"PAR1")
            level = 0.1 + 0.8 * (int(hashlib.sha256(asked.text.encode()).hexdigest()[:6], 16) / 16**6)
            answers = [answer("use-of-force/korea/12m", level), answer("arms-race-regional/2026", 0.6)]
            archive.write_summary(heading | {"questions": answers, "published": not asked.draft}, folder)
            archive.finish(folder, out, identity)
        return archive.load_run(out / identity)


def tools(fit: Fit, **changes: Any) -> Tools:
    """The job's tools with the stand-ins in place."""
    given: dict[str, Any] = {
        "read": read,
        "identify": Ids,
        "fit": fit,
        "explain": lambda *_: "explained",
        "late": lambda _: [],
        "answered": lambda *_: [],
    }
    return Tools(**given | changes)


def config(root: Path, **tables: Any) -> Config:
    """A configuration that keeps everything under one folder."""
    given: dict[str, Any] = {
        "data": {"observations": root / "figures.txt"},
        "archive": {
            "url": f"sqlite:///{root}/runs/archive.sqlite",
            "files": str(root / "runs"),
            "patience": 0,
        },
        "export": {"kinds": ["json"], "out": root / "exports"},
        "report": {"out": root / "reports", "page": False},
        "alerts": {"file": root / "alerts.jsonl"},
        "log": {"file": root / "log.jsonl", "level": "debug"},
    }
    for name, table in tables.items():
        given[name] = {**given.get(name, {}), **table}
    return Config.model_validate(given)


def forked(work: Callable[[], int]) -> int:
    """Process number of a child that does the work and ends with what it returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    code = 99
    try:
        code = int(work())
    except BaseException:
        traceback.print_exc()
    finally:
        # Nothing of the parent's may run at the child's end.
        os._exit(code)


def ended(child: int) -> int:
    """Exit code of a child; minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
