"""How long things are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from retrue.config.base import Duration, Settings


def _at_least_a_day(kept: timedelta | None) -> timedelta | None:
    if kept is not None and kept < timedelta(days=1):
        raise ValueError(f"what retrue makes is kept for at least 1d, not {kept}; null keeps it for ever")
    return kept


Kept = Annotated[Duration | None, AfterValidator(_at_least_a_day)]


class RetentionSettings(Settings):
    """How long `retrue purge` keeps what retrue itself made, at least ``1d``; null keeps it for ever.

    It counts from when a window was judged, not from the window's time, so that a backfill of old windows can be looked at.

    - ``reports``: the folders ``.retrue/reports/<model>/<window>``.
    - ``mlflow``: the MLflow run of each window revision, with its artifacts; the history run keeps every window's metrics.
    - ``outbox``: messages, events and other effects that were carried out or given up, from then on; never shorter than the
      horizon of the labels, within which a later revision must not tell the same again.

    Verdicts, incidents, promotions and receipts of purges stay in the ledger. Logs and labels are yours and never deleted.
    """

    reports: Kept = timedelta(days=90)
    mlflow: Kept = timedelta(days=365)
    outbox: Kept = timedelta(days=90)
