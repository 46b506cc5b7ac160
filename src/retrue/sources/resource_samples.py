"""What the processes that serve a model used: the samples their loggers took, compacted or not. pyarrow is imported inside."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from retrue.sources.compacted import contents_of
from retrue.sources.listing import VanishedError, list_files
from retrue.sources.losses import Trace
from retrue.sources.segment_files import NS_PER_TICK, Row, read_segment
from retrue.sources.set_aside import Tally
from retrue.sources.spans import EPOCH, ticks
from retrue.sources.spool_files import SpoolFiles, is_spooled

logger = logging.getLogger(__name__)

_TRIES = 20
_BESIDE = frozenset({"time", "boot", "seq", "model", "model_version"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSample:
    """What one process used at one time; ``values`` holds the gauges it could read, by name with unit."""

    at: datetime
    boot: str
    model_version: str | None
    values: Mapping[str, float]


def resource_samples(root: Path, *, start: datetime, end: datetime) -> list[ResourceSample]:
    """Return the samples of [start, end) under a spool of kind ``resources``, in order of time and process.

    An absent folder has none. What cannot be read is left out.
    """
    for number in range(_TRIES):
        try:
            found = {(boot, number): sample for boot, number, sample in _samples(root, start, end)}
            return sorted(found.values(), key=lambda sample: (sample.at, sample.boot))
        except VanishedError:  # compacted while it was read
            time.sleep(min(0.01 * 2**number, 2.0))
    return []


def _samples(root: Path, start: datetime, end: datetime) -> Iterator[tuple[str, int, ResourceSample]]:
    segments = SpoolFiles(list_files(root, Tally(), holds=is_spooled), traces := dict[str, Trace](), Tally())
    yield from _of_parquet(root, start, end)
    low, high = ticks(start) * NS_PER_TICK, ticks(end) * NS_PER_TICK
    for segment in segments.segments:
        if not segment.overlaps(low, high):
            continue
        boot = segment.header.boot
        for row in read_segment(segment, "time", traces[boot]):
            if isinstance(row, Row) and low <= row.at < high:
                yield boot, row.number, _sample(row.at, boot, row.record)


def _of_parquet(root: Path, start: datetime, end: datetime) -> Iterator[tuple[str, int, ResourceSample]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted(root.glob("*.parquet")):
        try:
            if contents_of(pq.read_metadata(path).metadata) is None:
                continue
            rows = pq.read_table(
                path, filters=[("time", ">=", start), ("time", "<", end)], page_checksum_verification=True
            )
        except FileNotFoundError as error:
            raise VanishedError(path.name) from error
        except (OSError, pa.ArrowException) as error:
            logger.warning("samples of resources could not be read (%s)", type(error).__name__)
            continue
        times = rows["time"].cast(pa.int64()).to_pylist()
        for at, record in zip(times, rows.drop_columns("time").to_pylist(), strict=True):
            yield record["boot"], record["seq"], _sample(at, record["boot"], record)


def _sample(at: int, boot: str, record: Mapping[str, object]) -> ResourceSample:
    version = record.get("model_version")
    return ResourceSample(
        at=EPOCH + timedelta(microseconds=at // NS_PER_TICK),
        boot=boot,
        model_version=version if isinstance(version, str) else None,
        values={
            name: float(value)
            for name, value in record.items()
            if name not in _BESIDE and isinstance(value, int | float)
        },
    )
