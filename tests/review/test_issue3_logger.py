"""What a hostile host does to the logger: it costs its own record, never the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrue.logger import ACCEPTED, Fields, InferenceLogger
from retrue.logger.segments import TIME_END
from tests.logger.serving import on_disk

NOW = 1_741_600_000 * 10**9


class Cancelled(Mapping[str, object]):
    """Features that are read later, when the task they came from is cancelled."""

    def __init__(self, raised: type[BaseException]) -> None:
        self._raised = raised

    def __getitem__(self, name: str) -> object:
        raise self._raised

    def __iter__(self) -> Iterator[str]:
        raise self._raised

    def __len__(self) -> int:
        return 1


def logger(root: Path) -> InferenceLogger:
    return InferenceLogger(
        "m", version="1", to=root, fields=Fields(keep=["x"]), resources_every=None, clock=lambda: NOW
    )


@pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, RuntimeError])
def test_features_that_raise_when_they_are_read_do_not_end_the_logging(
    tmp_path: Path, raised: type[BaseException]
) -> None:
    log = logger(tmp_path)
    assert log.record({"x": 1}) is ACCEPTED
    assert log.record(Cancelled(raised)) is ACCEPTED
    assert log.flush()
    assert log.record({"x": 2}) is ACCEPTED
    assert log.flush()
    counts = log.close()
    assert counts.accepted == 3 == counts.on_disk + sum(counts.dropped.values())
    kept = [record["features"] for record in on_disk(tmp_path)]
    assert (kept[0], kept[-1]) == ({"x": 1}, {"x": 2})


@pytest.mark.parametrize("at", [-1, 2**63, 10**30, TIME_END, None, True, 1.5, "2025", datetime(1969, 1, 1, tzinfo=UTC)])
def test_a_time_that_no_reader_takes_becomes_the_clock_s(tmp_path: Path, at: object) -> None:
    log = logger(tmp_path)
    log.record({"x": 1}, time=at)  # type: ignore[arg-type]
    with log.observe({"x": 2}, time=at):  # type: ignore[arg-type]
        pass
    log.close()
    assert [record["time"] for record in on_disk(tmp_path)] == [NOW, NOW]
