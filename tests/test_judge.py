from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.judge import judge
from retrue.results import (
    ColumnDrift,
    ColumnKind,
    Condition,
    ExpectationOutcome,
    FailingInput,
    Interval,
    Measurements,
    Outcome,
    Resources,
    SchemaDifference,
    SetAside,
    Severity,
    SystemHealth,
    Unmeasured,
    ValidationResult,
)
from tests.builders import (
    baseline,
    drift,
    failure_group,
    measurements,
    number,
    performance,
    profile,
    pull,
    settings,
    text,
)
from tests.judging import checks, judged


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


def test_errors_and_latency_are_judged_against_their_bounds() -> None:
    health = SystemHealth(error_share=0.02, latency_ms={"p95": 300.0})
    verdict = judged(measurements(system=health), settings(system={"latency_p95_ms": 200}))
    assert [name for name, _, _ in checks(verdict)] == ["system.errors", "system.latency_p95"]


def test_each_kind_of_failure_cost_and_tokens_have_their_own_bound() -> None:
    health = SystemHealth(
        error_share=0.009,
        error_shares={"crash": 0.0, "timeout": 0.004, "authentication": 0.003, "rejected": 0.002},
        latency_ms={},
        cost_usd=12.5,
        cost_usd_per_1k=0.4,
        output_tokens_per_inference=350.0,
    )
    bounds = {
        "max_timeout_share": 0.003,
        "max_authentication_share": 0.002,
        "max_rejected_share": 0.002,
        "max_cost_usd": 10,
        "max_cost_usd_per_1k": 0.5,
        "max_output_tokens_per_inference": 300,
    }
    verdict = judged(measurements(system=health), settings(system=bounds))
    assert checks(verdict) == [
        ("system.authentication", "", Severity.WARNING),
        ("system.cost", "", Severity.WARNING),
        ("system.timeouts", "", Severity.WARNING),
        ("system.tokens", "", Severity.WARNING),
    ]
    assert verdict.findings[1].message == "The window's inferences cost $12.50, over $10.00."


def test_what_a_serving_process_uses_has_bounds_of_the_whole_window() -> None:
    used = Resources(
        samples=9, processes=1, cpu_cores={"p50": 1.0, "p95": 1.9, "max": 3.0}, memory_bytes=2.5e9, connections=400.0
    )
    idle = SystemHealth(error_share=0.0, latency_ms={"p95": 20.0})
    health = SystemHealth(error_share=0.0, latency_ms={}, resources=used, endpoints={"/predict": idle})
    own = {"endpoints": {"/predict": {"latency_p95_ms": 30}}}
    bounds = {"max_cpu_cores": 1.5, "max_memory_gb": 2, "max_connections": 300, **own}
    verdict = judged(measurements(system=health), settings(system=bounds))
    assert [each.message for each in verdict.findings] == [
        "A serving process had 400 connections open, over 300 connections.",
        "A serving process uses 1.9 cores at p95, over 1.5 cores.",
        "A serving process held 2.5 GB of memory, over 2 GB.",
    ]
    wide = {"max_cpu_cores": 2, "max_memory_gb": 4, "max_connections": 400, **own}
    assert judged(measurements(system=health), settings(system=wide)).outcome is Outcome.HEALTHY


def test_a_bound_of_processes_that_nobody_sampled_is_no_pass() -> None:
    health = SystemHealth(error_share=0.0, latency_ms={})
    verdict = judged(measurements(system=health), settings(system={"max_memory_gb": 2}))
    assert (verdict.outcome, verdict.reasons) == (
        Outcome.INCONCLUSIVE,
        ("memory could not be measured: no process sampled it",),
    )


def test_an_endpoint_and_a_generator_are_judged_by_their_own_bounds() -> None:
    slow = SystemHealth(error_share=0.2, latency_ms={"p95": 4000.0})
    quick = SystemHealth(error_share=0.0, latency_ms={"p95": 20.0})
    health = SystemHealth(
        error_share=0.005,
        latency_ms={"p95": 90.0},
        endpoints={"/generate": slow, "/predict": quick},
        generators={"large": slow},
    )
    system = {
        "endpoints": {"/generate": {"latency_p95_ms": 3000}, "/predict": {"latency_p95_ms": 30}},
        "generators": {"large": {"max_error_share": 0.1}},
    }
    verdict = judged(measurements(system=health), settings(system=system))
    assert checks(verdict) == [
        ("system.errors", "generator large", Severity.CRITICAL),
        ("system.latency_p95", "/generate", Severity.WARNING),
    ]
    assert verdict.findings[1].message == "Latency p95 at /generate is 4,000 ms, over 3,000 ms."


def test_an_endpoint_with_bounds_and_no_traffic_is_told_with_the_nearest_name() -> None:
    health = SystemHealth(
        error_share=0.0, latency_ms={}, endpoints={"/generate": SystemHealth(error_share=0.0, latency_ms={})}
    )
    verdict = judged(measurements(system=health), settings(system={"endpoints": {"/generat": {"latency_p95_ms": 30}}}))
    assert checks(verdict) == [("system.traffic", "/generat", Severity.INFO)]
    assert "did you mean '/generate'?" in verdict.findings[0].message


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ({"max_error_share": 0.02}, "the share of failures could not be measured: no row has a status"),
        ({"max_timeout_share": 0.02}, "the share of failures could not be measured: no row has a status"),
        ({"failures": {"max_share": 0.02}}, "failure groups could not be measured: no row has a status"),
        ({"latency_p99_ms": 100}, "latency p99 could not be measured: no row has a latency_ms"),
        ({"max_cost_usd": 1, "max_cost_usd_per_1k": 1}, "cost could not be measured: no row has a cost_usd"),
        (
            {"max_output_tokens_per_inference": 9},
            "the number of output tokens could not be measured: no row has output_tokens",
        ),
        (
            {"endpoints": {"/a": {"latency_p50_ms": 9}}},
            "latency p50 at /a could not be measured: no row has a latency_ms",
        ),
    ],
)
def test_a_bound_that_nothing_in_the_log_can_be_held_against_is_no_pass(system: dict[str, object], reason: str) -> None:
    silent = SystemHealth(error_share=None, latency_ms={})
    health = replace(silent, endpoints={"/a": silent})
    verdict = judged(measurements(system=health), settings(system=system))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (reason,)


@pytest.mark.parametrize("system", [{}, {"max_error_share": None}])
def test_a_log_without_status_is_told_where_nobody_asked_for_a_bound(system: dict[str, object]) -> None:
    health = SystemHealth(error_share=None, latency_ms={})
    verdict = judged(measurements(system=health), settings(system=system))
    assert (verdict.outcome, checks(verdict)) == (Outcome.HEALTHY, [("system.status", "", Severity.INFO)])


@pytest.mark.parametrize(
    ("rows", "share", "severity"),
    [(4, 0.004, Severity.INFO), (5, 0.005, Severity.WARNING), (60, 0.06, Severity.CRITICAL)],
)
def test_a_failure_group_is_a_finding_of_its_size(rows: int, share: float, severity: Severity) -> None:
    health = SystemHealth(error_share=share, latency_ms={}, inferences=1000)
    failing = measurements(system=health, failures=(failure_group(rows=rows, weight=float(rows), share=share),))
    of = settings(system={"max_error_share": None, "failures": {"max_share": 0.05}})
    assert checks(judged(failing, of)) == [("failure.group", "abc123", severity)]


def test_a_failure_group_is_told_in_a_sentence() -> None:
    inputs = FailingInput(
        conditions=(
            Condition(column="origin", relation="=", value="EWR"),
            Condition(column="visib", relation="is missing"),
        ),
        ratio=Interval(value=34.2, low=28.0, high=41.0), inside_share=0.7, outside_share=0.02, rows=300, failures=210,
    )  # fmt: skip
    health = SystemHealth(error_share=0.048, latency_ms={}, inferences=6500)
    group = failure_group(
        rows=312, weight=312.0, share=0.048, frames=("serve.predict", "features.lookup"), samples=("a;b", "id-7"),
        traces=("t1",), inputs=(inputs,),
    )  # fmt: skip
    verdict = judged(measurements(system=health, failures=(group,)), settings(system={"max_error_share": 0.5}))
    (finding,) = verdict.findings
    assert finding.message == (
        "KeyError 'no weather for <*>' in features.lookup: 312 of 6,500 inferences (4.8 %),"
        " fails 34x more when origin = EWR and visib is missing."
    )
    assert finding.next_step == "Run `retrue reproduce id-7`, or look at trace t1."


def test_failures_are_judged_where_a_version_has_no_baseline_yet() -> None:
    health = SystemHealth(error_share=0.9, latency_ms={}, inferences=1000)
    failing = measurements(system=health, failures=(failure_group(rows=900, weight=900.0, share=0.9),))
    verdict = judge(failing, None, settings(), config_digest="config")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert [name for name, _, _ in checks(verdict)] == ["system.errors", "failure.group"]


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


def test_a_window_with_too_few_rows_to_see_a_large_shift_is_inconclusive_for_that_column() -> None:
    small = ColumnDrift(column="temp", method="wasserstein", score=0.2, threshold=1.4, chance=0.9, blind="window")
    found = judged(measurements(drift=replace(drift({}), columns=(small,))))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reasons == ("too few rows: a shift of one standard deviation of temp would have passed unseen",)
    drifted = replace(small, score=1.5)
    assert judged(measurements(drift=replace(drift({}), columns=(drifted,)))).outcome is Outcome.BREACHED


def test_a_baseline_whose_own_windows_differ_is_told_and_blocks_nothing() -> None:
    wide = ColumnDrift(column="temp", method="wasserstein", score=0.2, threshold=2.4, chance=0.9, blind="baseline")
    found = judged(measurements(drift=replace(drift({}), columns=(wide,))))
    assert found.outcome is Outcome.HEALTHY
    assert [(each.check, each.value) for each in found.findings] == [("drift.blind", "1")]


def test_drift_is_told_with_how_rare_it_is_and_fixed_thresholds_are_told_as_such() -> None:
    rare = ColumnDrift(column="temp", method="wasserstein", score=0.4, threshold=0.2, chance=1 / 2500)
    measured = replace(drift({}), columns=(rare,), uncalibrated="this baseline was never calibrated")
    found = {each.check: each for each in judged(measurements(drift=measured)).findings}
    assert found["drift.column"].excess == 2
    assert found["drift.column"].message == (
        "temp has drifted: wasserstein 0.400, threshold 0.2; without drift a column is so far out in one window of 2,500."
    )
    assert found["drift.uncalibrated"].severity is Severity.INFO
