"""Logs written through a spool, for tests of sources: the same rows as `tests.sources.logs` has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL
from tests.sources.logs import START, Row

_EPOCH_NS = int(START.timestamp()) * 10**9


def nanoseconds(at: datetime) -> int:
    return _EPOCH_NS + round((at - START).total_seconds() * 10**6) * 1000


def payload(number: int, row: Row) -> bytes:
    """What the logger writes of a row: features in an object of their own, times in ns."""
    plain = {name: value for name, value in row.items() if not name.startswith("features.")}
    features = {name.removeprefix("features."): value for name, value in row.items() if name.startswith("features.")}
    times = {name: nanoseconds(value) for name, value in plain.items() if isinstance(value, datetime)}
    return orjson.dumps({"seq": number, **plain, **times, **({"features": features} if features else {})})


def spool_rows(root: Path, *batches: Sequence[Row], accepted: int = 0, **options: Any) -> Spool:
    """Write each batch as a segment of one process; the spool is closed when this returns."""
    spool = Spool(root, **{"kind": "inferences", "model": "m", "model_version": "1", **options})
    number = 0
    for batch in batches:
        spool.append(Lines.of(payload(number + place, row) for place, row in enumerate(batch, start=1)))
        spool.seal()
        number += len(batch)
    spool.tally.cells[ACCEPTED_CELL] = max(number, accepted)
    spool.close()
    return spool
