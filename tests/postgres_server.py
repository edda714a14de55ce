"""A PostgreSQL server of one's own, in a temporary folder and on a Unix socket, for slow tests.

As a fixture::

    @pytest.fixture(scope="module")
    def server() -> Iterator[PostgresServer]:
        with PostgresServer() as running:
            yield running
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

PORT = 5432  # of the socket's name; nothing listens on the network
OWNER = "nobody"  # PostgreSQL refuses to run as root


def binaries() -> Path:
    """Folder of ``postgres`` and ``initdb``; the test is skipped where there is none."""
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "initdb").is_file():
            return found
    if (initdb := shutil.which("initdb")) is not None:
        return Path(initdb).parent
    pytest.skip("no PostgreSQL server is installed")


class PostgresServer:
    """A server that can be stopped, killed and started again; its data stay until `close`."""

    def __init__(self) -> None:
        self._bin = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self._data, self._names = self._folder / "data", itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        command = [
            self._bin / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._as)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self._folder / "log").open("ab")
        options = [
            f"-k{self._folder}",
            f"-p{PORT}",
            "-clisten_addresses=",
            "-cfsync=off",
            "-cmax_connections=60",
        ]
        with log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", **self._as,
            )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self._process.poll() is None and self._answers():
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Shut down, ending all connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)
        # Its children notice within a moment, and it does not start again before that.
        time.sleep(0.5)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it and remove its data."""
        if self._process is not None:
            self._end(signal.SIGQUIT)  # at once: nothing of it is kept
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self) -> str:
        """URL of a new and empty database."""
        name = f"archive{next(self._names)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}@/{name}?host={self._folder}&port={PORT}"

    def run(self, *statements: str, name: str = "postgres") -> None:
        """Run statements as the superuser, each by itself."""
        engine = sa.create_engine(self.url(name), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def _answers(self) -> bool:
        asked = [self._bin / "pg_isready", "-h", self._folder, "-p", str(PORT), "-q"]
        return subprocess.run(asked, check=False, cwd="/").returncode == 0

    def _end(self, how: int) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None
