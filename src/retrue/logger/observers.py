"""Who is told of each call in the host's thread, such as metrics and traces. What they raise is counted, not raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import get_ident

from retrue.logger.calls import Call, Facts, Observer
from retrue.logger.exceptions import Failure
from retrue.logger.lanes import Tick

_TOLD = (
    "time",
    "latency_ms",
    "caller_id",
    "request_bytes",
    "error_type",
    "trace_id",
    "span_id",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.provider.name",
    "gen_ai.response.finish_reasons",
)


class Observers:
    """All observers of a logger.

    Raises:
        TypeError: One is none.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        for each in observers:
            if not callable(getattr(each, "started", None)) or not callable(getattr(each, "finished", None)):
                raise TypeError(f"{type(each).__name__} is no observer: it lacks `started` or `finished`")
        self._observers = tuple(observers)
        self._telling: set[int] = set()
        self.errors = Tick()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def started(self, call: Call) -> None:
        """Tell all that a call begins."""
        for each in self._observers:
            try:
                each.started(call)
            except Exception:  # noqa: BLE001 - an observer's failure is not the host's
                self.errors.add()

    def finished(self, call: Call, record: Mapping[str, object]) -> None:
        """Tell all how a call ended, unless it is one that an observer logs itself as it is told."""
        thread = get_ident()
        if thread in self._telling:
            return
        self._telling.add(thread)
        try:
            for each in self._observers:
                try:
                    each.finished(call, record)
                except Exception:  # noqa: BLE001 - an observer's failure is not the host's
                    self.errors.add()
        finally:
            self._telling.discard(thread)

    def after_fork(self) -> None:
        """Forget the threads that a child does not have."""
        self._telling.clear()
        self.errors = Tick()


def told(facts: Facts, **known: object) -> dict[str, object]:
    """Return what observers are told: what they may count and show, and no value of the model's.

    Args:
        facts: What was said of the call.
        known: Fields that the logger knows better.
    """
    record = {name: facts[name] for name in _TOLD if facts.get(name) is not None}
    failure = facts.get("error")
    record["status"] = facts.get("status") or "ok"
    record["error_message"] = failure.raised if isinstance(failure, Failure) else facts.get("error_message")
    return record | known
