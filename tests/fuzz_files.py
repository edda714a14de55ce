"""Spoilt copies of files: bytes at random, and cells, lines, tags and parts of a workbook moved about."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import read

Change = tuple[str, int, int]
NASTY = (
    b"", b"\x00", b"\xff", b"-1", b"1e999", b"NaN", b"9" * 400, b"\xc3", b"\r", b"\n", b'"', b"'", b",", b";",
    b"<", b">", b"&", b"&amp;&lt;", b"=1+1", b"31/02/2026", b"0000-00-00", b"99999-01-01", b"\xe2\x80\x8b",
    b"1.0", b"2026", b"\xd9\xa3", b"1_000", b"0x10", b"+5", b" ", b"true", b"...", b"xxx", b"-0-",
)  # fmt: skip
PIECES: dict[str, re.Pattern[bytes]] = {
    "cell": re.compile(rb"[^,;\r\n]+"),
    "line": re.compile(rb"^[^\n]*\n?", re.MULTILINE),
    "tag": re.compile(rb"<[^<>]*>"),
    "value": re.compile(rb"(?<=>)[^<>]+(?=<)"),
    "number": re.compile(rb"\d+(?:\.\d+)?"),
    "quoted": re.compile(rb'"[^"]*"'),
}


def flip(data: bytes, one: int, other: int) -> bytes:
    place = one % max(1, len(data))
    return data[:place] + bytes([other % 256]) + data[place + 1 :]


def cut(data: bytes, one: int, other: int) -> bytes:
    place = one % max(1, len(data))
    return data[:place] + data[place + 1 + other % 200 :]


def double(data: bytes, one: int, other: int) -> bytes:
    place = one % max(1, len(data))
    return data[: place + other % 400] + data[place:]


def put(data: bytes, one: int, other: int) -> bytes:
    place = one % max(1, len(data))
    return data[:place] + NASTY[other % len(NASTY)] + data[place:]


def stop(data: bytes, one: int, other: int) -> bytes:
    return data[: one % max(1, len(data))]


def piece(kind: str) -> Callable[[bytes, int, int], bytes]:
    """Exchanges a cell, line, tag, value or number: by something nasty, another one, nothing, or twice it."""

    def change(data: bytes, one: int, other: int) -> bytes:
        found = [match.span() for match in PIECES[kind].finditer(data[:400_000])]
        if not found:
            return data
        start, end = found[one % len(found)]
        third = found[(other // 4) % len(found)]
        new = (
            NASTY[(other // 4) % len(NASTY)],
            data[slice(*third)],
            b"",
            data[start:end] * 2,
        )[other % 4]
        return data[:start] + new + data[end:]

    return change


CHANGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": flip, "cut": cut, "double": double, "put": put, "stop": stop,
    **{kind: piece(kind) for kind in PIECES},
}  # fmt: skip


def spoil(data: bytes, changes: list[Change]) -> bytes:
    """The bytes after some changes; a workbook is changed inside its parts, and then perhaps as a whole."""
    if data.startswith(b"PK"):
        return _spoil_parts(data, changes)
    for name, one, other in changes:
        data = CHANGES[name](data, one, other)
    return data


def _spoil_parts(data: bytes, changes: list[Change]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    # Sheets first, so that most changes meet figures.
    names = sorted(parts, key=lambda name: ("sheet" not in name, name))
    for name, one, other in changes:
        chosen = names[(one // 7) % len(names)] if other % 3 == 0 else names[(one // 7) % min(4, len(names))]
        parts[chosen] = CHANGES[name](parts[chosen], one, other)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    packed = out.getvalue()
    return flip(packed, changes[0][1], changes[0][2]) if changes[0][2] % 11 == 0 else packed


def spoilt() -> st.SearchStrategy[list[Change]]:
    number = st.integers(0, 2**32 - 1)
    return st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), number, number), min_size=1, max_size=4)


def check(path: Path, data: bytes, received: dt.date, tally: Counter[str]) -> None:
    """Read spoilt bytes: nothing but a `DataError`, and a reading that is accepted is whole."""
    path.write_bytes(data)
    try:
        reading = read(path, received=received)
    except DataError as error:
        one_sentence = str(error).startswith("File '") and "\n" not in str(error)
        tally["refused" if one_sentence else "refused in a way nobody can read"] += 1
        return
    frame = reading.observations
    assert reading.published_at <= received
    assert not frame[["value", "low", "high"]].isna().all(axis=1).any()
    assert (frame["published_at"] <= pd.Timestamp(received)).all()
    tally["read"] += 1


def fuzz(
    path: Path, data: bytes, received: dt.date, *, seconds: float = 0.0, examples: int = 8, start: int = 0
) -> Counter[str]:
    """Outcomes of spoilt copies: `examples` of them, or as many as fit into `seconds`."""
    tally: Counter[str] = Counter()
    deadline, number = time.monotonic() + seconds, start

    while True:

        @seed(number)
        @settings(
            max_examples=examples, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(spoilt())
        def case(changes: list[Change]) -> None:
            check(path, spoil(data, changes), received, tally)

        case()
        number += 1
        if time.monotonic() >= deadline:
            return tally


def peak_mib() -> float:
    """Most memory this process has had, in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024


def budget(default: float) -> float:
    """Seconds of all fuzzing together: `ESCALATION_FUZZ_SECONDS`, or `default`."""
    return float(os.environ.get("ESCALATION_FUZZ_SECONDS", default))
