"""Ended runs of retrue's flows on a Prefect server, listed and let go of with what they left. Prefect is imported in functions.

Deleting a flow run takes its task runs, states and inputs along, and has the server delete its logs a moment later; its
artifacts stay for ever (Prefect 3.8.8: foreign keys of ``server/database/orm_models.py``, ``delete_flow_run`` of
``server/api/flow_runs.py``). So artifacts go first, then the run, and at last the logs are looked for.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from retrue.adapters.flow_prefect import TAG
from retrue.errors import DeliveryError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

log = logging.getLogger(__name__)

FLOWS = ("backfill", "baseline", "digest", "doctor", "monitor", "purge", "retrain")
PAGE = 200  # of a listing; Prefect's server gives no more
RUNS_MAX = 2000  # a purge; a backlog goes night by night
CONNECT_SECONDS, REQUEST_SECONDS = 3.0, 10.0
REMOVAL_SECONDS = 600.0  # in all, before the rest is left to the next purge
REPEATS = 2  # of a removal's request, after 2 and 4 s: beside its own tasks the server's SQLite may be locked (503)
LOGS_SECONDS = 10.0  # the server deletes logs in a task of its own, within half a second


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A flow run that has ended; ``model`` is empty for flows that are of no model."""

    id: UUID
    model: str


class FlowRuns:
    """The runs of retrue's flows on one Prefect server: those with the tag ``retrue``, of a flow of ours."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url

    def ended_before(self, moment: datetime, models: Collection[str]) -> tuple[EndedRun, ...]:
        """Return runs that ended before a moment, oldest first: of these models or of none, at most ``RUNS_MAX``.

        Raises:
            DeliveryError: Prefect was down, slow, or refused.
        """
        with self._client("flow runs", repeats=0) as client:
            found: list[EndedRun] = []
            for run in _ended(client, moment):
                named = run.parameters.get("model")
                model = named if isinstance(named, str) else ""
                if not model or model in models:
                    found.append(EndedRun(id=run.id, model=model))
                if len(found) == RUNS_MAX:
                    break
        return tuple(found)

    def remove(self, runs: Sequence[EndedRun], *, forget: Callable[[str], None]) -> Iterator[EndedRun]:
        """Delete runs with their artifacts and logs and yield each that is gone; one that is gone already counts too.

        Args:
            runs: Which.
            forget: Is told of each run's id before it goes.

        Raises:
            DeliveryError: Prefect was down, slow, or refused; the rest is found again.
        """
        deadline = time.monotonic() + REMOVAL_SECONDS
        with self._client("removal of flow runs", repeats=REPEATS) as client:
            for number, run in enumerate(runs):
                if time.monotonic() > deadline:
                    raise DeliveryError(f"Prefect is slow: {len(runs) - number} flow runs are left to the next purge")
                forget(str(run.id))
                _remove(client, run.id)
                yield run
            for start in range(0, len(runs), PAGE):
                _wait_for_logs(client, [run.id for run in runs[start : start + PAGE]])

    @contextmanager
    def _client(self, what: str, *, repeats: int) -> Iterator[SyncPrefectClient]:
        """Open a client that gives up soon; Prefect's own waits a minute and tries six times."""
        import httpx
        from prefect.client.orchestration import SyncPrefectClient
        from prefect.settings import (
            PREFECT_API_AUTH_STRING,
            PREFECT_API_KEY,
            PREFECT_CLIENT_MAX_RETRIES,
            temporary_settings,
        )

        timeout = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
        try:
            with (
                temporary_settings({PREFECT_CLIENT_MAX_RETRIES: repeats}),
                SyncPrefectClient(
                    self._api_url,
                    auth_string=PREFECT_API_AUTH_STRING.value(),
                    api_key=PREFECT_API_KEY.value(),
                    httpx_settings={"timeout": timeout},
                ) as client,
            ):
                yield client
        except httpx.HTTPStatusError as error:
            raise DeliveryError(f"{what}: Prefect answered {error.response.status_code}") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as error:
            raise DeliveryError(f"{what}: Prefect did not answer as it should ({type(error).__name__})") from error


def _ended(client: SyncPrefectClient, moment: datetime) -> Iterator[FlowRun]:
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    final = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
    flows = filters.FlowFilter(name=filters.FlowFilterName(any_=list(FLOWS)))
    ended = filters.FlowRunFilter(
        tags=filters.FlowRunFilterTags(all_=[TAG]),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=final)),
        end_time=filters.FlowRunFilterEndTime.model_validate({"before_": moment}),
    )
    for offset in itertools.count(step=PAGE):
        page = client.read_flow_runs(
            flow_filter=flows,
            flow_run_filter=ended,
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
            offset=offset,
        )
        yield from page
        if len(page) < PAGE:
            return


def _remove(client: SyncPrefectClient, run: UUID) -> None:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
    from prefect.client.schemas.sorting import ArtifactSort
    from prefect.exceptions import ObjectNotFound

    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    while found := client.read_artifacts(artifact_filter=of_run, sort=ArtifactSort.ID_DESC, limit=PAGE, offset=0):
        for artifact in found:
            with suppress(ObjectNotFound):  # another purge was first
                client.delete_artifact(artifact.id)
    with suppress(ObjectNotFound):
        client.delete_flow_run(run)
    log.info("removed flow run %s", run)


def _wait_for_logs(client: SyncPrefectClient, runs: list[UUID]) -> None:
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    left = LogFilter(flow_run_id=LogFilterFlowRunId(any_=runs))
    deadline = time.monotonic() + LOGS_SECONDS
    while lines := client.read_logs(left, limit=PAGE):
        if time.monotonic() > deadline:
            count = len({line.flow_run_id for line in lines})
            raise DeliveryError(
                f"Prefect has not deleted the logs of {count} flow runs: its orphans vacuum will, if enabled"
            )
        time.sleep(0.1)
