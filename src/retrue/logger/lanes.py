"""Two bounded queues between the host's threads and the drain: failures and labels in one, successes in the other.

No call waits: there is no lock. Where a comment says *one step*, CPython with its global lock lets no other thread in
between, since it switches threads only at calls and backward jumps, and none lies within.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final

from retrue.logger.exceptions import OTHER_SITE, Site
from retrue.logger.sampling import halvings
from retrue.logger.tally import ACCEPTED_CELL

if TYPE_CHECKING:
    from retrue.logger.calls import Facts, Plain
    from retrue.logger.streams import Stream

WEIGHED_EVERY: Final = 8
"""Of records that are light, one in this many is weighed; of heavy ones each is."""
HEAVY_BYTES: Final = 16_384
TYPICAL_BYTES: Final = 2_048
SITES_MAX: Final = 1_024

_CONTAINERS_WEIGHED = 32
_ITEMS_WEIGHED = 1_000
_ITEM_BYTES = 96  # a dict's entry and a number
_SLOT_BYTES = 32  # a list's or tuple's
_CHARACTER_BYTES = 4  # of text that is not ASCII, at most
_OPAQUE_BYTES = 512  # what an object counts for whose size cannot be asked without running its own code
_SMALL = frozenset({int, float, bool, type(None)})
_CONTAINERS = frozenset({dict, list, tuple})
_ARRAYS = frozenset({"numpy", "torch"})

Item = tuple["Stream", "Facts | Plain", int, float, int]
"""Where a record belongs, what was said, its number, its weight, and its estimated size in bytes."""


class Tick:
    """A counter that threads share."""

    __slots__ = ("numbers", "value")

    def __init__(self) -> None:
        self.numbers = count(1)
        self.value = 0

    def add(self) -> None:
        """Count one more."""
        for number in self.numbers:
            self.value = number  # one step with the line above
            return


class Lane:
    """A queue bounded in records and in bytes; any thread puts, one takes.

    Attributes:
        queue: What waits, the oldest first.
        bytes: Estimated size of what is queued.
        half_records, half_bytes: Below both a lane is calm.
        typical: What a light record weighs, of late.
        is_heavy: Whether each record is weighed.
    """

    __slots__ = ("_max_bytes", "_max_records", "bytes", "half_bytes", "half_records", "is_heavy", "queue", "typical")

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self.half_records, self.half_bytes = (max_records + 1) // 2, (max_bytes + 1) // 2
        self.queue: deque[Item] = deque()
        self.typical = TYPICAL_BYTES
        self.is_heavy = False
        self.bytes = 0

    def __len__(self) -> int:
        return len(self.queue)

    def halvings(self) -> int:
        """Return how often a success's probability is halved now, by the fuller of the two bounds."""
        records, size = len(self.queue), self.bytes
        if records < self.half_records and size < self.half_bytes:
            return 0
        return max(halvings(records, self._max_records), halvings(size, self._max_bytes))

    def is_full(self) -> bool:
        """Return whether there is no more room."""
        return len(self.queue) >= self._max_records or self.bytes >= self._max_bytes

    def is_overfull(self) -> bool:
        """Return whether twice as much is queued as there is room for, so that not even an exception is made."""
        return len(self.queue) >= 2 * self._max_records or self.bytes >= 2 * self._max_bytes

    def put(self, stream: Stream, facts: Facts | Plain, weight: float) -> None:
        """Number a record and append it; that there is room was asked before, so that one a thread may come on top."""
        for number in stream.numbers:
            stream.tally.cells[ACCEPTED_CELL] = number  # one step with the line above: numbers are stored in order
            break
        size = self.typical if number % WEIGHED_EVERY and not self.is_heavy else self.weighed(facts)
        self.bytes += size  # one step
        self.queue.append((stream, facts, number, weight, size))

    def take(self, most: int) -> list[Item]:
        """Remove and return at most so many records, the oldest first."""
        queue, taken = self.queue, list[Item]()
        with suppress(IndexError):  # another thread takes too, where the host lends moments
            for _ in range(min(most, len(queue))):
                taken.append(queue.popleft())
        size = sum([item[4] for item in taken])
        self.bytes -= size  # one step
        return taken

    def weighed(self, facts: Facts | Plain) -> int:
        """Return what a record weighs, and learn from it what the next ones do."""
        size = weigh(facts)
        self.is_heavy = size > HEAVY_BYTES
        if not self.is_heavy:
            self.typical += (size - self.typical) // WEIGHED_EVERY
        return size


class Overflow:
    """Failures for which a lane had no room, by where they were raised: exact counts.

    The first few of each place are kept all the same. The next one of that place that is kept stands for those shed.
    """

    __slots__ = ("_keep_first", "_numbers", "_unsaid", "shed")

    def __init__(self, keep_first: int) -> None:
        self._keep_first = keep_first
        self._numbers: dict[Site, count[int]] = {}
        self._unsaid: dict[Site, int] = {}
        self.shed: dict[Site, int] = {}
        """All that were shed, by place; beyond 1,024 places the others count as one."""

    def passes(self, site: Site, *, is_overfull: bool) -> bool:
        """Tell whether a failure is one of the first of its place and not beyond all bounds; count it as shed if not."""
        if site not in self.shed and max(len(self._numbers), len(self.shed)) >= SITES_MAX:
            site = OTHER_SITE
        if not is_overfull and next(self._numbers.setdefault(site, count(1))) <= self._keep_first:
            return True
        _count(self.shed, site)
        _count(self._unsaid, site)
        return False

    def weight(self, site: Site) -> float:
        """Return how many failures a kept one stands for: itself, and those of its place shed since the last."""
        return 1.0 + self._unsaid.pop(site, 0) if self._unsaid else 1.0


def _count(counts: dict[Site, int], site: Site) -> None:
    while True:
        counts.setdefault(site, 0)
        try:
            counts[site] += 1  # one step
        except KeyError:  # taken out by another thread in between
            continue
        return


def weigh(facts: Facts | Plain) -> int:
    """Return about how many bytes a record keeps from being freed; runs no code of the host's objects.

    Of very many or deeply nested values only the first are looked at.

    >>> weigh({"features": {"x": "a" * 1_000_000}}) > 1_000_000
    True
    """
    total = 0
    containers: list[object] = [facts]
    for container in containers:
        values = _values(container)
        total += (_ITEM_BYTES if type(container) is dict else _SLOT_BYTES) * (len(container) + 1)  # type: ignore[arg-type]
        for value in values:
            kind = type(value)
            if kind in _SMALL:
                continue
            if kind is str:
                total += len(value) if value.isascii() else _CHARACTER_BYTES * len(value)
            elif kind in _CONTAINERS:
                if len(containers) < _CONTAINERS_WEIGHED:
                    containers.append(value)
            else:
                total += _opaque_bytes(kind, value)
    return total


def _values(container: Any) -> Iterable[Any]:
    values = container.values() if type(container) is dict else container
    return list(values) if len(container) <= _ITEMS_WEIGHED else list(islice(list(values), _ITEMS_WEIGHED))


def _opaque_bytes(kind: type, value: Any) -> int:
    """Bytes and arrays say their size; of other objects nothing is asked."""
    if kind is bytes or kind is bytearray:
        return len(value)
    module = kind.__module__
    if isinstance(module, str) and module.partition(".")[0] in _ARRAYS:
        size = getattr(value, "nbytes", 0)
        return size if isinstance(size, int) else _OPAQUE_BYTES
    return _OPAQUE_BYTES
