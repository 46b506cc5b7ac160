"""The loggers that ``benchmarks.logger`` compares, each set up as its documentation says for a busy server.

All are given the same inference: twenty features, a prediction, a score, a latency. Where a logger has a queue and a thread or
process of its own, it uses them; nothing goes over a network. What a subject needs it imports when it is made.

| subject | in the call | in the background | ends in |
|---|---|---|---|
| ``retrue`` | shallow copy, queue | allow-list, redaction, JSON, checksum, group commit | segments, synced |
| ``logging`` | ``LogRecord``, ``QueueHandler`` | ``json``, ``QueueListener``, ``StreamHandler`` | file |
| ``structlog`` | event, ``orjson``, write | nothing | file |
| ``loguru`` | record, ``json``, pipe (``serialize``, ``enqueue``) | write | file |
| ``opentelemetry`` | ``LogRecord`` with attributes, queue | ``BatchLogRecordProcessor``, JSON | file |
| ``sentry`` | log with attributes, scope, buffer | envelope, JSON | file in place of a server |
| ``mlflow`` | trace of one span, queue | asynchronous export, SQL | SQLite |
| ``floor`` | shallow copy, ``deque`` | nothing of the above: ``orjson`` and ``os.write`` of 64 records, in turn | file |
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

Features = dict[str, float | int | str]

NAMES: Final = tuple(f"category_{number}" for number in range(4))
FEATURES: Final[Features] = {
    **{f"number_{number}": number * 1.37 + 0.11 for number in range(12)},
    **{f"count_{number}": number * 1_009 for number in range(4)},
    **{name: f"value-{name}" for name in NAMES},
}
PREDICTION, SCORE, LATENCY_MS = True, 0.7312, 1.25
SAID: Final = {"prediction": PREDICTION, "score": SCORE, "latency_ms": LATENCY_MS}
FLUSH_SECONDS = 60.0
SETTLE_SECONDS = 2.0  # for what Sentry's own thread has taken already, for which its `flush` does not wait
BATCH = 64


class Subject(Protocol):
    """One logger.

    Attributes:
        room: How many records may wait before the benchmark pauses; below what the logger starts to drop at.
    """

    room: int

    def accept(self, features: Features) -> None:
        """Log one inference, as a host would."""

    def pending(self) -> int:
        """Return how many records wait in memory, about."""

    def flush(self) -> None:
        """Return when everything accepted is where it ends."""

    def close(self) -> int:
        """Stop; return how many records arrived."""


class Retrue:
    """`InferenceLogger.record`, features on the allow-list."""

    room = 3_000  # it thins successes from 8 MB on, some 3,300 such records

    def __init__(self, folder: Path) -> None:
        from retrue.logger import Fields, InferenceLogger

        self.log = InferenceLogger("bench", version="1", to=folder, fields=Fields(keep=[Fields.NUMBERS, *NAMES]))

    def accept(self, features: Features) -> None:
        self.log.record(features, prediction=PREDICTION, score=SCORE, latency_ms=LATENCY_MS)

    def pending(self) -> int:
        return self.log.stats().queue_records

    def flush(self) -> None:
        self.log.flush(FLUSH_SECONDS)

    def close(self) -> int:
        return self.log.close(FLUSH_SECONDS).on_disk


class Observed(Retrue):
    """`InferenceLogger.observe` around nothing: two clocks, a context manager, and `record`'s work."""

    def accept(self, features: Features) -> None:
        with self.log.observe(features) as call:
            call.predicted(PREDICTION, score=SCORE)


class Lines:
    """A file of one record a line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "records.jsonl"
        self.file = self._path.open("a", encoding="utf-8")

    def count(self) -> int:
        """Close the file; return how many lines it has."""
        self.file.close()
        with self._path.open("rb") as file:
            return sum(1 for _ in file)


class Logging:
    """The standard library with a JSON formatter behind a queue."""

    room = 2_000

    def __init__(self, folder: Path) -> None:
        import json
        import logging
        import queue
        from logging.handlers import QueueHandler, QueueListener

        class JsonFormatter(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                said = {"time": record.created, "level": record.levelname, "event": record.message}
                return json.dumps(said | getattr(record, "inference", {}))

        self._lines = Lines(folder)
        handler = logging.StreamHandler(self._lines.file)
        handler.setFormatter(JsonFormatter())
        self._queue: queue.Queue[object] = queue.Queue()
        self._listener = QueueListener(self._queue, handler)
        self._listener.start()
        self._log = logging.getLogger("bench")
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._log.addHandler(QueueHandler(self._queue))

    def accept(self, features: Features) -> None:
        self._log.info("inference", extra={"inference": {**SAID, "features": features}})

    def pending(self) -> int:
        return self._queue.qsize()

    def flush(self) -> None:
        self._queue.join()

    def close(self) -> int:
        self._listener.stop()
        return self._lines.count()


class Structlog:
    """structlog as its guide to performance says: filtering bound logger, cached, orjson, bytes."""

    room = 2_000

    def __init__(self, folder: Path) -> None:
        import logging

        import orjson
        import structlog

        self._lines = Lines(folder)
        structlog.configure(
            cache_logger_on_first_use=True,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            logger_factory=structlog.BytesLoggerFactory(cast(BinaryIO, self._lines.file.buffer)),
        )
        self._log = structlog.get_logger()

    def accept(self, features: Features) -> None:
        self._log.info("inference", prediction=PREDICTION, score=SCORE, latency_ms=LATENCY_MS, features=features)

    def pending(self) -> int:
        return 0

    def flush(self) -> None:
        self._lines.file.flush()

    def close(self) -> int:
        return self._lines.count()


class Loguru:
    """loguru to a file, `serialize` and `enqueue`; its pipe holds the host back by itself."""

    room = 2_000

    def __init__(self, folder: Path) -> None:
        from loguru import logger

        self._lines = Lines(folder)
        self._log = logger
        self._log.remove()
        self._log.add(folder / "records.jsonl", serialize=True, enqueue=True)

    def accept(self, features: Features) -> None:
        self._log.bind(prediction=PREDICTION, score=SCORE, latency_ms=LATENCY_MS, features=features).info("inference")

    def pending(self) -> int:
        return 0

    def flush(self) -> None:
        self._log.complete()

    def close(self) -> int:
        self._log.remove()
        return self._lines.count()


class OpenTelemetry:
    """OpenTelemetry's logs through a batch processor of default size."""

    room = 1_000  # its queue drops from 2,048 on

    def __init__(self, folder: Path) -> None:
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter

        self._lines = Lines(folder)
        self._given = self._exported = 0
        exporter = ConsoleLogRecordExporter(out=self._lines.file, formatter=self._line)
        self._provider = LoggerProvider(shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._log = self._provider.get_logger("bench")
        self._severity = SeverityNumber.INFO

    def _line(self, record: ReadableLogRecord) -> str:
        self._exported += 1
        return record.to_json(indent=None) + "\n"

    def accept(self, features: Features) -> None:
        self._given += 1
        self._log.emit(
            timestamp=time.time_ns(), severity_number=self._severity, body="inference", attributes={**SAID, **features}
        )

    def pending(self) -> int:
        return self._given - self._exported

    def flush(self) -> None:
        self._provider.force_flush(int(FLUSH_SECONDS * 1_000))

    def close(self) -> int:
        self._provider.shutdown()
        return self._lines.count()


class Sentry:
    """Sentry's structured logs; a file takes the place of the server."""

    room = 500  # its buffer drops from 1,000 on

    def __init__(self, folder: Path) -> None:
        import sentry_sdk
        import sentry_sdk.logger as log
        from sentry_sdk.envelope import Envelope
        from sentry_sdk.transport import Transport

        subject = self
        self._file = (folder / "envelopes").open("ab")
        self._given = self._arrived = 0
        self._lock = threading.Lock()

        class FileTransport(Transport):
            def capture_envelope(self, envelope: Envelope) -> None:
                arrived = sum(item.headers.get("item_count", 0) for item in envelope.items if item.type == "log")
                with subject._lock:  # its thread and `flush` may both be here
                    envelope.serialize_into(subject._file)
                    subject._file.flush()
                    subject._arrived += arrived

        # no integrations: they would only add to the cost
        sentry_sdk.init(
            "http://public@127.0.0.1/1", transport=FileTransport, enable_logs=True, default_integrations=False
        )
        self._sdk, self._log = sentry_sdk, log

    def accept(self, features: Features) -> None:
        self._given += 1
        self._log.info("inference", attributes={**SAID, **features})

    def pending(self) -> int:
        return self._given - self._arrived

    def flush(self) -> None:
        self._sdk.flush(FLUSH_SECONDS)
        until = time.monotonic() + SETTLE_SECONDS
        while self.pending() and time.monotonic() < until:
            time.sleep(0.001)

    def close(self) -> int:
        self.flush()
        self._sdk.get_client().close(FLUSH_SECONDS)
        self._file.close()
        return self._arrived


class MLflow:
    """MLflow's tracing, exported asynchronously into a SQLite store."""

    room = 10  # more only makes the benchmark longer

    def __init__(self, folder: Path) -> None:
        os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
        import mlflow

        self._path = folder / "mlflow.db"
        mlflow.set_tracking_uri(f"sqlite:///{self._path}")
        mlflow.set_experiment("bench")
        self._mlflow: Any = mlflow
        self._given = 0

    def accept(self, features: Features) -> None:
        self._given += 1
        with self._mlflow.start_span("predict") as span:
            span.set_inputs(features)
            span.set_outputs(SAID)

    def pending(self) -> int:
        return self._given - self._arrived()

    def flush(self) -> None:
        self._mlflow.flush_trace_async_logging()

    def close(self) -> int:
        self._mlflow.flush_trace_async_logging(terminate=True)
        return self._arrived()

    def _arrived(self) -> int:
        with closing(sqlite3.connect(self._path)) as store:
            return int(store.execute("SELECT count(*) FROM spans").fetchone()[0])


class Floor:
    """The least that Python can do: append a copy; encode and write. Nothing is checked, bounded or redacted."""

    room = BATCH

    def __init__(self, folder: Path) -> None:
        import orjson

        self._dumps = orjson.dumps
        self._lines = Lines(folder)
        self._queue: deque[Features] = deque()

    def accept(self, features: Features) -> None:
        self._queue.append(features.copy())

    def pending(self) -> int:
        self.flush()
        return 0

    def flush(self) -> None:
        taken = [self._dumps(self._queue.popleft()) for _ in range(len(self._queue))]
        os.write(self._lines.file.fileno(), b"".join(line + b"\n" for line in taken))

    def close(self) -> int:
        self.flush()
        return self._lines.count()


SUBJECTS: Mapping[str, Callable[[Path], Subject]] = {
    "retrue": Retrue,
    "logging": Logging,
    "structlog": Structlog,
    "loguru": Loguru,
    "opentelemetry": OpenTelemetry,
    "sentry": Sentry,
    "mlflow": MLflow,
    "floor": Floor,
}
PACKAGES: Mapping[str, str] = {
    "structlog": "structlog",
    "loguru": "loguru",
    "opentelemetry": "opentelemetry-sdk",
    "sentry": "sentry-sdk",
    "mlflow": "mlflow",
}
"""The distribution of each subject that is a package."""
_MODULES = {"opentelemetry": "opentelemetry.sdk", "sentry": "sentry_sdk"}


def is_installed(subject: str) -> bool:
    """Return whether the package of a subject is there."""
    if subject not in PACKAGES:
        return True
    try:
        return find_spec(_MODULES.get(subject, subject)) is not None
    except ModuleNotFoundError:  # of the parent of a dotted name
        return False
