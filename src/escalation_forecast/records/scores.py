"""The running score: archived yes-or-no forecasts against what happened, base rates and others' forecasts.

An item is an answer with its window; forecasts of the same item on many days are averaged first, so that an
item does not count more because it was asked every morning. Windows that overlap share their outcomes: the
number of independent windows is the largest number that do not overlap, and the bootstrap draws those.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.records.archived import archived
from escalation_forecast.records.resolutions import Resolved, stored
from escalation_forecast.records.windows import Span

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

ENOUGH: Final = 10
# With fewer, not even all of them pointing one way is beyond chance: a sign test of five reaches 1/32.
ENOUGH_WINDOWS: Final = 5
# One surprise at probability zero would cost infinitely much; the log score takes none nearer to 0 or 1.
FLOOR: Final = 0.005
INTERVAL: Final = (0.05, 0.95)
REPLICATES: Final = 2000
RULES: Final = ("brier", "log")
BASE_RATE: Final = "base rate"
ALL: Final = "all questions"


@dataclass(frozen=True)
class Score:
    """Mean scores of the model and of a reference on the same resolved items; smaller is better.

    Attributes
    ----------
    rule : ``brier``, or ``log``: minus the log of the probability given to what happened, with probabilities
        no nearer to 0 or 1 than 0.005.
    against : ``base rate``, the one published with the forecast, or the name of a forecaster.
    forecasts, items, events, windows : published forecasts, resolved items, those of them that came true, and
        windows that do not overlap.
    skill : 1 - score / reference; None below ten items.
    low, high : its 90 % interval, from drawing windows with replacement; None below five windows.
    """

    question: str
    rule: str
    against: str
    forecasts: int
    items: int
    events: int
    windows: int
    score: float
    reference: float
    skill: float | None
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """What may be said of it."""
        if self.skill is None:
            return (
                f"too few: {self.items} of {ENOUGH} items"
                if self.items < ENOUGH
                else "reference without error"
            )
        if self.low is None or self.high is None:
            return f"could be chance: {self.windows} of {ENOUGH_WINDOWS} windows"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "could be chance"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "verdict": self.verdict}


def running_score(ledger: Ledger, *, keep: bool = True, seed: int = 1) -> list[Score]:
    """Score all archived yes-or-no forecasts that were resolved, by question and together.

    Others are compared with the model's last forecast of the same item that was published for a day not after
    theirs. What was known already on the as-of date is left out.

    Parameters
    ----------
    keep : store each forecast's score in the archive.

    Raises
    ------
    DataError
        When the package that scores (extra ``backtest``) is missing.
    """
    cases = _cases(archived(ledger), stored(ledger))
    if keep:
        _keep(ledger, cases)
    rivals = [(BASE_RATE, _against_base_rate(cases))]
    crowd = ledger.table("crowd")
    rivals += [(str(who), _against(cases, rows)) for who, rows in crowd.groupby("forecaster", sort=True)]
    rng = np.random.default_rng(seed)
    found = []
    for name, pairs in rivals:
        groups = [(str(question), rows) for question, rows in pairs.groupby("question", sort=True)]
        if len(groups) > 1:
            groups.append((ALL, pairs))
        for question, rows in groups:
            found += [_scored(question, rule, name, rows, rng) for rule in RULES]
    return found


CASE: Final = ("run_id", "answer", "as_of", "question", "probability", "base_rate", "y", "first", "last",
               "relative", "settled", "version")  # fmt: skip


def _cases(frame: pd.DataFrame, answers: Mapping[tuple[str, dt.date], Resolved]) -> pd.DataFrame:
    """Forecasts with their outcome `y` and window, oldest first."""
    rows = []
    binary = frame[(frame["kind"] == "binary") & frame["probability"].notna()]
    for row in binary.to_dict("records"):
        found = answers.get((row["answer"], row["as_of"]))
        if found is None or found.status == "resolved" or (window := found.window) is None:
            continue
        settled = _settled(found)
        if settled <= row["as_of"]:
            continue
        own = {
            name: row[name] for name in ("run_id", "answer", "as_of", "question", "probability", "base_rate")
        }
        own |= {"y": float(found.status == "true"), "settled": settled, "version": found.version}
        rows.append(own | {"first": window.first, "last": window.last, "relative": window.relative})
    return pd.DataFrame(rows, columns=list(CASE))


def _settled(found: Resolved) -> dt.date:
    """When it was public what came of it."""
    published = found.evidence.get("published_at")
    return dt.date.fromisoformat(published) if published else found.resolved_on


def _against_base_rate(cases: pd.DataFrame) -> pd.DataFrame:
    return cases[cases["base_rate"].notna()].assign(reference=cases["base_rate"])


def _against(cases: pd.DataFrame, crowd: pd.DataFrame) -> pd.DataFrame:
    """A forecaster's probabilities beside the model's last one of the same item by that day."""
    by_answer = {str(answer): rows for answer, rows in cases.groupby("answer", sort=False)}
    rows = []
    for said in crowd.to_dict("records"):
        own = by_answer.get(str(said["answer"]))
        if own is None:
            continue
        day = pd.Timestamp(said["as_of"]).date()
        fits = [_same_item(day, row) for row in own.to_dict("records")]
        known = own[np.array(fits) & (own["as_of"] <= day).to_numpy()]
        if len(known):
            rows.append(known.iloc[-1].to_dict() | {"reference": float(said["probability"])})
    return pd.DataFrame(rows, columns=[*CASE, "reference"])


def _same_item(day: dt.date, row: Mapping[Any, Any]) -> bool:
    """Whether somebody asked on a day would have been asked about this window, and its outcome was open."""
    if day >= row["settled"]:
        return False
    first = (pd.Period(day, freq="M") + 1).start_time.date()
    return not row["relative"] or row["first"] == first


def _losses(p: pd.Series[float], y: pd.Series[float], rule: str) -> np.ndarray:
    from escalation_forecast.score import proper

    given, came = p.to_numpy(float), y.to_numpy(float)
    return proper.brier(given, came) if rule == "brier" else proper.log_score(given, came, (FLOOR, 1 - FLOOR))


def _scored(question: str, rule: str, against: str, rows: pd.DataFrame, rng: np.random.Generator) -> Score:
    losses = rows.assign(
        own=_losses(rows["probability"], rows["y"], rule), other=_losses(rows["reference"], rows["y"], rule)
    )
    items = losses.groupby(["answer", "first", "last"])[["own", "other", "y"]].mean().reset_index()
    windows = [Span(first, last, True) for first, last in zip(items["first"], items["last"], strict=True)]
    groups = independent(windows)
    own, other = items["own"].to_numpy(float), items["other"].to_numpy(float)
    skill, low, high = _skill(own, other, groups, rng)
    return Score(
        question=question,
        rule=rule,
        against=against,
        forecasts=len(rows),
        items=len(items),
        events=round(float(items["y"].sum())),
        windows=int(groups.max()) + 1,
        score=float(own.mean()),
        reference=float(other.mean()),
        skill=skill,
        low=low,
        high=high,
    )


def independent(windows: Sequence[Span]) -> np.ndarray:
    """Number the windows by groups, of which there are as many as windows that do not overlap at most.

    Windows are taken by their end, each that begins after the last one taken; every window holds the last day
    of one that was taken, and belongs to the first of those.
    """
    group, taken = np.empty(len(windows), int), list[dt.date]()
    for place in sorted(range(len(windows)), key=lambda k: (windows[k].last, windows[k].first)):
        if not taken or windows[place].first > taken[-1]:
            taken.append(windows[place].last)
    for place, window in enumerate(windows):
        group[place] = next(k for k, day in enumerate(taken) if window.first <= day)
    return group


def _skill(
    own: np.ndarray, other: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> tuple[float | None, float | None, float | None]:
    if len(own) < ENOUGH or other.sum() == 0:
        return None, None, None
    skill = float(1 - own.mean() / other.mean())
    n = int(groups.max()) + 1
    if n < ENOUGH_WINDOWS:
        return skill, None, None
    sums = np.array([[own[groups == k].sum(), other[groups == k].sum()] for k in range(n)])
    drawn = sums[rng.integers(n, size=(REPLICATES, n))].sum(axis=1)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(1 - drawn[:, 0] / drawn[:, 1], INTERVAL)
    return skill, float(low), float(high)


def _keep(ledger: Ledger, cases: pd.DataFrame) -> None:
    """Each forecast's own scores; those by a corrected outcome are rows of their own."""
    if cases.empty:
        return
    rows = []
    for rule in RULES:
        own = _losses(cases["probability"], cases["y"], rule)
        known = cases["base_rate"].notna().to_numpy()
        other = np.full(len(cases), np.nan)
        other[known] = _losses(cases.loc[known, "base_rate"], cases.loc[known, "y"], rule)
        for case, score, reference in zip(cases.to_dict("records"), own, other, strict=True):
            name = rule if case["version"] == 1 else f"{rule}~{case['version']}"
            rows.append(
                {
                    "run_id": case["run_id"],
                    "answer": case["answer"],
                    "rule": name,
                    "score": float(score),
                    "reference": None if np.isnan(reference) else float(reference),
                }
            )
    ledger.put("scores", rows)
