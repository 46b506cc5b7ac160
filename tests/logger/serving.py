"""A web server on loopback in a thread of the test's, and what a logger wrote to disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from retrue.logger import Call

CHECK_CHARACTERS = 9  # of a segment's line: CRC-32 in hex and a space


class Listener:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, object]] = []

    def started(self, call: Call) -> None:
        """Hear that a call begins."""

    def finished(self, call: Call, record: Mapping[str, object]) -> None:
        """Keep how it ended."""
        self.records.append(dict(record))


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait_for(holds: Callable[[], Any], *, within_seconds: float = 20.0) -> Any:
    """Return the first true answer, or fail."""
    deadline = time.monotonic() + within_seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return answer


def on_disk(root: Path) -> list[dict[str, Any]]:
    """Return the records of a spool, by number."""
    lines = [
        orjson.loads(line[CHECK_CHARACTERS:])
        for segment in sorted((root / "segments").rglob("0*"))
        for line in segment.read_bytes().splitlines()
    ]
    return sorted((line for line in lines if "retrue" not in line), key=lambda record: record["seq"])
