"""Features of which a logger kept only the type and length: nothing of theirs can be measured. ibis is imported in functions."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from retrue.logger.shapes import is_shape
from retrue.sources.engine import Engine

_NESTED = ("JSON", "STRUCT")
_DIFFERENT_MAX = 10_000  # shapes differ by their lengths only: more different values are not shapes


def drop_unkept(engine: Engine, table: str, features: Sequence[str]) -> tuple[str, ...]:
    """Drop the features of which every value is a mere shape from a table of the engine; return their names.

    A feature that some records have in full stays, shapes and all.
    """
    types = engine.types(table)
    nested = [name for name in features if types.get(name, "").startswith(_NESTED)]
    unkept = tuple(name for name in nested if _is_unkept(engine, table, name))
    for name in unkept:
        quoted = name.replace('"', '""')
        engine.execute(f'ALTER TABLE "{table}" DROP COLUMN "{quoted}"')
    return unkept


def _is_unkept(engine: Engine, table: str, name: str) -> bool:
    column = engine.table(table)[name]
    texts = engine.table(table).select(text=column.cast("json").cast("string")).distinct()
    found = [text for (text,) in engine.fetch(texts.limit(_DIFFERENT_MAX + 1)) if text is not None]
    return len(found) <= _DIFFERENT_MAX and all(is_shape(orjson.loads(text)) for text in found)
