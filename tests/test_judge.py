import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.config import ModelSettings
from retrue.judge import judge
from retrue.results import (
    ColumnKind,
    ExpectationOutcome,
    Measurements,
    Outcome,
    SchemaDifference,
    SetAside,
    Severity,
    SystemHealth,
    Unmeasured,
    ValidationResult,
    Verdict,
)
from tests.builders import baseline, drift, measurements, number, performance, profile, pull, settings, text


def judged(measured: Measurements, of: ModelSettings | None = None) -> Verdict:
    return judge(measured, baseline(), of or settings(), config_digest="config")


def checks(verdict: Verdict) -> list[tuple[str, str, Severity]]:
    return [(finding.check, finding.scope, finding.severity) for finding in verdict.findings]


def test_a_window_like_its_baseline_is_healthy() -> None:
    verdict = judged(measurements())
    assert (verdict.outcome, verdict.findings, verdict.reasons) == (Outcome.HEALTHY, (), ())


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (measurements(pull=pull(rows=0, model_versions={})), "no rows"),
        (measurements(pull=pull(rows=1)), "1 rows, under min_rows 500"),
        (measurements(pull=pull(set_aside_share=0.011, set_aside=(SetAside(place="a", reason="torn"),))), "1.1%"),
    ],
)
def test_a_window_that_cannot_be_judged_is_inconclusive_whatever_else_was_found(
    measured: Measurements, reason: str
) -> None:
    verdict = judged(measured)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert reason in verdict.line


def test_a_version_without_a_baseline_is_inconclusive() -> None:
    verdict = judge(measurements(), None, settings(), config_digest="config")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "retrue baseline m" in verdict.line


def test_one_percent_set_aside_is_told_and_the_rest_judged() -> None:
    verdict = judged(measurements(pull=pull(set_aside_share=0.01, set_aside=(SetAside(place="a:3", reason="torn"),))))
    assert verdict.outcome is Outcome.HEALTHY
    assert checks(verdict) == [("source.set_aside", "", Severity.INFO)]


def test_schema_changes_are_graded() -> None:
    schema = SchemaDifference(
        missing=("temp",), extra=("new",), retyped=(("carrier", ColumnKind.TEXT, ColumnKind.NUMBER),)
    )
    assert checks(judged(measurements(schema=schema))) == [
        ("schema.missing", "temp", Severity.CRITICAL),
        ("schema.retyped", "carrier", Severity.CRITICAL),
        ("schema.extra", "new", Severity.INFO),
    ]


@pytest.mark.parametrize(
    ("column", "check", "severity"),
    [
        (number(nulls=500, null_share=0.5), "quality.nulls", Severity.WARNING),
        (number(nulls=1000, null_share=1.0, distinct=0), "quality.nulls", Severity.CRITICAL),
        (number(infinities=20, infinite_share=0.02), "quality.infinite", Severity.WARNING),
        (number(distinct=1), "quality.constant", Severity.WARNING),
        (text(unseen=500, unseen_share=0.5), "quality.unseen", Severity.WARNING),
    ],
)
def test_each_quality_breach_is_its_own_finding(column: object, check: str, severity: Severity) -> None:
    now = profile(*[column])  # type: ignore[list-item]
    found = checks(judged(measurements(profile=now)))
    assert [(name, grade) for name, _, grade in found] == [(check, severity)]


def test_a_rise_of_nulls_within_its_bound_is_no_finding() -> None:
    assert judged(measurements(profile=profile(number(nulls=50, null_share=0.05)))).outcome is Outcome.HEALTHY


def test_drift_is_found_at_its_threshold_and_predictions_have_their_own_check() -> None:
    verdict = judged(measurements(drift=drift({"temp": 0.1, "carrier": 0.0999, "score": 0.3})))
    assert [(name, scope) for name, scope, _ in checks(verdict)] == [
        ("drift.column", "temp"),
        ("drift.prediction", "score"),
    ]


def test_a_share_of_drifted_columns_is_judged_where_one_is_set() -> None:
    measured = measurements(drift=drift({"temp": 0.2, "carrier": 0.2, "x": 0.0}))
    assert "drift.share" in judged(measured, settings(drift={"max_share": 0.5})).line
    assert "drift.share" not in judged(measured).line


@pytest.mark.parametrize(
    ("value", "half", "severity"), [(0.59, 0.02, Severity.WARNING), (0.55, 0.02, Severity.CRITICAL)]
)
def test_a_metric_below_its_bound_is_critical_only_when_its_interval_is(
    value: float, half: float, severity: Severity
) -> None:
    verdict = judged(measurements(performance=performance(value, half)), settings(performance={"min": 0.6}))
    assert checks(verdict) == [("performance.realised", "roc_auc", severity)]


def test_a_drop_from_the_baseline_is_found_and_an_improvement_is_not() -> None:
    only_drop = settings(performance={"max_drop": 0.05})
    assert checks(judged(measurements(performance=performance(0.60, 0.02)), only_drop)) == [
        ("performance.drop", "roc_auc", Severity.WARNING)
    ]
    assert judged(measurements(performance=performance(0.80)), only_drop).outcome is Outcome.HEALTHY


def test_a_loss_is_bounded_from_above() -> None:
    of = settings(task="regression", performance={"metric": "rmse", "max": 2.0})
    assert "performance.realised" in judged(measurements(performance=performance(2.1, 0.01, "rmse")), of).line
    assert judged(measurements(performance=performance(1.9, 0.01, "rmse")), of).outcome is Outcome.HEALTHY


def test_errors_and_latency_are_judged_against_their_bounds() -> None:
    health = SystemHealth(error_share=0.02, latency_ms={"p95": 300.0})
    verdict = judged(measurements(system=health), settings(system={"latency_p95_ms": 200}))
    assert [name for name, _, _ in checks(verdict)] == ["system.errors", "system.latency_p95"]


def test_waiting_for_labels_is_told_but_does_not_make_a_window_inconclusive() -> None:
    waiting = (Unmeasured(part="labels", reason="3% of labels have arrived"),)
    verdict = judged(measurements(performance=None, unmeasured=waiting))
    assert (verdict.outcome, checks(verdict)) == (Outcome.HEALTHY, [("labels.coverage", "", Severity.INFO)])


def test_what_could_not_be_measured_makes_a_healthy_window_inconclusive() -> None:
    one_class = (Unmeasured(part="performance", reason="labels of one class only"),)
    verdict = judged(measurements(performance=None, unmeasured=one_class))
    assert (verdict.outcome, verdict.reasons) == (
        Outcome.INCONCLUSIVE,
        ("performance could not be measured: labels of one class only",),
    )


def test_an_unmeasurable_column_is_inconclusive_unless_a_finding_explains_it() -> None:
    gone = drift({}, unmeasurable=(("temp", "all null"),))
    assert judged(measurements(drift=gone)).outcome is Outcome.INCONCLUSIVE
    explained = judged(measurements(drift=gone, schema=SchemaDifference(missing=("temp",))))
    assert (explained.outcome, explained.reasons) == (Outcome.BREACHED, ())


def test_expectations_carry_their_severity_and_those_that_raised_are_not_passed() -> None:
    outcomes = (
        ExpectationOutcome(kind="expect_a", column="temp", success=False, severity=Severity.INFO, why="it matters"),
        ExpectationOutcome(kind="expect_b", column="wind", success=None, severity=Severity.INFO, problem="no column"),
    )
    verdict = judged(measurements(validation=ValidationResult(suite="s", outcomes=outcomes)))
    assert checks(verdict) == [("expectation.expect_a", "temp", Severity.INFO)]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "it matters" in verdict.findings[0].next_step


def test_the_gravest_findings_come_first() -> None:
    schema = SchemaDifference(missing=("temp",), extra=("a",))
    severities = [finding.severity for finding in judged(measurements(schema=schema, drift=drift({"z": 1.0}))).findings]
    assert severities == [Severity.CRITICAL, Severity.WARNING, Severity.INFO]


@given(st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_stricter_threshold_never_finds_less(score: float, one: float, other: float) -> None:
    def found(threshold: float) -> bool:
        of = settings(performance={"max_drop": threshold})
        return judged(measurements(performance=performance(score, 0.0)), of).outcome is Outcome.BREACHED

    strict, lax = sorted((one, other))
    assert found(strict) or not found(lax)


def test_the_key_of_a_verdict_moves_with_input_config_and_baseline_only() -> None:
    verdict = judged(measurements())
    again = judged(measurements(performance=performance(0.5)))
    later = judge(measurements(pull=pull(input_digest="more")), baseline(), settings(), config_digest="config")
    other = judge(measurements(), baseline(), settings(), config_digest="other")
    assert verdict.key == again.key
    assert len({verdict.key, later.key, other.key}) == 3


def test_a_latency_bound_without_latencies_is_not_met_silently() -> None:
    bounded = settings(system={"latency_p95_ms": 200})
    verdict = judged(measurements(system=SystemHealth(error_share=0.0, latency_ms={})), bounded)
    assert (verdict.outcome, verdict.findings) == (Outcome.INCONCLUSIVE, ())
    assert "latency p95 could not be measured" in verdict.line


def test_a_drop_that_has_nothing_to_be_compared_with_is_told() -> None:
    verdict = judge(measurements(), baseline(performance=None), settings(), config_digest="config")
    assert (verdict.outcome, checks(verdict)) == (
        Outcome.HEALTHY,
        [("performance.reference", "roc_auc", Severity.INFO)],
    )
