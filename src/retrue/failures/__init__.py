"""Failures into groups: fingerprints, lifecycle, and which inputs fail. Pure."""

from retrue.failures.fingerprint import Failure, Fingerprint, fingerprint
from retrue.failures.grouping import group
from retrue.failures.inputs import Exposure, InputThresholds, Sums, pairs_to_measure, rank_conditions, relative_risk
from retrue.failures.lifecycle import (
    FailureStatus,
    Lifecycle,
    LifecycleThresholds,
    WindowCount,
    lifecycle_of,
    status_of,
)

__all__ = [
    "Exposure",
    "Failure",
    "FailureStatus",
    "Fingerprint",
    "InputThresholds",
    "Lifecycle",
    "LifecycleThresholds",
    "Sums",
    "WindowCount",
    "fingerprint",
    "group",
    "lifecycle_of",
    "pairs_to_measure",
    "rank_conditions",
    "relative_risk",
    "status_of",
]
