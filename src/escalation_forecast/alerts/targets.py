"""Sending a message to a target by way of apprise, without ever saying where its secrets are.

The URL of a target may hold a password or a token in any of its parts, so it is named by its scheme and its
place among those of that scheme: ``slack#1``.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from apprise import Apprise

SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]{0,19})://")
# They print URLs, or the path of a request, which may be the token.
TALKATIVE: Final = ("apprise", "urllib3", "requests", "asyncio", "smtplib")
PAUSES: Final = (2.0, 8.0)


@dataclass(frozen=True)
class Target:
    """Where alerts go.

    Attributes
    ----------
    name : for logs and the archive.
    url : as apprise reads it; never shown.
    """

    name: str
    url: str = field(repr=False)


def named(urls: Sequence[str]) -> list[Target]:
    """The targets under names that tell nothing.

    Raises
    ------
    DataError
        For what is no URL, by its place in the list, and when apprise is missing.
    """
    targets, seen = [], Counter[str]()
    for place, url in enumerate(urls, start=1):
        found = SCHEME.match(url) if isinstance(url, str) else None
        if found is None:
            raise DataError(
                f"alerts: target {place} is no URL; write one such as mailto://... or json://...."
            )
        scheme = found[1].lower()
        seen[scheme] += 1
        targets.append(Target(f"{scheme}#{seen[scheme]}", url))
    if targets:
        _apprise()
    return targets


def send(
    target: Target,
    title: str,
    body: str,
    severity: str,
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Send plain text, again after each pause; returns why it failed, or nothing.

    What a target renders as HTML or Markdown is escaped. Nothing is raised, and no reason quotes the URL.
    """
    reason = ""
    with _silent():
        try:
            service = _service(target)
        except Exception as error:
            return f"apprise cannot use it ({type(error).__name__})"
        if service is None:
            return "apprise knows no such target, or its URL is incomplete"
        for pause in (*pauses, None):
            try:
                if service.notify(body=body, title=title, notify_type=severity, body_format="text"):
                    return ""
                reason = "it did not take the message"
            except Exception as error:
                reason = f"it failed ({type(error).__name__})"
            if pause is not None:
                sleep(pause)
    return f"{reason}, tried {len(pauses) + 1} times"


def _service(target: Target) -> Apprise | None:
    service = _apprise().Apprise()
    return service if service.add(target.url) else None


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        raise DataError(
            "Alerts to a target need apprise; install it with `pip install escalation-forecast[alerts]`, or "
            "leave the targets out: alerts are logged and written to their file all the same."
        ) from None
    return apprise


@contextmanager
def _silent() -> Iterator[None]:
    """What the libraries would log is dropped: it may hold a URL."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        # A handler that drops all, since without any there is one of last resort.
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
