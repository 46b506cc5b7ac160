"""Which of many looks are no chance: step-up procedures over p-values. Pure.

Of the looks that are called discoveries, the expected share of chance ones is at most ``false_share``.
"""

from __future__ import annotations

from collections.abc import Sequence


def discoveries(
    chances: Sequence[float], *, false_share: float, looked_at: int | None = None, dependent: bool = False
) -> tuple[bool, ...]:
    """Return which looks are discoveries: those up to the largest rank k with p_(k) ≤ q k / (m c).

    Args:
        chances: p-values, in any order; in 0-1, so that a NaN is refused.
        false_share: q, the expected share of chance ones among the discoveries.
        looked_at: m, where more was looked at than has a p-value here; ``len(chances)`` by default.
        dependent: c is 1 where looks are independent or rise together (Benjamini & Hochberg), and the harmonic number of m
            where they depend on each other in any way (Benjamini & Yekutieli).

    Raises:
        ValueError: A p-value lies outside 0-1 or is NaN, or fewer were looked at than have one.

    Source: Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57(1); Benjamini & Yekutieli (2001), Ann. Stat. 29(4), Theorem 1.3.

    >>> discoveries([0.010, 0.013, 0.014, 0.190, 0.350], false_share=0.05)
    (True, True, True, False, False)
    >>> discoveries([0.010, 0.013, 0.014, 0.190, 0.350], false_share=0.05, dependent=True)
    (False, False, False, False, False)
    """
    tests = len(chances) if looked_at is None else looked_at
    if not all(0 <= chance <= 1 for chance in chances):
        raise ValueError("p-values lie in 0-1")
    if tests < len(chances):
        raise ValueError(f"{tests} looks cannot have {len(chances)} p-values")
    if not chances:
        return ()
    step = false_share / (tests * (sum(1 / rank for rank in range(1, tests + 1)) if dependent else 1.0))
    ordered = sorted(chances)
    highest = max((chance for rank, chance in enumerate(ordered, 1) if chance <= step * rank), default=-1.0)
    return tuple(chance <= highest for chance in chances)
