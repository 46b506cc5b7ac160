"""The profile of every column of a window, measured inside the engine over all its rows.

One aggregate over the table measures numbers, nulls and weights; each text column is grouped once by its values.
Quantiles of more than ``QUANTILE_ROWS`` rows are those of a seeded part of them. ibis, duckdb and pyarrow are imported
inside functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.adapters.categories_ibis import CATEGORIES_MAX, CategoryFacts, measure_categories
from retrue.adapters.moments_ibis import NUMBERS, Measured, measure_moments
from retrue.adapters.quantiles_ibis import QUANTILE_ROWS, measure_quantiles
from retrue.errors import SourceError
from retrue.results import ColumnKind, ColumnProfile, Profile
from retrue.schema import compare_schema
from retrue.sources.batches import Kind
from retrue.sources.engine import Engine, open_engine
from retrue.sources.pulled import PulledWindow
from retrue.sources.reading import kind_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = [
    "CATEGORIES_MAX",
    "QUANTILE_ROWS",
    "compare_schema",
    "profile_file",
    "profile_window",
]

_KINDS = {
    Kind.BOOLEAN: ColumnKind.BOOLEAN,
    Kind.WHOLE: ColumnKind.NUMBER,
    Kind.FRACTIONAL: ColumnKind.NUMBER,
    Kind.TEXT: ColumnKind.TEXT,
    Kind.UNKNOWN: ColumnKind.OTHER,
    Kind.TIME: ColumnKind.TIME,
    Kind.OTHER: ColumnKind.OTHER,
}
_GROUPED = (Kind.TEXT, Kind.BOOLEAN)
_PREDICTIONS = ("prediction", "score")


def profile_window(
    pulled: PulledWindow,
    columns: Sequence[str],
    categories: Mapping[str, Collection[str]],
    *,
    with_categories: bool = False,
) -> Profile:
    """Measure columns of a window over all its rows; predictions over those of inferences that did not fail.

    A failed inference has no prediction: that is a failure, not a null of the model's.

    Args:
        pulled: The window, inside its block.
        columns: Which columns; one the table does not have is left out (``compare_schema`` reports it).
        categories: Known values of text and boolean columns, booleans as ``true`` and ``false``; other values are
            counted as unseen. A column that is not in it, or is of another kind by now, has no unseen values.
        with_categories: Keep the shares of the values of text and boolean columns with at most ``CATEGORIES_MAX``
            distinct ones; for a baseline.
    """
    table = pulled.expression()
    kept = [name for name in columns if name in table.columns]
    subject = _Subject(engine=pulled.engine, table=table, weight="sample_weight" if pulled.weighted else None)
    predicted = [name for name in kept if name in _PREDICTIONS]
    answered = _answered(pulled)
    if answered is None or not predicted:
        return _profile(subject, kept, categories, with_categories=with_categories)
    inputs = [name for name in kept if name not in predicted]
    profile = _profile(subject, inputs, categories, with_categories=with_categories)
    answers = replace(subject, table=answered)
    predictions = _profile(answers, predicted, categories, with_categories=with_categories)
    found = {**profile.columns, **predictions.columns}
    return Profile(rows=pulled.report.rows, columns={name: found[name] for name in kept})


def profile_file(
    path: Path,
    columns: Sequence[str] | None = None,
    categories: Mapping[str, Collection[str]] | None = None,
    *,
    with_categories: bool = True,
) -> Profile:
    """Measure columns of a Parquet file, such as a baseline's reference; all of them by default.

    Weighted by its ``sample_weight`` where it has one without nulls.

    Raises:
        SourceError: The file is absent or not readable as Parquet.
    """
    import duckdb

    with open_engine() as engine:
        try:
            engine.create("reference", engine.parquet([path]))
        except duckdb.Error as error:
            raise SourceError(f"{path.name} cannot be read as Parquet ({type(error).__name__})") from error
        table = engine.table("reference")
        kept = [name for name in (table.columns if columns is None else columns) if name in table.columns]
        subject = _Subject(
            engine=engine, table=table, weight="sample_weight" if "sample_weight" in table.columns else None
        )
        return _profile(subject, kept, categories or {}, with_categories=with_categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A table that is measured; ``weight`` names its column of weights, None where all rows count the same."""

    engine: Engine
    table: ir.Table
    weight: str | None


def _answered(pulled: PulledWindow) -> ir.Table | None:
    """Return the rows of inferences that did not fail; None where the log does not say what failed."""
    view = pulled.answered()
    return None if view == pulled.table else pulled.engine.table(view)


def _profile(
    subject: _Subject, names: Sequence[str], categories: Mapping[str, Collection[str]], *, with_categories: bool
) -> Profile:
    engine, table, weight = subject.engine, subject.table, subject.weight
    kinds = {name: kind_of(table[name].type()) for name in names}
    measured = measure_moments(engine, table, kinds, weight=weight)
    numbers = [name for name, kind in kinds.items() if kind in NUMBERS and measured.columns[name].finite]
    quantiles = measure_quantiles(engine, table, numbers, measured.rows, weight=weight)
    grouped = {
        name: measure_categories(engine, table, name, categories.get(name), weight=weight, listed=with_categories)
        for name, kind in kinds.items()
        if kind in _GROUPED
    }
    types = engine.types(table.get_name())
    shapes = {name: (_KINDS[kind], types[name]) for name, kind in kinds.items()}
    columns = {
        name: _column(name, shapes[name], measured, quantiles.get(name, ()), grouped.get(name)) for name in names
    }
    return Profile(rows=measured.rows, columns=columns)


def _column(
    name: str,
    shape: tuple[ColumnKind, str],
    measured: Measured,
    quantiles: tuple[tuple[float, float], ...],
    grouped: CategoryFacts | None,
) -> ColumnProfile:
    moments, rows, weight = measured.columns[name], measured.rows, measured.weight
    kind, type_name = shape
    return ColumnProfile(
        name=name,
        kind=kind,
        type=type_name,
        rows=rows,
        nulls=rows - moments.count,
        null_share=_share(weight - moments.held + moments.nan_weight, weight),
        nans=moments.nans,
        infinities=moments.infinities,
        infinite_share=_share(moments.infinite_weight, weight),
        minimum=moments.minimum,
        maximum=moments.maximum,
        mean=moments.mean,
        sd=moments.sd,
        quantiles=quantiles,
        distinct=grouped.distinct if grouped else moments.distinct,
        unseen=grouped.unseen if grouped else None,
        unseen_share=_share(grouped.unseen_weight, weight) if grouped and grouped.unseen_weight is not None else None,
        categories=grouped.shares if grouped else None,
    )


def _share(part: float, whole: float) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole else 0.0
