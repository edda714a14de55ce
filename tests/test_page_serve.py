"""The archive's pages on this machine: who may ask, for what, and how it ends."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from escalation_forecast.cli import app
from escalation_forecast.ledger import Ledger
from escalation_forecast.page.build import SLOT
from escalation_forecast.page.serve import HOST, Pages, server
from escalation_forecast.schema import DataError
from run_folder import run_folder

EARLIER, LATER = "0" * 16, "1" * 16
REST: dict[str, Any] = {"theatres": [], "spending": [], "war": None, "skill": []}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    place = tmp_path_factory.mktemp("archive")
    with Ledger.open(f"sqlite:///{place / 'archive.sqlite'}", str(place / "runs")) as opened:
        for name, day in ((EARLIER, "2026-05-01"), (LATER, "2026-06-15")):
            opened.publish(run_folder(place / "runs", name, as_of=day, **REST))
        (place / "secret.html").write_text("secret")
        yield opened


class Maker:
    """In the place of `render`: says for which run it was asked, and how often."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, record: Any, **_: Any) -> str:
        self.asked.append(record.run_id)
        if record.run_id == EARLIER:
            raise ValueError("nothing to draw")
        return f"<p>page of {record.run_id}</p>{SLOT}"


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def port(ledger: Ledger, maker: Maker, tmp_path: Path) -> Iterator[int]:
    pages = Pages(ledger, make=maker)
    assert pages.folder == Path(ledger.files.place) / "pages"
    pages.folder = tmp_path
    web = server(pages, 0)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield int(web.server_address[1])
    web.shutdown()
    web.server_close()
    thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


def test_list_and_page(port: int) -> None:
    status, text, headers = ask(port, "/")
    assert status == 200
    assert text.index(f"/runs/{LATER}") < text.index(f"/runs/{EARLIER}")
    assert "15 June 2026" in text
    assert headers["x-content-type-options"] == "nosniff"
    status, text, _ = ask(port, f"/runs/{LATER}")
    assert status == 200
    assert f"page of {LATER}" in text
    assert f'href="/runs/{EARLIER}"' in text
    assert f'href="/runs/{LATER}"' not in text
    assert SLOT not in text
    assert ask(port, "/runs/latest")[1] == text


def test_page_is_made_once_however_many_ask(port: int, maker: Maker, ledger: Ledger, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = set(pool.map(lambda _: ask(port, f"/runs/{LATER}")[1], range(16)))
    assert len(texts) == 1
    assert maker.asked == [LATER]
    assert [file.name[:16] for file in tmp_path.iterdir()] == [LATER]
    step = {"run_id": LATER, "previous_id": EARLIER, "answer": "a", "step": 0, "kind": "news", "label": "x"}
    ledger.put("explanations", [step | {"change": 0.1, "mcse": 0.0}])
    ask(port, f"/runs/{LATER}")
    assert maker.asked == [LATER, LATER]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", ""]
)
def test_other_names_for_this_machine_are_refused(port: int, maker: Maker, host: str) -> None:
    status, text, _ = ask(port, f"/runs/{LATER}", Host=host.format(port=port))
    assert status == 421
    assert "page of" not in text
    assert maker.asked == []
    assert ask(port, "/", Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/runs/../secret.html", "/runs/..%2f..%2fsecret.html", "/runs/%2e%2e/secret.html", "/secret.html",
     "/runs/", "/runs//etc/passwd", f"/runs/{LATER}/../../secret.html", f"/runs/{LATER}%00",
     "/runs/2222222222222222", "/runs/<script>alert(1)</script>", "//evil.example/", "/runs/" + "a" * 3000],
)  # fmt: skip
def test_what_is_no_run_is_not_there(port: int, maker: Maker, path: str) -> None:
    status, text, _ = ask(port, path.replace(" ", "%20"))
    assert status == 404 if path != "//evil.example/" else status in (200, 404)
    assert "secret</" not in text
    assert text != "secret"
    assert "<script>" not in text
    assert maker.asked == []


def test_one_broken_page_does_not_stop_the_others(
    port: int, maker: Maker, capfd: pytest.CaptureFixture[str]
) -> None:
    status, text, _ = ask(port, f"/runs/{EARLIER}")
    assert status == 500
    assert "nothing to draw" in text
    assert "ValueError" in capfd.readouterr().err
    assert ask(port, f"/runs/{LATER}")[0] == 200


def test_only_reading(port: int) -> None:
    assert ask(port, "/", "POST")[0] == 501
    status, text, headers = ask(port, "/", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["content-length"]) > 500


def test_port_that_is_taken(ledger: Ledger, port: int) -> None:
    with pytest.raises(DataError, match=rf"Port {port} .*--port"):
        server(Pages(ledger), port)


def test_only_this_machine_can_connect(port: int) -> None:
    """Another address of the loopback network finds nobody."""
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.2", port, timeout=5).connect()


def test_no_archive(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--archive", f"sqlite:///{tmp_path / 'a.sqlite'}"])
    assert result.exit_code == 2
    assert "no archive" in result.output


@pytest.mark.slow
def test_command_serves_a_real_page_and_ends_on_interrupt(ledger: Ledger) -> None:
    program = [sys.executable, "-c", "from escalation_forecast.cli import app; app()", "serve", "--port", "0"]
    given = ["--archive", str(ledger.engine.url), "--files", ledger.files.place, "--no-explorer"]
    process = subprocess.Popen([*program, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split("/")[2].rpartition(":")[2])
        status, text, _ = ask(port, f"/runs/{LATER}")
        assert status == 200
        assert "As of" in text
        assert "Other runs of the archive" in text
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert out.strip() == "Ended."
    assert err == ""
    assert ledger.verify() == []
