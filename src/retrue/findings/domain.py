"""The finding about all columns at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from retrue.findings.harm import harm_of
from retrue.results import DomainDrift, Finding, Measurements, RelationChange, Reliance, Severity

DOMAIN_UNFROZEN = "multivariate drift"
"""The part that is missing where the baseline cannot say what is usual; it leaves the verdict alone."""
DOMAIN = "drift of all columns at once"
"""The part that is missing where the window cannot be compared, although the baseline can."""
BY_CHANCE = 0.5  # the AUC of a guess
PARTS_SHOWN = 3
RELATIONS_SHOWN = 3
PART_MIN = 0.1
TOLD_SHARE = 0.5  # of the parts: columns that findings of their own tell of carry at least so much, and it is theirs


def domain_findings(
    measurements: Measurements, told: Collection[str] = (), reliance: Reliance | None = None
) -> Iterator[Finding]:
    """Yield what all columns at once show and single ones do not.

    Args:
        measurements: With the drift of all columns.
        told: Columns of which a finding breaches already: one that is broken is told once. Where they carry most of the
            difference, only a relation of two others is left to tell.
        reliance: What the model leans on: columns that it surely does not use make it an ``info``, others a warning.
    """
    domain = measurements.domain
    if domain is None or not domain.drifted:
        return
    relations = [each for each in domain.relations if not {each.first, each.second} & set(told)]
    if not relations and sum(each.part for each in domain.parts if each.column in told) >= TOLD_SHARE:
        return
    yield Finding(
        check="drift.multivariate",
        scope="",
        severity=_severity(domain, relations, reliance),
        value=f"{domain.auc:.3f}",
        threshold=f"{domain.threshold:.3f}",
        message=(
            f"All columns at once, the window can be told from the baseline (AUC {domain.auc:.3f}, threshold "
            f"{domain.threshold:.3f}){_columns(domain)}{_relations(relations)}."
        ),
        next_step=_next_step(domain, told),
        excess=(domain.auc - BY_CHANCE) / (domain.threshold - BY_CHANCE) if domain.threshold > BY_CHANCE else None,
    )


def _severity(domain: DomainDrift, relations: list[RelationChange], reliance: Reliance | None) -> Severity:
    named = {each.column for each in domain.parts[:PARTS_SHOWN] if each.part >= PART_MIN}
    named |= {name for each in relations[:RELATIONS_SHOWN] for name in (each.first, each.second)}
    harmless = bool(named) and all(harm_of(name, reliance) is Severity.INFO for name in named)
    return Severity.INFO if harmless else Severity.WARNING


def _columns(domain: DomainDrift) -> str:
    telling = [each for each in domain.parts[:PARTS_SHOWN] if each.part >= PART_MIN]
    return f", most by {_listed([f'{each.column} ({each.part:.0%})' for each in telling])}" if telling else ""


def _relations(relations: list[RelationChange]) -> str:
    if not relations:
        return ""
    return f"; what changed is the relation of {_listed([_relation(each) for each in relations[:RELATIONS_SHOWN]])}"


def _relation(change: RelationChange) -> str:
    pair = f"{change.first} with {change.second}"
    if change.before is None or change.now is None:
        return pair
    return f"{pair} (rank correlation {change.before:.2f}, now {change.now:.2f})"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _next_step(domain: DomainDrift, told: Collection[str]) -> str:
    if set(told) & {each.column for each in domain.parts[:PARTS_SHOWN]}:
        return "Look at the columns first that have findings of their own: the rest may follow from them."
    return (
        "No single column need have moved: compare pairs of these columns, and how the pipeline joins or computes them."
    )
