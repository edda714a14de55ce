"""Tables that every reader reads alike, in which no text is a formula."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from escalation_forecast import export
from escalation_forecast.archive import Run, load_run
from escalation_forecast.export import columns
from escalation_forecast.export.columns import TABLES
from escalation_forecast.export.inert import inert, original
from exported import changed, without_wars

ROOT = Path(__file__).parents[1]
EVIL = (
    '=HYPERLINK("http://example.org";"a")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1",
    "'quoted", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a,b\n;c", "plain",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(year_run: Run) -> Run:
    return load_run(year_run.folder)


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "out"
    export.tables(run, folder, xlsx=True)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def test_tables_pass_their_check_and_have_rows(made: Path) -> None:
    assert export.check_tables(made) == []
    for name in TABLES:
        assert len(pd.read_parquet(made / f"{name}.parquet")) > 0, name


def test_document_has_every_column_as_the_code_has_it() -> None:
    text = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    assert columns.markdown() in text


@pytest.mark.parametrize("name", TABLES)
def test_pandas_polars_and_duckdb_read_the_same_rows_and_types(made: Path, name: str) -> None:
    file = made / f"{name}.parquet"
    kinds = {column.name: column.kind for column in TABLES[name].columns}
    ours, theirs = pd.read_parquet(file), pl.read_parquet(file)
    with duckdb.connect() as database:
        described = database.sql(f"describe select * from '{file}'").fetchall()
        rows = database.sql(f"select * from '{file}'").fetchall()
    types = {column: kind for column, kind, *_ in described}
    duck = {
        "text": "VARCHAR",
        "real": "DOUBLE",
        "integer": "BIGINT",
        "truth": "BOOLEAN",
        "month": "TIMESTAMP",
    }
    polar = {
        "text": pl.String, "real": pl.Float64, "integer": pl.Int64, "truth": pl.Boolean,
        "month": pl.Datetime("us"),
    }  # fmt: skip
    assert types == {column: duck[kind] for column, kind in kinds.items()}
    assert dict(theirs.schema) == {column: polar[kind] for column, kind in kinds.items()}
    assert list(ours.columns) == list(kinds)
    for column, kind in kinds.items():
        values = ours[column]
        if kind == "real":
            assert values.dtype == np.float64
        if kind == "month":
            assert values.dtype == "datetime64[us]"
    assert theirs.rows() == rows
    plain = ours.astype(object).where(ours.notna(), None)
    same = [
        tuple(v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in row)
        for row in plain.to_numpy()
    ]
    assert same == rows


def test_csv_gives_back_every_number_and_text(made: Path) -> None:
    for name, table in TABLES.items():
        frame, text = pd.read_parquet(made / f"{name}.parquet"), pd.read_csv(made / f"{name}.csv")
        for column in table.columns:
            if column.kind == "real":
                assert np.array_equal(
                    frame[column.name].to_numpy(float), text[column.name].to_numpy(float), equal_nan=True
                ), (name, column)
    # No text of a run of ours begins like a formula, so that CSV is plain.
    assert "'" not in {line[:1] for line in (made / "questions.csv").read_text().splitlines()}


def test_numbers_are_those_of_the_run(made: Path, run: Run) -> None:
    asked = pd.read_parquet(made / "questions.parquet").set_index("id")
    for entry in run.summary["questions"]:
        if entry["probability"] is not None:
            assert asked.loc[entry["id"], "probability"] == entry["probability"]
    levels = pd.read_parquet(made / "indicators.parquet").set_index(["indicator", "month"])
    paths = run.forecast["indicator_level"]
    for name, month in (("news_korea", "2000-03-01"), ("news_taiwan", "2027-03-01")):
        draws = paths.sel(indicator=name, month=month).values.ravel()
        row = levels.loc[(name, pd.Timestamp(month))]
        assert row["q50"] == pytest.approx(np.quantile(draws, 0.5), rel=1e-6)
        assert row["phase"] == ("known" if month < "2026" else "forecast")
        assert row["observed"] == pytest.approx(draws[0]) or month > "2026"
    routes = pd.read_parquet(made / "routes.parquet").set_index("id")
    wide = routes.loc["wider-war/any/12m"]
    assert wide["one_in"] == pytest.approx(1 / wide["probability"])
    assert wide["until"] == pd.Timestamp("2027-06-01")
    assert set(routes["prior_label"]) <= {"data-driven", "mixed", "prior-driven"}


def test_run_without_wars_has_empty_tables_with_their_columns(run: Run, tmp_path: Path) -> None:
    export.tables(changed(run, tmp_path / "run", without_wars), tmp_path / "out", xlsx=True)
    assert export.check_tables(tmp_path / "out") == []
    for name in ("routes", "war_steps"):
        table = pq.read_table(tmp_path / "out" / f"{name}.parquet")
        assert table.num_rows == 0
        assert table.schema.equals(TABLES[name].schema())


@pytest.mark.slow
def test_tables_that_the_run_did_not_keep_are_made_from_its_draws(
    made: Path, run: Run, tmp_path: Path
) -> None:
    lost = changed(run, tmp_path / "run", lambda _: None)
    (lost.folder / "spending.parquet").unlink()
    export.tables(lost, tmp_path / "out")
    file = "spending.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / file), pd.read_parquet(made / file))


@pytest.mark.parametrize("text", EVIL)
def test_text_is_inert_and_can_be_had_back(text: str) -> None:
    safe = inert(text)
    assert original(safe) == text
    assert safe[0] not in "=+-@\t\r\n＝＋－＠"
    assert (safe == text) == (text[0] not in "=+-@\t\r\n＝'")


def test_no_cell_of_csv_or_workbook_is_a_formula(run: Run, tmp_path: Path) -> None:
    def evil(summary: dict[str, Any]) -> None:
        for entry, text in zip(summary["questions"], EVIL, strict=False):
            entry["title"] = text
        summary["theatres"][0]["label"] = EVIL[0]
        summary["questions"][0]["note"] = "\x00\x07bell"

    named = changed(run, tmp_path / "run", evil)
    export.tables(named, tmp_path / "out", xlsx=True)
    assert export.check_tables(tmp_path / "out") == []
    titles = pd.read_parquet(tmp_path / "out" / "questions.parquet")["title"].tolist()
    assert titles[: len(EVIL)] == list(EVIL)
    book = openpyxl.load_workbook(tmp_path / "out" / "tables.xlsx")
    sheet = book["questions"]
    for row, text in enumerate(EVIL, 2):
        cell = sheet.cell(row, 4)
        assert cell.data_type == "s"
        # XML has no carriage return of its own.
        assert cell.value == text.replace("\r", "\n")
        assert cell.quotePrefix == (text[0] in "=+-@\t\r\n＝")
    formulas = [c for one in book for line in one.iter_rows() for c in line if c.data_type == "f"]
    assert formulas == []
    assert "\x07" not in str(sheet.cell(2, 20).value)
    # Numbers stay numbers, also below zero.
    latent = book["latent"]
    assert latent["D2"].data_type == "n"
    assert latent["D2"].value == pd.read_parquet(tmp_path / "out" / "latent.parquet")["mean"][0]


def test_workbook_says_what_its_columns_are(made: Path) -> None:
    book = openpyxl.load_workbook(made / "tables.xlsx")
    assert book.sheetnames == ["columns", *TABLES]
    said = [row[:2] for row in book["columns"].iter_rows(values_only=True)]
    for name, table in TABLES.items():
        assert {(name, column.name) for column in table.columns} <= set(said)
        assert book[name].max_row == len(pd.read_parquet(made / f"{name}.parquet")) + 1


def test_no_workbook_unless_asked_and_other_files_stay(run: Run, folder: Path) -> None:
    (folder / "mine.txt").write_text("mine")
    (folder / "tables.xlsx").unlink()
    files = export.tables(run, folder)
    assert len(files) == 2 * len(TABLES)
    assert not (folder / "tables.xlsx").exists()
    assert (folder / "mine.txt").read_text() == "mine"
    assert not list(folder.glob(".*"))


def parquet(name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], Any]:
    def work(folder: Path) -> None:
        file = folder / f"{name}.parquet"
        edit(pd.read_parquet(file)).to_parquet(file, index=False)

    return work


def csv(old: str, new: str) -> Callable[[Path], Any]:
    def work(folder: Path) -> None:
        file = folder / "theatres.csv"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return work


BROKEN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "gone": ("table-missing", lambda f: (f / "latent.csv").unlink()),
    "torn": ("unreadable", lambda f: (f / "latent.parquet").write_bytes(b"PAR1")),
    "renamed": ("columns", parquet("routes", lambda t: t.rename(columns={"route": "way"}))),
    "other type": ("column-type", parquet("spending", lambda t: t.assign(year=t["year"].astype(float)))),
    "formula": ("formula", csv("Korean Peninsula", "=1+1")),
    "other text": ("same", csv("Korean Peninsula", "Korea")),
    "fewer rows": ("rows", lambda f: (f / "priors.csv").write_text(",".join(TABLES["priors"].names) + "\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_refused_by_the_name_of_the_rule(folder: Path, name: str) -> None:
    rule, work = BROKEN[name]
    work(folder)
    assert rule in {one.rule for one in export.check_tables(folder)}


def test_values_that_cannot_be_are_found(folder: Path) -> None:
    file = folder / "routes.parquet"
    frame = pd.read_parquet(file)
    frame.loc[2, "probability"] = 1.2
    frame.loc[1, "id"] = frame.loc[0, "id"]
    table = TABLES["routes"].schema()
    pq.write_table(pa.Table.from_pandas(frame, schema=table, preserve_index=False), file)
    found = {one.rule: one for one in export.check_tables(folder)}
    assert found["probability-range"].row == 4
    assert found["key"].row == 3
