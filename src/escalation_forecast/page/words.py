"""How the page says names, windows and numbers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from escalation_forecast.report.layout import percent
from escalation_forecast.report.war_text import one_in
from escalation_forecast.schema import GLOBAL, THEATRE_LABELS

Summary = Mapping[str, Any]

STATE_NAMES: Final[dict[str, str]] = {
    "CHN": "China", "JPN": "Japan", "KOR": "South Korea", "TWN": "Taiwan", "PHL": "Philippines",
    "VNM": "Viet Nam", "IDN": "Indonesia", "MYS": "Malaysia", "SGP": "Singapore", "THA": "Thailand",
    "AUS": "Australia", "IND": "India", "RUS": "Russia", "USA": "United States", "PRK": "North Korea",
    "UKR": "Ukraine", "POL": "Poland", "FIN": "Finland", "BLR": "Belarus", "IRN": "Iran", "NATO": "NATO",
    "GUM": "Guam", "EUR": "Europe", "WLD": "world",
}  # fmt: skip
ROUTE_NAMES: Final[dict[str, str]] = {
    "any": "any route",
    "joining": "a named state joins the war in Ukraine",
    "war": "war between a theatre's pair of states",
    "two-theatres": "deadly clashes in two theatres at once",
}
PRIOR_WORDS: Final[dict[str, str]] = {
    "prior-driven": "mostly prior: loosening one prior moves it by a third or more",
    "mixed": "part prior: loosening one prior moves it by a tenth to a third",
    "data-driven": "mostly data: loosening a prior moves it by less than a tenth",
}
RARE: Final = 0.1
"""Probabilities below it are said as ``1 in N`` too."""
LOOSENED: Final = ("discount", "slope", "base")
MINUS: Final = "\u2212"
NOTHING: Final = "\u2013"


def signed(value: float | None, digits: int = 1) -> str:
    """With a sign, such as ``+1.4``; a dash where nothing is known."""
    if value is None or value != value:
        return NOTHING
    text = f"{round(value, digits) + 0.0:+.{digits}f}"
    return text.replace("-", MINUS)


def span(value: Summary, digits: int = 1) -> str:
    """The ends of a band, such as ``+0.2 to +1.4``."""
    return f"{signed(value['low'], digits)} to {signed(value['high'], digits)}"


def points(value: float | None, digits: int = 1) -> str:
    """A change of a probability in points; as many digits as show it."""
    if value is None or value != value:
        return NOTHING
    scaled = 100.0 * value
    if scaled and abs(scaled) < 0.5 * 10.0**-digits:
        digits = 2
    return signed(scaled, digits)


def error_words(mcse: float | None) -> str:
    """Monte Carlo error of a probability in points."""
    if mcse is None:
        return ""
    scaled = 100.0 * mcse
    return f"\u00b1 {scaled:.1f} points" if scaled >= 0.05 else f"\u00b1 {scaled:.1g} points"


def rare(probability: float | None) -> str:
    """``1 in N`` where a probability is rare, else nothing."""
    return one_in(probability) if probability is not None and probability < RARE else ""


def share_words(rate: Summary | None) -> str:
    """A base rate by itself."""
    if not rate:
        return ""
    return percent(rate["rate"], ends=False) if rate["events"] else "0 %"


def rate_words(rate: Summary | None) -> str:
    """A base rate with its counts and its whole reference class."""
    if not rate:
        return ""
    return f"{share_words(rate)} ({rate['events']:,} of {rate['trials']:,} {rate['reference_class']})"


def loosened(share: Summary | None, probability: float | None) -> str:
    """Range of a probability when one prior at a time is loosened; empty where it was not found."""
    if not share or probability is None:
        return ""
    values = [probability, *(share[name] for name in LOOSENED if share.get(name) is not None)]
    low, high = percent(min(values)), percent(max(values))
    return low if low == high else f"{low} to {high}"


def place(name: str) -> str:
    """A state, a pair of them or a theatre by its name."""
    if name in THEATRE_LABELS:
        return THEATRE_LABELS[name]
    parts = re.split(r"[-+>]", name)
    if name in STATE_NAMES or (len(parts) > 1 and all(part in STATE_NAMES for part in parts)):
        joined = " to " if ">" in name else ", " if len(parts) > 2 else " and "
        return joined.join(STATE_NAMES[part] for part in parts)
    return name


def part_name(question: str, parts: tuple[str, ...], described: Mapping[str, str]) -> str:
    """What sets one part of a question apart, from the middle of its id; empty where there is one part.

    Parameters
    ----------
    described : what indicators are, by name.
    """
    said = []
    for part in parts:
        if question == "wider-war" and part in ROUTE_NAMES:
            said.append(ROUTE_NAMES[part])
        elif question == "fatal-clash" and part.isdigit():
            said.append("any deaths" if part == "1" else f"{part} deaths or more")
        elif part.isdigit():
            said.append(f"above {int(part):,}")
        else:
            said.append(described.get(part) or place(part))
    # The pair comes first, whatever the order of the id.
    return ", ".join(reversed(said)) if question == "fatal-clash" else ", ".join(said)


def window_name(window: str) -> str:
    """The window of an answer, from the end of its id."""
    if match := re.fullmatch(r"(\d+)m", window):
        return f"within {match[1]} month{'s' * (match[1] != '1')}"
    if match := re.fullmatch(r"(any|all)-(\d{4})-(\d{4})", window):
        which = "in at least one year" if match[1] == "any" else "in every year"
        return f"{which} of {match[2]} to {match[3]}"
    if match := re.fullmatch(r"by-(\d{4}-\d{2})", window):
        return f"by {month(match[1])}"
    return window


def month(text: str) -> str:
    """``2026-11`` as November 2026."""
    return f"{pd.Timestamp(text):%B %Y}"


def day(value: dt.date | pd.Timestamp | str) -> str:
    """A day as 27 November 2026."""
    stamp = pd.Timestamp(value)
    return f"{stamp.day} {stamp:%B %Y}"


def age(days: int) -> str:
    """How long ago, in the unit that a reader thinks in."""
    if days < 60:
        return f"{days} day{'s' * (days != 1)}"
    months = round(days / 30.44)
    return f"{months} months" if months < 24 else f"{days / 365.25:.1f} years"


def indicator_words(note: str) -> str:
    """The first clause of a catalogue's note."""
    return note.split(";")[0].strip()


def pushed_words(name: str, described: Mapping[str, str]) -> str:
    """What pushed a theatre, in words."""
    if name.replace(" ", "_") in (GLOBAL, "global_factor"):
        return "global factor (all theatres together)"
    return described.get(name) or name
