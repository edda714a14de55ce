"""What a check of an export found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One thing wrong in one place.

    Attributes
    ----------
    file : path inside the folder that was checked.
    row : row of a spreadsheet (the header is 1); 0 for the whole file.
    rule : name of the rule that is broken, as docs/exports.md lists it.
    message, remedy : what is wrong, and what to do about it.
    """

    file: str
    row: int
    rule: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}, row {self.row}" if self.row else self.file
        return f"{place}: {self.message}; {self.remedy} [{self.rule}]."

    def as_dict(self) -> dict[str, str | int]:
        return {
            "file": self.file,
            "row": self.row,
            "rule": self.rule,
            "message": self.message,
            "remedy": self.remedy,
        }
