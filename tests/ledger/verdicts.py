"""Weeks, findings and verdicts for the tests of deciding and of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from retrue.config import ModelSettings
from retrue.failures.stories import MeasuredFailures
from retrue.ledger import Ledger, Revision
from retrue.results import Finding, IncidentChange, Outcome, Severity, Verdict
from retrue.windows import Window
from tests.builders import settings

FIRST = datetime(2013, 4, 4, tzinfo=UTC)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
ONCALL, TEAM = "slack-webhook/oncall", "slack-webhook/team"


def week(number: int = 0, model: str = "m") -> Window:
    return Window(model=model, start=FIRST + number * WEEK, end=FIRST + (number + 1) * WEEK)


def finding(
    check: str = "performance.drop",
    scope: str = "roc_auc",
    severity: Severity = Severity.CRITICAL,
    excess: float | None = None,
) -> Finding:
    return Finding(
        check=check, scope=scope, severity=severity, value="0.55", threshold="0.60",
        message=f"{check} on {scope}.", next_step="Look.", excess=excess,
    )  # fmt: skip


DROP = finding()
DRIFT = finding("drift.column", "temp", Severity.WARNING)
EXTRA = finding("schema.extra", "gust", Severity.INFO)
WAITING = finding("labels.coverage", "", Severity.INFO)


def verdict(
    number: int = 0,
    *findings: Finding,
    reasons: Sequence[str] = (),
    data: str = "input",
    version: str = "1",
    model: str = "m",
) -> Verdict:
    breached = any(each.severity.breaches for each in findings)
    outcome = Outcome.INCONCLUSIVE if reasons else Outcome.BREACHED if breached else Outcome.HEALTHY
    return Verdict(
        window=week(number, model), outcome=outcome, findings=findings, reasons=tuple(reasons), model_version=version,
        input_digest=data, config_digest="config", baseline_digest="baseline",
    )  # fmt: skip


def watched(**changes: object) -> ModelSettings:
    """Settings in which one window is enough to open an incident, and one to resolve it."""
    plain: dict[str, object] = {
        "window": {"every": "7d"},
        "retrain": {"on": ["performance"], "cooldown": "14d", "max_attempts": 2},
        "alarms": {"kinds": {"drift": {"open": {"after": 1}, "resolve": {"after": 1}}}},
        "notify": {"critical": [ONCALL], "warning": [TEAM], "repeat_every": "14d"},
    }
    return settings(**{**plain, **changes})


def render(judged: Verdict, changes: Sequence[IncidentChange]) -> tuple[str, str]:
    return judged.line, ", ".join(f"{change.change.value} {change.incident.check}" for change in changes)


def commit(
    ledger: Ledger,
    judged: Verdict,
    *,
    token: int | None = None,
    of: ModelSettings | None = None,
    now: datetime = NOW,
    failures: MeasuredFailures | None = None,
) -> Revision:
    return ledger.commit(
        judged,
        token=ledger.claim(judged.window) if token is None else token,
        metrics={"rows": 1000.0, "performance.roc_auc.realised": 0.55},
        report_dir=".retrue/reports/m",
        step=7,
        flow_run_url="http://prefect/runs/1",
        settings=of or watched(),
        render=render,
        now=now,
        failures=failures,
    )


def serve(ledger: Ledger, *versions: str, model: str = "m") -> None:
    """Register versions and promote one after the other."""
    for version in versions:
        ledger.models.register_version(model, version, sha256=version * 64, kind="skops", run_id="run", now=NOW)
        before = ledger.models.champion(model)
        ledger.models.promote(model, version, expected_champion=before, reason="better", now=NOW)
