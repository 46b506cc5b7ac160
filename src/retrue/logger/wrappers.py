"""Models that log what they predict: scikit-learn estimators, MLflow's pyfunc models and whatever else has their methods.

    model = watched(joblib.load("model.joblib"), log)
    model.predict_proba(flights)  # the same answer, and one record a row

The wrapped model answers, raises and looks like the model itself. Neither pandas nor MLflow is imported, and scikit-learn
only where it asks itself (`clone`, `check_is_fitted`).

A row's features are named as its columns are: by the frame, else by the model's `feature_names_in_`, else `x0`, `x1`, …
Rows of one call share its time, its latency, which each of them waited for, and `context.batch_rows`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterable
from itertools import repeat
from typing import Any, Final

from retrue.logger.calls import Call, RecordFacts
from retrue.logger.current import observed_call
from retrue.logger.inference import InferenceLogger
from retrue.logger.rows import Features, answers_of, features_of

METHODS: Final = ("predict", "predict_proba", "decision_function")
MAX_FAILED_ROWS: Final = 100

Ids = Callable[[Any], Iterable[str]]


def watched(
    model: Any,
    log: InferenceLogger,
    *,
    methods: Collection[str] = METHODS,
    ids: Ids | None = None,
    endpoint: str | None = None,
    max_failed_rows: int = MAX_FAILED_ROWS,
) -> Watched:
    """Return the model such that it logs each row it is asked about.

    In a request that the ASGI middleware observes, a call for a single row says its features and answer of that request
    instead of making a record of its own. A call for several rows makes one each; keep endpoints of batches out of the
    middleware's `paths`, or the request is one more.

    Where the model raises, its rows are recorded with the exception, all or the first `max_failed_rows`: failures are never
    sampled, and one batch of a million rows is not to fill the log.

    Args:
        model: Has one of the methods.
        log: Where its rows are logged.
        methods: What is logged. A server that asks both `predict` and `predict_proba` about the same rows names one, so that
            they are not counted twice.
        ids: Finds the rows' inference ids in what was asked, such as `lambda frame: frame["order_id"]`; None: they are made.
        endpoint: Of the records; None: the logger's.
        max_failed_rows: Records of one failed call at most.

    Raises:
        TypeError: The model has none of the methods.
        ValueError: `max_failed_rows` is under 1.
    """
    if max_failed_rows < 1:
        raise ValueError(f"max_failed_rows is {max_failed_rows}, expected 1 or more")
    if not any(callable(getattr(model, name, None)) for name in methods):
        raise TypeError(f"{type(model).__name__} has none of the methods {', '.join(methods)}")
    return Watched(model, _Keeper(log, ids, endpoint, max_failed_rows), frozenset(methods))


class Watched:
    """A model that logs, made by `watched`. All else is the model's own: its attributes, its `fit`, its class."""

    def __init__(self, model: Any, keeper: _Keeper, methods: frozenset[str]) -> None:
        self.__dict__.update(_model=model, _keeper=keeper, _methods=methods)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return the model's, so that it passes for one of its kind."""
        return type(self._model)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name in self._methods:
            return self._keeper.logging(self._model, name, found)
        return self._fitting(found) if name == "fit" else found

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._model, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._model, name)

    def __repr__(self) -> str:
        return f"watched({self._model!r})"

    def __sklearn_clone__(self) -> Watched:
        """Return an unfitted copy that logs to the same place."""
        from sklearn.base import clone

        return self._around(clone(self._model))

    def __sklearn_is_fitted__(self) -> bool:
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(self._model)
        except NotFittedError:
            return False
        return True

    def __copy__(self) -> Watched:
        return self._around(copy.copy(self._model))

    def __deepcopy__(self, memo: dict[int, Any]) -> Watched:
        return self._around(copy.deepcopy(self._model, memo))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the model alone: a logger belongs to its process."""
        return _itself, (self._model,)

    def _around(self, model: Any) -> Watched:
        return Watched(model, self._keeper, self._methods)

    def _fitting(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        def fitted(*args: Any, **kwargs: Any) -> Any:
            answer = fit(*args, **kwargs)
            return self if answer is self._model else answer

        return fitted


class _Keeper:
    """Writes the rows of a model's calls down."""

    def __init__(self, log: InferenceLogger, ids: Ids | None, endpoint: str | None, max_failed_rows: int) -> None:
        self._log, self._ids, self._endpoint, self._max_failed_rows = log, ids, endpoint, max_failed_rows

    def logging(self, model: Any, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the model's method such that its calls are written down."""

        def answered(rows: Any, *args: Any, **kwargs: Any) -> Any:
            at, began = time.time_ns(), time.perf_counter_ns()
            try:
                answer = method(rows, *args, **kwargs)
            except BaseException as error:
                self._keep(model, rows, _failed(error, self._max_failed_rows), at, began)
                raise
            self._keep(model, rows, lambda count: answers_of(name, answer, model, count), at, began)
            return answer

        return answered

    def _keep(self, model: Any, rows: Any, told: Callable[[int], Iterable[RecordFacts]], at: int, began: int) -> None:
        latency_ms = (time.perf_counter_ns() - began) / 1e6
        try:
            features = features_of(rows, model)
            answers = told(len(features))
            ids = [str(each) for each in self._ids(rows)] if self._ids else repeat(None)
            call = observed_call()
            if call is not None and len(features) == 1:
                _tell(call, next(iter(features)), next(iter(answers)))
                return
            shared: RecordFacts = {"endpoint": self._endpoint, "time": at, "latency_ms": latency_ms}
            if len(features) > 1:
                shared["context"] = {"batch_rows": len(features)}
            record = self._log.record
            for row, answer, each in zip(features, answers, ids, strict=False):
                record(row, **_together(shared, answer, each))
        except Exception:  # noqa: BLE001 - rows and answers are foreign objects, and the answer is the caller's already
            return


def _tell(call: Call, features: Features, answer: RecordFacts) -> None:
    """Say of an observed call what its one row was; an exception reaches it by itself."""
    call.given(features)
    if context := answer.get("context"):
        call.noted(**context)
    if "prediction" in answer:
        call.predicted(answer["prediction"], score=answer.get("score"), scores=answer.get("scores"))


def _together(shared: RecordFacts, answer: RecordFacts, inference_id: str | None) -> RecordFacts:
    facts: RecordFacts = {**shared, **answer}
    if inference_id is not None:
        facts["inference_id"] = inference_id
    if "context" in answer and "context" in shared:
        facts["context"] = {**(shared["context"] or {}), **(answer["context"] or {})}
    return facts


def _failed(error: BaseException, most: int) -> Callable[[int], Iterable[RecordFacts]]:
    return lambda count: ({"error": error} for _ in range(min(count, most)))


def _itself(model: Any) -> Any:
    return model
