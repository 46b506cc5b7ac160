"""Which successes are kept, and what each kept one stands for. Pure: the random number is an argument.

A success is kept with probability `sample * 2**-halvings` and carries the inverse as its weight, so that a sum over the
kept ones of weight times anything is an unbiased estimate of the sum over all (Horvitz and Thompson, 1952, JASA 47(260)).
"""

from __future__ import annotations

from typing import Final

NEVER: Final = 1_000
"""Halvings of a lane that is full: nothing is kept."""


def check_sample(sample: float) -> float:
    """Return the share of successes to keep, or refuse one that is no share.

    Raises:
        ValueError: Not a number from 0 to 1.
    """
    if isinstance(sample, bool) or not isinstance(sample, (int, float)) or not 0 <= sample <= 1:
        raise ValueError(f"sample is {sample!r}: give the share of successes to keep, from 0 to 1 (0.1 keeps a tenth)")
    return float(sample)


def halvings(used: int, capacity: int) -> int:
    """Return how often the probability of a success is halved where this much of a lane is used.

    Once from a half on, twice from three quarters, and so on, so that a lane fills up ever more slowly.

    >>> [halvings(used, 16) for used in (0, 7, 8, 11, 12, 14, 15)]
    [0, 0, 1, 1, 2, 3, 4]
    >>> halvings(16, 16) == NEVER
    True
    """
    room = capacity - used
    return (capacity // room).bit_length() - 1 if room > 0 else NEVER


def weight(sample: float, halved: int) -> float:
    """Return how many successes one stands for that was kept with probability `sample * 2**-halved`.

    >>> weight(0.1, 2)
    40.0
    """
    return (1 << halved) / sample
