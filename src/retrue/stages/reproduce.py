"""One recorded inference again: the input that was logged through the model version that answered it, beside what was logged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from retrue.adapters.registry_mlflow import MlflowRegistry
from retrue.config import ModelSettings
from retrue.errors import ModelError, RetrueError
from retrue.ledger import EXTERNAL
from retrue.logger.shapes import is_shape_text
from retrue.results import Baseline, ColumnKind
from retrue.stages.functions import user_function
from retrue.stages.measure import find_baseline
from retrue.stages.pulling import pull_window
from retrue.stages.training import predict
from retrue.windows import Window
from retrue.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)
RELATIVE_TOLERANCE = 1e-6  # a score may differ in its last digits on another processor
_OK = "ok"


class Likeness(StrEnum):
    """How what happens now compares with what was logged."""

    SAME_ANSWER = "same answer"
    OTHER_ANSWER = "other answer"
    SAME_FAILURE = "same failure"
    OTHER_FAILURE = "other failure"
    ANSWERS_NOW = "answers now"
    FAILS_NOW = "fails now"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one run of the model came to: an answer, or the type of an exception with its message."""

    prediction: object = None
    score: float | None = None
    error_type: str = ""
    error_message: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error_type)

    @property
    def line(self) -> str:
        """The outcome as a person reads it."""
        if self.failed:
            return f"{self.error_type}: {self.error_message}".rstrip(": ")
        score = "" if self.score is None else f", score {self.score:.6g}"
        return f"prediction {self.prediction}{score}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """A recorded inference and the same again. ``now`` is None where it could not be run, with the ``reason``."""

    inference_id: str
    model: str
    model_version: str
    time: datetime
    likeness: Likeness
    logged: Said
    now: Said | None
    inputs: Mapping[str, object]
    stack: str
    reason: str = ""

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "inference_id": self.inference_id,
            "model": self.model,
            "model_version": self.model_version,
            "time": self.time.isoformat(),
            "likeness": self.likeness.value,
            "reason": self.reason,
            "logged": _facts(self.logged),
            "now": _facts(self.now) if self.now else None,
            "inputs": {name: _plain(value) for name, value in self.inputs.items()},
            "stack": self.stack,
        }


def _facts(said: Said) -> dict[str, object]:
    return {
        "prediction": said.prediction,
        "score": said.score,
        "error_type": said.error_type or None,
        "error_message": said.error_message or None,
    }


def reproduce(workspace: Workspace, inference_id: str, *, model: str | None = None) -> Reproduced:
    """Run a recorded inference again; of several models' records with this id that of the first in retrue.yaml.

    The model is called as ``serve`` of its block says, by default by ``predict`` (and ``predict_proba``) alone: a failure
    of the server's code around the model is then not met. A version of which only the log is known needs ``serve``, which gets
    None for the model.

    Raises:
        ModelError: No log has a record with this id.
        ConfigError: No such model.
    """
    for name in [model] if model else workspace.project.models:
        settings = workspace.project.model(name)
        record = _find(workspace, name, settings, inference_id)
        if record is not None:
            return _run(workspace, name, settings, record)
    where = f"the log of {model}" if model else f"the logs of {', '.join(workspace.project.models)}"
    raise ModelError(f"no record {inference_id!r} in {where}: it may have been sampled out, purged or erased")


def _find(workspace: Workspace, model: str, settings: ModelSettings, inference_id: str) -> pd.Series[Any] | None:
    span = Window(model=model, start=FIRST, end=LAST)
    with pull_window(
        span, settings, root=workspace.project.root, only=(inference_id,), erased=workspace.erased(model)
    ) as pulled:
        frame = pulled.sample(1, seed=0)
    return None if frame.empty else frame.iloc[0]


def _run(workspace: Workspace, model: str, settings: ModelSettings, record: pd.Series[Any]) -> Reproduced:
    version = _text(record.get("model_version")) or "unknown"
    logged = _logged(record)
    baseline = find_baseline(workspace.project, model, version)
    inputs: dict[str, object] = {}
    try:
        inputs = _inputs(record, baseline, version)
        now = _answer(workspace, model, settings, version, inputs)
        likeness, reason = _compare(logged, now), ""
    except RetrueError as error:
        now, likeness, reason = None, Likeness.CANNOT, str(error)
    return Reproduced(
        inference_id=str(record["inference_id"]),
        model=model,
        model_version=version,
        time=record["time"].to_pydatetime(),
        likeness=likeness,
        logged=logged,
        now=now,
        inputs=inputs,
        stack=_text(record.get("error_stack")),
        reason=reason,
    )


def _logged(record: pd.Series[Any]) -> Said:
    if (_text(record.get("status")) or _OK).lower() != _OK:
        kind = _text(record.get("error_type")) or _text(record.get("status"))
        return Said(error_type=kind, error_message=_text(record.get("error_message")))
    return Said(prediction=_plain(record.get("prediction")), score=_number(record.get("score")))


def _inputs(record: pd.Series[Any], baseline: Baseline | None, version: str) -> dict[str, object]:
    if baseline is None:
        raise ModelError(f"version {version} has no baseline, which tells the model's features")
    columns = {name: each for name, each in baseline.profile.columns.items() if name not in ("prediction", "score")}
    lost = [name for name, each in columns.items() if name not in record.index or not _kept(record[name], each.kind)]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise ModelError(f"the log did not keep {', '.join(lost[:5])}{more}: list them under Fields(keep=…)")
    return {name: _seen(record[name], each.kind) for name, each in columns.items()}


def _seen(value: object, kind: ColumnKind) -> object:
    """Return a value as a model sees it: a missing number is NaN, another missing value None.

    A number is text where other records of the log hold something else in its column.
    """
    plain = _plain(value)
    if kind is not ColumnKind.NUMBER:
        return plain
    return math.nan if plain is None else float(plain) if isinstance(plain, str) else plain


def _kept(value: object, kind: ColumnKind) -> bool:
    """Tell a value from what a logger leaves of one that it does not keep: its type and length."""
    if isinstance(value, Mapping) or (isinstance(value, str) and is_shape_text(value)):
        return False
    return not (kind is ColumnKind.NUMBER and isinstance(value, str) and _number(value) is None)


def _answer(
    workspace: Workspace, model: str, settings: ModelSettings, version: str, inputs: Mapping[str, object]
) -> Said:
    serve = user_function(workspace.project, "serve", settings.serve) if settings.serve else None
    estimator = _load(workspace, model, settings, version)
    if estimator is None and serve is None:
        raise ModelError(
            f"version {version} of {model} is not in the registry, only its log is known: name a function under `serve`"
        )
    try:
        if serve is None:
            return _predicted(estimator, inputs, settings)
        return _said(serve(estimator, dict(inputs)))
    except RetrueError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the model raises is what was asked for
        return Said(error_type=type(error).__name__, error_message=str(error))


def _load(workspace: Workspace, model: str, settings: ModelSettings, version: str) -> Any:
    """Return the estimator of a version, None where only its log is known."""
    known = workspace.ledger.models.version(model, version)
    if known.kind == EXTERNAL:
        return None
    trusted = settings.retrain.trusted_types if settings.retrain else ()
    return MlflowRegistry(workspace.mlflow).load_version(model, version, sha256=known.sha256, trusted=trusted)


def _predicted(estimator: Any, inputs: Mapping[str, object], settings: ModelSettings) -> Said:
    import pandas as pd

    answer = predict(estimator, pd.DataFrame([inputs]), settings)
    score = None if answer.score is None else float(answer.score[0])
    return Said(prediction=_plain(answer.prediction[0]), score=score)


def _said(answer: object) -> Said:
    """Read what a ``serve`` function returns: a prediction, or a pair of prediction and score."""
    if isinstance(answer, tuple) and len(answer) == 2:
        return Said(prediction=_plain(answer[0]), score=_number(answer[1]))
    return Said(prediction=_plain(answer))


def _compare(logged: Said, now: Said) -> Likeness:
    if logged.failed != now.failed:
        return Likeness.ANSWERS_NOW if logged.failed else Likeness.FAILS_NOW
    if logged.failed:
        same = logged.error_type.rpartition(".")[2] == now.error_type
        return Likeness.SAME_FAILURE if same else Likeness.OTHER_FAILURE
    same = _equal(logged.prediction, now.prediction) and (logged.score is None or _equal(logged.score, now.score))
    return Likeness.SAME_ANSWER if same else Likeness.OTHER_ANSWER


def _equal(one: object, other: object) -> bool:
    first, second = _number(one), _number(other)
    if first is None or second is None:
        return str(one) == str(other)
    return math.isclose(first, second, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _plain(value: object) -> object:
    """Return a value of a frame as plain Python; None where it is missing."""
    plain = value.item() if hasattr(value, "item") else value
    missing = (
        plain is None
        or type(plain).__name__ in ("NAType", "NaTType")
        or (isinstance(plain, float) and math.isnan(plain))
    )
    return None if missing else plain


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
