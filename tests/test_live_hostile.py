"""Files that are broken, enormous or made to do harm: refused in a sentence, at once and in little memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import detect, limits, read
from escalation_forecast.sources.live.limits import MIB
from originators import (
    FILES,
    RECEIVED,
    SDN_ROWS,
    UK_HEAD,
    eu_xml,
    gpr_book,
    milex_book,
    own_csv,
    un_xml,
)

SECONDS = 2.0
MEMORY = 500 * MIB
# Reads one file in a process of its own and prints the message, the seconds and the peak of memory.
CHILD = """
import datetime, json, sys, time
from pathlib import Path
from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import read
import openpyxl, xlrd, defusedxml.expatreader
start = time.process_time()
try:
    read(Path(sys.argv[1]), received=datetime.date(2026, 11, 20))
    message = ""
except DataError as error:
    message = str(error)
seconds = time.process_time() - start
# The figure of the process itself; what getrusage says includes the process that forked it.
status = Path("/proc/self/status").read_text()
peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
print(json.dumps([message, seconds, peak]))
"""


def refusal(path: Path) -> str:
    """The message of `read` in this process: one sentence or two, without a line break."""
    with pytest.raises(DataError) as caught:
        read(path, received=RECEIVED)
    message = str(caught.value)
    assert message.startswith(f"File '{path.name}'")
    assert "\n" not in message
    assert len(message) < 500
    return message


# --- Refused by their first bytes, size or directory -----------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "it is a web page, not the file"),
        (b"\xef\xbb\xbf\n <HTML lang='en'>", "it is a web page, not the file"),
        ("series,unit\n".encode("utf-16"), "the text is UTF-16"),
        (b"\xfe\xff\x00<", "the text is UTF-16"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "it is none of the text files that are understood"),
        (b"PK\x03\x04 and nothing more", "it is no sound Excel workbook (BadZipFile)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "it is no sound Excel workbook"),
        (b"{\"figures\": [1, 2]}\n", "it is none of the text files that are understood"),
        (b"\0" * 4096, "line 1: it holds bytes that are no text"),
        (b"<?xml version='1.0'?><list><one/></list>", "it is none of the xml files that are understood"),
        (b"<list><one></list>", "line 1: it is no sound XML (mismatched tag)"),
        (b"<", "line 1: it is no sound XML"),
    ],
)  # fmt: skip
def test_what_is_no_published_file_is_refused(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "download"
    path.write_bytes(content)
    assert what in refusal(path)


def test_a_folder_and_a_file_that_does_not_exist_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.xlsx"):
        with pytest.raises(DataError, match="it does not exist or is a folder"):
            detect(path)


def test_a_file_without_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_csv(tmp_path / "own.csv")

    def closed(self: Path, *args: object, **kwargs: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(DataError, match=r"it cannot be read \(permission denied\); check its rights"):
        read(path, received=RECEIVED)


@pytest.mark.parametrize("name", [name for name in FILES if name != "gpr.xlsx"])
def test_a_truncated_file_gives_no_more_figures_than_the_whole_one(name: str, tmp_path: Path) -> None:
    whole = FILES[name][1](tmp_path / name)
    every = read(whole, received=RECEIVED)
    content = whole.read_bytes()
    for share in (0.4, 0.98):
        part = tmp_path / f"{share}-{name}"
        part.write_bytes(content[: int(len(content) * share)])
        try:
            reading = read(part, received=RECEIVED)
        except DataError:
            continue
        # Text has no end mark; what is cut off at a line is a shorter file.
        assert name.endswith(".csv")
        assert len(reading.observations) <= len(every.observations)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".csv")])
def test_another_encoding_is_refused_or_makes_no_difference(name: str, tmp_path: Path) -> None:
    whole = FILES[name][1](tmp_path / name)
    every = read(whole, received=RECEIVED).observations
    text = whole.read_bytes().decode("utf-8-sig")
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252"):
        path = tmp_path / f"{encoding}-{name}"
        path.write_bytes((text + "\u00e9\u00e9").encode(encoding))
        try:
            same = read(path, received=RECEIVED).observations
        except DataError:
            assert encoding != "utf-8-sig" or "\u00e9" in str(text + "\u00e9")
        else:
            assert same.equals(every)


# --- Workbooks that are made to do harm ----------------------------------------------------------


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", b"<Types/>")
        for name, content in members.items():
            packed.writestr(name.replace("__", "/"), content)
    return path


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.xlsx", **{"xl__worksheets__sheet1.xml": b" " * (34 * MIB)})
    assert "it would unpack to 34 MiB" in refusal(bomb)


def test_an_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(own_csv(tmp_path / "own.csv"), "own.csv")
    assert "it is an archive, not a workbook; unpack it" in refusal(path)


@pytest.mark.parametrize(
    ("member", "what"),
    [("xl__externalLinks__externalLink1.xml", "links to other files"), ("xl__vbaProject.bin", "macros")],
)
def test_links_and_macros_are_refused(member: str, what: str, tmp_path: Path) -> None:
    path = milex_book(tmp_path / "book.xlsx")
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(member.replace("__", "/"), b"<externalLink/>")
    assert what in refusal(path)


def test_entities_in_a_sheet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "spoilt.xlsx"
    head = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    repack(path, "sheet2.xml", lambda content: head + content[content.index(b"<worksheet") :])
    assert "it is no sound Excel workbook" in refusal(path)


def test_too_many_columns_and_cells_are_refused(tmp_path: Path) -> None:
    book = Workbook()
    book.active.cell(1, limits.MAX_COLUMNS + 1, "month")
    book.save(tmp_path / "wide.xlsx")
    assert "more than 1,000 columns" in refusal(tmp_path / "wide.xlsx")


def test_a_sheet_of_far_away_cells_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "far.xlsx"
    row = b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>'
    repack(path, "sheet2.xml", lambda content: content.replace(b"</sheetData>", row))
    assert "more than 400,000 cells or 20,000 rows" in refusal(path)


# --- Text and markup that is made to do harm -------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda p: p.write_bytes(b"a," * 10_000_000), "line 1: longer than 1,048,576 bytes"),
        (lambda p: p.write_text(",".join(["series"] * 2000) + "\n"), "none of the text files"),
        (lambda p: p.write_text(UK_HEAD + "," * 3000 + "\n1\n"), "more than 1,000 columns"),
        (lambda p: p.write_text(f'Report Date: 08-Nov-2026\n{UK_HEAD}\n"{"x" * 200_000}\n'), "not closed"),
        (lambda p: p.write_text("\n".join(SDN_ROWS) + '\n"36,' + "x\n" * 200_000), "not closed"),
        (lambda p: p.write_bytes(SDN_ROWS[0].encode() + b"\n\x00\x01\x02"), "bytes that are no text"),
    ],
)
def test_text_without_measure_is_refused(make: Callable[[Path], object], what: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    make(path)
    assert what in refusal(path)


LAUGHS = "".join(
    f'<!ENTITY l{n} "{"&l" + str(n - 1) + ";" if n else "ha"}{"&l0;" * 9}">' for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("head", "body", "what"),
    [
        (f"<!DOCTYPE x [{LAUGHS}]>", "&l8;", "it declares a document type or entities"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">', "", "it declares a document type or entities"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "&e;", "it declares a document type"),
        ("", "<a>" * 100 + "</a>" * 100, "nested more than 64 deep"),
        ("", "&undefined;", "undefined entity"),
        ("", "<ENTITY>" + "<A/>" * 20_001 + "</ENTITY>", "more than 20,000 elements"),
        ("", "<ENTITY>" + "x" * (5 * MIB) + "</ENTITY>", "more than 4,194,304 letters"),
        ("", "<!--" + "x" * (9 * MIB) + "-->", "one piece of it does not end"),
        ("", "<ENTITY><DATAID>7</DATAID>", "it is no sound XML (mismatched tag)"),
    ],
)  # fmt: skip
def test_markup_without_measure_is_refused(head: str, body: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    opening = '<CONSOLIDATED_LIST dateGenerated="2026-11-03T23:00:06">'
    path.write_text(
        f'<?xml version="1.0"?>{head}{opening}<X>{body}</X></CONSOLIDATED_LIST>', encoding="utf-8"
    )
    assert what in refusal(path)


# --- Time and memory, each in a process of its own -------------------------------------------------


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(SDN_ROWS[0].encode() + b"\n")
        stream.truncate(2 * 1024 * MIB)


def sparse_within(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(SDN_ROWS[0].encode() + b"\n")
        stream.truncate(limits.MAX_TABLE_BYTES)


def wide(path: Path) -> None:
    path.write_bytes(b"," * 10_000_000 + b"\n")


def quoted(path: Path) -> None:
    path.write_bytes("\n".join(SDN_ROWS).encode() + b'\n"' + b"x\n" * (limits.MAX_TABLE_BYTES // 2 - 200))


def deep(path: Path) -> None:
    path.write_bytes(b"<export xmlns='http://eu.europa.ec/fpi/fsd/export'>" + b"<a>" * 20_000_000)


def attribute(path: Path) -> None:
    path.write_bytes(
        b"<CONSOLIDATED_LIST dateGenerated='2026-11-03' x='" + b"y" * (limits.MAX_XML_BYTES - 99)
    )


SHEET = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData>'
    b"</worksheet>"
)


def many_rows(path: Path) -> None:
    rows = b"".join(b"<row><c><v>%d</v></c><c><v>%d</v></c></row>" % (n, n * 7) for n in range(60_000))
    repack(path, "sheet1.xml", lambda _: SHEET % rows)


def wide_rows(path: Path) -> None:
    cells = b"".join(b"<c><v>%d</v></c>" % n for n in range(999))
    rows = b"".join(b'<row r="%d">%s</row>' % (n, cells) for n in range(1, 700))
    repack(path, "sheet1.xml", lambda _: SHEET % rows)


def prefixed(path: Path) -> None:
    """Cells that only a parser can count."""
    cells = b"".join(b"<x:c><x:v>%d</x:v></x:c>" % n for n in range(999))
    rows = b"".join(b"<x:row>%s</x:row>" % cells for n in range(700))
    sheet = (SHEET % rows).replace(b"<worksheet xmlns=", b"<x:worksheet xmlns:x=")
    for name in (b"sheetData>", b"/worksheet>"):
        sheet = sheet.replace(b"<" + name, b"<x:" + name).replace(b"</" + name, b"</x:" + name)
    repack(path, "sheet1.xml", lambda _: sheet.replace(b"</worksheet>", b"</x:worksheet>"))


def repack(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    """A sound workbook with one part exchanged."""
    plain = milex_book(path.with_name("plain.xlsx"))
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith(part) else content)


def bomb(path: Path) -> None:
    archive(path, **{"xl__worksheets__sheet1.xml": b"\0" * (400 * MIB)})


HARM = (sparse, sparse_within, wide, quoted, deep, attribute, many_rows, wide_rows, prefixed, bomb)


@pytest.mark.slow
@pytest.mark.parametrize("make", HARM, ids=lambda make: make.__name__)
def test_harm_is_refused_within_two_seconds_and_half_a_gibibyte(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "harm"
    make(path)
    out = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    message, seconds, peak = json.loads(out.stdout)
    path.unlink()
    print(f"{make.__name__}: {seconds:.2f} s, {peak / MIB:.0f} MiB, {message}")
    assert message.startswith("File 'harm'")
    assert seconds < SECONDS
    assert peak < MEMORY


def test_the_files_of_a_year_from_now_are_far_below_the_limits(tmp_path: Path) -> None:
    for make in (milex_book, gpr_book, eu_xml, un_xml):
        path = make(tmp_path / make.__name__)
        assert path.stat().st_size * 10 < limits.MAX_BOOK_BYTES
