"""Where records come in, in the host's threads: the decision to keep one, its number, its place in a lane.

One intake is one process's: a forked child has another, with empty lanes and numbers from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING

from retrue.logger.calls import ACCEPTED, SAMPLED_OUT, SHED, Answer, Facts, Plain
from retrue.logger.lanes import WEIGHED_EVERY, Lane, Overflow, Tick
from retrue.logger.sampling import NEVER, weight
from retrue.logger.streams import BROKEN, FAILURES, FULL, PRESSURE, REENTRANT, Stream
from retrue.logger.tally import ACCEPTED_CELL

if TYPE_CHECKING:
    from retrue.logger.drain import Drain
    from retrue.logger.encoder import Encoder
    from retrue.logger.exceptions import Site

_COST_BITS = 40  # the longest time that is told apart: 2**40 ns are 18 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """How much may wait in memory.

    Attributes:
        records, bytes: Successes; they are thinned from half of either on.
        failure_records, failure_bytes: Failures and labels.
        failures_of_a_place: How many failures raised at one place are kept although their lane is full.
    """

    records: int = 16_384
    bytes: int = 16 * 2**20
    failure_records: int = 4_096
    failure_bytes: int = 8 * 2**20
    failures_of_a_place: int = 5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}, a whole number from 1 is needed")


class Intake:
    """Takes records into two lanes; no call waits or raises on the host's account.

    Attributes:
        urgent, rest: The lanes.
        overflow: Failures for which there was no room.
        costs: How many timed calls took at most `2**place` ns.
    """

    __slots__ = (
        "_weight",
        "costs",
        "drain",
        "encoder",
        "inferences",
        "labels",
        "overflow",
        "rest",
        "sample",
        "sampled_out",
        "urgent",
    )

    def __init__(self, inferences: Stream, labels: Stream, encoder: Encoder, queues: Queues, sample: float) -> None:
        self.inferences, self.labels, self.encoder = inferences, labels, encoder
        self.sample = sample
        self._weight = weight(sample, 0) if sample else 0.0
        self.rest = Lane(max_records=queues.records, max_bytes=queues.bytes)
        self.urgent = Lane(max_records=queues.failure_records, max_bytes=queues.failure_bytes)
        self.overflow = Overflow(queues.failures_of_a_place)
        self.sampled_out: Tick = inferences.sampled_out
        self.costs = [0] * (_COST_BITS + 1)
        self.drain: Drain

    def success(self, facts: Facts, chance: float) -> Answer:
        """Take a success, with the probability of `sample` and the lane's fill.

        Args:
            facts: What was said of it.
            chance: A random number in [0, 1).
        """
        if chance >= self.sample:
            self.sampled_out.add()
            return SAMPLED_OUT
        return self.keep(facts, chance)

    def keep(self, facts: Facts | Plain, chance: float) -> Answer:
        """Take a success that `sample` has not left out, with the probability of the lane's fill.

        The lane's `put` is written out here: a call is a tenth of what a host pays for a record.
        """
        lane, stream, encoder = self.rest, self.inferences, self.encoder
        stands_for = self._weight
        if len(lane.queue) >= lane.half_records or lane.bytes >= lane.half_bytes:
            if self.drain.dozing:
                self.drain.wake()
            halved = lane.halvings()
            if halved >= NEVER or chance * (1 << halved) >= self.sample:
                return self._shed(stream, FULL if halved >= NEVER else PRESSURE)
            stands_for = weight(self.sample, halved)
        if encoder.reader and encoder.reader == get_ident():
            return self._shed(stream, REENTRANT)
        for number in stream.numbers:
            stream.tally.cells[ACCEPTED_CELL] = number  # one step with the line above: numbers are stored in order
            break
        size = lane.typical if number % WEIGHED_EVERY and not lane.is_heavy else lane.weighed(facts)
        lane.bytes += size  # one step
        lane.queue.append((stream, facts, number, stands_for, size))
        if self.drain.resting:
            self.drain.wake()
        return ACCEPTED

    def lend(self) -> None:
        """Have a few successes encoded in the host's thread."""
        self.encoder.lend(self.rest)

    def timed(self, began: int) -> None:
        """Count what a call cost that began at this reading of `perf_counter_ns`."""
        self.costs[min((perf_counter_ns() - began).bit_length(), _COST_BITS)] += 1

    def sure(self, facts: Facts) -> Answer:
        """Take a success that its giver wants on disk: neither sampled nor thinned."""
        if self.urgent.is_full():
            return self._shed(self.inferences, FULL)
        return self._put(self.urgent, self.inferences, facts, 1.0)

    def failure(self, facts: Facts, site: Site) -> Answer:
        """Take a failure; in a full lane only the first few of its place."""
        lane = self.urgent
        if lane.is_full() and not self.overflow.passes(site, is_overfull=lane.is_overfull()):
            return self._shed(self.inferences, FAILURES)
        return self._put(lane, self.inferences, facts, self.overflow.weight(site))

    def label(self, facts: Facts) -> Answer:
        """Take a label."""
        if self.urgent.is_full():
            return self._shed(self.labels, FULL)
        return self._put(self.urgent, self.labels, facts, 1.0)

    def broken(self) -> Answer:
        """Count a record that the logger itself failed to take."""
        return self._shed(self.inferences, BROKEN)

    def _put(self, lane: Lane, stream: Stream, facts: Facts, stands_for: float) -> Answer:
        drain = self.drain
        if self.encoder.reader and self.encoder.reader == get_ident():
            return self._shed(stream, REENTRANT)
        lane.put(stream, facts, stands_for)
        if drain.resting or drain.dozing:
            drain.wake()
        return ACCEPTED

    def _shed(self, stream: Stream, reason: str) -> Answer:
        stream.shed[reason].add()
        return SHED
