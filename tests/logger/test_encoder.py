"""Moments that the host lends: its own thread encodes, waits for nobody, and neither loses nor doubles a record."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from retrue.logger import ACCEPTED, SHED, Fields, InferenceLogger, Queues
from retrue.logger.asgi import InferenceMiddleware, current_call
from retrue.logger.encoder import LENT_RECORDS
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk, serving, wait_for


class Read(Mapping[str, int]):
    """Features whose own code runs when they are read."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def __getitem__(self, name: str) -> int:
        return 1

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self._act()
        return iter(["x"])


@pytest.fixture
def still(open_log: OpenLog) -> Iterator[InferenceLogger]:
    """A logger whose own thread takes nothing until it is asked to flush."""
    log = open_log()
    log._intake.drain.wake = lambda: None  # type: ignore[method-assign]
    yield log
    if "wake" in vars(log._intake.drain):
        del log._intake.drain.wake


def test_lent_moment_encodes_a_few_records_and_writes_none(still: InferenceLogger, tmp_path: Path) -> None:
    for number in range(5):
        assert still.record({"x": number}) == ACCEPTED
    still.lend()
    stats = still.stats()
    assert (stats.queue_records, stats.counts.on_disk, stats.counts.queued) == (5 - LENT_RECORDS, 0, 5)
    del still._intake.drain.wake
    assert still.flush()
    assert [record["features"]["x"] for record in on_disk(tmp_path)] == [0, 1, 2, 3, 4]


def test_nothing_is_lent_while_a_disk_hangs_so_that_what_waits_stays_within_the_lanes_bounds(
    still: InferenceLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrue.logger.encoder.LENT_BYTES_MAX", 1_000)
    for _ in range(20):
        still.record({"x": 1})
        still.lend()
    assert 10 < still.stats().queue_records < 20


def test_nothing_is_lent_where_text_is_scrubbed_or_records_are_heavy(open_log: OpenLog) -> None:
    scrubbing = open_log(fields=Fields(text=["x"]))
    heavy = open_log()
    for log, value in ((scrubbing, "short"), (heavy, "a" * 1_000_000)):
        log._intake.drain.wake = lambda: None  # type: ignore[method-assign]
        for _ in range(8):
            log.record({"x": value})
        log.lend()
        assert log.stats().queue_records == 8
        del log._intake.drain.wake


def test_lending_waits_for_nobody_who_encodes(open_log: OpenLog) -> None:
    log = open_log()
    encoding, goes_on = threading.Event(), threading.Event()

    log.record(Read(lambda: (encoding.set(), goes_on.wait(60.0))))
    assert encoding.wait(20.0)
    log.record({"x": 2})
    log.lend()
    assert log.stats().queue_records == 1
    goes_on.set()
    assert log.flush()


def test_record_that_logs_while_it_is_read_in_a_lent_moment_starts_no_chain(still: InferenceLogger) -> None:
    answers: list[object] = []

    def chat() -> None:
        answers.extend([still.record({"x": 1}), still.flush(1.0), still.record({"x": 1}, durable=True)])

    still.record(Read(chat))
    still.lend()
    assert answers == [SHED, False, SHED]


def test_signal_in_a_lent_moment_reaches_the_host_and_the_record_is_counted(still: InferenceLogger) -> None:
    still.record(Read(lambda: signal.raise_signal(signal.SIGINT)))
    still.record({"x": 2})
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            still.lend()
    finally:
        signal.signal(signal.SIGINT, before)
    still.lend()  # nothing is held
    del still._intake.drain.wake
    counts = still.close(10.0)
    assert (counts.accepted, counts.on_disk, dict(counts.dropped)) == (2, 1, {"unreadable": 1})


def test_threads_that_log_and_lend_lose_and_double_nothing(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    accepted: list[int] = []

    def serve() -> None:
        count = 0
        for number in range(2_000):
            count += log.record({"x": number}) == ACCEPTED
            log.lend()
            if number % 500 == 0:
                log.flush()
        accepted.append(count)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    counts = log.close(20.0)
    numbers = [record["seq"] for record in on_disk(tmp_path)]
    assert len(numbers) == len(set(numbers)) == counts.on_disk == counts.accepted == sum(accepted)


def test_dozing_drain_is_woken_by_a_failure_and_not_by_a_success(still: InferenceLogger) -> None:
    woken: list[str] = []
    drain = still._intake.drain
    drain.wake = lambda: woken.append("woken")  # type: ignore[method-assign]
    drain.resting, drain.dozing = False, True
    still.record({"x": 1})
    assert woken == []
    still.record({"x": 1}, error=ValueError())
    assert woken == ["woken"]


def test_dozing_drain_is_woken_when_a_lane_fills(open_log: OpenLog) -> None:
    log = open_log(queues=Queues(records=8))
    woken: list[str] = []
    drain = log._intake.drain
    drain.wake = lambda: woken.append("woken")  # type: ignore[method-assign]
    drain.resting, drain.dozing = False, True
    for number in range(4):
        log.record({"x": number})
    assert woken == []
    log.record({"x": 4})
    assert woken == ["woken"]
    del drain.wake  # type: ignore[method-assign]


def test_middleware_lends_after_each_answer(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(to=tmp_path / "logs")

    async def predict(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await receive()
        current_call().given({"x": 1})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1"})

    with serving(InferenceMiddleware(predict, log=log)) as address, httpx.Client() as client:
        for _ in range(200):
            client.post(address)
        wait_for(lambda: log.stats().counts.accepted == 200)
    lent = log._intake.encoder.lent_records
    assert log.close().on_disk == len(on_disk(tmp_path / "logs")) == 200
    assert lent > 0
