"""The gate: what a challenger must show before it serves, and what the champion must keep after. Pure."""

from retrue.gate.comparison import judge_challenger
from retrue.gate.limits import calibration_check, latency_check, leakage_check, size_checks
from retrue.gate.probation import Past, ProbationLook, judge_probation, probation_looks, probation_windows

__all__ = [
    "Past",
    "ProbationLook",
    "calibration_check",
    "judge_challenger",
    "judge_probation",
    "latency_check",
    "leakage_check",
    "probation_looks",
    "probation_windows",
    "size_checks",
]
