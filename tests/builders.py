"""Small valid values for the tests of the core, each overridable field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from retrue.config import LabelSettings, LogSettings, ModelSettings
from retrue.results import (
    HISTOGRAM_BINS,
    Baseline,
    ColumnDrift,
    ColumnKind,
    ColumnProfile,
    DriftResult,
    EstimatedPerformance,
    FailureGroup,
    Interval,
    Measurements,
    Profile,
    Provenance,
    PullReport,
    RealisedPerformance,
    SchemaDifference,
    SystemHealth,
)
from retrue.windows import Window

START, END = datetime(2013, 4, 4, tzinfo=UTC), datetime(2013, 4, 11, tzinfo=UTC)


def window(model: str = "m", start: datetime = START, end: datetime = END) -> Window:
    return Window(model=model, start=start, end=end)


def settings(**changes: object) -> ModelSettings:
    plain: dict[str, object] = {
        "task": "binary",
        "logs": LogSettings(uri="logs"),
        "labels": LabelSettings(uri="labels"),
        "performance": {"metric": "roc_auc", "min": 0.6, "max_drop": 0.05},
    }
    return ModelSettings.model_validate({**plain, **changes})


def number(name: str = "temp", **changes: object) -> ColumnProfile:
    plain = ColumnProfile(
        name=name, kind=ColumnKind.NUMBER, type="DOUBLE", rows=1000, nulls=0, null_share=0.0,
        minimum=0.0, maximum=1.0, mean=0.5, sd=0.1, distinct=900,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def text(name: str = "carrier", **changes: object) -> ColumnProfile:
    plain = ColumnProfile(
        name=name, kind=ColumnKind.TEXT, type="VARCHAR", rows=1000, nulls=0, null_share=0.0, distinct=2,
        categories={"AA": 0.5, "UA": 0.5},
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def profile(*columns: ColumnProfile, rows: int = 1000) -> Profile:
    return Profile(rows=rows, columns={column.name: column for column in columns or (number(), text())})


def pull(**changes: object) -> PullReport:
    plain = PullReport(
        rows=1000, labelled_rows=970, files_read=7, files_skipped=3, duplicates=0, set_aside=(), set_aside_share=0.0,
        input_digest="input", model_versions={"1": 1000},
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def performance(value: float = 0.66, half: float = 0.01, metric: str = "roc_auc") -> RealisedPerformance:
    interval = Interval(value=value, low=value - half, high=value + half)
    return RealisedPerformance(metric=metric, metrics={metric: interval}, labelled_rows=970, coverage_share=0.97)


def estimate(value: float = 0.66, half: float = 0.02, metric: str = "roc_auc") -> EstimatedPerformance:
    interval = Interval(value=value, low=value - half, high=value + half)
    return EstimatedPerformance(
        metric=metric, metrics={metric: interval}, method="cbpe", rows=1000, unsupported_share=0.01
    )


def drift(scores: Mapping[str, float], *, unmeasurable: tuple[tuple[str, str], ...] = ()) -> DriftResult:
    columns = tuple(
        ColumnDrift(column=name, method="wasserstein", score=score, threshold=0.1) for name, score in scores.items()
    )
    return DriftResult(columns=columns, unmeasurable=unmeasurable, reference_rows=1000, current_rows=1000)


def baseline(**changes: object) -> Baseline:
    plain = Baseline(
        model="m", version="1", profile=profile(), thresholds={"temp": ("wasserstein", 0.1)},
        performance=performance(), reference_digest="rows", digest="baseline",
        provenance=Provenance(source="reference.parquet", start=START, end=END, rows=1000, frozen_at=END),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def failure_group(**changes: object) -> FailureGroup:
    plain = FailureGroup(
        id="abc123", title="KeyError in features.lookup: no weather for <*>", error_type="KeyError",
        message="no weather for <*>", frames=("features.lookup",), reasons=("same exception type KeyError",), status="error",
        rows=10, weight=10.0, share=0.01, versions={"1": 10}, endpoints={}, first_at=START, last_at=START,
        histogram=(10, *[0] * (HISTOGRAM_BINS - 1)),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def measurements(**changes: object) -> Measurements:
    plain = Measurements(
        window=window(), pull=pull(), model_version="1", baseline_digest="baseline", profile=profile(),
        schema=SchemaDifference(), drift=drift({"temp": 0.01}), performance=performance(),
        system=SystemHealth(error_share=0.0, latency_ms={"p50": 1.0, "p95": 2.0, "p99": 3.0}),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]
