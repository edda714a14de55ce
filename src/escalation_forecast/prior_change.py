"""What differs between two priors of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from escalation_forecast.prior_spec import OTHERS, PriorSpec, label_words

COMPARED: Final = ("family", "parameters", "pooling", "spread", "reason", "source", "elicited")
DECIDES: Final = ("family", "parameters", "pooling", "spread")


@dataclass(frozen=True)
class Change:
    """A prior that differs between two sets.

    Attributes
    ----------
    before, after
        The prior in each of them, or None where it has none of that name.
    keys
        What differs: names of ``PriorSpec``.
    """

    name: str
    before: PriorSpec | None
    after: PriorSpec | None
    keys: tuple[str, ...]

    @property
    def decides(self) -> bool:
        """Whether it changes the distribution, not only the words about it."""
        return any(key in DECIDES for key in self.keys)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels whose numbers differ while the family is the same; empty where that is not by label."""
        if self.before is None or self.after is None or self.before.family != self.after.family:
            return ()
        found: dict[str, None] = {}
        for key, now in self.after.parameters.items():
            was = self.before.parameters[key]
            tables = [one for one in (was, now) if isinstance(one, dict)]
            if not tables:
                if was != now:
                    return ()
                continue
            # Of two that name all others or do not, and of lists, nothing can be told label by label.
            if isinstance(was, tuple) or isinstance(now, tuple) or len({OTHERS in one for one in tables}) > 1:
                return ()
            old, new = (one if isinstance(one, dict) else dict.fromkeys(tables[0], one) for one in (was, now))
            every = dict.fromkeys([*new, *old])
            found |= dict.fromkeys(one for one in every if _in(new, one) != _in(old, one))
        return tuple(found)

    def __str__(self) -> str:
        if self.before and self.after and self.labels and not self._lists:
            parts = [
                f"{label_words(label)} {_at(self.before, label)} -> {_at(self.after, label)}"
                for label in self.labels
            ]
            return f"{self.name}: {'; '.join(parts)}"
        was, now = (spec.text if spec else "(none)" for spec in (self.before, self.after))
        return f"{self.name}: {was} -> {now}" if was != now else f"{self.name}: {', '.join(self.keys)}"

    @property
    def _lists(self) -> bool:
        """Whether a label has a list of numbers."""
        specs = [spec for spec in (self.before, self.after) if spec is not None]
        tables = [one for spec in specs for one in spec.parameters.values() if isinstance(one, dict)]
        return any(isinstance(one, tuple) for table in tables for one in table.values())

    def partial(self) -> PriorSpec:
        """The prior after, with the numbers of those labels only that differ.

        A file of it leaves the other labels to the priors that it is read on top of.
        """
        assert self.after is not None
        if not self.labels:
            return self.after
        kept: dict[str, Any] = {
            key: {label: _in(value, label) for label in self.labels} if isinstance(value, dict) else value
            for key, value in self.after.parameters.items()
        }
        return replace(self.after, parameters=kept)


def different(was: PriorSpec, now: PriorSpec) -> tuple[str, ...]:
    """Names of what differs, of ``COMPARED``."""
    return tuple(key for key in COMPARED if getattr(was, key) != getattr(now, key))


def _in(table: Mapping[str, Any], label: str) -> Any:
    return table.get(label, table.get(OTHERS))


def _at(spec: PriorSpec, label: str) -> str:
    inside = ", ".join(f"{key}={value:.6g}" for key, value in spec.at(label).items())
    return f"{spec.family}({inside})"
