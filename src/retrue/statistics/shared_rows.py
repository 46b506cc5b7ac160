"""How many rows of one table are copies of rows of another, beyond those that are equal by chance.

Where features are few and coarse, honest rows coincide. What chance does across two tables it does within each of them too, so
pairs are counted both ways. Among the contents that occur exactly twice, by chance a pair lies in both tables, or twice in one, in
the ratio 2 q (1 - q) to q^2 + (1 - q)^2, where q is the first table's share of all rows. Pairs across beyond that are copies.
Contents that occur more often say nothing and are left out, so commoner or rarer values do not count as copies.

The count of duplicates as an estimate of what a sample shares: Good (1953), Biometrika 40; the ratio is the binomial's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def shared_rows(first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    """Return how many rows of ``second`` are copies of rows of ``first``, never below 0, and the standard error of that.

    Args:
        first: A hash of each row's content.
        second: Likewise.

    >>> shared_rows(range(100), [*range(90, 100), *range(100, 190)])
    (10.0, 3.1622776601683795)
    >>> shared_rows([1, 1, 2, 3], [3, 4, 4, 5])[0]
    0.0
    """
    before, after = _counts(first), _counts(second)
    share = sum(before.values()) / max(1, sum(before.values()) + sum(after.values()))
    across = sum(1 for each, times in after.items() if times == 1 and before.get(each) == 1)
    within = sum(1 for each, times in before.items() if times == 2 and each not in after)
    within += sum(1 for each, times in after.items() if times == 2 and each not in before)
    odds = 2 * share * (1 - share) / (share**2 + (1 - share) ** 2)
    return max(0.0, across - odds * within), math.sqrt(across + odds**2 * within)


def _counts(rows: ArrayLike) -> dict[Any, int]:
    values, times = np.unique(np.asarray(rows), return_counts=True)
    return dict(zip(values.tolist(), times.tolist(), strict=True))
