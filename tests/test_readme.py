"""The examples of the README work as they are printed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escalation_forecast.cli import app

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```(?:toml|csv)\n# (\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("readme")
    found = {}
    for name, text in BLOCK.findall(README.read_text(encoding="utf-8")):
        found[name] = folder / name
        found[name].write_text(text, encoding="utf-8")
    assert set(found) == {"my_priors.toml", "my_questions.toml", "my_figures.csv", "my_indicators.csv"}
    return found


def test_priors_of_the_example_change_what_it_names(files: dict[str, Path]) -> None:
    done = CliRunner().invoke(app, ["priors", "list", "--priors", str(files["my_priors.toml"])])
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines() if " yes " in line] == [
        "phi",
        "growth_drift",
    ]


def test_question_of_the_example_is_read(files: dict[str, Path]) -> None:
    done = CliRunner().invoke(
        app, ["questions", "list", "--questions", str(files["my_questions.toml"]), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert [question["id"] for question in json.loads(done.stdout)] == ["japan-korea-build-up"]


def test_indicator_of_the_example_reaches_the_store(files: dict[str, Path]) -> None:
    mine = ["--observations", str(files["my_figures.csv"]), "--indicators", str(files["my_indicators.csv"])]
    done = CliRunner().invoke(app, ["data", "validate", *mine])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["data", "show", *mine, "--series", "border_drills", "--json"])
    assert [row["value"] for row in json.loads(done.stdout)] == [3, 1, 0, 4]


def test_commands_of_the_readme_exist() -> None:
    lines = re.findall(r"^escalation-forecast (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    lines += re.findall(r"`(data show --[^`]+)`", README.read_text(encoding="utf-8"))
    assert len(lines) >= 4
    for line in lines:
        done = CliRunner().invoke(app, [*shlex.split(line), "--help"])
        assert done.exit_code == 0, (line, done.output)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
