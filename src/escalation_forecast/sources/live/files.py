"""What kind of file it is, by its first bytes; refusals that need no parsing."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Final, Literal

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live.limits import (
    MAX_BOOK_BYTES,
    MAX_TABLE_BYTES,
    MAX_XML_BYTES,
    MIB,
)

Kind = Literal["xlsx", "xls", "xml", "text"]
HEAD: Final = 4096
UTF8_BOM: Final = b"\xef\xbb\xbf"
WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
LIMITS: Final[dict[Kind, int]] = {
    "xlsx": MAX_BOOK_BYTES, "xls": MAX_BOOK_BYTES, "xml": MAX_XML_BYTES, "text": MAX_TABLE_BYTES,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Source:
    """A file that is small enough to be opened, and what kind it is."""

    path: Path
    kind: Kind
    head: bytes

    def fault(self, where: str, what: str, remedy: str) -> DataError:
        """The error to raise: file and place, what is wrong there, what to do."""
        place = f"File '{self.path.name}', {where}" if where else f"File '{self.path.name}'"
        # What is quoted from the file must neither break the line nor steer a terminal.
        letters = (letter if letter.isprintable() else " " for letter in f"{place}: {what}; {remedy}.")
        return DataError(" ".join("".join(letters).split()))


def open_source(path: Path) -> Source:
    """Look at size and first bytes.

    Raises
    ------
    DataError
        No such file, empty, too large, a web page, or text in two bytes a letter.
    """
    try:
        if not path.is_file():
            raise DataError(f"File '{path}': it does not exist or is a folder; give the path of the file.")
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"File '{path}': it cannot be read ({reason}); check its rights.") from None
    source = Source(path, _kind(head), head)
    if not size:
        raise source.fault("", "it is empty", "download it again")
    if (limit := LIMITS[source.kind]) < size:
        raise source.fault(
            "",
            f"it has {size / MIB:,.0f} MiB, more than the {limit // MIB} MiB of any such file",
            "download it again from the originator",
        )
    if head[:2] in WIDE_BOMS:
        raise source.fault("", "the text is UTF-16", "save it as UTF-8")
    start = head.removeprefix(UTF8_BOM).lstrip().lower()
    if re.match(rb"<!doctype\s+html|<html|<head|<body|<script", start):
        raise source.fault(
            "", "it is a web page, not the file", "open the page in a browser and download what it links to"
        )
    return source


def _kind(head: bytes) -> Kind:
    if head.startswith(b"PK"):
        return "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "xls"
    return "xml" if head.removeprefix(UTF8_BOM).lstrip().startswith(b"<") else "text"


def checksum(path: Path) -> str:
    """SHA-256 of the file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
