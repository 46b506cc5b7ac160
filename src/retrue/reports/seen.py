"""What a window's drift could have shown, in sentences: the stated rate, and the columns that hide most. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from retrue.results import ColumnDrift, DriftResult

WEAKEST = 3
_SHARE_IN_SD = 0.3  # a change of 30 % of rows counts as much as a shift of one sd, when columns are ranked


def seen_sentences(drift: DriftResult | None) -> Iterator[str]:
    """Yield how often drift is found where there is none, and the smallest changes of the weakest columns.

    A smallest change is one that four windows of five would have shown.
    """
    if drift is None:
        return
    if drift.uncalibrated:
        yield f"{drift.uncalibrated[0].upper()}{drift.uncalibrated[1:]}."
    if drift.alpha is None:
        return
    calibrated = [column for column in drift.columns if column.chance is not None]
    if not calibrated:
        return
    yield (
        f"Stated rate: {drift.false_alarms} without drift, all {len(calibrated)} calibrated columns together; "
        f"{drift.alpha:.2g} of windows like this one."
    )
    weakest = sorted(calibrated, key=_hidden, reverse=True)[:WEAKEST]
    yield f"A change could hide longest in {', '.join(_smallest(column) for column in weakest)}."


def _hidden(column: ColumnDrift) -> float:
    if column.detectable is None:
        return float("inf")
    return column.detectable / (1 if column.numeric else _SHARE_IN_SD)


def _smallest(column: ColumnDrift) -> str:
    if column.detectable is None:
        return f"{column.column} (none would be seen)"
    if column.numeric:
        return f"{column.column} (seen from {column.detectable:.2f} sd on)"
    return f"{column.column} (seen from {column.detectable:.0%} of rows on)"
