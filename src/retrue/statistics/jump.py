"""Whether the newest value of a series jumped away from the one before, by the jumps there were before.

With the differences d_i = x_i − x_{i−1}, the newest is held against the others: t = d_n / sqrt(mean of d_i², i < n), with Student's t of
ν = min(2m/3, 8) degrees of freedom for m earlier differences. Differences leave a trend or a season out; neighbouring ones share a value,
which costs a third of the degrees of freedom (the squares of differences of white noise have a correlation of 1/4: m / (1 + 2 · 1/4) = 2m/3 of
them count); the limit of 8 is for noise with heavier tails than the normal.

Source: J. von Neumann, R. H. Kent, H. R. Bellinson, B. I. Hart (1941), The mean square successive difference, Ann. Math. Stat. 12(2),
for the estimate of a spread that no trend inflates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from scipy import stats

BEFORE_MIN = 9  # values before: eight differences are the fewest that say how large jumps are
FREEDOM_MAX = 8.0
DIFFERENCE_MAX = 1e150  # its square is a number
NO_JUMP = 1e-9  # of the largest value: what sums in another order differ by


def jump_p_value(values: Sequence[float]) -> float | None:
    """Return the chance of a last difference as large as this, two-sided; None with fewer than nine values before it.

    None too where differences are too large to be squared.

    Where nothing ever moved before, any jump has the chance 0. A difference of less than a billionth of the values is none.

    Args:
        values: Oldest first, finite, at equal distances; the last is judged.

    Raises:
        ValueError: A value is not finite.

    >>> steady = [10, 11, 10, 11, 10, 11, 10, 11, 10]
    >>> round(jump_p_value([*steady, 11]), 2), round(jump_p_value([*steady, 20]), 6)
    (0.36, 0.000118)
    """
    if not all(map(math.isfinite, values)):
        raise ValueError("a series to be judged has finite values only")
    if len(values) <= BEFORE_MIN:
        return None
    *earlier, newest = (after - before for before, after in pairwise(values))
    if max(map(abs, (*earlier, newest))) > DIFFERENCE_MAX:
        return None
    spread = math.sqrt(math.fsum(each * each for each in earlier) / len(earlier))
    if abs(newest) <= NO_JUMP * max(map(abs, values)):
        return 1.0
    if spread == 0:
        return 0.0
    freedom = min(2 * len(earlier) / 3, FREEDOM_MAX)
    return float(2 * stats.t.sf(abs(newest) / spread, freedom))
