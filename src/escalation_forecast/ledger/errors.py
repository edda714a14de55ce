"""What a caller of the archive may want to catch."""

from __future__ import annotations


class LedgerError(RuntimeError):
    """The archive cannot be reached, is newer than the program, or does not take what it is given."""


class LockedError(LedgerError):
    """Another process holds the lock."""
