"""The MLflow runs of windows, listed and let go of; the history run and retraining runs stay. MLflow is imported in functions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrue.adapters.client_mlflow import again, connect, patience

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

PAGE_RUNS = 1000  # a search; MLflow takes up to 50,000


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRun:
    """The run of one window revision; ``key`` is that of its verdict, ``window_start`` when the run says that it began."""

    id: str
    key: str
    window_start: datetime


class WindowRuns:
    """A model's window runs on one MLflow server."""

    def __init__(self, tracking_uri: str, model: str) -> None:
        self._tracking_uri = tracking_uri
        self._model = model
        self._client = connect(tracking_uri)

    def of_windows_before(self, moment: datetime) -> tuple[WindowRun, ...]:
        """Return the runs of windows that started before a moment, half-written ones too.

        Raises:
            DeliveryError: MLflow was down, slow, or refused.
        """
        with patience(f"window runs of {self._model}"):
            experiment = again(self._client.get_experiment_by_name, f"retrue/{self._model}")
            if experiment is None:
                return ()
            where = f"tags.`retrue.kind` = 'window' and attributes.start_time < {int(moment.timestamp() * 1000)}"
            return tuple(_window_run(run) for run in self._search(experiment.experiment_id, where))

    def remove(self, run: WindowRun) -> None:
        """Delete a run's artifacts, then the run; dying between the two leaves a run that is found and removed again.

        MLflow hides a deleted run at once; its metrics and tags leave the database with `mlflow gc`.

        Raises:
            DeliveryError: MLflow was down, slow, or refused.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with patience(f"removal of run {run.id}"):
            address = again(self._client.get_run, run.id).info.artifact_uri
            store = get_artifact_repository(address, self._tracking_uri, self._tracking_uri)
            for artifact in again(self._client.list_artifacts, run.id):
                again(store.delete_artifacts, artifact.path)
            again(self._client.delete_run, run.id)
        log.info("removed run %s of %s", run.id, self._model)

    def replace_reports(self, run_id: str, reports: Sequence[Path]) -> None:
        """Put these files in the place of a run's reports of the same names.

        Raises:
            DeliveryError: MLflow was down, slow, or refused.
        """
        with patience(f"reports of run {run_id}"):
            for report in reports:
                again(self._client.log_artifact, run_id, str(report))

    def _search(self, experiment_id: str, where: str) -> Iterator[Run]:
        token: Any = None
        while True:
            page = again(
                self._client.search_runs, [experiment_id], where, max_results=PAGE_RUNS, page_token=token or None
            )
            yield from page
            token = page.token
            if not token:
                return


def _window_run(run: Run) -> WindowRun:
    start = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return WindowRun(id=run.info.run_id, key=run.data.tags.get("retrue.key", ""), window_start=start)
