"""Everything that was measured on a window, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from retrue.results.domain import DomainDrift
from retrue.results.estimated import EstimatedPerformance
from retrue.results.failures import FailureGroup, SystemHealth
from retrue.results.measured import (
    DriftResult,
    Profile,
    PullReport,
    RealisedPerformance,
    SchemaDifference,
    Unmeasured,
    ValidationResult,
)
from retrue.results.why import Attribution, Slices
from retrue.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything measured on one window revision. An absent part is None and explained in ``unmeasured``.

    ``attribution`` is there where the judged metric is surely worse than the baseline's.
    """

    window: Window
    pull: PullReport
    model_version: str
    baseline_digest: str
    profile: Profile | None = None
    schema: SchemaDifference | None = None
    validation: ValidationResult | None = None
    drift: DriftResult | None = None
    domain: DomainDrift | None = None
    performance: RealisedPerformance | None = None
    estimate: EstimatedPerformance | None = None
    slices: Slices | None = None
    attribution: Attribution | Unmeasured | None = None
    system: SystemHealth | None = None
    failures: tuple[FailureGroup, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
