"""The notebooks: what is kept of them, and that each runs from a fresh kernel."""

from __future__ import annotations

import ast
import base64
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from PIL import Image

from execute import PNG, TAG, VIEW, NotebookError, execute, notebooks, smaller

FILES = notebooks()
KILOBYTES = 600
PICTURES = 2
PACKAGE = "escalation_forecast"
# A path from the root of a machine or of a home; /dev/null and web addresses are none.
MACHINE = re.compile(r"(?<![\w:/.])(?:/(?:home|root|work|tmp|Users|usr|var|opt|mnt)/\w|[A-Z]:\\\\)")

each = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def read(file: Path) -> NotebookNode:
    return nbformat.read(file, as_version=4)


def code_of(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs_of(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in code_of(notebook):
        yield from cell.outputs


def pictures_in(notebook: NotebookNode) -> int:
    return sum(PNG in output.get("data", {}) for output in outputs_of(notebook))


def python_of(notebook: NotebookNode) -> ast.Module:
    lines = "\n".join(cell.source for cell in code_of(notebook)).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def private_names(tree: ast.Module) -> set[str]:
    """Names with an underscore in front that are imported, or read of something."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {part for alias in node.names for part in (*str(node.module).split("."), alias.name)}
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def test_numbers_run_without_a_gap() -> None:
    assert FILES
    assert [int(file.name[:2]) for file in FILES] == list(range(1, len(FILES) + 1))


@each
def test_kept_outputs_are_of_one_run_from_the_top(file: Path) -> None:
    notebook = read(file)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, 1 + len(code_of(notebook))))
    for output in outputs_of(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        assert VIEW not in output.get("data", {})
    assert pictures_in(notebook) >= PICTURES


@each
def test_parameters_come_second_and_ask_for_full_fits(file: Path) -> None:
    notebook = read(file)
    tagged = [n for n, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", [])]
    assert tagged == [1]
    assert notebook.cells[1].source == "DRAFT = False"


@each
def test_nothing_of_the_machine_is_kept(file: Path) -> None:
    notebook = read(file)
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    text = "\n".join(cell.source for cell in notebook.cells)
    for output in outputs_of(notebook):
        text += "\n" + str({k: v for k, v in output.get("data", {}).items() if k != PNG})
        text += "\n" + output.get("text", "")
    assert not MACHINE.findall(text)


@each
def test_only_public_names_are_used(file: Path) -> None:
    tree = python_of(read(file))
    assert private_names(tree) == set()
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert any(str(module).startswith(PACKAGE) for module in modules)


def test_a_private_name_would_be_found() -> None:
    tree = ast.parse("from escalation_forecast.push import _block\nrun._step()\nclass A:\n    x = A.__name__")
    assert private_names(tree) == {"_block", "_step"}


@each
def test_size_is_fit_for_a_repository(file: Path) -> None:
    assert file.stat().st_size < 1000 * KILOBYTES


def test_pictures_keep_what_one_sees() -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    raw = io.BytesIO()
    picture.save(raw, "PNG")
    packed = base64.b64decode(smaller(base64.b64encode(raw.getvalue()).decode()))
    again = Image.open(io.BytesIO(packed)).convert("RGB")
    apart = [abs(a - b) for a, b in zip(picture.tobytes(), again.tobytes(), strict=True)]
    assert again.size == picture.size
    assert max(apart) <= 3


def written(folder: Path, *cells: str) -> Path:
    first, *others = (nbformat.v4.new_code_cell(source) for source in cells)
    first.metadata["tags"] = [TAG]
    file = folder / "09_made_up.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[first, *others]), file)
    return file


@pytest.mark.slow
def test_a_draft_is_asked_for_and_a_warning_fails(tmp_path: Path) -> None:
    done = execute(written(tmp_path, "DRAFT = False", "print(DRAFT)"), draft=True)
    assert [output.text for output in outputs_of(done)] == ["True\n"]
    with pytest.raises(NotebookError, match=r"09_made_up\.ipynb, cell 2 writes to stderr: .*late"):
        execute(written(tmp_path, "DRAFT = False", "import warnings\nwarnings.warn('late')"))


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebooks in a folder of their own, beside which their shared runs are kept."""
    folder = tmp_path_factory.mktemp("notebooks") / "notebooks"
    folder.mkdir()
    for file in FILES:
        shutil.copy(file, folder)
    return folder


@pytest.mark.slow
@each
def test_runs_as_a_draft_from_a_fresh_kernel(copies: Path, file: Path) -> None:
    before = sorted(path.name for path in copies.iterdir())
    done = execute(copies / file.name, draft=True)
    assert pictures_in(done) == pictures_in(read(file))
    # What a notebook writes for its own use is gone at its end.
    assert sorted(path.name for path in copies.iterdir()) == before
