"""Reference rows made into marginals: every column by itself, of values that several rows share. Nothing is written here.

A value that at least ``SHARED_ROWS`` rows have stays. Rarer numbers and times become the means of groups of neighbours, the
outermost groups those of the groups beside them, so that no extreme survives; rarer texts become ``POOLED``. (Univariate
microaggregation: Defays & Nanopoulos 1993.) Each column is sorted before it is shuffled: a shuffle alone could be undone by
whoever knows the seed. pyarrow and numpy are imported in functions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retrue.results import ColumnKind, ColumnProfile, Profile

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Values = np.ndarray[Any, Any]

SHARED_ROWS = 5  # rows; what fewer have in common may tell who they are
GROUPS_MAX = 1000  # groups of rare numbers: a thousandth of them each is finer than any threshold of drift
GROUPS_MIN = 3  # fewer have no inner group to take the place of the outermost
POOLED = "(rare)"


def with_marginals(table: pa.Table, columns: Collection[str], *, nothing_of: Collection[str], seed: int) -> pa.Table:
    """Return the table with these columns as marginals; types, nulls and the number of rows stay.

    Args:
        table: Reference rows.
        columns: Which columns; the others stay as they are.
        nothing_of: Those of them that name people or are what people wrote: all of it becomes null.
        seed: Of the order of the values.
    """
    import pyarrow as pa

    described = {key: value for key, value in (table.schema.metadata or {}).items() if key == b"pandas"}
    for position, name in enumerate(table.column_names):
        if name in columns:
            field, column = table.schema.field(name), table.column(name).combine_chunks()
            aged = None if name in nothing_of else _marginal(column)
            made = pa.nulls(len(column), field.type) if aged is None else _shuffled(aged, len(column), name, seed)
            table = table.set_column(position, field, made)
    return table.replace_schema_metadata(described)


def empty_columns(table: pa.Table, columns: Collection[str]) -> tuple[str, ...]:
    """Return those of the columns of which there is no value."""
    return tuple(name for name in columns if table.column(name).null_count == table.num_rows)


def profile_of_marginals(profile: Profile, table: pa.Table, columns: Collection[str]) -> Profile:
    """Return a frozen profile without what single rows put into it: extremes, moments, quantiles, rare categories.

    Counts and shares of nulls stay. With weights, numbers are from now on those of rows that count the same.
    """
    changed = {
        name: _profile_of(column, table.column(name)) if name in columns and name in table.column_names else column
        for name, column in profile.columns.items()
    }
    return replace(profile, columns=changed)


def profile_before_marginals(profile: Profile) -> Profile:
    """Return a profile of marginals with the bounds that it had with its rows: no category of theirs was unseen.

    What single rows had put into it stays away; no finding reads it.
    """
    return replace(
        profile, columns={name: replace(column, unseen_share=None) for name, column in profile.columns.items()}
    )


def known_categories(column: ColumnProfile | None, reference: Collection[object]) -> frozenset[str]:
    """Return the categories that a marginal column tells apart; its profile has them, where they were not too many; a view of a text has no profile."""
    return frozenset((column and column.categories) or map(str, reference)) | {POOLED}


# ---------------------------------------------------------------- values


def _marginal(column: pa.Array) -> pa.Array | None:
    """Return the values of a column but its nulls, in order; None where none can be shown."""
    import pyarrow as pa

    values, kind = column.drop_null(), column.type
    if pa.types.is_dictionary(kind):
        found = _texts(values.cast(kind.value_type)) if _textual(kind.value_type) else None
        return None if found is None else found.cast(kind)
    if _textual(kind):
        return _texts(values)
    if pa.types.is_boolean(kind):
        found = _merged(values.cast("uint8").to_numpy(zero_copy_only=False))
        return None if found is None else pa.array(found, pa.uint8()).cast(kind)
    if pa.types.is_decimal(kind):
        found = _merged(values.cast("float64").to_numpy(zero_copy_only=False))
        return None if found is None else pa.array(found).cast(kind, safe=False)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        whole = "int32" if kind.bit_width == 32 else "int64"
        found = _merged(values.cast(whole).to_numpy(zero_copy_only=False))
        return None if found is None else pa.array(found).cast(kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found = _merged(values.to_numpy(zero_copy_only=False))
        return None if found is None else pa.array(found, kind)
    return None


def _textual(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts(values: pa.Array) -> pa.Array | None:
    import pyarrow as pa

    counts = sorted((each["values"], each["counts"]) for each in values.value_counts().to_pylist())
    shared = [(text, count) for text, count in counts if count >= SHARED_ROWS]
    if not shared:
        return None
    pooled = len(values) - sum(count for _, count in shared)
    return pa.array([text for text, count in (*shared, (POOLED, pooled)) for _ in range(count)], values.type)


def _merged(values: Values) -> Values | None:
    """Return numbers in order, the rare ones merged with their neighbours; None where too few are shared or to merge."""
    import numpy as np

    finite = np.sort(values[np.isfinite(values)])
    odd = values[~np.isfinite(values)]  # infinite or not a number says nothing of anybody
    if not len(finite):
        return values if len(odd) else None
    _, place, counts = np.unique(finite, return_inverse=True, return_counts=True)
    rare = counts[place] < SHARED_ROWS
    shared, merged = finite[~rare], _grouped(finite[rare])
    if merged is None:
        if not len(shared):
            return None
        merged = shared[np.linspace(0, len(shared) - 1, int(rare.sum())).astype(int)]
    return np.concatenate([np.sort(np.concatenate([shared, merged])), odd])


def _grouped(values: Values) -> Values | None:
    """Return means of groups of neighbours in the place of ordered values; None where there are too few."""
    import numpy as np

    size = max(SHARED_ROWS, math.ceil(len(values) / GROUPS_MAX))
    number = len(values) // size
    if number < GROUPS_MIN:
        return None if len(values) else values
    groups = np.array_split(values, number)
    means = [_mean(group) for group in groups]
    means[0], means[-1] = means[1], means[-2]
    return np.repeat(np.array(means, values.dtype), [len(group) for group in groups])


def _mean(values: Values) -> Any:
    if values.dtype.kind in "iu":
        return (2 * sum(values.tolist()) + len(values)) // (2 * len(values))  # rounded; numpy's sum may overflow
    return (values.astype("float64") / len(values)).sum()  # a sum of large values would be infinite


def _shuffled(values: pa.Array, rows: int, name: str, seed: int) -> pa.Array:
    """Put ordered values and the nulls that they had into an order that depends on nothing but the seed and the column."""
    import numpy as np
    import pyarrow as pa

    order = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))]).permutation(rows)
    return values.take(pa.array(np.where(order < len(values), order, -1), mask=order >= len(values)))


# ---------------------------------------------------------------- profile


def _profile_of(column: ColumnProfile, values: pa.ChunkedArray) -> ColumnProfile:
    if column.kind is ColumnKind.NUMBER:
        return replace(column, **_numbers_of(column, values))
    if column.categories is None:
        return column
    left = {
        "true" if each is True else "false" if each is False else str(each)
        for each in values.drop_null().unique().to_pylist()
    }
    kept = {category: share for category, share in column.categories.items() if category in left}
    pooled = 1.0 - sum(kept.values())  # of the rows that have a value
    unseen = min(max(pooled, 0.0), 1.0) * (1.0 - column.null_share)
    return replace(column, categories=kept, unseen_share=unseen if len(kept) < len(column.categories) else None)


def _numbers_of(column: ColumnProfile, values: pa.ChunkedArray) -> Mapping[str, Any]:
    import numpy as np

    numbers = values.drop_null().cast("float64", safe=False).to_numpy()
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return {"minimum": None, "maximum": None, "mean": None, "sd": None, "quantiles": ()}
    shares = [share for share, _ in column.quantiles]
    measured = np.quantile(finite, shares).tolist() if shares else []
    return {
        "minimum": float(finite.min()),
        "maximum": float(finite.max()),
        "mean": float(finite.mean()) if column.mean is not None else None,
        "sd": float(finite.std(ddof=1)) if column.sd is not None and len(finite) > 1 else None,
        "quantiles": tuple(zip(shares, measured, strict=True)),
    }
