"""The job as a Prefect flow, on a real server that listens on this machine only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent


def ask(url: str, body: Any = None) -> Any:
    """Answer of the server's API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment in which Prefect speaks to a server of its own."""
    pytest.importorskip("prefect")
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment = kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PYTHONPATH": str(TESTS),
        "NO_COLOR": "1",
    }
    start = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *start], env=environment, stdout=log, stderr=log)
        try:
            wait_for(lambda: ask(f"{environment['PREFECT_API_URL']}/health") is True, 120, process)
            yield environment
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(met: Any, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process is None or process.poll() is None, "it ended by itself"
        try:
            if met():
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"not within {seconds:.0f} s")


def script(root: Path, last: str, codes: str = "") -> list[str]:
    """A program with the flow, whose command is a job on stand-ins that first ends with the given codes."""
    job = root / "job.py"
    job.write_text(
        textwrap.dedent(f"""
            import json, sys
            from pathlib import Path
            root = Path({str(root)!r})
            codes = (root / "codes").read_text().split()
            (root / "codes").write_text(" ".join(codes[1:]))
            if codes:
                print(json.dumps({{"exit_code": int(codes[0]), "message": "as told"}}))
                sys.exit(int(codes[0]))
            from job_stand_in import Fit, config, tools
            from escalation_forecast.job import run_job
            outcome = run_job(config(root), tools=tools(Fit(root / "count")))
            print(json.dumps(outcome.as_dict()))
            sys.exit(outcome.code)
        """)
    )
    (root / "codes").write_text(codes)
    (root / "figures.txt").write_text("one")
    main = root / "main.py"
    main.write_text(
        f"import sys\nfrom escalation_forecast.job import flow\n"
        f"flow.command = lambda config: [sys.executable, {str(job)!r}]\n"
        f"if __name__ == '__main__':\n    {last}\n"
    )
    return [sys.executable, str(main)]


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    told: dict[str, Any] = {"env": environment, "capture_output": True, "text": True, "timeout": 240}
    return subprocess.run(command, check=False, **told)


RUN = "print('found', flow.reforecast('job.toml', retry_minutes=[0.01, 0.01]))"


@pytest.mark.slow
def test_flow_publishes_and_then_finds_nothing_changed(tmp_path: Path, server: dict[str, str]) -> None:
    command = script(tmp_path, RUN)
    first, second = run(command, server), run(command, server)
    assert "'exit_code': 0" in first.stdout
    assert "'exit_code': 10" in second.stdout
    # What the job says is in the flow's log.
    assert "archive: done" in first.stderr
    runs = ask(f"{server['PREFECT_API_URL']}/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 2})
    assert [one["state_type"] for one in runs] == ["COMPLETED", "COMPLETED"]


@pytest.mark.slow
def test_flow_tries_again_when_the_archive_was_away(tmp_path: Path, server: dict[str, str]) -> None:
    done = run(script(tmp_path, RUN, codes="40 1"), server)
    assert "'exit_code': 0" in done.stdout, done.stderr
    assert (tmp_path / "codes").read_text() == ""


@pytest.mark.slow
@pytest.mark.parametrize("code", [20, 30, 50])
def test_flow_does_not_repeat_what_would_fail_again(
    tmp_path: Path, server: dict[str, str], code: int
) -> None:
    done = run(script(tmp_path, RUN, codes=f"{code} 0 0"), server)
    assert done.returncode != 0
    assert f"exit code {code}: as told" in done.stderr
    assert (tmp_path / "codes").read_text() == "0 0"
    (newest,) = ask(f"{server['PREFECT_API_URL']}/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    assert newest["state_type"] == "FAILED"


@pytest.mark.slow
def test_schedule_runs_the_command_when_it_is_due(tmp_path: Path, server: dict[str, str]) -> None:
    """Each run is a process that loads the flow anew; its command finds no configuration and says so."""
    start = ["-m", "escalation_forecast.job.flow", "--config", "no-such.toml", "--cron", "* * * * *"]
    api = server["PREFECT_API_URL"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *start], env=server, stdout=log, stderr=log, cwd=tmp_path)
        try:
            named = {"deployments": {"name": {"any_": ["daily"]}}}
            wait_for(lambda: ask(f"{api}/deployments/filter", named), 60, process)
            (deployment,) = ask(f"{api}/deployments/filter", named)
            assert [one["schedule"]["cron"] for one in deployment["schedules"]] == ["* * * * *"]
            mine = {"deployments": {"id": {"any_": [deployment["id"]]}}}
            failed = {"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}} | mine
            wait_for(lambda: ask(f"{api}/flow_runs/filter", failed), 150, process)
            found = ask(f"{api}/flow_runs/filter", failed)[0]["state"]["message"]
        finally:
            process.terminate()
            process.wait(60)
    assert "exit code 30: no-such.toml is not there" in found


def test_flow_without_prefect_says_what_to_install() -> None:
    code = "import sys; sys.modules['prefect'] = None\nimport escalation_forecast.job.flow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'escalation-forecast[schedule]'" in done.stderr.splitlines()[-1]
