"""The unattended job on figures that are a line of text and a fit that takes milliseconds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from escalation_forecast import alerts, archive, pipeline
from escalation_forecast.cli import app
from escalation_forecast.explain import Explanation, Part, Why
from escalation_forecast.fit import ConvergenceError, Settings
from escalation_forecast.job import MEANINGS, Code, Config, Outcome, read_config, run_job, work
from escalation_forecast.job.budget import OverBudget, Terminated, Watch, guarded, peak_memory_gb
from escalation_forecast.job.content import Asked, Identity, model_version
from escalation_forecast.job.recovery import remove_halves
from escalation_forecast.ledger import Ledger, LedgerError
from escalation_forecast.model import MODEL_VERSION
from escalation_forecast.priors import Priors
from escalation_forecast.questions import load_questions
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from job_stand_in import DAY, REASON, Fit, Ids, config, ended, forked, read, tools

DOCS = Path(__file__).parents[1] / "docs" / "reforecast.md"
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "figures.txt").write_text("one")
    return tmp_path


def job(root: Path, *, fit: Any = None, changes: dict[str, Any] | None = None, **tables: Any) -> Outcome:
    given = tools(fit or Fit(root / "count"), **(changes or {}))
    again = bool(tables.pop("again", False))
    return run_job(config(root, **tables), tools=given, again=again, stream=None)


def opened(root: Path) -> Ledger:
    given = config(root).archive
    return Ledger.open(given.url, given.files)


def fits(root: Path) -> list[str]:
    file = root / "count"
    return file.read_text().splitlines() if file.is_file() else []


def bytes_of(root: Path) -> dict[str, str]:
    """Hash of every file but the log and the locks."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    kept = (path for path in files if path.suffix != ".lock" and path.name != "log.jsonl")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


# How it ends ---------------------------------------------------------------------------------------------


def test_first_job_publishes_with_all_that_follows(root: Path) -> None:
    found = job(root)
    assert (found.code, found.new) == (Code.PUBLISHED, True)
    with opened(root) as ledger:
        latest = ledger.latest()
        assert latest is not None
        assert latest.run_id == found.run_id
        assert ledger.verify() == []
        steps = ledger.table("steps")
    states = dict(zip(steps["step"], steps["state"], strict=True))
    assert states["explain"] == "skipped"
    done = {
        "lock",
        "data",
        "compare",
        "panel",
        "id",
        "fit",
        "gates",
        "archive",
        "export",
        "report",
        "resolve",
        "alert",
    }
    assert {name for name, state in states.items() if state in ("done", "started")} == done | {"done"}
    exported = {file.name for file in (root / "exports" / found.run_id).iterdir()}
    assert exported == {"summary.json"}
    assert found.run_id[:12] in (root / "reports" / "latest.txt").read_text()


def test_second_job_finds_nothing_changed_and_changes_no_byte(root: Path) -> None:
    first, before = job(root), bytes_of(root)
    started = time.monotonic()
    second = job(root)
    assert time.monotonic() - started < 5
    assert (second.code, second.run_id, second.new) == (Code.UNCHANGED, first.run_id, False)
    assert bytes_of(root) == before
    assert len(fits(root)) == 1


def test_day_alone_is_no_change_and_month_is(root: Path) -> None:
    first = job(root, run={"as_of": dt.date(2026, 10, 5)})
    assert job(root, run={"as_of": dt.date(2026, 10, 30)}).code == Code.UNCHANGED
    later = job(root, run={"as_of": dt.date(2026, 11, 1)})
    assert (later.code, later.new) == (Code.PUBLISHED, True)
    assert later.run_id != first.run_id


@pytest.mark.parametrize("change", ["figures", "seed"])
def test_any_change_of_what_decides_is_fitted_and_explained(root: Path, change: str) -> None:
    first, asked = job(root), []

    def explain(_: Any, run: Any, previous: Any, *__: Any) -> str:
        asked.append((run.run_id, previous.run_id))
        return "explained"

    (root / "figures.txt").write_text("two" if change == "figures" else "one")
    second = job(root, changes={"explain": explain}, run={"seed": 2 if change == "seed" else 1})
    assert (second.code, second.new) == (Code.PUBLISHED, True)
    assert asked == [(second.run_id, first.run_id)]


def test_answer_that_moved_is_an_alert(root: Path) -> None:
    job(root)
    (root / "figures.txt").write_text("two")
    job(root)
    (line,) = [json.loads(text) for text in (root / "alerts.jsonl").read_text().splitlines()]
    assert (line["kind"], line["key"]) == ("moved", "use-of-force")


def test_gates_not_passed_twice_is_kept_as_failed_and_published_never(root: Path) -> None:
    good = job(root)
    (root / "figures.txt").write_text("two")
    found = job(root, fit=Fit(root / "count", failures=10**6))
    assert found.code == Code.GATE_FAILED
    assert REASON in found.message
    assert [line.split()[2] for line in fits(root)] == ["200", "200", "400"]
    with opened(root) as ledger:
        latest = ledger.latest()
        assert latest is not None
        assert latest.run_id == good.run_id
        failed = ledger.runs(state="failed")
        assert ledger.verify() == []
        alerts = ledger.table("alerts", kind="gate-failed")
    assert list(failed["reason"]) == [REASON, REASON]
    assert list(alerts["run_id"]) == [found.run_id]
    assert found.run_id in set(failed["run_id"])


def test_what_did_not_pass_is_not_fitted_again_until_something_changes(root: Path) -> None:
    stuck = Fit(root / "count", failures=10**6)
    first = job(root, fit=stuck, run={"as_of": dt.date(2026, 11, 2)})
    second = job(root, fit=stuck, run={"as_of": dt.date(2026, 11, 3)})
    assert (first.code, second.code) == (Code.GATE_FAILED, Code.GATE_FAILED)
    assert second.run_id == first.run_id
    assert len(fits(root)) == 2
    with opened(root) as ledger:
        assert len(ledger.table("alerts")) == 1
    assert job(root, run={"as_of": dt.date(2026, 11, 3)}, again=True).code == Code.PUBLISHED
    with opened(root) as ledger:
        assert ledger.verify() == []


def test_retry_has_a_longer_warm_up_and_is_the_one_published(root: Path) -> None:
    found = job(root, fit=Fit(root / "count", failures=200))
    assert found.code == Code.PUBLISHED
    with opened(root) as ledger:
        settings = ledger.get(found.run_id).summary["settings"]
        assert ledger.verify() == []
    assert (settings["tune"], settings["target_accept"]) == (400, 0.95)
    assert job(root).code == Code.UNCHANGED


def test_no_retry_when_it_is_turned_off(root: Path) -> None:
    found = job(root, fit=Fit(root / "count", failures=200), retry={"enabled": False})
    assert (found.code, len(fits(root))) == (Code.GATE_FAILED, 1)


def test_run_that_says_it_did_not_pass_is_not_published(root: Path) -> None:
    """A fit function that returns in place of raising is caught by the job's own look."""

    def careless(asked: Any, settings: Settings, out: Path) -> Any:
        run = Fit(root / "count")(asked, settings, out)
        summary = run.summary | {"diagnostics": {"passed": False, "reasons": ["Stuck."]}}
        return dataclasses.replace(run, summary=summary)

    found = job(root, fit=careless)
    assert (found.code, found.message) == (Code.GATE_FAILED, "Stuck.")
    with opened(root) as ledger:
        assert ledger.latest() is None


def test_draft_is_kept_and_is_never_the_latest(root: Path) -> None:
    found = job(root, run={"draft": True})
    assert (found.code, found.new) == (Code.PUBLISHED, True)
    with opened(root) as ledger:
        assert ledger.latest() is None
        assert ledger.get(found.run_id).state == "draft"
    assert job(root, run={"draft": True}).code == Code.UNCHANGED
    assert job(root).new


def test_refused_figures_are_an_alert_once_a_day(root: Path) -> None:
    (root / "figures.txt").write_text("bad")
    assert [job(root).code for _ in range(2)] == [Code.REFUSED] * 2
    assert fits(root) == []
    with opened(root) as ledger:
        (message,) = ledger.table("alerts", kind="input-refused")["message"]
    assert "`bad` is no figure" in message


def test_archive_that_does_not_answer(root: Path) -> None:
    found = job(root, archive={"url": "postgresql+psycopg://nobody@127.0.0.1:1/none"})
    assert found.code == Code.ARCHIVE
    assert fits(root) == []


def test_error_of_the_database_itself_is_the_archive(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise OperationalError("SELECT 1", {"secret": "x"}, ConnectionError("server closed the connection"))

    monkeypatch.setattr(Ledger, "latest", gone)
    found = job(root)
    assert (found.code, "SELECT" in found.message) == (Code.ARCHIVE, False)
    assert "server closed the connection" in found.message


def test_database_that_goes_away_during_the_fit_is_waited_for(root: Path) -> None:
    """The first two attempts to publish fail; the fit is not lost."""
    calls = []

    def flaky(self: Ledger, folder: Any, *, job: str = "") -> bool:
        calls.append(folder)
        if len(calls) < 3:
            raise LedgerError("The server is gone.")
        return self.add(folder, job=job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "publish", flaky)
        assert job(root, archive={"patience": 30}).code == Code.PUBLISHED
    assert (len(calls), len(fits(root))) == (3, 1)


def test_fit_survives_an_archive_that_stays_away(root: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "publish", lambda *_, **__: (_ for _ in ()).throw(LedgerError("Gone.")))
        assert job(root).code == Code.ARCHIVE
    found = job(root, run={"as_of": dt.date(2026, 11, 26)})
    assert (found.code, found.new, len(fits(root))) == (Code.PUBLISHED, True, 1)


def greedy() -> None:
    """Takes memory until it is stopped, up to 6 GB."""
    held = []
    for _ in range(60):
        held.append(np.ones(100 * 2**17))
        time.sleep(0.05)


@pytest.mark.parametrize("what", ["time", "memory"])
def test_over_budget_ends_in_the_middle_of_the_fit(root: Path, what: str) -> None:
    limit = {"minutes": 0.015} if what == "time" else {"memory_gb": peak_memory_gb() + 0.1}
    fit = Fit(root / "count", slow=30, during=greedy if what == "memory" else None)
    started = time.monotonic()
    found = job(root, fit=fit, budget=limit)
    assert time.monotonic() - started < 15
    assert found.code == Code.BUDGET
    assert list((root / "runs").glob(".*partial*")) == []
    with opened(root) as ledger:
        assert ledger.latest() is None
        assert [key.partition("/")[0] for key in ledger.table("alerts", kind="budget")["key"]] == [what]
    assert job(root).code == Code.PUBLISHED


def test_sigterm_ends_cleanly_and_the_next_job_goes_on(root: Path) -> None:
    child = forked(lambda: job(root, fit=Fit(root / "count", slow=30)).code)
    while not list((root / "runs").glob(".*partial*")):
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    assert ended(child) == Code.TERMINATED
    assert list((root / "runs").glob(".*partial*")) == []
    last = json.loads((root / "log.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["state"]) == ("end", "terminated")
    assert job(root).code == Code.PUBLISHED


@pytest.mark.parametrize("number", [2, 8])
def test_of_jobs_at_once_exactly_one_publishes(root: Path, number: int) -> None:
    with opened(root):
        pass
    codes = []
    children = []
    for _ in range(number):
        children.append(
            forked(lambda: 1 if (o := job(root, fit=Fit(root / "count", slow=0.3))).new else o.code)
        )
    codes = [ended(child) for child in children]
    assert codes.count(1) == 1
    assert set(codes) <= {1, Code.LOCKED, Code.UNCHANGED}
    assert len(fits(root)) == 1
    with opened(root) as ledger:
        assert ledger.verify() == []
        assert len(ledger.runs()) == 1


def test_unwritable_report_keeps_no_alert_back_and_is_done_by_the_next_job(root: Path) -> None:
    job(root)
    (root / "figures.txt").write_text("two")
    (root / "elsewhere").write_text("a file where a folder should be")
    found = job(root, report={"out": root / "elsewhere"})
    assert (found.code, found.new) == (Code.NOT_WRITTEN, True)
    assert "report" in found.message
    assert (root / "alerts.jsonl").is_file()
    again = job(root)
    assert (again.code, again.new, again.run_id) == (Code.PUBLISHED, False, found.run_id)
    assert job(root).code == Code.UNCHANGED
    assert len(fits(root)) == 2


def test_explanation_that_breaks_does_not_stop_the_job(root: Path) -> None:
    job(root)
    (root / "figures.txt").write_text("two")

    def broken(*_: Any) -> str:
        raise ZeroDivisionError("no weights")

    found = job(root, changes={"explain": broken})
    assert found.code == Code.PUBLISHED
    with opened(root) as ledger:
        rows = ledger.table("steps", step="explain", state="failed")
    assert list(rows["note"]) == ["ZeroDivisionError: no weights"]


def test_explanation_is_kept_and_found_out_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def explained(_: Any, run_id: str, previous: str, **given: Any) -> Explanation:
        calls.append(given)
        parts = (Part("news", "news of gpr_country", 0.02, 0.001), Part("sampling", "sampling", -0.01, 0.002))
        why = Why("use-of-force/korea/12m", "Use of force", "korea", "binary", 0.1, 0.11, parts)
        return Explanation(run_id, previous, "2026-11-27", "2026-10-27", (why,), pd.DataFrame(), ())

    monkeypatch.setattr("escalation_forecast.explain.explain", explained)
    first = job(root)
    (root / "figures.txt").write_text("two")
    second = job(root, changes={"explain": work.explain})
    with opened(root) as ledger:
        rows = ledger.table("explanations", run_id=second.run_id, previous_id=first.run_id)
        (note,) = ledger.table("steps", step="explain", state="done")["note"]
        new, old = ledger.get(second.run_id), ledger.get(first.run_id)
        assert work.explain(ledger, new, old, read(config(root)), "never") == "was there already"
    assert list(rows["kind"]) == ["news", "sampling"]
    assert note
    assert len(calls) == 1
    assert calls[0]["refit"] == "auto"


def test_bug_is_an_exit_code_and_a_traceback_in_the_log(root: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    found = job(root, fit=broken)
    assert (found.code, found.message) == (Code.OTHER, "ZeroDivisionError in step `fit`: a bug")
    assert "Traceback" in (root / "log.jsonl").read_text()
    assert job(root).code == Code.PUBLISHED


def test_dry_run_writes_nothing(root: Path) -> None:
    before = bytes_of(root)
    given = tools(Fit(root / "count"))
    found = run_job(config(root), tools=given, dry_run=True, stream=None)
    assert found.code == Code.PUBLISHED
    assert "would fit" in found.message
    assert bytes_of(root) == before
    job(root)
    before = bytes_of(root)
    assert run_job(config(root), tools=given, dry_run=True, stream=None).code == Code.UNCHANGED
    assert bytes_of(root) == before


# What killed jobs leave ----------------------------------------------------------------------------------


def test_finished_fit_that_nobody_registered_is_published_and_not_fitted_again(root: Path) -> None:
    asked = read(config(root))
    with opened(root) as ledger:
        now = dt.datetime.now(dt.UTC)
        row = {"job": "dead", "run_id": Ids(asked).of(asked.settings), "step": "id", "state": "done"}
        ledger.put("steps", [row | {"started_at": now, "finished_at": now, "note": asked.digest()}])
    Fit(root / "count")(asked, asked.settings, root / "runs")
    found = job(root, run={"as_of": dt.date(2026, 11, 26)})
    assert (found.code, found.new, found.run_id) == (Code.PUBLISHED, True, row["run_id"])
    assert len(fits(root)) == 1


def test_run_made_by_hand_is_left_to_its_maker(root: Path) -> None:
    asked = dataclasses.replace(read(config(root)), text="by hand")
    mine = Fit(root / "other")(asked, asked.settings, root / "runs")
    job(root)
    with opened(root) as ledger:
        assert mine.summary["run_id"] not in set(ledger.runs()["run_id"])


def test_half_folders_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    child = forked(lambda: 0)
    ended(child)
    dead, alive = f".{'a' * 16}.partial-{child}", f".{'b' * 16}.failed.partial-1"
    for name in (dead, alive, "notes.partial-1"):
        (tmp_path / name).mkdir()
    assert remove_halves(tmp_path) == [dead]
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive, "notes.partial-1"]


# What decides --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(whole_store: Store) -> Asked:
    settings, priors = Settings.default(), Priors.default()
    return Asked(whole_store.as_of(DAY), DAY, 36, 1, priors, load_questions(), False, settings)


def test_id_is_that_of_the_pipeline(real: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a finished fit would not be found again after a crash."""

    class FoundError(Exception):
        pass

    def find(_: Path, identity: str) -> None:
        raise FoundError(identity)

    monkeypatch.setattr(pipeline.archive, "find", find)
    settings, identity = work.longer(real.settings, 2.0, 0.95), Identity(real)
    with pytest.raises(FoundError) as caught:
        work.fit(real, settings, tmp_path)
    assert str(caught.value) == identity.of(settings) != identity.of(real.settings)


def test_the_first_fit_starts_from_the_last_run_if_told_to_and_the_retry_does_not(
    real: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        pipeline, "run_forecast", lambda *_, start_from_last, **__: asked.append(start_from_last)
    )
    told = dataclasses.replace(real, start_from_last=True)
    for one, settings in (
        (real, real.settings),
        (told, told.settings),
        (told, work.longer(told.settings, 2.0, 0.95)),
    ):
        work.fit(one, settings, tmp_path)
    assert asked == [False, True, False]


def test_version_of_the_model_is_read_without_the_model() -> None:
    assert model_version() == MODEL_VERSION


def test_digest_follows_what_decides_and_nothing_else(real: Asked, whole_store: Store) -> None:
    digest = real.digest()
    shuffled = real.store.observations.sample(frac=1, random_state=1)
    store = dataclasses.replace(real.store, observations=shuffled)
    assert dataclasses.replace(real, store=store).digest() == digest
    assert dataclasses.replace(real, as_of=dt.date(2026, 11, 3)).digest() == digest
    values = real.store.observations.copy()
    values.loc[values.index[100], "value"] = np.float64(0.123)
    changed: dict[str, Any] = {
        "store": dataclasses.replace(real.store, observations=values),
        "as_of": dt.date(2026, 12, 1),
        "horizon": 35,
        "seed": 2,
        "priors": Priors.default().override({"phi": {"parameters": {"alpha": 9}}}),
        "questions": real.questions[1:],
        "draft": True,
        "settings": Settings.draft(),
    }
    others = {name: dataclasses.replace(real, **{name: value}).digest() for name, value in changed.items()}
    assert len({digest, *others.values()}) == len(changed) + 1


def test_run_that_calls_itself_otherwise_is_known_by_its_own_name(root: Path) -> None:
    class Other(Ids):
        def of(self, settings: Settings) -> str:
            return super().of(settings)[::-1]

    first, second = (job(root, changes={"identify": Other}) for _ in range(2))
    assert (first.code, second.code) == (Code.PUBLISHED, Code.UNCHANGED)
    assert len(fits(root)) == 1


def test_incoming_files_are_read_in_order_and_refused_by_name(tmp_path: Path, whole_store: Store) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    header = ",".join(whole_store.observations.columns)
    last = whole_store.latest("gpr_country", "KOR").iloc[-1]
    row = f"gpr_country,KOR,{last.period_start:%Y-%m-%d},{last.period_end:%Y-%m-%d},0.7,,,"
    row += "percent_of_articles,user,late,2026-11-20,reported,\n"
    (folder / "2026-11.csv").write_text(f"{header}\n{row}")
    (folder / ".half.csv").write_text("not yet")
    given = config(tmp_path, data={"incoming": folder, "observations": None}, run={"as_of": DAY})
    asked = work.read(given)
    assert len(asked.store.observations) == len(whole_store.as_of(DAY).observations) + 1
    (folder / "2026-12.csv").write_text(f"{header}\n{row.replace('0.7', 'many').replace('late', 'later')}")
    with pytest.raises(DataError, match=r"2026-12\.csv"):
        work.read(given)


# Configuration and logs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run]\nhorizn = 3", r"\[run\] has no key `horizn`.*horizon"),
        ("[runn]\n", r"has no key `runn`.*run"),
        ("[run]\nhorizon = 300", r"`horizon` of \[run\].*120"),
        ("[run]\nas_of = 2999-01-01", r"`as_of` of \[run\] lies in the future"),
        ('[export]\nkinds = ["xlsx"]', r"\[export\].*tables"),
        ("[budget]\nminutes = -1", r"`minutes` of \[budget\].*greater than 0"),
        ('[alerts]\ntargets = ["json://${NOT_SET_ANYWHERE}"]', r"alerts.targets\[1\].*NOT_SET_ANYWHERE"),
        ("run = 3", r"`run` of the file"),
        ("[run", r"is not TOML"),
    ],
)
def test_configuration_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "job.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_config(file)
    assert "\n" not in str(caught.value)
    found = CliRunner().invoke(app, ["reforecast", "--config", str(file), "--json"])
    assert found.exit_code == Code.REFUSED
    assert json.loads(found.stdout)["exit_code"] == Code.REFUSED


def test_secrets_come_from_the_environment_and_are_shown_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOB_SECRET", "hunter2hunter2")
    file = root / "job.toml"
    file.write_text(
        f'[data]\nobservations = "{root}/${{JOB_SECRET}}"\n[archive]\nurl = "sqlite:///{root}/a.sqlite"\n'
        f'files = "{root}/runs"\n[log]\nfile = "{root}/log.jsonl"\n[alerts]\nfile = "{root}/alerts.jsonl"\n'
    )
    given = read_config(file)
    assert given.data.observations == root / "hunter2hunter2"
    found = run_job(given)
    assert found.code == Code.REFUSED
    kept = [path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    shown = capsys.readouterr()
    for text in (found.message.encode(), shown.err.encode(), *kept):
        assert b"hunter2" not in text
    assert "***" in found.message


def test_log_has_a_line_of_json_for_every_step(root: Path) -> None:
    found = job(root)
    lines = [json.loads(line) for line in (root / "log.jsonl").read_text().splitlines()]
    keys = {"time", "level", "job", "run_id", "step", "state", "seconds", "message"}
    assert all(set(line) == keys for line in lines)
    assert {line["job"] for line in lines} == {found.job}
    done = [line["step"] for line in lines if line["state"] == "done"]
    assert done == [
        "lock", "data", "compare", "panel", "fit", "gates", "archive", "export", "report", "resolve", "alert",
        "done",
    ]  # fmt: skip
    assert lines[-1]["message"] == found.message
    assert pd.Timestamp(lines[0]["time"]).tzinfo is not None


def test_log_that_cannot_be_written_stops_nothing(root: Path) -> None:
    assert job(root, log={"file": root / "figures.txt" / "log.jsonl"}).code == Code.PUBLISHED


def test_level_of_the_log(root: Path) -> None:
    job(root, log={"level": "warning"})
    assert not (root / "log.jsonl").exists()


# Limits --------------------------------------------------------------------------------------------------


def test_signals_are_given_back() -> None:
    def waits() -> None:
        with guarded(Watch()):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with pytest.raises(Terminated):
        waits()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before


def test_outside_the_main_thread_the_clock_is_looked_at_between_steps(root: Path) -> None:
    found: list[Outcome] = []
    fit = Fit(root / "count", slow=0.4)
    thread = threading.Thread(target=lambda: found.append(job(root, fit=fit, budget={"minutes": 0.005})))
    thread.start()
    thread.join()
    assert found[0].code == Code.BUDGET


@pytest.mark.slow
@pytest.mark.parametrize("how", ["time", "SIGTERM"])
def test_the_real_sampler_is_stopped_with_its_chains(how: str) -> None:
    import pymc as pm

    from escalation_forecast.compile import compile_model
    from escalation_forecast.fit import sample

    with pm.Model() as model:
        pm.Normal("y", mu=pm.Normal("x", shape=200), observed=np.zeros(200))
    compiled = compile_model(model)
    watch, started = Watch(minutes=0.03 if how == "time" else None), time.monotonic()
    if how == "SIGTERM":
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    with pytest.raises((OverBudget, Terminated)), guarded(watch):
        sample(compiled, Settings(tune=300, draws=10**6, chains=2, cores=1), 1)
    assert time.monotonic() - started < 8
    used = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - used < 0.2


# Documents -----------------------------------------------------------------------------------------------


def test_every_exit_code_has_a_meaning_and_the_document_has_them_all() -> None:
    assert set(MEANINGS) == set(Code)
    text = DOCS.read_text()
    for code, meaning in MEANINGS.items():
        assert f"| {int(code)} | {meaning} |" in text


def test_example_is_sound_and_says_the_defaults() -> None:
    found, default = read_config(EXAMPLES / "job.toml"), Config()
    for name in Config.model_fields:
        if name not in ("budget", "export"):
            assert getattr(found, name) == getattr(default, name)
    assert found.budget.minutes is not None


def test_crontab_has_a_line_that_cron_takes() -> None:
    lines = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if line and line[0] != "#"]
    entry = lines[-1].split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*/,-]+", field) for field in entry[:5])
    # The shell that cron starts reads it, and an unescaped % would end the command.
    assert "%" not in entry[5]
    assert subprocess.run(["sh", "-n", "-c", entry[5]], check=False).returncode == 0
    # Only what a person has to look at is mailed.
    for code, printed in ((0, False), (10, False), (60, False), (20, True)):
        line = re.sub(r"cd \S+ && \S+ .*?job.toml", f"(exit {code})", entry[5])
        line = line.replace("reforecast.log", "/dev/null")
        done = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True)
        assert bool(done.stdout) == printed


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units() -> None:
    units = [str(EXAMPLES / "systemd" / f"reforecast.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    timer = (EXAMPLES / "systemd" / "reforecast.timer").read_text()
    (when,) = re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
    assert (
        subprocess.run(["systemd-analyze", "calendar", when], check=False, capture_output=True).returncode
        == 0
    )
    service = (EXAMPLES / "systemd" / "reforecast.service").read_text()
    (codes,) = re.findall(r"^SuccessExitStatus=(.*)$", service, re.MULTILINE)
    assert [int(code) for code in codes.split()] == [Code.UNCHANGED, Code.LOCKED]


def test_workflow_is_yaml_whose_shell_ends_as_the_job_does(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((EXAMPLES / "ci" / "reforecast.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    (schedule,) = workflow[True]["schedule"]
    assert len(schedule["cron"].split()) == 5
    steps = workflow["jobs"]["reforecast"]["steps"]
    (shell,) = [step["run"] for step in steps if step.get("name") == "Reforecast"]
    command = tmp_path / "escalation-forecast"
    for code in Code:
        command.write_text(f"#!/bin/sh\nexit {int(code)}\n")
        command.chmod(0o755)
        told = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(["bash", "-e", "-c", shell], check=False, env=told, cwd=tmp_path)
        assert done.returncode == (0 if code in (Code.PUBLISHED, Code.UNCHANGED, Code.LOCKED) else code)


def test_archive_error_of_a_full_disk_is_the_archive(root: Path) -> None:
    def full(*_: Any) -> Any:
        raise archive.ArchiveError("No space left on device: runs cannot take the run.")

    assert job(root, fit=full).code == Code.ARCHIVE


def test_sampler_that_cannot_start_counts_as_gates_not_passed(root: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ConvergenceError("The sampler could not run.")

    assert job(root, fit=broken).code == Code.GATE_FAILED
    with opened(root) as ledger:
        assert list(ledger.runs(state="failed")["reason"]) == ["The sampler could not run."] * 2


def test_questions_that_are_answered_are_told_and_do_not_hold_the_job(root: Path) -> None:
    """What is answered reaches the alerts; what goes wrong in it is noted, and the forecast stands."""

    def broken(*_: Any) -> list[Any]:
        raise DataError("The figures contradict what is stored.")

    first = job(root, changes={"answered": broken})
    assert (first.code, first.new) == (Code.PUBLISHED, True)
    row = {"question": "wider-war", "answer": "wider-war/any/3m", "as_of": DAY, "status": "no", "value": 0.0}
    (root / "figures.txt").write_text("two")
    second = job(root, changes={"answered": lambda *_: alerts.resolved([row])})
    assert (second.code, second.new) == (Code.PUBLISHED, True)
    with opened(root) as ledger:
        steps = ledger.table("steps", step="resolve").set_index("run_id")
        assert steps.loc[first.run_id, "state"] == "failed"
        assert "contradict" in steps.loc[first.run_id, "note"]
        told = ledger.table("alerts", kind="resolved")
    assert list(told["run_id"]) == [second.run_id]
    assert "wider-war/any/3m" in told["message"].item()
