"""What calibration found of a baseline: the scores its columns get without drift, and from which score on they have drifted.

*Distances* are scores on a scale where chance shrinks with the square root of the rows: those of psi and kl_div are square roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrue.results.measured import refuse_nan


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCalibration:
    """One column without drift, at the calibrated size of a window.

    ``rows`` and ``reference_rows`` are those with a value. ``location`` is the distance that one
    window in ten exceeds, ``scale`` by how much it does on average. ``floor`` and ``threshold`` are scores: nothing under
    the floor matters, however certain. ``detectable`` is the smallest change seen in four windows of five: a shift in standard
    deviations of the reference, or for categories (``numeric`` false) a share of rows that change theirs; None where even 8 sd
    or all rows would not be. ``quantiles`` are (share, score) of the replays.
    """

    method: str
    numeric: bool
    rows: int
    reference_rows: int
    location: float
    scale: float
    floor: float
    threshold: float
    detectable: float | None
    quantiles: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        refuse_nan("calibration", location=self.location, scale=self.scale, threshold=self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCalibration:
    """The columns of one model that share a rate of false alarms.

    ``alpha`` is the chance that a window without drift has at least one drifted column, 0-1. ``tail`` holds (chance,
    standardised score): how often the largest ``(distance - location) / scale`` of a window without drift reaches it, the
    commonest first. ``replays`` windows were composed; ``stretches`` is how many windows of this length fit beside each other
    into the baseline, healthy history included. ``blocks`` says in words of what they were composed.
    """

    columns: Mapping[str, ColumnCalibration]
    window_seconds: float
    alpha: float
    tail: tuple[tuple[float, float], ...]
    replays: int
    stretches: int
    blocks: str
