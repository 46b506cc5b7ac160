import asyncio
import errno
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from retrue.logger import ACCEPTED, CLOSED, SAMPLED_OUT, SHED, Call, Fields, InferenceLogger, Queues
from retrue.logger.disk import FaultyDisk
from tests.aio import run_async
from tests.logger.conftest import OpenLog
from tests.logger.serving import Listener, on_disk, wait_for

KEEP = Fields(keep=["x", "prediction"], errors="program")


def written(log: InferenceLogger, root: Path) -> list[dict[str, Any]]:
    assert log.flush()
    return on_disk(root)


def test_observed_call_is_written_with_what_was_said_of_it(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(endpoint="POST /predict")
    with log.observe({"x": 1.5}, inference_id="id-7", request_bytes=120) as call:
        call.predicted(1, score=0.75)
    (record,) = written(log, tmp_path)
    assert record.pop("latency_ms") > 0
    assert record.pop("time") > 1.7e18
    assert record == {
        "seq": 1,
        "inference_id": "id-7",
        "status": "ok",
        "features": {"x": 1.5},
        "prediction": 1,
        "score": 0.75,
        "endpoint": "POST /predict",
        "request_bytes": 120,
        "sample_weight": 1.0,
    }


def test_generation_is_written_under_the_names_of_opentelemetry(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    with log.observe({}) as call:
        call.generated(
            model="m", input_tokens=3, output_tokens=9, cost_usd=1e-4, finish_reason="stop", response_model="m-1"
        )
    (record,) = written(log, tmp_path)
    assert (record["input_tokens"], record["output_tokens"], record["cost_usd"]) == (3, 9, 1e-4)
    assert (record["gen_ai.request.model"], record["gen_ai.response.model"]) == ("m", "m-1")
    assert "gen_ai.provider.name" not in record


def test_exception_is_recorded_with_its_place_and_raised_again(open_log: OpenLog, tmp_path: Path) -> None:
    log, raised = open_log(), KeyError("carrier")
    with pytest.raises(KeyError) as caught, log.observe({"x": 1}):
        raise raised
    assert caught.value is raised
    (record,) = written(log, tmp_path)
    assert (record["status"], record["error_type"], record["sample_weight"]) == ("error", "KeyError", 1.0)
    lines = record["error_stack"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert re.fullmatch(r'  File "[^/"].*test_inference.py", line \d+, in test_exception_is_recorded\w+', lines[1])
    assert lines[-1].startswith("KeyError")
    assert str(Path.home()) not in record["error_stack"]
    assert str(Path(__file__).parents[2]) not in record["error_stack"]


class ReadTimeout(OSError):  # noqa: N818 - as theirs are called
    """What HTTP clients raise."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(), "error"),
        (PermissionError(), "error"),
        (TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "timeout"),
        (ReadTimeout(), "timeout"),
        (KeyboardInterrupt(), "error"),
        (SystemExit(1), "error"),
    ],
)
def test_status_follows_from_the_exception(
    error: BaseException, status: str, open_log: OpenLog, tmp_path: Path
) -> None:
    log = open_log(sample=0.0)
    with pytest.raises(type(error)), log.observe({}):
        raise error
    log.record({}, error=error)
    assert [record["status"] for record in written(log, tmp_path)] == [status, status]


def test_closed_generator_is_no_failure(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    def stream():  # type: ignore[no-untyped-def]
        with log.observe({"x": 1}):
            yield 1
            yield 2

    chunks = stream()
    next(chunks)
    chunks.close()
    (record,) = written(log, tmp_path)
    assert record["status"] == "ok"
    assert "error_type" not in record


def test_rejected_and_late_calls_are_kept_whatever_the_sample(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(sample=0.0)
    with log.observe({}) as call:
        call.rejected("quota")
    with log.observe({}) as call:
        call.timed_out()
    with log.observe({}) as call:
        call.failed(ValueError())
    assert log.record({}, status="rejected") == ACCEPTED
    assert log.record({}) == SAMPLED_OUT
    records = written(log, tmp_path)
    assert [record["status"] for record in records] == ["rejected", "timeout", "error", "rejected"]
    assert [record.get("error_type") for record in records] == ["rejected", None, "ValueError", None]
    assert records[0]["error_message"] == "quota"


def test_status_that_is_none_counts_as_an_error(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record({}, status="failed")  # type: ignore[arg-type]
    assert written(log, tmp_path)[0]["status"] == "error"


def test_what_the_host_changes_after_the_call_is_not_seen(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    features = {"x": 1}
    with log.observe(features) as call:
        features["x"] = 2
    log.record(features)
    features.clear()
    call.predicted(5)
    assert [record["features"] for record in written(log, tmp_path)] == [{"x": 1}, {"x": 2}]
    assert "prediction" not in on_disk(tmp_path)[0]


def test_ids_are_made_unique_and_can_be_asked_for_within_the_call(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    with log.observe({}) as call:
        asked = call.inference_id
        assert asked == call.inference_id
    log.record({})
    log.record({}, inference_id="mine")
    ids = [record["inference_id"] for record in written(log, tmp_path)]
    assert ids[0] == asked
    assert ids[2] == "mine"
    assert len(set(ids)) == 3
    assert all(each.startswith(log.boot + "-") for each in ids[:2])


def test_labels_have_a_spool_and_numbers_of_their_own(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(sample=0.0)
    at = datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert log.label("id-1", True, at=at, source="billing") == ACCEPTED
    assert log.label("id-2", 0.5) == ACCEPTED
    assert run_async(log.alabel("id-3", 3)) == ACCEPTED
    log.flush()
    first, second, third = on_disk(tmp_path / "labels")
    assert first == {
        "seq": 1,
        "inference_id": "id-1",
        "label": True,
        "labelled_at": 1_735_689_600 * 10**9,
        "source": "billing",
    }
    assert second["labelled_at"] > 1.7e18
    assert third["seq"] == 3
    assert log.stats().counts.accepted == 0
    assert log.stats().labels.accepted == log.stats().labels.on_disk == 3


def test_label_meets_its_inference_though_the_id_is_personal(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record({}, inference_id="jane.doe@example.com")
    log.label("jane.doe@example.com", 1)
    (record,), (label,) = written(log, tmp_path), on_disk(tmp_path / "labels")
    assert record["inference_id"] == label["inference_id"]
    assert "jane" not in record["inference_id"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_735_689_600 * 10**9 + 7, 1_735_689_600 * 10**9 + 7),
        (datetime(2025, 1, 1, tzinfo=UTC), 1_735_689_600 * 10**9),
        (datetime(2025, 1, 1), 5_000),  # noqa: DTZ001 - no time is known of it
        ("yesterday", 5_000),
        (None, 5_000),
    ],
)
def test_time_is_given_or_read_from_the_clock(given: Any, expected: int, open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(clock=lambda: 5_000)
    log.record({}, time=given)
    with log.observe({}, time=given):
        pass
    assert [record["time"] for record in written(log, tmp_path)] == [expected, expected]


def test_record_that_has_ended_began_its_latency_earlier(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(clock=lambda: 10**15)
    for latency in (2.5, float("nan"), float("inf"), -1.0, "long"):
        log.record({}, latency_ms=latency)  # type: ignore[arg-type]
    assert [record["time"] for record in written(log, tmp_path)] == [10**15 - 2_500_000] + [10**15] * 4


def test_context_holds_what_was_noted(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(fields=Fields(keep=["context.shop", "context.rows"]))
    with log.observe({}, context={"shop": 3}) as call:
        call.noted(rows=4)
    assert written(log, tmp_path)[0]["context"] == {"shop": 3, "rows": 4}


def test_features_without_names_are_named_by_their_places(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(fields=Fields(keep=["0", "1"]))
    log.record([1.5, "UA"])
    log.record((2.5,))
    assert [record["features"] for record in written(log, tmp_path)] == [{"0": 1.5, "1": "UA"}, {"0": 2.5}]


def test_unknown_fact_is_left_out_and_raises_nothing(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    assert log.record({"x": 1}, predicton=3) == ACCEPTED  # type: ignore[call-arg]
    (record,) = written(log, tmp_path)
    assert "predicton" not in record
    assert record["features"] == {"x": 1}


def test_async_calls_are_observed_alike(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()

    async def serve(number: int) -> None:
        async with log.observe({"x": number}) as call:
            await asyncio.sleep(0)
            call.predicted(number)

    async def cancelled() -> None:
        async with log.observe({"x": -1}):
            await asyncio.sleep(60)

    async def main() -> None:
        await asyncio.gather(*(serve(number) for number in range(20)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cancelled(), 0.01)
        assert await log.arecord({"x": -2}) == ACCEPTED
        assert await log.arecord({"x": -3}, durable=True) == ACCEPTED
        assert {record["features"]["x"] for record in on_disk(tmp_path)} >= {-3}

    run_async(main())
    records = written(log, tmp_path)
    assert len(records) == 23
    assert [record["status"] for record in records if record["features"]["x"] == -1] == ["timeout"]


def test_durable_record_is_on_disk_when_it_returns(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(sample=0.0)
    assert log.record({"x": 1}, durable=True) == ACCEPTED
    assert len(on_disk(tmp_path)) == 1


def test_durable_record_that_cannot_be_written_is_not_called_accepted(
    open_log: OpenLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FaultyDisk({})
    log = open_log(disk=disk)
    assert log.record({}, durable=True) == ACCEPTED

    def full() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    disk.faults["sync"] = full
    assert log.record({}, durable=True) == SHED
    disk.faults.clear()
    wait_for(lambda: log.record({}, durable=True) == ACCEPTED)
    monkeypatch.setattr(log.fields, "encode", lambda record: 1 / 0)
    assert log.record({}, durable=True) == SHED


def test_importing_the_logger_loads_nothing_heavy() -> None:
    program = "import sys; import retrue.logger; print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in listed if name.startswith("retrue.")}
    assert all(name.startswith("retrue.logger") for name in ours)
    assert {name.partition(".")[0] for name in listed} - sys.stdlib_module_names <= {
        *("retrue", "orjson", "__main__", "_virtualenv", "sitecustomize", "google"),
        *(name for name in listed if name.startswith(("__editable__", "_editable", "_distutils_hack", "org"))),
    }
    assert not {"asyncio", "ctypes", "logging", "multiprocessing", "opentelemetry"} & set(listed)


def test_threads_lose_nothing_and_share_no_number(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(queues=Queues(records=100_000, bytes=2**30))

    def serve() -> None:
        for number in range(1_000):
            log.record({"x": number})

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    counts = log.close(20.0)
    assert (counts.accepted, counts.on_disk, counts.queued) == (8_000, 8_000, 0)
    assert [record["seq"] for record in on_disk(tmp_path)] == list(range(1, 8_001))


def test_trace_of_the_active_span_is_noted(open_log: OpenLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace

    log = open_log()
    span = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))
    with trace.use_span(span):
        with log.observe({}):
            pass
        log.record({})
    log.record({})
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    log.record({})
    records = written(log, tmp_path)
    ids = [(record.get("trace_id"), record.get("span_id")) for record in records]
    assert ids == [("0" * 29 + "abc", "0" * 13 + "def")] * 2 + [(None, None)] * 2


def test_observers_hear_of_every_call_but_not_of_private_values(open_log: OpenLog) -> None:
    class Exporter(Listener):
        def finished(self, call: Call, record: Mapping[str, object]) -> None:
            self.records.append(call.redacted(record))

    private = bytes.fromhex("736563726574").decode()  # no literal of the program
    heard = Exporter()
    log = open_log(sample=0.0, observers=[heard])
    with log.observe({"x": "secret"}, context={"y": "secret"}) as call:
        call.predicted("secret")
    with pytest.raises(ValueError, match="secret"), log.observe({}, endpoint="POST /other"):
        raise ValueError(private)
    log.record({"x": "secret"}, latency_ms=5.0)
    assert [record["status"] for record in heard.records] == ["ok", "error", "ok"]
    assert heard.records[1]["error_type"] == "ValueError"
    assert heard.records[1]["endpoint"] == "POST /other"
    assert {record["model_version"] for record in heard.records} == {"1"}
    assert "secret" not in str(heard.records)


def test_observer_that_raises_or_logs_again_harms_nobody(open_log: OpenLog, tmp_path: Path) -> None:
    class Rude(Listener):
        def started(self, call: Call) -> None:
            raise RuntimeError("no")

        def finished(self, call: Call, record: Mapping[str, object]) -> None:
            log.record({"x": "again"})
            raise RuntimeError("no")

    log = open_log(observers=[Rude()])
    with log.observe({"x": "first"}):
        pass
    assert [record["features"]["x"] for record in written(log, tmp_path)] == ["first", "again"]
    assert log.stats().observer_errors == 2


def test_stats_tell_queue_losses_and_cost(open_log: OpenLog) -> None:
    log = open_log()
    for number in range(20_000):
        log.record({"x": number})
    for number in range(3):
        log.record({}, error=ValueError(number))
    log.flush()
    stats = log.stats()
    assert stats.queue_records == stats.counts.queued == 0
    assert stats.queue_bytes == 0
    assert stats.counts.accepted == stats.counts.on_disk
    assert 1 <= sum(stats.cost_ns.values()) <= 60
    assert all(bound & (bound - 1) == 0 for bound in stats.cost_ns)


def test_nothing_is_taken_after_the_end(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record({})
    counts = log.close()
    assert (counts.accepted, counts.on_disk) == (1, 1)
    assert log.record({}) == log.label("id", 1) == log.record({}, durable=True) == CLOSED
    with log.observe({}) as call:
        call.predicted(1)
    assert log.close() == counts
    assert not log.flush(0.1)
    assert len(on_disk(tmp_path)) == 1
