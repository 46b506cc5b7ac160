"""What is recorded of a window: DESIGN's metric names, nothing that is no number, and every column under its own name."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.recorded import (
    NAME_MAX,
    decode_name,
    encode_name,
    encoded_columns,
    measurements_of,
    metrics_of,
    plain,
    verdict_json,
)
from retrue.recorded_gate import gate_html, gate_json, gate_metrics
from retrue.reports.gate import gate_markdown
from retrue.results import (
    ColumnDrift,
    ColumnKind,
    ColumnProfile,
    Condition,
    DriftResult,
    ExpectationOutcome,
    FailingInput,
    Finding,
    GateCheck,
    GateResult,
    Interval,
    Measurements,
    Outcome,
    Profile,
    PullReport,
    RealisedPerformance,
    Resources,
    SchemaDifference,
    Served,
    SetAside,
    Severity,
    SliceComparison,
    SystemHealth,
    Unmeasured,
    ValidationResult,
    Verdict,
)
from retrue.windows import Window
from tests.builders import estimate, failure_group

START = datetime(2013, 4, 4, tzinfo=UTC)
WINDOW = Window(model="flight-delay", start=START, end=START + timedelta(days=7))
PULL = PullReport(
    rows=6000, labelled_rows=5400, files_read=7, files_skipped=20, duplicates=3,
    set_aside=(SetAside(place="a.jsonl:3", reason="no JSON", count=2),), set_aside_share=0.001,
    input_digest="i", model_versions={"1": 6000}, lost=4, dropped={"queue_full": 5, "storage": 2},
)  # fmt: skip
FINDING = Finding(
    check="performance.roc_auc", scope="", severity=Severity.CRITICAL, value="0.58", threshold="0.60",
    message="roc_auc is 0.58, under 0.60.", next_step="retrain",
)  # fmt: skip
COLUMN = ColumnProfile(
    name="carrier", kind=ColumnKind.TEXT, type="string", rows=6000, nulls=0, null_share=0.0,
    categories={"canary@example.org": 1.0},
)  # fmt: skip

# MLflow 3.17: utils/validation.py, validate_param_and_metric_name and path_not_unique
TAKEN = re.compile(r"^[/\w.\- :]*$")


def measured(**changed: object) -> Measurements:
    column = ColumnDrift(column="dep_delay", method="wasserstein", score=0.21, threshold=0.1)
    base = Measurements(
        window=WINDOW, pull=PULL, model_version="1", baseline_digest="b",
        profile=Profile(rows=6000, columns={"carrier": COLUMN}),
        schema=SchemaDifference(missing=("gate",)),
        validation=ValidationResult(suite="flight-delay", outcomes=(
            ExpectationOutcome(kind="expect_x", column="a", success=True, severity=Severity.CRITICAL),
            ExpectationOutcome(kind="expect_y", column="a", success=None, severity=Severity.INFO, problem="KeyError"),
        )),
        drift=DriftResult(columns=(column,), unmeasurable=(), reference_rows=20000, current_rows=6000),
        performance=RealisedPerformance(
            metric="roc_auc", metrics={"roc_auc": Interval(value=0.58, low=0.56, high=0.6)},
            labelled_rows=5400, coverage_share=0.9,
        ),
        system=SystemHealth(error_share=0.01, latency_ms={"p50": 5.0, "p95": 20.0, "p99": 80.0}),
    )  # fmt: skip
    return replace(base, **changed)  # type: ignore[arg-type]


def verdict(outcome: Outcome = Outcome.BREACHED) -> Verdict:
    return Verdict(
        window=WINDOW,
        outcome=outcome,
        findings=(FINDING,) if outcome is Outcome.BREACHED else (),
        reasons=("no rows",) if outcome is Outcome.INCONCLUSIVE else (),
        model_version="1",
        input_digest="i",
        config_digest="c",
        baseline_digest="b",
    )


def test_metrics_have_the_names_of_the_design_and_their_values() -> None:
    metrics = metrics_of(measured(), verdict())
    assert list(metrics) == sorted(metrics)
    assert metrics.items() >= {
        "verdict.breached": 1.0,
        "verdict.inconclusive": 0.0,
        "findings.critical": 1.0,
        "rows": 6000.0,
        "quality.success_share": 0.5,
        "quality.unmet": 1.0,
        "schema.differences": 1.0,
        "drift.share": 1.0,
        "drift.dep_delay": 0.21,
        "performance.roc_auc.realised": 0.58,
        "performance.roc_auc.realised.low": 0.56,
        "performance.roc_auc.realised.high": 0.6,
        "labels.coverage_share": 0.9,
        "system.error_share": 0.01,
        "system.latency_ms.p50": 5.0,
        "system.latency_ms.p95": 20.0,
        "system.latency_ms.p99": 80.0,
        "source.duplicates": 3.0,
        "source.set_aside": 2.0,
        "source.lost": 4.0,
        "source.dropped": 7.0,
    }.items()  # fmt: skip


def test_an_estimate_has_metrics_beside_the_realised_ones() -> None:
    metrics = metrics_of(measured(estimate=estimate(0.66, 0.02)), verdict())
    assert (
        metrics.items()
        >= {
            "performance.roc_auc.realised": 0.58,
            "performance.roc_auc.estimated": 0.66,
            "estimate.unsupported_share": 0.01,
        }.items()
    )
    assert metrics["performance.roc_auc.estimated.low"] == pytest.approx(0.64)
    assert metrics["performance.roc_auc.estimated.high"] == pytest.approx(0.68)


def test_an_inconclusive_window_never_reads_as_healthy() -> None:
    metrics = metrics_of(measured(), verdict(Outcome.INCONCLUSIVE))
    assert "verdict.breached" not in metrics
    assert metrics["verdict.inconclusive"] == 1.0
    assert metrics_of(measured(), verdict(Outcome.HEALTHY))["verdict.breached"] == 0.0


def test_what_was_not_measured_has_no_metric() -> None:
    empty = replace(PULL, rows=0, labelled_rows=0)
    bare = measured(pull=empty, profile=None, schema=None, validation=None, drift=None, performance=None, system=None)
    families = {name.split(".")[0] for name in metrics_of(bare, verdict(Outcome.INCONCLUSIVE))}
    assert families == {"verdict", "findings", "rows", "labels", "source"}
    assert "labels.coverage_share" not in metrics_of(bare, verdict(Outcome.INCONCLUSIVE))


def test_failures_cost_and_parts_have_metrics_of_their_own() -> None:
    part = SystemHealth(error_share=0.5, latency_ms={"p95": 900.0}, cost_usd_per_1k=2.0, cost_usd=1.0)
    system = SystemHealth(
        error_share=0.25, error_shares={"crash": 0.2, "timeout": 0.05}, latency_ms={"p95": 40.0},
        request_bytes={"p50": 100.0}, inferences=400, cost_usd=0.5, cost_usd_per_1k=1.25, input_tokens=1000.0,
        output_tokens=50.0, output_tokens_per_inference=0.5, endpoints={"/a b": part}, versions={"3": part},
        generators={"large": part},
    )  # fmt: skip
    metrics = metrics_of(measured(system=system, failures=(failure_group(rows=7),)), verdict())
    assert metrics.items() >= {
        "system.error_share": 0.25, "system.error_share.crash": 0.2, "system.error_share.timeout": 0.05,
        "system.latency_ms.p95": 40.0, "system.request_bytes.p50": 100.0, "system.cost_usd": 0.5,
        "system.cost_usd_per_1k": 1.25, "system.input_tokens": 1000.0, "system.output_tokens": 50.0,
        "system.output_tokens_per_inference": 0.5, "failures.groups": 1.0, "failures.abc123": 7.0,
        "system.latency_ms.p95/:2f_a b": 900.0, "system.error_share/:2f_a b": 0.5,
        "system.latency_ms.p95.by_version/3": 900.0, "system.cost_usd_per_1k.by_generator/large": 2.0,
    }.items()  # fmt: skip
    assert all(TAKEN.fullmatch(name) for name in metrics)


def test_a_log_that_says_nothing_of_failures_records_no_number_of_groups() -> None:
    metrics = metrics_of(measured(system=SystemHealth(error_share=None, latency_ms={})), verdict())
    assert not any(name.startswith(("failures", "system")) for name in metrics)


def test_what_serving_processes_used_has_metrics_and_is_in_the_json() -> None:
    used = Resources(
        samples=9, processes=2, cpu_cores={"p50": 0.1, "p95": 0.9, "max": 1.2}, memory_bytes=2e9, connections=0.0
    )
    measurements = measured(system=SystemHealth(error_share=None, latency_ms={}, resources=used))
    recorded = {
        name: value for name, value in metrics_of(measurements, verdict()).items() if name.startswith("system.")
    }
    assert recorded == {
        "system.processes": 2.0, "system.cpu_cores.p50": 0.1, "system.cpu_cores.p95": 0.9, "system.cpu_cores.max": 1.2,
        "system.memory_bytes.max": 2e9, "system.connections.max": 0.0,
    }  # fmt: skip
    document = json.loads(json.dumps(verdict_json(verdict(), measurements, revision=1), allow_nan=False))
    assert document["measurements"]["system"]["resources"]["memory_bytes"] == 2e9
    assert document["measurements"]["system"]["resources"]["gpu_share"] is None
    assert document["measurements"]["pull"]["dropped"] == {"queue_full": 5, "storage": 2}


def test_groups_with_their_inputs_and_what_was_served_are_in_the_json() -> None:
    inputs = FailingInput(
        conditions=(Condition(column="visib", relation="is missing"),),
        ratio=Interval(value=3.0, low=2.0, high=4.0), inside_share=0.3, outside_share=0.1, rows=50, failures=15,
    )  # fmt: skip
    served = Served(model_version="3", endpoint="/p", generator="", rows=5, weight=5.0, error_share=0.2)
    system = SystemHealth(error_share=0.2, latency_ms={}, served=(served,), inputs=(inputs,))
    document = verdict_json(verdict(), measured(system=system, failures=(failure_group(inputs=(inputs,)),)), revision=1)
    json.dumps(document, allow_nan=False)
    measurements = document["measurements"]
    assert isinstance(measurements, dict)
    (group,) = measurements["failures"]  # type: ignore[misc]
    assert group["id"] == "abc123"  # type: ignore[call-overload,index]
    assert group["inputs"] == measurements["system"]["inputs"]  # type: ignore[call-overload,index]
    assert measurements["system"]["served"][0]["endpoint"] == "/p"  # type: ignore[call-overload,index]


def test_an_infinite_score_is_in_the_json_and_not_among_the_metrics() -> None:
    column = ColumnDrift(column="a", method="kl_div", score=float("inf"), threshold=0.1)
    drift = DriftResult(columns=(column,), unmeasurable=(), reference_rows=9, current_rows=9)
    document = verdict_json(verdict(), measured(drift=drift), revision=1)
    assert "drift.a" not in document["metrics"]  # type: ignore[operator]
    assert json.loads(json.dumps(document, allow_nan=False))["measurements"]["drift"]["columns"][0]["score"] == "inf"


def test_the_verdict_holds_everything_measured_but_no_category_value() -> None:
    document = verdict_json(verdict(), measured(unmeasured=(Unmeasured(part="x", reason="y"),)), revision=2)
    text = json.dumps(document, allow_nan=False)
    assert "canary@example.org" not in text
    assert (document["schema"], document["revision"], document["outcome"]) == (1, 2, "breached")
    assert document["window"] == {"start": "2013-04-04T00:00:00+00:00", "end": "2013-04-11T00:00:00+00:00"}
    parts = json.loads(text)["measurements"]
    assert parts["pull"]["set_aside"] == [{"place": "a.jsonl:3", "reason": "no JSON", "count": 2}]
    assert parts["profile"]["columns"]["carrier"]["kind"] == "text"
    assert parts["unmeasured"] == [{"part": "x", "reason": "y"}]
    assert json.loads(text)["findings"][0]["severity"] == "critical"


def test_a_column_whose_metric_is_called_otherwise_is_named_in_the_json() -> None:
    hostile = "</script><script>alert(1)</script>"
    column = ColumnDrift(column=hostile, method="psi", score=0.5, threshold=0.1)
    drift = DriftResult(columns=(column,), unmeasurable=(), reference_rows=9, current_rows=9)
    names = encoded_columns(measured(drift=drift))
    assert list(names.values()) == [hostile]
    assert next(iter(names)) in metrics_of(measured(drift=drift), verdict())
    assert verdict_json(verdict(), measured(drift=drift), revision=1)["metric_names"] == names
    assert encoded_columns(measured()) == {}


@given(st.text(max_size=40) | st.sampled_from(["share", "a/b", "a//b", "../a", "/", ".", "", "a:b", "a::b", ":2f_"]))
def test_a_column_can_be_read_back_from_its_metric_name(column: str) -> None:
    assert decode_name(encode_name(column)) == column


@given(st.lists(st.text(alphabet="ab /.:_<\n%é²", max_size=300), min_size=2, max_size=6, unique=True))
def test_metric_names_are_different_and_mlflow_takes_them(columns: list[str]) -> None:
    import posixpath

    names = [encode_name(column) for column in columns]
    assert len({*names, "drift.share"}) == len(columns) + 1
    for name in names:
        assert TAKEN.match(name)
        assert "\n" not in name
        assert len(name) <= NAME_MAX
        assert posixpath.normpath(name) == name


def test_plain_names_stay_as_they_are() -> None:
    for column in ("dep_delay", "Flug-Verspätung", "a b.c", "group/column"):
        assert encode_name(column) == f"drift.{column}"


def test_long_names_are_cut_and_still_differ() -> None:
    first, second = encode_name("x" * 400), encode_name("x" * 401)
    assert len(first) == len(second) == NAME_MAX
    assert first != second
    assert decode_name(first) is None


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


GATE = GateResult(
    metric="roc_auc", rows=5000, champion=0.61, challenger=0.64, gain=Interval(value=0.03, low=0.01, high=0.05),
    slices=(SliceComparison(name="origin=<b>", rows=800, gain=Interval(value=-0.05, low=-0.09, high=-0.01)),),
    refusals=("origin=<b> loses up to 0.09",),
)  # fmt: skip


def test_a_gate_is_recorded_with_its_slices_and_refusals() -> None:
    metrics = gate_metrics(GATE)
    assert metrics["gate.passed"] == 0.0
    assert metrics["gate.gain.low"] == 0.01
    assert metrics["gate.slice.origin:3d_:3c_b:3e_"] == -0.05
    assert json.loads(json.dumps(gate_json(GATE, None)))["gate"]["slices"][0]["name"] == "origin=<b>"
    page = gate_html(GATE)
    assert "refused" in page
    assert "origin=&lt;b&gt; loses" in page
    assert "<b>" not in page


def test_a_gate_of_small_errors_is_shown_with_digits() -> None:
    gain = Interval(value=3e-7, low=1.25e-7, high=5e-7)
    small = replace(GATE, metric="mae", champion=2.31e-6, challenger=2.01e-6, gain=gain, slices=(), refusals=())
    page = gate_html(small)
    assert "champion 2.31e-06, challenger 2.01e-06" in page
    assert "<td>+3e-07<td>+1.25e-07 … +5e-07" in page
    assert "| +3e-07 [+1.25e-07, +5e-07] mae |" in gate_markdown("", small)
    assert "champion 0.6100, challenger 0.6400" in gate_html(GATE)


def test_a_gate_records_what_its_intervals_are_drawn_from() -> None:
    by_day = replace(GATE, resample="1d", blocks=21)
    assert gate_metrics(by_day)["gate.blocks"] == 21
    assert "gate.blocks" not in gate_metrics(GATE)
    assert json.loads(json.dumps(gate_json(by_day, None)))["gate"]["blocks"] == 21
    assert "bootstrap of 21 blocks of 1d" in gate_html(by_day)
    assert "as if each were independent" in gate_html(GATE)


def test_a_gate_records_what_else_a_challenger_was_held_to() -> None:
    kept = GateCheck(name="size", what="model file in <MB>", value=1.5, limit=2.0)
    unmeasured = GateCheck(name="latency", what="time", value=None, limit=2.0, refusal="latency cannot be compared")
    held = GATE.held_to([kept, unmeasured])
    metrics = gate_metrics(held)
    assert metrics["gate.size"] == 1.5
    assert "gate.latency" not in metrics
    page = gate_html(held)
    assert "<td>model file in &lt;MB&gt;<td>1.5<td>2<td>kept" in page
    assert "<td>time<td>not measured<td>2<td>refuses" in page
    assert "latency cannot be compared" in page
    assert "| model file in &lt;MB&gt; | 1.5 | 2 |" in gate_markdown("refused", held)


@pytest.mark.parametrize(
    ("test", "words"), [("mcnemar", "McNemar's exact test"), ("sequence", "a confidence sequence of the blocks' gains")]
)
def test_a_gate_says_which_test_its_intervals_are_of(test: str, words: str) -> None:
    assert words in gate_html(replace(GATE, test=test))


def test_a_challenger_that_could_not_be_compared_is_recorded_without_numbers() -> None:
    refused = replace(GATE, champion=None, challenger=None, gain=None, slices=(), refusals=("12 rows are too few",))
    assert gate_metrics(refused) == {"gate.passed": 0.0, "gate.rows": 5000.0}
    assert "12 rows are too few" in gate_html(refused)


def test_measurements_are_read_back_as_they_were_but_for_categories() -> None:
    plain_column = replace(
        COLUMN, categories=None, kind=ColumnKind.NUMBER, quantiles=((0.5, 1.5), (0.95, float("inf")))
    )
    profile = Profile(rows=6000, columns={"<b>": plain_column})
    waiting = (Unmeasured(part="labels", reason="3% of labels have arrived"),)
    everything = measured(profile=profile, failures=(failure_group(),), unmeasured=waiting)
    for before in (everything, measured(profile=None, performance=None, system=None, drift=None)):
        document = json.loads(json.dumps(verdict_json(verdict(), before, revision=1, measuring_digest="m")))
        assert document["digests"]["measuring"] == "m"
        assert measurements_of(document) == before
