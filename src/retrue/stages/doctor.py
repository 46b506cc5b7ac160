"""The dead-man check: examine the monitoring itself, and tell once what is wrong and once that it is over.

It needs no Prefect server and no MLflow server, so that it can run where they cannot be seen failing: by cron, as
`retrue doctor`, whose exit code says what it found. Without a Prefect server its messages wait in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from retrue.complaints import Complaint
from retrue.delivery import DeliveryReport
from retrue.ledger import News
from retrue.reports.complaints import render_complaints
from retrue.stages.checkup import examine
from retrue.stages.monitor import carry_out
from retrue.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that is wrong now, and what of it is new or over since the last time."""

    complaints: tuple[Complaint, ...]
    news: News
    delivery: DeliveryReport

    @property
    def outcome(self) -> str:
        """Breached if there is a complaint: each of them is critical or a warning."""
        return "breached" if self.complaints else "healthy"

    @property
    def line(self) -> str:
        """All of it in one line."""
        found = ", ".join(complaint.label for complaint in self.complaints)
        count = len(self.complaints)
        line = f"{count} {'complaint' if count == 1 else 'complaints'}: {found}" if found else "nothing to complain of"
        over = ", ".join(complaint.label for complaint in self.news.resolved)
        return f"{line}; over: {over}" if over else line

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "complaints": [_facts(each) for each in self.complaints],
            "opened": [each.label for each in self.news.opened],
            "resolved": [each.label for each in self.news.resolved],
            "waiting": self.delivery.pending,
        }


def diagnose(workspace: Workspace) -> Diagnosis:
    """Deliver what waits, examine the project and every model, and tell what is new.

    A model's complaints go to the receivers of its critical incidents, or of its warnings where there are none.

    Raises:
        LedgerError: The ledger cannot be read or written.
    """
    carry_out(workspace)
    complaints = examine(workspace)
    news = workspace.ledger.complaints.replace(
        complaints, receivers=_receivers(workspace), render=render_complaints, now=workspace.now()
    )
    for complaint in complaints:
        log.info("%s: %s", complaint.label, complaint.message)
    return Diagnosis(complaints=complaints, news=news, delivery=carry_out(workspace))


def _receivers(workspace: Workspace) -> Mapping[str, tuple[str, ...]]:
    return {
        model: settings.notify.critical or settings.notify.warning
        for model, settings in workspace.project.models.items()
    }


def _facts(complaint: Complaint) -> dict[str, str]:
    return {
        "model": complaint.model,
        "check": complaint.check,
        "subject": complaint.subject,
        "severity": complaint.severity.value,
        "message": complaint.message,
        "next_step": complaint.next_step,
    }
