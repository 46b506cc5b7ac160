"""What two policies would have done, as tables and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrue.replayed import RATE_DAYS, PolicyRun, ReplayStep
from retrue.reports.figures import day
from retrue.windows import Window

WINDOWS_MAX = 10  # named of each way of judging
STEP_COLUMNS = ("window", "policy", "change", "severity", "check", "scope", "message")


def policy_rows(runs: Sequence[PolicyRun]) -> list[tuple[str, ...]]:
    """Return the figures of policies side by side, a row each, the name of the figure first."""
    rows = {
        "windows": [str(len(run.windows)) for run in runs],
        "breached": [str(run.outcomes.get("breached", 0)) for run in runs],
        "inconclusive": [str(run.outcomes.get("inconclusive", 0)) for run in runs],
        "alarms (incidents opened)": [str(run.alarms) for run in runs],
        f"alarms in {RATE_DAYS} days": [_rate(run.alarm_rate) for run in runs],
        "windows marked healthy": [str(len(run.healthy_windows)) for run in runs],
        "false alarms in them": [str(run.false_alarms) if run.healthy_windows else "-" for run in runs],
        f"false alarms in {RATE_DAYS} days": [_rate(run.false_alarm_rate) for run in runs],
        "messages": [str(run.messages) for run in runs],
        "retrainings asked for": [str(run.retrainings) for run in runs],
    }
    return [(name, *values) for name, values in rows.items()]


def step_rows(runs: Sequence[PolicyRun]) -> list[tuple[str, ...]]:
    """Return when which incidents would have been opened and resolved, oldest first."""
    steps = [(step, run) for run in runs for step in run.steps]
    return [_step(step, run) for step, run in sorted(steps, key=lambda each: each[0].window.start)]


def way_lines(run: PolicyRun) -> Iterator[str]:
    """Yield how the windows were judged by a policy, and which ones."""
    for how, windows in run.ways.items():
        yield f"{run.name}: {len(windows)} {how}{_named(windows) if how.startswith('measured') else ''}"


def run_facts(run: PolicyRun) -> dict[str, object]:
    """Return a policy's replay for programs."""
    return {
        "name": run.name,
        "windows": len(run.windows),
        "outcomes": dict(run.outcomes),
        "alarms": run.alarms,
        "alarms_per_90d": run.alarm_rate,
        "healthy_windows": len(run.healthy_windows),
        "false_alarms": run.false_alarms if run.healthy_windows else None,
        "false_alarms_per_90d": run.false_alarm_rate,
        "messages": run.messages,
        "retrainings": run.retrainings,
        "judged": {how: [each.start.isoformat() for each in windows] for how, windows in run.ways.items()},
        "changes": [
            {
                "window": step.window.start.isoformat(),
                "change": step.change.value,
                "fingerprint": step.incident.fingerprint,
                "severity": step.incident.severity.value,
                "check": step.incident.check,
                "scope": step.incident.scope,
                "message": step.incident.message,
            }
            for step in run.steps
        ],
    }


def _step(step: ReplayStep, run: PolicyRun) -> tuple[str, ...]:
    incident = step.incident
    change, severity = step.change.value, incident.severity.value
    return day(step.window), run.name, change, severity, incident.check, incident.scope, incident.message


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2g}"


def _named(windows: Sequence[Window]) -> str:
    more = f" and {len(windows) - WINDOWS_MAX} more" if len(windows) > WINDOWS_MAX else ""
    return f" ({', '.join(day(each) for each in windows[:WINDOWS_MAX])}{more})"
