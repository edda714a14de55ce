"""The job's configuration: one TOML file, every fault of it a sentence."""

from __future__ import annotations

import datetime as dt
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
HIDDEN: Final = "***"
# Shorter values of variables are words, not secrets: hiding them would tear logs apart.
SHORTEST_SECRET: Final = 4


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Data(_Table):
    """Which figures; paths are taken from the working directory."""

    dir: Path | None = None
    observations: Path | None = None
    indicators: Path | None = None
    incoming: Path | None = None
    """A folder whose CSV files, in the schema of ``data/observations``, are added in order of name."""


class Run(_Table):
    """What is asked."""

    as_of: dt.date | None = None
    horizon: int = Field(default=36, ge=1, le=120)
    seed: int = Field(default=1, ge=0, lt=2**63)
    priors: Path | None = None
    questions: Path | None = None
    draft: bool = False
    start_from_last: bool = False
    """Start the sampler from the newest published run in the folder of runs, with half of the tuning."""

    @field_validator("as_of")
    @classmethod
    def _not_ahead(cls, day: dt.date | None) -> dt.date | None:
        if day is not None and day > dt.date.today():
            raise ValueError("lies in the future, where nothing is known yet; give today or earlier")
        return day


class Archive(_Table):
    """Where runs are kept."""

    url: str = "sqlite:///runs/archive.sqlite"
    files: str = "runs"
    work: Path = Path("runs")
    """Where a run is made when ``files`` is not on this machine."""
    patience: float = Field(default=120.0, ge=0)
    """Seconds for which a database that went away during the job is waited for."""


class Budget(_Table):
    """What one job may use; nothing given is no limit."""

    minutes: float | None = Field(default=None, gt=0)
    memory_gb: float | None = Field(default=None, gt=0)


class Retry(_Table):
    """The one further fit after gates were not passed."""

    enabled: bool = True
    warm_up: float = Field(default=2.0, ge=1, le=20)
    """Times as many tuning draws."""
    target_accept: float = Field(default=0.95, gt=0, lt=1)
    """Target acceptance, if it is higher than that of the first fit."""


class Explain(_Table):
    """Why answers moved since the run before."""

    enabled: bool = True
    refit: Literal["auto", "never"] = "auto"
    """Whether it may fit, twice at most, where weights of neither run reach."""


class Export(_Table):
    """The run in the formats of others, see docs/exports.md."""

    kinds: tuple[Literal["hub", "metaculus", "tables", "netcdf", "json"], ...] = ()
    out: Path = Path("runs/exports")


class Report(_Table):
    enabled: bool = True
    out: Path = Path("runs/reports")
    page: bool = True
    """The page for people beside the text."""
    scenarios: bool = False
    """Scenarios on the page: half a minute more."""
    explorer: bool = True
    """The explorer of priors on the page."""


class Alerts(_Table):
    enabled: bool = True
    threshold: float = Field(default=0.05, ge=0, lt=1)
    n_mcse: float = Field(default=3.0, ge=0)
    targets: tuple[str, ...] = ()
    file: Path | None = Path("runs/alerts.jsonl")


class LogTo(_Table):
    file: Path | None = Path("runs/reforecast.jsonl")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Table):
    """Everything that a job is told."""

    data: Data = Data()
    run: Run = Run()
    archive: Archive = Archive()
    budget: Budget = Budget()
    retry: Retry = Retry()
    explain: Explain = Explain()
    export: Export = Export()
    report: Report = Report()
    alerts: Alerts = Alerts()
    log: LogTo = LogTo()
    _secrets: tuple[str, ...] = PrivateAttr(default=())

    def hide(self, text: str) -> str:
        """Text without what environment variables or URLs brought in."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def read_config(path: Path | str) -> Config:
    """Read a configuration; ``${NAME}`` in a text stands for an environment variable.

    Raises
    ------
    DataError
        One sentence: the file, the table and key, what is wrong with it and the remedy.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} is not there; give the job's configuration with --config.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML ({error}); correct it there.") from None
    secrets: list[str] = []
    filled = _filled(content, path, "", secrets)
    try:
        config = Config.model_validate(filled)
    except ValidationError as error:
        raise DataError(_sentence(error, path)) from None
    config._secrets = tuple(sorted(set(secrets), key=lambda text: (-len(text), text)))
    return config


def _filled(value: Any, path: Path, key: str, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _filled(item, path, f"{key}.{name}".strip("."), secrets) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_filled(item, path, f"{key}[{place}]", secrets) for place, item in enumerate(value, 1)]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise DataError(
                f"{path}: {key} names the environment variable {name}, which is not set; set it, or write "
                "the value."
            )
        secret = os.environ[name]
        if len(secret) >= SHORTEST_SECRET:
            secrets.append(secret)
        return secret

    return VARIABLE.sub(found, value)


def _sentence(error: ValidationError, path: Path) -> str:
    """The first fault in words; the value is not quoted, for it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    *where, key = [str(part) for part in first["loc"]]
    table = f"[{where[0]}]" if where else "the file"
    if first["type"] == "extra_forbidden":
        known = _known(where)
        return f"{path}: {table} has no key `{key}`{nearest(key, known)}; it knows {', '.join(known)}."
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    name = ".".join([*where[1:], key]) if where else key
    return f"{path}: `{name}` of {table} {said}; correct it there."


def _known(where: list[str]) -> list[str]:
    if not where:
        return list(Config.model_fields)
    table: Any = Config.model_fields[where[0]].annotation
    return list(table.model_fields)
