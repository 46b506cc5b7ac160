"""A failure group over the windows of its model: what each window counted, and where that leaves the group. Pure.

Nothing here depends on the order in which windows were judged, only on when they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile, islice

from retrue.failures.lifecycle import FailureStatus, Lifecycle, WindowCount, lifecycle_of
from retrue.results import FailingInput, FailureGroup, Measurements
from retrue.windows import Window

KEPT_MAX = 10  # samples and traces that a story shows
REPRODUCE = "retrue reproduce "  # the command that runs an inference again, its id to follow
EVERYTHING_ELSE = "everything-else"  # the group of what has too few failures to be listed in a crowded window
POINTS_MAX = 60  # windows that a story shows, as many as the charts of a report


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFailures:
    """The failures of a window in which they could be measured: perhaps none. ``inferences`` is weighted."""

    inferences: float
    groups: tuple[FailureGroup, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupText:
    """What identifies a failure group to a person. The fields are those of ``FailureGroup``."""

    id: str
    title: str
    error_type: str
    message: str
    frames: tuple[str, ...]
    reasons: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one window has of a group, by the newest revision of the window.

    ``failures`` and ``inferences``, those of the whole window, are weighted; ``rows`` are records. The rest is that of
    ``FailureGroup``; of windows before the last ``POINTS_MAX`` that measured failures only counts and versions are known.
    """

    window: Window
    inferences: float
    rows: int
    failures: float
    share: float
    first_at: datetime
    last_at: datetime
    versions: Mapping[str, int]
    endpoints: Mapping[str, int]
    histogram: tuple[int, ...]
    samples: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    inputs: tuple[FailingInput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPoint:
    """One window that measured failures, with what it has of the group: zeros where it has none."""

    window: Window
    rows: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStory:
    """A failure group up to the window ``until``, the newest that is told of.

    ``points`` are the last windows that measured failures, oldest first, also those without this group; ``sightings`` are
    those that have it, perhaps older ones too. ``before`` is the status without what ``until`` measured in its newest revision: None for a group that was
    unknown.
    """

    text: GroupText
    lifecycle: Lifecycle
    until: Window
    sightings: tuple[Sighting, ...]
    points: tuple[StoryPoint, ...]
    before: FailureStatus | None = None

    @property
    def id(self) -> str:
        return self.text.id

    @property
    def status(self) -> FailureStatus:
        return self.lifecycle.status

    @property
    def resolved(self) -> bool:
        return self.status is FailureStatus.RESOLVED

    @property
    def now(self) -> Sighting | None:
        """What the newest window has of it, None where it has nothing."""
        newest = self.sightings[-1]
        return newest if newest.window.start == self.until.start else None

    @property
    def newest(self) -> Sighting:
        """The newest window that has it."""
        return self.sightings[-1]

    @property
    def first_seen_at(self) -> datetime:
        return min(each.first_at for each in self.sightings)

    @property
    def last_seen_at(self) -> datetime:
        return max(each.last_at for each in self.sightings)

    @property
    def first_versions(self) -> tuple[str, ...]:
        """The model versions that failed in the first window that has it."""
        return tuple(sorted(self.sightings[0].versions))

    @property
    def versions(self) -> Mapping[str, int]:
        """Rows by model version, over all windows."""
        return _summed(each.versions for each in self.sightings)

    @property
    def endpoints(self) -> Mapping[str, int]:
        """Rows by endpoint, over the last windows."""
        return _summed(each.endpoints for each in self.sightings)

    @property
    def rows(self) -> int:
        """Records of it in all windows."""
        return sum(each.rows for each in self.sightings)

    @property
    def samples(self) -> tuple[str, ...]:
        """Ids of some of its inferences, those of the newest window first."""
        return _newest_first(each.samples for each in self.sightings)

    @property
    def traces(self) -> tuple[str, ...]:
        """Ids of some of its traces, those of the newest window first."""
        return _newest_first(each.traces for each in self.sightings)

    @property
    def inputs(self) -> tuple[FailingInput, ...]:
        """Which inputs failed in the newest window that could tell."""
        return next((each.inputs for each in reversed(self.sightings) if each.inputs), ())


def measured_failures(measurements: Measurements) -> MeasuredFailures | None:
    """Return the failures of a window; None where it could not measure them, which says nothing about any group."""
    health = measurements.system
    unmeasured = any(item.part == "failures" for item in measurements.unmeasured)
    if health is None or health.error_share is None or unmeasured:
        return None
    inferences = health.inferences or float(measurements.pull.rows)
    return MeasuredFailures(inferences=inferences, groups=measurements.failures)


def text_of(group: FailureGroup) -> GroupText:
    """Return what identifies a measured group to a person."""
    return GroupText(
        id=group.id,
        title=group.title,
        error_type=group.error_type,
        message=group.message,
        frames=group.frames,
        reasons=group.reasons,
        kind=group.status,
    )


def sighting_of(group: FailureGroup, window: Window, *, inferences: float) -> Sighting:
    """Return what a window has of a measured group."""
    return Sighting(
        window=window,
        inferences=inferences,
        rows=group.rows,
        failures=group.weight or group.share * inferences,
        share=group.share,
        first_at=group.first_at,
        last_at=group.last_at,
        versions=group.versions,
        endpoints=group.endpoints,
        histogram=group.histogram,
        samples=group.samples,
        traces=group.traces,
        inputs=group.inputs,
    )


def story_of(
    text: GroupText,
    sightings: Sequence[Sighting],
    traffic: Mapping[Window, float],
    *,
    until: Window | None = None,
    before: FailureStatus | None = None,
) -> FailureStory:
    """Return the story of one group.

    Args:
        text: Who it is.
        sightings: Windows that have it; at least one, in any order.
        traffic: Weighted inferences of the windows that measured failures; those of ``sightings`` may be missing.
        until: The window that is told of, by default the newest that measured failures.
        before: The status before, see ``FailureStory``.
    """
    found = {each.window: each for each in sightings}
    measured = {**traffic, **{each.window: each.inferences for each in sightings}}
    windows = sorted(measured, key=lambda window: window.start)
    since_first = dropwhile(lambda window: window not in found, windows)
    return FailureStory(
        text=text,
        lifecycle=lifecycle_of([_count(found.get(window), measured[window]) for window in since_first]),
        until=until or windows[-1],
        sightings=tuple(found[window] for window in windows if window in found),
        points=tuple(_point(window, found.get(window)) for window in windows[-POINTS_MAX:]),
        before=before,
    )


def _count(seen: Sighting | None, inferences: float) -> WindowCount:
    if seen is None:
        return WindowCount(rows=0, failures=0.0, inferences=inferences)
    failures = seen.failures or float(seen.rows)  # records without any weight did fail
    return WindowCount(rows=seen.rows, failures=failures, inferences=max(failures, inferences))


def _point(window: Window, seen: Sighting | None) -> StoryPoint:
    return StoryPoint(window=window, rows=seen.rows if seen else 0, share=seen.share if seen else 0.0)


def _summed(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _newest_first(kept: Iterable[Sequence[str]]) -> tuple[str, ...]:
    ids = dict.fromkeys(each for window in reversed(list(kept)) for each in window)
    return tuple(islice(ids, KEPT_MAX))
