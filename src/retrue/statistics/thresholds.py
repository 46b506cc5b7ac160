"""A column's threshold, detectable change and chance at a window's own number of rows, from its calibration. Pure.

With ``c = 1/n + 1/m`` of n rows in the window and m in the reference, a distance without drift has about
``location(c) = location · sqrt(c / c₀)`` where the window is *smaller* than the calibrated one (c > c₀): the threshold gets wider.
Where it is *larger* nothing shrinks: what days have in common is not averaged away by more rows of the same days, and how much the
rows between those of the baseline resemble them a baseline that was thinned cannot tell. The same for the scale. The threshold is
``location + limit · scale``, at least the floor.
"""

from __future__ import annotations

import math

import numpy as np

from retrue.results.calibrated import ColumnCalibration, DriftCalibration
from retrue.statistics.distances import as_distance, as_score

CHANCE_MIN = 1e-6  # replays say nothing of what is rarer


def spread(rows: float, reference_rows: float) -> float:
    """Return 1/n + 1/m, to whose root chance differences of two samples are proportional; infinite without rows.

    >>> spread(100, 400)
    0.0125
    """
    return 1 / rows + 1 / reference_rows if rows and reference_rows else math.inf


def null_at(column: ColumnCalibration, rows: int, reference_rows: int) -> tuple[float, float]:
    """Return (location, scale) of a column's distance without drift at these numbers of rows with a value."""
    wider = math.sqrt(max(spread(rows, reference_rows) / spread(column.rows, column.reference_rows), 1.0))
    return column.location * wider, column.scale * wider


def threshold_at(column: ColumnCalibration, limit: float, rows: int, reference_rows: int) -> float:
    """Return the score from which on a column has drifted; infinite where a side has no rows.

    Args:
        column: Its calibration.
        limit: The standardised score of the rate wanted, from ``limit_of``.
        rows: Rows of the window with a value.
        reference_rows: The same of the reference it is compared with.
    """
    location, scale = null_at(column, rows, reference_rows)
    return max(as_score(location + limit * scale, column.method), column.floor)


def detectable_at(column: ColumnCalibration, threshold: float) -> float | None:
    """Return the smallest change seen in four windows of five under another threshold; None where none would be."""
    if column.detectable is None or not math.isfinite(threshold):
        return None
    now, then = (float(as_distance(np.asarray(each), column.method)) for each in (threshold, column.threshold))
    return column.detectable * now / then


def limit_of(calibration: DriftCalibration, alpha: float) -> float:
    """Return the standardised score that a window without drift reaches with chance ``alpha``, in 0-1.

    Between the chances that calibration holds it is interpolated in their logarithm; beyond them it is extended.
    """
    chances, scores = zip(*calibration.tail, strict=True)
    logs = np.log(chances)
    if alpha < chances[-1]:
        slope = (scores[-1] - scores[-2]) / (logs[-1] - logs[-2])
        return float(scores[-1] + slope * (math.log(max(alpha, CHANCE_MIN)) - logs[-1]))
    return float(np.interp(-math.log(alpha), -logs, scores))


def chance_of(
    calibration: DriftCalibration, column: ColumnCalibration, score: float, rows: int, reference_rows: int
) -> float:
    """Return how often a window without drift has a column as far out as this score, 0-1; at least ``CHANCE_MIN``."""
    location, scale = null_at(column, rows, reference_rows)
    distance = float(as_distance(np.asarray(score), column.method))
    if not scale:
        return CHANCE_MIN if distance > location else 1.0
    standardised = (distance - location) / scale
    chances, scores = zip(*calibration.tail, strict=True)
    logs = np.log(chances)
    if standardised > scores[-1]:
        slope = (logs[-1] - logs[-2]) / (scores[-1] - scores[-2])
        return math.exp(max(float(logs[-1] + slope * (standardised - scores[-1])), math.log(CHANCE_MIN)))
    return 1.0 if standardised < scores[0] else math.exp(float(np.interp(standardised, scores, logs)))
