"""The rows a model was asked about and what it answered, as features and predictions by row, in Python's own values.

Understood by what they can do, not by their type: frames (pandas, polars), arrays, sparse matrices, series, mappings and
lists. No such library is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any

from retrue.logger.calls import RecordFacts

Features = Mapping[str, object]


class Table:
    """Columns, of which a row is made only when it is its turn: a large batch is not held twice."""

    def __init__(self, names: Sequence[str], columns: Sequence[Sequence[object]]) -> None:
        self._names, self._columns = names, columns

    def __len__(self) -> int:
        return min(map(len, self._columns), default=0)

    def __iter__(self) -> Iterator[Features]:
        names = self._names
        return (dict(zip(names, row, strict=True)) for row in zip(*self._columns, strict=True))


def features_of(rows: Any, model: Any) -> Collection[Features] | Table:
    """Return each row's features by name."""
    if isinstance(rows, Mapping):  # columns by name, or one row
        columns = [_plain(values) for values in rows.values()]
        if all(isinstance(values, list) for values in columns):
            return Table([*map(str, rows)], columns)
        return [{str(name): value for name, value in rows.items()}]
    if hasattr(rows, "columns"):
        names = [str(name) for name in rows.columns]
        return Table(names, [_plain(values) for values in _columns(rows)])
    if hasattr(rows, "tocsr"):
        return _nonzero(rows.tocsr(), _names(model, rows.shape[1]))
    cells = _plain(rows)
    listed = cells if isinstance(cells, list) else [cells]
    if listed and isinstance(listed[0], Mapping):
        return [dict(row) for row in listed]
    if not listed or not isinstance(listed[0], (list, tuple)):
        name = str(getattr(rows, "name", None) or "x0")
        return [{name: value} for value in listed]
    given = _names(model, len(listed[0]))
    return [dict(zip(given, row, strict=False)) for row in listed]


def answers_of(method: str, answer: Any, model: Any, count: int) -> Iterable[RecordFacts]:
    """Return what was answered for each row; where that cannot be told apart, that there was an answer at all."""
    columns = getattr(answer, "columns", None)
    if columns is not None and len(columns) > 1:
        given: Any = list(features_of(answer, model))
    else:
        given = _plain(answer.iloc[:, 0] if columns is not None and hasattr(answer, "iloc") else answer)
    if not isinstance(given, Sequence) or isinstance(given, str):
        given = [given]
    if len(given) != count:
        return repeat({}, count)
    classes = _plain(getattr(model, "classes_", None))
    if method == "predict_proba" and isinstance(classes, list):
        return (_probable(classes, row) for row in given)
    if method == "decision_function" and isinstance(classes, list):
        return (_decided(classes, row) for row in given)
    return ({"prediction": value} for value in given)


def _columns(frame: Any) -> Iterable[Any]:
    """Return a frame's columns in their order: pandas has them by position, since names may repeat; polars iterates."""
    if hasattr(frame, "iloc"):
        return (frame.iloc[:, number] for number in range(len(frame.columns)))
    return (frame[name] for name in frame.columns)


def _names(model: Any, count: int) -> Sequence[str]:
    given = getattr(model, "feature_names_in_", None)
    if given is not None and len(given) == count:
        return [str(name) for name in given]
    return [f"x{number}" for number in range(count)]


def _nonzero(matrix: Any, names: Sequence[str]) -> Sequence[Features]:
    """Return what is there in each row of a sparse matrix, which may be wider than any record."""
    ends, columns, values = (part.tolist() for part in (matrix.indptr, matrix.indices, matrix.data))
    return [
        {names[column]: value for column, value in zip(columns[begin:end], values[begin:end], strict=True)}
        for begin, end in pairwise(ends)
    ]


def _plain(values: Any) -> Any:
    """Return an array or a series as a list of Python's own values."""
    for name in ("tolist", "to_list"):
        if callable(convert := getattr(values, name, None)):
            return convert()
    return values


def _probable(classes: Sequence[object], row: Sequence[float]) -> RecordFacts:
    prediction = classes[row.index(max(row))]
    if len(classes) == 2:  # the second is the positive one
        return {"prediction": prediction, "score": row[1]}
    return {"prediction": prediction, "scores": {str(name): each for name, each in zip(classes, row, strict=True)}}


def _decided(classes: Sequence[object], row: Any) -> RecordFacts:
    """A decision value is no probability: it is kept in the context."""
    if isinstance(row, list):
        return {"prediction": classes[row.index(max(row))], "context": {"decision": row}}
    return {"prediction": classes[int(row > 0)], "context": {"decision": row}}
