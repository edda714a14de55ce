"""Write docs/plots.md and its pictures from a finished run and finished backtests; `make plots` calls it."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from escalation_forecast import Store, load_run, plots
from escalation_forecast.report.plot import Plot

HERE = Path(__file__).parent
PAGE, IMAGES = HERE / "plots.md", HERE / "images"
WIDTH = 960  # pixels
COLOURS = 96
NAMES = ("phi_global", "phi[taiwan]", "count_loading[launches_prk]", "threat_slope[CHN]", "reaction",
         "growth_mean[JPN]")  # fmt: skip
HEAD = """# Plots

Every `plot_*` of the package takes a run, or the parts of one that it draws, and returns a `Plot`:

```python
from escalation_forecast import load_run, plots

run = load_run("runs/<id>")
plot = plots.plot_routes(run)
plot                      # in a notebook: the picture; its text alternative is kept with it
plot.alt                  # a few sentences with the main message, from the numbers drawn
plot.table()              # the numbers drawn, as a DataFrame
plot.save("routes.png")   # the text goes into the file: PNG Description, SVG <title> and <desc>
plot.html()               # <img alt="...">, everything escaped
plot.figure               # the matplotlib figure, outside pyplot
```

The text and the table come from the same numbers as the picture. Names are text wherever they come from: a
dollar sign makes no formula and a bracket no markup. Colours are those of Okabe and Ito (2008), and what they
tell apart is told by line, mark or place as well, so that it prints in grey. Pictures here are of run
`{run}` (as of {as_of}); `make plots RUN=runs/<id>` writes this page anew.
"""
FOOT = """## All of them

{rows}

Functions that take more than a run say in their docstrings what. `plot_calibration` draws the cases of
`calibration_cases("runs/backtest")`; what a forecast quotes of its skill is `plot_skill()`.
"""


def smaller(plot: Plot, file: Path) -> None:
    """The picture at the width of a page, in few colours, with its text."""
    from PIL.PngImagePlugin import PngInfo

    picture = Image.open(io.BytesIO(plot.png(dpi=150))).convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    few = picture.resize((WIDTH, height), Image.Resampling.LANCZOS).quantize(
        COLOURS, dither=Image.Dither.NONE
    )
    text = PngInfo()
    text.add_text("Description", plot.alt)
    few.save(file, optimize=True, pnginfo=text)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", help="a finished run, such as runs/<id>")
    options.add_argument("--backtest", default="runs/backtest", help="finished backtests")
    chosen = options.parse_args()
    run, known = load_run(chosen.run), Store.embedded()
    drawn: dict[str, tuple[str, Callable[[], Plot]]] = {
        "plot_years": ("Probability by year", lambda: plots.plot_years(run)),
        "plot_routes": ("Routes to a wider war", lambda: plots.plot_routes(run)),
        "plot_wider": ("The same by month, beside base rates", lambda: plots.plot_wider(run)),
        "plot_ladder": ("The ladder of incidents", lambda: plots.plot_ladder(run)),
        "plot_push": ("What pushed the tension", lambda: plots.plot_push(run)),
        "plot_expected": (
            "Indicators and what the model expects of them",
            lambda: plots.plot_expected(run, known),
        ),
        "plot_prior_posterior": ("Priors and posteriors", lambda: plots.plot_prior_posterior(run, NAMES)),
        "plot_calibration": (
            "Calibration at past origins",
            lambda: plots.plot_calibration(plots.calibration_cases(chosen.backtest)),
        ),
        "plot_skill": ("Measured skill", lambda: plots.plot_skill()),
    }
    parts = [HEAD.format(run=run.summary["run_id"], as_of=run.summary["as_of"])]
    parts.append(
        "The README shows tension (`plot_latent`); [explain.md](explain.md) says why a probability moved\n"
        "(`plot_waterfall`).\n"
    )
    for name, (heading, draw) in drawn.items():
        plot = draw()
        file = IMAGES / f"{name}.png"
        smaller(plot, file)
        alt = plot.alt.replace("[", r"\[").replace("]", r"\]").replace("<", "&lt;")
        parts.append(f"## {heading}\n\n![{alt}](images/{file.name})\n\n`{name}`\n")
    rows = ["| plot | what it shows |", "| --- | --- |"]
    for name in sorted(one for one in plots.__all__ if one.startswith("plot_")):
        first = (getattr(plots, name).__doc__ or "").strip().split("\n\n")[0]
        rows.append(f"| `{name}` | {' '.join(first.split())} |")
    parts.append(FOOT.format(rows="\n".join(rows)))
    PAGE.write_text("\n".join(parts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
