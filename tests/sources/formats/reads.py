"""Reading a folder in a foreign format, without the engine, for tests of formats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrue.config import LabelSettings, LogSettings
from retrue.sources.places import Place
from retrue.sources.set_aside import Tally
from retrue.sources.spans import EPOCH, LAST, Span, ticks

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "serving_formats_dev"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came out of a folder: records in the order they were found, reasons with counts, notes."""

    rows: list[Row]
    tally: Tally
    notes: Counter[str]

    @property
    def reasons(self) -> dict[str, int]:
        return {each.reason: each.count for each in self.tally.entries}

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]

    def features(self, number: int = 0) -> Row:
        return {k.removeprefix("features."): v for k, v in self.rows[number].items() if k.startswith("features.")}


def read(folder: Path, form: str, *, start: datetime = EPOCH, end: datetime = LAST, **settings: Any) -> Reading:
    """Read the logs of a folder."""
    return _read(LogSettings.model_validate({"uri": str(folder), "format": form, **settings}), "time", start, end)


def read_labels(folder: Path, form: str, *, start: datetime = EPOCH, end: datetime = LAST, **settings: Any) -> Reading:
    """Read the labels of a folder."""
    made = LabelSettings.model_validate({"uri": str(folder), "format": form, **settings})
    return _read(made, "labelled_at", start, end)


def _read(settings: LogSettings | LabelSettings, time: str, start: datetime, end: datetime) -> Reading:
    span = Span(time=time, start=start, end=end, wanted=lambda name: True)
    tally, notes = Tally(), Counter[str]()
    place = Place(settings=settings, root=Path(), cache=Path(settings.uri, ".cache"))
    files = [file for file in place.files(tally, holds=place.holds) if not place.is_outside(file, span)]
    rows = [row for _, batch in place.batches(files, span, tally, notes) for row in batch]
    return Reading(rows=rows, tally=tally, notes=notes)


def write(path: Path, *values: Any) -> Path:
    """Write values as JSON lines, text and bytes as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(values) == 1 and isinstance(values[0], bytes):
        path.write_bytes(values[0])
    else:
        path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in values))
    return path


def at(text: str) -> int:
    """The microseconds of a time; a naive one is UTC."""
    moment = datetime.fromisoformat(text)
    return ticks(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def copy_of(names: Sequence[str], folder: Path) -> Path:
    """Copy real samples into a folder of the test's own; the caller skips where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((SAMPLES / name).read_bytes())
    return folder
