"""The part of the drift adapter that measures: one Evidently report of coded columns.

Evidently sees columns called ``column 0``, ``column 1`` … and category numbers, never a name or a value of the data.

Imported inside a function by ``drift_evidently``: Evidently takes 4-7 s to import.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.metrics import ValueDrift
from evidently.metrics.column_statistics import ValueDriftCalculation

BARS_MAX = 30  # categories that a bar chart can still label
CATEGORY_ROWS_MIN = 5  # rarer values could identify somebody: they are drawn as "other"
CATEGORY_CHARACTERS_MAX = 40
OTHER = "(other)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedColumn:
    """One column as Evidently gets it: finite floats, NaN where there is no value.

    ``labels`` is empty for a number; else the floats are positions in it. The values of a number had ``offset`` taken off and were
    then multiplied by ``unit``.
    """

    name: str
    method: str
    threshold: float
    reference: np.ndarray[Any, np.dtype[np.float64]]
    current: np.ndarray[Any, np.dtype[np.float64]]
    labels: tuple[str, ...] = ()
    offset: float = 0.0
    unit: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Shares of rows on both sides over the same bars; ``x`` holds bin centres or category labels."""

    x: tuple[float, ...] | tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


class _Calculation(ValueDriftCalculation, ABC):  # type: ignore[misc]
    """Evidently's column drift without its two Plotly figures, which take four fifths of the time.

    ``ABC`` keeps Evidently from binding it to every ValueDrift of the process.
    """

    def _render(self, result: Any, options: Any, color_options: Any) -> list[BaseWidgetInfo]:
        sides = {"reference": result.reference.distribution, "current": result.current.distribution}
        counts = {side: (list(found.x), list(found.y)) for side, found in sides.items()}
        return [BaseWidgetInfo(type="counter", title="", size=2, params=counts)]


class _CodedDrift(ValueDrift):  # type: ignore[misc]
    __calculation_type__ = _Calculation


def measure_columns(columns: Sequence[CodedColumn]) -> Mapping[str, tuple[float, Histogram]]:
    """Return the score and the histogram of each column, by name, from one Evidently report.

    Raises:
        Exception: Whatever Evidently raises; one bad column fails them all.
    """
    codes = [f"column {number}" for number in range(len(columns))]
    definition = DataDefinition(
        numerical_columns=[code for code, column in zip(codes, columns, strict=True) if not column.labels],
        categorical_columns=[code for code, column in zip(codes, columns, strict=True) if column.labels],
    )
    metrics = [
        _CodedDrift(column=code, method=column.method, threshold=column.threshold)
        for code, column in zip(codes, columns, strict=True)
    ]
    current = pd.DataFrame({code: column.current for code, column in zip(codes, columns, strict=True)})
    reference = pd.DataFrame({code: column.reference for code, column in zip(codes, columns, strict=True)})
    snapshot = Report(list(metrics)).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    results = [snapshot.metric_results[metric.metric_id] for metric in metrics]
    return {column.name: _read(column, result) for column, result in zip(columns, results, strict=True)}


def _read(column: CodedColumn, result: Any) -> tuple[float, Histogram]:
    counts = result.get_widgets()[0].params
    return float(result.value), _bars(column, counts) if column.labels else _bins(column, counts)


def _bins(column: CodedColumn, counts: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Histogram:
    edges = np.asarray(counts["reference"][0], dtype=float) / column.unit + column.offset
    shares = {side: _shares(np.asarray(rows, dtype=float)) for side, (_, rows) in counts.items()}
    return Histogram(x=tuple((edges[:-1] / 2 + edges[1:] / 2).tolist()), **shares)


def _bars(column: CodedColumn, counts: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Histogram:
    rows = {side: np.zeros(len(column.labels)) for side in counts}
    for side, (codes, found) in counts.items():
        rows[side][np.asarray(codes, dtype=int)] = found
    total = rows["reference"] + rows["current"]
    order = np.argsort(-total, kind="stable")[:BARS_MAX]
    shown = order[total[order] >= CATEGORY_ROWS_MIN]
    labels = show_apart([column.labels[code] for code in shown], limit=CATEGORY_CHARACTERS_MAX)
    if len(shown) < len(column.labels):
        rows = {side: np.append(found[shown], found.sum() - found[shown].sum()) for side, found in rows.items()}
        return Histogram(x=(*labels, OTHER), **{side: _shares(found) for side, found in rows.items()})
    return Histogram(x=tuple(labels), **{side: _shares(found[shown]) for side, found in rows.items()})


def _shares(rows: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, ...]:
    return tuple((rows / max(rows.sum(), 1)).tolist())


def show_apart(texts: Sequence[str], *, limit: int) -> list[str]:
    """Return texts of the data as a page may show them: short, without markup or unprintable characters, all different.

    >>> show_apart(["</script>", "a\\u202eb", "plain"], limit=40)
    ['‹/script›', 'a\\\\u202eb', 'plain']
    """
    seen: dict[str, int] = {}
    shown = []
    for text in texts:
        plain = "".join(_VISIBLE.get(each) or (each if each.isprintable() else _escape(each)) for each in text[:limit])
        plain = plain + "…" if len(text) > limit else plain or "(empty)"
        seen[plain] = seen.get(plain, 0) + 1
        shown.append(plain if seen[plain] == 1 else f"{plain} #{seen[plain]}")
    return shown


_VISIBLE = {"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "ˋ", "$": "＄"}


def _escape(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else f"\\x{ord(character):02x}"
    )
