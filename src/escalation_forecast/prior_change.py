"""What differs between two priors of the same name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from escalation_forecast.prior_spec import PriorSpec

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
            if not isinstance(now, dict):
                if was != now:
                    return ()
                continue
            if isinstance(was, tuple):
                return ()
            old = was if isinstance(was, dict) else dict.fromkeys(now, was)
            found |= dict.fromkeys(label for label in now if now[label] != old.get(label))
        return tuple(found)

    def __str__(self) -> str:
        if self.before and self.after and self.labels and not isinstance(self._first(self.after), tuple):
            parts = [
                f"{label} {_at(self.before, label)} -> {_at(self.after, label)}" for label in self.labels
            ]
            return f"{self.name}: {'; '.join(parts)}"
        was, now = (spec.text if spec else "(none)" for spec in (self.before, self.after))
        return f"{self.name}: {was} -> {now}" if was != now else f"{self.name}: {', '.join(self.keys)}"

    def _first(self, spec: PriorSpec) -> Any:
        table = next(value for value in spec.parameters.values() if isinstance(value, dict))
        return next(iter(table.values()))

    def partial(self) -> PriorSpec:
        """The prior after, with the numbers of those labels only that differ.

        A file of it leaves the other labels to the priors that it is read on top of.
        """
        assert self.after is not None
        if not self.labels:
            return self.after
        kept: dict[str, Any] = {
            key: {label: value[label] for label in self.labels} if isinstance(value, dict) else value
            for key, value in self.after.parameters.items()
        }
        return replace(self.after, parameters=kept)


def different(was: PriorSpec, now: PriorSpec) -> tuple[str, ...]:
    """Names of what differs, of ``COMPARED``."""
    return tuple(key for key in COMPARED if getattr(was, key) != getattr(now, key))


def _at(spec: PriorSpec, label: str) -> str:
    inside = ", ".join(f"{key}={value:.6g}" for key, value in spec.at(label).items())
    return f"{spec.family}({inside})"
