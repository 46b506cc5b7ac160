"""The sentence about all columns at once names columns and relations, and is silent where nothing drifted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.builders import baseline, drift, measurements, settings

from retrue.findings.domain import domain_findings
from retrue.judge import judge
from retrue.results import ColumnPart, DomainDrift, Outcome, RelationChange, Reliance, Severity, Unmeasured

PARTS = (
    ColumnPart(column="age", part=0.5),
    ColumnPart(column="income", part=0.45),
    ColumnPart(column="city", part=0.05),
)
FLIP = RelationChange(first="age", second="income", before=0.7, now=-0.68)


def told(auc: float = 0.8, **changes: object) -> DomainDrift:
    plain: dict[str, object] = {"parts": PARTS, "relations": (FLIP,), "reference_rows": 5000, "current_rows": 500}
    return DomainDrift(auc=auc, threshold=0.55, **(plain | changes))  # type: ignore[arg-type]


def test_a_changed_relation_is_one_warning_that_names_its_columns() -> None:
    (finding,) = domain_findings(measurements(domain=told()))
    assert (finding.check, finding.scope, finding.severity) == ("drift.multivariate", "", Severity.WARNING)
    assert finding.message == (
        "All columns at once, the window can be told from the baseline (AUC 0.800, threshold 0.550), most by age (50%) and "
        "income (45%); what changed is the relation of age with income (rank correlation 0.70, now -0.68)."
    )
    assert finding.next_step.startswith("No single column need have moved")
    assert finding.excess == pytest.approx(6)  # .3 above a guess, where .05 are usual


def test_a_relation_of_a_category_has_no_correlation_to_show() -> None:
    change = RelationChange(first="age", second="city")
    (finding,) = domain_findings(measurements(domain=told(relations=(change, FLIP), parts=())))
    assert (
        "(AUC 0.800, threshold 0.550); what changed is the relation of age with city and age with income"
        in finding.message
    )


def test_what_columns_tell_by_themselves_is_not_told_again_but_a_relation_of_others_is() -> None:
    assert list(domain_findings(measurements(domain=told()), {"age", "city"})) == []
    assert len(list(domain_findings(measurements(domain=told()), {"city"}))) == 1
    parts = (ColumnPart(column="city", part=0.9), ColumnPart(column="age", part=0.1))
    (finding,) = domain_findings(measurements(domain=told(parts=parts)), {"city"})
    assert "the relation of age with income" in finding.message
    assert finding.next_step.startswith("Look at the columns first that have findings of their own")


def test_a_column_that_drifted_is_one_finding() -> None:
    window = measurements(domain=told(relations=()), drift=drift({"age": 0.3}))
    checks = [finding.check for finding in judge(window, baseline(), settings(), config_digest="c").findings]
    assert checks == ["drift.column"]


def test_a_harmless_drift_does_not_silence_a_changed_relation() -> None:
    unused = Reliance(shares={"age": 0.5, "income": 0.5, "city": 0.0}, fidelity=0.9)
    parts = (
        ColumnPart(column="city", part=0.8),
        ColumnPart(column="age", part=0.1),
        ColumnPart(column="income", part=0.1),
    )
    window = measurements(domain=told(parts=parts, relations=()), drift=drift({"city": 0.3}))
    verdict = judge(window, replace(baseline(), reliance=unused), settings(), config_digest="c")
    assert {(each.check, each.severity) for each in verdict.findings} == {
        ("drift.column", Severity.INFO), ("drift.multivariate", Severity.WARNING),
    }  # fmt: skip


def test_under_its_threshold_nothing_is_said() -> None:
    assert list(domain_findings(measurements(domain=told(0.54)))) == []
    assert list(domain_findings(measurements())) == []


def test_a_baseline_that_does_not_know_it_leaves_the_verdict_alone_and_a_window_that_cannot_be_compared_does_not() -> (
    None
):
    outcomes = [
        judge(
            measurements(unmeasured=(Unmeasured(part=part, reason="why"),)), baseline(), settings(), config_digest="c"
        ).outcome
        for part in ("multivariate drift", "drift of all columns at once")
    ]
    assert outcomes == [Outcome.HEALTHY, Outcome.INCONCLUSIVE]


def test_columns_that_the_model_does_not_use_are_information() -> None:
    unused = Reliance(shares={"age": 0.0, "income": 0.0, "city": 1.0}, fidelity=0.9)
    used = replace(unused, shares={"age": 0.6, "income": 0.0, "city": 0.4})
    severities = [next(domain_findings(measurements(domain=told()), (), each)).severity for each in (unused, used)]
    assert severities == [Severity.INFO, Severity.WARNING]
