"""Wasserstein distance of numbers, in standard deviations of the reference. Pure.

``∫|F(x) − G(x)| dx / max(sd(reference), 0.001)``: how far the values moved on average, 0 if equal, no upper bound.
Columns whose sd is small are brought to a larger unit before (``own_unit``), so that the 0.001 is for constants only.

Source: Vallender (1974), Theory Probab. Appl. 18(4); normed as by Evidently 0.7.23 (`wasserstein`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrue.statistics.counted import Counted, Floats, Ints

SD_MIN = 0.001  # of the reference, in the column's unit: Evidently's guard against constants


def wasserstein(points: Floats, reference: Floats, current: Floats) -> Floats:
    """Return the distances between counts over the same distinct values; NaN where a side has no rows.

    Args:
        points: Distinct values in ascending order, shape (points,).
        reference: Rows per value, shape (…, points).
        current: The same for the window, same shape.

    >>> float(wasserstein(np.array([0.0, 1.0]), np.array([2.0, 2.0]), np.array([1.0, 3.0])))
    0.5
    """
    rows = reference.sum(axis=-1), current.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = current / rows[1][..., None]
        gap -= reference / rows[0][..., None]
        np.cumsum(gap, axis=-1, out=gap)
        np.abs(gap, out=gap)
        return np.asarray(gap[..., :-1] @ np.diff(points) / np.maximum(_sd(points, reference, rows[0]), SD_MIN))


def wasserstein_of_draws(column: Counted, draws: Sequence[Ints]) -> Floats:
    """Return the distance of each draw of rows from the rest of them, shape (draws,); NaN where a side has no rows.

    Between two values of the draw its distribution is flat and that of all rows known: the integral is a difference of prefix
    sums on either side of the crossing. So a draw of n rows costs n log n, however many distinct values the column has.
    """
    if not len(column.points):
        return np.full(len(draws), np.nan)
    points = column.points - column.points.mean()
    codes = column.codes[column.codes >= 0]
    below = np.cumsum(np.bincount(codes, minlength=len(points))).astype(np.float64)
    area = np.concatenate([[0.0], np.cumsum(below[:-1] * np.diff(points))])
    moments = np.array([len(codes), points[codes].sum(), (points[codes] ** 2).sum()])
    return np.array([_of_draw(column.codes[rows], points, below, area, moments) for rows in draws])


def _of_draw(drawn: Ints, points: Floats, below: Floats, area: Floats, moments: Floats) -> float:
    """``below`` counts all rows up to each value, ``area`` is its integral, ``moments`` are count, sum and sum of squares."""
    current = np.sort(drawn[drawn >= 0])
    rows, total = len(current), int(moments[0])
    if not rows or rows == total:
        return float("nan")
    edges = np.concatenate([[0], current, [len(points) - 1]])
    height = np.arange(rows + 1) * (total / rows)
    start, end = edges[:-1], edges[1:]
    crossing = np.clip(np.searchsorted(below, height), start, end)
    x, a = points[crossing], area[crossing]
    gaps = height * (2 * x - points[start] - points[end]) + area[start] + area[end] - 2 * a
    values = points[current]
    rest = moments - (rows, values.sum(), (values**2).sum())
    sd = np.sqrt(max(rest[2] / rest[0] - (rest[1] / rest[0]) ** 2, 0.0))
    return float(gaps.sum() / (total - rows) / max(sd, SD_MIN))


def _sd(points: Floats, counts: Floats, rows: Floats) -> Floats:
    centred = points - points.mean() if len(points) else points
    mean = counts @ centred / rows
    return np.asarray(np.sqrt(np.maximum(counts @ centred**2 / rows - mean**2, 0)))
