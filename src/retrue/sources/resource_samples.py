"""What the processes that serve a model used: the samples their loggers took, compacted or not. pyarrow is imported inside.

Samples are read a file at a time and summed up at once, so that memory grows neither with them nor with the window.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from retrue.results import PEAKS, Resources
from retrue.sources.compacted import contents_of
from retrue.sources.compaction import spool_kind, spool_roots
from retrue.sources.listing import VanishedError, list_files
from retrue.sources.losses import Trace
from retrue.sources.segment_files import NS_PER_TICK, RESOURCES, Row, inspect_segments, is_segment, read_segment
from retrue.sources.set_aside import Tally
from retrue.sources.spans import ticks
from retrue.windows import Window

logger = logging.getLogger(__name__)

PERCENTILES: Final = {"p50": 0.50, "p95": 0.95}
CORES_DIGITS: Final = 2
"""Percentiles of the processor are exact to a hundredth of a core: so few values can be counted."""
_TRIES = 20
_GAUGES = {name: "rss_bytes" if name == "memory_bytes" else name for name in PEAKS}
"""Figures, and the gauge of a sample that each is the largest value of."""
_CORES = "cpu_cores"
_COLUMNS = ("boot", "model", _CORES, *_GAUGES.values())

Columns = Mapping[str, Sequence[object]]


def measure_resources(folder: Path, window: Window) -> Resources | None:
    """Return what the samples of a window come to; None where there are none.

    Args:
        folder: A model's log, which may hold the spools of several servers. It may be absent.
        window: Samples of another model are left out, as records are. What cannot be read is left out too.
    """
    for number in range(_TRIES):
        usage = _Usage(window.model)
        try:
            for root in spool_roots(folder):
                if spool_kind(root) == RESOURCES:
                    for columns in _samples(root, window.start, window.end):
                        usage.add(columns)
            return usage.resources()
        except VanishedError:  # compacted while it was read
            time.sleep(min(0.01 * 2**number, 2.0))
    return None


class _Usage:
    """Sums of samples of a model."""

    def __init__(self, model: str) -> None:
        self._of = (None, model)
        self._samples = 0
        self._boots: set[object] = set()
        self._cores: Counter[float] = Counter()
        self._most: dict[str, float] = {}

    def add(self, columns: Columns) -> None:
        """Add samples, which have as many values in every column."""
        models = columns.get("model", ())
        if any(model not in self._of for model in models):
            kept = [model in self._of for model in models]
            columns = {
                name: [value for value, keep in zip(values, kept, strict=True) if keep]
                for name, values in columns.items()
            }
        self._samples += len(columns["boot"])
        self._boots.update(columns["boot"])
        for name in (_CORES, *_GAUGES.values()):
            if found := _sound(columns.get(name, ())):
                self._most[name] = max(self._most.get(name, 0.0), *found)
                if name == _CORES:
                    self._cores.update(round(value, CORES_DIGITS) for value in found)

    def resources(self) -> Resources | None:
        if not self._samples:
            return None
        peaks = {figure: self._most[name] for figure, name in _GAUGES.items() if name in self._most}
        cores = {**_percentiles(self._cores), "max": self._most[_CORES]} if self._cores else {}
        return Resources(samples=self._samples, processes=len(self._boots), cpu_cores=cores, **peaks)


def _sound(values: Sequence[object]) -> list[float]:
    """Return the values that a gauge can have."""
    numbers = (float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    return [value for value in numbers if math.isfinite(value) and value >= 0]


def _percentiles(counts: Counter[float]) -> dict[str, float]:
    """Return the smallest values at which the number of all up to them reaches a share.

    >>> _percentiles(Counter({0.1: 90, 0.5: 6, 2.0: 4}))
    {'p50': 0.1, 'p95': 0.5}
    """
    found = {}
    for name, share in PERCENTILES.items():
        upto = 0
        for value in sorted(counts):
            upto += counts[value]
            if upto >= share * counts.total():
                found[name] = value
                break
    return found


def _samples(root: Path, start: datetime, end: datetime) -> Iterator[Columns]:
    files = list_files(
        root, Tally(), holds=is_segment
    )  # first: what is compacted meanwhile is in a Parquet file by then
    traces: dict[str, Trace] = {}
    yield from _of_parquet(root, start, end, traces)
    low, high = ticks(start) * NS_PER_TICK, ticks(end) * NS_PER_TICK
    for segment in inspect_segments(files, Tally()):
        if not segment.overlaps(low, high):
            continue
        boot = segment.header.boot
        try:
            for row in read_segment(segment, "time", traces.setdefault(boot, Trace(boot=boot))):
                if isinstance(row, Row) and low <= row.at < high:
                    yield {"boot": (boot,), **{name: (row.record.get(name),) for name in _COLUMNS[1:]}}
        except OSError as error:
            logger.warning("samples of resources could not be read to their end (%s)", type(error).__name__)


def _of_parquet(root: Path, start: datetime, end: datetime, traces: dict[str, Trace]) -> Iterator[Columns]:
    """Yield the samples of each Parquet file, which compaction bounds; note which they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    span = [("time", ">=", start), ("time", "<", end)]
    for path in sorted(root.glob("*.parquet")):
        try:
            schema = pq.read_schema(path)
            if (contents := contents_of(schema.metadata)) is None:
                continue
            contents.add_to(traces)
            columns = [name for name in _COLUMNS if name in schema.names]
            rows = pq.read_table(path, columns=columns, filters=span, page_checksum_verification=True)
        except FileNotFoundError as error:
            raise VanishedError(path.name) from error
        except (OSError, pa.ArrowException) as error:
            logger.warning("samples of resources could not be read (%s)", type(error).__name__)
            continue
        if rows.num_rows:
            yield rows.to_pydict()
