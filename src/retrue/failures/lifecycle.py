"""Where a failure group stands in its life: new, ongoing, escalating, regressed or resolved. Pure.

All of it follows from what each window counted. A window without traffic proves nothing: it neither resolves a group nor
makes it come back.

    new ──▶ ongoing ◀──▶ escalating
                │  ▲
                ▼  │
           resolved ──▶ regressed ──▶ ongoing
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from statistics import NormalDist


class FailureStatus(StrEnum):
    """Where a failure group stands."""

    NEW = "new"
    ONGOING = "ongoing"
    ESCALATING = "escalating"
    REGRESSED = "regressed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """What one window counted of one group.

    ``rows`` is the number of its failures as recorded, ``failures`` the same weighted, ``inferences`` the weighted number
    of all inferences of the window: 0 where there was no traffic.
    """

    rows: int
    failures: float
    inferences: float

    def __post_init__(self) -> None:
        # written so that NaN fails
        if not (self.rows >= 0 and 0 <= self.failures <= self.inferences * (1 + 1e-9) < math.inf):
            raise ValueError(f"failures are a part of the inferences, not {self.failures} of {self.inferences}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleThresholds:
    """When a group is resolved, and when it escalates.

    It is resolved after ``quiet_windows`` windows with traffic but none of its failures, in which ``expected_failures``
    were to be expected at its earlier share: of 3 expected failures none comes with a probability of 5 % (exp(-3)), so a
    rare failure is not called resolved for being rare. It escalates when its share is ``factor`` times that of the
    ``baseline_windows`` windows before (since it last came back), with at least ``min_rows`` recorded failures, and surely (at ``confidence``) more.
    """

    quiet_windows: int = 3
    expected_failures: float = 3.0
    baseline_windows: int = 7
    factor: float = 2.0
    min_rows: int = 10
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.quiet_windows < 1 or self.baseline_windows < 1 or self.min_rows < 1:
            raise ValueError("quiet_windows, baseline_windows and min_rows are at least 1")
        if not (self.expected_failures >= 0 and self.factor >= 1 and 0 < self.confidence < 1):
            raise ValueError("expected_failures is at least 0, factor at least 1, confidence between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """A status with the reason for it, in words."""

    status: FailureStatus
    reason: str


DEFAULT = LifecycleThresholds()


def status_of(counts: Sequence[WindowCount], *, thresholds: LifecycleThresholds = DEFAULT) -> FailureStatus:
    """Return only the status of ``lifecycle_of``."""
    return lifecycle_of(counts, thresholds=thresholds).status


def lifecycle_of(counts: Sequence[WindowCount], *, thresholds: LifecycleThresholds = DEFAULT) -> Lifecycle:
    """Return where a group stands at the last of its windows.

    Args:
        counts: Oldest first, the current window last, from the group's first window or earlier; windows in which it did
            not occur are counted too, with the inferences they had.
        thresholds: When it is resolved, and when it escalates.

    Raises:
        ValueError: The group occurred in none of the windows.

    >>> quiet, busy = (WindowCount(rows=rows, failures=rows, inferences=1000) for rows in (0, 20))
    >>> [str(status_of(counts)) for counts in ([busy], [busy, quiet], [busy, *[quiet] * 3], [busy, *[quiet] * 3, busy])]
    ['new', 'ongoing', 'resolved', 'regressed']
    """
    if not any(each.rows for each in counts):
        raise ValueError("a group occurs in at least one window")
    before, current = [each for each in counts[:-1] if each.inferences], counts[-1]
    if not current.rows:
        quiet = _quiet_since([*before, current] if current.inferences else before, thresholds)
        if quiet:
            return Lifecycle(status=FailureStatus.RESOLVED, reason=f"none in {quiet} windows with traffic")
        return Lifecycle(status=FailureStatus.ONGOING, reason="none in this window, too soon to call it resolved")
    if not any(each.rows for each in before):
        return Lifecycle(status=FailureStatus.NEW, reason="never seen before")
    if quiet := _quiet_since(before, thresholds):
        return Lifecycle(status=FailureStatus.REGRESSED, reason=f"back after {quiet} windows without it")
    return _ongoing(_since_return(before, thresholds)[-thresholds.baseline_windows :], current, thresholds)


def _quiet_since(counts: Sequence[WindowCount], thresholds: LifecycleThresholds) -> int:
    """Return how many windows the group has been away for, or 0 where that is too little to call it resolved."""
    quiet = list(takewhile(lambda each: not each.rows, reversed(counts)))
    active = counts[: len(counts) - len(quiet)]
    if not active or len(quiet) < thresholds.quiet_windows:
        return 0
    share = _total(active).failures / _total(active).inferences
    expected = share * _total(quiet).inferences
    return len(quiet) if expected >= thresholds.expected_failures else 0


def _since_return(counts: Sequence[WindowCount], thresholds: LifecycleThresholds) -> Sequence[WindowCount]:
    """Return the windows since the group last came back: those it was away for say nothing about its share."""
    returns = [place for place in range(len(counts)) if counts[place].rows and _quiet_since(counts[:place], thresholds)]
    return counts[max(returns, default=0) :]


def _ongoing(before: Sequence[WindowCount], current: WindowCount, thresholds: LifecycleThresholds) -> Lifecycle:
    earlier = _total(before)
    if not earlier.rows:  # an occurrence further back: as if it had been seen half a time since
        earlier = WindowCount(rows=0, failures=min(0.5, earlier.inferences), inferences=earlier.inferences)
    ratio = (current.failures / current.inferences) / (earlier.failures / earlier.inferences)
    deviation = math.sqrt(1 / current.rows + 1 / (earlier.rows or 0.5))
    low = ratio * math.exp(-NormalDist().inv_cdf(0.5 + thresholds.confidence / 2) * deviation)
    told = f"{ratio:.3g}x the share of the {len(before)} windows before"
    if current.rows >= thresholds.min_rows and ratio >= thresholds.factor and low > 1:
        return Lifecycle(status=FailureStatus.ESCALATING, reason=told)
    return Lifecycle(status=FailureStatus.ONGOING, reason=told)


def _total(counts: Sequence[WindowCount]) -> WindowCount:
    return WindowCount(
        rows=sum(each.rows for each in counts),
        failures=math.fsum(each.failures for each in counts),
        inferences=math.fsum(each.inferences for each in counts),
    )
