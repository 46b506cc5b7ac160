"""Measurements judged, and what a verdict says in short, for tests of judging."""

from __future__ import annotations

from retrue.config import ModelSettings
from retrue.judge import judge
from retrue.results import Measurements, Severity, Verdict
from tests.builders import baseline, settings


def judged(measured: Measurements, of: ModelSettings | None = None) -> Verdict:
    return judge(measured, baseline(), of or settings(), config_digest="config")


def checks(verdict: Verdict) -> list[tuple[str, str, Severity]]:
    return [(finding.check, finding.scope, finding.severity) for finding in verdict.findings]
