"""Findings about failure groups: one a group, in a sentence for a person. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrue.config import FailureSettings, ModelSettings
from retrue.results import FailureGroup, Finding, Measurements, Severity

GROUPS_MAX = 20  # groups that are findings, the largest; the rest are in the report
MESSAGE_MAX = 120  # characters of a failure's message in a sentence

_PASTABLE = re.compile(r"\w[\w.:@-]*")  # what a shell takes as it is: ids come from outside


def failure_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield a finding for each failure group: its scope is the group's id."""
    inferences = measurements.system.inferences if measurements.system else 0.0
    for group in measurements.failures[:GROUPS_MAX]:
        yield _finding(group, inferences, settings.system.failures)


def failure_sentence(group: FailureGroup, inferences: float) -> str:
    """Return what fails, where, how often, and for which inputs.

    Args:
        group: A failure group.
        inferences: The weighted number of the window's inferences.
    """
    where = f" in {group.frames[-1]}" if group.frames else ""
    rows = f"{group.weight:,.0f} of {inferences:,.0f} inferences" if inferences else f"{group.rows:,} records"
    about = "about " if abs(group.weight - group.rows) > 0.5 else ""
    inputs = f", {group.inputs[0]}" if group.inputs else ""
    return f"{_named(group)}{where}: {about}{rows} ({_percent(group.share)}){inputs}."


def _finding(group: FailureGroup, inferences: float, settings: FailureSettings) -> Finding:
    limit = settings.max_share
    over = limit is not None and group.share > limit
    some = Severity.WARNING if group.rows >= settings.min_rows else Severity.INFO
    return Finding(
        check="failure.group",
        scope=group.id,
        severity=Severity.CRITICAL if over else some,
        value=_percent(group.share),
        threshold=_percent(limit) if over and limit is not None else f"{settings.min_rows} rows",
        message=failure_sentence(group, inferences),
        next_step=_next_step(group),
    )


def _named(group: FailureGroup) -> str:
    """Return type and message, or the group's title where it has neither."""
    message = group.message if len(group.message) <= MESSAGE_MAX else f"{group.message[: MESSAGE_MAX - 1]}…"
    if group.error_type and message:
        return f"{group.error_type} '{message}'"
    return group.error_type or (f"'{message}'" if message else group.title)


def _next_step(group: FailureGroup) -> str:
    sample = next((each for each in group.samples if _PASTABLE.fullmatch(each)), "")
    step = f"Run `retrue reproduce {sample}`" if sample else "Look at one of its records"
    return (
        f"{step}, or look at trace {group.traces[0]}."
        if group.traces and _PASTABLE.fullmatch(group.traces[0])
        else f"{step}."
    )


def _percent(share: float) -> str:
    """Return a share in percent, with as many digits as a small one needs.

    >>> _percent(0.048), _percent(0.00012), _percent(0.5)
    ('4.8 %', '0.012 %', '50 %')
    """
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.3g} %"
