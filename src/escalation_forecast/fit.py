"""Sample the posterior and say whether it may be published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.mixing import Apart, together

MAX_R_HAT: Final = 1.01
# Of parameters that nothing shows: persistences, shares, noises, intercepts. Their tails mix slowest.
MAX_R_HAT_OTHER: Final = 1.02
OTHER: Final = (
    "phi", "phi_global", "global_share", "theatre_scale", "slow_step", "spillover", "_noise", "_persistence",
    "_intercept", "_dispersion", "_concentration", "_memory", "_bias", "_miss", "_body", "_drift", "_step",
    "_common", "revision_scale", "revision_state", "late_revision_chance", "late_revision_size",
)  # fmt: skip
MIN_ESS: Final = 400.0
MIN_E_BFMI: Final = 0.3
WARM_TUNE: Final = 100
# Fewer pass the gate on R-hat, which is the largest of some 6,000, half of the time only.
WARM_DRAWS: Final = 600
KEPT_STATS: Final = ("diverging", "energy", "logp", "depth", "n_steps", "step_size", "maxdepth_reached")
LONGER: Final = "run longer (`settings` of run_forecast)"

Report = Callable[[int, int, int], None]
"""Called now and then with draws done, draws to do and divergences so far; from another thread."""


@dataclass(frozen=True)
class Settings:
    """How long to sample: draws per chain, tuning draws included in ``tune`` only.

    Attributes
    ----------
    extra_doublings : how often a trajectory is doubled again after it has turned. The slowest parameters go
        as far in one draw of twice the length as in four, so fewer draws are made, kept and simulated from.
    """

    tune: int
    draws: int
    chains: int = 4
    cores: int = 2
    target_accept: float = 0.85
    extra_doublings: int = 0

    @classmethod
    def default(cls) -> Settings:
        """Enough for publication."""
        return cls(tune=200, draws=1000, target_accept=0.8, extra_doublings=1)

    @classmethod
    def draft(cls) -> Settings:
        """Enough for a quick look."""
        return cls(tune=200, draws=250)

    def warm(self) -> Settings:
        """A shorter fit for a program that starts from another one (`compile.Program.start_at`).

        The scales are known there, so that only the step size is to be found; and whoever starts from the
        last run wants to know soon what a new month's figures say, with the fewest draws that pass the gates.
        """
        return replace(self, tune=min(self.tune, WARM_TUNE), draws=min(self.draws, WARM_DRAWS))

    def canonical(self) -> dict[str, float]:
        """What decides the draws; the number of cores does not."""
        given = asdict(self)
        if not self.extra_doublings:
            del given["extra_doublings"]
        return {name: value for name, value in given.items() if name != "cores"}


@dataclass(frozen=True)
class Worst:
    """The worst value of a diagnostic and the quantity that has it."""

    value: float
    quantity: str

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "quantity": self.quantity}


@dataclass(frozen=True)
class Diagnostics:
    """Health of a fit, over every parameter, latent, published spending path and question.

    Attributes
    ----------
    r_hat_max : the worst of what is shown: latents, loadings and slopes, stocks, spending, questions.
    r_hat_other : the worst of the parameters behind them.
    ess_bulk_min, ess_tail_min : the worst of all; None, like the others, if nothing varies.
    reasons : what did not pass, in plain words with a remedy; empty if all passed.
    """

    r_hat_max: Worst | None
    ess_bulk_min: Worst | None
    ess_tail_min: Worst | None
    divergences: int
    e_bfmi_min: float | None
    reasons: tuple[str, ...]
    r_hat_other: Worst | None = None

    @property
    def passed(self) -> bool:
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """As in ``summary.json``."""
        nothing = {"value": None, "quantity": None}
        worst = {
            name: found.as_dict() if (found := getattr(self, name)) else nothing
            for name in ("r_hat_max", "r_hat_other", "ess_bulk_min", "ess_tail_min")
        }
        return {
            **worst,
            "divergences": self.divergences,
            "e_bfmi_min": self.e_bfmi_min,
            "passed": self.passed,
            "reasons": list(self.reasons),
        }


class ConvergenceError(RuntimeError):
    """The fit did not pass its gates; ``diagnostics`` has the numbers where there are any."""

    def __init__(self, message: str, diagnostics: Diagnostics | None = None) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics


def sample(compiled: Any, settings: Settings, seed: int, progress: Report | None = None) -> xr.DataTree:
    """Draw from the posterior; but for rounding, draws depend on the model, the settings and the seed alone.

    Parameters
    ----------
    compiled : from ``compile.compile_model``.
    progress : told how far the sampler is.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, without the innovations behind the paths, ``sample_stats``, and ``start``, what
        a later fit may start from (`compile.Program.start_at`).

    Raises
    ------
    ConvergenceError
        When the sampler finds no place to start from.
    """
    import nutpie

    from escalation_forecast.compile import VECTOR
    from escalation_forecast.program import shown

    def tell(chains: Any) -> None:
        assert progress is not None
        done = sum(chain.finished_draws for chain in chains)
        progress(done, sum(chain.total_draws for chain in chains), sum(c.divergences for c in chains))

    try:
        trace = nutpie.sample(
            compiled.sampler,
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=seed,
            target_accept=settings.target_accept,
            extra_doublings=settings.extra_doublings,
            progress_bar=False,
            progress_callback=tell if progress else None,
            save_warmup=False,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConvergenceError(
            f"The sampler could not run ({reason.rstrip('.')}); check the priors changed last, or try "
            "another seed."
        ) from error
    stats = trace["sample_stats"].to_dataset()
    vectors = trace["posterior"][VECTOR].transpose("chain", "draw", ...).values
    kept = shown(compiled.layout.model)
    return xr.DataTree.from_dict(
        {
            "posterior": compiled.expand(vectors, kept),
            "start": compiled.layout.kept(compiled.coordinates(vectors), seed),
            "sample_stats": stats[[name for name in KEPT_STATS if name in stats]],
        }
    )


class Checking:
    """Diagnostics of a posterior, under way in a process of its own while a forecast is made of it.

    Parameters
    ----------
    posterior : every parameter; latents are looked at up to ``as_of``.
    """

    def __init__(self, posterior: xr.Dataset, as_of: dt.date | pd.Timestamp) -> None:
        self._posterior, self._as_of = posterior, as_of
        self.names: list[str] = []
        self.broken: list[str] = []
        self._apart = Apart(self._parts())

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """R-hat, bulk and tail effective sample size of ``names``; waits."""
        found = self._apart.result()
        if found is None:
            found = together(self._parts())
        return found

    def _parts(self) -> Iterator[np.ndarray]:
        self.names, self.broken = [], []
        return _varying(self._posterior.data_vars.values(), self._as_of, self.names, self.broken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._apart.__exit__(kind, error, trace)


def diagnose(
    posterior: xr.Dataset,
    sample_stats: xr.Dataset,
    published: xr.Dataset,
    answers: Sequence[Any] | None = None,
    checking: Checking | None = None,
) -> Diagnostics:
    """Worst of every diagnostic over all that is published, and which gates it does not pass.

    Parameters
    ----------
    posterior : every parameter; latents are looked at up to ``as_of``.
    published : forecast paths with attribute ``as_of``; their spending is looked at.
    answers : `questions.Answer` of the questions on those paths.
    checking : of the same posterior, if it was begun before.

    Notes
    -----
    Constants are skipped: fixed priors, and prints already out.
    """
    now = pd.Timestamp(published.attrs["as_of"])
    names: list[str] = []
    broken: list[str] = []
    begun = () if checking is None else (checking.result(),)
    if checking is None:
        arrays = [*posterior.data_vars.values()]
    else:
        names, broken, arrays = [*checking.names], [*checking.broken], []
    arrays += [published[name] for name in ("growth_print", "growth_true") if name in published]
    found = [*begun, together(_varying(arrays, now, names, broken))]
    r_hat, bulk, tail = (np.concatenate(parts) for parts in zip(*found, strict=True))
    for answer in answers or ():
        if answer.r_hat is not None and answer.ess is not None:
            names.append(f"question {answer.item.id}")
            r_hat, bulk = np.append(r_hat, answer.r_hat), np.append(bulk, answer.ess)
    bfmi = _e_bfmi(sample_stats["energy"]) if "energy" in sample_stats else None
    divergences = int(sample_stats["diverging"].sum())
    reasons = [f"{name} is not finite in some draws: check the priors it depends on." for name in broken]
    reasons += _reasons(names, r_hat, bulk, tail, divergences, sample_stats["diverging"].size, bfmi)
    shown = np.array([not is_other(name) for name in names], bool)
    return Diagnostics(
        r_hat_max=_worst(names, -r_hat, -1, shown),
        r_hat_other=_worst(names, -r_hat, -1, ~shown),
        ess_bulk_min=_worst(names, bulk),
        ess_tail_min=_worst(names, tail),
        divergences=divergences,
        e_bfmi_min=bfmi,
        reasons=tuple(reasons),
    )


def _varying(
    arrays: Iterable[xr.DataArray], as_of: dt.date | pd.Timestamp, names: list[str], broken: list[str]
) -> Iterator[np.ndarray]:
    """What is finite and varies up to ``as_of``: an array (element, chain, draw) of each variable.

    Adds its names to ``names``, and to ``broken`` one name of each variable that is partly not finite.
    """
    now = pd.Timestamp(as_of).to_datetime64()
    for array in arrays:
        for dim in array.dims:
            if array[dim].dtype.kind == "M":
                array = array.isel({dim: array[dim].values <= now})
        inner = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose(*inner, "chain", "draw").values
        shape = values.shape[:-2]
        if not values.size:
            continue
        label, values = _labels(array, inner, shape), values.reshape(-1, *values.shape[-2:])
        flat = values.reshape(len(values), -1)
        finite = np.isfinite(flat)
        partly = ~finite.all(axis=1) & finite.any(axis=1)
        broken += [label(k) for k in np.flatnonzero(partly)[:1].tolist()]
        varying = finite.all(axis=1)
        varying[varying] = np.ptp(flat[varying], axis=1) > 0
        if varying.any():
            names += [label(k) for k in np.flatnonzero(varying).tolist()]
            yield values[varying]


def _labels(array: xr.DataArray, dims: list[Any], shape: tuple[int, ...]) -> Callable[[int], str]:
    coords = [array[dim].values for dim in dims]

    def label(position: int) -> str:
        if not dims:
            return str(array.name)
        where = np.unravel_index(position, shape)
        words = [_word(str(d), c[k]) for d, c, k in zip(dims, coords, where, strict=True)]
        return f"{array.name}[{', '.join(words)}]"

    return label


def _word(dim: str, value: Any) -> str:
    if isinstance(value, np.datetime64):
        return f"{pd.Timestamp(value):%Y-%m}"
    return f"{dim} {value}" if "age" in dim else str(value)


def _e_bfmi(energy: xr.DataArray) -> float | None:
    """Smallest energy Bayesian fraction of missing information over chains (Betancourt 2016)."""
    from arviz_stats.base import array_stats

    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = float(array_stats.bfmi(energy.transpose("chain", "draw").values).min())
    return lowest if np.isfinite(lowest) else None


def is_other(name: str) -> bool:
    """Whether a quantity such as ``phi[taiwan]`` is a parameter that nothing shows, see `OTHER`."""
    variable = name.partition("[")[0]
    return any(variable == kind or (kind[0] == "_" and variable.endswith(kind)) for kind in OTHER)


def _worst(
    names: list[str], badness: np.ndarray, sign: int = 1, among: np.ndarray | None = None
) -> Worst | None:
    """Where ``badness`` is lowest; a value that is not a number is worse than all."""
    if not len(badness) or (among is not None and not among.any()):
        return None
    found = np.where(np.isnan(badness), -np.inf, badness)
    position = int(np.argmin(found if among is None else np.where(among, found, np.inf)))
    return Worst(float(sign * badness[position]), names[position])


def _reasons(
    names: list[str],
    r_hat: np.ndarray,
    bulk: np.ndarray,
    tail: np.ndarray,
    divergences: int,
    n_draws: int,
    bfmi: float | None,
) -> list[str]:
    found = []
    shown = np.array([not is_other(name) for name in names], bool)
    for limit, among in ((MAX_R_HAT, shown), (MAX_R_HAT_OTHER, ~shown)):
        n = int((~(r_hat < limit) & among).sum())
        worst = _worst(names, -r_hat, -1, among)
        if not n or worst is None:
            continue
        found.append(
            f"R-hat of {worst.quantity} is {worst.value:.3f}, not below {limit}{_more(n)}: the chains "
            f"have not mixed; {LONGER}, try another seed, or give that quantity a tighter prior."
        )
    for label, what, values in (("Bulk", "median", bulk), ("Tail", "interval", tail)):
        if n := int((~(values > MIN_ESS)).sum()):
            worst = _worst(names, values)
            assert worst is not None
            found.append(
                f"{label} effective sample size of {worst.quantity} is {worst.value:.0f}, not above "
                f"{MIN_ESS:.0f}{_more(n)}: too few independent draws for its {what}; {LONGER}."
            )
    if divergences:
        found.append(
            f"{divergences} of {n_draws:,} draws diverged: the sampler missed a part of the posterior; raise "
            "target_accept (to 0.95), or tighten the priors changed last."
        )
    if bfmi is None or not bfmi > MIN_E_BFMI:
        value = "unknown" if bfmi is None else f"{bfmi:.2f}"
        found.append(
            f"E-BFMI is {value}, not above {MIN_E_BFMI}: the tails of the posterior are explored too slowly; "
            "tighten wide priors on scales, or tune longer."
        )
    return found


def _more(n: int) -> str:
    return f" (and {n - 1:,} more)" if n > 1 else ""
