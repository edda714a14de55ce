"""Writes the tables into the page and leaves its text alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.fit import Diagnostics, diagnose
from escalation_forecast.forecast import simulate
from escalation_forecast.questions import evaluate, load_questions
from escalation_forecast.report.markdown import markdown, number, rows_of
from escalation_forecast.schema import THEATRE_LABELS, THEATRES, DataError
from escalation_forecast.validation import free_sign, latent, plots, predictive
from escalation_forecast.validation.blocks import BLOCKS, GROUPS
from escalation_forecast.validation.fits import FULL, PRIOR_CHANGES, REPEAT, SPENDING, Study
from escalation_forecast.validation.markdown import (
    PAGE,
    bare_page,
    event_rows,
    fill,
    loading_rows,
    predictive_rows,
)

DEFAULT: Final = "default"
SEED: Final = 1
SPREAD: Final = ("mean", "sd", "low", "high")


def write_page(study: Study, out: Path) -> None:
    """Fill ``validation.md`` in the folder, or make it if it is not there, and draw its figures."""
    tables, figures = make_all(study)
    path = out / PAGE
    out.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else bare_page(tables)
    path.write_text(fill(text, tables), encoding="utf-8")
    plots.save(figures, out / "images")


def make_all(study: Study) -> tuple[dict[str, str], dict[str, Any]]:
    """Every table as Markdown and every figure."""
    full = study.get(FULL)
    if full is None:
        raise DataError("The full fit is missing; run without --offline.")
    now = pd.Timestamp(study.panel.months[study.panel.now])
    tables: dict[str, str] = {}
    figures: dict[str, Any] = {"latent": plots.latent_figure(full, now)}

    paths = simulate(study.panel, full, study.priors, predictive.HORIZON, SEED)
    stats = full[[n for n in full if str(n).startswith("stat_")]]
    stats = stats.rename({str(n): str(n).removeprefix("stat_") for n in stats})
    posterior = full.drop_vars([n for n in full if str(n).startswith("stat_")])
    answers = evaluate(load_questions(), paths, study.store)
    tables["run"] = run_table(study, diagnose(posterior, stats, paths, answers), stats)

    events = latent.event_table(full)
    tables["events"] = event_rows(events[events["real"]])
    tables["not-events"] = event_rows(events[~events["real"]])
    tables["peaks"] = markdown(
        ("latent", "highest months (value)", "now"), latent.extremes(full, now).to_numpy().tolist(), text=2
    )
    loadings = latent.loading_table(posterior, study.priors)
    tables["loadings"] = loading_rows(loadings)
    tables["global-share"] = markdown(
        ("theatre", "mean", "80 % interval", "share of the path's variance", "correlation with the factor"),
        (
            (
                row.theatre,
                number(row.mean),
                f"{row.low:.2f} to {row.high:.2f}",
                number(row.path),
                number(row.correlation),
            )
            for row in rows_of(latent.global_share_table(full, now))
        ),
    )
    dropped = comparisons(study, full, now, ["repeat", *BLOCKS, SPENDING, *GROUPS], "drop")
    tables["drop"], tables["drop-now"] = correlation_rows(dropped), change_rows(dropped, full, now)
    figures["blocks"] = plots.block_figure(wide(dropped, "all"), wide(dropped, "recent"))
    placebos = comparisons(study, full, now, [*BLOCKS, SPENDING], "placebo")
    against = comparisons(study, None, now, [*BLOCKS, SPENDING], "placebo")
    tables["placebo"] = placebo_rows(placebos, against)
    shrunk = placebo_loadings(study, loadings)
    tables["placebo-loadings"] = markdown(
        ("loading", "prior", "as fitted", "permuted"),
        (
            (row.loading, *(_with_sd(row, kind) for kind in ("prior", "real", "placebo")))
            for row in rows_of(shrunk)
        ),
    )
    if len(shrunk):
        figures["placebo"] = plots.placebo_figure(shrunk)
    tables["free-sign"] = sign_rows(study)
    tables["prior"] = markdown(
        ("check", "per cent", "also", "bound", "passed"),
        (
            (row.check, number(row.value, 2), row.also, row.bound, "yes" if row.passed else "**no**")
            for row in rows_of(predictive.prior_check(study.store, study.panel, study.priors))
        ),
    )
    checked = predictive.posterior_check(study.panel, full)
    tables["posterior"] = predictive_rows(checked)
    figures["coverage"] = plots.coverage_figure(checked[checked["block"] != "hurdle"])
    prints = predictive.print_coverage(predictive.print_check(study.panel, study.priors, full))
    tables["prints"] = markdown(
        ("states", "prints", "in 50 %", "in 80 %", "above the median", "mean absolute error, points"),
        (
            (
                r.states,
                str(r.n),
                number(r.within_50),
                number(r.within_80),
                number(r.above_median),
                number(r.mean_absolute_error, 1),
            )
            for r in rows_of(prints)
        ),
    )
    sensitive = sensitivity(study, full)
    tables["sensitivity"] = sensitivity_rows(sensitive)
    figures["sensitivity"] = plots.sensitivity_figure(sensitive, DEFAULT)
    return tables, figures


def run_table(study: Study, found: Diagnostics, stats: xr.Dataset) -> str:
    settings = study.lengths.full
    rows = [
        ("data known on", f"{study.as_of:%Y-%m-%d}, content hash {study.panel.content_hash[:12]}"),
        ("chains x (tuning + draws)", f"{settings.chains} x ({settings.tune} + {settings.draws})"),
        ("gradients per draw", f"{float(stats['n_steps'].mean()):.0f}"),
        ("divergences", str(found.divergences)),
        ("smallest E-BFMI", number(found.e_bfmi_min or np.nan)),
    ]
    worst = (
        ("largest R-hat", found.r_hat_max, 4),
        ("smallest bulk ESS", found.ess_bulk_min, 0),
        ("smallest tail ESS", found.ess_tail_min, 0),
    )
    rows += [(name, f"{w.value:.{digits}f} ({w.quantity})") for name, w, digits in worst if w]
    rows += [("gates", "passed" if found.passed else "not passed: " + " ".join(found.reasons))]
    short, medium = study.lengths.short, study.lengths.medium
    rows += [
        ("other fits", f"{short.chains} x ({short.tune} + {short.draws})"),
        ("sensitivity fits", f"{medium.chains} x ({medium.tune} + {medium.draws})"),
    ]
    return markdown(("full fit", ""), rows, text=2)


Comparison = tuple[str, pd.DataFrame, float]


def comparisons(
    study: Study, full: xr.Dataset | None, now: pd.Timestamp, names: Iterable[str], kind: str
) -> list[Comparison]:
    """Fit by fit: name, comparison with the full fit (or without one, with the block-dropped fit), R-hat."""
    out = []
    for name in names:
        one = study.get(REPEAT if name == "repeat" else f"{kind} {name}")
        base = full if full is not None else study.get(f"drop {name}")
        if one is not None and base is not None:
            label = "nothing (short fit, other seed)" if name == "repeat" else name
            out.append((label, latent.compare(one, base, now), latent.path_mixing(one)))
    return out


def wide(found: Sequence[Comparison], column: str) -> pd.DataFrame:
    """One column of the comparisons, by fit and theatre."""
    return pd.DataFrame({name: table.loc[list(THEATRES), column] for name, table, _ in found}).T


def correlation_rows(found: Sequence[Comparison]) -> str:
    return markdown(
        ("left out", *(THEATRE_LABELS[k] for k in THEATRES), "global factor", "R-hat of the path"),
        (
            (
                name,
                *(f"{number(table['all'][k])} / {number(table['recent'][k])}" for k in (*THEATRES, "global")),
                number(r_hat, 2),
            )
            for name, table, r_hat in found
        ),
    )


def change_rows(found: Sequence[Comparison], full: xr.Dataset, now: pd.Timestamp) -> str:
    months = pd.DatetimeIndex(full["month"].values)
    spread = latent.standard(full)[:, :, months == now].std(axis=0)[:, 0]
    rows = [("posterior sd of the full fit", *(number(value) for value in spread[: len(THEATRES)]))]
    rows += [(name, *(f"{float(table['change'][k]):+.2f}" for k in THEATRES)) for name, table, _ in found]
    return markdown(("left out", *(THEATRE_LABELS[k] for k in THEATRES)), rows)


def placebo_rows(placebos: Sequence[Comparison], against: Sequence[Comparison]) -> str:
    dropped = {name: table["all"] for name, table, _ in against}

    def cell(name: str, table: pd.DataFrame, theatre: str) -> str:
        without = float(dropped[name][theatre]) if name in dropped else np.nan
        return f"{number(table['all'][theatre])} / {number(without)}"

    return markdown(
        ("permuted", *(THEATRE_LABELS[k] for k in THEATRES), "R-hat of the path"),
        (
            (
                name,
                *(cell(name, table, k) for k in THEATRES),
                number(r_hat, 2),
            )
            for name, table, r_hat in placebos
        ),
    )


def _with_sd(row: Any, kind: str) -> str:
    return f"{getattr(row, f'{kind}_mean'):.2f} ({getattr(row, f'{kind}_sd'):.2f})"


def placebo_loadings(study: Study, real: pd.DataFrame) -> pd.DataFrame:
    """Prior, fitted and permuted loadings; of spending only the mean over states."""
    rows = []
    for block in (*BLOCKS, SPENDING):
        permuted = study.get(f"placebo {block}")
        if permuted is None:
            continue
        found = latent.loading_table(permuted, study.priors)
        mine = found[found["block"] == block].merge(
            real, on=["block", "loading"], suffixes=("_placebo", "_real")
        )
        for r in rows_of(mine):
            rows.append(
                {
                    "loading": r.loading,
                    **{f"prior_{k}": getattr(r, f"prior_{k}_real") for k in SPREAD},
                    **{f"real_{k}": getattr(r, f"{k}_real") for k in SPREAD},
                    **{f"placebo_{k}": getattr(r, f"{k}_placebo") for k in SPREAD},
                }
            )
    return pd.DataFrame(rows)


def sign_rows(study: Study) -> str:
    parts: list[tuple[str, Callable[..., pd.DataFrame]]] = [
        ("drop ladder", free_sign.ladder_slopes),
        ("drop sanctions, senders", free_sign.sanction_slopes),
    ]
    found = [make(study.panel, one) for name, make in parts if (one := study.get(name)) is not None]
    return markdown(
        (
            "item",
            "months",
            "of them with an event",
            "slope",
            "standard error",
            "resamples with a positive slope",
        ),
        (
            (r.item, str(r.n), str(r.events), f"{r.slope:+.2f}", number(r.se), f"{100 * r.positive:.0f} %")
            for part in found
            for r in rows_of(part)
        ),
    )


def sensitivity(study: Study, full: xr.Dataset) -> pd.DataFrame:
    """Headline probabilities with each variant of the priors; the same random numbers ahead."""
    fits: dict[str, tuple[xr.Dataset | None, str]] = {DEFAULT: (full, FULL)}
    fits |= {"default, short fit": (study.get(REPEAT), REPEAT)}
    fits |= {name: (study.get(name), name) for name in PRIOR_CHANGES}
    rows = []
    for variant, (posterior, name) in fits.items():
        if posterior is None:
            continue
        paths = simulate(study.panel, posterior, study.priors_of(name), predictive.HORIZON, SEED)
        mixing = latent.path_mixing(posterior)
        rows += [
            {"variant": variant, "question": question, "p": p, "mcse": mcse, "r_hat": mixing}
            for question, p, mcse in predictive.headlines(study.store, paths)
        ]
    return pd.DataFrame(rows)


def sensitivity_rows(table: pd.DataFrame) -> str:
    variants = list(dict.fromkeys(table["variant"]))
    by = table.set_index(["question", "variant"])
    rows = [
        (
            question,
            *(f"{by.loc[(question, v), 'p']:.2f} ({by.loc[(question, v), 'mcse']:.2f})" for v in variants),
        )
        for question in dict.fromkeys(table["question"])
    ]
    mixing = table.groupby("variant")["r_hat"].first()
    rows.append(("largest R-hat of the paths", *(number(mixing[v], 2) for v in variants)))
    return markdown(("probability (Monte Carlo error)", *variants), rows)
