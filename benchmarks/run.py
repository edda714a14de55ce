"""Run the benchmarks: each piece in a process of its own, results as JSON and in docs/performance.md.

    python -m benchmarks.run --out runs/benchmarks --doc docs/performance.md
    python -m benchmarks.run --only gradient,ours,b_numpyro --budget 60

References are sampled for about ``--budget`` seconds each: chains shorter than a forecast's, compared by
effective samples per second of drawing. Nothing is sampled before all densities agree.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.pieces import PIECES, REFERENCES, Wanted
from benchmarks.report import fill, tables

TIMEOUT = 1500.0  # seconds of a piece, compilation included
FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a piece failed."""
    given = _parser().parse_args(arguments)
    names = given.only.split(",") if given.only else list(PIECES)
    if unknown := [name for name in names if name not in PIECES]:
        print(f"There is no piece `{unknown[0]}`; choose from {', '.join(PIECES)}.", file=sys.stderr)
        return 2
    wanted = Wanted(given.out.resolve(), given.budget)
    if given.piece:
        return _here(given.piece, wanted)
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() and given.only else {"pieces": {}}
    results["machine"], results["budget"] = machine.record(), given.budget
    for name in names:
        found = _apart(name, wanted, given.timeout)
        results["pieces"][name] = found
        kept.write_text(json.dumps(results, indent=1))
        said = found.get("error") or f"{found['wall_seconds']:.0f} s"
        print(f"{name}: {said}", file=sys.stderr, flush=True)
        if name == "agreement" and "error" in found:
            # Ratios of different posteriors would mean nothing.
            names = [other for other in names if other not in REFERENCES]
            break
    text = tables(results)
    (given.out / "tables.md").write_text(text)
    if given.doc:
        fill(given.doc, text)
    print(text)
    failed = [name for name in names if "error" in results["pieces"].get(name, {"error": ""})]
    return FAILED if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder of the results")
    parser.add_argument("--only", help=f"pieces joined by commas: {', '.join(PIECES)}")
    parser.add_argument("--budget", type=float, default=180.0, help="seconds of sampling for each reference")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds after which a piece is ended")
    parser.add_argument("--doc", type=Path, help="page whose tables between markers are replaced")
    parser.add_argument("--piece", choices=list(PIECES), help=argparse.SUPPRESS)
    return parser


def _apart(name: str, wanted: Wanted, timeout: float) -> dict[str, Any]:
    """A piece in a process group of its own, ended with all that it started when its time is up."""
    command = [sys.executable, "-m", "benchmarks.run", "--piece", name, "--budget", str(wanted.budget)]
    start, load = time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [*command, "--out", str(wanted.folder)],
            stdout=out,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return {"error": f"not finished after {timeout:.0f} s", "load_before": load}
        out.seek(0)
        errors.seek(0)
        lines, said = out.read().strip().splitlines(), errors.read()
    if child.returncode or not lines:
        last = said.strip().splitlines()[-1:] or ["no result"]
        (wanted.folder / f"{name}.log").write_text(said)
        return {"error": last[0], "load_before": load}
    return json.loads(lines[-1]) | {"wall_seconds": time.perf_counter() - start, "load_before": load}


def _here(name: str, wanted: Wanted) -> int:
    try:
        found = PIECES[name](wanted)
    except Exception:
        traceback.print_exc()
        return FAILED
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
