"""The columns of the window's view: the record's fields and the features under their bare names, of one type each.

A column has the kind that holds its values from all files: whole and fractional numbers together are fractional,
anything else together is text. Whole numbers are 64-bit, fractional ones double, times UTC in microseconds.
ibis is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.config import ColumnSettings
from retrue.sources.batches import TEXT_OF_WHOLE, Kind, unify
from retrue.sources.reading import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

PREFIX = "features."
FIELDS = {
    "inference_id": Kind.TEXT,
    "caller_id": Kind.TEXT,
    "time": Kind.TIME,
    "received_at": Kind.TIME,
    "model": Kind.TEXT,
    "model_version": Kind.TEXT,
    "endpoint": Kind.TEXT,
    "status": Kind.TEXT,
    "latency_ms": Kind.FRACTIONAL,
    "prediction": None,
    "score": None,
    "scores": None,
    "sample_weight": Kind.FRACTIONAL,
    "error_type": Kind.TEXT,
    "error_message": Kind.TEXT,
    "error_stack": Kind.TEXT,
    "trace_id": Kind.TEXT,
    "span_id": Kind.TEXT,
    "request_bytes": Kind.FRACTIONAL,
    "input_tokens": Kind.FRACTIONAL,
    "output_tokens": Kind.FRACTIONAL,
    "cost_usd": Kind.FRACTIONAL,
    "gen_ai.request.model": Kind.TEXT,
    "gen_ai.response.model": Kind.TEXT,
    "gen_ai.provider.name": Kind.TEXT,
    "gen_ai.response.finish_reasons": Kind.TEXT,
    "context": None,
}
"""The fields of a record with their kind; None where it is what the log holds."""

RESERVED = frozenset({*FIELDS, "label", "labelled_at", "rowid"})
"""Names no feature has: ``rowid`` is what the engine numbers rows by."""
_ENGINE_TYPES = {
    Kind.BOOLEAN: "boolean",
    Kind.WHOLE: "int64",
    Kind.FRACTIONAL: "float64",
    Kind.TIME: "timestamp(6)",
    Kind.UNKNOWN: "string",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each column of the view comes from: its name there, and its name on disk."""

    fields: Mapping[str, str]
    features: Mapping[str, str]

    @property
    def columns(self) -> Mapping[str, str]:
        return {**self.fields, **self.features}


def is_wanted(settings: ColumnSettings, name: str) -> bool:
    """Tell whether a column on disk can be part of the view; others are never read."""
    chosen = () if settings.features == "auto" else settings.features
    return name in FIELDS or name.startswith(PREFIX) or name in (settings.prediction, settings.score, *chosen)


def layout(names: Iterable[str], settings: ColumnSettings) -> Layout:
    """Return the view of columns on disk: fields in the record's order, then features in order of name.

    A feature keeps its prefix where its bare name is empty, a field's, or that of another feature but for case; a
    configured feature without a ``features.`` column is taken from a column of its own name.
    """
    on_disk = set(names)
    fields = {name: name for name in FIELDS if name in on_disk}
    for field, configured in (("prediction", settings.prediction), ("score", settings.score)):
        if configured in on_disk:
            fields[field] = configured
        else:
            fields.pop(field, None)
    ordered = {name: fields[name] for name in FIELDS if name in fields}
    return Layout(fields=ordered, features=dict(_features(sorted(on_disk), settings)))


def _features(on_disk: Sequence[str], settings: ColumnSettings) -> Iterator[tuple[str, str]]:
    taken = set(RESERVED)
    for name in _chosen(on_disk, settings):
        bare = name.removeprefix(PREFIX)
        if bare in settings.ignore or name in settings.ignore:
            continue
        shown = bare if bare and bare.lower() not in taken else PREFIX + bare
        while shown.lower() in taken:
            shown += "'"
        taken.add(shown.lower())
        yield shown, name


def _chosen(on_disk: Sequence[str], settings: ColumnSettings) -> Iterator[str]:
    if settings.features == "auto":
        yield from (name for name in on_disk if name.startswith(PREFIX))
        return
    for feature in sorted(set(settings.features)):
        bare = feature.removeprefix(PREFIX)
        yield from [name for name in (PREFIX + bare, bare) if name in on_disk][:1]


def united(sources: Sequence[Source], columns: Mapping[str, str], kinds: Mapping[str, Kind | None]) -> ir.Table | None:
    """Return the rows of all sources with these columns of these kinds; None for no source.

    Args:
        columns: Names in the result, with the name on disk of each; a source without it has nulls.
        kinds: Kinds that are fixed; a value that does not fit becomes null.
    """
    import ibis

    if not sources:
        return None
    found = {name: _common(sources, disk) for name, disk in columns.items()}
    tables = []
    for source in sources:
        values = []
        for name, disk in columns.items():
            kind, other = found[name]
            held = source.kinds.get(disk, Kind.UNKNOWN)
            values.append(_cast(source.columns.get(disk), held, kinds.get(name) or kind, other).name(name))
        tables.append(source.table.select(values))
    return tables[0] if len(tables) == 1 else ibis.union(*tables, distinct=False)


def _common(sources: Sequence[Source], disk: str) -> tuple[Kind, str]:
    """Return the kind of a column over all sources, and the engine's type where that kind has no type of its own."""
    held = [(source.kinds[disk], source.columns[disk]) for source in sources if disk in source.columns]
    kind = unify([each for each, _ in held])
    types = {"json" if column.type().is_string() else str(column.type()) for each, column in held if each is Kind.OTHER}
    if len(types) > 1:
        return Kind.TEXT, "string"
    return kind, next(iter(types), "string")


def _cast(value: ir.Value | None, held: Kind, wanted: Kind, other: str) -> ir.Value:
    import ibis

    target = _ENGINE_TYPES.get(wanted, other if wanted is Kind.OTHER else "string")
    if value is None or held is Kind.UNKNOWN:
        return ibis.null().cast(target)
    if wanted is Kind.TEXT:
        return _text(value, held)
    fits = held is wanted or (held, wanted) == (Kind.WHOLE, Kind.FRACTIONAL)
    if not fits and wanted is Kind.TIME:
        return value.try_cast("timestamp('UTC')").cast(target) if value.type().is_string() else ibis.null().cast(target)
    return value.cast(target) if fits else value.cast("string").try_cast(target)


def _text(value: ir.Value, held: Kind) -> ir.Value:
    import ibis

    if held is not Kind.FRACTIONAL:
        return value.cast("string")
    number = value.cast("float64")
    whole = (number % 1 == 0) & (number.abs() < TEXT_OF_WHOLE)
    return ibis.cases((whole, number.try_cast("int64").cast("string")), else_=number.cast("string"))
