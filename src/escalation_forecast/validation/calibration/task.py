"""One fit of simulation-based calibration as a cell of a backtest, so that a run can be stopped and go on."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from scipy.special import logit

import escalation_forecast
from escalation_forecast import realised
from escalation_forecast.fit import Settings, sample
from escalation_forecast.forecast import simulate
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.model import MODEL_VERSION, model_coords, swapped
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.question_items import Item, bind, draws
from escalation_forecast.questions import load_questions
from escalation_forecast.score.cells import Cell, CellResult
from escalation_forecast.store import Store
from escalation_forecast.validation.calibration.observe import dataset, observe
from escalation_forecast.validation.calibration.ranks import DRAWS, rank
from escalation_forecast.validation.calibration.reduced import (
    AS_OF,
    HORIZON,
    STATES,
    Template,
    make_template,
    reduced_model,
    reduced_priors,
)
from escalation_forecast.validation.calibration.truth import Coords, Truth, draw_truth
from escalation_forecast.war_summary import RULES as WAR_RULES

if TYPE_CHECKING:
    from escalation_forecast.compile import Program

# Modules whose source decides the ranks: a fit made with other kernels is no finished fit.
SOURCES: Final = (
    "*kernel*.py", "vector_math.py", "model*.py", "spending_*.py", "program.py", "compile.py", "fit.py",
    "forecast.py", "indicator_*.py", "panel.py", "draws.py", "replicate.py",
    *(f"validation/calibration/{name}.py" for name in ("truth", "observe", "reduced", "ranks", "task")),
)  # fmt: skip
MODEL: Final = "joint"
DENSITY: Final = "log density"
ALL: Final = "number of questions answered by yes"
FORWARD: Final = {"free": lambda x: x, "LogTransform": np.log, "LogOddsTransform": logit}
# The tuning and the trajectories of a published fit.
SETTINGS: Final = replace(Settings.default(), draws=300, chains=1, cores=1)
LEAST_ESS: Final = 0.1  # of the draws
LONGER: Final = 4
ATTEMPTS: Final = 2
# Paths are looked at in a few places.
AHEAD: Final = (1, 6, 12, 36)
PATHS: Final = ("eta", "log_stock", "growth_level", "growth_scale")
SHOWN_AGES: Final = 3


@cache
def program_digest() -> str:
    """Eight hexadecimal digits of the source that decides the ranks."""
    package = Path(escalation_forecast.__file__).parent
    paths = sorted({path for pattern in SOURCES for path in package.glob(pattern)})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class CalibrationTask:
    """So many fits to data simulated from the priors, and the rank of everything that is true.

    Attributes
    ----------
    fits : number of cells; a run with more finds the earlier ones.
    settings : of a fit; one in which something mixes badly is made again, `LONGER` times as long.
    """

    fits: int = 200
    settings: Settings = SETTINGS
    name: str = "calibration"

    def cells(self) -> list[Cell]:
        return [Cell(self.name, MODEL, f"{k:04d}") for k in range(self.fits)]

    def identity(self) -> dict[str, Any]:
        bench = workbench()
        return {
            "program": program_digest(),
            "model": MODEL_VERSION,
            "priors": bench.priors.canonical(),
            "data": bench.template.now.content_hash,
            "settings": self.settings.canonical(),
        }

    def run(self, cell: Cell, seed: int) -> CellResult:
        bench = workbench()
        data_seed, fit_seed, path_seed, rank_seed = np.random.SeedSequence([seed, int(cell.origin)]).spawn(4)
        data_rng, rank_rng = (np.random.default_rng(one) for one in (data_seed, rank_seed))
        fit_number, path_number = (int(one.generate_state(1)[0]) for one in (fit_seed, path_seed))
        truth = draw_truth(bench.template, bench.priors, bench.coords, data_rng)
        panel, happened = observe(bench.template, truth, bench.priors, bench.coords, data_rng)
        fitted = fit_and_rank(bench, truth, panel, self.settings, fit_number, rank_rng)
        ahead = rank_ahead(bench, fitted, panel, happened, path_number, rank_rng)
        cases = pd.concat([fitted.table, ahead]).reset_index()
        cases = cases.assign(task=self.name, model=MODEL, origin=cell.origin, horizon=0, truth="simulated")
        return CellResult(cases, None, fitted.diagnostics)


@dataclass(frozen=True)
class Workbench:
    """What all fits share: rows to fill, priors, and the program, compiled when first used."""

    template: Template
    priors: Priors
    known: Store

    @cached_property
    def coords(self) -> Coords:
        return model_coords(self.template.now)

    @cached_property
    def history(self) -> History:
        return load_history()

    @cached_property
    def model(self) -> pm.Model:
        return reduced_model(self.template.now, self.priors)

    @cached_property
    def program(self) -> Program:
        from escalation_forecast.compile import compile_model

        return compile_model(self.model)


@lru_cache(maxsize=1)
def workbench() -> Workbench:
    """The workbench of this process."""
    store = Store.embedded()
    return Workbench(make_template(store), reduced_priors(), store.as_of(AS_OF))


@dataclass(frozen=True)
class Fitted:
    """Draws of one fit, and where the truth ranks among them.

    Attributes
    ----------
    table : as `ranks.rank`, with group (parameter, latent or density).
    diagnostics : the worst R-hat and effective sample size, divergences, gradients per draw, and how often
        the fit was made.
    """

    posterior: xr.Dataset
    table: pd.DataFrame
    diagnostics: dict[str, float]


def fit_and_rank(
    bench: Workbench, truth: Truth, panel: Panel, settings: Settings, seed: int, rng: np.random.Generator
) -> Fitted:
    """Fit the panel and rank all that was true up to `AS_OF`."""
    program = bench.program.with_data(**swapped(panel))
    true = in_few_places(dataset(truth, bench.priors, bench.coords), panel)
    true[DENSITY] = (("chain", "draw"), np.full((1, 1), log_density(program, bench.model, truth)))
    attempts = 0
    while True:
        tree = sample(program, settings, seed)
        attempts += 1
        posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
        table = rank(in_few_places(posterior, panel).assign({DENSITY: stats["logp"]}), true, rng)
        enough = LEAST_ESS * stats["logp"].size
        if table["ess"].min() >= enough or attempts == ATTEMPTS:
            break
        settings = replace(settings, tune=2 * settings.tune, draws=LONGER * settings.draws)
    latent = table.index.str.partition("[").get_level_values(0).isin(LATENT)
    table["group"] = np.where(latent, "latent", "parameter")
    table.loc[DENSITY, "group"] = "density"
    diagnostics = {
        "r_hat": float(table["r_hat"].max()),
        "ess": float(table["ess"].min()),
        "divergences": float(stats["diverging"].sum()),
        "steps": float(stats["n_steps"].mean()),
        "attempts": float(attempts),
    }
    return Fitted(posterior, table, diagnostics)


def rank_ahead(
    bench: Workbench,
    fitted: Fitted,
    panel: Panel,
    happened: xr.Dataset,
    seed: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Forecast from the draws and rank what happened.

    Returns
    -------
    pandas.DataFrame
        As `ranks.rank`, with group (path or question) and, for a question that is answered by yes or no, its
        probability and the number of draws behind it.
    """
    posterior = fitted.posterior
    step = max(posterior.sizes["chain"] * posterior.sizes["draw"] // DRAWS, 1)
    thinned = posterior.isel(draw=slice(step - 1, None, step))
    paths = simulate(panel, thinned, bench.priors, HORIZON, seed, history=bench.history)
    ahead = rank(places_ahead(paths, panel), places_ahead(happened, panel), rng).assign(group="path")
    return pd.concat([ahead, rank_questions(bench.known, paths, happened, rng).assign(group="question")])


LATENT: Final = (*PATHS, "centre", "last_path", "next_level", "revision", "growth", "first_print")


def in_few_places(posterior: xr.Dataset, panel: Panel) -> xr.Dataset:
    """Parameters whole, paths in their first, middle, newest observed and last place."""
    out = posterior.drop_vars(PATHS)
    months, stock = panel.now, panel.now - (len(panel.months) - len(panel.stock_months))
    n = panel.spending.n_printed
    places = {
        "eta": ("month", [0, months // 2, months, len(panel.months) - 1]),
        "log_stock": ("report_month", [0, stock, len(panel.stock_months) - 1]),
        "growth_level": ("spending_year", [0, n - 1, n + 1]),
        "growth_scale": ("spending_year", [0, n - 1, n + 1]),
    }
    for name, (dim, chosen) in places.items():
        own = posterior[name].isel({dim: chosen})
        out[name] = own.rename({dim: f"{name}_{dim}"})
    return out


def places_ahead(paths: xr.Dataset, panel: Panel) -> xr.Dataset:
    """What is to come, some months and some years ahead."""
    months = panel.months[panel.now] + np.array([pd.DateOffset(months=k) for k in AHEAD])
    few = [months[0], months[2]]
    n = int(panel.spending.last_printed)
    monthly: dict[str, tuple[str, Any]] = {
        "risk": ("risk", months),
        "global_risk": ("global_risk", months),
        "dprk_troops": ("dprk_troops", months),
        "ladder": ("ladder", few),
        "indicator_level": ("indicator_level", few),
    }
    out = {
        name: paths[own].sel(month=list(at)).rename(month=f"{name}_month")
        for name, (own, at) in monthly.items()
    }
    years = [n + 1, n + 2, n + 3]
    out["growth_print"] = paths["growth_print"].sel(year=years, age=list(range(SHOWN_AGES)))
    out["growth_true"] = paths["growth_true"].sel(year=years)
    quarters = [t for t in pd.DatetimeIndex(paths["month"].to_numpy()) if t.month == 3 and t > panel.as_of]
    out["us_troops"] = paths["us_troops"].sel(month=quarters[:2]).rename(month="quarter")
    out["transfers"] = paths["transfers"].sel(transfer_year=[n + 1, n + 3])
    return xr.Dataset({name: array.astype(float) for name, array in out.items()})


def rank_questions(
    known: Store, paths: xr.Dataset, happened: xr.Dataset, rng: np.random.Generator
) -> pd.DataFrame:
    """Ranks of what questions ask, and the probability of those answered by yes or no.

    Questions on war are left out: nothing in a fit bears on them but the chance of use of force.
    """
    ours, theirs = (realised.with_growth_base(one, known) for one in (paths, happened))
    said, was, probability = {}, {}, {}
    for item in bind(load_questions(), known, paths=paths):
        if item.decided or not _can_ask(item, happened):
            continue
        said[item.id] = draws(item, ours).astype(float).reset_coords(drop=True)
        was[item.id] = draws(item, theirs).astype(float).reset_coords(drop=True)
        if item.rule.kind == "binary":
            probability[item.id] = float(said[item.id].mean())
    # All together: too many or too few events at once.
    for answers in (said, was):
        answers[ALL] = xr.Dataset({name: answers[name] for name in probability}).to_array().sum("variable")
    out = rank(xr.Dataset(said), xr.Dataset(was), rng)
    out["probability"] = pd.Series(probability)
    out["n_simulated"] = paths.sizes["chain"] * paths.sizes["draw"]
    return out


def _can_ask(item: Item, happened: xr.Dataset) -> bool:
    if item.question.rule in WAR_RULES:
        return False
    params = item.params.model_dump()
    states = {params.get("state"), *params.get("states", ())}
    for dyad in (*params.get("dyads", ()), params.get("dyad")):
        states |= set(dyad.split("-")) if dyad else set()
    indicator = params.get("indicator")
    there = indicator is None or indicator in happened["indicator"].to_numpy()
    return there and states - {None} <= set(STATES)


def log_density(program: Program, model: pm.Model, truth: Truth) -> float:
    """Log density at the truth on the scale on which the sampler moves, by the program itself."""
    parts = []
    for variable in model.free_RVs:
        transform = type(model.rvs_to_transforms[variable]).__name__
        forward = FORWARD["free" if transform == "NoneType" else transform]
        parts.append(np.ravel(forward(truth.free[str(variable.name)])))
    value, _ = program.density(program.vectors(np.concatenate(parts)))
    if np.isnan(value):
        warnings.warn("the log density at the truth is no number", stacklevel=2)
        return -np.inf
    return value
