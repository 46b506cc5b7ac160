"""Rows of frozen baselines whose time is over: each column becomes a distribution by itself, here and in MLflow.

A baseline counts by its oldest row. It is replaced whole, since a measure that lost its oldest rows day by day would be
another one every day. A process that dies on the way is completed by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from retrue.baseline_changes import prepared_changes, put_change, remove_remains, without_values
from retrue.baselines import baseline_versions, read_baseline, reference_columns, reference_table
from retrue.config import RetentionSettings
from retrue.errors import BaselineError, DeliveryError, NameRefusedError
from retrue.results import Baseline, Verdict
from retrue.stages.measure import find_baseline
from retrue.times import duration_text
from retrue.workspace import Workspace

if TYPE_CHECKING:
    from retrue.adapters.registry_mlflow import MlflowRegistry

log = logging.getLogger(__name__)

_FAILURES = (BaselineError, DeliveryError, NameRefusedError, OSError)
UNFINISHED_KEPT = timedelta(days=1)  # whoever is at it for longer has died
FEATURES, FREE_TEXT, LABELS = "features", "free_text", "labels"
_IDS = ("inference_id", "caller_id")
_CONTEXT, _LABEL = "context", "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlivedBaselines:
    """Versions whose baseline, or its copy in MLflow, holds values whose time is over, and what could not be looked at.

    ``oldest_kept`` is the time of the oldest row that stays, None where none does.
    """

    versions: tuple[str, ...] = ()
    oldest_kept: datetime | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What of a reference has reached its time, and by which settings."""

    columns: frozenset[str]
    nothing_of: frozenset[str]
    reason: str


def outlived_baselines(workspace: Workspace, model: str) -> OutlivedBaselines:
    """Look which baselines of a model are to change, of versions in use and of old ones alike; nothing is changed."""
    folder = workspace.project.baselines
    waiting = {each.version for each in prepared_changes(folder, model)}
    outlived, oldest, problems = list(waiting - set(baseline_versions(folder, model))), [], []
    for version in baseline_versions(folder, model):
        try:
            baseline = read_baseline(folder, model, version)
            due = _due(workspace, baseline)
            if version in waiting or due or _copy_is_old(workspace, baseline):
                outlived.append(version)
            elif baseline.marginals is None:
                oldest.append(_oldest(workspace, baseline))
        except _FAILURES as error:
            problems.append(f"the baseline of {model} version {version}: {error}")
    kept = min(oldest, default=None)
    return OutlivedBaselines(versions=tuple(outlived), oldest_kept=kept, problems=tuple(problems))


def let_go_of_rows(workspace: Workspace, model: str, outlived: OutlivedBaselines, problems: list[str]) -> Iterator[int]:
    """Replace what ``outlived_baselines`` found; yields 1 for each version that is done."""
    try:
        remove_remains(workspace.project.baselines, model, before=workspace.now() - UNFINISHED_KEPT)
        finish_changes(workspace, model)
    except _FAILURES as error:
        problems.append(f"a change of the baselines of {model} was not finished: {error}")
    for version in outlived.versions:
        try:
            _let_go(workspace, model, version)
        except _FAILURES as error:
            problems.append(f"the baseline of {model} version {version}: {error}")
        else:
            yield 1


def finish_changes(workspace: Workspace, model: str) -> None:
    """Put in place what another process prepared before it died."""
    for changed in prepared_changes(workspace.project.baselines, model):
        put_in_place(workspace, changed)


def put_in_place(workspace: Workspace, changed: Baseline) -> None:
    """Register the digest of a prepared change, then put it in the place of the baseline."""
    workspace.ledger.models.register_baseline(changed.model, changed.version, changed.digest, workspace.now())
    put_change(workspace.project.baselines, changed.model, changed.version)


def copy_to_mlflow(workspace: Workspace, model: str, version: str) -> None:
    """Replace the copy of a baseline in its version's MLflow run, where the version is of this registry.

    Raises:
        DeliveryError: MLflow did not take it.
    """
    registry, run_id = _registry(workspace, model, version)
    if registry is not None:
        registry.log_baseline(run_id, workspace.project.baselines / model / version)


def changed_since(workspace: Workspace, verdict: Verdict) -> bool:
    """Tell whether the baseline of a verdict has become marginals since.

    Raises:
        BaselineError: It is damaged.
    """
    baseline = find_baseline(workspace.project, verdict.window.model, verdict.model_version)
    return baseline is not None and baseline.marginals is not None and baseline.digest != verdict.baseline_digest


def _let_go(workspace: Workspace, model: str, version: str) -> None:
    folder = workspace.project.baselines
    baseline = read_baseline(folder, model, version)
    due = _due(workspace, baseline)
    if due:
        settings = workspace.project.models.get(model)
        changed = without_values(
            folder,
            model,
            version,
            due.columns,
            nothing_of=due.nothing_of,
            reason=due.reason,
            seed=settings.drift.seed if settings else 0,
            now=workspace.now(),
        )
        put_in_place(workspace, changed)
        log.info("the baseline of %s version %s holds marginals from now on: %s", model, version, due.reason)
    copy_to_mlflow(workspace, model, version)


def _due(workspace: Workspace, baseline: Baseline) -> _Due | None:
    """Return what of a reference has reached its time; None where all that had is marginals already."""
    settings = workspace.project.models.get(baseline.model)
    lengths = _lengths(workspace.project.retention)
    oldest = _oldest(workspace, baseline)
    over = [name for name, length in lengths.items() if length and oldest < workspace.now() - length]
    if not over:
        return None
    names = reference_columns(workspace.project.baselines, baseline.model, baseline.version)
    texts = _named(names, settings.privacy.free_text) if settings else frozenset[str]()
    texts |= {name for name in names if name.split(".", 1)[0] == _CONTEXT}
    people = frozenset(_IDS) | (_named(names, settings.privacy.subject) if settings else frozenset())
    of_class = {FEATURES: frozenset(names), FREE_TEXT: texts, LABELS: frozenset({_LABEL}) & frozenset(names)}
    done = frozenset(baseline.marginals.columns if baseline.marginals else ())
    columns = frozenset[str]().union(*(of_class[name] for name in over)) - done
    reason = " and ".join(f"retention.{name} {duration_text(length)}" for name in over if (length := lengths[name]))
    return _Due(columns=columns, nothing_of=texts | people, reason=reason) if columns else None


def _lengths(kept: RetentionSettings) -> Mapping[str, timedelta | None]:
    return {FEATURES: kept.features, FREE_TEXT: kept.free_text, LABELS: kept.labels}


def _named(names: Collection[str], on_disk: Collection[str]) -> frozenset[str]:
    """Return the columns of a reference that settings name as they are called on disk: features have bare names here."""
    return frozenset(each if each in names else each.removeprefix("features.") for each in on_disk) & frozenset(names)


def _oldest(workspace: Workspace, baseline: Baseline) -> datetime:
    """Return the time of the oldest row; where rows have none, the beginning of the span that they were taken from."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folder, model, version = workspace.project.baselines, baseline.model, baseline.version
    if "time" not in reference_columns(folder, model, version):
        return baseline.provenance.start
    times = reference_table(folder, model, version, columns=["time"])["time"]
    if not pa.types.is_timestamp(times.type) or times.null_count == len(times):
        return baseline.provenance.start
    first: datetime = pc.min(times).cast(pa.timestamp("us", times.type.tz or "UTC"), safe=False).as_py()
    return first.astimezone(UTC)


def _registry(workspace: Workspace, model: str, version: str) -> tuple[MlflowRegistry | None, str]:
    """Return where the copy of a baseline is, and in which run; nowhere for a version that is known by its log only."""
    models = workspace.ledger.models
    if version not in models.registered(model):
        return None, ""
    if not workspace.project.mlflow:
        raise DeliveryError("its copy in MLflow may hold rows still, and no MLflow server is configured")
    from retrue.adapters.registry_mlflow import MlflowRegistry

    return MlflowRegistry(workspace.mlflow), models.version(model, version).run_id


def _copy_is_old(workspace: Workspace, baseline: Baseline) -> bool:
    """Tell whether MLflow's copy is that of before a change. A baseline that never changed has no older copy."""
    if baseline.marginals is None and not workspace.ledger.erasures.list(baseline.model):
        return False
    registry, run_id = _registry(workspace, baseline.model, baseline.version)
    return registry is not None and registry.copied_digest(run_id) != baseline.digest
