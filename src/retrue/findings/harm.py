"""How much it matters that a feature has drifted: by how much the model leans on it. Pure."""

from __future__ import annotations

from retrue.results import Reliance, Severity

FIDELITY_MIN = 0.5
"""Variance of the answers that the surrogate must explain: below, what it leans on is not what the model leans on."""
UNUSED = 0.01
"""A share r of the reliance goes with sqrt(r) of the answers' standard deviation: a tenth of it here."""
HEAVY = 0.25
"""Half of the answers' standard deviation: a shift of such a feature by one of its own moves the answers by half of theirs."""


def harm_of(column: str, reliance: Reliance | None) -> Severity:
    """Return how grave the drift of a column is: ``info`` of a feature the model surely does not use, ``critical`` of one it leans on heavily.

    A warning where it is not known, and of what the model says.
    """
    share = share_of(column, reliance)
    if share is None or reliance is None:
        return Severity.WARNING
    if share + 2 * reliance.sds.get(column, 0.0) < UNUSED:
        return Severity.INFO
    return Severity.CRITICAL if share >= HEAVY else Severity.WARNING


def share_of(column: str, reliance: Reliance | None) -> float | None:
    """Return the share of the model's reliance that a column has, None where it is not known well enough."""
    if reliance is None or reliance.fidelity < FIDELITY_MIN:
        return None
    return reliance.shares.get(column)


def leaning(column: str, reliance: Reliance | None) -> str:
    """Return the clause that says how much the model leans on a column; empty where it is not known.

    >>> leaning("temp", Reliance(fidelity=0.9, shares={"temp": 0.31}, sds={"temp": 0.01}))
    '; the model leans on it for 31 %'
    """
    share = share_of(column, reliance)
    if share is None:
        return ""
    if harm_of(column, reliance) is Severity.INFO:
        return "; the model does not use it"
    return f"; the model leans on it for {share * 100:.2g} %"
