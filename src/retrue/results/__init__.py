"""The frozen values that travel between stages. They check themselves; nothing here reads or writes.

Times are aware and in UTC. A measurement that could not be taken is absent and named in ``Measurements.unmeasured``.
"""

from retrue.results.decided import (
    Change,
    Decision,
    Effect,
    GateResult,
    Incident,
    IncidentChange,
    RetrainCause,
    SliceComparison,
)
from retrue.results.failures import (
    HISTOGRAM_BINS,
    Condition,
    FailingInput,
    FailureGroup,
    Served,
    SystemHealth,
)
from retrue.results.judged import (
    Baseline,
    Finding,
    HistoryPoint,
    Outcome,
    Provenance,
    Verdict,
    revision_key,
)
from retrue.results.measured import (
    ColumnDrift,
    ColumnKind,
    ColumnProfile,
    DriftResult,
    ExpectationOutcome,
    Interval,
    Profile,
    PullReport,
    RealisedPerformance,
    SchemaDifference,
    SetAside,
    Severity,
    Unmeasured,
    ValidationResult,
)
from retrue.results.measurements import Measurements

__all__ = [
    "HISTOGRAM_BINS",
    "Baseline",
    "Change",
    "ColumnDrift",
    "ColumnKind",
    "ColumnProfile",
    "Condition",
    "Decision",
    "DriftResult",
    "Effect",
    "ExpectationOutcome",
    "FailingInput",
    "FailureGroup",
    "Finding",
    "GateResult",
    "HistoryPoint",
    "Incident",
    "IncidentChange",
    "Interval",
    "Measurements",
    "Outcome",
    "Profile",
    "Provenance",
    "PullReport",
    "RealisedPerformance",
    "RetrainCause",
    "SchemaDifference",
    "Served",
    "SetAside",
    "Severity",
    "SliceComparison",
    "SystemHealth",
    "Unmeasured",
    "ValidationResult",
    "Verdict",
    "revision_key",
]
