"""``python -m escalation_forecast.score.ladder``: backtest of use of force, against simple methods."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.history.tables import load_history
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_backtest import SHORT, run_backtest
from escalation_forecast.score.ladder_baselines import baseline_probabilities
from escalation_forecast.score.ladder_cases import (
    CASE,
    HORIZONS,
    brier_skill,
    origins,
    outcomes,
    read_ladder,
)
from escalation_forecast.score.ladder_history import history_probabilities
from escalation_forecast.score.ladder_pool import (
    COMPONENTS,
    METHOD,
    POOLED,
    Pool,
    final_pool,
    prequential_pool,
    write_pool,
)
from escalation_forecast.score.ladder_report import BARS, common_cases, ladder_table
from escalation_forecast.store import Store

BAD_INPUT: Final = 2
NOTE: Final = (
    "Not real-time: dispute codes and news are final vintages by reference month. Gains are positive where "
    "a method beats the bar (mix for Brier, logit_lags for log score and AUC within theatres)."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m escalation_forecast.score.ladder", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"), help="folder of fits and tables")
    parser.add_argument("--origins", type=int, metavar="N", help="that many, evenly spread; default all 144")
    parser.add_argument("--at", nargs="+", metavar="YYYY-MM", help="these origins only")
    parser.add_argument(
        "--components",
        nargs="+",
        choices=COMPONENTS,
        default=POOLED,
        help="what the pool takes; default all but climatology",
    )
    parser.add_argument("--no-fit", action="store_true", help="without the joint model")
    parser.add_argument("--write-pool", action="store_true", help="keep the final weights as data")
    chosen = parser.parse_args(arguments)
    try:
        months = chosen_origins(chosen.origins, chosen.at)
        probabilities, truth, pool, weights = backtest(
            chosen.out, [] if chosen.no_fit else months, chosen.components
        )
        table = ladder_table(probabilities, truth)
        if chosen.write_pool:
            print(write_pool(pool), file=sys.stderr)
    except DataError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    for name, frame in (("probabilities", probabilities), ("scores", table), ("weights", weights)):
        frame.to_csv(chosen.out / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table.drop(columns=[f"{score}_bar" for score in BARS]).round(4).to_string(index=False))
        skill = brier_skill(probabilities, truth, METHOD, BARS["brier"][0]).round(4)
        print(
            "\nBrier skill of the pool against mix, 90 % by two-year blocks\n",
            skill.to_string(index=False),
            sep="",
        )
        print("\nWeights from all origins\n", pool.weights.round(3).to_string(), "\n", NOTE, sep="")
    return 0


def chosen_origins(number: int | None, at: Sequence[str] | None) -> list[pd.Timestamp]:
    """Origins of the protocol: all, a number of them evenly spread, or those named."""
    every = origins(min(HORIZONS))
    if at:
        found = [pd.Timestamp(f"{label}-01") for label in at]
        if odd := [f"{month:%Y-%m}" for month in found if month not in every]:
            raise DataError(
                f"{odd[0]} is no origin of the protocol; choose {every[0]:%Y-%m} to {every[-1]:%Y-%m}."
            )
        return found
    if number is None:
        return every
    if not 1 <= number <= len(every):
        raise DataError(f"{number} origins are out of range; choose 1 to {len(every)}.")
    return [every[k] for k in np.unique(np.linspace(0, len(every) - 1, number).round().astype(int))]


def backtest(
    out: Path, months: Sequence[pd.Timestamp], components: Sequence[str] = POOLED
) -> tuple[pd.DataFrame, pd.DataFrame, Pool, pd.DataFrame]:
    """Probabilities of every method, outcomes, the pool for forecasts and the weights by origin.

    Parameters
    ----------
    out : folder in which fits are kept; made if need be.
    months : origins at which the joint model is fitted; without any it is left out of the pool.
    components : methods that the pool takes.
    """
    store = Store.embedded()
    ladder = read_ladder(store)
    truth = outcomes(ladder)
    out.mkdir(parents=True, exist_ok=True)
    parts = [baseline_probabilities(ladder), history_probabilities(load_history(), ladder)]
    columns = [*CASE, "method", "p"]
    if months:
        fitted = run_backtest(store, Priors.default(), months, out)
        # Windows of the last origins that run past 2014 have no outcome by the same coder.
        parts.append(fitted[columns].merge(truth[list(CASE)], on=list(CASE)))
    probabilities = common_cases(pd.concat([part[columns] for part in parts], ignore_index=True))

    pooled_methods = [name for name in components if name in set(probabilities["method"])]
    pooled, weights = prequential_pool(probabilities, truth, pooled_methods)
    everything = pd.concat([probabilities, pooled], ignore_index=True)
    scores = ladder_table(everything, truth)
    best = scores[scores["method"] == "pool"].set_index("horizon")
    settings = SHORT.canonical() if months else {}
    provenance = {
        "coding": "mid5, first month of the incident",
        "settings": " ".join(f"{name} {value}" for name, value in settings.items()) or "no joint model",
        **{f"brier_{h}": round(float(best.loc[h, "brier"]), 5) for h in best.index},
        **{f"log_score_{h}": round(float(best.loc[h, "log_score"]), 5) for h in best.index},
    }
    return everything, truth, final_pool(probabilities, truth, pooled_methods, provenance), weights


if __name__ == "__main__":
    raise SystemExit(main())
