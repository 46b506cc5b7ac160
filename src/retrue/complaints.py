"""What is wrong with the monitoring itself: complaints, when a window is overdue, which versions break it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from retrue.config import WindowSettings
from retrue.results import Severity
from retrue.windows import Window

PROJECT = ""  # the model of a complaint about the project as a whole
SHORTEST_GRACE, LONGEST_GRACE = timedelta(hours=1), timedelta(days=1)

BREAKING: Mapping[str, tuple[tuple[int, ...], str]] = {
    "sqlalchemy": ((2, 1), "Prefect's scheduler fails on it: no scheduled run is ever made"),
    "fastapi": ((0, 151), "the Prefect server refuses deployments and listings on it, or does not start"),
    "pandas": ((3, 1), "Evidently does not import with it"),
    "duckdb": ((2,), "windows cannot be read with it: its Python API has changed"),
}
"""The first release of a library that is known to break retrue, and how. The caps of pyproject.toml keep them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong with how a model is watched.

    ``subject`` tells complaints of one check apart, such as the kind of undelivered effects; it stays the same while the
    trouble lasts, and with it the complaint. ``model`` is ``PROJECT`` where it concerns all of them.
    """

    model: str
    check: str
    severity: Severity
    message: str
    next_step: str
    subject: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same complaint as before."""
        return (self.model, self.check, self.subject)

    @property
    def label(self) -> str:
        """Model, check and subject in a few words."""
        return " ".join(filter(None, self.key))


def grace(every: timedelta) -> timedelta:
    """Return how long after it has settled a window may still be without a verdict: half its length, 1 h to 1 d.

    >>> str(grace(timedelta(minutes=15))), str(grace(timedelta(hours=6))), str(grace(timedelta(days=7)))
    ('1:00:00', '3:00:00', '1 day, 0:00:00')
    """
    return min(max(every / 2, SHORTEST_GRACE), LONGEST_GRACE)


def due_window(model: str, settings: WindowSettings, now: datetime) -> Window:
    """Return the newest window that must have been judged by ``now``."""
    return settings.grid.latest(model, now=now - grace(settings.every), settle=settings.settle)


def schedule_complaints(
    model: str, settings: WindowSettings, newest: Window | None, now: datetime
) -> Iterator[Complaint]:
    """Complain where the newest judged window is not the newest that is due. One stall is one complaint."""
    due = due_window(model, settings, now)
    if newest is None:
        yield Complaint(
            model=model,
            check="schedule.never",
            severity=Severity.WARNING,
            message=f"No window of {model} was ever judged.",
            next_step=f"Freeze its baseline (`retrue baseline {model}`), judge a window (`retrue monitor {model}`), "
            "and give it a schedule in prefect.yaml.",
        )
    elif newest.end < due.end:
        yield Complaint(
            model=model,
            check="schedule.stalled",
            severity=Severity.CRITICAL,
            message=f"Monitoring stands still: the newest judged window ended {newest.end:%Y-%m-%d %H:%M} UTC, "
            f"the one that ended {due.end:%Y-%m-%d %H:%M} UTC was due.",
            next_step="Look at the worker and the schedule of `monitor` in the Prefect UI; then "
            f"`retrue backfill {model} --start {newest.end:%Y-%m-%dT%H:%M} --end {due.end:%Y-%m-%dT%H:%M}`.",
        )


def version_complaints(installed: Mapping[str, str]) -> Iterator[Complaint]:
    """Complain of installed versions, by name of the package, that are known to break the monitoring.

    >>> [each.subject for each in version_complaints({"pandas": "3.1.0rc1", "duckdb": "1.5.6", "sqlalchemy": "2.0.58"})]
    ['pandas']
    """
    for name, version in installed.items():
        first, why = BREAKING.get(name, ((), ""))
        if first and _release(version) >= first:
            shown = ".".join(map(str, first))
            yield Complaint(
                model=PROJECT,
                check="setup.version",
                subject=name,
                severity=Severity.CRITICAL,
                message=f"{name} {version} is installed: {why}.",
                next_step=f'pip install "{name}<{shown}", or install from requirements.lock.',
            )


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
