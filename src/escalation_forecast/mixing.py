"""R-hat and effective sample sizes of many quantities, in this process or beside it.

ArviZ ranks every quantity several times over, which takes seconds of one core for some thousand quantities.
`Apart` has a process of its own do it while a forecast is simulated and written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

TAILS: Final = (0.05, 0.95)
ROWS: Final = 500  # quantities that are looked at together


def mixing(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank-normalised split R-hat, bulk and tail effective sample size of many quantities.

    Parameters
    ----------
    values : (quantity, chain, draw), finite, each quantity varying.

    Returns
    -------
    Three arrays (quantity,), as ``arviz.rhat`` and ``arviz.ess`` with ``bulk`` and ``tail`` (5 and 95 %).
    """
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 1, "draw_axis": 2}
    return (
        array_stats.rhat(values, **axes),
        array_stats.ess(values, method="bulk", **axes),
        array_stats.ess(values, method="tail", prob=TAILS, **axes),
    )


class Apart:
    """`mixing` of several arrays in a process of its own, from the moment that this is made.

    Parameters
    ----------
    parts : arrays (quantity, chain, draw) as `mixing` takes them, all of the same chains and draws.

    Notes
    -----
    The draws are handed over in a file without a name, so that nothing is left behind by whoever is killed.
    """

    def __init__(self, parts: Iterable[np.ndarray]) -> None:
        self._n = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._said: bytes | None = None
        chains = draws = 0
        with tempfile.TemporaryFile() as file:
            writable = True
            for part in parts:
                self._n, chains, draws = self._n + len(part), *part.shape[1:]
                with suppress(OSError):
                    np.ascontiguousarray(part, np.float64).tofile(file)
                    continue
                writable = False  # all parts are looked at, for the sake of whoever counts them
            if writable and self._n:
                with suppress(OSError, ValueError):
                    file.flush()
                    self._process = _begun(file.fileno(), (self._n, chains, draws))

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Waits for the three arrays, over all quantities in order; None if it could not be done apart."""
        if self._process is None:
            return None
        if self._said is None:
            self._said = self._process.communicate()[0]
        if self._process.returncode != 0 or len(self._said) != 3 * self._n * np.dtype(float).itemsize:
            return None
        r_hat, bulk, tail = np.frombuffer(self._said).reshape(3, self._n)
        return r_hat, bulk, tail

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._said is None:
            self._process.kill()
            self._process.communicate()


def _begun(descriptor: int, size: tuple[int, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *(str(n) for n in (descriptor, *size))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[descriptor],
    )


def together(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`mixing` of several arrays, one after the other."""
    found = [mixing(part) for part in parts]
    r_hat, bulk, tail = (np.concatenate([np.zeros(0), *(part[k] for part in found)]) for k in range(3))
    return r_hat, bulk, tail


def main(arguments: Sequence[str]) -> None:
    """Read the draws of an open file and write the three arrays to standard output."""
    descriptor, *size = (int(argument) for argument in arguments)
    with os.fdopen(descriptor, "rb") as file:
        values: Any = np.memmap(file, np.float64, "r", shape=tuple(size))
    found = together(values[first : first + ROWS] for first in range(0, len(values), ROWS))
    sys.stdout.buffer.write(np.stack(found).tobytes())


if __name__ == "__main__":
    main(sys.argv[1:])
