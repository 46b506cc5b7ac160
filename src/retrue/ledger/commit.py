"""One window revision into the ledger, with everything that follows from it, in one transaction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from retrue.config import ModelSettings
from retrue.decide import Render, decide
from retrue.errors import FencedError
from retrue.failures.stories import MeasuredFailures
from retrue.incidents import breaching
from retrue.ledger.failure_rows import failure_standing, save_failures
from retrue.ledger.incidents import load_incidents, load_mutes, save_changes
from retrue.ledger.models import champion_of
from retrue.ledger.outbox import add_effects
from retrue.ledger.past import load_past
from retrue.ledger.requests import (
    abandon_stale,
    add_request,
    attempts,
    failed,
    failing,
    in_flight,
    last_as_of,
    rolled_back,
)
from retrue.ledger.schema import findings, metrics, revisions, windows
from retrue.ledger.values import DECISION, VERDICT, to_json
from retrue.results import Decision, Effect, Verdict
from retrue.standing import Standing, unmeasured
from retrue.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a run hands in beside its verdict; ``settings`` and ``render`` are for the decision, the rest for the record.

    ``failures`` is None where the window could not measure them.
    """

    metrics: Mapping[str, float]
    report_dir: str
    step: int
    flow_run_url: str
    settings: ModelSettings
    render: Render
    failures: MeasuredFailures | None

    def __post_init__(self) -> None:
        bad = [name for name, value in self.metrics.items() if math.isnan(value)]
        if bad:
            raise ValueError(f"metrics {bad[:5]} are NaN: leave out what could not be computed")


def claim_window(connection: Connection, window: Window) -> int:
    """Return the next fencing token of a window; those handed out before are worth nothing from now on."""
    row = window_row(connection, window)
    if row is None:
        bounds = {"model": window.model, "start_at": window.start, "end_at": window.end}
        connection.execute(insert(windows).values(token=1, **bounds))
        return 1
    token: int = row.token + 1
    connection.execute(update(windows).where(windows.c.id == row.id).values(token=token))
    return token


def check_token(connection: Connection, window: Window, token: int) -> int:
    """Return the window's id if the token is its latest.

    Raises:
        FencedError: It is not; another run has claimed the window since.
    """
    row = window_row(connection, window)
    if row is None or row.token != token:
        raise FencedError(f"another run took {window.name} over; nothing was written")
    found: int = row.id
    return found


def window_row(connection: Connection, window: Window) -> Row[tuple[object, ...]] | None:
    """Return a window's row, None before its first claim."""
    mine = (windows.c.model == window.model, windows.c.start_at == window.start, windows.c.end_at == window.end)
    return connection.execute(select(windows).where(*mine)).first()


def write_revision(connection: Connection, verdict: Verdict, window_id: int, entry: Entry, now: datetime) -> int:
    """Write the next revision of a window with its decision and effects; return its id."""
    model = verdict.window.model
    latest = select(func.max(revisions.c.number)).where(revisions.c.window_id == window_id)
    number = (connection.execute(latest).scalar() or 0) + 1
    told = entry.settings.notify
    abandon_stale(connection, model, (*told.critical, *told.warning), now)
    decision = decide(
        verdict,
        revision=number,
        standing=standing_of(connection, verdict, entry.settings, entry.failures, now),
        settings=entry.settings,
        render=entry.render,
        now=now,
    )
    revision = _insert(connection, verdict, decision, window_id, number, entry, now)
    save_failures(connection, verdict.window, revision, entry.failures)
    save_changes(connection, decision.changes, revision, now)
    if decision.retrain is not None:
        add_request(connection, decision.retrain, revision, now)
    add_effects(connection, model, (*_own_effects(verdict, revision, number), *decision.effects), now)
    return revision


def standing_of(
    connection: Connection,
    verdict: Verdict,
    settings: ModelSettings,
    measured: MeasuredFailures | None,
    now: datetime,
) -> Standing:
    """Return what the ledger holds when a verdict comes in."""
    window, model = verdict.window, verdict.window.model
    found = breaching(verdict)
    incidents = load_incidents(connection, model, found)
    muted, until_escalation = load_mutes(connection, model, now)
    about = {*found, *(each.fingerprint for each in incidents)}
    return Standing(
        past=load_past(connection, window, about, reach=settings.alarms.reach),
        incidents=incidents,
        failures=failure_standing(connection, window, measured),
        muted=muted,
        muted_until_escalation=until_escalation,
        champion=champion_of(connection, model),
        open_request=in_flight(connection, model),
        last_as_of=last_as_of(connection, model),
        attempts=attempts(connection, model),
        failed=failed(connection, model),
        failing=failing(connection, model),
        rolled_back=rolled_back(connection, model),
    )


def _insert(
    connection: Connection,
    verdict: Verdict,
    decision: Decision,
    window_id: int,
    number: int,
    entry: Entry,
    now: datetime,
) -> int:
    row = {
        "window_id": window_id,
        "number": number,
        "key": verdict.key,
        "outcome": verdict.outcome.value,
        "model_version": verdict.model_version,
        "verdict": to_json(VERDICT, verdict),
        "unmeasured": sorted(unmeasured(verdict)),
        "decision": to_json(DECISION, decision),
        "step": entry.step,
        "report_dir": entry.report_dir,
        "flow_run_url": entry.flow_run_url,
        "judged_at": now,
    }
    revision: int = connection.execute(insert(revisions).values(row).returning(revisions.c.id)).scalar_one()
    found = list(_finding_rows(verdict, revision))
    measured = [{"revision_id": revision, "name": name, "value": value} for name, value in entry.metrics.items()]
    for table, rows in ((findings, found), (metrics, measured)):
        if rows:
            connection.execute(insert(table), rows)
    return revision


def _finding_rows(verdict: Verdict, revision: int) -> Iterator[dict[str, object]]:
    for position, finding in enumerate(verdict.findings):
        yield {
            "revision_id": revision,
            "position": position,
            "fingerprint": finding.fingerprint(verdict.window.model),
            "check_name": finding.check,
            "scope": finding.scope,
            "severity": finding.severity.value,
            "message": finding.message,
            "excess": finding.excess,
        }


def _own_effects(verdict: Verdict, revision: int, number: int) -> Iterator[Effect]:
    """Yield what every revision brings: its mirror in MLflow, and the event."""
    window = verdict.window
    name = "retrue.window.judged"
    facts = {
        "event": name,
        "model": window.model,
        "window_start": window.start.isoformat(),
        "window_end": window.end.isoformat(),
        "revision": number,
        "verdict": verdict.outcome.value,
        "line": verdict.line,
        "model_version": verdict.model_version,
    }
    yield Effect(kind="record", dedup_key=f"record:{verdict.key}", payload={"revision": revision, "key": verdict.key})
    yield Effect(kind="event", dedup_key=f"event:{name}:{verdict.key}", payload=facts)
