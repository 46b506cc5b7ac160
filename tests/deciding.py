"""Windows judged one after the other, for tests of what follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from retrue.config import ModelSettings
from retrue.decide import decide
from retrue.incidents import breaching
from retrue.results import Decision, Effect, Severity, Verdict
from retrue.standing import Glimpse, PastWindow, Standing, unmeasured
from tests.ledger.verdicts import (
    NOW,
    finding,
    render,
    watched,
)

MISSING = finding("schema.missing", "temp")
NULLS = finding("quality.nulls", "temp")
MILD_DROP = finding(severity=Severity.WARNING)


class Story:
    """Windows judged one after the other, with what the ledger would remember between them."""

    def __init__(self, of: ModelSettings | None = None, champion: str | None = "1") -> None:
        self.settings = of or watched()
        self.standing = Standing(champion=champion)
        self.judged: dict[datetime, PastWindow] = {}
        self.sent: set[str] = set()

    def judge(self, judged: Verdict, *, now: datetime = NOW) -> Decision:
        """Decide, then remember incidents, requests (closed at once) and windows."""
        past = {start: each for start, each in self.judged.items() if start != judged.window.start}
        self.standing = replace(self.standing, past=tuple(past[start] for start in sorted(past)))
        decision = decide(judged, revision=1, standing=self.standing, settings=self.settings, render=render, now=now)
        self.judged[judged.window.start] = past_window(judged)
        known = {incident.fingerprint: incident for incident in self.standing.incidents}
        known |= {change.incident.fingerprint: change.incident for change in decision.changes}
        self.standing = replace(self.standing, incidents=tuple(known.values()))
        if decision.retrain is not None:
            asked = {**self.standing.attempts, decision.retrain.fingerprint: decision.retrain.attempt}
            self.standing = replace(self.standing, attempts=asked, last_as_of=decision.retrain.as_of)
        return decision

    def news(self, judged: Verdict, *, now: datetime = NOW) -> list[str]:
        """Judge and return what the outbox would newly send, as ``block: body``."""
        effects = [each for each in self.judge(judged, now=now).effects if each.dedup_key not in self.sent]
        self.sent |= {effect.dedup_key for effect in effects}
        return [f"{each.payload['block']}: {each.payload['body']}" for each in effects if each.kind == "notify"]


def past_window(judged: Verdict) -> PastWindow:
    """What the ledger would remember of a verdict."""
    found = {fingerprint: Glimpse.of(each) for fingerprint, each in breaching(judged).items()}
    return PastWindow(window=judged.window, unmeasured=unmeasured(judged), found=found)


def changes(decision: Decision) -> list[str]:
    return [f"{change.change.value} {change.incident.check}" for change in decision.changes]


def of_kind(decision: Decision, kind: str) -> list[Effect]:
    return [effect for effect in decision.effects if effect.kind == kind]
