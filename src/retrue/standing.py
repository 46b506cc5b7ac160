"""What the ledger holds when a verdict comes in, and what windows found and left unmeasured. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from retrue.alarms import AlarmStanding, Look, alarm_standing
from retrue.config import ModelSettings
from retrue.results import ESTIMATED, WITHHELD, Finding, Incident, IncidentChange, Severity, Verdict
from retrue.windows import Window

FAILURES = "failure"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStanding:
    """Where failure groups stand once a verdict's window is counted; all of it is empty where failures were not measured.

    ``superseded`` tells whether a newer window measured failures. ``escalated`` are the groups that escalate with this
    window and did not before, ``resolved`` those that have been gone for long enough.
    """

    superseded: bool = False
    escalated: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What is remembered of a breaching finding."""

    check: str
    scope: str
    severity: Severity
    message: str
    excess: float | None = None

    @classmethod
    def of(cls, finding: Finding) -> Glimpse:
        """Return what will be remembered of it."""
        return cls(
            check=finding.check,
            scope=finding.scope,
            severity=finding.severity,
            message=finding.message,
            excess=finding.excess,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWindow:
    """Another window of the model, by its newest revision: what it left unmeasured, and breaching findings by fingerprint.

    ``found`` may leave out findings that nothing about the verdict depends on.
    """

    window: Window
    unmeasured: frozenset[str] = frozenset()
    found: Mapping[str, Glimpse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger holds when a verdict comes in.

    ``past`` are the other windows, oldest first, before and after the verdict's. ``incidents`` are the unresolved ones and those of
    the verdict's fingerprints; ``muted`` maps a fingerprint to the end of its mute, ``muted_until_escalation`` have no such
    end. ``failures`` is about failure groups, whose incidents last longer than one window without them. ``attempts`` counts the retrainings
    ever asked for by a fingerprint; ``failed`` has the ``as_of`` of those that failed or were cancelled, by fingerprint, and
    ``failing`` of the newest in a row that failed, whatever asked for them. ``last_as_of`` is the latest ``as_of`` of any that did not fail, or a later rollback by probation;
    ``rolled_back`` counts the latest promotions in a row that ended so.
    """

    past: tuple[PastWindow, ...] = ()
    incidents: tuple[Incident, ...] = ()
    muted: Mapping[str, datetime] = field(default_factory=dict)
    muted_until_escalation: frozenset[str] = frozenset()
    failures: FailureStanding = field(default_factory=FailureStanding)
    champion: str | None = None
    open_request: str | None = None
    last_as_of: datetime | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    failing: tuple[datetime, ...] = ()
    rolled_back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A finding that is no incident yet: ``seen`` of the last ``of`` windows have it, ``after`` open one."""

    fingerprint: str
    check: str
    scope: str
    seen: int
    after: int
    of: int

    @property
    def label(self) -> str:
        """Check and scope as tables show them."""
        return f"{self.check}({self.scope})" if self.scope else self.check

    @property
    def line(self) -> str:
        """How far it has come, in words."""
        return f"{self.seen} of the last {self.of} windows, an incident opens with {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A verdict with all that deciding about it depends on."""

    verdict: Verdict
    standing: Standing
    settings: ModelSettings
    now: datetime
    _gaps: frozenset[str] = field(init=False)  # what this window left unmeasured
    _newer: frozenset[frozenset[str]] = field(init=False)  # the same of newer windows
    _place: int = field(init=False)  # how many past windows are older
    _places: Mapping[str, Sequence[int]] = field(init=False)  # in which past windows a fingerprint was found

    def __post_init__(self) -> None:
        start, places = self.verdict.window.start, dict[str, list[int]]()
        for place, each in enumerate(self.standing.past):
            for fingerprint in each.found:
                places.setdefault(fingerprint, []).append(place)
        newer = frozenset(each.unmeasured for each in self.standing.past if each.window.start > start)
        object.__setattr__(self, "_place", sum(each.window.start < start for each in self.standing.past))
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_newer", newer)
        object.__setattr__(self, "_gaps", unmeasured(self.verdict))

    def measured(self, check: str, scope: str) -> bool:
        """Tell whether this window could have found it."""
        return not covers(self._gaps, check, scope)

    def remembered(self) -> Mapping[str, Glimpse]:
        """Return the latest that past windows have of each fingerprint."""
        return {each: self.standing.past[places[-1]].found[each] for each, places in self._places.items()}

    @property
    def clock(self) -> datetime:
        """The time of the data: the end of the newest window judged so far."""
        return max([self.verdict.window.end, *(each.window.end for each in self.standing.past[-1:])])

    def superseded(self, check: str, scope: str) -> bool:
        """Tell whether a newer window measured the same, so that this one has nothing more to say about it."""
        if is_failure(check):
            return self.standing.failures.superseded
        return any(not covers(gaps, check, scope) for gaps in self._newer)

    def glimpses(self, fingerprint: str) -> list[tuple[datetime, Glimpse]]:
        """Return what past windows have of a fingerprint, by their start, oldest first."""
        past = (self.standing.past[place] for place in self._places.get(fingerprint, ()))
        return [(each.window.start, each.found[fingerprint]) for each in past]

    def stands(self, fingerprint: str, check: str, scope: str, found: Finding | None = None) -> AlarmStanding:
        """Return where an incident stands with this verdict, which has its finding or does not."""
        places = self._places.get(fingerprint, ())
        here = [] if found is None else [self._place]
        first = min(
            [*places[:1], *here], default=len(self.standing.past)
        )  # what is before its first finding says nothing
        past = self.standing.past[first:]
        looks = [
            _look(each.window, each.found.get(fingerprint))
            for each in past
            if fingerprint in each.found or not covers(each.unmeasured, check, scope)
        ]
        if found is not None or self.measured(check, scope):
            looks.append(_look(self.verdict.window, found))
            looks.sort(key=lambda look: look.start)
        alarms, kind = self.settings.alarms, kind_of(check)
        repeat_every = self.settings.notify.repeat_every
        return alarm_standing(looks, alarms.opening(kind), alarms.resolving(kind), repeat_every=repeat_every)

    def muted(self, fingerprint: str, *, escalated: bool) -> bool:
        """Tell whether a person has silenced this incident at ``now``; some mutes end when it escalates."""
        until = self.standing.muted.get(fingerprint)
        waiting = fingerprint in self.standing.muted_until_escalation and not escalated
        return waiting or (until is not None and until > self.now)

    def silent(self, change: IncidentChange) -> bool:
        """Tell whether nobody is to hear of a change because its incident is muted."""
        return self.muted(change.incident.fingerprint, escalated=change.escalated)

    def elapsed(self, since: datetime) -> bool:
        """Tell whether it is time to repeat a message sent at ``since`` on the clock of the data."""
        return self.clock - since >= self.settings.notify.repeat_every


def _look(window: Window, found: Finding | Glimpse | None) -> Look:
    return Look(start=window.start, found=found is not None, excess=found.excess if found is not None else None)


def is_failure(check: str) -> bool:
    """Tell whether a finding or incident is about a failure group, whose id its scope is."""
    return kind_of(check) == FAILURES


def unmeasured(verdict: Verdict) -> frozenset[str]:
    """Return what this window says nothing about: checks, kinds of check, ``kind:scope``, or everything.

    An incident of such a kind is not resolved by the finding's absence.
    """
    if verdict.reasons:
        return frozenset({EVERYTHING})
    return frozenset(_gaps(verdict))


def _gaps(verdict: Verdict) -> Iterator[str]:
    for finding in verdict.findings:
        if finding.kind == "labels":
            yield "performance"
        if finding.check == WITHHELD:
            yield ESTIMATED
        if finding.check in ("schema.missing", "schema.retyped"):
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "quality", "expectation"))
        if finding.check == "system.status":  # the log does not say what failed
            yield from ("system.errors", "system.timeouts", "system.authentication", "system.rejected")
        if finding.check == "performance.skipped":  # of a slice
            yield f"performance:{finding.scope}"
        if finding.check == "system.traffic":
            yield f"system:{finding.scope}"
        if finding.check == "quality.nulls" and finding.severity is Severity.CRITICAL:
            yield from (f"{kind}:{finding.scope}" for kind in ("drift", "expectation"))


def covers(gaps: frozenset[str], check: str, scope: str) -> bool:
    """Tell whether a finding lies in what a window left unmeasured."""
    kind = check if check == ESTIMATED else kind_of(check)  # it is measured just where labels are missing
    return kind != "window" and not gaps.isdisjoint((EVERYTHING, kind, check, f"{kind}:{scope}"))


def kind_of(check: str) -> str:
    """Return a check's family, as ``Finding.kind`` does."""
    return check.split(".", 1)[0]
