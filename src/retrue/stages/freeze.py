"""Freeze the baseline of a model version: out of the log, out of a file, or out of a first training."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from retrue.adapters.profile_ibis import profile_file
from retrue.adapters.registry_mlflow import MlflowRegistry, RegisteredVersion
from retrue.baselines import REFERENCE_ROWS_MAX, freeze_baseline
from retrue.config import ModelSettings
from retrue.errors import BaselineError
from retrue.ledger import EXTERNAL
from retrue.performance import measure_performance
from retrue.propose import propose_suite
from retrue.results import Baseline, Outcome, Profile, Provenance, RealisedPerformance
from retrue.stages.alike import answered_alike, drawn_alike
from retrue.stages.calibrate import calibrate_reference
from retrue.stages.domain import freeze_domain
from retrue.stages.estimate import CLASS_SCORES, estimation_of
from retrue.stages.explain import reliance_of
from retrue.stages.failed import STATUS_COLUMNS, failed_rows
from retrue.stages.measure import (
    LABELLED_ROWS_MAX,
    PREDICTION_COLUMNS,
    answer_columns,
    rows_served_by,
    served_version,
)
from retrue.stages.pulling import pull_window
from retrue.stages.texts import freeze_embeddings, freeze_texts, hide_texts, with_views
from retrue.thresholds import drift_thresholds
from retrue.times import as_utc
from retrue.windows import Window
from retrue.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SUMMER_TIME = timedelta(hours=1)  # by which local days differ
HISTORY_WINDOWS = 52  # judged ones that are looked through for healthy ones
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
RECORD_COLUMNS = ("inference_id", "time", *PREDICTION_COLUMNS, "label", "sample_weight")


def freeze_from_log(
    workspace: Workspace, model: str, *, start: datetime | None, end: datetime | None, version: str = ""
) -> Baseline:
    """Freeze what a version logged in [start, end) as its baseline, and make it the champion if there is none.

    A baseline is what the model does when it answers: inferences that failed are left out.

    Of more than ``REFERENCE_ROWS_MAX`` records a seeded sample is frozen.

    Args:
        workspace: The project.
        model: The model.
        start: From when on the model did well enough to be the measure; from the beginning by default.
        end: Until when; until now by default.
        version: Which version's records; the one that served most of them by default.

    Raises:
        BaselineError: There are no such records, the span ends before it starts, or this version has another baseline already.
    """
    settings = workspace.project.model(model)
    span = _span(model, start or BEGINNING, end or workspace.now())
    with pull_window(span, settings, root=workspace.project.root, erased=workspace.erased(model)) as pulled:
        version = version or served_version(pulled.report.model_versions)
        classes = (CLASS_SCORES,) if settings.task == "multiclass" else ()
        wanted = (*RECORD_COLUMNS, "model_version", *STATUS_COLUMNS, *classes)
        names = [*pulled.features, *(name for name in wanted if name in pulled.columns)]
        frame = rows_served_by(version, pulled.sample(REFERENCE_ROWS_MAX, seed=settings.drift.seed, columns=names))
        frame = frame[~failed_rows(frame)]
        features = pulled.features
    if frame.empty:
        raise BaselineError(
            f"no records of {model} between {span.start:%Y-%m-%d} and {span.end:%Y-%m-%d}: look at {settings.logs.uri}"
        )
    baseline = freeze(workspace, model, version, frame.sort_values("time"), features, source=settings.logs.uri)
    if workspace.ledger.models.champion(model) is None:
        _crown(workspace, model, version)
    return baseline


def _span(model: str, start: datetime, end: datetime) -> Window:
    try:
        return Window(model=model, start=as_utc(start), end=as_utc(end))
    except ValueError as error:
        raise BaselineError(f"no rows to freeze: {error}") from error


def _crown(workspace: Workspace, model: str, version: str) -> None:
    """Make a version that serves already the first champion; its file is not ours, so it is never loaded."""
    models, now = workspace.ledger.models, workspace.now()
    models.register_version(model, version, sha256="", kind=EXTERNAL, run_id="", now=now)
    models.promote(model, version, expected_champion=None, reason="it served when its baseline was frozen", now=now)


def freeze(
    workspace: Workspace, model: str, version: str, frame: pd.DataFrame, features: Iterable[str], *, source: str
) -> Baseline:
    """Freeze rows as a version's baseline, write its digest into the ledger, and propose a suite if there is none.

    Args:
        workspace: The project.
        model: The model.
        version: The version these predictions are of.
        frame: Records in order of time, features under bare names, with ``prediction``, and ``score``, ``scores`` by class and
            ``label`` where there are any.
        features: Names of the feature columns.
        source: Where the rows come from, in a few words.

    Raises:
        BaselineError: No rows, or the version has another baseline.
    """
    if frame.empty:
        raise BaselineError(f"a baseline of {model} needs rows: {source} has none")
    features = tuple(features)
    settings, now = workspace.project.model(model), workspace.now()
    columns = [name for name in (*features, *answer_columns(settings)) if name in frame.columns]
    beside = [name for name in RECORD_COLUMNS if name in frame.columns and name not in (*columns, *PREDICTION_COLUMNS)]
    profile = _profile(frame, columns)
    texts = freeze_texts(frame, profile, settings)
    profile = hide_texts(profile, texts)
    frame = with_views(frame, texts, own=True)
    alike = drawn_alike(frame, len(frame), seed=settings.drift.seed)
    window_rows = _window_rows(alike, settings)
    texts = freeze_embeddings(workspace.project, alike, texts, settings, window_rows=window_rows)
    healthy = _healthy_windows(workspace, model, frame, columns)
    history = (with_views(window, texts, own=False) for window in healthy)
    domain = freeze_domain(alike, profile, settings, texts, window_rows=window_rows)
    shared = domain is not None or any(text.embedding for text in texts.values())
    calibration = calibrate_reference(alike, profile, settings, history=history, texts=texts, shared=shared)
    views = [view for text in texts.values() for view in text.views if view in frame.columns and view not in columns]
    baseline = freeze_baseline(
        workspace.project.baselines,
        model,
        version,
        reference=frame[[*columns, *views, *beside]],
        profile=profile,
        thresholds=drift_thresholds(profile, settings, calibration, texts),
        calibration=calibration,
        performance=_performance(frame, settings),
        reliance=reliance_of(frame, profile, settings, [name for name in features if name in frame.columns]),
        provenance=Provenance(
            source=source,
            start=frame["time"].iloc[0].to_pydatetime(),
            end=frame["time"].iloc[-1].to_pydatetime(),
            rows=len(frame),
            frozen_at=now,
        ),
        estimation=estimation_of(frame, profile, settings),
        domain=domain,
        texts=texts,
    )
    workspace.ledger.models.register_baseline(model, version, baseline.digest, now)
    _propose(workspace, model, settings, baseline, _window_rows(frame, settings))
    return baseline


def _healthy_windows(
    workspace: Workspace, model: str, frame: pd.DataFrame, columns: list[str]
) -> Iterator[pd.DataFrame]:
    """Yield the inputs of the newest windows that were judged healthy and of which the reference has no row.

    What the model said is left out: another version may have said it. A window whose log cannot be read is left out too.
    """
    settings = workspace.project.model(model)
    start, end = frame["time"].iloc[0], frame["time"].iloc[-1]
    healthy = [
        point for point in workspace.ledger.history(model, limit=HISTORY_WINDOWS) if point.outcome is Outcome.HEALTHY
    ]
    for point in healthy:
        window = point.window
        other_length = abs(window.end - window.start - settings.window.every) > SUMMER_TIME
        if other_length or (window.start <= end and window.end > start):
            continue
        with pull_window(window, settings, root=workspace.project.root, erased=workspace.erased(model)) as pulled:
            names = [name for name in columns if name in pulled.features]
            if pulled.report.rows and names:
                yield answered_alike(pulled, names, settings.drift.sample_rows, seed=settings.drift.seed)


def _window_rows(frame: pd.DataFrame, settings: ModelSettings) -> int:
    """Return how many of the frame's rows, which are in order of time, a usual window has."""
    span_seconds = max((frame["time"].iloc[-1] - frame["time"].iloc[0]).total_seconds(), 1.0)
    return max(int(len(frame) * settings.window.every.total_seconds() / span_seconds + 0.5), 1)


def _profile(frame: pd.DataFrame, columns: list[str]) -> Profile:
    with tempfile.TemporaryDirectory(prefix="retrue-") as folder:
        path = Path(folder) / "reference.parquet"
        weights = [name for name in ("sample_weight",) if name in frame.columns]
        frame[[*columns, *weights]].to_parquet(path, index=False)
        return profile_file(path, columns)


def _performance(frame: pd.DataFrame, settings: ModelSettings) -> RealisedPerformance | None:
    if "label" not in frame.columns or settings.generates:
        return None
    is_labelled = frame["label"].notna()
    labelled, weight = frame[is_labelled], frame.get("sample_weight")
    coverage = is_labelled.mean() if weight is None else weight[is_labelled].sum() / weight.sum()
    if len(labelled) > LABELLED_ROWS_MAX:
        labelled = labelled.sample(LABELLED_ROWS_MAX, random_state=settings.drift.seed)
    measured = measure_performance(
        settings.task,
        settings.metric,
        labels=labelled["label"],
        predictions=labelled.get("prediction"),
        scores=labelled.get("score"),
        weights=labelled.get("sample_weight"),
        coverage_share=float(coverage),
        positive_label=settings.performance.positive_label,
        min_labels=settings.performance.min_labels,
        seed=settings.drift.seed,
    )
    return measured if isinstance(measured, RealisedPerformance) else None


def _propose(workspace: Workspace, model: str, settings: ModelSettings, baseline: Baseline, window_rows: int) -> None:
    """Write a proposed suite for a person to edit; one that is there is never touched."""
    if settings.expectations is None:
        return
    path = workspace.project.path(settings.expectations)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    suite = propose_suite(model, baseline.profile, window_rows=window_rows)
    path.write_bytes(orjson.dumps(suite, option=orjson.OPT_INDENT_2) + b"\n")
    log.info("proposed %s: read it, and edit what the reasons do not convince you of", settings.expectations)


def log_baseline(workspace: Workspace, registered: RegisteredVersion) -> None:
    """Log a version's frozen baseline to its training run."""
    folder = workspace.project.baselines / registered.model / registered.version
    MlflowRegistry(workspace.mlflow).log_baseline(registered.run_id, folder)
