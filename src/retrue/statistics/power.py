"""The smallest change that a column's threshold lets one see, out of the replays. Pure.

A replayed window without drift gets a change planted: numbers move by δ standard deviations of the reference, up or down,
whichever is harder to see; of categories δ of all rows change to the second commonest. The detectable change is the least δ
whose score reaches the threshold in 80 % of the replays.

Source: power by simulation on the null's own replays, as in Cohen (1988), ch. 1, without a distribution assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from retrue.statistics.counted import Counted, Floats, Ints, Values, finite, in_bins
from retrue.statistics.distances import WASSERSTEIN, as_distance, score
from retrue.statistics.hellinger import hellinger_bins
from retrue.statistics.wasserstein import SD_MIN

POWER = 0.8
SHIFT_MAX, SHARE_MAX = 8.0, 1.0
_STEPS = 12  # halvings: a change is known to 8 sd / 4096
_QUANTILES = 400
_BINNED_WINDOWS, _BINNED_STEPS = 24, 8  # a binned number is binned anew for every shift


def detectable_shift(values: Values, draws: Sequence[Ints], method: str, threshold: float) -> float | None:
    """Return the least shift of a number column, in sd of the reference, seen in 80 % of windows; None beyond 8.

    Of a constant reference it is in thousandths, the unit of its score.

    Args:
        values: The baseline's values, shape (rows,).
        draws: Rows of replayed windows; each is compared with all rows.
        method: The distance.
        threshold: On the scale of ``as_distance``.
    """
    numbers = finite(values)
    windows = [window for window in (numbers[rows][~np.isnan(numbers[rows])] for rows in draws) if len(window)]
    reference = numbers[~np.isnan(numbers)]
    sd = float(np.std(reference)) if np.ptp(reference) else SD_MIN
    if method == WASSERSTEIN:
        unit = max(sd, SD_MIN)  # of the score
        gaps = _quantile_gaps(reference, windows) / unit
        return _least(
            lambda shift: _worse(
                np.abs(gaps + each * sd / unit).mean(axis=-1) >= threshold for each in (shift, -shift)
            ),
            SHIFT_MAX,
            _STEPS,
        )
    few = windows[:_BINNED_WINDOWS]
    return _least(
        lambda shift: _worse(
            np.array([_binned_distance(reference, window + each * sd, method) for window in few]) >= threshold
            for each in (shift, -shift)
        ),
        SHIFT_MAX,
        _BINNED_STEPS,
    )


def _worse(sides: Iterable[np.ndarray[Any, np.dtype[np.bool_]]]) -> float:
    return min(float(side.mean()) for side in sides)


def detectable_share(column: Counted, draws: Sequence[Ints], method: str, threshold: float) -> float | None:
    """Return the least share of rows that change their category, seen in 80 % of windows; None if not even all are."""
    if len(column.points) == 1:  # what changes becomes a category of its own
        column = Counted(codes=column.codes, points=np.arange(2, dtype=np.float64), kept=2)
    reference, windows = column.counts([np.arange(len(column.codes))])[0], column.counts(draws)

    def seen(share: float) -> float:
        moved = windows * (1 - share)
        moved[:, 1] += share * windows.sum(axis=1)
        scores = score(column, reference - windows, moved, method)
        return float((as_distance(scores, method) >= threshold).mean())

    found = _least(seen, SHARE_MAX, _STEPS)
    return found if found is None else found * (1 - float(reference[1] / reference.sum()))


def _least(seen: Callable[[float], float], most: float, steps: int) -> float | None:
    if seen(most) < POWER:
        return None
    low, high = 0.0, most
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) >= POWER else (middle, high)
    return high


def _quantile_gaps(reference: Floats, windows: Sequence[Floats]) -> Floats:
    """Window quantiles less the rest's, shape (windows, quantiles): their mean size is the Wasserstein distance.

    The window is among the reference's rows, which makes its difference from all of them smaller than from the rest.
    """
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    before = np.sort(reference)[(at * len(reference)).astype(int)]
    quantiles = [np.sort(window)[(at * len(window)).astype(int)] for window in windows]
    held_out = [len(window) / len(reference) for window in windows]
    gaps = [(each - before) / max(1 - part, 0.5) for each, part in zip(quantiles, held_out, strict=True)]
    return np.array(gaps)


def _binned_distance(reference: Floats, window: Floats, method: str) -> float:
    both = np.concatenate([reference, window])
    if method == "hellinger":
        column = hellinger_bins(both)
    else:
        column = in_bins(both, np.histogram_bin_edges(both, bins="sturges"))
    sides = column.counts([np.arange(len(reference)), np.arange(len(reference), len(both))])
    return float(as_distance(score(column, sides[0], sides[1], method), method))
