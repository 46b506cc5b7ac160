"""The values of a text or boolean column, counted in the engine by one grouping. ibis and pyarrow are imported inside functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.sources.engine import Engine

if TYPE_CHECKING:
    import ibis.expr.types as ir

CATEGORIES_MAX = 1000  # a column with more distinct values looks like an id: its categories are not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryFacts:
    """Distinct values, rows and weight of those that are not known (None where none are), and shares of non-null rows."""

    distinct: int
    unseen: int | None
    unseen_weight: float | None
    shares: Mapping[str, float] | None


def measure_categories(
    engine: Engine, table: ir.Table, name: str, known: Collection[str] | None, *, weight: str | None, listed: bool
) -> CategoryFacts:
    """Count the values of one column.

    Args:
        engine: Where the table is.
        table: A table of it by name.
        name: A text or boolean column; booleans are ``true`` and ``false``.
        known: The categories of the baseline, or None where it has none.
        weight: The column of weights, or None.
        listed: Return shares too, commonest first, where there are at most ``CATEGORIES_MAX`` distinct values.
    """
    groups = _groups(table, name, weight)
    if known is None:
        distinct, unseen, unseen_weight = engine.fetch(groups.count())[0][0], None, None
    else:
        distinct, unseen, unseen_weight = _unseen(engine, groups, known)
    shares = _shares(engine, groups) if listed and distinct <= CATEGORIES_MAX else None
    return CategoryFacts(distinct=distinct, unseen=unseen, unseen_weight=unseen_weight, shares=shares)


def _groups(table: ir.Table, name: str, weight: str | None) -> ir.Table:
    import ibis

    kept = {column: table[column].type() for column in (name, weight) if column}
    narrow = ibis.table(kept, name=table.get_name())  # the cost of an expression grows with its table's columns
    columns = {"category": narrow[name]} | ({"weight": narrow[weight]} if weight else {})
    values = narrow.filter(narrow[name].notnull()).select(**columns)
    counts = values.group_by("category").aggregate(
        rows=values.count(), weight=values.weight.sum() if weight else values.count()
    )
    return counts.mutate(category=counts.category.cast("string"))


def _unseen(engine: Engine, groups: ir.Table, known: Collection[str]) -> tuple[int, int, float]:
    import pyarrow as pa

    with engine.registered(pa.table({"known": pa.array(sorted(set(known)), pa.string())})) as lent:
        marked = groups.left_join(engine.table(lent), groups.category == engine.table(lent).known)
        new = marked.known.isnull()
        sums = marked.aggregate(
            distinct=marked.count(), unseen=marked.rows.sum(where=new), weight=marked.weight.sum(where=new)
        )
        ((distinct, unseen, weight),) = engine.fetch(sums)
    return distinct, int(unseen or 0), float(weight or 0)


def _shares(engine: Engine, groups: ir.Table) -> Mapping[str, float]:
    import ibis

    found = engine.fetch(groups.order_by(ibis.desc("weight"), "category").select("category", "weight"))
    total = sum(weight for _, weight in found)
    return {category: weight / total for category, weight in found}
