"""What is taken out of records that are kept: values past their time, whole records, and erased people.

An edit is carried out on Arrow tables and on single JSON records alike. pyarrow is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from retrue.sources.spans import ticks
from retrue.tombstones import Tombstones

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]


class Edit(Protocol):
    """A change of records; ``moment`` is a record's time in microseconds since 1970, None where it has none."""

    def reads(self, names: Sequence[str], moments: pa.ChunkedArray) -> list[str]:
        """Return the columns whose values decide what changes; none where nothing can."""

    def table(self, rows: pa.Table, moments: pa.ChunkedArray) -> pa.Table:
        """Return the rows that stay, as they stay; the very same table where nothing changes."""

    def record(self, record: Record, moment: int | None) -> Record | None:
        """Return a flat record as it stays, the very same one where nothing changes, or None where it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """Values of the ``wanted`` columns become null in records older than ``before``."""

    wanted: Callable[[str], bool]
    before: datetime

    def reads(self, names: Sequence[str], moments: pa.ChunkedArray) -> list[str]:
        return [name for name in names if self.wanted(name)] if _any_before(moments, self.before) else []

    def table(self, rows: pa.Table, moments: pa.ChunkedArray) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        names = [name for name in rows.column_names if self.wanted(name) and rows[name].null_count < len(rows)]
        if not names or not _any_before(moments, self.before):
            return rows
        old = _before(moments, self.before)
        for name in names:
            column = rows[name]
            if isinstance(column.type, pa.BaseExtensionType):  # JSON, which the kernels do not know
                column = column.cast(column.type.storage_type)
            blank = pc.if_else(old, pa.scalar(None, column.type), column).cast(rows[name].type)
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name).with_nullable(True), blank)
        return rows

    def record(self, record: Record, moment: int | None) -> Record | None:
        if moment is None or moment >= ticks(self.before):
            return record
        return _changed(record, {name for name, value in record.items() if value is not None and self.wanted(name)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Whole records older than ``before`` go."""

    before: datetime

    def reads(self, names: Sequence[str], moments: pa.ChunkedArray) -> list[str]:
        return ["inference_id"] if _any_before(moments, self.before) else []

    def table(self, rows: pa.Table, moments: pa.ChunkedArray) -> pa.Table:
        import pyarrow.compute as pc

        return rows.filter(pc.invert(_before(moments, self.before))) if _any_before(moments, self.before) else rows

    def record(self, record: Record, moment: int | None) -> Record | None:
        return None if moment is not None and moment < ticks(self.before) else record


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Records of erased people go, and so does whatever has the id of one of their inferences."""

    tombstones: Tombstones

    def reads(self, names: Sequence[str], moments: pa.ChunkedArray) -> list[str]:
        return [name for name in ("inference_id", *self.tombstones.columns) if name in names]

    def table(self, rows: pa.Table, moments: pa.ChunkedArray) -> pa.Table:
        import pyarrow as pa

        gone = [any(marks) for marks in zip(*self._marks(rows), strict=True)]
        return rows.filter(pa.array([not each for each in gone])) if any(gone) else rows

    def _marks(self, rows: pa.Table) -> list[list[bool]]:
        checks: list[tuple[str, Callable[[object], bool]]] = [("inference_id", self.tombstones.covers)]
        checks += [(name, self.tombstones.names) for name in self.tombstones.columns]
        marks = [_each(rows[name], check) for name, check in checks if name in rows.column_names]
        return marks or [[False] * len(rows)]

    def record(self, record: Record, moment: int | None) -> Record | None:
        named = any(self.tombstones.names(record.get(name)) for name in self.tombstones.columns)
        return None if named or self.tombstones.covers(record.get("inference_id")) else record


def _before(moments: pa.ChunkedArray, end: datetime) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.less(moments, ticks(end)).fill_null(False)


def _any_before(moments: pa.ChunkedArray, end: datetime) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(_before(moments, end)).as_py())


def _each(column: pa.ChunkedArray, check: Callable[[object], bool]) -> list[bool]:
    """Check each value once, however often it occurs."""
    values = column.to_pylist()
    answers: Mapping[object, bool] = {value: check(value) for value in {_hashable(each) for each in values}}
    return [answers[_hashable(value)] for value in values]


def _hashable(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _changed(record: Record, blank: set[str]) -> Record:
    return {name: None if name in blank else value for name, value in record.items()} if blank else record
