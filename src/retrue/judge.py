"""Measurements against thresholds: findings, reasons, verdict. Pure.

A finding is a breach that was measured. A reason is something that could not be measured and that no finding explains:
it makes an otherwise healthy window inconclusive, so that nothing passes unseen.
"""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.digits import percent
from retrue.findings import (
    DOMAIN_UNFROZEN,
    ESTIMATE,
    LABELS_WAITING,
    all_findings,
    source_findings,
    traffic_findings,
    unjudged_bounds,
)
from retrue.results import Baseline, Finding, Measurements, Outcome, Verdict


def judge(
    measurements: Measurements, baseline: Baseline | None, settings: ModelSettings, *, config_digest: str
) -> Verdict:
    """Return the verdict of a window.

    Args:
        measurements: What was measured, and what could not be.
        baseline: What the window's model version is compared with; None if it has none, which is inconclusive.
        settings: The model's thresholds.
        config_digest: Identifies settings and suite, from ``ModelSettings.judging_digest``.
    """
    blocking = tuple(blocking_reasons(measurements, baseline, settings))
    findings = list(source_findings(measurements, settings))
    if not blocking and baseline is not None:
        findings += all_findings(measurements, baseline, settings)
    elif not any(unreadable_reasons(measurements, settings)):
        findings += traffic_findings(measurements, settings)
    findings.sort(key=lambda finding: (finding.severity.rank, finding.check, finding.scope))
    reasons = blocking or tuple(_unexplained(measurements, findings, settings))
    return Verdict(
        window=measurements.window,
        outcome=_outcome(blocking, findings, reasons),
        findings=tuple(findings),
        reasons=reasons,
        model_version=measurements.model_version,
        input_digest=measurements.pull.input_digest,
        config_digest=config_digest,
        baseline_digest=measurements.baseline_digest,
    )


def blocking_reasons(measurements: Measurements, baseline: Baseline | None, settings: ModelSettings) -> Iterator[str]:
    """Yield why a window cannot be judged at all: too little of it, too much set aside, nothing to compare with."""
    yield from unreadable_reasons(measurements, settings)
    if baseline is None and measurements.pull.rows:
        yield f"version {measurements.model_version or '?'} has no baseline: run `retrue baseline {measurements.window.model}`"


def unreadable_reasons(measurements: Measurements, settings: ModelSettings) -> Iterator[str]:
    """Yield why not even the failures of a window can be judged, which need no baseline."""
    pull = measurements.pull
    if pull.rows == 0:
        yield "no rows: the model was idle or its log does not arrive"
    elif pull.rows < settings.window.min_rows:
        yield f"{pull.rows} rows, under min_rows {settings.window.min_rows}"
    if pull.set_aside_share > settings.quality.max_set_aside_share:
        most = settings.quality.max_set_aside_share
        yield f"{percent(pull.set_aside_share, 1)} of the input was set aside, over {percent(most, 1)}"


def _outcome(blocking: tuple[str, ...], findings: list[Finding], reasons: tuple[str, ...]) -> Outcome:
    if blocking:
        return Outcome.INCONCLUSIVE
    if any(finding.severity.breaches for finding in findings):
        return Outcome.BREACHED
    return Outcome.INCONCLUSIVE if reasons else Outcome.HEALTHY


def _unexplained(measurements: Measurements, findings: list[Finding], settings: ModelSettings) -> Iterator[str]:
    """Yield what could not be measured, unless a breaching finding on the same column says why."""
    explained = {finding.scope for finding in findings if finding.scope and finding.severity.breaches}
    for item in measurements.unmeasured:
        if item.part not in (LABELS_WAITING, ESTIMATE, DOMAIN_UNFROZEN):  # told by findings or in the report
            yield f"{item.part} could not be measured: {item.reason}"
    yield from unjudged_bounds(measurements, settings)
    for column, reason in measurements.drift.unmeasurable if measurements.drift else ():
        if column not in explained:
            yield f"drift of {column} could not be measured: {reason}"
    for drifted in measurements.drift.columns if measurements.drift else ():
        if drifted.blind == "window" and not drifted.drifted and drifted.column not in explained:
            change = "a shift of one standard deviation" if drifted.numeric else "a change of 30 % of rows"
            yield f"too few rows: {change} of {drifted.column} would have passed unseen"
    for outcome in measurements.validation.outcomes if measurements.validation else ():
        if outcome.success is None and (outcome.column or "") not in explained:
            yield f"expectation {outcome.kind} could not be evaluated: {outcome.problem}"
