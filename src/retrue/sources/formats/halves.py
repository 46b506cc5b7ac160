"""Requests and responses that were logged apart, put together by key in bounded memory.

What waits for its other half, and which keys were complete, is kept in memory up to a size and in a temporary SQLite file
beyond. A half that comes twice counts once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, Literal

MEMORY_BYTES = 64 * 2**20
_ENTRY_BYTES = 200  # of a dict entry beside its value

Side = Literal["request", "response"]
Half = dict[str, Any]
_DONE = "done"


class Halves:
    """Pairs what ``match`` is given; ``rest`` are the halves whose other never came, in order of key.

    Args:
        memory_bytes: How much is kept in memory.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit, self._size_bytes = memory_bytes, 0
        self._waiting: dict[str, tuple[str, str]] = {}
        self._disk: sqlite3.Connection | None = None

    def match(self, key: str, side: Side, half: Half) -> Half | None:
        """Return the half that this one belongs to, or None where it has not come yet, or both have already."""
        known = self._get(key)
        if known is None:
            self._put(key, side, json.dumps(half))
            return None
        if known[0] in (side, _DONE):
            return None
        self.finish(key)
        other: Half = json.loads(known[1])
        return other

    def finish(self, key: str) -> None:
        """Make halves of this key no longer wait: both have come, or they lie outside of what is asked for."""
        self._put(key, _DONE, "")

    def rest(self) -> Iterator[tuple[str, Side, Half]]:
        """Yield the key, side and content of each half that is alone, and forget everything."""
        disk = self._spill()
        waiting = disk.execute("SELECT key, side, half FROM halves WHERE side != ? ORDER BY key", (_DONE,))
        for key, side, half in waiting:
            yield key, side, json.loads(half)
        self.close()

    def close(self) -> None:
        """Remove what is on disk."""
        self._waiting.clear()
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def _get(self, key: str) -> tuple[str, str] | None:
        known = self._waiting.get(key)
        if known is None and self._disk is not None:
            known = self._disk.execute("SELECT side, half FROM halves WHERE key = ?", (key,)).fetchone()
        return known

    def _put(self, key: str, side: str, half: str) -> None:
        self._waiting[key] = (side, half)
        self._size_bytes += len(key) + len(half) + _ENTRY_BYTES
        if self._size_bytes > self._limit:
            self._spill()

    def _spill(self) -> sqlite3.Connection:
        if self._disk is None:
            self._disk = sqlite3.connect("")  # a private file of SQLite's that is gone when it closes
            self._disk.execute("CREATE TABLE halves (key TEXT PRIMARY KEY, side TEXT, half TEXT) WITHOUT ROWID")
        rows = ((key, side, half) for key, (side, half) in self._waiting.items())
        self._disk.executemany("INSERT OR REPLACE INTO halves VALUES (?, ?, ?)", rows)
        self._waiting.clear()
        self._size_bytes = 0
        return self._disk
