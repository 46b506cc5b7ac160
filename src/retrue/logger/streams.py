"""The records of one kind of one process: their numbers, counters, and the spool that they end in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from retrue.logger.lanes import Tick
from retrue.logger.lines import Lines
from retrue.logger.tally import ACCEPTED_CELL, DROPPED, SAMPLED_OUT, SHED, Tally

if TYPE_CHECKING:
    from retrue.logger.spool import Spool

PRESSURE, FULL, REENTRANT, BROKEN, FAILURES = "pressure", "full", "reentrant", "broken", "failures"
"""Why a record was shed: thinned by a filling lane; no room at all; given by the drain's own thread, such as out of a
`__repr__`; the logger failed; a failure like many before, in a full lane."""
UNREADABLE, STORAGE = "unreadable", "storage"
"""Why an accepted record was dropped: its values could not be written; there is no spool to write it to."""


Encode = Callable[["Any", int, float], bytes | None]
"""Makes the line of a record out of what was said, its number and its weight; None where it cannot be written."""


class Stream:
    """One kind of record.

    Args:
        kind: Such as `inferences`.
        make_spool: Opens the spool, which goes on with the counters it is given; it may raise ValueError.
        encode: Makes a record's line.
        tally: The counters; None: new ones.

    Attributes:
        lines: Gathered to be written together.
    """

    __slots__ = ("_make_spool", "encode", "kind", "lines", "numbers", "sampled_out", "shed", "spool", "tally")

    def __init__(
        self, kind: str, make_spool: Callable[[Tally], Spool], encode: Encode, tally: Tally | None = None
    ) -> None:
        self.kind = kind
        self.encode = encode
        self.numbers = count(1)
        self.sampled_out = Tick()
        self.shed: Mapping[str, Tick] = {reason: Tick() for reason in (PRESSURE, FULL, REENTRANT, BROKEN, FAILURES)}
        self.lines = Lines()
        self.spool: Spool | None = None
        self.tally = Tally() if tally is None else tally
        self._make_spool = make_spool

    def number(self) -> int:
        """Return the next number, and say in the tally that it was given away."""
        for number in self.numbers:
            self.tally.cells[ACCEPTED_CELL] = number  # one step with the line above: numbers are stored in order
            return number
        raise AssertionError("there is always another number")

    def open(self) -> None:
        """Open the spool.

        Raises:
            ValueError: The folder is refused.
        """
        self.spool = self._make_spool(self.tally)

    def taken(self) -> Lines:
        """Return the lines that were gathered, and gather anew."""
        lines, self.lines = self.lines, Lines()
        return lines

    def write(self) -> None:
        """Write the lines that were gathered."""
        if self.lines:
            self.append(self.taken())

    def append(self, lines: Lines) -> None:
        """Write lines, into a spool that is opened if there is none."""
        spool = self._opened(lines)
        if spool:
            spool.append(lines)

    def sync(self, lines: Lines) -> bool:
        """Write lines, and make everything durable; tell whether it is. No spool is opened for no lines."""
        spool = self._opened(lines) if lines else self.spool
        return spool.sync(lines) if spool else not lines

    def _opened(self, lines: Lines) -> Spool | None:
        """Return the spool; where it is refused, the lines are dropped."""
        if self.spool is None:
            try:
                self.open()
            except ValueError:
                self.tally.add(DROPPED + STORAGE, len(lines))
        return self.spool

    def publish(self) -> None:
        """Write the counters of what has no number into the tally."""
        told = self.tally.values()
        counters = {SAMPLED_OUT: self.sampled_out} | {SHED + reason: tick for reason, tick in self.shed.items()}
        for name, tick in counters.items():
            if tick.value != told.get(name, 0):
                self.tally.put(name, tick.value)

    @property
    def accepted(self) -> int:
        """Return the last number given away."""
        return self.tally.cells[ACCEPTED_CELL]

    @property
    def on_disk(self) -> int:
        """Return how many records are written."""
        return self.spool.written if self.spool else 0

    @property
    def held(self) -> int:
        """Return how many are encoded and not written: gathered, or waiting for a failing disk."""
        return len(self.lines) + (self.spool.held if self.spool else 0)

    @property
    def dropped(self) -> dict[str, int]:
        """Return how many numbered records were lost, by reason."""
        return self.tally.reasons(DROPPED)
