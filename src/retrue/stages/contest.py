"""A contest: the rows known when it was asked for, a champion, and the gate between it and a challenger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.adapters.suite_gx import load_suite
from retrue.baselines import read_baseline, read_reference
from retrue.config import ModelSettings, RetrainSettings
from retrue.digits import percent
from retrue.errors import ModelError
from retrue.gate import judge_challenger
from retrue.ledger import EXTERNAL
from retrue.metrics import NEED_SCORE
from retrue.results import Baseline, GateResult, RetrainCause, Severity
from retrue.sources.pulled import PulledWindow
from retrue.stages.measure import check_columns, rows_served_by, validate_window
from retrue.stages.pulling import pull_window
from retrue.stages.side_by_side import Sides, checks
from retrue.stages.training import LabelledRows, Predicted, predict, require_columns
from retrue.windows import Window
from retrue.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_BESIDE = ("inference_id", "time", "label", "prediction", "score", "model_version", "sample_weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Champion and challenger with the rows that decide between them: those from ``later_from`` up to ``end``.

    ``note`` tells of rows that could not be had.
    """

    champion: str
    training: LabelledRows
    later: LabelledRows
    baseline: Baseline
    later_from: datetime
    end: datetime
    note: str = ""


def assemble(workspace: Workspace, settings: ModelSettings, retrain: RetrainSettings, cause: RetrainCause) -> Contest:
    """Gather the labelled rows known at ``as_of``: windows since the champion's baseline, before them its own rows.

    In a shadow all of them are trained on: it is judged by windows that are still to come.
    """
    import pandas as pd

    champion = workspace.ledger.models.champion(cause.model)
    if champion is None:
        raise ModelError(f"{cause.model} has no champion to compare with: run `retrue baseline {cause.model}`")
    baseline = read_baseline(workspace.project.baselines, cause.model, champion)
    check_columns(workspace.project, settings, baseline)
    end = settings.window.grid.floor(cause.as_of - settings.window.settle)
    start = _start(retrain, baseline, end)
    if start >= end:
        raise ModelError(
            f"no window has settled since the baseline of version {champion}, which ends {start:%Y-%m-%d %H:%M} UTC: wait for one"
        )
    span = Window(model=cause.model, start=start, end=end)
    fresh = labelled_rows(workspace, settings, span, baseline, as_of=cause.as_of)
    later_from = end if retrain.gate.shadow else end - retrain.holdout
    before, later = fresh.split_at(pd.Timestamp(later_from))
    note = _without_reference(baseline) if retrain.include_reference else ""
    if retrain.include_reference and not note:
        before = _with_reference(workspace, baseline, before, retrain, end)
    if not len(before) or not (len(later) or retrain.gate.shadow):
        raise ModelError(
            f"{len(before)} labelled rows to train on and {len(later)} to judge by: wait for more labels, or shorten retrain.holdout"
            + (f"; {note}" if note else "")
        )
    return Contest(
        champion=champion,
        training=before,
        later=later,
        baseline=baseline,
        later_from=later_from,
        end=end,
        note=note,
    )


def labelled_rows(
    workspace: Workspace, settings: ModelSettings, span: Window, baseline: Baseline, *, as_of: datetime
) -> LabelledRows:
    """Return the labelled rows of a span with the baseline's features, as they were known at a time.

    Raises:
        ModelError: They miss features, too many were set aside, or they fail a critical expectation on a column.
    """
    features = _features(baseline)
    with pull_window(
        span, settings, root=workspace.project.root, as_of=as_of, erased=workspace.erased(span.model)
    ) as pulled:
        _refuse_bad_rows(workspace, settings, pulled, features)
        wanted = [*features, *(name for name in _BESIDE if name in pulled.columns)]
        frame = pulled.labelled_frame(wanted)
    return LabelledRows(frame=frame, features=features)


def _without_reference(baseline: Baseline) -> str:
    """Return why nothing can be learned from a reference; empty while it holds whole rows."""
    marginals = baseline.marginals
    if marginals is None:
        return ""
    since = f"{marginals.made_at:%Y-%m-%d} ({marginals.reason})"
    return f"the reference of version {baseline.version} was left out: it holds no whole rows since {since}"


def _start(retrain: RetrainSettings, baseline: Baseline, end: Any) -> Any:
    since_baseline = baseline.provenance.end
    return max(since_baseline, end - retrain.history) if retrain.history else since_baseline


def _features(baseline: Baseline) -> tuple[str, ...]:
    return tuple(name for name in baseline.profile.columns if name not in ("prediction", "score"))


def _refuse_bad_rows(
    workspace: Workspace, settings: ModelSettings, pulled: PulledWindow, features: tuple[str, ...]
) -> None:
    """Refuse to learn from rows that miss features, were set aside, or fail a critical expectation on a column."""
    missing = [name for name in features if name not in pulled.columns]
    if missing:
        raise ModelError(f"the labelled windows lack {', '.join(missing[:5])}, which the champion's baseline has")
    if pulled.report.set_aside_share > settings.quality.max_set_aside_share:
        raise ModelError(
            f"{percent(pulled.report.set_aside_share, 1)} of the rows to train on were set aside: mend the log first"
        )
    if settings.expectations is None:
        return
    result = validate_window(pulled, load_suite(workspace.project.path(settings.expectations)))
    broken = [
        f"{outcome.kind}({outcome.column})"
        for outcome in result.outcomes
        if outcome.column and outcome.success is not True and outcome.severity is Severity.CRITICAL
    ]
    if broken:
        raise ModelError(f"the rows to train on fail {', '.join(broken[:5])}: mend the features first")


def _with_reference(
    workspace: Workspace, baseline: Baseline, before: LabelledRows, retrain: RetrainSettings, end: Any
) -> LabelledRows:
    """Put the champion's own labelled reference rows before the rows of the windows, as far as ``history`` reaches."""
    import pandas as pd

    reference = read_reference(workspace.project.baselines, baseline.model, baseline.version)
    if "label" not in reference.columns:
        return before
    reference = reference[reference["label"].notna() & ~reference["inference_id"].isin(before.frame["inference_id"])]
    if retrain.history:
        reference = reference[reference["time"] >= end - retrain.history]
    columns = [name for name in before.frame.columns if name in reference.columns]
    joined = pd.concat([reference[columns], before.frame[columns]], ignore_index=True).sort_values(
        "time", kind="stable"
    )
    return LabelledRows(frame=joined, features=before.features)


def champion_loader(workspace: Workspace, retrain: RetrainSettings, contest: Contest, model: str) -> Callable[[], Any]:
    def load() -> Any:
        loaded = load_version(workspace, retrain, model, contest.champion)
        if loaded is None:
            raise ModelError(
                f"version {contest.champion} of {model} is not in the registry: name retrain.train in retrue.yaml"
            )
        return loaded

    return load


def load_version(workspace: Workspace, retrain: RetrainSettings, model: str, version: str) -> Any | None:
    """Return the estimator of a version, None where it is only known by its log.

    Raises:
        ModelError: It is not registered, or its file is not the one that was.
        DeliveryError: MLflow did not answer.
    """
    known = workspace.ledger.models.version(model, version)
    if known.kind == EXTERNAL:
        return None
    registry = MlflowRegistry(workspace.mlflow)
    return registry.load_version(model, version, sha256=known.sha256, trusted=retrain.trusted_types)


def compare(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    contest: Contest,
    estimator: Any,
    model: str,
) -> GateResult:
    """Judge a challenger by the contest's later rows, and hold it to the gate's limits."""
    sides = _sides(workspace, settings, retrain, contest, estimator, model)
    later = sides.later
    times = wall_clock(later.frame["time"], settings.window.timezone)
    judged = judge_challenger(
        settings.metric,
        task=settings.task,
        labels=later.labels,
        champion=sides.champion.judged(settings.metric),
        challenger=sides.challenger.judged(settings.metric),
        settings=retrain.gate,
        times=times,
        weights=later.frame.get("sample_weight"),
        slices={name: later.frame[name] for name in retrain.gate.slices},
        positive_label=settings.performance.positive_label,
        watched_blocks=retrain.watched_blocks if retrain.gate.watch else None,
        seed=settings.drift.seed,
    )
    return judged.held_to(checks(sides, contest.training, settings, retrain, times))


def _sides(
    workspace: Workspace,
    settings: ModelSettings,
    retrain: RetrainSettings,
    contest: Contest,
    estimator: Any,
    model: str,
) -> Sides:
    import numpy as np

    later, champion = contest.later, load_version(workspace, retrain, model, contest.champion)
    if champion is None:
        answer = "score" if settings.metric in NEED_SCORE else "prediction"
        require_columns(later.frame, [answer], f"the log, by which version {contest.champion} is compared,")
        later = LabelledRows(frame=rows_served_by(contest.champion, later.frame), features=later.features)
        absent = np.full(len(later), None, dtype=object)
        said = Predicted(
            prediction=later.frame["prediction"].to_numpy() if "prediction" in later.frame else absent,
            score=later.frame["score"].to_numpy() if "score" in later.frame else None,
        )
    else:
        said = predict(champion, later.inputs, settings)
    return Sides(
        later=later,
        champion_model=champion,
        challenger_model=estimator,
        champion=said,
        challenger=predict(estimator, later.inputs, settings),
    )


def wall_clock(times: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Return times as the clocks of a zone showed them: its days are the blocks of the gate.

    >>> import pandas as pd
    >>> wall_clock(pd.Series(pd.to_datetime(["2013-04-05T03:00Z"])), "America/New_York").dt.day.tolist()
    [4]
    """
    shown: pd.Series[Any] = times.dt.tz_convert(zone).dt.tz_localize(None)
    return shown
