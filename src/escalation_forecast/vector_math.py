"""Exponential and logarithm that a compiler can do for eight numbers at a time.

The mathematical library takes one number a call, and the likelihood is little else than exponentials. These
are polynomials without a branch, right to the last digit or two (tests say how far).
"""

from __future__ import annotations

from typing import Any, Final

import numba
from numba.extending import intrinsic

LIMIT: Final = 700.0
"""Exponents are cut here: beyond, results would leave the range of doubles."""
# Adding this rounds a double of moderate size to a whole number, and leaves that in its last bits.
ROUND: Final = 6755399441055744.0
PER_LOG_TWO: Final = 1.4426950408889634
LOG_TWO_HIGH: Final = 6.93147180369123816490e-01
LOG_TWO_LOW: Final = 1.90821492927058770002e-10
LOG_TWO: Final = 0.6931471805599453
ROOT_TWO: Final = 1.4142135623730951


@intrinsic
def _bits(context: Any, x: Any) -> Any:
    """The bits of a double as an integer."""

    def code(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], target.get_value_type(numba.types.int64))

    return numba.types.int64(numba.types.float64), code


@intrinsic
def _double(context: Any, bits: Any) -> Any:
    """The double of some bits."""

    def code(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], target.get_value_type(numba.types.float64))

    return numba.types.float64(numba.types.int64), code


# Not with the flags of PyTensor: they allow to reorder sums, which would undo the rounding.
_exactly = numba.njit(fastmath={"contract"}, error_model="numpy", no_cpython_wrapper=True)


@_exactly
def exp(x):  # type: ignore[no-untyped-def]
    """Exponential, of `LIMIT` beyond plus or minus `LIMIT`; what is not a number becomes a limit."""
    x = min(max(x, -LIMIT), LIMIT)
    shifted = x * PER_LOG_TWO + ROUND
    whole = shifted - ROUND
    rest = x - whole * LOG_TWO_HIGH
    rest = rest - whole * LOG_TWO_LOW
    series = 1.0 / 479001600.0
    series = series * rest + 1.0 / 39916800.0
    series = series * rest + 1.0 / 3628800.0
    series = series * rest + 1.0 / 362880.0
    series = series * rest + 1.0 / 40320.0
    series = series * rest + 1.0 / 5040.0
    series = series * rest + 1.0 / 720.0
    series = series * rest + 1.0 / 120.0
    series = series * rest + 1.0 / 24.0
    series = series * rest + 1.0 / 6.0
    series = series * rest + 0.5
    series = series * rest + 1.0
    series = series * rest + 1.0
    # Times two to the power of the whole number, by way of the exponent's bits.
    return _double(_bits(series) + (_bits(shifted) << 52))


@_exactly
def log_one_plus(u):  # type: ignore[no-untyped-def]
    """``log(1 + u)`` for u from zero to one."""
    m = 1.0 + u
    large = m > ROOT_TWO
    m = 0.5 * m if large else m
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = 1.0 / 21.0
    series = series * z + 1.0 / 19.0
    series = series * z + 1.0 / 17.0
    series = series * z + 1.0 / 15.0
    series = series * z + 1.0 / 13.0
    series = series * z + 1.0 / 11.0
    series = series * z + 1.0 / 9.0
    series = series * z + 1.0 / 7.0
    series = series * z + 1.0 / 5.0
    series = series * z + 1.0 / 3.0
    series = series * z + 1.0
    return 2.0 * s * series + (LOG_TWO if large else 0.0)
