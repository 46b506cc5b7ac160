"""From what was said in the call to the record that is written. Pure, but for the exceptions' stacks; runs in the drain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from retrue.logger.calls import CallFacts, Facts, Plain, RecordFacts
from retrue.logger.exceptions import Failure, stack_lines
from retrue.logger.messages import Raised
from retrue.logger.segments import TIME_END

STATUSES: Final = frozenset({"ok", "error", "timeout", "rejected"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NANOSECONDS = 1e6  # in a millisecond
_LATENCY_MAX = 1e9  # ms; a longer one says nothing about when a call began
_PLAIN = frozenset({int, float, str, list, Raised})  # the one list is the stack's
_VALUES = frozenset({"features", "prediction", "scores", "context", "gen_ai.response.finish_reasons"})
_GENERATION = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.provider.name",
    "gen_ai.response.finish_reasons",
)
_KNOWN = frozenset(
    {"seq", "features", "sample_weight", "error_type", "error_message", *_GENERATION}
    | CallFacts.__annotations__.keys()
    | RecordFacts.__annotations__.keys()
)


def nanoseconds(at: object) -> int | None:
    """Return a time as ns since 1970; None where it is no whole number or aware datetime of the years 1970 to 2261.

    >>> nanoseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)), nanoseconds(5), nanoseconds(datetime(1970, 1, 1))
    (1000000000, 5, None)
    """
    if isinstance(at, datetime):
        at = (at - _EPOCH) // _MICROSECOND * 1_000 if at.utcoffset() is not None else None
    return at if type(at) is int and 0 <= at < TIME_END else None


def began_at(facts: Facts, now: Callable[[], int]) -> int:
    """Return when a call began, in ns since 1970: as it was given, else its latency before its end."""
    given = nanoseconds(facts.get("time"))
    if given is not None:
        return given
    ended = facts.get("ended_at")
    return _before(ended, facts.get("latency_ms")) if isinstance(ended, int) else now()


def _before(ended: int, took: object) -> int:
    return ended - int(took * _NANOSECONDS) if isinstance(took, (int, float)) and 0 <= took < _LATENCY_MAX else ended


def plain_record(
    plain: Plain, number: int, weight: float, *, boot: str, endpoint: str | None
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the record of a plain success of which nothing more was said: what the logger says of it, and what the host does.

    As `inference_record`, in a quarter of its time.
    """
    features, prediction, score, latency_ms, ended_at, _ = plain
    own: dict[str, object] = {
        "seq": number,
        "inference_id": f"{boot}-{number}",
        "time": _before(ended_at, latency_ms),
        "status": "ok",
        "sample_weight": weight,
    }
    return own, {
        "features": features if type(features) is dict else _named(features),
        "prediction": prediction,
        "score": score,
        "latency_ms": latency_ms,
        "endpoint": endpoint,
    }


def facts_of(plain: Plain) -> Facts:
    """Return what was said of a plain success, by field."""
    features, prediction, score, latency_ms, ended_at, more = plain
    return {
        **more,
        "features": features,
        "prediction": prediction,
        "score": score,
        "latency_ms": latency_ms,
        "ended_at": ended_at,
    }


def inference_record(
    facts: Facts, number: int, weight: float, *, boot: str, endpoint: str | None, now: Callable[[], int]
) -> dict[str, object]:
    """Return the record of an inference, its number first, before redaction.

    Args:
        facts: What was said of it; names that no field has are left out.
        number, weight: Its sequence number, and how many inferences it stands for.
        boot: The name of this process, of which ids are made.
        endpoint: The logger's, where the call has none.
        now: Tells the time in ns since 1970, in place of one that is none.
    """
    record: dict[str, object] = {"seq": number, "inference_id": None, "time": None, "status": "ok"}
    record.update(facts)
    record.pop("ended_at", None)
    if not record.keys() <= _KNOWN:
        for name in record.keys() - _KNOWN:
            del record[name]
    if record["inference_id"] is None:
        record["inference_id"] = f"{boot}-{number}"
    at = nanoseconds(record["time"])
    record["time"] = began_at(facts, now) if at is None else at
    if record.get("endpoint") is None:
        record["endpoint"] = endpoint
    record["sample_weight"] = weight
    status = record["status"]
    if type(status) is not str or status not in STATUSES:
        record["status"] = "error"
    record["features"] = _named(record["features"])
    failure = record.pop("error", None)
    if isinstance(failure, Failure):
        record["error_message"] = failure.raised
        record["error_stack"] = stack_lines(failure)
    return record


def _named(features: object) -> object:
    """Return features by name: any mapping as a dict, those of a list by their places."""
    if isinstance(features, (list, tuple)):
        return {str(place): value for place, value in enumerate(features)}
    return dict(features) if isinstance(features, Mapping) and not isinstance(features, dict) else features


def label_record(facts: Facts, number: int, *, now: Callable[[], int]) -> dict[str, object]:
    """Return the record of a label, its number first."""
    at = nanoseconds(facts["labelled_at"])
    return {"seq": number, **facts, "labelled_at": now() if at is None else at}


def bare(record: Mapping[str, object]) -> dict[str, object]:
    """Return of a record that could not be written what cannot be at fault: numbers, plain text and the exception."""
    return {"seq": record["seq"], "features": {}} | {
        name: value for name, value in record.items() if type(value) in _PLAIN and name not in _VALUES
    }
