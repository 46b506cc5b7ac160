"""Rows to be examined, and the loss that stands for a metric on single rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from retrue.labelled import Array, LabelledRows
from retrue.metrics import greater_is_better, improvement
from retrue.results import Interval
from retrue.scoring import row_loss, undefined
from retrue.statistics.conditions import Values

CONFIDENCE = 0.95
DECLARED_MAX = 20  # commonest values of a declared column


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Rows with their inputs: columns of floats, in which NaN is missing, and of objects: texts, None where missing.

    ``labelled`` are the same rows with label and answer, None where there are none; ``failed`` is 1 where an inference
    failed, None where the log does not say. ``time`` is in seconds since any moment.
    """

    columns: Mapping[str, Values]
    weight: Array
    labelled: LabelledRows | None = None
    failed: Array | None = None
    time: Array | None = None

    def take(self, rows: Values) -> Examined:
        """Return some of the rows, by position."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            weight=self.weight[rows],
            labelled=None if self.labelled is None else self.labelled.take(rows),
            failed=None if self.failed is None else self.failed[rows],
            time=None if self.time is None else self.time[rows],
        )


def find_loss(metric: str, rows: LabelledRows) -> tuple[str, Array] | None:
    """Return what is averaged over rows to tell where a metric is poor, and its values; None where nothing can be.

    A metric that is a mean over rows is its own loss; an area under a curve has the log loss, what counts classes the share
    of errors, what squares residuals their squares.
    """
    if metric in {"rmse", "r2"}:
        return "squared error", np.asarray((rows.truth - rows.predicted) ** 2)
    own = metric if metric in {"log_loss", "brier_score", "mae", "mape"} else "log_loss"
    if (own == metric or metric in {"roc_auc", "average_precision"}) and not undefined(own, rows):
        return own, row_loss(own, rows)
    return None if undefined("accuracy", rows) else ("error rate", 1 - row_loss("accuracy", rows))


def is_worse(metric: str, now: Interval, before: float) -> bool:
    """Tell whether a metric is surely worse than it was: its whole interval is."""
    return improvement(metric, before=before, after=now.high if greater_is_better(metric) else now.low) < 0
