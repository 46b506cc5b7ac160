"""Values, exceptions, observers and moments that would break a careless logger."""

import gc
import signal
import threading
import time
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from retrue.logger import ACCEPTED, SHED, Fields, InferenceLogger, Queues
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk

LONG = 3_000


class Nasty:
    """Raises whatever is asked of it; `sleep` says for how long it thinks before."""

    sleep = 0.0

    def _no(self, *_: object) -> Any:
        time.sleep(self.sleep)
        raise RuntimeError("no")

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = __float__ = __int__ = _no
    __getattr__ = __getitem__ = __contains__ = __sizeof__ = __format__ = __reduce__ = keys = items = values = _no


class Sleepy(Nasty):
    sleep = 60.0


class NastyDict(dict[str, object]):
    keys = items = values = copy = __iter__ = __len__ = __getitem__ = Nasty._no  # type: ignore[assignment]


class NastyString(str):
    __slots__ = ()
    __str__ = __repr__ = __len__ = __hash__ = encode = isascii = Nasty._no  # type: ignore[assignment]


class NastyError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


def cyclic() -> dict[str, object]:
    value: dict[str, object] = {}
    value["x"] = value
    return value


def deep() -> list[object]:
    value: list[object] = []
    for _ in range(LONG):
        value = [value]
    return value


def objects() -> Any:
    array = np.empty(2, dtype=object)
    array[0] = Nasty()
    return array


HOSTILE = {
    "nasty": Nasty(),
    "dict": NastyDict(x=1),
    "string": NastyString("x"),
    "cyclic": cyclic(),
    "deep": deep(),
    "surrogate": "\ud800",
    "wide integer": 10**5_000,
    "not a number": float("nan"),
    "bytes": b"\xff" * 100,
    "long text": "x" * 5_000_000,
    "array": np.zeros(5_000_000),
    "objects": objects(),
    "generator": (number for number in range(10)),
    "module": time,
    "class": Nasty,
    "keys": {1: 2, None: 3, (4,): 5, Nasty: 6},
    "namespace": SimpleNamespace(x=Nasty()),
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> object:
    return request.param


def bounded(root: Path) -> list[dict[str, Any]]:
    records = on_disk(root)
    assert all(len(str(record)) < 70_000 for record in records)
    return records


def test_hostile_value_in_any_place_is_survived_and_the_record_kept(
    hostile: object, open_log: OpenLog, tmp_path: Path
) -> None:
    log = open_log(fields=Fields(keep=["x", "prediction", "context.x"], text=["y"]))
    everywhere: dict[str, Any] = dict.fromkeys(
        [
            "inference_id",
            "caller_id",
            "endpoint",
            "context",
            "time",
            "request_bytes",
            "model_version",
            "trace_id",
            "span_id",
            "prediction",
            "score",
            "scores",
            "latency_ms",
            "input_tokens",
            "output_tokens",
            "cost_usd",
        ],
        hostile,
    )
    for name, value in everywhere.items():
        assert log.record({"x": 1}, **{name: value}) == ACCEPTED
        log.flush()  # large ones fill the lane
    assert log.record({"x": hostile, "y": hostile}) == ACCEPTED
    log.flush()
    assert log.record(hostile) == ACCEPTED
    log.flush()
    with log.observe({"x": hostile}) as call:
        call.predicted(hostile, score=hostile, scores=hostile)  # type: ignore[arg-type]
        call.generated(model=hostile, input_tokens=hostile, finish_reason=hostile)  # type: ignore[arg-type]
        call.noted(x=hostile)
        call.given(hostile)
    with log.observe({}, inference_id=hostile) as call:  # type: ignore[arg-type]
        assert isinstance(call.inference_id, str)
    log.flush()
    assert log.label(hostile, hostile, at=hostile, source=hostile) == ACCEPTED  # type: ignore[arg-type]
    log.record({}, status=hostile, error=hostile)  # type: ignore[arg-type]
    counts = log.close(20.0)
    assert counts.accepted == counts.on_disk + sum(counts.dropped.values())
    assert counts.dropped == {}
    assert len(bounded(tmp_path)) == counts.accepted >= len(everywhere) + 3
    assert log._intake.drain.failures == 0


def test_record_that_cannot_be_written_is_written_without_its_values(
    open_log: OpenLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log()
    encode = log.fields.encode

    def failing(record: Any) -> bytes:
        if record.get("features"):
            raise RuntimeError("no")
        return encode(record)

    monkeypatch.setattr(log.fields, "encode", failing)
    log.record({"x": 1}, latency_ms=5.0)
    assert log.flush()
    assert [(record["features"], record["latency_ms"]) for record in on_disk(tmp_path)] == [({}, 5.0)]


def test_record_that_cannot_be_written_at_all_is_counted(
    open_log: OpenLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log()
    log.record({})
    log.flush()
    monkeypatch.setattr(log.fields, "encode", lambda record: 1 / 0)
    for _ in range(3):
        log.record({})
    log.label("id", 1)
    counts = log.close()
    assert (counts.accepted, counts.on_disk, counts.dropped, counts.queued) == (4, 1, {"unreadable": 3}, 0)


@pytest.mark.parametrize(
    "value",
    [Sleepy(), {"x": Sleepy()}, UserDict(x=Sleepy()), [Sleepy()]],
    ids=["itself", "in a dict", "in a mapping", "in a list"],
)
def test_value_that_sleeps_does_not_hold_up_the_host(value: object, open_log: OpenLog) -> None:
    log = open_log()
    done = threading.Event()

    def serve() -> None:
        log.record(value, prediction=value)
        with log.observe(value) as call:
            call.predicted(value)
        done.set()

    threading.Thread(target=serve, daemon=True).start()
    assert done.wait(20.0)


@pytest.mark.parametrize(
    "mapping", [OrderedDict(x=1), defaultdict(int, x=1), UserDict(x=1), MappingProxyType({"x": 1})]
)
def test_other_mappings_are_read_too(mapping: Any, open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record(mapping)
    log.flush()
    assert on_disk(tmp_path)[0]["features"] == {"x": 1}


def test_exception_that_cannot_be_printed_is_kept(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    for error in (NastyError(Nasty()), ValueError(Nasty()), ValueError(Sleepy()), OSError(Nasty(), Nasty())):
        with pytest.raises(type(error)), log.observe({}):
            raise error
    log.flush()
    records = on_disk(tmp_path)
    assert [record["status"] for record in records] == ["error"] * 4
    assert records[1]["error_type"] == "ValueError"
    assert len({record["error_stack"].splitlines()[1] for record in records}) == 1


def test_runaway_recursion_is_kept_in_few_lines(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError), log.observe({}):
        recurse()
    log.flush()
    (record,) = on_disk(tmp_path)
    assert "frames left out]" in record["error_stack"]
    assert len(record["error_stack"]) < 5_000
    assert record["error_stack"].count(", in recurse") >= 10


def test_recorded_exception_keeps_no_local_variable_alive(open_log: OpenLog) -> None:
    log = open_log()
    log._intake.drain.wake = lambda: None  # type: ignore[method-assign]
    alive = []

    class Tensor:
        def __del__(self) -> None:
            alive.remove(self.name)  # type: ignore[attr-defined]

    def serve() -> None:
        tensor = Tensor()
        tensor.name = "tensor"  # type: ignore[attr-defined]
        alive.append("tensor")
        raise ValueError

    with pytest.raises(ValueError), log.observe({}):  # noqa: PT011 - the type is all there is
        serve()
    gc.collect()
    assert len(log._intake.urgent) == 1
    assert alive == []


def test_object_that_logs_when_it_is_read_starts_no_endless_chain(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(fields=Fields(keep=["x"]))
    answers = []

    class Chatty(np.ndarray):
        def tolist(self) -> Any:
            answers.append(log.record({"x": self}))
            answers.append(log.flush(1.0))
            answers.append(log.record({"x": 1}, durable=True))
            return 1

    log.record({"x": np.zeros(2).view(Chatty)})
    assert log.flush()
    if answers:
        assert answers == [SHED, False, SHED]
    assert len(on_disk(tmp_path)) == 1


def test_signal_handler_may_log_in_the_middle_of_a_call(open_log: OpenLog) -> None:
    log = open_log(queues=Queues(records=200_000, bytes=2**30))
    before = signal.signal(signal.SIGALRM, lambda *_: log.record({"x": "signal"}) and log.stats())
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(30_000):
            log.record({"x": number})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    counts = log.close(20.0)
    assert counts.accepted == counts.on_disk > 30_000


def test_finaliser_may_log(open_log: OpenLog) -> None:
    log = open_log()

    class Resource:
        def __del__(self) -> None:
            log.record({"x": "gone"})

    for _ in range(500):
        cycle = [Resource()]
        cycle.append(cycle)  # type: ignore[arg-type]
    del cycle
    gc.collect()
    assert log.close(20.0).on_disk == 500


@pytest.fixture
def mutating() -> Iterator[dict[str, object]]:
    """A nested value that another thread keeps changing."""
    inner: dict[str, object] = {"a": 1}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            inner[f"k{number % 50}"] = number
            inner.pop(f"k{(number + 25) % 50}", None)

    thread = threading.Thread(target=change)
    thread.start()
    yield {"x": inner}
    stop.set()
    thread.join()


def test_value_that_changes_while_it_is_read_is_survived(
    mutating: dict[str, object], open_log: OpenLog, tmp_path: Path
) -> None:
    log = open_log()
    for _ in range(2_000):
        assert log.record(mutating) == ACCEPTED
    assert log.close(20.0).on_disk == 2_000


def test_clock_that_fails_later_costs_the_record_alone(tmp_path: Path) -> None:
    calls = iter([5, 6])
    log = InferenceLogger("m", version="1", to=tmp_path, clock=lambda: next(calls), resources_every=None)
    assert log.record({}) == ACCEPTED
    assert log.record({}) == SHED
    with log.observe({}) as call:
        call.predicted(1)
    assert log.close().shed["broken"] >= 1
