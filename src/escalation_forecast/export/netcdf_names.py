"""What the variables of the exported posterior are, in words and units; docs/posterior-schema.md in short.

Units are those of UDUNITS as CF asks: ``1`` for a number without, such as standard deviations of 2010-2019.
"""

from __future__ import annotations

from typing import Final

TITLES: Final = {
    "posterior": "Draws of the parameters",
    "paths": "Draws of the long paths behind the parameters",
    "sample_stats": "How the sampler went, draw by draw",
    "predictions": "Joint forecast paths; draw for draw they belong together, and to the posterior",
    "observed_data": "Figures as known at the as-of date",
    "constant_data": "Weights, scales and the long-form arrays that the model reads",
    "prior": "Independent draws of every prior",
}
LOG_GROWTH: Final = "100 times the difference of logarithms"
UNITS: Final = {
    "growth_print": "percent", "growth_true": "percent", "gdp_growth": "percent",
    "indicator_level": "1", "energy": "1", "logp": "1",
}  # fmt: skip
LONG_NAMES: Final = {
    "chain": "chain of the sampler",
    "draw": "draw of a chain, as numbered in the run",
    "theatre": "theatre",
    "scaled_theatre": "theatre without korea",
    "latent": "theatre or global factor",
    "month": "first day of the month",
    "past_month": "first day of a month before draws begin",
    "future_month": "first day of a month after the as-of date",
    "report_month": "first day of the month of a report on a stock",
    "state": "state, ISO 3166 alpha-3",
    "rival": "rival, ISO 3166 alpha-3",
    "year": "calendar year of the release's newest figure",
    "spending_year": "calendar year of the spending model",
    "year_ahead": "years after the last one printed",
    "transfer_year": "calendar year of deliveries",
    "age": "years between the figure's year and the release's newest",
    "late_age": "age of a print, the first is 1",
    "future": "future of a draw with chance events of its own",
    "dyad": "pair of states; RUS-NATO is Russia with any member",
    "joiner": "state or alliance that may join the war",
    "host": "US forces by indicator of their host",
    "pair": "arms transfers by indicator of the pair",
    "indicator": "indicator, as in data/indicators.csv",
    "eta": "latent risk on the model's scale, mean zero over 1990-2014, to the nearest 1/256",
    "centre": "mean over 1990-2014 taken off the latent",
    "last_path": "fast part of the latent in the last month of the grid",
    "next_level": "slow level in the January after the grid",
    "log_stock": "logarithm of the stocks behind the reports",
    "growth_level": "slowly drifting mean growth, points, to the nearest 1/256",
    "growth_scale": "slowly changing scale of surprises, points, to the nearest 1/256",
    "growth": f"true growth of the years ahead, {LOG_GROWTH}",
    "first_print": f"first print of those years, {LOG_GROWTH}",
    "revision": "revision still to come of the newest print, points",
    "diverging": "the step diverged",
    "energy": "Hamiltonian",
    "logp": "log density up to a constant",
    "depth": "depth of the tree",
    "n_steps": "gradients taken",
    "step_size": "step of the integrator",
    "maxdepth_reached": "the tree was cut",
    "risk": "latent risk in standard deviations of 2010-2019, to the nearest 1/256",
    "global_risk": "global factor in standard deviations of 2010-2019, to the nearest 1/256",
    "ladder": "level of the use-of-force ladder: 0, 3 or 4, which means 4 or more",
    "indicator_level": "monthly indicator in its own unit",
    "dprk_troops": "North Korean soldiers in Russia, persons",
    "us_troops": "US forces, persons, in months with a quarterly figure",
    "transfers": "arms delivered, million TIV of SIPRI",
    "growth_print": "real growth of military spending as printed in the release that first covers the year",
    "growth_true": "true real growth of military spending",
    "clash": "highest clash of the month: 0 none, 1 deadly, 2 with 25 deaths or more, 3 becomes a war",
    "joined": "1 in the month of joining the Russia-Ukraine war",
    "growth_latest": f"newest print of growth, {LOG_GROWTH}",
    "exposure": "weight of a theatre in a state's threat",
    "rival_weight": "weight of a rival in a state's reaction",
    "gdp_growth": "real growth of GDP less the state's mean, 0 where unknown",
    "reference_mean": "mean of the latent over 2010-2019 in the reference run, model scale",
    "reference_sd": "standard deviation of the latent over 2010-2019 in the reference run, model scale",
}
