"""Run the notebooks from a fresh kernel and keep what they show.

    .venv/bin/python notebooks/execute.py                 # all of them, with full fits, in place
    .venv/bin/python notebooks/execute.py 01 --draft      # one, with short fits, nothing is written

What is kept is the same wherever it was run: no timings, no versions, pictures with few colours.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

HERE: Final = Path(__file__).parent
TAG: Final = "parameters"
INJECTED: Final = "injected-parameters"
DRAFT: Final = "DRAFT = True"
COLOURS: Final = 128
CELL_SECONDS: Final = 3600
PNG: Final = "image/png"
# A view without its kernel shows an error; without the view, the page shows the plain HTML beside it.
VIEW: Final = "application/vnd.jupyter.widget-view+json"


class NotebookError(Exception):
    """A notebook said something on stderr; the message names notebook and cell."""


def notebooks(folder: Path = HERE, wanted: Sequence[str] = ()) -> list[Path]:
    """The notebooks in reading order; of those only the ones whose name starts with a word of ``wanted``."""
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    return [file for file in found if not wanted or file.name.startswith(tuple(wanted))]


def execute(file: Path, *, draft: bool = False) -> NotebookNode:
    """The notebook with new outputs, run in its own folder; the file stays as it is.

    Parameters
    ----------
    draft : put ``DRAFT = True`` behind the cell tagged ``parameters``, as papermill would.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        When a cell fails.
    NotebookError
        When a cell writes to stderr: warnings are for us, not for readers.
    """
    notebook = nbformat.read(file, as_version=4)
    if draft:
        _inject(notebook, file)
    with TemporaryDirectory() as sockets:
        # By files of the user's, not by ports that everybody on the machine can listen to.
        by_files = Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"})
        client = NotebookClient(
            notebook,
            config=by_files,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(file.parent)}},
        )
        client.execute()
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(f"{file.name}, cell {number} writes to stderr: {output.text.strip()}")
    return tidied(notebook)


def tidied(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs from machine to machine, its pictures made small."""
    shown = notebook.metadata.get("kernelspec", {}).get("display_name", "Python 3")
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(display_name=shown, language="python", name="python3"),
        language_info=NotebookNode(name="python"),
    )
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(VIEW, None)
            if PNG in data:
                data[PNG] = smaller(data[PNG])
    return notebook


def smaller(png: str) -> str:
    """A picture in base64 with a palette of ``COLOURS``: plots lose nothing that one sees."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    packed = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def _inject(notebook: NotebookNode, file: Path) -> None:
    tagged = [n for n, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise NotebookError(f"{file.name} has {len(tagged)} cells tagged '{TAG}'; give it one.")
    cell: Any = nbformat.v4.new_code_cell(DRAFT, metadata={"tags": [INJECTED]})
    notebook.cells.insert(tagged[0] + 1, cell)


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute notebooks and say how long each took."""
    parser = argparse.ArgumentParser(description="Run the notebooks and keep what they show.")
    parser.add_argument("wanted", nargs="*", help="numbers such as 01; all by default")
    parser.add_argument("--draft", action="store_true", help="short fits; nothing is written")
    given = parser.parse_args(arguments)
    chosen = notebooks(wanted=given.wanted)
    if not chosen:
        parser.error(f"no notebook starts with {' or '.join(given.wanted)}")
    for file in chosen:
        started = time.perf_counter()
        done = execute(file, draft=given.draft)
        if not given.draft:
            nbformat.write(done, file)
        print(f"{file.name}: {time.perf_counter() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
