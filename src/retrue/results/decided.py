"""What follows from verdicts: the gate's result, incidents, effects, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from retrue.results.measured import Interval, Severity, refuse_nan


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceComparison:
    """Champion and challenger on one slice; ``gain`` is the challenger's improvement, greater is better."""

    name: str
    rows: int
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """Something beside the metric that a challenger is held to, such as latency; ``refusal`` is empty where it keeps it.

    ``champion`` is None where only the challenger is measured; ``value`` is what ``limit`` bounds, in the words of ``what``.
    """

    name: str
    what: str
    value: float | None
    limit: float
    champion: float | None = None
    challenger: float | None = None
    refusal: str = ""

    def __post_init__(self) -> None:
        refuse_nan(f"check {self.name}", value=self.value, champion=self.champion, challenger=self.challenger)
        if self.value is None and not self.refusal:
            raise ValueError(f"a check that could not be made is refused, with a reason: {self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """Whether a challenger may serve: the paired gain on the same rows, slice by slice, and the refusals, if any.

    ``champion``, ``challenger`` and ``gain`` are None where the two could not be compared; there is a refusal then.
    ``resample`` is what the intervals are drawn from: ``rows``, or the length of the blocks of time that were drawn whole, such
    as ``1d``. ``blocks`` counts those; it is None with ``rows``, and where the two could not be compared. ``test`` is bootstrap,
    mcnemar, or sequence where the challenger is watched; ``undecided`` then tells that later rows may yet show it to be better.
    ``checks`` are those beside the metric.
    """

    metric: str
    rows: int
    champion: float | None
    challenger: float | None
    gain: Interval | None
    slices: tuple[SliceComparison, ...]
    refusals: tuple[str, ...]
    resample: str = "rows"
    blocks: int | None = None
    test: str = "bootstrap"
    undecided: bool = False
    checks: tuple[GateCheck, ...] = ()

    def __post_init__(self) -> None:
        refuse_nan("gate", champion=self.champion, challenger=self.challenger)
        if self.gain is None and not self.refusals:
            raise ValueError("a challenger that was not compared is refused, with a reason")

    @property
    def passed(self) -> bool:
        return not self.refusals

    def held_to(self, checks: Iterable[GateCheck]) -> GateResult:
        """Return the result with further checks; one that is not kept refuses, whatever later rows may show."""
        checks = tuple(checks)
        broken = tuple(each.refusal for each in checks if each.refusal)
        return replace(
            self,
            refusals=(*self.refusals, *broken),
            undecided=self.undecided and not broken,
            checks=(*self.checks, *checks),
        )


class Change(StrEnum):
    """What happened to an incident when a window was judged."""

    OPENED = "opened"
    REPEATED = "repeated"
    RESOLVED = "resolved"
    CONTINUED = "continued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Findings of one fingerprint over time.

    ``opened_window`` and ``last_window`` are starts of windows: the first of this episode and the latest with the finding.
    ``last_notified_at`` is the end of the newest window judged when receivers were last told: the time of the data, so
    that a backfill repeats as production would have. ``state`` is open, acknowledged or resolved. ``severity`` is the
    gravest of the episode. ``attempt`` counts the retrainings asked for in this episode; ``episode`` counts how often the
    incident was opened. ``flapping`` marks one that came back soon after it was resolved: it resolves only after a
    repeat interval without the finding. ``told`` holds the receivers who were told of this episode.
    """

    fingerprint: str
    model: str
    check: str
    scope: str
    severity: Severity
    message: str
    opened_window: datetime
    last_window: datetime
    last_notified_at: datetime | None
    state: str
    attempt: int
    episode: int = 1
    flapping: bool = False
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """An incident as it is after a window, and what changed; ``escalated`` ends the mutes that wait for it."""

    incident: Incident
    change: Change
    escalated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something to be carried out after a decision is written: a message, a flow run, a record, an event.

    ``dedup_key`` stays the same when the decision is made again, so the effect happens once.
    """

    kind: str
    dedup_key: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainCause:
    """Why a retraining is asked for. ``as_of`` bounds the data it may use: nothing later is read."""

    model: str
    fingerprint: str
    check: str
    scope: str
    attempt: int
    as_of: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from a verdict, with the reason retraining was or was not asked for."""

    changes: tuple[IncidentChange, ...]
    effects: tuple[Effect, ...]
    retrain: RetrainCause | None
    retrain_reason: str
