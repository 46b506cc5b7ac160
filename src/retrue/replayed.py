"""A policy replayed over past windows: which incidents it would have opened and resolved, and how many falsely. Pure.

The same decisions are made as when windows are judged, one after the other, with nobody muting or acknowledging anything and every
retraining that is asked for closed at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from retrue.config import ModelSettings
from retrue.decide import decide
from retrue.incidents import breaching
from retrue.results import Change, Decision, Incident, IncidentChange, Verdict
from retrue.standing import FailureStanding, Glimpse, PastWindow, Standing, unmeasured
from retrue.windows import Window

Span = tuple[datetime, datetime]
RATE_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """One window under a policy. ``how`` it was judged is in words; ``failures`` is where groups stand once it is counted."""

    verdict: Verdict
    how: str
    failures: FailureStanding = field(default_factory=FailureStanding)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStep:
    """An incident that a window would have opened or resolved."""

    window: Window
    change: Change
    incident: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRun:
    """What a policy would have done. An alarm is an incident that opens; a false one opens in a healthy span.

    Rates are alarms in 90 days of the windows that were replayed; None where there is none.
    """

    name: str
    windows: tuple[Rejudged, ...]
    steps: tuple[ReplayStep, ...]
    messages: int
    retrainings: int
    healthy: tuple[Span, ...] = ()

    @property
    def alarms(self) -> int:
        return sum(each.change is Change.OPENED for each in self.steps)

    @property
    def alarm_rate(self) -> float | None:
        return _rate(self.alarms, [each.verdict.window for each in self.windows])

    @property
    def healthy_windows(self) -> tuple[Window, ...]:
        """Windows that lie wholly in a span marked healthy."""
        windows = (each.verdict.window for each in self.windows)
        return tuple(each for each in windows if any(lies_in(each, span) for span in self.healthy))

    @property
    def false_alarms(self) -> int:
        healthy = set(self.healthy_windows)
        return sum(each.change is Change.OPENED and each.window in healthy for each in self.steps)

    @property
    def false_alarm_rate(self) -> float | None:
        return _rate(self.false_alarms, self.healthy_windows)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many windows came out how."""
        return Counter(each.verdict.outcome.value for each in self.windows)

    @property
    def ways(self) -> Mapping[str, Sequence[Window]]:
        """How windows were judged, with those that were."""
        found: dict[str, list[Window]] = {}
        for each in self.windows:
            found.setdefault(each.how, []).append(each.verdict.window)
        return found


def lies_in(window: Window, span: Span) -> bool:
    """Tell whether a window lies wholly in a span."""
    return span[0] <= window.start and window.end <= span[1]


def run_policy(
    name: str, windows: Sequence[Rejudged], settings: ModelSettings, *, healthy: Sequence[Span] = ()
) -> PolicyRun:
    """Return what a policy would have done with windows, oldest first, each judged by it."""
    standing, steps, messages, retrainings = Standing(), list[ReplayStep](), 0, 0
    for each in windows:
        decision = _decide(each, standing, settings)
        standing = _after(each.verdict, standing, decision)
        steps += [
            ReplayStep(window=each.verdict.window, change=change.change, incident=change.incident)
            for change in decision.changes
            if change.change in (Change.OPENED, Change.RESOLVED)
        ]
        messages += sum(effect.kind == "notify" for effect in decision.effects)
        retrainings += decision.retrain is not None
    return PolicyRun(
        name=name,
        windows=tuple(windows),
        steps=tuple(steps),
        messages=messages,
        retrainings=retrainings,
        healthy=tuple(healthy),
    )


def _decide(each: Rejudged, standing: Standing, settings: ModelSettings) -> Decision:
    """Decide when the window had settled; the version that served is taken for the champion."""
    met = replace(standing, failures=each.failures, champion=each.verdict.model_version)
    settled = each.verdict.window.end + settings.window.settle
    return decide(each.verdict, revision=1, standing=met, settings=settings, render=_silently, now=settled)


def _silently(_verdict: Verdict, _changes: Sequence[IncidentChange]) -> tuple[str, str]:
    return "", ""


def _after(verdict: Verdict, standing: Standing, decision: Decision) -> Standing:
    """Return what the ledger would hold once a decision is written."""
    known = {each.fingerprint: each for each in standing.incidents}
    known |= {change.incident.fingerprint: change.incident for change in decision.changes}
    after = replace(standing, past=(*standing.past, _past(verdict)), incidents=tuple(known.values()))
    if decision.retrain is None:
        return after
    asked = {**standing.attempts, decision.retrain.fingerprint: decision.retrain.attempt}
    return replace(after, attempts=asked, last_as_of=decision.retrain.as_of)


def _past(verdict: Verdict) -> PastWindow:
    found = {fingerprint: Glimpse.of(each) for fingerprint, each in breaching(verdict).items()}
    return PastWindow(window=verdict.window, unmeasured=unmeasured(verdict), found=found)


def _rate(count: int, windows: Sequence[Window]) -> float | None:
    covered = sum((each.end - each.start for each in windows), timedelta())
    return count / (covered / timedelta(days=RATE_DAYS)) if covered else None
