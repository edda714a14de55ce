"""Files of archived runs: found out when they change, copied with their checksums, also from afar."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from escalation_forecast import archive
from escalation_forecast.cli import app
from escalation_forecast.ledger import Ledger, database
from escalation_forecast.ledger.compare import compare
from escalation_forecast.ledger.copies import export
from escalation_forecast.schema import DataError
from run_folder import RUN, answer, quantity, run_folder, summary_of

OTHER = "fedcba9876543210"
DRAFT = {"draft": True, "published": False}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path / "files")) as opened:
        opened.publish(run_folder(tmp_path / "made"))
        yield opened


def cut(folder: Path) -> None:
    file = folder / RUN / "posterior.nc"
    file.write_bytes(file.read_bytes()[:-100])


def turn_a_bit(folder: Path) -> None:
    file = folder / RUN / "posterior.nc"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def half(process: int) -> Callable[[Path], None]:
    return lambda folder: (folder / f".{OTHER}.partial-{process}").mkdir()


def failed(identity: str) -> Callable[[Path], Any]:
    return lambda folder: archive.fail(folder, identity, summary_of(identity, ()))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "truncated posterior": (cut, "truncated", "posterior.nc"),
    "one bit": (turn_a_bit, "damaged", "posterior.nc"),
    "one file gone": (lambda folder: (folder / RUN / "priors.toml").unlink(), "missing", "priors.toml"),
    "all files gone": (lambda folder: shutil.rmtree(folder / RUN), "missing", ""),
    "a file too many": (lambda folder: (folder / RUN / "x.txt").write_text("x"), "unknown file", "x.txt"),
    "a link": (lambda folder: (folder / RUN / "x").symlink_to("/etc"), "unknown file", ""),
    "files without a row": (lambda folder: run_folder(folder, OTHER), "no row", ""),
    "folder without a summary": (lambda folder: (folder / OTHER).mkdir(), "half run", ""),
    "half run": (half(2**22 + 1), "half run", ""),
    "failure nobody registered": (failed(OTHER), "failed run", ""),
    "failure that passed since": (failed(RUN), "leftover", ""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(ledger: Ledger, tmp_path: Path, name: str) -> None:
    assert ledger.verify() == []
    damage, kind, file = DAMAGE[name]
    damage(tmp_path / "files")
    (fault,) = ledger.verify()
    assert (fault.kind, fault.file) == (kind, file)
    assert len(fault.remedy) > 5
    # Sizes alone do not tell that a bit has turned.
    assert len(ledger.verify(fast=True)) == (0 if name == "one bit" else 1)


def test_run_that_is_being_written_is_no_fault(ledger: Ledger, tmp_path: Path) -> None:
    half(os.getpid())(tmp_path / "files")
    assert ledger.verify() == []


def test_half_run_that_goes_while_it_is_looked_at_is_no_obstacle(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half(os.getpid() + 1)(tmp_path / "files")
    plain, gone = Path.stat, []

    def stat(self: Path, **options: Any) -> os.stat_result:
        if ".partial-" in self.name and not gone:
            gone.append(self)
            raise FileNotFoundError(2, "No such file or directory", str(self))
        return plain(self, **options)

    folder = run_folder(tmp_path / "made", OTHER)
    monkeypatch.setattr(Path, "stat", stat)
    assert ledger.publish(folder)
    assert gone


def test_database_changed_by_hand_is_found(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish(run_folder(tmp_path / "made", OTHER, as_of="2026-11-26"))
    with database.writing(ledger.engine) as connection:
        connection.execute(sa.text(f"UPDATE latest SET run_id = '{OTHER}', as_of = '2026-11-26'"))
    assert [fault.kind for fault in ledger.verify()] == ["latest"]
    with ledger.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("DROP TRIGGER summaries_not_deleted")
        raw.execute("INSERT INTO summaries VALUES ('nobody', '{}')")
    assert [fault.kind for fault in ledger.verify()] == ["database", "latest"]


@pytest.mark.parametrize("damage", [cut, turn_a_bit])
def test_damaged_run_is_neither_loaded_nor_exported(
    ledger: Ledger, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(tmp_path / "files")
    with pytest.raises(DataError, match=r"posterior\.nc of run \w+ is not what was published; restore"):
        ledger.load(RUN)
    with pytest.raises(DataError, match=r"posterior\.nc of run \w+ is not what was published; restore"):
        export(ledger, RUN, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_export_copies_what_was_published_and_overwrites_nothing(ledger: Ledger, tmp_path: Path) -> None:
    extra = tmp_path / "files" / RUN / "extra.txt"
    extra.write_text("not published")
    out = export(ledger, RUN, tmp_path / "out")
    made = tmp_path / "made" / RUN
    assert {f.name: f.read_bytes() for f in out.iterdir()} == {f.name: f.read_bytes() for f in made.iterdir()}
    with pytest.raises(DataError, match="is there already and is not overwritten"):
        export(ledger, RUN, tmp_path / "out")


def test_file_name_that_leads_elsewhere_is_not_followed(ledger: Ledger, tmp_path: Path) -> None:
    with database.writing(ledger.engine) as connection:
        connection.execute(sa.text(f"INSERT INTO files VALUES ('{RUN}', '../../stolen', 1, '00', NULL)"))
    (tmp_path / "stolen").write_text("x")
    for call in (lambda: ledger.load(RUN), lambda: export(ledger, RUN, tmp_path / "out")):
        with pytest.raises(DataError, match="is no file of a run"):
            call()


def test_prune_takes_draws_of_old_drafts_alone(ledger: Ledger, tmp_path: Path) -> None:
    for k in range(3):
        ledger.add(run_folder(tmp_path / "files", f"{k:016x}", as_of=f"2026-10-0{k + 1}", **DRAFT))
    wanted = [f"{k:016x}/{name}" for k in (0, 1) for name in ("draws_theatres.parquet", "posterior.nc")]
    assert ledger.prune(1, dry_run=True) == wanted
    assert (tmp_path / "files" / f"{0:016x}" / "posterior.nc").is_file()
    assert ledger.prune(1) == wanted
    assert ledger.prune(1) == []
    assert sorted(file.name for file in (tmp_path / "files" / f"{0:016x}").iterdir()) == [
        "priors.toml",
        "summary.json",
    ]
    assert (tmp_path / "files" / f"{2:016x}" / "posterior.nc").is_file()
    assert ledger.verify() == []
    assert len(ledger.probabilities(f"{0:016x}")) == 2
    with pytest.raises(DataError, match=r"posterior\.nc is missing"):
        _ = ledger.load(f"{0:016x}").posterior


@pytest.fixture
def place() -> Iterator[str]:
    import fsspec

    yield "memory://archive/runs"
    fsspec.filesystem("memory").rm("/archive", recursive=True)


def test_files_elsewhere_are_uploaded_checked_and_cached(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    made = run_folder(tmp_path / "made")
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", place) as ledger:
        # What an upload that broke off left behind is replaced.
        memory.pipe(f"/archive/runs/{RUN}/posterior.nc", b"half")
        (fault,) = ledger.verify()
        assert fault.kind == "half run"
        assert ledger.publish(made)
        assert not ledger.publish(made)
        assert ledger.verify() == []
        run = ledger.load(RUN)
        assert run.folder.is_relative_to(tmp_path / "cache")
        assert {f.name: f.read_bytes() for f in run.folder.iterdir()} == {
            f.name: f.read_bytes() for f in made.iterdir()
        }
        # A damaged copy is fetched again; from a damaged original nothing is taken.
        cut(run.folder.parent)
        assert ledger.load(RUN).posterior["posterior"]["phi"].shape == (2, 4)
        memory.pipe(f"/archive/runs/{RUN}/posterior.nc", b"x" * 9)
        assert ledger.load(RUN).summary["run_id"] == RUN
        assert [fault.kind for fault in ledger.verify()] == ["truncated"]
        cut(run.folder.parent)
        with pytest.raises(DataError, match="is not what was published"):
            ledger.load(RUN)
        ledger.add(run_folder(tmp_path / "made", OTHER, **DRAFT))
        assert len(ledger.prune(0)) == 2
        assert not memory.exists(f"/archive/runs/{OTHER}/posterior.nc")


def test_upload_that_fails_shows_nothing(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    plain = MemoryFileSystem.put_file

    def broken(self: Any, source: str, target: str, **options: Any) -> None:
        if target.endswith("priors.toml"):
            raise OSError(5, "Input/output error")
        plain(self, source, target, **options)

    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", place) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "put_file", broken)
            with pytest.raises(archive.ArchiveError, match="Input/output error: memory://"):
                ledger.publish(run_folder(tmp_path / "made"))
        assert ledger.latest() is None
        assert ledger.publish(tmp_path / "made" / RUN)
        assert ledger.verify() == []


def test_file_url_is_a_folder_of_this_machine(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", f"file://{tmp_path}/files") as ledger:
        assert ledger.publish(run_folder(tmp_path / "made"))
        assert ledger.load(RUN).folder == tmp_path / "files" / RUN


CHANGED = '[priors.phi]\nfamily = "Normal"\nreason = "b"\n'


def test_difference_names_inputs_and_ranks_answers(ledger: Ledger, tmp_path: Path) -> None:
    answers = [
        answer("use-of-force/korea/12m", 0.26, mcse=0.003),
        answer("arms-race-regional/2026", 0.5),
        quantity("spending-growth/CHN/2026", 7.0),
    ]
    data = {"content_hash": "cd" * 32, "last_month": {"ladder_korea": "2026-09"}, "n_observations": 10}
    ledger.publish(
        run_folder(tmp_path / "made", OTHER, answers=answers, as_of="2026-11-28", data=data, priors=CHANGED)
    )
    found = compare(ledger, RUN, OTHER)
    assert found.inputs.set_index("input").T.to_dict("list") == {
        "as_of": ["2026-11-27", "2026-11-28"],
        "data.content_hash": ["ab" * 32, "cd" * 32],
        "data.last_month.ladder_korea": ["2026-08", "2026-09"],
        "data.n_observations": ["9", "10"],
        "priors.phi.family": ["Beta", "Normal"],
    }
    assert found.answers["id"].tolist() == ["arms-race-regional/2026", "use-of-force/korea/12m"]
    assert found.answers["change"].tolist() == pytest.approx([-0.1, 0.01])
    assert found.answers["mcse"].tolist() == pytest.approx([0.004 * 2**0.5, 0.005])
    assert found.only.to_numpy().tolist() == [["spending-growth/CHN/2026", OTHER]]
    same = compare(ledger, RUN, RUN)
    assert same.inputs.empty
    assert (same.answers["change"] == 0).all()


def test_reasons_alone_are_no_change_of_priors(ledger: Ledger, tmp_path: Path) -> None:
    told = '[priors.phi]\nfamily = "Beta"\nreason = "another"\n'
    ledger.publish(run_folder(tmp_path / "made", OTHER, priors=told))
    assert compare(ledger, RUN, OTHER).inputs.empty


def command(tmp_path: Path, *words: str) -> Any:
    where = ["--archive", f"sqlite:///{tmp_path / 'archive.sqlite'}", "--files", str(tmp_path / "files")]
    return CliRunner().invoke(app, ["runs", *words, *where])


def test_commands(tmp_path: Path) -> None:
    missing = command(tmp_path, "list")
    assert (missing.exit_code, "There is no archive" in missing.stderr) == (2, True)
    assert not (tmp_path / "archive.sqlite").exists()
    made = tmp_path / "made"
    folders = [
        run_folder(made),
        run_folder(made, OTHER, as_of="2026-11-28", answers=[answer("arms-race-regional/2026", 0.5)]),
        archive.fail(made, "0" * 16, summary_of("0" * 16, (), diagnostics={"reasons": ["R-hat is 1.2."]})),
    ]
    added = command(tmp_path, "add", *map(str, folders))
    assert (added.exit_code, added.stdout.count("is registered")) == (0, 3)
    assert "was there already" in command(tmp_path, "add", str(folders[0])).stdout
    listed = json.loads(command(tmp_path, "list", "--json").stdout)
    assert [(row["run_id"], row["state"], row["latest"]) for row in listed] == [
        (OTHER, "published", True),
        *sorted([(RUN, "published", False), ("0" * 16, "failed", False)]),
    ]
    assert listed[0]["created_at"] == "2026-11-27T03:39:14+00:00"
    assert f"{OTHER} *" in command(tmp_path, "list").stdout
    shown = json.loads(command(tmp_path, "show", "latest", "--json").stdout)
    assert [row["probability"] for row in shown["answers"]] == [0.5]
    assert "25 %" in command(tmp_path, "show", RUN, "--question", "use-of-force").stdout
    assert "R-hat is 1.2." in command(tmp_path, "show", "0" * 16).stdout
    assert command(tmp_path, "show", RUN[:-1] + "0").exit_code == 2
    differing = command(tmp_path, "diff", RUN, "latest").stdout
    assert "-10.00" in differing
    assert f"Only {RUN} answers use-of-force/korea/12m." in differing
    assert json.loads(command(tmp_path, "diff", RUN, OTHER, "--json").stdout)["answers"][0]["after"] == 0.5
    well = command(tmp_path, "verify")
    assert (well.exit_code, well.stdout) == (0, "3 runs, all well\n")
    assert command(tmp_path, "export", RUN, "--out", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / RUN / "summary.json").is_file()
    assert command(tmp_path, "prune", "--keep", "0").stdout == "0 files removed\n"
    cut(tmp_path / "files")
    broken = command(tmp_path, "verify", "--json")
    assert broken.exit_code == 1
    assert [fault["kind"] for fault in json.loads(broken.stdout)] == ["truncated"]


def test_note_with_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    title = "[red]<b>&amp;</b>[/red]"
    command(tmp_path, "add", str(run_folder(tmp_path / "made", answers=[answer("a/b", title=title)])))
    assert title in command(tmp_path, "show", RUN).stdout


def test_frames_have_the_same_columns_when_empty(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path)) as ledger:
        empty = ledger.runs()
        ledger.publish(run_folder(tmp_path, answers=[]))
        pd.testing.assert_index_equal(empty.columns, ledger.runs().columns)
        assert ledger.probabilities(RUN).empty
