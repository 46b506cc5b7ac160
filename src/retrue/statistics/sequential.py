"""A confidence sequence of a mean: an interval that may be looked at after every new value, and acted on at any time.

Values x1, x2, … are independent and normal with the same mean and an unknown variance. Against each mean m stands the mixture of all
alternatives whose effect size (mean / sd) is normal (0, 1 / c): its likelihood ratio, reduced to what does not depend on the scale, is a
martingale that starts at 1 if m is the mean, so it ever reaches 1 / alpha with a chance of at most alpha (Ville's inequality):

    e(n, m) = sqrt(c / (n + c)) * ((n + c) V / ((n + c) V - S^2))^(n / 2),   S = sum of (x - m), V = sum of (x - m)^2

The interval holds every m with e(n, m) < 1 / alpha. It is Robbins' normal mixture with the variance integrated out instead of
plugged in, which would promise too much with few values. Wider than Student's interval of one look: that is the price of looking.

Sources: Robbins (1970), Ann. Math. Stat. 41(5); Lai (1976), On confidence sequences, Ann. Statist. 4(2); Wang & Ramdas (2024),
Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance, arXiv 2310.03722; c from
Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory, Ann. Statist. 52(6).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def mixture_precision(tuned_for: int, *, confidence: float) -> float:
    """Return c with which the interval is narrowest after about ``tuned_for`` values. It is valid for any c set in advance.

    >>> round(mixture_precision(30, confidence=0.95), 2)
    3.78
    """
    alpha = 1 - confidence
    return tuned_for / (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1))


def mean_sequence(values: ArrayLike, *, confidence: float, tuned_for: int) -> tuple[float, float]:
    """Return the interval of the mean after these values; (-inf, inf) while they are too few to say anything.

    With a chance of at least ``confidence`` the mean lies in all the intervals of a growing series at once.

    Args:
        values: Finite, in any order; shape (n,).
        confidence: Two-sided, in (0, 1).
        tuned_for: How many values it is to be narrowest for; set before the first of them is seen.

    Raises:
        ValueError: A value is not finite.

    >>> low, high = mean_sequence([1.0, 2.0, 3.0] * 10, confidence=0.95, tuned_for=30)
    >>> round(low, 3), round(high, 3)
    (1.505, 2.495)
    >>> mean_sequence([1.0, 2.0], confidence=0.95, tuned_for=30)
    (-inf, inf)
    """
    numbers, precision = np.asarray(values, dtype=float), mixture_precision(tuned_for, confidence=confidence)
    if not np.isfinite(numbers).all():
        raise ValueError("values of a confidence sequence are finite")
    count = len(numbers)
    if not count:
        return -math.inf, math.inf
    total = count + precision
    ratio = (total / (precision * (1 - confidence) ** 2)) ** (1 / count)
    if total <= ratio * precision:
        return -math.inf, math.inf
    mean = float(numbers.mean())
    squares = float(((numbers - mean) ** 2).sum())
    half = math.sqrt((ratio - 1) * total * squares / (count * (total - ratio * precision)))
    return mean - half, mean + half


def evidence_against(mean: float, values: ArrayLike, *, confidence: float, tuned_for: int) -> float:
    """Return e(n, mean): how many times better than ``mean`` the alternatives explain the values.

    At 1 / (1 - confidence) or more, ``mean`` lies outside ``mean_sequence`` of the same arguments.

    >>> round(evidence_against(0.0, [1.0], confidence=0.95, tuned_for=30), 9)
    1.0
    """
    numbers = np.asarray(values, dtype=float) - mean
    count, precision = len(numbers), mixture_precision(tuned_for, confidence=confidence)
    total, squares = count + precision, float((numbers**2).sum())
    if not squares:
        return math.sqrt(precision / total)
    kept = 1 - float(numbers.sum()) ** 2 / (total * squares)
    return math.exp(0.5 * math.log(precision / total) - count / 2 * math.log(kept))
