"""A pulled window: one table of the engine, its sample, and its labelled rows. pandas and ibis are imported by callees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrue.results import PullReport
from retrue.sources.engine import Engine, hash_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

TABLE = "current"
ANSWERED = "current_answered"
OK = "ok"
"""The status of an inference that did not fail."""
_SPREAD = 0x9E3779B97F4A7C15  # golden ratio in 64 bits, Knuth's multiplicative hashing
_TIMES = ("time", "received_at", "labelled_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledWindow:
    """One row per inference of a window, in an engine that is open inside ``pull_window``'s block.

    Attributes:
        report: What was read and what was not.
        database: The name under which other clients of this process open the same DuckDB database.
        table: The table in it. Fields of the record that the log has, ``sample_weight`` (1.0 where the log has none),
            features under their bare names, then ``label`` and ``labelled_at``, null where no label has arrived. Times
            are UTC, in microseconds, without a zone.
        columns: Names of all columns of the table, in order.
        features: Names of the feature columns, in order.
        unkept: Features of which the logger kept only type and length: they are in no column.
        weighted: Whether the rows have different weights.
    """

    report: PullReport
    database: str
    columns: tuple[str, ...]
    features: tuple[str, ...]
    weighted: bool
    engine: Engine
    unkept: tuple[str, ...] = ()
    table: str = TABLE

    def expression(self) -> ir.Table:
        """Return the table as an expression, to be run by ``engine.fetch``."""
        return self.engine.table(self.table)

    def answered(self) -> str:
        """Return the name of the rows without those that failed: a view, or the table itself in a log that does not say."""
        table = self.expression()
        failed = failed_of(table)
        if failed is None:
            return self.table
        self.engine.view(ANSWERED, table.filter(~failed))
        return ANSWERED

    def sample(
        self, rows: int, *, seed: int, columns: Sequence[str] | None = None, labelled: bool = False
    ) -> pd.DataFrame:
        """Return a sample without replacement, each row as likely as any other: their weights count as those of all rows do.

        The same ids and seed give the same rows in the same order, whatever the files they came from.

        Args:
            rows: At most so many; all rows where there are fewer.
            seed: Another seed, another sample.
            columns: Which columns; all by default.
            labelled: Draw only from rows whose label has arrived.
        """
        table = self.expression()
        drawn = table.filter(table.label.notnull()) if labelled else table
        if rows < self.report.rows:
            keys = table.select(
                row=table.rowid(), identity=table.inference_id, label=table.label, key=_key(table, seed)
            )
            keys = keys.filter(keys.label.notnull()) if labelled else keys
            first = keys.order_by(keys.key, keys.identity).limit(rows)
            drawn = table.filter(table.rowid().isin(first.row))
        ordered = drawn.order_by(_key(drawn, seed), drawn.inference_id)
        return self._frame(ordered.select(*(self.columns if columns is None else columns)))

    def labelled_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return every labelled row in order of time and id, with these columns only: the caller bounds the width."""
        table = self.expression()
        rows = table.filter(table.label.notnull())
        return self._frame(rows.order_by(rows.time, rows.inference_id).select(*columns))

    def label_coverage(self) -> float:
        """Return the share of the inferences that did not fail, by weight, whose label has arrived; 0 of none."""
        table = self.engine.table(self.answered())
        weight = table.sample_weight
        ((answered, labelled),) = self.engine.fetch(
            table.aggregate(answered=weight.sum(), labelled=weight.sum(where=table.label.notnull()))
        )
        return float(labelled or 0.0) / float(answered) if answered else 0.0

    def _frame(self, rows: ir.Table) -> pd.DataFrame:
        frame: pd.DataFrame = self.engine.fetch_arrow(rows).to_pandas()
        for name in set(_TIMES) & set(frame.columns):
            frame[name] = frame[name].dt.tz_localize("UTC")
        return frame


def failed_of(table: ir.Table) -> ir.BooleanValue | None:
    """Return whether a record failed: it has a status other than ``ok``, whatever its case, or none but an ``error_type``.

    None where the log has neither column; an empty text is none.
    """
    import ibis

    if not {"status", "error_type"} & set(table.columns):
        return None
    status = table.status.nullif("") if "status" in table.columns else ibis.null("string")
    kind = table.error_type.nullif("") if "error_type" in table.columns else ibis.null("string")
    return (status.notnull() & (status.lower() != OK)) | (status.isnull() & kind.notnull())


def _key(table: ir.Table, seed: int) -> ir.NumericValue:
    import ibis

    of = hash_of()
    return of(of(table.inference_id) ^ ibis.literal((seed + 1) * _SPREAD % 2**64, "uint64"))
