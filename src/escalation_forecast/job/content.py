"""What decides the answers: a quick digest of everything that is asked, and the id of the run itself."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escalation_forecast import archive
from escalation_forecast.fit import Settings
from escalation_forecast.store import data_root

if TYPE_CHECKING:
    from escalation_forecast.priors import Priors
    from escalation_forecast.question_file import Question
    from escalation_forecast.store import Store

VERSION: Final = re.compile(r'^MODEL_VERSION\b[^=\n]*= *"([^"]+)"', re.MULTILINE)
# Their rows are in the hash of the figures, whatever file they stand in.
HASHED_BY_ROW: Final = ("observations", "indicators.csv", "datapackage.json")


@dataclass(frozen=True)
class Asked:
    """A forecast that is asked for.

    Attributes
    ----------
    store : cut at ``as_of``.
    settings : of the first fit.
    earlier : the figures as they had come in at a moment, where that can be told.
    start_from_last : start the sampler from the newest run in the folder of runs.
    """

    store: Store
    as_of: dt.date
    horizon: int
    seed: int
    priors: Priors
    questions: Sequence[Question]
    draft: bool
    settings: Settings
    earlier: Callable[[dt.datetime], Store] | None = None
    start_from_last: bool = False

    def digest(self) -> str:
        """SHA-256 of what decides the answers, without building the panel or loading the model.

        Of the as-of date the month counts: within a month the same figures give the same months, windows and
        draws, and a forecast of yesterday stands. What the day alone moves (the age of the war in steps of 30
        days, which years' budgets come within reach) waits for the next figure or the next month.
        """
        return hashlib.sha256(
            archive.canonical(
                {
                    "figures": self.store.content_hash(),
                    "tables": _tables(self.store.root) | _tables(data_root()),
                    "month": f"{self.as_of:%Y-%m}",
                    "priors": self.priors.canonical(),
                    "questions": [question.model_dump(mode="json") for question in self.questions],
                    "horizon": self.horizon,
                    "settings": self.settings.canonical(),
                    "model_version": model_version(),
                    "seed": self.seed,
                    "draft": self.draft,
                }
            ).encode()
        ).hexdigest()


@cache
def model_version() -> str:
    """Version of the model as its source has it: importing the model takes seconds."""
    spec = find_spec("escalation_forecast.model")
    text = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    if (found := VERSION.search(text)) is not None:
        return found[1]
    from escalation_forecast.model import MODEL_VERSION

    return MODEL_VERSION


def _tables(root: Path) -> dict[str, str]:
    """Hashes of the other tables of a data folder, by path in it: wars, scales, weights of pools."""
    found = {}
    for file in sorted([*root.rglob("*.csv"), *root.rglob("*.toml")]):
        name = file.relative_to(root)
        if name.parts[0] not in HASHED_BY_ROW:
            found[name.as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


class Identity:
    """Ids under which `pipeline.run_forecast` keeps a run, known before anything is fitted.

    Builds the panel and binds the questions, so that bad input ends here.

    Raises
    ------
    DataError
    """

    def __init__(self, asked: Asked) -> None:
        import pandas as pd

        from escalation_forecast.panel import build_panel
        from escalation_forecast.questions import bind

        self._asked = asked
        self._panel = build_panel(asked.store, pd.Timestamp(asked.as_of))
        self.answers = len(bind(list(asked.questions), asked.store, as_of=asked.as_of, horizon=asked.horizon))

    def of(self, settings: Settings) -> str:
        """The id of the run with these settings of the sampler."""
        from escalation_forecast.history.tables import load_history
        from escalation_forecast.identity import run_identity
        from escalation_forecast.score.spending_pool_file import load_spending_pool

        asked = self._asked
        return run_identity(
            self._panel, history=load_history(), spending_weight=load_spending_pool().at(asked.as_of),
            as_of=asked.as_of, priors=asked.priors, questions=asked.questions, horizon=asked.horizon,
            settings=settings.canonical(), model_version=model_version(), seed=asked.seed, draft=asked.draft,
        )  # fmt: skip
