"""Where true values rank among draws, as numbers that are uniform if the draws are right.

If parameters come from the prior and data from the parameters, a true value and L independent draws of the
posterior are exchangeable, so the number of draws below it is uniform on 0 to L, for a parameter, a
latent, an outcome still to come or any function of them and the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.mixing import mixing

DRAWS: Final = 100  # at most so many ranks are told apart


def pit(true: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Place of true values (...) among draws (..., L), randomised within ties and within the rank.

    Uniform on (0, 1) whatever L, where true value and draws are exchangeable.
    """
    below = (draws < true[..., None]).sum(axis=-1)
    same = (draws == true[..., None]).sum(axis=-1)
    return np.asarray((below + rng.random(true.shape) * (same + 1)) / (draws.shape[-1] + 1))


def thinning(ess: float, n: int) -> int:
    """Every how many of ``n`` draws to take: about independent, and about `DRAWS` at most."""
    independent = round(n / max(ess, 1.0))
    return int(np.clip(independent, max(n // DRAWS, 1), n))


def labelled(data: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Every single number of a dataset: its name with labels and its draws (chain, draw)."""
    for name, array in data.data_vars.items():
        dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose(*dims, "chain", "draw").to_numpy()
        labels = [[_word(one) for one in array[dim].to_numpy()] for dim in dims]
        for where in np.ndindex(*values.shape[:-2]):
            words = ", ".join(labels[k][position] for k, position in enumerate(where))
            yield f"{name}[{words}]" if words else str(name), values[where]


def _word(value: object) -> str:
    return f"{pd.Timestamp(value):%Y-%m}" if isinstance(value, np.datetime64) else str(value)


def rank(posterior: xr.Dataset, truth: xr.Dataset, rng: np.random.Generator) -> pd.DataFrame:
    """Ranks of all numbers of two datasets with the same labels.

    Returns
    -------
    pandas.DataFrame
        Indexed by quantity: outcome (the true value), pit, n_draws (after thinning), ess (the smaller of bulk
        and tail), r_hat (of the halves of a single chain), tied (share of draws that equal the truth).
    """
    true = {name: float(values[0, 0]) for name, values in labelled(truth)}
    found = [(name, values) for name, values in labelled(posterior) if name in true]
    values = np.array([values for _, values in found], float)
    varies = np.ptp(values.reshape(len(values), -1), axis=1) > 0
    mixed = np.full((3, len(values)), np.nan)
    with np.errstate(all="ignore"):
        mixed[:, varies] = mixing(_in_halves(values[varies]))
    r_hat, ess = mixed[0], np.fmin(mixed[1], mixed[2])
    rows = []
    for k, (name, _) in enumerate(found):
        flat = values[k].ravel()
        # What rarely varies, such as an event of small chance, has no estimate.
        step = thinning(ess[k] if np.isfinite(ess[k]) else np.inf, len(flat))
        kept = flat[step - 1 :: step]
        place = float(pit(np.array(true[name]), kept, rng))
        rows.append((name, true[name], place, len(kept), ess[k], r_hat[k], np.mean(kept == true[name])))
    columns = ["quantity", "outcome", "pit", "n_draws", "ess", "r_hat", "tied"]
    return pd.DataFrame(rows, columns=columns).set_index("quantity")


def _in_halves(values: np.ndarray) -> np.ndarray:
    """(quantity, chain, draw); a single chain as two, so that they can be compared."""
    if values.shape[1] > 1:
        return values
    even = values[:, :, : values.shape[2] // 2 * 2]
    return even.reshape(len(values), 2, -1)
