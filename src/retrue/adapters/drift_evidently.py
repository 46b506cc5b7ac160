"""Drift of sampled columns, measured by Evidently; a column that cannot be measured never stops the others.

Scores are Evidently's: ``wasserstein`` is the distance in standard deviations of the reference (in thousandths of the column's
unit where that is constant), ``jensenshannon`` the distance with natural logarithms (at most 0.83), ``psi`` and ``kl_div``
are in nats. Numbers with more than 20 different values are binned by Evidently for all of them but ``wasserstein``. Evidently takes no
standard deviation for less than 0.001: columns of small units are given to it in a larger one, and shown in their own. Heavy
imports are inside functions.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrue.config import CATEGORICAL_METHODS, NUMERIC_METHODS
from retrue.results import ColumnDrift, ColumnKind, DriftResult
from retrue.statistics.own_unit import in_unit, own_unit

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from retrue.adapters.drift_evidently_report import CodedColumn, Histogram

    Floats = np.ndarray[Any, np.dtype[np.float64]]

log = logging.getLogger(__name__)

CATEGORIES_MAX = 1_000  # the commonest are kept, the rest become one: a column of ids must not stall the report
METHODS: Mapping[ColumnKind, frozenset[str]] = {
    ColumnKind.NUMBER: frozenset(NUMERIC_METHODS),
    ColumnKind.TEXT: frozenset(CATEGORICAL_METHODS),
    ColumnKind.BOOLEAN: frozenset(CATEGORICAL_METHODS),
}
_INFERRED: Mapping[ColumnKind, frozenset[str]] = {
    ColumnKind.NUMBER: frozenset({"integer", "integer-na", "floating", "decimal", "mixed-integer-float"}),
    ColumnKind.TEXT: frozenset({"string", "mixed", "mixed-integer", "bytes"}),
    ColumnKind.BOOLEAN: frozenset({"boolean"}),
}
_FOREIGN = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class _UnmeasurableError(Exception):
    """A column that Evidently must not be given; the message is the reason."""


def measure_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    thresholds: Mapping[str, tuple[str, float]],
    kinds: Mapping[str, ColumnKind],
    *,
    title: str,
) -> tuple[DriftResult, str]:
    """Compare two samples column by column and return the scores with Evidently's report as one HTML page.

    Args:
        reference: Sampled rows of the baseline; one row an inference.
        current: Sampled rows of the window. Infinities and nulls on either side are left out of the distributions.
        thresholds: Column to (method, threshold): the columns to measure, each by a distance that grows with drift.
        kinds: Column to the baseline's kind. Booleans are measured as two categories.
        title: Heading of the page.

    Returns:
        The scores in the order of ``thresholds``, and the page. A column that is absent, empty or of another kind on a
        side, or that Evidently cannot compute, is in ``unmeasurable`` with its reason. Nothing measured: the page is "".
    """
    coded: list[CodedColumn] = []
    unmeasurable: dict[str, str] = {}
    for name, (method, threshold) in thresholds.items():
        try:
            coded.append(_code(name, reference, current, kinds.get(name), method, threshold))
        except _UnmeasurableError as reason:
            unmeasurable[name] = str(reason)
    measured = _measure(coded, unmeasurable)
    result = DriftResult(
        columns=tuple(
            ColumnDrift(column=each.name, method=each.method, score=measured[each.name][0], threshold=each.threshold)
            for each in coded
            if each.name in measured
        ),
        unmeasurable=tuple((name, unmeasurable[name]) for name in thresholds if name in unmeasurable),
        reference_rows=len(reference),
        current_rows=len(current),
    )
    return result, _render(result, {name: histogram for name, (_, histogram) in measured.items()}, title)


def _code(
    name: str,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    kind: ColumnKind | None,
    method: str,
    threshold: float,
) -> CodedColumn:
    from retrue.adapters.drift_evidently_report import CodedColumn

    if kind is None or kind not in METHODS:
        raise _UnmeasurableError(f"no distance compares columns of kind {kind or 'unknown'}")
    if method not in METHODS[kind]:
        raise _UnmeasurableError(
            f"{method!r} does not measure columns of kind {kind}: use one of {', '.join(sorted(METHODS[kind]))}"
        )
    sides = (_column(reference, name, kind, "reference"), _column(current, name, kind, "window"))
    if kind is ColumnKind.NUMBER:
        values = [_numbers(side, where) for side, where in zip(sides, ("reference", "window"), strict=True)]
        offset, unit = _common_constant(*values), own_unit(values[0])
        before, after = (in_unit(side - offset, unit) for side in values)
        return CodedColumn(
            name=name, method=method, threshold=threshold, reference=before, current=after, offset=offset, unit=unit
        )
    codes, labels = _categories(*sides)
    return CodedColumn(
        name=name, method=method, threshold=threshold, reference=codes[0], current=codes[1], labels=labels
    )


def _column(frame: pd.DataFrame, name: str, kind: ColumnKind, side: str) -> pd.Series:
    import pandas as pd

    if name not in frame.columns:
        raise _UnmeasurableError(f"absent from the {side}")
    column = frame[name]
    if isinstance(column, pd.DataFrame):
        raise _UnmeasurableError(f"stands {column.shape[1]} times in the {side}")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not column.notna().any():
        raise _UnmeasurableError(f"no value in the {side}")
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred not in _INFERRED[kind]:
        raise _UnmeasurableError(f"{inferred} in the {side}, where the baseline has kind {kind}")
    return column


def _numbers(column: pd.Series, side: str) -> Floats:
    import numpy as np

    values = column.to_numpy(dtype=float, na_value=np.nan, copy=True)
    values[~np.isfinite(values)] = np.nan
    if np.isnan(values).all():
        raise _UnmeasurableError(f"no finite value in the {side}")
    return values


def _common_constant(reference: Floats, current: Floats) -> float:
    """Return the only value of both sides, else 0: Evidently cannot bin a large constant, and distances ignore a shift."""
    import numpy as np

    least, most = min(np.nanmin(reference), np.nanmin(current)), max(np.nanmax(reference), np.nanmax(current))
    return float(least) if least == most else 0.0


def _categories(reference: pd.Series, current: pd.Series) -> tuple[tuple[Floats, ...], tuple[str, ...]]:
    """Number the categories of both sides, commonest first.

    Beyond the limit those of the reference share one number and new ones another, so that new ids for old never look equal.
    """
    import numpy as np
    import pandas as pd

    both = pd.concat([reference.astype(object), current.astype(object)], ignore_index=True)
    texts = both[both.notna()].map(str)
    counts = texts.value_counts(sort=False).rename_axis("label").reset_index(name="rows")
    ranked = counts.sort_values(["rows", "label"], ascending=[False, True], kind="stable")["label"].tolist()
    numbers = {label: rank for rank, label in enumerate(ranked)}
    labels = tuple(ranked)
    if len(ranked) > CATEGORIES_MAX:
        known = set(texts[texts.index < len(reference)])
        kept = CATEGORIES_MAX - 2
        numbers |= {label: kept if label in known else kept + 1 for label in ranked[kept:]}
        labels = (*ranked[:kept], "(rest, in the reference)", "(rest, new)")
    codes = np.full(len(both), np.nan)
    codes[both.notna().to_numpy()] = texts.map(numbers).to_numpy(dtype=float)
    return (codes[: len(reference)], codes[len(reference) :]), labels


def _measure(coded: Sequence[CodedColumn], unmeasurable: dict[str, str]) -> dict[str, tuple[float, Histogram]]:
    """Measure all in one report; where that raises, each alone, so that one column costs itself only."""
    if not coded:
        return {}
    try:
        measured = _measure_quietly(coded)
    except _FOREIGN:
        measured = {}
        for column in coded:
            try:
                measured |= _measure_quietly([column])
            except _FOREIGN as error:
                unmeasurable[column.name] = f"Evidently cannot compute {column.method} here ({type(error).__name__})"
    for name in [name for name, (score, _) in measured.items() if not math.isfinite(score)]:
        del measured[name]
        unmeasurable[name] = "the score is not a finite number"
    return measured


def _measure_quietly(coded: Sequence[CodedColumn]) -> dict[str, tuple[float, Histogram]]:
    import numpy as np

    os.environ.setdefault("DO_NOT_TRACK", "1")
    from retrue.adapters.drift_evidently_report import measure_columns

    with np.errstate(all="ignore"):
        return dict(measure_columns(coded))


def _render(result: DriftResult, histograms: Mapping[str, Histogram], title: str) -> str:
    if not result.columns:
        return ""
    from retrue.adapters.drift_evidently_page import render_page

    try:
        return render_page(result, histograms, title=title)
    except _FOREIGN as error:
        log.warning("the drift scores stand, but their report cannot be drawn (%s)", type(error).__name__)
        return ""
