"""Where a source lies and how it is written: its files, wherever they are, and its records, whatever their format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrue.config.sources import SourceSettings
from retrue.errors import SourceError
from retrue.sources.formats import FORMATS, read_format, read_traces
from retrue.sources.json_lines import Record, read_batches
from retrue.sources.listing import PARQUET, SourceFile, list_files, source_folder
from retrue.sources.parquet import CLOCK_SLACK
from retrue.sources.remote import is_folder, is_remote, list_remote
from retrue.sources.renaming import Renaming
from retrue.sources.set_aside import Tally
from retrue.sources.spans import Span

TraceReader = Callable[[str, str, Span], Iterator[Mapping[str, Any]]]
"""Traces of an MLflow server: of its address, an experiment's name or id, and a span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source: its settings, where relative folders start, where remote files are fetched to.

    ``traces`` reads an MLflow server; without it only files can be read.
    """

    settings: SourceSettings
    root: Path
    cache: Path
    traces: TraceReader | None = None

    @property
    def is_native(self) -> bool:
        """Whether the files are records already: Parquet, JSON lines and the logger's segments."""
        return self.settings.format == "retrue"

    @property
    def is_server(self) -> bool:
        """Whether the source is an MLflow server and has no files."""
        return self.settings.format == "mlflow" and self.settings.uri.startswith(("http://", "https://"))

    @property
    def renaming(self) -> Renaming | None:
        """What Parquet columns are called, None where nothing is renamed."""
        return Renaming(settings=self.settings) if self.settings.format == "parquet" else None

    def files(self, tally: Tally, *, holds: Callable[[str], bool]) -> list[SourceFile]:
        """Return the files that ``holds`` takes.

        Raises:
            SourceError: The place cannot be opened.
        """
        if self.settings.format == "databricks":
            self._refuse_delta()
        if is_remote(self.settings.uri):
            return list_remote(self.settings.uri, self.cache, tally, holds=holds)
        return list_files(source_folder(self.settings.uri, self.root), tally, holds=holds)

    def _refuse_delta(self) -> None:
        """Refuse the folder of a Delta table: its log, not its listing, says which files are part of it."""
        uri = self.settings.uri.rstrip("/") + "/_delta_log"
        if is_remote(uri):
            there = is_folder(uri)
        else:
            there = source_folder(self.settings.uri, self.root).joinpath("_delta_log").is_dir()
        if there:
            raise SourceError(
                f"{self.settings.uri} is a Delta table, whose folder also holds files that are no part of it any more: export the table"
            )

    def holds(self, name: str) -> bool:
        """Tell whether a file of this name belongs to the format."""
        if self.settings.format == "parquet":
            return name.lower().endswith(PARQUET)
        found = FORMATS.get(self.settings.format)
        return bool(found and found.holds.fullmatch(name))

    def is_outside(self, file: SourceFile, span: Span) -> bool:
        """Tell whether a file cannot hold records of a span: by its folder, or since a store wrote it before the span."""
        found = FORMATS.get(self.settings.format)
        if found and found.is_outside(file.name, span):
            return True
        return file.remote is not None and file.modified_at < span.start - CLOCK_SLACK

    def batches(
        self, files: Sequence[SourceFile], span: Span, tally: Tally, notes: Counter[str]
    ) -> Iterator[tuple[SourceFile, list[Record]]]:
        """Yield the records of the span out of files that are not Parquet of the engine's, in batches.

        Raises:
            SourceError: A server or a store does not answer.
        """
        if self.is_server:
            yield from self._served(span, tally, notes)
        elif self.settings.format in FORMATS:
            yield from read_format(files, self.settings, span, tally, notes)
        else:
            for file in files:
                yield from ((file, batch) for batch in read_batches(file, span, tally))

    def _served(self, span: Span, tally: Tally, notes: Counter[str]) -> Iterator[tuple[SourceFile, list[Record]]]:
        if self.traces is None:
            raise SourceError("an MLflow server cannot be read from here: keep its traces in files")
        if self.settings.experiment is None:
            raise SourceError("which experiment holds the traces? Set `experiment` beside `uri`")
        found = self.traces(self.settings.uri, self.settings.experiment, span)
        yield from read_traces(found, self.settings, span, tally, notes)
