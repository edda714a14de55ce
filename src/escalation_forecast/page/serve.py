"""The archive's pages on this machine: a list of runs, and each run's page, made when first asked for.

Only 127.0.0.1 listens. The Host header is checked, so that a page of the web cannot read it by a name that
resolves to this machine; ids are looked up in the archive before anything is read.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup

from escalation_forecast.page.build import CACHE, SLOT, TEMPLATES, environment, put, render
from escalation_forecast.page.safety import policy
from escalation_forecast.page.words import day
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger, RunRecord

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8765
RUNS: Final = "/runs/"
LATEST: Final = "latest"
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass
class Pages:
    """Pages of the runs of an archive; what was made is kept in ``pages/`` beside the runs.

    Attributes
    ----------
    folder : of the pages that were made.
    make : what makes one, by default `render`.
    """

    ledger: Ledger
    scenarios: bool = False
    explorer: bool = True
    make: Callable[..., str] = render
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        from escalation_forecast.ledger.copies import cache_folder

        local = self.ledger.files.local
        self.folder = (local or cache_folder(self.ledger.files.place)) / CACHE
        self._one = threading.Lock()

    def listing(self) -> str:
        """The list of runs as a page."""
        runs = self._runs()
        css = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
        template = environment().get_template("runs.html.j2")
        return template.render(runs=runs, css=css, version=version("escalation-forecast"), policy=policy([]))

    def page(self, run_id: str) -> str:
        """The page of a run, with the list of the others.

        Raises
        ------
        DataError
            When the archive has no such run.
        """
        record = self.ledger.latest() if run_id == LATEST else self.ledger.get(run_id)
        if record is None:
            raise DataError("No run of the archive is published yet; publish one first.")
        file = self.folder / f"{record.run_id}-{self._digest(record)}.html"
        # Two who ask at once wait for one page, which takes half a minute with everything on it.
        with self._one:
            if not file.is_file():
                text = self.make(
                    record, ledger=self.ledger, scenarios=self.scenarios and record.state != "failed",
                    explorer=self.explorer,
                )  # fmt: skip
                put(file, text)
        text = file.read_text(encoding="utf-8")
        others = environment().get_template("picker.html.j2").render(runs=self._runs(), own=record.run_id)
        return text.replace(SLOT, others, 1)

    def _runs(self) -> list[dict[str, Any]]:
        return [
            {
                "id": str(row["run_id"]),
                "as_of": day(row["as_of"]),
                "made": f"{row['created_at']:%Y-%m-%d %H:%M}",
                "state": str(row["state"]),
                "latest": bool(row["latest"]),
                "answers": int(row["n_answers"] or 0),
            }
            for row in self.ledger.runs().to_dict("records")
        ]

    def _digest(self, record: RunRecord) -> str:
        """Of everything that a page is made from and that can change while the run cannot."""
        kept = self.ledger.table("explanations", run_id=record.run_id)
        newest = self.ledger.runs(limit=1)["run_id"].tolist()
        content = (_program(), len(kept), newest, self.scenarios, self.explorer)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


@cache
def _program() -> str:
    """The program that makes pages, by its files."""
    found = hashlib.sha256(version("escalation-forecast").encode())
    for file in sorted(Path(__file__).parents[1].rglob("*")):
        if file.suffix in (".py", ".j2", ".css", ".js"):
            found.update(file.read_bytes())
    return found.hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Another server of ours on the port is an error and not shared.
    allow_reuse_address = sys.platform != "win32"
    pages: Pages


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "escalation-forecast"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        status, text = self._found()
        content = text.encode()
        try:
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _found(self) -> tuple[HTTPStatus, str]:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return HTTPStatus.MISDIRECTED_REQUEST, _plain("This server answers to 127.0.0.1 only.")
        path = urlsplit(self.path).path
        try:
            if path == "/":
                return HTTPStatus.OK, self.server.pages.listing()
            if path.startswith(RUNS):
                return HTTPStatus.OK, self.server.pages.page(path.removeprefix(RUNS))
        except DataError as error:
            return HTTPStatus.NOT_FOUND, _plain(str(error))
        except Exception as error:  # one page that cannot be made is no reason to stop
            self.log_error("%s", f"{path}: {type(error).__name__}: {error}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, _plain(f"The page could not be made: {error}")
        return HTTPStatus.NOT_FOUND, _plain("There is no such page; the list of runs is at /.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged; `log_error` is."""

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002
        print(format % args, file=sys.stderr, flush=True)


def _plain(text: str) -> str:
    css = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
    return environment().get_template("plain.html.j2").render(text=text, css=css, policy=policy([]))


def server(pages: Pages, port: int = DEFAULT_PORT) -> ThreadingHTTPServer:
    """A server of the pages on 127.0.0.1; ``serve_forever`` runs it, ``server_close`` ends it.

    Parameters
    ----------
    port : 0 takes a free one, see ``server_address``.

    Raises
    ------
    DataError
        When the port is taken or not allowed.
    """
    try:
        found = _Server((HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"Port {port} of {HOST} cannot be used ({reason}); choose another with --port."
        ) from None
    found.pages = pages
    return found
