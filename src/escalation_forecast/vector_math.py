"""Exponential and logarithm that a compiler can do for eight numbers at a time.

The mathematical library takes one number a call, and the likelihood is little else than exponentials. These
are polynomials without a branch, right to the last digit or two (tests say how far).
"""

from __future__ import annotations

from math import factorial
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
# Highest power first: 1 / k! of the exponential, 1 / (2 k + 1) of the logarithm of (1 + s) / (1 - s).
EXP_SERIES: Final = tuple(1.0 / factorial(k) for k in range(12, -1, -1))
LOG_SERIES: Final = tuple(1.0 / (2 * k + 1) for k in range(10, -1, -1))


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
    series = EXP_SERIES[0]
    for term in EXP_SERIES[1:]:
        series = series * rest + term
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
    series = LOG_SERIES[0]
    for term in LOG_SERIES[1:]:
        series = series * z + term
    return 2.0 * s * series + (LOG_TWO if large else 0.0)
