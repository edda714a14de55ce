"""The summary as JSON of a published schema; and the commands and the job that export."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from escalation_forecast import export
from escalation_forecast.archive import ArchiveError, Run, load_run
from escalation_forecast.cli import app
from escalation_forecast.cli.chosen import read_run
from escalation_forecast.export.summary import schema_text
from escalation_forecast.export.summary_schema import json_schema
from escalation_forecast.job import after
from escalation_forecast.job.config import Config
from escalation_forecast.ledger import Ledger
from escalation_forecast.schema import DataError
from exported import changed, published, slim, without_wars
from run_folder import run_folder, summary_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run(year_run: Run) -> Run:
    return load_run(year_run.folder)


@pytest.fixture(scope="module")
def small(year_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return slim(year_run, tmp_path_factory.mktemp("slim") / "run")


@pytest.fixture(scope="module")
def content(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    (file,) = export.json(run, tmp_path_factory.mktemp("json"))
    return file.read_text(encoding="utf-8")


def refused(content: Any) -> bool:
    return not jsonschema.Draft202012Validator(json_schema()).is_valid(content)


def test_published_schema_is_the_one_of_the_code_in_both_places() -> None:
    made = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    assert (ROOT / "docs" / "schemas" / "summary-1.json").read_text(encoding="utf-8") == made
    assert schema_text() == made
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$id"].endswith(":1")


def test_summary_follows_the_schema_and_says_the_same_as_the_run(content: str, run: Run) -> None:
    found = json.loads(content)
    assert not refused(found)
    assert found == run.summary
    assert found["schema_version"] == "1"


def test_older_summaries_get_the_version(run: Run, tmp_path: Path) -> None:
    old = changed(run, tmp_path / "run", lambda summary: summary.pop("schema_version"))
    export.json(old, tmp_path / "out")
    assert export.check_json(tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["schema_version"] == "1"


@pytest.mark.parametrize("change", [without_wars, published])
def test_other_runs_follow_it_too(run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    (file,) = export.json(changed(run, tmp_path / "run", change), tmp_path / "out")
    assert not refused(json.loads(file.read_text()))


def answer(summary: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = summary["questions"][0]
    return found


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no version": lambda s: s.pop("schema_version"),
    "other version": lambda s: s.update(schema_version="2"),
    "unknown key": lambda s: s.update(extra=1),
    "unknown key inside": lambda s: answer(s).update(extra=1),
    "probability": lambda s: answer(s).update(probability=1.5),
    "text for a number": lambda s: answer(s).update(mcse="small"),
    "kind": lambda s: answer(s).update(kind="maybe"),
    "day": lambda s: s.update(as_of="15 June 2026"),
    "id": lambda s: s.update(run_id="abc"),
    "no answers": lambda s: s.pop("questions"),
    "state": lambda s: s["spending"][0].update(state="China"),
    "months": lambda s: s.update(horizon_months=0),
    "step": lambda s: s["war"]["theatres"][0].pop("war"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_summaries_are_refused_by_schema_and_check_alike(
    content: str, tmp_path: Path, name: str
) -> None:
    summary = json.loads(content)
    BROKEN[name](summary)
    assert refused(summary)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    found = export.check_json(tmp_path)
    assert found
    assert all(one.rule.startswith("schema-") and one.remedy for one in found)


SENSELESS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no probability": lambda s: answer(s).update(probability=None),
    "both": lambda s: s.update(published=True),
    "twice": lambda s: s["questions"].append(answer(s)),
    "count": lambda s: answer(s).update(kind="count", probability=None, distribution={"0": 0.5, "1": 0.4}),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_what_a_schema_cannot_say_is_checked_too(content: str, tmp_path: Path, name: str) -> None:
    summary = json.loads(content)
    SENSELESS[name](summary)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert export.check_json(tmp_path / "summary.json")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    assert [one.rule for one in export.check_json(tmp_path)] == ["unreadable"]
    for name, check in export.CHECKS.items():
        with pytest.raises(DataError, match=f"export {name}"):
            check(tmp_path / "nowhere")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", export.EXPORTS)
def test_a_full_disk_leaves_nothing_behind(
    small: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArchiveError, match="No space"):
        export.EXPORTS[kind](small, tmp_path / "out")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert not list(tmp_path.rglob("*partial*"))


@pytest.mark.parametrize("kind", export.EXPORTS)
def test_a_file_in_the_place_of_the_folder_is_no_crash(small: Run, tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises((DataError, ArchiveError)):
        export.EXPORTS[kind](small, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_job_exports_all_kinds_whole_and_once(small: Run, tmp_path: Path) -> None:
    config = Config.model_validate({"export": {"kinds": list(export.EXPORTS), "out": tmp_path}})
    ledger: Any = SimpleNamespace(load=lambda _: small)
    record: Any = SimpleNamespace(run_id=small.summary["run_id"])
    said = after.export(ledger, record, config)
    target = tmp_path / record.run_id
    assert said == str(target)
    for kind in ("tables", "netcdf", "json"):
        assert export.CHECKS[kind](target) == []
    assert export.check_metaculus(target / "metaculus") == []
    assert export.check_hub(tmp_path / "hub") == []
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert "is there" in after.export(ledger, record, config)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()} == before
    assert not list(tmp_path.rglob("*partial*"))


def test_job_leaves_no_folder_when_a_kind_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"export": {"kinds": ["tables"], "out": tmp_path}})
    ledger: Any = SimpleNamespace(load=lambda _: run)
    record: Any = SimpleNamespace(run_id=run.summary["run_id"])
    monkeypatch.setitem(export.EXPORTS, "tables", full)
    with pytest.raises(ArchiveError):
        after.export(ledger, record, config)
    assert list(tmp_path.iterdir()) == []


COMMAND = CliRunner()


def command(*words: Any) -> Any:
    return COMMAND.invoke(app, ["export", *map(str, words)])


def test_commands_write_check_and_end_with_2(run: Run, tmp_path: Path) -> None:
    done = command("json", "--run", run.folder, "--out", tmp_path / "json", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"] == [str(tmp_path / "json" / "summary.json")]
    assert "no findings" in command("check", "json", tmp_path / "json").stdout
    done = command("metaculus", "--run", run.folder, "--out", tmp_path / "m")
    assert done.exit_code == 0, done.output
    (tmp_path / "m" / "use-of-force--korea--3m.json").unlink()
    found = command("check", "metaculus", tmp_path / "m")
    assert found.exit_code == 2
    assert "[payload-missing]" in found.stdout
    assert "1 finding" in found.stdout
    found = command("check", "metaculus", tmp_path / "m", "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout)[0]["rule"] == "payload-missing"
    for words, message in (
        (("check", "metaculs", tmp_path), "did you mean `metaculus`"),
        (("hub", "--run", run.folder, "--out", tmp_path / "h", "--format", "arrow"), "parquet or csv"),
        (("hub", "--run", run.folder, "--out", tmp_path / "h", "--model", "a-b"), "letters"),
        (("netcdf", "--run", run.folder, "--out", tmp_path / "n", "--thin", "0"), "--thin 1"),
        (("json", "--run", "nowhere", "--out", tmp_path / "j"), "no run"),
        (("check", "hub", tmp_path / "nowhere"), "no folder"),
    ):
        bad = command(*words)
        assert bad.exit_code == 2, words
        assert message in bad.stderr
        assert "Traceback" not in bad.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["json", "m"]


def test_run_is_a_folder_an_id_or_the_latest_published(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "runs"
    for name, as_of, state in (
        ("1" * 16, "2026-01-31", True),
        ("2" * 16, "2026-03-31", True),
        ("3" * 16, "2026-06-30", False),
    ):
        folder = files / name
        folder.mkdir(parents=True)
        summary = summary_of(name, as_of=as_of, published=state, draft=not state)
        (folder / "summary.json").write_text(json.dumps(summary))
    assert read_run(None, files=str(files)).summary["run_id"] == "2" * 16
    assert read_run("latest", files=str(files)).summary["run_id"] == "2" * 16
    assert read_run("3" * 16, files=str(files)).summary["run_id"] == "3" * 16
    assert read_run(str(run.folder)).summary == run.summary
    with pytest.raises(DataError, match="no published run"):
        read_run(None, files=str(tmp_path / "none"))
    url = f"sqlite:///{tmp_path}/archive.sqlite"
    with pytest.raises(DataError, match="no archive"):
        read_run(None, url, str(files))
    kept = str(tmp_path / "kept")
    with Ledger.open(url, kept) as ledger:
        ledger.add(run_folder(tmp_path / "made", "4" * 16))
    assert read_run(None, url, kept).summary["run_id"] == "4" * 16
    assert read_run("4" * 16, url, kept).summary["run_id"] == "4" * 16
