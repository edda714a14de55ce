"""The job as a Prefect 3 flow: the same command, with a schedule, retries and a page that shows them.

::

    python -m escalation_forecast.job.flow --config job.toml --cron "30 6 * * *" --timezone Europe/Berlin

Needs the extra ``schedule`` and a Prefect server (``prefect server start``; ``PREFECT_API_URL``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

from escalation_forecast.job.codes import Code

# Before Prefect is imported, which reads them: a forecast's machine tells nobody that it forecasts.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

try:
    from prefect import flow, get_run_logger, task
    from prefect.schedules import Cron
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "The flow needs Prefect; install the extra: pip install 'escalation-forecast[schedule]'."
    ) from None

NAME: Final = "reforecast"
# Another job at work is as good as one of one's own.
WELL: Final = (Code.PUBLISHED, Code.UNCHANGED, Code.LOCKED)
# A database or a disk may be back later; figures and fits are as bad as they were.
LATER: Final = (Code.ARCHIVE, Code.NOT_WRITTEN, Code.OTHER)
RETRY_MINUTES: Final = (5.0, 15.0, 45.0)
GRACE_SECONDS: Final = 60.0


class JobError(RuntimeError):
    """The job did not end well; ``code`` says how."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(f"exit code {code}: {message}", code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


def command(config: str) -> list[str]:
    """The command that a flow runs: a process of its own has its own memory, signals and end."""
    start = "from escalation_forecast.cli import app; app()"
    return [sys.executable, "-c", start, "reforecast", "--json", "--config", config]


def _may_pass_later(_: Any, __: Any, state: Any) -> bool:
    try:
        state.result()
    except JobError as error:
        return error.code in LATER
    except Exception:
        return True
    return False


@task(name="job", retry_condition_fn=_may_pass_later)
def attempt(config: str) -> dict[str, Any]:
    """Run the job once; its log goes to the flow's.

    Raises
    ------
    JobError
        When it does not end well.
    """
    logger = get_run_logger()
    process = subprocess.Popen(command(config), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stdout is not None
    lines = process.stderr

    def tell() -> None:
        for line in lines:
            logger.info(line.rstrip())

    reader = threading.Thread(target=tell, daemon=True)
    reader.start()
    try:
        said = process.stdout.read()
        code = process.wait()
    finally:
        # A flow that is cancelled ends its job, cleanly.
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    reader.join(GRACE_SECONDS)
    try:
        outcome: dict[str, Any] = json.loads(said)
    except json.JSONDecodeError:
        outcome = {"exit_code": code, "message": "it said nothing; see the log"}
    if code not in WELL:
        raise JobError(str(outcome["message"]), code)
    return outcome


@flow(name=NAME)
def reforecast(config: str, retry_minutes: list[float] | None = None) -> dict[str, Any]:
    """Forecast anew if anything changed.

    Parameters
    ----------
    config : path of the job's configuration.
    retry_minutes : waits before each further attempt when the archive or a disk was out of reach; by default
        5, 15 and 45.

    Returns
    -------
    What ``reforecast --json`` prints.
    """
    waits = [60.0 * minutes for minutes in (RETRY_MINUTES if retry_minutes is None else retry_minutes)]
    patient = attempt.with_options(retries=len(waits), retry_delay_seconds=waits or 0)
    found: dict[str, Any] = patient(config)
    return found


def serve(config: str, cron: str, timezone: str = "UTC") -> None:
    """Register the flow with its schedule and run it when it is due, until the process ends."""
    reforecast.serve(
        name="daily", schedule=Cron(cron, timezone=timezone), parameters={"config": config}, limit=1
    )


def main(given: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m escalation_forecast.job.flow", description=__doc__)
    parser.add_argument("--config", required=True, help="configuration of the job (TOML)")
    parser.add_argument("--cron", default="30 6 * * *", help="when, as in a crontab; default 06:30")
    parser.add_argument("--timezone", default="UTC", help="of the schedule, such as Europe/Berlin")
    told = parser.parse_args(given)
    serve(told.config, told.cron, told.timezone)


if __name__ == "__main__":
    main()
