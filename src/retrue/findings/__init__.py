"""What a breach looks like, family by family: check, severity, sentence, next step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.config import ModelSettings
from retrue.findings.data import (
    PREDICTIONS,
    drift_findings,
    expectation_findings,
    quality_findings,
    schema_findings,
)
from retrue.findings.domain import DOMAIN_UNFROZEN, domain_findings
from retrue.findings.failures import failure_findings
from retrue.findings.performance import ESTIMATE, LABELS_COVERAGE, LABELS_WAITING, performance_findings
from retrue.findings.served import compare_served, served_findings
from retrue.findings.slices import slice_findings
from retrue.findings.source import source_findings
from retrue.findings.system import FAILURES_UNKNOWN, NO_TRAFFIC, system_findings, unjudged_bounds
from retrue.results import Baseline, Finding, Measurements

__all__ = [
    "DOMAIN_UNFROZEN",
    "ESTIMATE",
    "FAILURES_UNKNOWN",
    "LABELS_COVERAGE",
    "LABELS_WAITING",
    "NO_TRAFFIC",
    "PREDICTIONS",
    "all_findings",
    "compare_served",
    "source_findings",
    "traffic_findings",
    "unjudged_bounds",
]


def all_findings(measurements: Measurements, baseline: Baseline, settings: ModelSettings) -> Iterator[Finding]:
    """Yield every breach of a window that can be judged."""
    of_columns = [
        *schema_findings(measurements),
        *quality_findings(measurements, baseline, settings),
        *expectation_findings(measurements),
        *drift_findings(measurements, baseline, settings),
    ]
    yield from of_columns
    told = {each.scope for each in of_columns if each.severity.breaches}
    yield from domain_findings(measurements, told, baseline.reliance)
    yield from performance_findings(measurements, baseline, settings)
    yield from slice_findings(measurements, settings)
    yield from traffic_findings(measurements, settings)


def traffic_findings(measurements: Measurements, settings: ModelSettings) -> Iterator[Finding]:
    """Yield what is to be said of failures, latency and cost, which are compared with no baseline."""
    yield from system_findings(measurements, settings)
    yield from failure_findings(measurements, settings)
    yield from served_findings(measurements)
