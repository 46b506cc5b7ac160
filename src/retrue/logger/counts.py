"""What a logger says of itself: exact counts, and gauges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the records of one kind in this process, exactly.

    `accepted == on_disk + sum(dropped.values()) + queued` holds whenever the drain rests, and after `close`.

    Attributes:
        accepted: Records that got a sequence number.
        on_disk: Of these, written to the spool.
        queued: Of these, still in memory.
        dropped: Of these, lost, by reason.
        sampled_out: Successes that `sample` left out; they have no sequence number.
        shed: Records refused before they got a number, by reason.
    """

    accepted: int
    on_disk: int
    queued: int
    dropped: Mapping[str, int]
    sampled_out: int
    shed: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Gauges of a logger at one moment.

    Attributes:
        counts: Of inferences.
        labels: Of labels.
        queue_records: Records in memory.
        queue_bytes: Their estimated size.
        shed_failures: Failures shed by an overflowing lane, by exception type and the place that raised it.
        cost_ns: What accepting cost the host, of one call in 1,024: nanoseconds (upper bound) to number of calls.
        observer_errors: Exceptions that observers raised.
    """

    counts: Counts
    labels: Counts
    queue_records: int
    queue_bytes: int
    shed_failures: Mapping[str, int]
    cost_ns: Mapping[int, int]
    observer_errors: int
