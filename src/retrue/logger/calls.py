"""One observed call of a model, in the host's thread: what it was given, said, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypedDict, Unpack

if TYPE_CHECKING:
    from retrue.logger.inference import InferenceLogger

Status = Literal["ok", "error", "timeout", "rejected"]
Facts = dict[str, object]
"""A record in the making: the fields of the record by name; "error" holds the exception until the drain writes it out."""
Plain = tuple[object, object, float | None, float | None, int, Facts]
"""A plain success, cheaper to make: features, prediction, score, latency in ms, when it ended, and what else was said."""

_NANOSECONDS_PER_MILLISECOND = 1e6


class Answer(IntEnum):
    """What became of one record as it was given to the logger.

    Attributes:
        ACCEPTED: It has a sequence number and is on its way to disk.
        SAMPLED_OUT: A success that `sample` left out.
        SHED: Left out because a lane is full; counted by reason in `stats()`.
        CLOSED: The logger was closed before.
    """

    ACCEPTED = 1
    SAMPLED_OUT = 2
    SHED = 3
    CLOSED = 4


ACCEPTED, SAMPLED_OUT, SHED, CLOSED = Answer


class CallFacts(TypedDict, total=False):
    """What may be said of a call as it begins.

    Attributes:
        inference_id: Unique id; None: one is made. One that looks like personal data is replaced by its keyed hash.
        caller_id: Who asked, such as a tenant.
        endpoint: Where they asked, such as `POST /predict`; None: the logger's.
        context: More values of the caller's, kept under the same allow-list as features.
        time: When the call began, in ns since 1970 or as an aware datetime; None: now.
        request_bytes: Size of the request.
        model_version: Where several versions serve in one process; None: the logger's.
        trace_id: The trace it belongs to, in hex; None: that of the active OpenTelemetry context, if there is one.
        span_id: Likewise the span.
    """

    inference_id: str | None
    caller_id: str | None
    endpoint: str | None
    context: Mapping[str, object] | None
    time: int | datetime | None
    request_bytes: int | None
    model_version: str | None
    trace_id: str | None
    span_id: str | None


class EndFacts(CallFacts, total=False):
    """What more may be said of a call that has ended.

    Attributes:
        scores: Probability by class.
        input_tokens: Tokens of the prompt; likewise `output_tokens` and `cost_usd`.
    """

    scores: Mapping[str, float] | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class OutcomeFacts(EndFacts, total=False):
    """The same with what nearly every call says; see `InferenceLogger.record`."""

    prediction: object
    score: float | None
    latency_ms: float | None


class RecordFacts(OutcomeFacts, total=False):
    """All that `InferenceLogger.record` takes beside the features; see there."""

    status: Status | None
    error: BaseException | None
    durable: bool


class Observer(Protocol):
    """Is told of each call in the host's thread, also of those that are sampled out. What it raises is counted, not raised."""

    def started(self, call: Call) -> None:
        """Hear that a call begins; not of those given to `record`, which have ended."""

    def finished(self, call: Call, record: Mapping[str, object]) -> None:
        """Hear how it ended.

        The record holds facts by the names of the record's fields (`inference_id`, `time`, `status`, `latency_ms`, `endpoint`,
        `model`, `model_version`, `error_type`, `trace_id`, tokens and cost …) and never features, context or predictions. It is
        complete but for the sequence number and weight, and not redacted: `Call.redacted` is for what leaves the process.
        """


class Call:
    """A context manager around one call of the model, made by `InferenceLogger.observe`."""

    __slots__ = ("_began", "_facts", "_log", "state")

    def __init__(self, log: InferenceLogger, facts: Facts) -> None:
        self._log = log
        self._facts = facts
        self._began = 0
        self.state: object = None
        """For one observer's own use, such as the span it opened."""

    @property
    def inference_id(self) -> str:
        """Return the call's id, to hand to whoever will know the label; made now if none was given."""
        return self._log._id_of(self._facts)

    @property
    def facts(self) -> Mapping[str, object]:
        """Return what is known so far, features included, by field; empty once the call has ended."""
        return self._facts

    def given(self, features: object) -> None:
        """Say what the model was given, where that is known only after the call began."""
        self._facts["features"] = copied(features)

    def told(self, **facts: Unpack[CallFacts]) -> None:
        """Say what is known only after the call began, such as the endpoint that a router found."""
        self._facts.update(facts)

    def predicted(
        self, prediction: object, *, score: float | None = None, scores: Mapping[str, float] | None = None
    ) -> None:
        """Say what the model answered, with the probability of the positive class or of each class."""
        facts = self._facts
        facts["prediction"] = prediction
        if score is not None:
            facts["score"] = score
        if scores is not None:
            facts["scores"] = scores

    def generated(
        self,
        *,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        finish_reason: str | Sequence[str] | None = None,
        provider: str | None = None,
        response_model: str | None = None,
    ) -> None:
        """Say what a generation used; None is not written. The names on disk are OpenTelemetry's `gen_ai.*`."""
        said = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cost_usd": cost_usd,
            "gen_ai.request.model": model,
            "gen_ai.response.model": response_model,
            "gen_ai.provider.name": provider,
            "gen_ai.response.finish_reasons": finish_reason,
        }
        self._facts.update({name: value for name, value in said.items() if value is not None})

    def rejected(self, reason: str) -> None:
        """Say that the request was refused, by a short constant of the program's such as `quota`."""
        self._facts.update(status="rejected", error_type="rejected", error_message=reason)

    def timed_out(self) -> None:
        """Say that the answer came too late or not at all."""
        self._facts["status"] = "timeout"

    def failed(self, error: BaseException | str) -> None:
        """Say that the call failed by an exception that the body keeps to itself, or by a short constant such as `HTTP 503`."""
        if isinstance(error, str):
            self._facts.update(status="error", error_type=error)
        else:
            self._facts["error"] = error

    def redacted(self, record: Mapping[str, object]) -> Mapping[str, object]:
        """Return what an observer was told as it may leave the process: as it is written to disk, exception's message included."""
        return self._log.fields.redact({name: value for name, value in record.items() if value is not None})

    def noted(self, **values: object) -> None:
        """Add values to the context; one given before that is no `dict` is replaced."""
        given = self._facts.get("context")
        self._facts["context"] = {**given, **values} if type(given) is dict else values

    def __enter__(self) -> Self:
        self._log._begin(self, self._facts)
        self._began = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        facts = self._facts
        facts["latency_ms"] = (perf_counter_ns() - self._began) / _NANOSECONDS_PER_MILLISECOND
        if error is not None:
            facts["error"] = error
        self._facts = {}
        self._log._end(self, facts)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def copied(value: object) -> object:
    """Return a copy of a built-in container, so that what the host changes later is not seen; others run their own code."""
    return value.copy() if type(value) is dict or type(value) is list else value
