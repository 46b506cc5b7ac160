"""Number columns of small units brought to one in which their spread counts. Pure.

Evidently 0.7.23 divides its Wasserstein distance by ``max(sd(reference), 0.001)``, in whatever unit a column comes: a concentration
of 5e-6 ± 1e-6 could grow eightfold and score 0.035. So both sides of a column whose reference has a standard deviation below 0.01 are
multiplied by one power of two before anything scores them. That changes no digit, so binned distances stay as they were, and
``wasserstein`` counts standard deviations of the reference as it does in any other unit.
"""

from __future__ import annotations

import math

import numpy as np

from retrue.statistics.counted import Floats, Values, finite

SD_SMALL = 0.01  # ten times Evidently's least: of a column near it no sample's sd falls below that
CONSTANT = 1e-12  # of the largest value: a spread that is no more of it is rounding
VALUE_MAX = 1e150  # its square is a number


def own_unit(reference: Values) -> float:
    """Return what both sides of a column are multiplied by before they are scored: 1, or a power of two where its sd is small.

    A constant has no spread to go by: it stays as it is, and Evidently's 0.001 is the unit of a distance from it.

    Args:
        reference: Numbers of the reference, shape (rows,); NaN and infinities count as missing.

    >>> own_unit(np.array([4e-6, 6e-6])), own_unit(np.array([4.0, 6.0])), own_unit(np.array([4e-6, 4e-6]))
    (524288.0, 1.0, 1.0)
    """
    numbers = finite(reference)
    numbers = numbers[~np.isnan(numbers)]
    largest = float(np.abs(numbers).max()) if len(numbers) else 0.0
    if not largest:
        return 1.0
    spread = float(np.std(numbers / largest))
    if spread <= CONSTANT or spread * largest >= SD_SMALL:
        return 1.0
    return 2.0 ** min(-math.frexp(spread * largest)[1], 1000)


def in_unit(values: Values, unit: float) -> Floats:
    """Return numbers in the unit of ``own_unit``, NaN for infinities; what would leave the range of floats stays at its end."""
    numbers = finite(values)
    return numbers if unit == 1 else np.clip(numbers, -VALUE_MAX / unit, VALUE_MAX / unit) * unit
