"""The demo: a year of real flights, a model that ages, and what retrue makes of it. Nothing in it is scripted.

A first version is trained on the first quarter and serves the weeks that follow, ten at a time; the deployed flows judge them
through the server and the worker. Whoever is champion after ten weeks serves the next. Thresholds in retrue.yaml decide all.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from examples.flights.receiver import Receiver, receiver
from examples.flights.replay import FIELDS, MODEL, FlightReplay, days_between
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from retrue.errors import RetrueError
from retrue.logger import InferenceLogger

if TYPE_CHECKING:
    import pandas as pd

    from retrue.workspace import Workspace

LEARNED = datetime(2013, 1, 1, tzinfo=UTC)
SERVED = datetime(2013, 4, 4, tzinfo=UTC)  # a border of the weekly windows
BACKFILLED = datetime(2013, 9, 19, tzinfo=UTC)
WATCHED = datetime(2013, 10, 10, tzinfo=UTC)  # the last three windows are judged one run each, as in production
WEEK = timedelta(days=7)
WEEKS_AT_ONCE = 10
LANDING_DAYS = 2  # the last flights of a span land within so many days after it
BLOCK = "retrue-demo"
POLL_SECONDS = 0.5
MARKER = "demo.json"

console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the demo plays on: the project, its servers' addresses, the year's flights, and the receiver of messages."""

    workspace: "Workspace"
    flights: "pd.DataFrame"
    receiver: Receiver
    urls: dict[str, str]
    progress: Progress


def run(project: Path) -> None:
    """Run the demo in a folder that holds this repository; keep its servers up until Ctrl-C if a terminal is attached.

    Raises:
        RetrueError: Servers run here already, or the ledger here is not the demo's.
    """
    from examples.flights.story import tell

    from retrue.adapters.servers import stop_all

    state = project / ".retrue"
    _make_room(project)
    try:
        with ExitStack() as stack:
            stage = _set_up(project, stack)
            runs = list(_play(stage))
            story = tell(stage.workspace, stage.receiver.messages, stage.urls, runs)
            stage.progress.stop()
            story.print(console)
            story.write(state / MARKER)
            _serve_on(stage.urls)
    finally:
        stop_all(state)


def _make_room(project: Path) -> None:
    """Clear away an earlier demo, and nothing else."""
    from retrue.adapters.servers import running

    state = project / ".retrue"
    if running(state):
        raise RetrueError("servers run on this folder: stop them with `make down` first")
    if (state / "ledger.db").exists() and not (state / MARKER).exists():
        raise RetrueError(
            f"{state} holds a ledger that is not the demo's: move it away, or run the demo in another clone"
        )
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (state / name).unlink(missing_ok=True)
    for folder in (
        *(state / name for name in ("logs", "labels", "reports", "prefect", "mlflow")),
        project / "baselines" / MODEL,
    ):
        shutil.rmtree(folder, ignore_errors=True)
    state.mkdir(exist_ok=True)
    (state / MARKER).write_text("{}\n")


def _set_up(project: Path, stack: ExitStack) -> Stage:
    from retrue.adapters import servers
    from retrue.cli.servers import start

    progress = stack.enter_context(
        Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console)
    )
    with _doing(progress, "starting Prefect, MLflow and a worker, deploying prefect.yaml"):
        urls = start(project)
    state = project / ".retrue"
    os.environ.update(
        servers.client_environment(state, prefect_api_url=f"{urls['prefect']}/api", mlflow_url=urls["mlflow"])
    )
    from examples.flights.data import load_flights

    from retrue.workspace import open_workspace

    workspace = stack.enter_context(open_workspace(project))
    listening = stack.enter_context(receiver())
    with _doing(progress, "reading the 336,776 flights of 2013"):
        flights = load_flights()
    _register_block(listening.url)
    return Stage(workspace=workspace, flights=flights, receiver=listening, urls=urls, progress=progress)


def _register_block(url: str) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    message = {"subject": "{{subject}}", "body": "{{body}}"}
    CustomWebhookNotificationBlock(name=BLOCK, url=url, json_data=message).save(BLOCK, overwrite=True)


class _doing:  # noqa: N801 - reads as a verb where it is used
    """Shows a piece of work of unknown length."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress, self._task = progress, progress.add_task(what, total=None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_details: object) -> None:
        self._progress.update(self._task, total=1, completed=1)


def _play(stage: Stage) -> Iterator[dict[str, str]]:
    """Train, then serve and judge until the end; yield what was run, with the id of each flow run."""
    from examples.flights.data import FEATURES, flights_between

    from retrue.stages.introduce import introduce
    from retrue.stages.training import LabelledRows

    with _doing(stage.progress, "training version 1 on the first quarter, freezing its baseline"):
        learned = flights_between(stage.flights, LEARNED, SERVED)
        rows = LabelledRows(frame=learned[learned["label"].notna()].astype({"label": "int64"}), features=FEATURES)
        introduce(stage.workspace, MODEL, rows, source="flights of January to March 2013")
    for start, end in _spans(SERVED, BACKFILLED, WEEKS_AT_ONCE * WEEK):
        version = _serve(stage, start, end)
        name = f"judging the {(end - start) // WEEK} weeks that version {version} served from {start:%-d %B}"
        yield _run(stage, "backfill/backfill", name, windows=(end - start) // WEEK, start=start, end=end)
        _finish_retraining(stage)
    for start, end in _spans(BACKFILLED, WATCHED, WEEK):
        version = _serve(stage, start, end)
        yield _run(
            stage,
            "monitor/monitor",
            f"judging the week of {start:%-d %B}, served by version {version}",
            windows=1,
            window_end=end,
        )
        _finish_retraining(stage)
    yield _run(stage, "digest/digest", "sending the digest")


def _spans(start: datetime, end: datetime, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + length, end)
        start += length


def _serve(stage: Stage, start: datetime, end: datetime) -> str:
    """Let the champion answer the flights of a span, and let them land; return its version."""
    from retrue.adapters.registry_mlflow import MlflowRegistry

    workspace = stage.workspace
    version = workspace.ledger.models.champion(MODEL)
    if version is None:
        raise RetrueError(f"{MODEL} has no champion")
    digest = workspace.ledger.models.version_digest(MODEL, version)
    settings = workspace.project.model(MODEL)
    model = MlflowRegistry(workspace.mlflow).load_version(MODEL, version, sha256=digest)
    log = InferenceLogger(MODEL, version=version, to=workspace.project.path(settings.logs.uri), fields=FIELDS)
    replay = FlightReplay(classifier=model, flights=stage.flights, log=log)
    days = days_between(start.date(), end.date())
    task = stage.progress.add_task(f"version {version} answers the flights from {start:%-d %B}", total=len(days))
    for day in days:
        replay.serve_day(day)
        replay.land_day(day)
        stage.progress.advance(task)
    for day in _after(end.date()):
        replay.land_day(day)
    counts = log.close(timeout=30)
    if counts.on_disk < counts.accepted or counts.shed:
        raise RetrueError(f"the demo's log is not whole: {counts}")
    return version


def _after(day: date) -> Sequence[date]:
    return days_between(day, day + timedelta(days=LANDING_DAYS))


def _run(
    stage: Stage, deployment: str, what: str, *, windows: int | None = None, **parameters: datetime
) -> dict[str, str]:
    """Run a deployment through the server and the worker, and show the windows it has judged so far."""
    from prefect.deployments import run_deployment

    before = _judged(stage)
    task = stage.progress.add_task(what, total=windows)
    values: dict[str, Any] = dict(parameters) if deployment.startswith("digest") else {"model": MODEL, **parameters}
    run = run_deployment(deployment, parameters=values, timeout=0, as_subflow=False)
    for state in _states(str(run.id)):  # type: ignore[union-attr]
        stage.progress.update(task, completed=_judged(stage) - before)
        if state["type"] not in ("COMPLETED", "SCHEDULED", "PENDING", "RUNNING"):
            raise RetrueError(f"{deployment} ended as {state['name']}: {state['message']}")
    stage.progress.update(task, total=windows or 1, completed=windows or 1)
    return {"deployment": deployment, "flow_run_id": str(run.id)}  # type: ignore[union-attr]


def _judged(stage: Stage) -> int:
    return len(stage.workspace.ledger.latest(MODEL, limit=1000))


def _states(flow_run_id: str) -> Iterator[dict[str, Any]]:
    """Yield a flow run's state until it is final."""
    from prefect.client.orchestration import get_client

    while True:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(flow_run_id)).state
        if state is not None:
            yield {"type": state.type.value, "name": state.name, "message": state.message}
            if state.is_final():
                return
        time.sleep(POLL_SECONDS)


def _finish_retraining(stage: Stage) -> None:
    """Wait for the retraining runs that the monitor started."""
    for row in stage.workspace.ledger.outbox.rows(model=MODEL, kind="retrain"):
        flow_run_id = str(row.result.get("flow_run_id", ""))
        if flow_run_id and stage.workspace.ledger.requests.get(str(row.payload["request_id"])).closed_at is None:
            with _doing(stage.progress, f"retraining asked for as of {str(row.payload['as_of'])[:10]}"):
                for _ in _states(flow_run_id):
                    pass


def _serve_on(urls: dict[str, str]) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    console.print("\nThe servers stay up until you press Ctrl-C.", style="bold")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")
