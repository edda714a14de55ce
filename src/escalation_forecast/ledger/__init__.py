"""The archive: runs, their answers and files, kept for good in SQLite or PostgreSQL.

A run is visible when it has a row, and it is never changed after that. See docs/archive.md.
"""

from escalation_forecast.ledger.errors import LedgerError, LockedError
from escalation_forecast.ledger.ledger import Ledger
from escalation_forecast.ledger.records import Fault, RunRecord

__all__ = ["Fault", "Ledger", "LedgerError", "LockedError", "RunRecord"]
