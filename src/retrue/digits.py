"""Numbers as texts that never make something look like nothing. Pure.

A usual number has a fixed count of decimals, so that columns and sentences look alike. Where that would leave less than two digits of it, as of
an error of a concentration or a share of one in a million, it has three significant digits instead.
"""

from __future__ import annotations

from collections.abc import Iterable

DIGITS = 3  # significant ones of a small number


def decimal(value: float, decimals: int = 3) -> str:
    """Write a number with decimals, a small one with three digits.

    >>> decimal(0.65512), decimal(0.05), decimal(0.0), decimal(-0.00123), decimal(1.2345e-6)
    ('0.655', '0.050', '0.000', '-0.00123', '1.23e-06')
    """
    return decimal_all([value], decimals)[0]


def decimal_all(values: Iterable[float], decimals: int = 3, *, sign: str = "") -> list[str]:
    """Write numbers that stand beside each other, such as a value with its interval, alike: as the largest of them asks for.

    Args:
        values: The numbers.
        decimals: Of usual ones.
        sign: ``+`` writes the sign of all.

    >>> decimal_all([0.31, 0.0004, 0.62]), decimal_all([1.1e-6, 9e-7, 1.3e-6]), decimal_all([0.03, -0.01], sign="+")
    (['0.310', '0.000', '0.620'], ['1.1e-06', '9e-07', '1.3e-06'], ['+0.030', '-0.010'])
    """
    numbers = list(values)
    largest = max(map(abs, numbers), default=0.0)
    form = f"{sign}.{DIGITS}g" if 0 < largest < 10 ** (1 - decimals) else f"{sign}.{decimals}f"
    return [format(each, form) for each in numbers]


def percent(share: float, decimals: int = 2) -> str:
    """Write a share of 0-1 in percent with decimals, a small one with three digits.

    >>> percent(0.1234), percent(0.0), percent(0.005), percent(1.2345e-5), percent(1.0, 1), percent(0.0004, 1)
    ('12.34%', '0.00%', '0.50%', '0.00123%', '100.0%', '0.04%')
    """
    form = f".{DIGITS}g" if 0 < abs(share) < 10 ** (-1 - decimals) else f".{decimals}f"
    return f"{format(100 * share, form)}%"
