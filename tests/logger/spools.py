"""Records, spools and damage for tests of what is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from retrue.logger.lines import Lines
from retrue.logger.segments import SEALED
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL
from retrue.sources.listing import list_files
from retrue.sources.losses import Trace, lost_within
from retrue.sources.segment_files import Bad, Row, read_segment
from retrue.sources.set_aside import Tally
from retrue.sources.spool_files import SpoolFiles, is_spooled

START = 1_735_689_600 * 10**9  # 2025-01-01, in ns
MINUTE = 60 * 10**9


def payload(number: int, **values: Any) -> bytes:
    """The JSON of a record, at the minute of its number; it has a length of its own."""
    record = {
        "seq": number,
        "inference_id": f"id-{number}",
        "time": START + number * MINUTE,
        "status": "ok",
        "features": {"x": number / 8, "name": "n" * (number % 17)},
    }
    return orjson.dumps({**record, **values})


def line(number: int, **values: Any) -> Lines:
    return lines(number, number, **values)


def lines(first: int, last: int, **values: Any) -> Lines:
    return Lines.of(payload(number, **values) for number in range(first, last + 1))


def open_spool(root: Path, **options: Any) -> Spool:
    return Spool(root, **{"kind": "inferences", "model": "m", "model_version": "1", **options})


def write(root: Path, batches: Sequence[Lines], *, accepted: int | None = None, **options: Any) -> Spool:
    """Write a closed spool with one sealed segment a batch."""
    spool = open_spool(root, **options)
    for batch in batches:
        spool.append(batch)
        spool.seal()
    spool.tally.cells[ACCEPTED_CELL] = accepted if accepted is not None else sum(map(len, batches))
    spool.close()
    return spool


def segments(root: Path) -> list[Path]:
    return sorted(root.rglob("*" + SEALED))


class Read:
    """Everything a reader makes of a folder of segments."""

    def __init__(self, root: Path) -> None:
        self.aside = Tally()
        traces: dict[str, Trace] = {}
        self.spool = SpoolFiles(list_files(root, self.aside, holds=is_spooled), traces, self.aside)
        self.rows: list[Row] = []
        self.bad: list[Bad] = []
        for segment in self.spool.segments:
            for each in read_segment(segment, "time", traces[segment.header.boot]):
                (self.rows if isinstance(each, Row) else self.bad).append(each)  # type: ignore[arg-type]
        self.lost = lost_within(traces.values(), 0, 2**63)

    @property
    def numbers(self) -> list[int]:
        return [row.number for row in self.rows]

    @property
    def names_aside(self) -> dict[str, str]:
        return {entry.place: entry.reason for entry in self.aside.entries}
