"""Features of which a logger kept only the type and length: nothing of theirs can be measured. ibis is imported in functions."""

from __future__ import annotations

from collections.abc import Sequence

from retrue.sources.engine import Engine

_SHAPE = r'\s*\{\s*"type"\s*:\s*"\w+"\s*(,\s*"len"\s*:\s*\d+\s*)?\}\s*'
_NESTED = ("JSON", "STRUCT")


def drop_unkept(engine: Engine, table: str, features: Sequence[str]) -> tuple[str, ...]:
    """Drop the features of which every value is a mere shape from a table of the engine; return their names.

    A feature that some records have in full stays, shapes and all.
    """
    types = engine.types(table)
    nested = [name for name in features if types.get(name, "").startswith(_NESTED)]
    if not nested:
        return ()
    rows = engine.table(table)
    shapes = {f"c{number}": rows[name].cast("json").cast("string") for number, name in enumerate(nested)}
    counts = {
        name: (text.notnull() & ~text.re_search(f"^{_SHAPE}$")).sum().fill_null(0) for name, text in shapes.items()
    }
    (kept,) = engine.fetch(rows.aggregate(**counts))
    unkept = tuple(name for name, values in zip(nested, kept, strict=True) if not values)
    for name in unkept:
        quoted = name.replace('"', '""')
        engine.execute(f'ALTER TABLE "{table}" DROP COLUMN "{quoted}"')
    return unkept
