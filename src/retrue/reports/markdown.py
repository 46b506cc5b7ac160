"""The verdict as Prefect artifacts: Markdown and table rows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from retrue.failures.stories import FailureStory
from retrue.recorded import metrics_of
from retrue.reports.escape import escape_cell, escape_markdown
from retrue.reports.failures import failure_markdown
from retrue.reports.figures import dollars, key_figures, number, share, size, span
from retrue.reports.opening import opening_sentences
from retrue.reports.resources import resources_markdown
from retrue.reports.served import served_markdown
from retrue.reports.since import NO_HINDSIGHT, Hindsight
from retrue.reports.sparkline import text_sparkline
from retrue.results import HistoryPoint, Measurements, Outcome, Verdict

FINDINGS_MAX = 100  # rows; the report has all
TREND_WINDOWS = 24
_TRENDS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "system.error_share": ("Failed inferences", share),
    "system.latency_ms.p50": ("Latency p50, ms", number),
    "system.latency_ms.p95": ("Latency p95, ms", number),
    "system.latency_ms.p99": ("Latency p99, ms", number),
    "system.cpu_cores.p95": ("Processor p95, cores", number),
    "system.memory_bytes.max": ("Peak memory", size),
    "system.cost_usd_per_1k": ("Cost per 1,000 inferences", dollars),
}


def render_markdown(
    verdict: Verdict,
    measurements: Measurements,
    history: Sequence[HistoryPoint] = (),
    *,
    stories: Sequence[FailureStory] = (),
    hindsight: Hindsight = NO_HINDSIGHT,
) -> str:
    """Return the verdict, its findings, the key figures, failures and trends as Markdown in which no name is markup.

    The arguments are those of ``render_summary``.
    """
    lines = (
        *_heading(verdict),
        *_opening(verdict, measurements, history, hindsight),
        *_findings(verdict, hindsight),
        *_moves(hindsight),
        *_figures(measurements),
        *failure_markdown(stories, measurements.system),
        *served_markdown(measurements.system),
        *resources_markdown(measurements.system),
        *_trends(verdict, measurements, history),
    )
    return "\n".join(lines) + "\n"


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


def _opening(
    verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint], hindsight: Hindsight
) -> Iterator[str]:
    yield ""
    yield " ".join(
        escape_markdown(sentence) for sentence in opening_sentences(verdict, measurements, history, hindsight=hindsight)
    )


def _findings(verdict: Verdict, hindsight: Hindsight) -> Iterator[str]:
    yield ""
    if not verdict.findings:
        yield "No findings."
        return
    for finding in verdict.findings[:FINDINGS_MAX]:
        name = escape_markdown(f"{finding.check} {finding.scope}".strip())
        notes = hindsight.notes.get(finding.fingerprint(verdict.window.model), ())
        told = escape_markdown(" ".join((finding.message, *notes)))
        yield f"- **{finding.severity.value}** {name}: {told} *{escape_markdown(finding.next_step)}*"
    if len(verdict.findings) > FINDINGS_MAX:
        yield ""
        yield f"{len(verdict.findings) - FINDINGS_MAX} more are in the report."


def _moves(hindsight: Hindsight) -> Iterator[str]:
    if hindsight.moves:
        yield ""
        yield "Moved since the window before:"
        yield ""
        yield from (f"- {escape_markdown(move)}" for move in hindsight.moves)


def _figures(measurements: Measurements) -> Iterator[str]:
    yield ""
    yield "| figure | value | |"
    yield "| --- | --- | --- |"
    for figure in key_figures(measurements):
        yield f"| {' | '.join(escape_markdown(cell) for cell in (figure.label, figure.value, figure.note))} |"


def _trends(verdict: Verdict, measurements: Measurements, history: Sequence[HistoryPoint]) -> Iterator[str]:
    """Yield what the last windows came to, from zero, as a line of blocks each."""
    before = sorted(
        (each for each in history if each.window.start < verdict.window.start), key=lambda each: each.window.start
    )
    past = [*(each.metrics for each in before[-TREND_WINDOWS + 1 :]), metrics_of(measurements, verdict)]
    series = {name: [metrics.get(name) for metrics in past] for name in _TRENDS}
    there = {name: values for name, values in series.items() if any(values)}
    if len(past) < 2 or not there:
        return
    yield ""
    yield f"| over {len(past)} windows | | now |"
    yield "| --- | --- | ---: |"
    for name, values in there.items():
        title, shown = _TRENDS[name]
        now = "not measured" if values[-1] is None else shown(values[-1])
        yield f"| {escape_markdown(title)} | {text_sparkline(values)} | {escape_markdown(now)} |"
