"""Parquet columns under the names of a record, inside the engine: nothing is read for it. ibis is imported in functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from retrue.config.sources import SourceSettings
from retrue.sources.spans import LAST, ticks

if TYPE_CHECKING:
    import ibis.expr.types as ir

PREFIX = "features."
TIMES = ("time", "received_at", "labelled_at")
ZONE_SLACK = timedelta(hours=26)  # no zone is further from UTC than 14 h; its statistics are taken as if of UTC
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """What a log's settings say of its Parquet columns: their names, and how times without a zone or unit are meant."""

    settings: SourceSettings

    def disk(self, field: str) -> str:
        """Return the column, or the path into one, that holds a field."""
        return self.settings.columns.chosen.get(field, field)

    @property
    def slack(self) -> timedelta:
        """How far statistics of times may be off."""
        return ZONE_SLACK if self.settings.timezone else timedelta(0)

    def ticks_of(self) -> tuple[int, int] | None:
        """Return what turns a number of the settings' unit into microseconds: (times, divided by)."""
        if self.settings.time_unit is None:
            return None
        per_second = _PER_SECOND[self.settings.time_unit]
        return max(10**6 // per_second, 1), max(per_second // 10**6, 1)

    def apply(self, table: ir.Table) -> ir.Table:
        """Return the table with columns under the names of a record; others keep theirs."""
        if not self.settings.model_fields_set & {"columns", "timezone", "time_unit", "model_version"}:
            return table
        named = {**dict(self._fields(table)), **dict(self._features(table))}
        taken = {name.lower() for name in named} | set(self.settings.columns.chosen.values())
        others = {name: table[name] for name in table.columns if name.lower() not in taken and name not in taken}
        return table.select(**others, **named)

    def _fields(self, table: ir.Table) -> Iterator[tuple[str, Any]]:
        import ibis

        for field, path in self.settings.columns.chosen.items():
            value = _at(table, path)
            if value is not None:
                yield field, value
        for field in TIMES:
            value = _at(table, self.disk(field))
            if value is not None:
                yield field, self._placed(value)
        if self.settings.model_version:
            known = _at(table, self.disk("model_version"))
            given = ibis.literal(self.settings.model_version)
            yield "model_version", given if known is None else known.cast("string").coalesce(given)

    def _placed(self, value: Any) -> Any:
        """A time as a UTC timestamp; what cannot be placed stays as it is, to be set aside."""
        kind = value.type()
        if kind.is_numeric() and (unit := self.ticks_of()):
            last = ticks(LAST) * unit[1] // unit[0]  # beyond it the engine's arithmetic could overflow
            placed = value.between(0, last).ifelse(value, None)
            micros = (placed * unit[0] / unit[1]).floor() if kind.is_floating() else placed * unit[0] // unit[1]
            return _in_zone()("UTC", _from_micros()(micros.cast("int64")))
        zone = self.settings.timezone
        if kind.is_timestamp() and kind.timezone is None and zone:
            return _in_zone()(zone, value)
        if kind.is_string() and zone:
            zoned = value.re_search(_ZONED)
            return zoned.ifelse(value.try_cast("timestamp('UTC')"), _in_zone()(zone, value.try_cast("timestamp")))
        return value

    def _features(self, table: ir.Table) -> Iterator[tuple[str, Any]]:
        chosen = self.settings.columns.features
        if chosen is None:
            return
        if chosen == "*":
            taken = {*self.settings.columns.chosen.values(), *type(self.settings.columns).model_fields}
            pairs: Mapping[str, str] = {
                name: name for name in table.columns if name not in taken and name != "features"
            }
        elif isinstance(chosen, str):
            struct = _at(table, chosen)
            if struct is not None and struct.type().is_struct():
                yield from ((PREFIX + name, struct[name]) for name in struct.type().names)
            return
        else:
            pairs = chosen if isinstance(chosen, Mapping) else {name: name for name in chosen}
        for name, path in pairs.items():
            value = _at(table, path)
            if value is not None:
                yield PREFIX + name, value


_ZONED = r"(Z|[+-]\d\d(:?\d\d)?)$"


def _at(table: ir.Table, path: str) -> Any:
    """Return the column of a name or of a path into structs, None where there is none."""
    if path in table.columns:
        return table[path]
    head, *rest = path.split(".")
    value = table[head] if head in table.columns else None
    for part in rest:
        if value is None or not value.type().is_struct() or part not in value.type().names:
            return None
        value = value[part]
    return value if rest else None


@cache
def _in_zone() -> Any:
    """Return the engine's function that places a timestamp without a zone in one."""
    import ibis.expr.datatypes as dt

    def timezone(zone, at):  # type: ignore[no-untyped-def]  # a name and a timestamp
        raise NotImplementedError

    return _builtin(timezone, dt.Timestamp(timezone="UTC"))


@cache
def _from_micros() -> Any:
    """Return the engine's function that makes a timestamp of microseconds since 1970."""
    import ibis.expr.datatypes as dt

    def make_timestamp(micros):  # type: ignore[no-untyped-def]  # a whole number
        raise NotImplementedError

    return _builtin(make_timestamp, dt.timestamp)


def _builtin(function: Any, returned: Any) -> Any:
    import ibis

    function.__annotations__["return"] = returned
    return ibis.udf.scalar.builtin(function)
