"""What the archive answers with."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunRecord:
    """A run of the archive.

    Attributes
    ----------
    state : ``published``, ``draft`` or ``failed``.
    created_at, published_at : UTC; when the run was made, and when it became visible (None of a failed one).
    job : name of the job that published it; empty if none did.
    data_hash : of the panel that was fitted.
    reasons : why it failed; empty if it did not.
    content : ``summary.json`` as text.
    """

    run_id: str
    state: str
    as_of: dt.date
    created_at: dt.datetime
    published_at: dt.datetime | None
    job: str
    seed: int
    model_version: str
    horizon_months: int
    data_hash: str
    reasons: tuple[str, ...] = ()
    content: str = field(default="{}", repr=False, compare=False)

    @property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``."""
        found: dict[str, Any] = json.loads(self.content)
        return found


@dataclass(frozen=True)
class Fault:
    """Something that is not as it should be in the archive.

    Attributes
    ----------
    kind : ``database``, ``missing``, ``damaged``, ``truncated``, ``unknown file``, ``no row``, ``half run``,
        ``failed run``, ``leftover`` or ``latest``.
    run_id, file : what it concerns, empty if nothing in particular.
    message : what is wrong.
    remedy : what to do.
    """

    kind: str
    run_id: str
    file: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}."
