"""What a Parquet file made of segments says of itself: which records of which process it holds, and what it could not.

This is kept with the file's schema, so that it stays where rows are erased later: records that were let go of on purpose
are not missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from retrue.logger.runs import Run
from retrue.logger.segments import FOLDER
from retrue.results import SetAside
from retrue.sources.losses import Counted, Trace

KEY = b"retrue.spool"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Of one process: the numbers of its records in the file, and its counters beside them."""

    runs: tuple[Run, ...] = ()
    counted: tuple[Counted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file holds.

    Attributes:
        parts: By process.
        refused: What stood beside these records and could not be read: by segment and reason, the numbers of its lines.
        names: What columns are really called whose names Parquet would confuse.
    """

    parts: Mapping[str, Part]
    refused: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return it as the value of ``KEY`` in the metadata of the schema."""
        parts = {
            boot: {"runs": [list(run) for run in part.runs], "counted": [list(each) for each in part.counted]}
            for boot, part in self.parts.items()
        }
        return orjson.dumps({"format": FORMAT, "parts": parts, "refused": self.refused, "names": self.names})

    @property
    def set_aside(self) -> Iterator[SetAside]:
        """What could not be read, as a window reports it."""
        for segment, reasons in self.refused.items():
            for reason, lines in reasons.items():
                yield SetAside(place=f"{FOLDER}/{segment}:{min(lines)}", reason=reason, count=len(lines))

    def add_to(self, traces: dict[str, Trace]) -> None:
        """Tell what is known of each process."""
        for boot, part in self.parts.items():
            trace = traces.setdefault(boot, Trace(boot=boot))
            for run in part.runs:
                trace.runs.merge(run)
            for counted in part.counted:
                trace.count(*counted)
            trace.settled = max(trace.settled, trace.runs.last)
        for segment, reasons in self.refused.items():
            trace = traces.setdefault(segment.partition("/")[0], Trace(boot=segment.partition("/")[0]))
            trace.refused |= {(segment, line) for lines in reasons.values() for line in lines}


def contents_of(metadata: Mapping[bytes, bytes] | None) -> Contents | None:
    """Return what a file says of itself; None where it was not made of segments, or by a newer version."""
    encoded = (metadata or {}).get(KEY)
    if encoded is None:
        return None
    try:
        value = orjson.loads(encoded)
        return _decoded(value) if value["format"] == FORMAT else None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _decoded(value: Mapping[str, Any]) -> Contents:
    return Contents(
        parts={
            boot: Part(
                runs=tuple(Run(*run) for run in part["runs"]),
                counted=tuple(Counted(*each) for each in part["counted"]),
            )
            for boot, part in value["parts"].items()
        },
        refused={segment: dict(reasons) for segment, reasons in value["refused"].items()},
        names=dict(value["names"]),
    )
