"""The AUC from which on a domain classifier's window has drifted, from its null distribution. Pure, and light to import."""

from __future__ import annotations

import math

from scipy.special import expit, stdtrit

from retrue.results.domain import DomainNull

AUC_MIN = 0.52  # smaller differences are never an alarm, however certain


def domain_threshold(null: DomainNull, *, alpha: float, rows: int) -> float:
    """Return the AUC from which on a window of ``rows`` rows has drifted, at a false-alarm rate of ``alpha``.

    A window of fewer rows than were replayed has a wider spread, in proportion to the AUC's standard error
    (Hanley & McNeil 1982); one of more rows is to be cut to them. Never under ``AUC_MIN``.
    """
    spread = null.scale * math.sqrt(1 + 1 / null.stretches)
    if rows < null.rows:
        spread *= math.sqrt((1 / rows + 1 / null.reference_rows) / (1 / null.rows + 1 / null.reference_rows))
    limit = null.location + stdtrit(null.stretches - 1, 1 - alpha) * spread
    return round(max(float(expit(limit)), AUC_MIN), 6)
