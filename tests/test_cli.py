"""The command line: what it prints, how it ends, and that bad input leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from data_folder import FIGURE, INDICATOR, SPENDING, folder, write
from escalation_forecast.cli import app
from escalation_forecast.schema import INDICATOR_COLUMNS, OBSERVATION_COLUMNS

SPENT = SPENDING | {"period_start": "2022-01-01", "period_end": "2022-12-31"}
FIRST_PRINT = SPENT | {"value": "100", "release": "2023", "published_at": "2023-04-24"}
REVISED = SPENT | {"value": "104", "release": "2024", "published_at": "2024-04-22"}
NEXT_YEAR = REVISED | {"period_start": "2023-01-01", "period_end": "2023-12-31", "value": "110"}
APRIL = FIGURE | {"period_start": "2023-04-01", "period_end": "2023-04-30", "published_at": "2023-05-05"}
MAY = FIGURE | {"period_start": "2023-05-01", "period_end": "2023-05-31", "published_at": "2023-06-05"}
JUNE = FIGURE | {"period_start": "2023-06-01", "period_end": "2023-06-30", "published_at": "2023-07-05"}
FIRST_DAY = "2023-05-05"


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"figures": [FIRST_PRINT, NEXT_YEAR, REVISED, APRIL, MAY]})


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the sampler; holds what the command asked of it."""
    from escalation_forecast import pipeline

    asked: dict[str, Any] = {}

    def fake(store: Any, **options: Any) -> SimpleNamespace:
        asked.update(options, store=store)
        if "raises" in asked:
            raise asked["raises"]
        summary = {"run_id": "abc", "as_of": dt.date(2023, 6, 30), "probability": float("nan")}
        return SimpleNamespace(summary=summary, folder=options["out"] / "abc")

    monkeypatch.setattr(pipeline, "run_forecast", fake)
    return asked


def figures(
    tmp_path: Path, *rows: dict[str, str], header: tuple[str, ...] = OBSERVATION_COLUMNS
) -> list[object]:
    return ["--observations", write(tmp_path / "mine.csv", header, [list(row.values()) for row in rows])]


def catalogue(tmp_path: Path, **changed: str) -> list[object]:
    row = INDICATOR | {"indicator": "mine"} | changed
    return ["--indicators", write(tmp_path / "rows.csv", INDICATOR_COLUMNS, [list(row.values())])]


def priors(tmp_path: Path, text: str) -> list[object]:
    path = tmp_path / "priors.toml"
    path.write_text(text)
    return ["--priors", path]


def questions(tmp_path: Path, text: str) -> list[object]:
    path = tmp_path / "questions.toml"
    path.write_text(text)
    return ["--questions", path]


BAD_INPUT = {
    "malformed table": (
        lambda p: figures(p, JUNE | {"a": "one", "b": "more"}),
        ["mine.csv, row 2", "15 cells where the header has 13"],
    ),
    "missing column": (
        lambda p: figures(
            p, JUNE, header=tuple("publishd" if n == "published_at" else n for n in OBSERVATION_COLUMNS)
        ),
        ["mine.csv, row 1", "`published_at` is missing"],
    ),
    "no number": (
        lambda p: figures(p, JUNE | {"value": "half"}),
        ["mine.csv, row 2", "`half` is not a number"],
    ),
    "unknown series": (
        lambda p: figures(p, JUNE | {"series": "gpr_contry"}),
        ["row 2", "unknown series `gpr_contry`", "`gpr_country`"],
    ),
    "unknown unit": (
        lambda p: figures(p, JUNE | {"unit": "KRO"}),
        ["row 2", "unknown unit `KRO`"],
    ),
    "unknown theatre": (
        lambda p: catalogue(p, theatre="koera"),
        ["rows.csv, row 2", "unknown theatre `koera`", "`korea`"],
    ),
    "duplicate figure": (
        lambda p: figures(p, APRIL),
        ["mine.csv, row 2", "is already in row 5 of data/observations/figures.csv"],
    ),
    "published before its period ended": (
        lambda p: figures(p, JUNE | {"published_at": "2023-06-20"}),
        ["row 2", "published_at 2023-06-20", "before the period ends"],
    ),
    "prior that cannot be normalised": (
        lambda p: priors(p, "[priors.phi]\nparameters = { alpha = -1 }\n"),
        ["prior 'phi'", "cannot be normalised"],
    ),
    "prior with the wrong support": (
        lambda p: priors(p, '[priors.phi]\nfamily = "Normal"\nparameters = { mu = 0, sigma = 1 }\n'),
        ["prior 'phi'", "can leave the support 'unit'"],
    ),
    "unknown prior": (
        lambda p: priors(p, "[priors.fi]\nparameters = { alpha = 2 }\n"),
        ["there is no prior 'fi'"],
    ),
    "unknown label": (
        lambda p: priors(p, "[priors.count_loading]\nparameters.mu = { plla = -0.3 }\n"),
        ["Prior 'count_loading' names 'plla'", "no count_group of the catalogue"],
    ),
    "unknown rule": (
        lambda p: questions(p, '[[question]]\nid = "mine"\nrule = "states-grew"\n'),
        ["question `mine`"],
    ),
    "broken file of questions": (
        lambda p: questions(p, "[[question]\n"),
        ["questions.toml is not valid TOML"],
    ),
    "day before the data begin": (
        lambda p: ["--as-of", "2020-01-01"],
        ["2020-01-01", f"the first possible date is {FIRST_DAY}"],
    ),
    "day ahead": (
        lambda p: ["--as-of", "2999-01-01"],
        ["2999-01-01 lies in the future"],
    ),
    "no day": (lambda p: ["--as-of", "last May"], ["`last May` is not a date", "YYYY-MM-DD"]),
    "horizon 0": (lambda p: ["--horizon", 0], ["horizon of 0 months", "1 to 120"]),
    "horizon 1000": (lambda p: ["--horizon", 1000], ["horizon of 1000 months", "1 to 120"]),
    "file that is not there": (
        lambda p: ["--observations", p / "gone.csv"],
        ["gone.csv", "does not exist"],
    ),
    "folder for a file": (lambda p: ["--observations", p], ["cannot be read"]),
    "data folder that is not there": (lambda p: ["--data", p / "gone"], ["no data folder"]),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_sentence_and_leaves_nothing(
    case: str, data: Path, tmp_path: Path, fit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options, said = BAD_INPUT[case]
    monkeypatch.chdir(tmp_path)
    args = options(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = run("forecast", "--data", data, "--out", tmp_path / "runs", *args)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = result.stderr.strip()
    assert message.startswith("Error: ")
    assert message.endswith(".")
    assert "\n" not in message, "more than one sentence, or a traceback"
    for part in said:
        assert part in message
    assert sorted(tmp_path.rglob("*")) == before
    assert not fit, "the sampler was started"


def test_out_that_is_a_file_is_refused(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("mine")
    result = run("forecast", "--data", data, "--out", place)
    assert result.exit_code == 2
    assert "is a file" in result.stderr
    assert place.read_text() == "mine"


def test_forecast_hands_over_what_was_asked(data: Path, tmp_path: Path, fit: dict[str, Any]) -> None:
    mine = figures(tmp_path, JUNE)
    changed = priors(tmp_path, "[priors.phi]\nparameters = { alpha = 9 }\n")
    result = run(
        "forecast", "--data", data, *mine, *changed, "--as-of", "2023-07-31", "--horizon", 12, "--seed", 7,
        "--out", tmp_path / "kept", "--draft", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (fit["as_of"], fit["horizon"], fit["seed"]) == (dt.date(2023, 7, 31), 12, 7)
    assert (fit["out"], fit["draft"], fit["progress"]) == (tmp_path / "kept", True, False)
    assert fit["priors"]["phi"].parameters["alpha"] == 9
    assert fit["questions"] is None
    assert len(fit["store"].latest("gpr_country", "KOR")) == 3


def test_forecast_json_is_json_and_nothing_else(data: Path, tmp_path: Path, fit: dict[str, Any]) -> None:
    result = run("forecast", "--data", data, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "run_id": "abc", "as_of": "2023-06-30", "probability": None, "folder": str(tmp_path / "abc"),
    }  # fmt: skip
    assert result.stderr == ""


def test_fit_that_does_not_pass_its_gates_ends_with_3(
    data: Path, tmp_path: Path, fit: dict[str, Any]
) -> None:
    from escalation_forecast.fit import ConvergenceError

    fit["raises"] = ConvergenceError("R-hat of eta is 1.2; draw more.")
    result = run("forecast", "--data", data, "--out", tmp_path, "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "Error: R-hat of eta is 1.2; draw more.\n"


def test_output_that_cannot_be_written_ends_with_4(data: Path, tmp_path: Path, fit: dict[str, Any]) -> None:
    fit["raises"] = OSError(28, "No space left on device")
    result = run("forecast", "--data", data, "--out", tmp_path)
    assert result.exit_code == 4
    assert "No space left on device" in result.stderr


def test_bug_is_not_dressed_up_as_bad_input(data: Path, tmp_path: Path, fit: dict[str, Any]) -> None:
    fit["raises"] = ValueError("shapes do not match")
    result = run("forecast", "--data", data, "--out", tmp_path)
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)


def test_show_gives_what_was_known_and_when(data: Path) -> None:
    def known(*options: object) -> list[tuple[str, float, str]]:
        result = run("data", "show", "--data", data, "--series", "milex_constant", "--json", *options)
        assert result.exit_code == 0, result.output
        rows = json.loads(result.stdout)
        assert all(set(row) == set(OBSERVATION_COLUMNS) for row in rows)
        return [(row["period_start"], row["value"], row["published_at"]) for row in rows]

    first = ("2022-01-01", 100.0, "2023-04-24")
    revised = [("2022-01-01", 104.0, "2024-04-22"), ("2023-01-01", 110.0, "2024-04-22")]
    assert known("--as-of", "2024-04-21") == [first]
    assert known("--as-of", "2024-04-22") == revised
    assert known("--limit", 1) == revised[1:]
    assert sorted(known("--releases")) == sorted([first, *revised])


def test_show_of_a_unit_takes_every_series(data: Path) -> None:
    rows = json.loads(run("data", "show", "--data", data, "--unit", "KOR", "--json").stdout)
    assert {row["series"] for row in rows} == {"milex_constant", "gpr_country"}


def test_show_says_so_when_there_is_nothing(data: Path) -> None:
    result = run("data", "show", "--data", data, "--series", "gpr_country", "--unit", "JPN")
    assert result.exit_code == 2
    assert "No figure of gpr_country JPN" in result.stderr


def test_list_counts_a_users_own_series(data: Path, tmp_path: Path) -> None:
    drills = JUNE | {"series": "drills", "unit_of_measure": "events", "source": "user", "value": "4"}
    mine = figures(tmp_path, drills, drills | {"release": "r2", "value": "2"})
    row = catalogue(tmp_path, indicator="drills_korea", family="count", series="drills", start="2023-05")
    result = run("data", "list", "--data", data, *mine, *row, "--json")
    assert result.exit_code == 0, result.output
    assert {r["series"]: r["rows"] for r in json.loads(result.stdout)}["drills"] == 2


def test_validate_lists_every_problem_with_its_row(data: Path) -> None:
    assert run("data", "validate", "--data", data).exit_code == 0
    table = data / "observations" / "figures.csv"
    table.write_text(table.read_text().replace("0.5", "500").replace("KOR,2022", "KOREA,2022"))
    result = run("data", "validate", "--data", data, "--json")
    assert result.exit_code == 2
    assert [problem["row"] for problem in json.loads(result.stdout)] == [2, 4, 5, 6]
    plain = run("data", "validate", "--data", data)
    assert "figures.csv, row 6" in plain.stdout


def test_build_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = run("data", "build", "--from", tmp_path / "gone", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr
    assert not (tmp_path / "out").exists()


def test_build_writes_where_the_store_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    from escalation_forecast import sources

    asked: list[Path] = []

    def build(raw: Path, out: Path, history: Path) -> list[Path]:
        asked.extend([out, history])
        return [out / "made.csv"]

    monkeypatch.setattr(sources, "build", build)
    (tmp_path / "raw").mkdir()
    result = run("data", "build", "--from", tmp_path / "raw", "--out", data)
    assert result.exit_code == 0, result.output
    assert asked == [data / "observations", data / "history"]


@pytest.mark.parametrize("what", ["data", "priors", "questions"])
def test_embedded_lists_are_json_and_not_empty(what: str) -> None:
    result = run(what, "list", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)
    assert run(what, "list").exit_code == 0


def test_priors_show_marks_what_a_file_changes(tmp_path: Path) -> None:
    changed = priors(tmp_path, "[priors.phi]\nparameters = { alpha = 9 }\n")
    shown = json.loads(run("priors", "show", "phi", *changed, "--json").stdout)
    assert shown["parameters"]["alpha"] == 9
    rows = run("priors", "list", *changed).stdout.splitlines()
    assert [row.split()[0] for row in rows if " yes " in row] == ["phi"]


def test_one_question_is_shown_with_the_release_it_resolves_on() -> None:
    first = json.loads(run("questions", "list", "--json").stdout)[0]
    shown = json.loads(run("questions", "show", first["id"], "--json").stdout)
    assert shown == first
    assert shown["resolves_on"]
    assert first["title"] in run("questions", "show", first["id"]).stdout


@pytest.mark.parametrize(("what", "name"), [("priors", "fi"), ("questions", "arms-race-regionl")])
def test_unknown_name_ends_with_one_sentence(what: str, name: str) -> None:
    result = run(what, "show", name)
    assert result.exit_code == 2
    assert f"`{name}`" in result.stderr
    assert f"`{what} list`" in result.stderr


def test_help_lists_every_command_and_the_exit_codes() -> None:
    top = run("--help").stdout
    for name in ("forecast", "data", "priors", "questions", "Exit codes", "4 output could not be written"):
        assert name in " ".join(top.split())
    for name, commands in {
        "data": ("list", "show", "validate", "build"),
        "priors": ("list", "show"),
        "questions": ("list", "show"),
    }.items():
        shown = run(name, "--help").stdout
        for command in commands:
            assert f"\n  {command} " in shown
        assert "..." not in shown.split("Commands:")[1], "a description is cut off"
    options = run("forecast", "--help").stdout
    for option in (
        "--as-of", "--horizon", "--seed", "--priors", "--questions", "--data", "--observations",
        "--indicators", "--out", "--draft", "--json",
    ):  # fmt: skip
        assert option in options


def test_tables_come_without_the_sampler() -> None:
    code = (
        "import sys\n"
        "from escalation_forecast.cli import app\n"
        "assert 'pandas' not in sys.modules\n"
        "app(['data', 'list', '--json'], standalone_mode=False)\n"
        "heavy = {'pymc', 'pytensor', 'arviz', 'preliz', 'matplotlib', 'numba', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
