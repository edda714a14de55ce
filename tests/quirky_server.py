"""A server of this machine that can break off, stall, lie, send on, and send too much."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """What is served at any path but those that misbehave, and how.

    Attributes
    ----------
    cut : bytes after which the first answers break off, one for each; None is a whole one.
    asked : headers of the requests, oldest first.
    """

    def __init__(self) -> None:
        self.body = b""
        self.cut: list[int | None] = []
        self.type = "text/csv"
        self.status: list[int] = []
        self.location = ""
        self.claims: int | None = None
        self.stalls = False
        self.endless = False
        self.ranges = True
        self.etag = True
        self.asked: list[dict[str, str]] = []
        self.url = ""

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:12]}"'

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = dict(handler.headers.items())
        self.asked.append({"path": handler.path, **headers})
        if self.location and handler.path != "/elsewhere.csv":
            handler.send_response(302)
            handler.send_header("Location", self.location)
            handler.end_headers()
            return
        if self.status:
            handler.send_response(self.status.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if self.etag and headers.get("If-None-Match") == self.tag:
            handler.send_response(304)
            handler.end_headers()
            return
        start = 0
        if self.ranges and "Range" in headers and headers.get("If-Range") == self.tag:
            start = int(headers["Range"].removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.etag:
            handler.send_header("ETag", self.tag)
        handler.send_header("Content-Type", self.type)
        if not self.endless:
            handler.send_header("Content-Length", str(self.claims or len(self.body) - start))
        handler.end_headers()
        body = self.body[start:]
        cut = self.cut.pop(0) if self.cut else None
        handler.wfile.write(body if cut is None else body[:cut])
        if self.stalls:
            handler.wfile.flush()
            time.sleep(1.0)
        while self.endless:
            handler.wfile.write(b"x" * 65536)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                server.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}/figures.csv"
        yield server
        listening.shutdown()
        thread.join()
