"""The tables of docs/performance.md from the results of `run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NAMES = {
    "ours": "this program",
    "a_pymc": "(a) PyMC's NUTS, same model",
    "b_numpyro": "(b) NumPyro on JAX",
    "c_stan": "(c) Stan",
    "d_plain_nutpie": "(d) plain PyMC, nutpie",
    "d_plain_pymc": "(d) plain PyMC, PyMC's NUTS",
}
GRADIENTS = {"a_pymc": "a_pymc_us", "b_numpyro": "b_numpyro_us", "d_plain_nutpie": "d_plain_us"}
TARGETS = {"a_pymc": 4.0, "b_numpyro": 3.0, "c_stan": 3.0, "d_plain_nutpie": 10.0, "d_plain_pymc": 10.0}


def fill(page: Path, text: str) -> None:
    """Put the tables between the markers of a page."""
    before, found, rest = page.read_text().partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{page} has no place for the tables: add the lines {BEGIN} and {END}.")
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def tables(results: dict[str, Any]) -> str:
    """All tables whose pieces are there."""
    pieces, on = results["pieces"], results["machine"]
    lines = [
        f"Commit {on['commit']}, {on['at'][:10]}, {on['processor']}, {on['cores']} cores, load at the start "
        f"{on['load'][0]}; "
        + ", ".join(f"{name} {number}" for name, number in on["versions"].items() if number)
        + f". References sampled for about {results['budget']:.0f} s each.",
        "",
        *_agreement(_found(pieces, "agreement")),
        *_samplers(pieces),
        *_times(pieces),
        *_parts(_found(pieces, "parts")),
        *_growth(_found(pieces, "growth")),
    ]
    failed = [f"{name}: {piece['error']}" for name, piece in pieces.items() if "error" in piece]
    if failed:
        lines += ["Not measured:", "", *(f"- {line}" for line in failed), ""]
    return "\n".join(lines)


def _found(pieces: dict[str, Any], name: str) -> dict[str, Any] | None:
    piece = pieces.get(name)
    return None if piece is None or "error" in piece else piece


def _agreement(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [
        [NAMES.get(name, "(d) plain PyMC"), f"{one['value']:.1e}", f"{one['gradient']:.1e}"]
        for name, one in found.items()
        if isinstance(one, dict)
    ]
    head = ["log density against the program's", "largest relative difference", "of gradients"]
    return _table("Agreement at 24 random points", head, rows)


def _samplers(pieces: dict[str, Any]) -> list[str]:
    own = _found(pieces, "ours")
    head = [
        "sampler", "compile s", "draws", "tune + draw s", "gradient µs", "gradients a draw", "min bulk ESS",
        "min ESS/s", "ratio", "median ESS/s", "ratio", "min tail ESS/s", "min ESS per 1,000 gradients",
        "s to min ESS 400", "ratio", "peak MB",
    ]  # fmt: skip
    rows = []
    for name, title in NAMES.items():
        one = _found(pieces, name)
        if one is None:
            continue
        length = one["length"]

        def ratio(key: str, mine: dict[str, Any] | None = own, theirs: dict[str, Any] = one) -> str:
            return f"{mine[key] / theirs[key]:.1f}" if mine and theirs is not mine else ""

        slower = (
            f"{one['seconds_to_ess_400'] / own['seconds_to_ess_400']:.1f}" if own and one is not own else ""
        )
        rows.append(
            [
                title,
                f"{one['compile_seconds']:.0f}",
                f"{length['chains']} x ({length['tune']} + {length['draws']})",
                f"{one['tune_seconds']:.0f} + {one['draw_seconds']:.0f}",
                f"{one['gradient_us']:.0f}",
                f"{one['gradients_per_draw']:.0f}",
                f"{one['bulk_min']:.0f}",
                f"{one['bulk_min_per_second']:.2f}",
                ratio("bulk_min_per_second"),
                f"{one['bulk_median_per_second']:.1f}",
                ratio("bulk_median_per_second"),
                f"{one['tail_min_per_second']:.2f}",
                f"{one['bulk_min_per_1000_gradients']:.2f}",
                f"{one['seconds_to_ess_400']:.0f}",
                slower,
                f"{one['peak_mb']:.0f}",
            ]
        )
    if not rows:
        return []
    lines = _table("Samplers of the same posterior", head, rows)
    speeds = _found(pieces, "gradient")
    if speeds:
        own_us = speeds["ours_us"]
        rows = [["this program, as the sampler calls it", f"{own_us:.0f}", ""]]
        rows += [
            [NAMES[name], f"{speeds[key]:.0f}", f"{speeds[key] / own_us:.1f}"]
            for name, key in GRADIENTS.items()
            if key in speeds
        ]
        lines += _table("One log density with its gradient", ["", "µs", "ratio"], rows)
    return lines


def _times(pieces: dict[str, Any]) -> list[str]:
    rows: list[list[str]] = []
    for name, title in (
        ("forecast_cold", "forecast, nothing compiled before"),
        ("forecast_warm", "forecast, program on disk"),
        ("reforecast", "forecast of a new month, started from the last run"),
    ):
        one = _found(pieces, name)
        if one is None:
            continue
        rows.append([title, f"{one['seconds']:.1f}"])
        for key in ("compile_seconds", "sampling_seconds"):
            rows.append([f"- {key.partition('_')[0]}", f"{one[key]:.1f}"])
        if "peak_mb" in one:
            rows.append(["- peak memory, MB", f"{one['peak_mb']:.0f}"])
            rows.append(["- posterior on disk, MB", f"{one['posterior_mb']:.0f}"])
    cell, work = _found(pieces, "backtest_cell"), _found(pieces, "workflow")
    if cell:
        rows.append(["backtest: the program of all origins", f"{cell['compile_seconds']:.1f}"])
        rows.append(["backtest: an origin", f"{cell['seconds']:.1f}"])
    for key, value in (work or {}).items():
        if key.endswith("_seconds") and key != "wall_seconds":
            rows.append([key.removesuffix("_seconds").replace("_", " "), f"{value:.2f}"])
    return _table("From figures to answers", ["", "s"], rows) if rows else []


def _parts(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = [
        [key.removesuffix("_us").replace("_", " "), f"{value:,.1f}"]
        for key, value in sorted(found.items(), key=lambda pair: -pair[1])
        if key.endswith("_us")
    ]
    return _table("Parts, least time", ["", "µs"], rows)


def _growth(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    rows = []
    for name, one in found.items():
        if isinstance(one, dict):
            times = one.get("gradient_us") or one["seconds"]
            unit = "µs a gradient" if "gradient_us" in one else "s"
            shown = ", ".join(f"{value:.3g}" for value in times)
            sizes = ", ".join(f"{size:,}" for size in one["sizes"])
            rows.append([name.replace("_", ": "), sizes, f"{shown} {unit}", f"{one['slope']:.2f}"])
    return _table("Growth", ["with", "sizes", "time", "slope (1 = in proportion)"], rows)


def _table(title: str, head: list[str], rows: list[list[str]]) -> list[str]:
    line = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return [f"**{title}**", "", *line, ""]
