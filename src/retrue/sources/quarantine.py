"""What of a segment is no record is kept aside, with its reason: it may be wanted when the cause is looked for."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import IO

import orjson

from retrue.sources.durable import UNFINISHED, create_private, sync_folder
from retrue.sources.segment_files import Bad, SegmentFile

QUARANTINE = "quarantine"


class Remains:
    """The stretches of a segment that are no records, on their way into a file of quarantine: JSON lines with base64."""

    def __init__(self, folder: Path, segment: SegmentFile) -> None:
        self._segment = segment
        self._path = folder / f"{segment.name.replace('/', '-')}.bad"
        self._unfinished = self._path.with_name(self._path.name + UNFINISHED)
        self._file: IO[bytes] | None = None
        self._count = 0
        self.unexplained: list[tuple[str, Bad]] = []

    def add(self, bad: Bad) -> None:
        """Keep a stretch; ``unexplained`` gathers those that no Parquet file names yet."""
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file = create_private(self._unfinished)
        place = {"segment": self._segment.file.name, "offset": bad.piece.offset, "line": bad.line, "reason": bad.reason}
        content = base64.b64encode(bad.piece.content).decode()
        self._file.write(orjson.dumps({**place, "base64": content}, option=orjson.OPT_APPEND_NEWLINE))
        self._count += 1
        if not bad.known and not self._segment.is_cut(bad):
            self.unexplained.append((self._segment.name, bad))

    def finish(self) -> int:
        """Put the file in its place; return how many stretches it holds."""
        if self._file:
            with self._file as file:
                file.flush()
                os.fsync(file.fileno())
            self._unfinished.replace(self._path)
            sync_folder(self._path.parent)
        return self._count

    def forget(self) -> None:
        """Leave no file: the segment stays."""
        if self._file:
            self._file.close()
            self._unfinished.unlink(missing_ok=True)
