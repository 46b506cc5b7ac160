"""Found records into batches of the span, and what was not understood into the tally."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retrue.sources.formats.events import Found
from retrue.sources.json_lines import BATCH_BYTES, BATCH_ROWS, Record
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Doubtful, Tally
from retrue.sources.spans import Span


def batches(found: Iterable[Found], span: Span, tally: Tally) -> Iterator[tuple[SourceFile, list[Record]]]:
    """Yield the records of the span in batches of bounded size, each with the file of its first record.

    A bad event belongs to the span when a good one next to it in its file does, or when its file has no good one.
    """
    sieve = _Sieve(span, tally)
    batch: list[Record] = []
    first: SourceFile | None = None
    size_bytes = rows = 0
    sizes: dict[str, int] = {}
    for each in found:
        if not sieve.keeps(each) or each.record is None:
            continue
        first = first or each.event.file
        batch.append(each.record)
        size_bytes += each.event.size_bytes
        sizes[each.event.file.name] = each.event.file.size_bytes
        if len(batch) >= BATCH_ROWS or size_bytes >= BATCH_BYTES:
            yield first, batch
            rows += len(batch)
            batch, first, size_bytes = [], None, 0
    sieve.finish()
    if first:
        yield first, batch
    tally.read(rows=rows + len(batch), size_bytes=sum(sizes.values()))


class _Sieve:
    """Tells which records belong to the span, file by file."""

    def __init__(self, span: Span, tally: Tally) -> None:
        self._start, self._end, self._tally = span.start_ticks, span.end_ticks, tally
        self._doubtful: Doubtful | None = None
        self._name = ""

    def keeps(self, found: Found) -> bool:
        doubtful = self._of(found.event.file)
        if found.reason:
            doubtful.bad(found.reason, line=found.event.line)
        if found.reason or found.at is None:
            return False
        inside = self._start <= found.at < self._end
        doubtful.good(inside=inside)
        return inside

    def finish(self) -> None:
        """Settle the bad events at the end of a file."""
        if self._doubtful:
            self._doubtful.end()
        self._doubtful = None

    def _of(self, file: SourceFile) -> Doubtful:
        if self._doubtful is None or file.name != self._name:
            self.finish()
            self._doubtful, self._name = Doubtful(self._tally, file.name), file.name
        return self._doubtful
