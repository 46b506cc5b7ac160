"""Wiring: a project's settings, ledger and carriers, opened together. Who runs servers here is found, not asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrue.config import Project
from retrue.config_file import load_project
from retrue.delivery import Carrier
from retrue.errors import ModelError, RetrueError
from retrue.ledger import Ledger
from retrue.tombstones import Tombstones

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """All that a stage needs: what to do, what was decided, and who carries things out.

    ``prefect`` is the address of the Prefect server's API, empty where none is configured.
    """

    project: Project
    ledger: Ledger
    carriers: Mapping[str, Carrier]
    now: Clock
    worker: str
    prefect: str = ""

    def erased(self, model: str) -> Tombstones:
        """Return whose records of a model are to be left out wherever they still lie."""
        return self.ledger.erasures.tombstones(model)

    @property
    def mlflow(self) -> str:
        """The tracking URI.

        Raises:
            ModelError: None is configured; models live in MLflow.
        """
        if not self.project.mlflow:
            raise ModelError(
                "models are kept in MLflow: set `mlflow` in retrue.yaml, or MLFLOW_TRACKING_URI, or run `retrue up`"
            )
        return self.project.mlflow


@contextmanager
def open_workspace(folder: Path = Path(), *, now: Clock = utc_now) -> Iterator[Workspace]:
    """Open the project of a folder, with the carriers whose servers are configured or run here.

    Without an MLflow server records wait in the outbox; without a Prefect server, so do messages, events and retrainings.

    Raises:
        ConfigError: retrue.yaml is refused.
        LedgerError: The ledger cannot be opened.
    """
    environment = adopt_servers(folder)
    project = load_project(folder, environment)
    with Ledger.open(project.ledger, root=project.root) as ledger:
        prefect = environment.get("PREFECT_API_URL", "")
        carriers = dict(_carriers(project, ledger, prefect=bool(prefect)))
        worker = f"{socket.gethostname()}:{os.getpid()}"
        yield Workspace(project=project, ledger=ledger, carriers=carriers, now=now, worker=worker, prefect=prefect)


def adopt_servers(folder: Path) -> Mapping[str, str]:
    """Complete the process environment by the servers that `retrue up` keeps on this folder, and return it.

    Telemetry of every library is switched off too, unless somebody switched it on.

    The clients of Prefect and MLflow take their addresses from there and from nowhere else.
    """
    from retrue.adapters.processes import QUIET
    from retrue.adapters.servers import running

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for server in running(folder / ".retrue"):
        if server.name == "prefect":
            os.environ.setdefault("PREFECT_API_URL", server.api_url)
            os.environ.setdefault("PREFECT_HOME", str((folder / ".retrue" / "prefect").absolute()))
        elif server.name == "mlflow":
            os.environ.setdefault("MLFLOW_TRACKING_URI", server.url)
    return os.environ


def name_window(folder: Path, model: str, end: datetime | str | None, *, now: Clock = utc_now) -> str:
    """Return model and start date of a window for a run's name; the model alone where the settings do not load."""
    try:
        settings = load_project(folder).model(model).window
        window = settings.window_ending(model, end, now=now())
    except (RetrueError, ValueError):  # the flow itself says what is wrong
        return str(model)
    return window.name


def _carriers(project: Project, ledger: Ledger, *, prefect: bool) -> Iterator[tuple[str, Carrier]]:
    if project.mlflow:
        from retrue.adapters.carriers_mlflow import alias_carrier, record_carrier

        yield "record", record_carrier(ledger, project.root, project.mlflow)
        yield "alias", alias_carrier(ledger, project.mlflow)
    if prefect:
        from retrue.adapters import carriers_prefect

        yield "notify", carriers_prefect.send_notification
        yield "event", carriers_prefect.emit_event
        yield "retrain", carriers_prefect.start_retraining
