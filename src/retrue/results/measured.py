"""What was measured on a window. Shares are in 0-1, latencies in milliseconds; no field holds NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Severity(StrEnum):
    """How much a finding matters; critical and warning breach a window, info does not."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def breaches(self) -> bool:
        return self is not Severity.INFO

    @property
    def rank(self) -> int:
        """0 for the gravest, so that sorting puts it first."""
        return list(Severity).index(self)


class ColumnKind(StrEnum):
    """What a column's values are, whatever the engine calls the type."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIME = "time"
    OTHER = "other"


def refuse_nan(owner: str, **values: float | None) -> None:
    """Raise ValueError where a value is NaN: it would compare as healthy."""
    for name, value in values.items():
        if value is not None and math.isnan(value):
            raise ValueError(f"{owner}.{name} is NaN: a score that cannot be computed is left out, with its reason")


def refuse_outside_unit(owner: str, **shares: float | None) -> None:
    """Raise ValueError where a share lies outside 0-1."""
    for name, share in shares.items():
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{owner}.{name} is a share in 0-1, not {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Input that was not read, while the rest went on.

    ``place`` is a file name relative to its folder, with ``:line`` where there is one; it never holds content.
    """

    place: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PullReport:
    """What was read of one window, and what was not.

    ``input_digest`` depends on the rows of logs and labels, not on their order or files. ``model_versions``
    maps each version that served in the window to its rows. ``set_aside_share`` is the larger of the share
    of lines and the share of bytes set aside. ``erased`` counts records of people who were to be forgotten and that were
    left out. ``lost`` counts records that a logger accepted and that are nowhere, ``dropped`` those it counted as let go of,
    by reason; neither has a part in ``input_digest``: they are what is not there.
    """

    rows: int
    labelled_rows: int
    files_read: int
    files_skipped: int
    duplicates: int
    set_aside: tuple[SetAside, ...]
    set_aside_share: float
    input_digest: str
    model_versions: Mapping[str, int]
    erased: int = 0
    lost: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_outside_unit("PullReport", set_aside_share=self.set_aside_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column over a whole window. Shares are weighted by ``sample_weight``; counts are not.

    ``null_share`` counts nulls and NaN, ``infinite_share`` both infinities. Moments and quantiles are those of the
    finite values, None where there is none or the column is no number. ``distinct`` is exact for text and
    booleans, approximate for numbers. ``unseen_share`` is the share of rows whose category the baseline does not have,
    None where the baseline holds no categories; in a baseline that of its own rows whose categories it let go of.
    ``categories`` maps the commonest values of a text or boolean column to their shares of non-null rows, for a baseline
    only: reports never show them.
    """

    name: str
    kind: ColumnKind
    type: str
    rows: int
    nulls: int
    null_share: float
    nans: int = 0
    infinities: int = 0
    infinite_share: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    sd: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    distinct: int = 0
    unseen: int | None = None
    unseen_share: float | None = None
    categories: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        refuse_nan(self.name, minimum=self.minimum, maximum=self.maximum, mean=self.mean, sd=self.sd)
        refuse_outside_unit(
            self.name,
            null_share=self.null_share,
            infinite_share=self.infinite_share,
            unseen_share=self.unseen_share,
        )

    @property
    def measurable(self) -> bool:
        """Whether a distribution can be compared at all: some finite, non-null value of a known kind."""
        return self.rows > self.nulls + self.infinities and self.kind in _MEASURABLE


_MEASURABLE = frozenset({ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.BOOLEAN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Every column of a window, measured in the engine over all its rows."""

    rows: int
    columns: Mapping[str, ColumnProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDifference:
    """How a window's columns differ from the baseline's; ``retyped`` holds (name, kind before, kind now)."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    retyped: tuple[tuple[str, ColumnKind, ColumnKind], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """One expectation's result. It holds counts and aggregates only, never a cell.

    ``success`` is None where the expectation raised; ``problem`` then says why.
    """

    kind: str
    column: str | None
    success: bool | None
    severity: Severity
    observed: str = ""
    expected: str = ""
    why: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """A suite run on a window."""

    suite: str
    outcomes: tuple[ExpectationOutcome, ...]

    @property
    def success_share(self) -> float:
        """Share of expectations met, in 0-1. Those that raised count as not met; an empty suite is 0."""
        met = sum(outcome.success is True for outcome in self.outcomes)
        return met / len(self.outcomes) if self.outcomes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """A column's drift score with the method that gave it; ``drifted`` when the threshold is reached.

    ``chance`` is how often a window without drift has any column so far out, 0-1; None where the threshold is not calibrated.
    ``detectable`` is the smallest change that would have been seen in four windows of five of this size: a shift in standard
    deviations where ``numeric``, else a share of rows; None where none would, or where it is not calibrated. ``blind`` says
    why a large change would have passed unseen: too few rows in the ``window``, or a ``baseline`` whose own windows differ so.
    ``rows`` are those with a value, of window and reference; None in what was recorded before they were.
    """

    column: str
    method: str
    score: float
    threshold: float
    chance: float | None = None
    detectable: float | None = None
    numeric: bool = True
    blind: Literal["", "window", "baseline"] = ""
    rows: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        refuse_nan(f"drift of {self.column}", score=self.score, threshold=self.threshold, chance=self.chance)

    @property
    def drifted(self) -> bool:
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftResult:
    """Drift of the measurable columns; ``unmeasurable`` holds (column, reason).

    ``false_alarms`` is the stated rate, such as ``1 per 90d``, and ``alpha`` the chance it gives one window; empty and None
    where thresholds are not calibrated, and ``uncalibrated`` then says why.
    """

    columns: tuple[ColumnDrift, ...]
    unmeasurable: tuple[tuple[str, str], ...]
    reference_rows: int
    current_rows: int
    false_alarms: str = ""
    alpha: float | None = None
    uncalibrated: str = ""

    @property
    def share(self) -> float | None:
        """Share of measured columns that drifted, None where none was measured."""
        return sum(column.drifted for column in self.columns) / len(self.columns) if self.columns else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its bootstrap confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        refuse_nan("interval", value=self.value, low=self.low, high=self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedPerformance:
    """Metrics of the rows whose labels have arrived. ``metrics`` includes the judged one, ``metric``."""

    metric: str
    metrics: Mapping[str, Interval]
    labelled_rows: int
    coverage_share: float

    def __post_init__(self) -> None:
        refuse_outside_unit("RealisedPerformance", coverage_share=self.coverage_share)
        if self.metric not in self.metrics:
            raise ValueError(f"the judged metric {self.metric} is not among {sorted(self.metrics)}")

    @property
    def judged(self) -> Interval:
        return self.metrics[self.metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A part of a window that could not be measured, and why."""

    part: str
    reason: str
