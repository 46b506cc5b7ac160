"""The finding about all columns at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.results import DomainDrift, Finding, Measurements, RelationChange, Severity

DOMAIN_UNFROZEN = "multivariate drift"
"""The part that is missing where the baseline cannot say what is usual; it leaves the verdict alone."""
DOMAIN = "drift of all columns at once"
"""The part that is missing where the window cannot be compared, although the baseline can."""
PARTS_SHOWN = 3
PART_MIN = 0.1


def domain_findings(measurements: Measurements) -> Iterator[Finding]:
    domain = measurements.domain
    if domain is None or not domain.drifted:
        return
    yield Finding(
        check="drift.multivariate",
        scope="",
        severity=Severity.WARNING,
        value=f"{domain.auc:.3f}",
        threshold=f"{domain.threshold:.3f}",
        message=(
            f"All columns at once, the window can be told from the baseline (AUC {domain.auc:.3f}, threshold "
            f"{domain.threshold:.3f}){_columns(domain)}{_relations(domain)}."
        ),
        next_step=_next_step(measurements, domain),
    )


def _columns(domain: DomainDrift) -> str:
    telling = [each for each in domain.parts[:PARTS_SHOWN] if each.part >= PART_MIN]
    return f", most by {_listed([f'{each.column} ({each.part:.0%})' for each in telling])}" if telling else ""


def _relations(domain: DomainDrift) -> str:
    if not domain.relations:
        return ""
    return f"; what changed is the relation of {_listed([_relation(each) for each in domain.relations])}"


def _relation(change: RelationChange) -> str:
    pair = f"{change.first} with {change.second}"
    if change.before is None or change.now is None:
        return pair
    return f"{pair} (rank correlation {change.before:.2f}, now {change.now:.2f})"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _next_step(measurements: Measurements, domain: DomainDrift) -> str:
    drifted = {each.column for each in measurements.drift.columns if each.drifted} if measurements.drift else set()
    if drifted & {each.column for each in domain.parts[:PARTS_SHOWN]}:
        return "Look at the drifted columns first: they are likely to be all of it."
    return (
        "No single column need have moved: compare pairs of these columns, and how the pipeline joins or computes them."
    )
