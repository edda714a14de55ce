"""Downloads: what breaks off goes on, and what is not a file of figures never gets in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escalation_forecast.intake.fetch import Limits, fetch
from escalation_forecast.schema import DataError
from quirky_server import Server, serving

BODY = b"".join(b"row %d\n" % n for n in range(40_000))
QUICK = Limits(size=10_000_000, stall=0.3, total=5.0, attempts=3, backoff=0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        one.body = BODY
        yield one


def got(server: Server, tmp_path: Path, **given: Any) -> Any:
    return fetch(server.url, tmp_path, limits=given.pop("limits", QUICK), **given)


def test_a_download_that_breaks_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut = [100_000, 150_000]
    found = got(server, tmp_path)
    assert found.path.read_bytes() == BODY
    assert found.path.name == "figures.csv"
    ranges = [one.get("Range") for one in server.asked]
    assert ranges == [None, "bytes=100000-", "bytes=250000-"]
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_later_command_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.cut = [70_000]
    once = Limits(attempts=1, stall=0.3)
    with pytest.raises(DataError, match=r"1 attempt.*70,000 bytes are kept"):
        got(server, tmp_path, limits=once)
    assert got(server, tmp_path, limits=once).path.read_bytes() == BODY
    assert server.asked[-1]["Range"] == "bytes=70000-"


def test_a_file_that_changed_meanwhile_is_not_patched_together(server: Server, tmp_path: Path) -> None:
    server.cut = [70_000]
    with pytest.raises(DataError):
        got(server, tmp_path, limits=Limits(attempts=1))
    server.body = BODY[::-1]
    assert got(server, tmp_path).path.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("ability", ["ranges", "etag"])
def test_a_server_that_cannot_go_on_starts_over(server: Server, tmp_path: Path, ability: str) -> None:
    setattr(server, ability, False)
    server.cut = [70_000]
    assert got(server, tmp_path).path.read_bytes() == BODY


def test_the_same_file_is_not_downloaded_twice(server: Server, tmp_path: Path) -> None:
    first, second = got(server, tmp_path), got(server, tmp_path)
    assert (first.unchanged, second.unchanged) == (False, True)
    assert first.path == second.path
    server.body = b"series\nnewer\n"
    third = got(server, tmp_path)
    assert (third.unchanged, third.path.read_bytes()) == (False, server.body)


def test_a_wrong_checksum_throws_the_file_away(server: Server, tmp_path: Path) -> None:
    kept = got(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest().upper())
    server.body = b"something else"
    with pytest.raises(DataError, match="not 00ff as asked"):
        got(server, tmp_path, sha256="00ff")
    assert kept.path.read_bytes() == BODY
    assert not list(tmp_path.rglob("*.part"))


def test_a_checksum_is_held_against_what_is_kept_too(server: Server, tmp_path: Path) -> None:
    got(server, tmp_path)
    with pytest.raises(DataError, match="not 00ff as asked"):
        got(server, tmp_path, sha256="00ff")


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server, tmp_path: Path) -> None:
    server.status = [503, 429]
    assert got(server, tmp_path).path.read_bytes() == BODY
    server.status, server.asked = [404], []
    with pytest.raises(DataError, match=r"404 .*--file"):
        got(server, tmp_path)
    assert len(server.asked) == 1


def test_a_stall_ends(server: Server, tmp_path: Path) -> None:
    server.claims, server.stalls = len(BODY) + 10, True
    with pytest.raises(DataError, match=r"silent for 0\.1 s"):
        got(server, tmp_path, limits=Limits(stall=0.1, attempts=2, backoff=0.01))


def test_a_file_shorter_than_promised_is_refused(server: Server, tmp_path: Path) -> None:
    server.claims, server.etag = len(BODY) + 10, False
    with pytest.raises(DataError, match=r"3 attempt\(s\): the connection ended early"):
        got(server, tmp_path)


def test_a_file_that_is_cut_by_a_wrong_length_is_told_by_its_checksum(server: Server, tmp_path: Path) -> None:
    server.claims = 100
    with pytest.raises(DataError, match="as asked"):
        got(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest())


def test_too_much_ends_at_the_limit(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="larger than 1,000 bytes"):
        got(server, tmp_path, limits=Limits(size=1000))
    assert not list(tmp_path.rglob("*.part"))
    server.endless = True
    with pytest.raises(DataError, match="larger than 1,000,000 bytes"):
        got(server, tmp_path, limits=Limits(size=1_000_000))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("body", "kind"), [(BODY, "text/html; charset=utf-8"), (b"\n<!DOCTYPE html>", "text/csv")]
)
def test_a_web_page_is_no_file(server: Server, tmp_path: Path, body: bytes, kind: str) -> None:
    server.body, server.type = body, kind
    with pytest.raises(DataError, match="is a web page, not a file of figures"):
        got(server, tmp_path)
    assert not list(tmp_path.rglob("figures.csv"))


def test_an_empty_file_is_refused(server: Server, tmp_path: Path) -> None:
    server.body = b""
    with pytest.raises(DataError, match="the file is empty"):
        got(server, tmp_path)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://example.org/x.csv", "leads to http://example.org/x.csv, which is http, not https"),
        ("file:///etc/passwd", "leads to file:///etc/passwd, which is file, not https"),
        ("/figures.csv", "leads on more than 5 times"),
    ],
)
def test_where_a_server_sends_on_to(server: Server, tmp_path: Path, location: str, said: str) -> None:
    server.location = location
    with pytest.raises(DataError, match=said):
        got(server, tmp_path)


def test_a_server_may_send_on_within_this_machine(server: Server, tmp_path: Path) -> None:
    server.location = "/elsewhere.csv"
    assert got(server, tmp_path).path.read_bytes() == BODY


@pytest.mark.parametrize(
    "url",
    ["http://example.org/x.csv", "file:///etc/passwd", "ftp://127.0.0.1/x", "x.csv", "http://[", "https://"],
)
def test_addresses_that_are_never_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="https"):
        fetch(url, tmp_path)


def test_the_net_does_not_lead_into_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from escalation_forecast.intake.fetch import _allowed

    with pytest.raises(DataError, match="on this machine"):
        _allowed("http://127.0.0.1:8080/x", "https://example.org/x")


def test_nobody_there(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url
    with pytest.raises(DataError, match="could not be downloaded in 2 attempt"):
        fetch(url, tmp_path, limits=Limits(attempts=2, backoff=0.01))
