"""Failure groups as a window measures them, for the tests of the ledger, of incidents and of reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from retrue.config import ModelSettings
from retrue.failures.stories import MeasuredFailures
from retrue.ledger import Ledger, Revision
from retrue.results import HISTOGRAM_BINS, Condition, FailingInput, FailureGroup, Finding, Interval, Severity
from tests.ledger.verdicts import commit, verdict, watched, week

INFERENCES = 1000.0
PARSE, LOOKUP = "parse0000000", "lookup000000"
EWR = FailingInput(
    conditions=(
        Condition(column="origin", relation="=", value="EWR"),
        Condition(column="visib", relation="is missing"),
    ),
    ratio=Interval(value=34.2, low=20.1, high=58.0),
    inside_share=0.124,
    outside_share=0.0036,
    rows=330,
    failures=41,
)


def failure_group(group: str = PARSE, rows: int = 20, number: int = 0, **changes: Any) -> FailureGroup:
    """A group of which the week of this number has so many records."""
    start = week(number).start
    plain: dict[str, Any] = {
        "id": group,
        "title": f"ValueError: could not {group.strip('0')} <str>",
        "error_type": "ValueError",
        "message": f"could not {group.strip('0')} <str>",
        "frames": ("serve.answer", "features.encode"),
        "reasons": ("the same frames of yours",),
        "status": "error",
        "rows": rows,
        "share": rows / INFERENCES,
        "weight": float(rows),
        "versions": {"1": rows},
        "endpoints": {"/predict": rows},
        "first_at": start + timedelta(hours=1),
        "last_at": start + timedelta(hours=7),
        "histogram": (rows, *(0,) * (HISTOGRAM_BINS - 1)),
        "samples": (f"{group.strip('0')}-{number}-1", f"{group.strip('0')}-{number}-2"),
        "traces": (f"{number:032x}",),
        "inputs": (EWR,),
    }
    return FailureGroup(**{**plain, **changes})


def measured(*groups: FailureGroup, inferences: float = INFERENCES) -> MeasuredFailures:
    return MeasuredFailures(inferences=inferences, groups=groups)


def found(group: str = PARSE, severity: Severity = Severity.WARNING) -> Finding:
    """What a window's judgement says of a group."""
    return Finding(
        check="failure.group", scope=group, severity=severity, value="20", threshold="5",
        message=f"Failures of {group}.", next_step="Look at a sample.",
    )  # fmt: skip


def judge_week(
    ledger: Ledger,
    number: int,
    *groups: FailureGroup,
    counted: bool = True,
    findings: tuple[Finding, ...] | None = None,
    data: str = "",
    of: ModelSettings | None = None,
    **more: Any,
) -> Revision:
    """Commit a week that has these groups, each of them a finding; ``counted`` is false where failures were not measured."""
    about = tuple(found(group.id) for group in groups) if findings is None else findings
    judged = verdict(number, *about, data=data or f"input {number}")
    failures = measured(*groups) if counted else None
    return commit(ledger, judged, of=of or watched(retrain=None), failures=failures, **more)
