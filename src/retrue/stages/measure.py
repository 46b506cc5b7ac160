"""Measure one window: pull, profile, validate, drift, performance, failures. Nothing is judged or written here."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retrue.adapters.drift_evidently import measure_drift
from retrue.adapters.failing_inputs_ibis import measure_failing_inputs
from retrue.adapters.failures_ibis import measure_failures
from retrue.adapters.profile_ibis import profile_window
from retrue.adapters.suite_gx import LoadedSuite, load_suite
from retrue.adapters.system_ibis import measure_system
from retrue.adapters.validation_gx import validate
from retrue.baselines import baseline_versions, read_baseline, read_reference, reference_columns
from retrue.config import ModelSettings, Project, nearest
from retrue.errors import BaselineError, ConfigError
from retrue.findings import LABELS_WAITING
from retrue.judge import unreadable_reasons
from retrue.marginals import POOLED, known_categories
from retrue.performance import measure_performance
from retrue.results import (
    Baseline,
    ColumnDrift,
    DomainDrift,
    DriftResult,
    EstimatedPerformance,
    FailureGroup,
    Measurements,
    RealisedPerformance,
    Resources,
    SchemaDifference,
    SystemHealth,
    Unmeasured,
    ValidationResult,
    revision_key,
)
from retrue.schema import compare_schema
from retrue.sources.files import UNKNOWN_VERSION
from retrue.sources.listing import source_folder
from retrue.sources.pulled import PulledWindow
from retrue.sources.remote import is_remote
from retrue.sources.resource_samples import measure_resources
from retrue.stages.alike import WEIGHT, answered_alike, drawn_alike
from retrue.stages.calibrate import as_kinds, rows_with_value
from retrue.stages.domain import domain_unfrozen, measure_domain
from retrue.stages.estimate import estimate_frame, estimated_columns
from retrue.stages.explain import explain
from retrue.stages.failed import STATUS_COLUMNS, failed_rows
from retrue.stages.pulling import pull_window
from retrue.stages.steps import Step, directly
from retrue.stages.texts import measure_embeddings, with_views
from retrue.thresholds import drift_kinds, explain_drift, window_thresholds
from retrue.tombstones import NOBODY, Tombstones
from retrue.windows import Window

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

LABELLED_ROWS_MAX = 50_000  # bounds what the bootstrap of the metrics sees; its interval shows what that costs
ESTIMATED_ROWS_MAX = 50_000
PREDICTION_COLUMNS = ("prediction", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """A window that was pulled, with all that judging it needs beside. Its ``key`` is that of the verdict to come."""

    project: Project
    settings: ModelSettings
    window: Window
    pulled: PulledWindow
    suite: LoadedSuite | None
    baseline: Baseline | None
    model_version: str
    config_digest: str

    @property
    def key(self) -> str:
        return revision_key(
            self.window,
            input_digest=self.pulled.report.input_digest,
            config_digest=self.config_digest,
            baseline_digest=self.baseline.digest if self.baseline else "",
        )


@contextmanager
def open_window(
    project: Project, window: Window, *, step: Step = directly, erased: Tombstones = NOBODY
) -> Iterator[OpenWindow]:
    """Pull a window into the engine and find what it is compared with.

    Raises:
        SourceError: The log cannot be opened at all.
        SuiteError: The suite cannot be read.
        BaselineError: No version of this model has a baseline, or this version's is damaged.
        ConfigError: retrue.yaml names a column that the baseline does not have.
    """
    settings = project.model(window.model)
    if not baseline_versions(project.baselines, window.model):
        raise BaselineError(f"{window.model} has no baseline to compare with: run `retrue baseline {window.model}`")
    suite = load_suite(project.path(settings.expectations)) if settings.expectations else None
    with ExitStack() as stack:
        pulled = step(
            "pull", lambda: stack.enter_context(pull_window(window, settings, root=project.root, erased=erased))
        )
        version = served_version(pulled.report.model_versions)
        baseline = find_baseline(project, window.model, version)
        if baseline:
            check_columns(project, settings, baseline)
        yield OpenWindow(
            project=project,
            settings=settings,
            window=window,
            pulled=pulled,
            suite=suite,
            baseline=baseline,
            model_version=version,
            config_digest=settings.judging_digest(suite.content if suite else b""),
        )


def served_version(versions: Mapping[str, int]) -> str:
    """Return the version that served most rows, the later name on a tie; empty if there are none.

    >>> served_version({"1": 10, "2": 90})
    '2'
    """
    return max(versions, key=lambda version: (versions[version], version), default="")


def rows_served_by(version: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the records of a version; those that name none are of the version ``unknown``."""
    if "model_version" not in frame.columns:
        return frame if version == UNKNOWN_VERSION else frame.head(0)
    return frame[frame["model_version"].astype("string").fillna(UNKNOWN_VERSION) == version]


def answer_columns(settings: ModelSettings) -> tuple[str, ...]:
    """Return the columns of what the model said, where it can be compared: texts and images cannot, nor are they kept."""
    return () if settings.generates else PREDICTION_COLUMNS


def find_baseline(project: Project, model: str, version: str) -> Baseline | None:
    """Return the baseline of a version, None if this version has none.

    Raises:
        BaselineError: It is damaged.
    """
    known = version in baseline_versions(project.baselines, model)
    return read_baseline(project.baselines, model, version) if known else None


def check_columns(project: Project, settings: ModelSettings, baseline: Baseline) -> None:
    """Refuse names of columns in retrue.yaml that the baseline does not have: a typo would silence a check.

    Raises:
        ConfigError: With the key and the nearest name.
    """
    gate = settings.retrain.gate.slices if settings.retrain else ()
    views = [view for text in baseline.texts.values() for view in text.views]
    named = {
        "drift.columns": settings.drift.columns,
        "performance.slices": settings.performance.slices,
        "retrain.gate.slices": gate,
    }
    for key, names in named.items():
        for name in names:
            if name not in baseline.profile.columns and not (key == "drift.columns" and name in views):
                hint = nearest(name, baseline.profile.columns)
                where = f"models.{baseline.model}.{key}"
                raise ConfigError(f"no column {name!r}{hint}", file=project.root / "retrue.yaml", key=where)


def measure(opened: OpenWindow, *, step: Step = directly) -> tuple[Measurements, str]:
    """Measure an open window; return its measurements and Evidently's report, empty where drift was not measured."""
    baseline = opened.baseline
    measured = Measurements(
        window=opened.window,
        pull=opened.pulled.report,
        model_version=opened.model_version,
        baseline_digest=baseline.digest if baseline else "",
    )
    if any(unreadable_reasons(measured, opened.settings)):
        return measured, ""
    html = ""
    if baseline is not None:
        measured, html = _compare(measured, opened, baseline, step)
    health, groups = step("failures", lambda: _system(opened))
    log.info("measured %s: %d rows, %d failure groups", opened.window.name, measured.pull.rows, len(groups))
    return replace(measured, system=health, failures=groups), html


def _compare(measured: Measurements, opened: OpenWindow, baseline: Baseline, step: Step) -> tuple[Measurements, str]:
    """Measure what is compared with a baseline."""
    settings = opened.settings
    measured = _measure_in_engine(measured, opened, baseline, step)
    drift, html = step("drift", lambda: _drift(opened, baseline))
    domain, embeddings, missing = step(
        "drift of all columns", functools.partial(_all_columns, opened, baseline, measured.schema)
    )
    drift = replace(drift, columns=(*drift.columns, *embeddings))
    measured = replace(measured, drift=drift, domain=domain, unmeasured=missing)
    if not settings.generates:
        measured = step("performance", functools.partial(_judged, measured, opened, baseline))
    return step("explain", functools.partial(_explained, measured, opened, baseline)), html


def _judged(measured: Measurements, opened: OpenWindow, baseline: Baseline) -> Measurements:
    """Measure performance: realised where labels have arrived, estimated beside it."""
    settings = opened.settings
    realised = _performance(opened) if settings.labels else None
    estimate = _estimate(opened, baseline) if settings.performance.estimate else None
    return replace(
        measured,
        performance=realised if isinstance(realised, RealisedPerformance) else None,
        estimate=estimate if isinstance(estimate, EstimatedPerformance) else None,
        unmeasured=(
            *measured.unmeasured,
            *(each for each in (realised, estimate) if isinstance(each, Unmeasured)),
        ),
    )


def _explained(measured: Measurements, opened: OpenWindow, baseline: Baseline) -> Measurements:
    """Find out where the model does worst, and what a worse metric comes from."""
    found = explain(
        opened.project,
        opened.settings,
        baseline,
        opened.pulled,
        drift=measured.drift,
        performance=measured.performance,
    )
    return replace(
        measured,
        slices=found.slices,
        attribution=found.attribution,
        unmeasured=(*measured.unmeasured, *found.unmeasured),
    )


def _system(opened: OpenWindow) -> tuple[SystemHealth, tuple[FailureGroup, ...]]:
    """Measure the traffic, and what the processes used that served it."""
    health, groups = _traffic(opened)
    return replace(health, resources=_resources(opened)), groups


def _traffic(opened: OpenWindow) -> tuple[SystemHealth, tuple[FailureGroup, ...]]:
    """Measure failures, latency and cost, which are compared with no baseline."""
    pulled, system = opened.pulled, opened.settings.system
    failures = measure_failures(pulled, opened.window, in_app=system.failures.in_app)
    if failures is None:
        return measure_system(pulled, endpoints=system.endpoints, generators=system.generators), ()
    failures, inputs = measure_failing_inputs(pulled, failures)
    health = measure_system(pulled, failures, endpoints=system.endpoints, generators=system.generators)
    return replace(health, inputs=inputs), failures.groups


def _resources(opened: OpenWindow) -> Resources | None:
    """Return what the serving processes used, where their logger wrote it beside the records."""
    logs = opened.settings.logs
    if logs.format != "retrue" or is_remote(logs.uri):
        return None
    return measure_resources(source_folder(logs.uri, opened.project.root), opened.window)


def _measure_in_engine(measured: Measurements, opened: OpenWindow, baseline: Baseline, step: Step) -> Measurements:
    pulled, suite = opened.pulled, opened.suite
    columns = [*pulled.features, *answer_columns(opened.settings)]
    known = {name: column.categories for name, column in baseline.profile.columns.items() if column.categories}
    profile = step("profile", lambda: profile_window(pulled, columns, known))
    return replace(
        measured,
        profile=profile,
        schema=compare_schema(baseline.profile, profile),
        validation=step("validate", lambda: validate_window(pulled, suite)) if suite else None,
    )


def validate_window(pulled: PulledWindow, suite: LoadedSuite) -> ValidationResult:
    """Run a suite on a window; what it expects of answers it expects of the inferences that did not fail."""
    return validate(pulled.database, pulled.table, suite, answered=pulled.answered(), answers=PREDICTION_COLUMNS)


def _drift(opened: OpenWindow, baseline: Baseline) -> tuple[DriftResult, str]:
    settings = opened.settings.drift
    kinds = drift_kinds(baseline.profile, opened.settings, baseline.texts)
    kinds = {name: kind for name, kind in kinds.items() if _left(name, baseline)}
    wanted = (*kinds, *baseline.texts)
    current = answered_alike(opened.pulled, wanted, settings.sample_rows, seed=settings.seed)
    current = with_views(current, baseline.texts, own=False)
    reference = as_kinds(_reference(opened, baseline, list(kinds)), kinds)
    current = _pooled(as_kinds(current, kinds), reference, baseline)
    counts = rows_with_value(current, kinds), rows_with_value(reference, kinds)
    rows = {name: (counts[0][name], counts[1][name]) for name in kinds if name in counts[0] and name in counts[1]}
    thresholds = window_thresholds(baseline, opened.settings, rows)
    drift, html = measure_drift(
        reference,
        current,
        {name: thresholds[name] for name in kinds},
        kinds,
        title=f"{opened.window.name}, version {opened.model_version}",
    )
    return explain_drift(drift, baseline, opened.settings, rows), html


def _left(name: str, baseline: Baseline) -> bool:
    """Tell whether the reference holds values of a column; of one that is empty since it became marginals a finding tells."""
    return baseline.marginals is None or name not in baseline.marginals.empty


def _pooled(current: pd.DataFrame, reference: pd.DataFrame, baseline: Baseline) -> pd.DataFrame:
    """Return the frame with its rare categories as one, where those of the reference are: else each would look new."""
    pooled = [name for name in reference.columns if name in current.columns and (reference[name] == POOLED).any()]
    for name in pooled:
        known = known_categories(baseline.profile.columns.get(name), reference[name].dropna().unique())
        texts = current[name].astype("string")
        current = current.assign(**{name: texts.where(texts.isin(known) | texts.isna(), POOLED)})
    return current


def _all_columns(
    opened: OpenWindow, baseline: Baseline, schema: SchemaDifference | None
) -> tuple[DomainDrift | None, tuple[ColumnDrift, ...], tuple[Unmeasured, ...]]:
    """Measure what the baseline has null distributions of: all columns at once, and the embeddings of texts."""
    settings, pulled, texts = opened.settings, opened.pulled, baseline.texts
    nulls = [null for null in (baseline.domain, *(each.embedding for each in texts.values())) if null is not None]
    if not nulls:
        return None, (), (domain_unfrozen(baseline),) if settings.drift.multivariate else ()
    rows, seed = max(null.rows for null in nulls), settings.drift.seed
    current = answered_alike(pulled, (*baseline.profile.columns, "time"), rows, seed=seed)
    current = with_views(current.sort_values("time", kind="stable"), texts, own=False)
    reference = read_reference(opened.project.baselines, baseline.model, baseline.version)
    reference = drawn_alike(reference, len(reference), seed=seed)
    embeddings, missing = measure_embeddings(opened.project, reference, current, texts, settings)
    if not settings.drift.multivariate:
        return None, embeddings, missing
    retyped = [name for name, _, _ in schema.retyped] if schema else []
    domain = measure_domain(reference, current, baseline, settings, retyped=retyped)
    if isinstance(domain, Unmeasured):
        return None, embeddings, (*missing, domain)
    return domain, embeddings, missing


def _reference(opened: OpenWindow, baseline: Baseline, columns: list[str]) -> pd.DataFrame:
    folder, settings = opened.project.baselines, opened.settings.drift
    weights = {WEIGHT} & set(reference_columns(folder, baseline.model, baseline.version))
    frame = read_reference(folder, baseline.model, baseline.version, columns=[*columns, *weights])
    return drawn_alike(frame, settings.sample_rows, seed=settings.seed)


def _performance(opened: OpenWindow) -> RealisedPerformance | Unmeasured:
    settings, pulled = opened.settings, opened.pulled
    coverage = pulled.label_coverage()
    if coverage < settings.performance.min_coverage:
        return Unmeasured(part=LABELS_WAITING, reason=f"{coverage:.0%} of labels have arrived")
    wanted = (*PREDICTION_COLUMNS, *STATUS_COLUMNS, "label", WEIGHT)
    names = [name for name in wanted if name in pulled.columns]
    rows = pulled.sample(LABELLED_ROWS_MAX, seed=settings.drift.seed, columns=names, labelled=True)
    rows = rows[~failed_rows(rows)]
    return measure_performance(
        settings.task,
        settings.metric,
        labels=rows["label"],
        predictions=rows.get("prediction"),
        scores=rows.get("score"),
        weights=rows[WEIGHT],
        coverage_share=coverage,
        positive_label=settings.performance.positive_label,
        min_labels=settings.performance.min_labels,
        seed=settings.drift.seed,
    )


def _estimate(opened: OpenWindow, baseline: Baseline) -> EstimatedPerformance | Unmeasured:
    settings, pulled = opened.settings, opened.pulled
    wanted = dict.fromkeys((*estimated_columns(baseline, settings), *STATUS_COLUMNS))
    names = [name for name in wanted if name in pulled.columns]
    frame = pulled.sample(ESTIMATED_ROWS_MAX, seed=settings.drift.seed, columns=names)
    frame = frame[~failed_rows(frame)]
    return estimate_frame(opened.project, settings, baseline, frame, weights=frame.get(WEIGHT))
