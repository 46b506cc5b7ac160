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


class PrivacySettings(Settings):
    """What of a model's record names people, and what they wrote: columns as they are called on disk.

    ``subject`` are the columns by which `retrue erase` finds a person, ``free_text`` those that `retention.free_text` ends.
    """

    subject: tuple[str, ...] = ("caller_id",)
    free_text: tuple[str, ...] = ()


class RetentionSettings(Settings):
    """How long `retrue purge` keeps things, at least ``1d``; null keeps them for ever.

    What retrue itself makes counts from when a window was judged, not from the window's time, so that a backfill of old
    windows can be looked at:

    - ``reports``: the folders ``.retrue/reports/<model>/<window>``.
    - ``mlflow``: the MLflow run of each window revision, with its artifacts; the history run keeps every window's metrics.
    - ``outbox``: messages, events and other effects that were carried out or given up, from then on; never shorter than the
      horizon of the labels, within which a later revision must not tell the same again.
    - ``prefect``: the runs of retrue's flows on the Prefect server, with their artifacts and logs, from their end.

    What the logs hold counts from the record's own time, and is touched only where a time is set, in folders of this
    machine:

    - ``features``: the values of features, predictions and scores, and ids of callers.
    - ``free_text``: the columns of ``privacy.free_text``, and ``context``.
    - ``errors``: messages and stacks of failures, here and in the ledger.
    - ``labels``: whole label records, by the time they arrived.

    Frozen baselines follow ``features``, ``free_text`` and ``labels`` by their oldest row: what has reached its time becomes
    marginals.

    Verdicts, incidents, promotions and receipts of purges stay in the ledger.
    """

    reports: Kept = timedelta(days=90)
    mlflow: Kept = timedelta(days=365)
    outbox: Kept = timedelta(days=90)
    prefect: Kept = timedelta(days=90)
    features: Kept = None
    free_text: Kept = None
    errors: Kept = None
    labels: Kept = None

    @property
    def of_records(self) -> timedelta | None:
        """How long a log is whole: the shortest time of what it holds, None where all of it is kept."""
        return min((each for each in (self.features, self.free_text, self.errors, self.labels) if each), default=None)

    @property
    def of_baselines(self) -> bool:
        """Whether there is a time for what rows of frozen baselines hold."""
        return any((self.features, self.free_text, self.labels))
