"""What the ledger hands out: frozen values, and their form in its JSON columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from retrue.findings import LABELS_COVERAGE
from retrue.results import Change, Decision, Incident, RetrainCause, Severity, Verdict
from retrue.windows import Window

VERDICT = TypeAdapter(Verdict)
DECISION = TypeAdapter(Decision)
CAUSE = TypeAdapter(RetrainCause)


def to_json(adapter: TypeAdapter[Any], value: object) -> Any:
    """Return a value as lists, mappings, texts and numbers; ``adapter.validate_python`` reads it back."""
    return adapter.dump_python(value, mode="json")


EXTERNAL = "external"  # the kind of a version registered elsewhere: it is never loaded, only known by what it logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One judgement of a window.

    ``new`` is false when this judgement was already in the ledger, so that nothing was written. ``decision`` is the one
    made when it was new. ``mlflow_run_id`` is None until it has been mirrored.
    """

    id: int
    window: Window
    number: int
    verdict: Verdict
    metrics: Mapping[str, float]
    decision: Decision
    step: int
    report_dir: str
    flow_run_url: str
    mlflow_run_id: str | None
    judged_at: datetime
    new: bool = False

    @property
    def awaits_labels(self) -> bool:
        """Whether performance was not judged because too few labels had arrived."""
        return any(finding.check == LABELS_COVERAGE for finding in self.verdict.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """A person's order to send no messages about an incident before ``until``; None lasts until the incident escalates."""

    fingerprint: str
    until: datetime | None
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An effect to carry out. ``attempts`` counts this one too and fences it: who took the row later has a larger one."""

    id: int
    model: str
    kind: str
    dedup_key: str
    payload: Mapping[str, object]
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    error: str
    result: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStep:
    """What one revision of a window did to an incident; ``value`` and ``message`` are empty where it has no such finding."""

    window: Window
    revision: int
    change: Change
    severity: Severity
    episode: int
    value: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStory:
    """Everything the ledger has of an incident: its steps and messages oldest first, and all mutes, also those that ended."""

    incident: Incident
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    mutes: tuple[Mute, ...]
    steps: tuple[IncidentStep, ...]
    messages: tuple[OutboxRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRequest:
    """A retraining that was asked for. ``state`` is open, claimed, watching, promoted, refused, failed or cancelled.

    A watching one has a challenger that waits for later windows; a flow run claims it again for each look.

    ``token`` belongs to the latest claim: an older flow run of the same request can write nothing any more. At ``stale_at`` one in
    flight is given up: it was not started, its claim has run out, or nobody looked at its challenger.
    """

    id: str
    cause: RetrainCause
    state: str
    token: int
    reason: str
    opened_at: datetime
    stale_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at two versions: the rows up to ``end``, and what came of it."""

    end: datetime
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A challenger that waits for later windows. ``kind`` is watch or shadow.

    It is judged by rows from ``rows_from``; those from ``fresh_from`` on came after its training was asked for. At ``ends_at``, on
    the clock of the data, there is a last look.
    """

    request_id: str
    kind: str
    version: str
    champion: str
    rows_from: datetime
    fresh_from: datetime
    ends_at: datetime
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probation:
    """A promoted version beside the one before it, on rows from ``rows_from``.

    ``state`` is open, kept, rolled-back, inconclusive, or ended where the champion changed otherwise.
    """

    promotion_id: int
    model: str
    version: str
    previous: str
    rows_from: datetime
    state: str
    reason: str
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A move of the champion. ``action`` is promoted or rolled-back; ``new`` is false if it had been made before."""

    id: int
    model: str
    version: str
    from_version: str | None
    action: str
    reason: str
    actor: str
    request_id: str | None
    gate: Mapping[str, object]
    at: datetime
    new: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A registered version: the SHA-256 of its file, how it is stored, and the MLflow run that logged it."""

    model: str
    version: str
    sha256: str
    kind: str
    run_id: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestItem:
    """An info finding over the windows of one digest; ``message`` is the latest."""

    check: str
    scope: str
    message: str
    windows: int
    first_window: datetime
    last_window: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Info findings that no digest before held."""

    id: int
    model: str
    made_at: datetime
    items: tuple[DigestItem, ...] = field(default=())
