"""The verdict as Prefect artifacts: Markdown and table rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.reports.escape import escape_cell, escape_markdown
from retrue.reports.figures import key_figures, span
from retrue.results import Measurements, Outcome, Verdict

FINDINGS_MAX = 100  # rows; the report has all


def render_markdown(verdict: Verdict, measurements: Measurements) -> str:
    """Return the verdict, its findings and the key figures as Markdown in which no name is markup."""
    return "\n".join([*_heading(verdict), *_findings(verdict), *_figures(measurements)]) + "\n"


def finding_rows(verdict: Verdict) -> list[dict[str, str]]:
    """Return the findings as rows of a table artifact, gravest first."""
    return [
        {
            "severity": finding.severity.value,
            "message": escape_cell(finding.message),
            "next step": escape_cell(finding.next_step),
            "check": escape_cell(finding.check),
            "scope": escape_cell(finding.scope),
            "value": escape_cell(finding.value),
            "threshold": escape_cell(finding.threshold),
        }
        for finding in verdict.findings
    ]


def _heading(verdict: Verdict) -> Iterator[str]:
    yield f"# {escape_markdown(verdict.window.name)}: {verdict.outcome.value}"
    yield ""
    yield f"{span(verdict.window)}, model version {escape_markdown(verdict.model_version)}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        yield ""
        yield from (f"- {escape_markdown(reason)}" for reason in verdict.reasons)


def _findings(verdict: Verdict) -> Iterator[str]:
    yield ""
    if not verdict.findings:
        yield "No findings."
        return
    for finding in verdict.findings[:FINDINGS_MAX]:
        name = escape_markdown(f"{finding.check} {finding.scope}".strip())
        yield f"- **{finding.severity.value}** {name}: {escape_markdown(finding.message)} *{escape_markdown(finding.next_step)}*"
    if len(verdict.findings) > FINDINGS_MAX:
        yield ""
        yield f"{len(verdict.findings) - FINDINGS_MAX} more are in the report."


def _figures(measurements: Measurements) -> Iterator[str]:
    yield ""
    yield "| figure | value | |"
    yield "| --- | --- | --- |"
    for figure in key_figures(measurements):
        yield f"| {' | '.join(escape_markdown(cell) for cell in (figure.label, figure.value, figure.note))} |"
