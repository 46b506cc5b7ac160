"""A window with everything in it, for the report tests; ``python tests/reports/sample.py DIR`` writes its pages to look at."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrue.failures.stories import FailureStory, GroupText, Sighting, story_of
from retrue.reports import render_markdown, render_message, render_quality, render_summary
from retrue.results import (
    Attribution,
    Change,
    ColumnDrift,
    ColumnKind,
    ColumnProfile,
    Condition,
    DriftResult,
    ExpectationOutcome,
    FailingInput,
    Finding,
    HistoryPoint,
    Incident,
    IncidentChange,
    Interval,
    Measurements,
    Moved,
    Outcome,
    Part,
    Profile,
    PullReport,
    RealisedPerformance,
    Resources,
    SchemaDifference,
    Served,
    SetAside,
    Severity,
    Slice,
    SlicePart,
    Slices,
    SystemHealth,
    ValidationResult,
    Verdict,
)
from retrue.windows import Window

START = datetime(2013, 9, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
CATEGORY = "canary-category-51c9"
WINDOW = Window(model="flight-delay", start=START, end=START + WEEK)

FINDINGS = (
    Finding(
        check="performance.realised",
        scope="roc_auc",
        severity=Severity.CRITICAL,
        value="0.588 (0.569 to 0.607)",
        threshold="0.6",
        message="Realised roc_auc is 0.588, below 0.6.",
        next_step="Compare drift.html and the slices; retrain if the world has changed, mend the features if they have.",
    ),
    Finding(
        check="quality.nulls",
        scope="wind_gust",
        severity=Severity.WARNING,
        value="71.4%",
        threshold="5.0%",
        message="71.4% of wind_gust is null, 0.0% in the baseline.",
        next_step="Check the source of this feature and any join it comes from.",
    ),
    Finding(
        check="source.set_aside",
        scope="",
        severity=Severity.INFO,
        value="0.12%",
        threshold="1.00%",
        message="8 lines or files could not be read: part-3.jsonl:17, part-3.jsonl:18.",
        next_step="Look at what wrote these files; the rest of the window was judged.",
    ),
)


def column(
    name: str, *, kind: ColumnKind = ColumnKind.NUMBER, type_name: str = "DOUBLE", **values: object
) -> ColumnProfile:
    known: dict[str, object] = {"rows": 6431, "nulls": 0, "null_share": 0.0, "distinct": 512}
    return ColumnProfile(name=name, kind=kind, type=type_name, **(known | values))  # type: ignore[arg-type]


PROFILE = Profile(
    rows=6431,
    columns={
        each.name: each
        for each in (
            column("distance", minimum=80, maximum=4983, mean=1039.9, sd=733.2, distinct=214),
            column("wind_gust", nulls=4592, null_share=0.714, minimum=18.4, maximum=57.5, mean=25.5, sd=5.95),
            column("temp", minimum=-12.2, maximum=37.8, mean=21.06, sd=4.9, infinities=3, infinite_share=0.0005),
            column("origin", kind=ColumnKind.TEXT, type_name="VARCHAR", distinct=4, unseen=129, unseen_share=0.02,
                   categories={CATEGORY: 1.0}),
            column("late", kind=ColumnKind.BOOLEAN, type_name="BOOLEAN", distinct=2),
            column("pressure", nulls=6431, null_share=1.0, distinct=0),
        )
    },
)  # fmt: skip

BASELINE = Profile(
    rows=80000,
    columns={
        **PROFILE.columns,
        "wind_gust": column("wind_gust", minimum=18.4, maximum=66.7, mean=25.1, sd=6.1),
        "pressure": column("pressure", minimum=983.8, maximum=1042.1, mean=1017.9, sd=7.4),
    },
)


def outcome(kind: str, column_name: str | None, success: bool | None, **values: object) -> ExpectationOutcome:
    known: dict[str, object] = {"severity": Severity.WARNING}
    return ExpectationOutcome(kind=kind, column=column_name, success=success, **(known | values))  # type: ignore[arg-type]


VALIDATION = ValidationResult(
    suite="flight-delay",
    outcomes=(
        outcome("expect_table_row_count_to_be_between", None, True, severity=Severity.CRITICAL, observed="6,431",
                expected="at least 1,600", why="A quarter of a usual week must be there."),
        outcome("expect_column_values_to_not_be_null", "wind_gust", False, observed="4,592 of 6,431 rows null (71.4%)",
                expected="not null for 95% of rows", why="0.00% of 80,000 reference rows are null; 5% more may be."),
        outcome("expect_column_values_to_be_between", "distance", True, observed="0 of 6,431 values unexpected (0%)",
                expected="between 0 and 5,500 for 99.9% of values", why="The reference lies in 80 to 4,983."),
        outcome("expect_column_mean_to_be_between", "pressure", None, expected="between 1,000 and 1,030",
                problem="nothing_to_measure: no value but nulls"),
    ),
)  # fmt: skip

MEASUREMENTS = Measurements(
    window=WINDOW,
    pull=PullReport(
        rows=6431,
        labelled_rows=6290,
        files_read=7,
        files_skipped=42,
        duplicates=12,
        set_aside=(
            SetAside(place="part-3.jsonl:17", reason="no JSON object"),
            SetAside(place="part-4.parquet", reason="truncated Parquet footer", count=7),
        ),
        set_aside_share=0.0012,
        input_digest="4c1d" * 16,
        model_versions={"1": 6100, "2": 331},
    ),
    model_version="1",
    baseline_digest="77aa" * 16,
    profile=PROFILE,
    schema=SchemaDifference(
        missing=("precip",), extra=("gate",), retyped=(("visib", ColumnKind.NUMBER, ColumnKind.TEXT),)
    ),
    validation=VALIDATION,
    drift=DriftResult(
        columns=(
            ColumnDrift(column="temp", method="wasserstein", score=1.42, threshold=0.1),
            ColumnDrift(column="distance", method="wasserstein", score=0.031, threshold=0.1),
            ColumnDrift(column="origin", method="jensenshannon", score=0.012, threshold=0.1),
        ),
        unmeasurable=(("pressure", "nothing but nulls"),),
        reference_rows=20000,
        current_rows=6431,
    ),
    performance=RealisedPerformance(
        metric="roc_auc",
        metrics={"roc_auc": Interval(value=0.588, low=0.569, high=0.607)},
        labelled_rows=6290,
        coverage_share=0.978,
    ),
    system=SystemHealth(error_share=0.0031, latency_ms={"p50": 11.2, "p95": 48.9, "p99": 131.0}),
)


def between(value: float, half: float) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def part(column: str, relation: str, value: str) -> Condition:
    return Condition(column=column, relation=relation, value=value)


SPLIT = Attribution(
    measure="roc_auc",
    before=0.661,
    after=0.588,
    total=between(-0.073, 0.021),
    inputs=between(-0.052, 0.014),
    relation=between(-0.021, 0.017),
    unsupported=None,
    unsupported_share=0.004,
    loss="log_loss",
    loss_total=between(0.094, 0.012),
    features=(
        Part(name="temp", change=between(0.041, 0.006)),
        Part(name="dest", change=between(0.018, 0.004)),
        Part(name="distance", change=between(0.002, 0.003)),
    ),
    remainder=0.004,
    slices=(
        SlicePart(name="origin = EWR", total=0.061, inputs=0.050, relation=0.011),
        SlicePart(name="origin = JFK", total=0.024, inputs=0.012, relation=0.012),
        SlicePart(name="origin = LGA", total=0.009, inputs=0.003, relation=0.006),
    ),
    rows_before=10_000,
    rows_after=6290,
)
SLICES = Slices(
    loss="log_loss",
    rows=6290,
    tested=19,
    slices=(
        Slice(conditions=(part("origin", "=", "EWR"),), declared=True, rows=2310, share=0.367, loss=between(0.61, 0.02),
              outside_loss=0.48, metric=between(0.541, 0.03), reference=between(0.655, 0.01), drop=between(0.114, 0.03),
              drop_chance=0.0001, over_bound=True, failure_share=between(0.012, 0.004)),
        Slice(conditions=(part("origin", "=", "JFK"),), declared=True, rows=2090, share=0.332, loss=between(0.50, 0.02),
              outside_loss=0.54, metric=between(0.612, 0.03), reference=between(0.659, 0.01), drop=between(0.047, 0.03),
              drop_chance=0.6, failure_share=between(0.002, 0.002)),
        Slice(conditions=(part("temp", ">=", "31"), part("carrier", "=", "EV")), declared=False, rows=412, share=0.066,
              loss=between(0.88, 0.09), outside_loss=0.50, metric=between(0.512, 0.08), reference=between(0.64, 0.04),
              drop=between(0.128, 0.09), failure_share=between(0.0, 0.002)),
    ),
    moved=(Moved(conditions=(part("temp", ">=", "31"),), share=0.21, reference_share=0.06, ratio=between(3.5, 0.4)),),
    unmeasurable=(("origin = HVN", "41 labelled rows, 100 are needed"),),
)  # fmt: skip


def served(version: str, endpoint: str, weight: float, error_share: float, p95: float, **values: object) -> Served:
    latency = {"p50": p95 / 4, "p95": p95, "p99": 2.7 * p95}
    bounds = {name: (0.9 * value, 1.1 * value) for name, value in latency.items()}
    known: dict[str, object] = {"generator": "", "rows": int(weight), "weight": weight, "effective_rows": weight,
                                "latency_ms": latency, "latency_bounds_ms": bounds}  # fmt: skip
    return Served(
        model_version=version, endpoint=endpoint, error_share=error_share, **(known | values)  # type: ignore[arg-type]
    )  # fmt: skip


EWR = FailingInput(
    conditions=(
        Condition(column="origin", relation="=", value="EWR"),
        Condition(column="visib", relation="is missing"),
    ),
    ratio=Interval(value=34.2, low=20.1, high=58.0),
    inside_share=0.124,
    outside_share=0.0036,
    rows=330,
    failures=41,
)
SERVING = SystemHealth(
    error_share=0.0152,
    error_shares={"crash": 0.0101, "timeout": 0.0031, "rejected": 0.002},
    latency_ms={"p50": 11.2, "p95": 48.9, "p99": 131.0},
    request_bytes={"p50": 1_200.0, "p95": 14_800.0},
    inferences=6431.0,
    inputs=(EWR,),
    input_tokens=2_345_000.0,
    output_tokens=412_000.0,
    output_tokens_per_inference=64.1,
    cost_usd=4.37,
    cost_usd_per_1k=0.68,
    served=(
        served("1", "/predict", 5200.0, 0.004, 41.0),
        served("2", "/predict", 331.0, 0.131, 44.0),
        served("1", "/explain", 900.0, 0.012, 310.0, generator="small-chat-1", input_tokens=2_345_000.0,
               output_tokens=412_000.0, cost_usd=4.37, cost_usd_per_1k=Interval(value=4.86, low=4.5, high=5.2)),
    ),
)  # fmt: skip

RESOURCES = Resources(
    samples=241_920,
    processes=5,
    cpu_cores={"p50": 0.21, "p95": 0.94, "max": 1.62},
    memory_bytes=1.874e9,
    open_files=118.0,
    connections=64.0,
    threads=23.0,
    gpu_share=0.97,
    gpu_memory_bytes=11.2e9,
    queue_records=310.0,
)

LONG = FailingInput(
    conditions=(Condition(column="distance", relation="in", value="[1,000, 2,500)"),),
    ratio=Interval(value=2.4, low=1.3, high=4.4),
    inside_share=0.011,
    outside_share=0.0046,
    rows=1_410,
    failures=16,
)


def failure(number: int = 0, weeks: Sequence[int] = (*(0,) * 19, 41), **changes: object) -> FailureStory:
    """A failure group with so many rows in each of the last weeks, the window's own last."""
    text = GroupText(
        id=f"{number}a1b2c3d4e5f",
        title="ValueError: could not convert string to float: <str>",
        error_type="ValueError",
        message="could not convert string to float: <str>",
        frames=("serve.answer", "features.encode", "features.to_number"),
        reasons=("the same three frames of yours", "the same exception type"),
        kind="error",
    )
    windows = [Window(model="flight-delay", start=START - back * WEEK, end=START - back * WEEK + WEEK)
               for back in range(len(weeks) - 1, -1, -1)]  # fmt: skip
    sightings = [
        Sighting(
            window=window, inferences=6431.0, rows=rows, failures=float(rows), share=rows / 6431,
            first_at=window.start + timedelta(hours=3), last_at=window.end - timedelta(hours=5),
            versions={"2": rows}, endpoints={"/predict": rows},
            histogram=tuple(round(rows / 90 * each) for each in (0, 0, 0, 1, 2, 2, 3, 9, 12, 16, 12, 9, 7, 5, 4, 3, 2, 1, 1, 1, 0, 0, 0, 0)),
            samples=tuple(f"0192f3-{back}" for back in range(7)), traces=("0af7651916cd43dd8448eb211c80319c",),
            inputs=(EWR, LONG) if number == 0 else (),
        )
        for window, rows in zip(windows, weeks, strict=True)
        if rows
    ]  # fmt: skip
    before = changes.pop("before", None)
    return story_of(
        replace(text, **changes),  # type: ignore[arg-type]
        sightings,
        dict.fromkeys(windows, 6431.0),
        until=WINDOW,
        before=before,  # type: ignore[arg-type]
    )


def failures() -> tuple[FailureStory, ...]:
    """A new group, one that escalates, one that is back, one that goes on, one that is quiet and one that is over."""
    return (
        failure(),
        failure(1, (4, 5, 3, 6, 4, 5, 4, 31), title="TimeoutError: features took longer than <num> s", kind="timeout",
                error_type="TimeoutError", message="features took longer than <num> s"),
        failure(2, (12, 9, 0, 0, 0, 0, 0, 7), title="KeyError: <str>", error_type="KeyError", message="<str>"),
        failure(3, (3, 2, 4, 3, 2, 3, 3, 2), title="RejectedError: payload of <num> bytes is over the limit", kind="rejected",
                error_type="RejectedError", message="payload of <num> bytes is over the limit"),
        failure(4, (9, 8, 0), title="ConnectionError: <host> refused"),
        failure(5, (9, 8, 9, 0, 0, 0), title="MemoryError"),
    )  # fmt: skip


def called(name: str) -> tuple[FailureStory, ...]:
    """A failure group in which everything that comes from outside is called like this: in this window, and in one before."""
    condition = Condition(column=name, relation="=", value=name)
    here = failure(title=name, message=name, frames=(name,), reasons=(name,), error_type=name)
    seen = replace(here.newest, versions={name: 3}, endpoints={name: 3}, samples=(name,), traces=(name,),
                   inputs=(replace(EWR, conditions=(condition,)),))  # fmt: skip
    before = failure(1, (9, 0), title=name)
    return replace(here, sightings=(seen,)), before, failure(2, (9, 8, 9, 0, 0, 0), title=name)


def serving(name: str) -> SystemHealth:
    """What was served, by versions, endpoints and generators called like this."""
    slow = served(name, name, 900.0, 0.3, 310.0, generator=name)
    return replace(SERVING, served=(served("1", name, 5200.0, 0.004, 41.0, generator=name), slow))


def verdict(*findings: Finding, reasons: tuple[str, ...] = (), window: Window = WINDOW) -> Verdict:
    breached = any(finding.severity.breaches for finding in findings)
    found = Outcome.BREACHED if breached else Outcome.INCONCLUSIVE if reasons else Outcome.HEALTHY
    return Verdict(
        window=window,
        outcome=found,
        findings=findings,
        reasons=reasons,
        model_version="1",
        input_digest="4c1d" * 16,
        config_digest="90ef" * 16,
        baseline_digest="77aa" * 16,
    )


def history(count: int = 20, *, spent: bool = False, used: bool = False) -> tuple[HistoryPoint, ...]:
    """Weeks before the window: one missing, one without labels, one without latencies, one breached, a new version."""
    points = []
    for number in range(count, 0, -1):
        start = START - number * WEEK
        value = 0.66 - 0.03 * ((number * 7) % 5) / 5 + (0.02 if number < 8 else 0)
        metrics = {"rows": 6200.0 + 37 * ((number * 13) % 11), "drift.share": ((number * 3) % 4) / 12,
                   "system.error_share": 0.001 * (number % 4), "quality.success_share": 1.0}  # fmt: skip
        if number != 5:
            for name, off in (("", 0.0), (".low", -0.02), (".high", 0.02)):
                metrics[f"performance.roc_auc.realised{name}"] = value + off
        if number == 12:
            continue
        if number != 6:
            slow = 1 + 0.1 * ((number * 5) % 4)
            metrics |= {
                "system.latency_ms.p50": 11 * slow,
                "system.latency_ms.p95": 45 * slow,
                "system.latency_ms.p99": 110 * slow**2,
            }
        if spent:
            metrics |= {"system.cost_usd_per_1k": 0.5 + 0.02 * number % 0.1, "system.input_tokens": 2e6 + 3e4 * number,
                        "system.output_tokens": 4e5}  # fmt: skip
        if used:
            metrics |= {"system.cpu_cores.p50": 0.2, "system.cpu_cores.p95": 0.6 + 0.05 * (number % 5),
                        "system.cpu_cores.max": 1.2 + 0.1 * (number % 3), "system.connections.max": 40.0 + number % 7,
                        "system.memory_bytes.max": 1.9e9 - 4e7 * number}  # fmt: skip
        points.append(
            HistoryPoint(
                window=Window(model="flight-delay", start=start, end=start + WEEK),
                revision=1,
                outcome=Outcome.BREACHED if number == 9 else Outcome.INCONCLUSIVE if number == 5 else Outcome.HEALTHY,
                line="",
                model_version="0" if number > 7 else "1",
                metrics=metrics,
            )
        )
    return tuple(points)


def change(finding: Finding, what: Change, model: str = "flight-delay") -> IncidentChange:
    incident = Incident(
        fingerprint=finding.fingerprint(model),
        model=model,
        check=finding.check,
        scope=finding.scope,
        severity=finding.severity,
        message=finding.message,
        opened_window=START - WEEK,
        last_window=START,
        last_notified_at=None,
        state="open",
        attempt=0,
    )
    return IncidentChange(incident=incident, change=what)


def hostile(finding: Finding, name: str) -> Finding:
    return replace(finding, scope=name, message=f"Column {name} is missing.", value=name, next_step=f"See {name}.")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    limits = {"performance.roc_auc.realised": 0.6, "system.error_share": 0.01}
    judged = verdict(*FINDINGS, reasons=("drift of pressure could not be measured: nothing but nulls",))
    serving = replace(MEASUREMENTS, system=replace(SERVING, resources=RESOURCES), slices=SLICES, attribution=SPLIT)
    past = history(spent=True, used=True)
    told = {"stories": failures()}
    page = render_summary(
        judged, serving, past, limits={**limits, "system.latency_ms.p95": 80.0, "system.memory_bytes.max": 2e9}, **told
    )
    (folder / "summary.html").write_text(page)
    (folder / "verdict.md").write_text(render_markdown(judged, serving, past, **told))
    group = FINDINGS[1]
    (folder / "message.txt").write_text(
        "\n".join(render_message(judged, [change(group, Change.OPENED)], stories=failures()))
    )
    (folder / "quality.html").write_text(render_quality(judged, MEASUREMENTS, baseline=BASELINE))
