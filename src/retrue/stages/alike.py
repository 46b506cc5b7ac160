"""Rows that all count the same, for what compares rows without weights. pandas and numpy are imported by callees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.stages.failed import STATUS_COLUMNS, failed_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retrue.sources.pulled import PulledWindow

WEIGHT = "sample_weight"


def drawn_alike(frame: pd.DataFrame, rows: int, *, seed: int) -> pd.DataFrame:
    """Return at most so many rows, in their order and without their weights, that stand for the frame's if each counts the same.

    Of equal weights a part is drawn at random. Of different ones as many rows are drawn as they are worth, (Σw)²/Σw², and a row
    of weight w is there n · w/Σw times, up or down to a whole number: few are there twice, and each as often as its weight
    wants. Weights that are missing or not positive count as 1.

    Args:
        frame: Rows, with ``sample_weight`` where they have different weights.
        rows: At most so many.
        seed: Another seed, another draw.

    Source: systematic sampling in random order, Madow (1949), Ann. Math. Stat. 20(3); what rows are worth, Kish (1965).
    """
    import numpy as np

    bare = frame.drop(columns=WEIGHT, errors="ignore")
    weights = frame[WEIGHT].to_numpy(dtype=float, na_value=1.0) if WEIGHT in frame.columns else np.ones(len(frame))
    weights = np.where(weights > 0, weights, 1.0)
    is_equal = not len(weights) or weights.min() == weights.max()
    if is_equal and len(frame) <= rows:
        return bare
    worth = len(weights) if is_equal else int(weights.sum() ** 2 / (weights**2).sum() + 0.5)
    random = np.random.default_rng(seed)
    order = random.permutation(len(weights))
    ends = np.cumsum(weights[order]) / weights.sum() * min(rows, worth)
    reached = np.floor(ends + random.random()).astype(np.int64)
    copies = np.diff(reached, prepend=0)
    return bare.iloc[np.sort(np.repeat(order, copies))].reset_index(drop=True)


def answered_alike(pulled: PulledWindow, columns: Sequence[str], rows: int, *, seed: int) -> pd.DataFrame:
    """Return rows of a window that did not fail, as those of a baseline did not, and that all count the same.

    Args:
        pulled: The window.
        columns: Those wanted; what the log does not have is left out.
        rows: At most so many.
        seed: Of the draw.
    """
    wanted = [name for name in dict.fromkeys((*columns, *STATUS_COLUMNS, WEIGHT)) if name in pulled.columns]
    frame = pulled.sample(rows, seed=seed, columns=wanted)
    kept = [name for name in wanted if name in (*columns, WEIGHT)]
    return drawn_alike(frame.loc[~failed_rows(frame), kept].reset_index(drop=True), rows, seed=seed)
