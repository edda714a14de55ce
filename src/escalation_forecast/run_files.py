"""What a run leaves behind besides its summary: the posterior's groups, draws, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import archive
from escalation_forecast.draws import prior_sample
from escalation_forecast.priors import Priors

if TYPE_CHECKING:
    from escalation_forecast.panel import Panel

PRIOR_DRAWS: Final = 1000
PRIORS: Final = "priors.toml"


def write_run(
    folder: Path,
    summary: Mapping[str, Any],
    paths: xr.Dataset,
    panel: Panel,
    posterior: xr.Dataset,
    stats: xr.Dataset,
    priors: Priors,
    seed: int,
) -> None:
    """Everything of a run but its summary."""
    from escalation_forecast.report.plots import save_plots
    from escalation_forecast.report.tables import write_tables

    groups = posterior_groups(paths, panel, posterior, stats, priors, seed)
    archive.write_posterior(groups, folder / archive.POSTERIOR)
    del groups  # some hundred megabytes that tables and pictures do without
    for name, table in draw_tables(paths).items():
        table.to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
    text = priors.to_toml(heading="All priors of this run.")
    (folder / PRIORS).write_text(text, encoding="utf-8", newline="\n")
    write_tables(paths, summary, folder)
    save_plots(paths, summary, folder)


def priors_of(folder: Path) -> Priors | None:
    """The priors kept in a run's folder; None in one that was made before they were."""
    file = folder / PRIORS
    return Priors.load(file) if file.is_file() else None


def posterior_groups(
    paths: xr.Dataset,
    panel: Panel,
    posterior: xr.Dataset,
    stats: xr.Dataset,
    priors: Priors,
    seed: int,
) -> dict[str, xr.Dataset]:
    """The groups of ``posterior.nc``, as docs/posterior-schema.md has them."""
    from escalation_forecast.forecast import reference_scale
    from escalation_forecast.indicator_rows import LATENTS
    from escalation_forecast.panel import STOCKS

    scale = reference_scale().loc[list(LATENTS)]
    ahead, known = archive.split_paths(paths)
    sp = panel.spending
    years = {"state": posterior["state"].values, "spending_year": sp.years}
    printed = np.where(sp.printed, sp.growth, np.nan)
    observed = known.assign(growth_latest=xr.DataArray(printed, years, dims=("state", "spending_year")))
    # Rows differ in number between and within blocks; each column has its block's own dim.
    rows = {
        f"rows_{name}": xr.DataArray(values, dims=f"{_row_block(name)}_row")
        for name, values in panel.data.items()
    }
    weights = {
        "exposure": (("state", "theatre"), sp.exposure),
        "rival_weight": (("state", "rival"), sp.rivals),
        "gdp_growth": (("state", "spending_year"), sp.gdp),
        "reference_mean": ("latent", scale["mean"].to_numpy(float)),
        "reference_sd": ("latent", scale["sd"].to_numpy(float)),
    }
    # The labels that the integers of the rows point to.
    reading = panel.items["reading"]
    labels = {
        **years,
        "theatre": paths["theatre"].values,
        "rival": years["state"],
        "latent": list(LATENTS),
        **{block: _texts(items.index) for block, items in panel.items.items()},
        "transfer": _texts(reading.index[reading["family"] == "transfer"]),
        "stock": list(STOCKS),
        "report_month": panel.stock_months,
        "body": list(panel.bodies),
    }
    return {
        "posterior": posterior.drop_attrs(),
        "sample_stats": stats.drop_attrs(),
        "predictions": ahead,
        "observed_data": observed,
        "constant_data": xr.Dataset({**rows, **weights}, coords=labels),
        "prior": prior_draws(posterior, priors, seed),
    }


def _texts(labels: Iterable[Any]) -> list[str]:
    return [str(label) for label in labels]


def _row_block(name: str) -> str:
    block, _, column = name.partition("_")
    part = column.partition("_")[0]
    return f"{block}_{part}" if part in ("unique", "total") else block


def prior_draws(posterior: xr.Dataset, priors: Priors, seed: int) -> xr.Dataset:
    """Independent draws of every prior that the posterior has, one chain."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, spec in priors.items():
        if name not in posterior:
            continue
        dims = [dim for dim in posterior[name].dims if dim not in ("chain", "draw")]
        coords = {str(dim): posterior[dim].values.tolist() for dim in dims}
        drawn = prior_sample(rng, spec, PRIOR_DRAWS, coords)[None]
        index = {"chain": [0], "draw": np.arange(PRIOR_DRAWS), **coords}
        found[name] = xr.DataArray(drawn, index, dims=("chain", "draw", *dims))
    return xr.Dataset(found)


def draw_tables(paths: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Forecast draws in long form; numbers in single precision.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``draws_theatres``: chain, draw, theatre (the five and ``global``), month, risk, ladder
        (missing for ``global``). ``draws_spending``: chain, draw, state, year, growth_true,
        growth_print_0 to growth_print_5 (growth of the year that many years earlier, as printed in the
        release that first covers ``year``), per cent; years not released yet.
    """
    from escalation_forecast.report.tables import released
    from escalation_forecast.schema import GLOBAL

    ahead = paths["month"].values >= np.datetime64(paths.attrs["first_forecast_month"])
    world = paths["global_risk"].expand_dims(theatre=[GLOBAL])
    risk = xr.concat([paths["risk"], world], "theatre").isel(month=ahead)
    ladder = paths["ladder"].isel(month=ahead).reindex(theatre=risk["theatre"])
    theatres = _long(xr.Dataset({"risk": risk, "ladder": ladder}), ("chain", "draw", "theatre", "month"))
    coming = paths[["growth_true", "growth_print"]].isel(year=~released(paths).values)
    prints = {
        f"growth_print_{int(age)}": coming["growth_print"].sel(age=age, drop=True)
        for age in coming["age"].values
    }
    spending = xr.Dataset({"growth_true": coming["growth_true"], **prints})
    return {
        "draws_theatres": theatres,
        "draws_spending": _long(spending, ("chain", "draw", "state", "year")),
    }


def _long(data: xr.Dataset, dims: tuple[str, ...]) -> pd.DataFrame:
    """Rows by the dims, in order; labels as categories and positions as small integers."""
    shape = tuple(data.sizes[dim] for dim in dims)
    columns: dict[str, Any] = {}
    for axis, dim in enumerate(dims):
        labels = data[dim].values
        index = np.broadcast_to(
            np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(dims))]), shape
        ).ravel()
        if labels.dtype.kind in "OUT":
            columns[dim] = pd.Categorical.from_codes(index, pd.Index([str(label) for label in labels]))
        else:
            columns[dim] = (labels.astype(np.int32) if labels.dtype.kind == "i" else labels)[index]
    for name, array in data.data_vars.items():
        columns[str(name)] = array.transpose(*dims).values.astype(np.float32).ravel()
    return pd.DataFrame(columns)
