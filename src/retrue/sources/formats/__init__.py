"""Logs that other systems write, each read into records: one file per system.

A format is a function from files to what was found in them: records, and events set aside with a reason. What they share
(cutting files into events, times, payloads, halves that belong together) is beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrue.config.sources import SourceSettings
from retrue.errors import SourceError
from retrue.sources.formats import bentoml, columns, databricks, kserve, mlflow_traces, sagemaker, seldon, vertex
from retrue.sources.formats.events import Context, Event, Format, Found, Reader
from retrue.sources.formats.sieve import batches
from retrue.sources.json_lines import Record
from retrue.sources.listing import SourceFile
from retrue.sources.set_aside import Tally
from retrue.sources.spans import Span

FORMATS: Mapping[str, Format] = {
    "sagemaker": sagemaker.FORMAT,
    "kserve": kserve.FORMAT,
    "bentoml": bentoml.FORMAT,
    "databricks": databricks.FORMAT,
    "vertex": vertex.FORMAT,
    "seldon": seldon.FORMAT,
    "mlflow": mlflow_traces.FORMAT,
    "jsonl": columns.JSON_LINES,
    "csv": columns.CSV,
}
"""What is read event by event; ``retrue`` and ``parquet`` are read by the engine."""

__all__ = ["FORMATS", "Context", "Format", "Found", "read_format", "read_traces"]

TRACE_BYTES = 20_000  # what a trace is taken to weigh in memory


def read_format(
    files: Sequence[SourceFile], settings: SourceSettings, span: Span, tally: Tally, notes: Counter[str]
) -> Iterator[tuple[SourceFile, list[Record]]]:
    """Yield the records of the span in batches, as ``json_lines`` does, each with the file of its first.

    Which part of a format is asked for, logs or labels, is told by the span's column of time.
    """
    context = Context(settings=settings, span=span, tally=tally, notes=notes)
    return batches(reader_of(settings, span)(files, context), span, tally)


def read_traces(
    traces: Iterable[Mapping[str, Any]], settings: SourceSettings, span: Span, tally: Tally, notes: Counter[str]
) -> Iterator[tuple[SourceFile, list[Record]]]:
    """Yield the records of traces that an MLflow server gave, like ``read_format``."""
    context = Context(settings=settings, span=span, tally=tally, notes=notes)
    served = SourceFile(path=Path(), name="traces", size_bytes=0, modified_at=span.end)
    events = (Event(served, number, TRACE_BYTES, trace) for number, trace in enumerate(traces, 1))
    read = mlflow_traces.labels_of_events if span.time == "labelled_at" else mlflow_traces.of_events
    return batches(read(events, context), span, tally)


def reader_of(settings: SourceSettings, span: Span) -> Reader:
    """Return what reads logs, or labels, of the settings' format.

    Raises:
        SourceError: The format has none.
    """
    found = FORMATS[settings.format]
    reader = found.labels if span.time == "labelled_at" else found.logs
    if reader is None:
        raise SourceError(f"{settings.format} writes no labels: name another format under labels")
    return reader
