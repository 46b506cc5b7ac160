"""SageMaker batch transforms: manifests of what went in and came out, and the files that they list.

A manifest is a JSON array, ``[{"prefix": "s3://…/"}, "a.csv.out", …]``, in ``input|output/yyyy/mm/dd/hh/``. The files are read
where they lie inside the source; a manifest cannot name others. With ``GenerateInferenceId`` the last two columns of CSV are an
id and the start of the job, in JSON lines ``SageMakerInferenceId`` and ``SageMakerInferenceTime``; without, ids are file and row,
and the time is the manifest's hour.

Source: the developer guide on capturing data from batch transform jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from retrue.sources.formats.clock import Clock
from retrue.sources.formats.cutting import DOCUMENT_BYTES_MAX, aside_on_failure, guarded
from retrue.sources.formats.events import Context, Event, Found, decoded
from retrue.sources.formats.partitions import hour_of
from retrue.sources.formats.payload import Row, body, csv_rows, records, request_rows, response_rows
from retrue.sources.formats.refused import OTHER_SHAPE, RefusedEventError
from retrue.sources.json_lines import numbered_lines, open_stream, parse_value
from retrue.sources.listing import SourceFile
from retrue.sources.spans import ticks

_MANIFEST = re.compile(r"(?:^|/)(input|output)/\d{4}/\d\d/\d\d/\d\d/[^/]+$")
_ID, _TIME = "SageMakerInferenceId", "SageMakerInferenceTime"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def split(files: Sequence[SourceFile]) -> tuple[list[SourceFile], list[SourceFile]]:
    """Part the files of endpoints from those of batch transforms: manifests, outputs and the inputs beside them."""
    inputs = {_base(file.name).removesuffix(".out") for file in files if _is_output(file.name)}
    batch = [file for file in files if _is_part(file.name) or _base(file.name) in inputs]
    taken = {file.name for file in batch}
    return [file for file in files if file.name not in taken and not file.name.endswith(".csv")], batch


def _is_part(name: str) -> bool:
    return bool(_MANIFEST.search(name)) or _is_output(name)


def _is_output(name: str) -> bool:
    return name.endswith(".out")


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def read_batches(files: Sequence[SourceFile], context: Context) -> Iterator[Found]:
    """Read the outputs that manifests list, each row beside that of its input where the input is there."""
    manifests = [file for file in files if _MANIFEST.search(file.name)]
    listed: dict[str, datetime | None] = {}
    for manifest in manifests:
        with aside_on_failure(manifest, context.tally):
            for entry in _entries(manifest, context):
                listed[entry] = hour_of(manifest.name)
    outputs = [file for file in files if _is_output(file.name) and not _MANIFEST.search(file.name)]
    inputs = {_base(file.name): file for file in files if not _is_part(file.name)}
    for output in outputs:
        rows = _rows(output, inputs.get(_base(output.name).removesuffix(".out")), context)
        yield from decoded(rows, lambda event: _record(event, listed, context), context)
    there = {_base(output.name) for output in outputs}
    missing = sum(_is_output(name) and name not in there for name in listed)
    if missing:
        reason = "a manifest lists files that do not lie in this folder: point uri at the folder that holds both"
        context.tally.set_aside_rows(manifests[0].name, reason, count=missing)


def _entries(manifest: SourceFile, context: Context) -> Iterator[str]:
    with open_stream(manifest) as stream:
        content = guarded(stream).read(DOCUMENT_BYTES_MAX)
    try:
        entries = parse_value(content)
    except ValueError:
        context.tally.set_aside_rows(manifest.name, "the manifest is not valid JSON")
        return
    if not isinstance(entries, list):
        context.tally.set_aside_rows(manifest.name, OTHER_SHAPE)
        return
    yield from (_base(entry) for entry in entries if isinstance(entry, str))


def _rows(output: SourceFile, source: SourceFile | None, context: Context) -> Iterator[Event]:
    """Yield (request line or None, response line) by place."""
    with aside_on_failure(output, context.tally), open_stream(output) as answers:
        if source is None:
            yield from (
                Event(output, number, len(line or b""), (None, line)) for number, line in numbered_lines(answers)
            )
            return
        with open_stream(source) as asked:
            for request, answer in zip_longest(numbered_lines(asked), numbered_lines(answers)):
                if request is None or answer is None:
                    yield Event(output, 0, 0, None, "the input and the output have different numbers of rows")
                    return
                yield Event(output, answer[0], len(answer[1] or b""), (request[1], answer[1]))


def _record(event: Event, listed: Mapping[str, datetime | None], context: Context) -> Iterator[Row]:
    asked, answered = event.value
    settings = context.settings
    if answered is None:
        raise RefusedEventError("a line is too long")
    row, identity, at = _split(_cells(answered))
    name = _base(event.file.name)
    hour = listed.get(name)
    time = Clock().ticks(at) if at is not None else ticks(hour or event.file.modified_at)
    each = {context.span.time: time, "status": "ok", "model_version": settings.model_version}
    requests = request_rows(_cells(asked), settings.names) if asked else []
    answers = response_rows([row], settings.outputs, settings.columns)
    yield from records(identity or f"{name}#{event.line}", requests, answers, each, {})


def _cells(line: bytes) -> Any:
    """The cells of a line of CSV, or the value of a line of JSON."""
    if line[:1] in (b"{", b"["):
        return body(line, encoding="JSON")
    rows = csv_rows(line.decode("utf-8", "replace"))
    return rows[0] if rows else []


def _split(row: Any) -> tuple[Any, str | None, Any]:
    """Return a row without the id and time that SageMaker appended, and these."""
    if isinstance(row, Mapping) and _ID in row:
        return {name: value for name, value in row.items() if name not in (_ID, _TIME)}, str(row[_ID]), row.get(_TIME)
    if isinstance(row, list) and len(row) >= 3 and _UUID.fullmatch(str(row[-2])):
        return row[:-2], str(row[-2]), row[-1]
    return row, None, None
