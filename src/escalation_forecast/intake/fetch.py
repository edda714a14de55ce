"""Downloading a file that somebody asked for: resumed where it broke off, limited, kept for the next time.

Only https, or http of this machine. Conditional requests and ranges as RFC 9110 has them (ETag, If-Range).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    import httpx

HERE: Final = ("127.0.0.1", "localhost")
KEPT: Final = "kept.json"
REDIRECTS: Final = 5
AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)
LONGEST_PAUSE: Final = 60.0
AGENT: Final = "escalation-forecast (data update)"


@dataclass(frozen=True)
class Limits:
    """What a download may take.

    Attributes
    ----------
    size : bytes.
    stall : seconds without a byte.
    total : seconds in all, pauses included.
    attempts : in all; each goes on where the one before broke off.
    backoff : seconds before the second attempt, doubled for each further one.
    """

    size: int = 200_000_000
    stall: float = 30.0
    total: float = 900.0
    attempts: int = 4
    backoff: float = 1.0


@dataclass(frozen=True)
class Fetched:
    """A file from the net.

    Attributes
    ----------
    unchanged : the server says that it is the one kept from the last time.
    """

    path: Path
    url: str
    sha256: str
    unchanged: bool = False


@dataclass
class _Kept:
    """What is known of a file between downloads: of the whole one, and of a part of a newer one."""

    etag: str = ""
    modified: str = ""
    part_etag: str = ""
    part_modified: str = ""


class _BrokenError(Exception):
    """An attempt that may be made again."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


def fetch(
    url: str,
    cache: Path | str,
    *,
    sha256: str | None = None,
    limits: Limits | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Fetched:
    """The file at an address, kept under `cache`.

    Parameters
    ----------
    sha256 : what the file must hash to, in hexadecimal.
    progress : told of bytes there are and bytes expected.

    Raises
    ------
    DataError
        One sentence: address not allowed, refused, stalled, too large, cut short, a web page, or not what
        `sha256` says. What had been kept before stays.
    """
    limits = limits or Limits()
    _allowed(url, url)
    folder = Path(cache) / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(unquote(urlsplit(url).path)).name.lstrip(".") or "download"
    whole, part = folder / name, folder / f".{name}.part"
    kept = _read_kept(folder)
    deadline = time.monotonic() + limits.total
    for attempt in range(1, limits.attempts + 1):
        try:
            unchanged = _attempt(url, whole, part, kept, folder, limits, deadline, progress)
            break
        except _BrokenError as error:
            pause = limits.backoff * 2.0 ** (attempt - 1) if error.pause is None else error.pause
            left = deadline - time.monotonic()
            if attempt == limits.attempts or pause >= left:
                kept_bytes = part.stat().st_size if part.exists() else 0
                rest = f"; {kept_bytes:,} bytes are kept for the next attempt" if kept_bytes else ""
                raise DataError(
                    f"{url} could not be downloaded in {attempt} attempt(s): {error}{rest}; try later, or "
                    "give a file with --file."
                ) from None
            time.sleep(pause)
    found = whole if unchanged else part
    digest = _digest(found)
    if sha256 is not None and digest != sha256.strip().lower():
        if not unchanged:
            part.unlink()
        raise DataError(
            f"{url} has SHA-256 {digest}, not {sha256} as asked; it was thrown away: look for a newer "
            "checksum, or ask the originator."
        )
    if not unchanged:
        if _is_page(part):
            part.unlink()
            raise DataError(_page_words(url))
        part.replace(whole)
        _write_kept(folder, _Kept(etag=kept.part_etag, modified=kept.part_modified))
    return Fetched(whole, url, digest, unchanged)


def forget(fetched: Fetched) -> None:
    """Ask for the whole file again next time, whatever the server says of it."""
    (fetched.path.parent / KEPT).unlink(missing_ok=True)


def _attempt(
    url: str, whole: Path, part: Path, kept: _Kept, folder: Path, limits: Limits, deadline: float,
    progress: Callable[[int, int | None], None] | None,
) -> bool:  # fmt: skip
    """One download into `part`; True if the whole file kept is still that of the server."""
    import httpx

    try:
        with _client(url, limits) as client:
            start = part.stat().st_size if part.exists() else 0
            headers = {"Accept-Encoding": "identity", "User-Agent": AGENT}
            # A weak validator does not promise the same bytes.
            strong = kept.part_etag if not kept.part_etag.startswith("W/") else ""
            if start and (mark := strong or kept.part_modified):
                headers |= {"Range": f"bytes={start}-", "If-Range": mark}
            elif whole.exists():
                headers |= {"If-None-Match": kept.etag} if kept.etag else {}
                headers |= {"If-Modified-Since": kept.modified} if kept.modified else {}
            with _follow(client, url, headers) as response:
                return _receive(response, url, whole, part, kept, folder, limits, deadline, progress)
    except httpx.TimeoutException:
        raise _BrokenError(f"the server was silent for {limits.stall:g} s") from None
    except httpx.RemoteProtocolError as error:
        raise _BrokenError(f"the connection ended early ({error})") from None
    except httpx.TransportError as error:
        raise _BrokenError(f"{error or type(error).__name__}") from None
    except httpx.InvalidURL as error:
        raise DataError(f"{url} is not an address ({error}); correct it.") from None


def _receive(
    response: httpx.Response, url: str, whole: Path, part: Path, kept: _Kept, folder: Path, limits: Limits,
    deadline: float, progress: Callable[[int, int | None], None] | None,
) -> bool:  # fmt: skip
    status = response.status_code
    if status == 304 and whole.exists():
        return True
    if status == 416:
        part.unlink(missing_ok=True)
        raise _BrokenError("the server has no such part; the download starts over", pause=0.0)
    if status in AGAIN:
        after = response.headers.get("Retry-After", "")
        pause = min(float(after), LONGEST_PAUSE) if after.isdigit() else None
        raise _BrokenError(f"the server answers {status} ({response.reason_phrase})", pause)
    if status not in (200, 206):
        raise DataError(
            f"{url} cannot be downloaded: the server answers {status} ({response.reason_phrase}); check the "
            "address, or download it by hand and give it with --file."
        )
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise DataError(_page_words(url))
    there = part.stat().st_size if part.exists() else 0
    if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
        part.unlink(missing_ok=True)
        raise _BrokenError("the server sent another part than asked; the download starts over", pause=0.0)
    if status == 200:
        there = 0
        kept.part_etag = response.headers.get("ETag", "")
        kept.part_modified = response.headers.get("Last-Modified", "")
        _write_kept(folder, kept)
    length = response.headers.get("Content-Length", "")
    expected = there + int(length) if length.isdigit() else None
    if expected is not None and expected > limits.size:
        raise DataError(_large_words(url, limits.size))
    with part.open("ab" if there else "wb") as file:
        for piece in response.iter_raw():
            there += len(piece)
            if there > limits.size:
                file.close()
                part.unlink()
                raise DataError(_large_words(url, limits.size))
            file.write(piece)
            if progress is not None:
                progress(there, expected)
            if time.monotonic() > deadline:
                raise _BrokenError(f"it took longer than {limits.total:g} s")
        file.flush()
        os.fsync(file.fileno())
    if expected is not None and there < expected:
        raise _BrokenError(f"{there:,} of {expected:,} bytes came")
    if there == 0:
        raise _BrokenError("the file is empty")
    return False


def _client(url: str, limits: Limits) -> httpx.Client:
    import httpx

    local = urlsplit(url).hostname in HERE
    return httpx.Client(timeout=limits.stall, follow_redirects=False, trust_env=not local)


def _follow(client: httpx.Client, url: str, headers: dict[str, str]) -> Any:
    """The answer of the last of a few addresses, each of which is allowed."""
    now = url
    for _ in range(REDIRECTS + 1):
        request = client.build_request("GET", now, headers=headers)
        response = client.send(request, stream=True)
        if response.status_code not in (301, 302, 303, 307, 308):
            return _closing(response)
        response.close()
        now = urljoin(now, response.headers.get("Location", ""))
        _allowed(now, url)
    raise DataError(f"{url} leads on more than {REDIRECTS} times; give the address of the file itself.")


def _closing(response: httpx.Response) -> Any:
    from contextlib import closing

    return closing(response)


def _allowed(url: str, asked: str) -> None:
    """Raise `DataError` unless an address is https, or http of this machine if that was asked for."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise DataError(f"{asked} is not an address; write https://host/file.") from None
    local = host in HERE
    if host and ((parts.scheme == "https" and not local) or (parts.scheme in ("http", "https") and local)):
        if local and urlsplit(asked).hostname not in HERE:
            raise DataError(f"{asked} leads to {url}, which is on this machine; it is not followed.")
        return
    shown = parts.scheme or "no scheme"
    if url != asked:
        raise DataError(f"{asked} leads to {url}, which is {shown}, not https; it is not followed.")
    raise DataError(f"{url} is {shown}, not https; give an https address, or a file with --file.")


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _page_words(url: str) -> str:
    return f"{url} is a web page, not a file of figures; give the address of the file itself."


def _large_words(url: str, size: int) -> str:
    return f"{url} is larger than {size:,} bytes; give a greater --max-size if that is right."


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_kept(folder: Path) -> _Kept:
    try:
        found = json.loads((folder / KEPT).read_text(encoding="utf-8"))
        return _Kept(**{name: str(found.get(name, "")) for name in asdict(_Kept())})
    except (OSError, ValueError, AttributeError):
        return _Kept()


def _write_kept(folder: Path, kept: _Kept) -> None:
    draft = folder / f".{KEPT}"
    draft.write_text(json.dumps(asdict(kept)), encoding="utf-8")
    draft.replace(folder / KEPT)
