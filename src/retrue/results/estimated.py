"""What estimating performance without labels needs, and what it comes to. Plain numbers and texts, as a baseline stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from retrue.results.measured import Interval, refuse_nan, refuse_outside_unit

EstimationMethod = Literal["cbpe", "direct_loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCurve:
    """Probability of a class by score: straight between the knots, constant beyond them. ``scores`` rise, ``probabilities`` never fall."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.probabilities):
            raise ValueError(f"{len(self.scores)} scores and {len(self.probabilities)} probabilities make no curve")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """How scores of one class become probabilities of it.

    ``needed`` tells whether calibrated scores had a lower expected calibration error than the scores themselves on rows that
    the curve had not seen (``error_after`` < ``error_before``); where not, scores are taken as they are. ``folds`` are curves of
    the reference without one tenth of its time each: how they differ is what the reference does not know.
    """

    needed: bool
    error_before: float
    error_after: float
    curve: CalibrationCurve
    folds: tuple[CalibrationCurve, ...]

    def __post_init__(self) -> None:
        refuse_nan("calibration", error_before=self.error_before, error_after=self.error_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """What a baseline holds so that performance can be estimated; ``withheld`` says why it cannot be.

    ``calibrations`` maps each class to how its scores are calibrated, of a binary task the positive one only; empty for direct
    loss estimation, whose models are fitted again from the reference rows. ``errors`` maps each metric to the standard deviation
    by which it missed in stretches of the reference that it had not seen, beyond sampling error; in its units. A window of which a larger share of rows than
    ``max_unsupported_share`` lies outside what the reference supports gets no estimate.
    """

    method: EstimationMethod
    labelled_rows: int = 0
    calibrations: Mapping[str, ScoreCalibration] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    max_unsupported_share: float = 0.0
    withheld: str = ""

    def __post_init__(self) -> None:
        refuse_nan("errors", **self.errors)
        refuse_outside_unit("Estimation", max_unsupported_share=self.max_unsupported_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedPerformance:
    """Metrics of rows whose labels are missing, as they would be if labels still followed from features as in the reference.

    A change of just that, concept drift, is invisible to it. Intervals hold the noise of a finite window, that of a
    finite reference, and by how much estimates of its own stretches missed. ``metrics`` includes the judged one, ``metric``. ``unsupported_share`` is the weighted share of ``rows``
    outside what the reference supports.
    """

    metric: str
    metrics: Mapping[str, Interval]
    method: EstimationMethod
    rows: int
    unsupported_share: float

    def __post_init__(self) -> None:
        refuse_outside_unit("EstimatedPerformance", unsupported_share=self.unsupported_share)
        if self.metric not in self.metrics:
            raise ValueError(f"the judged metric {self.metric} is not among {sorted(self.metrics)}")

    @property
    def judged(self) -> Interval:
        return self.metrics[self.metric]
