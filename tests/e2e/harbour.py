"""A project folder with real servers on it: commands in it, and what its Prefect and MLflow answer.

Only web calls and commands: Prefect reads its settings when it is imported, and the tests' process must not have any.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from retrue.adapters import servers
from retrue.adapters.processes import QUIET, call

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
RUN_SECONDS = 120.0
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harbour:
    """The folder; its servers are those that `retrue up` keeps on it."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / ".retrue"

    def server(self, name: str) -> servers.Server:
        return next(each for each in servers.running(self.state) if each.name == name)

    def command(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a program beside this interpreter in the folder, as a person would, and return what it printed."""
        program, *rest = arguments
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *rest],
            cwd=REPOSITORY if "tests.e2e.acting" in rest else self.folder,
            env=self._environment(program),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode in codes, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def home(self) -> Path:
        """The home directory of whoever runs the commands."""
        return self.folder.parent / "home"

    def _environment(self, program: str) -> dict[str, str]:
        """A user's shell, which knows no server: retrue's commands find those that run here. Only Prefect's is told."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        told = {"PREFECT_API_URL": self.server("prefect").api_url} if program == "prefect" else {}
        return {**kept, **QUIET, "HOME": str(self.home), "NO_PROXY": "127.0.0.1", **told}

    def script(self, flow: str, model: str, *, window_end: datetime) -> str:
        """Run a flow's file as a program."""
        return self.command("python", f"flows/{flow}.py", model, "--window-end", f"{window_end:%Y-%m-%dT%H:%M:%S}")

    def act(self, what: str, *words: str) -> None:
        self.command("python", "-m", "tests.e2e.acting", what, str(self.folder), *words)

    # ------------------------------------------------------------ Prefect

    def prefect(self, path: str, body: Json | None = None) -> Any:
        return call(f"{self.server('prefect').api_url}/{path}", body=body)

    def start(self, deployment: str, **parameters: str) -> str:
        """Start a deployment's flow through the API and return the run's id."""
        found = self.prefect(f"deployments/name/{deployment}/{deployment}")["id"]
        run: str = self.prefect(f"deployments/{found}/create_flow_run", {"parameters": parameters})["id"]
        return run

    def start_by_command(self, deployment: str, **parameters: str) -> str:
        """Start it as a person does in a shell."""
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
        printed = self.command("prefect", "deployment", "run", f"{deployment}/{deployment}", *given)
        return next(each for each in _UUID.findall(printed))

    def finish(self, run_id: str) -> Json:
        """Wait until a flow run is final and return it."""

        def final() -> Json | None:
            run: Json = self.prefect(f"flow_runs/{run_id}")
            return run if run["state_type"] in FINAL else None

        return wait_for(final)

    def run(self, deployment: str, **parameters: str) -> Json:
        return self.finish(self.start(deployment, **parameters))

    def runs_of(self, deployment: str, *, scheduled: bool = False) -> list[Json]:
        """Return a deployment's runs: those that somebody started, or those that its schedule made."""
        found = self.prefect("flow_runs/filter", {"deployments": {"name": {"any_": [deployment]}}})
        return [run for run in found if run["auto_scheduled"] is scheduled]

    def artifacts(self, run_id: str, about: str) -> dict[str, Json]:
        """Return a run's artifacts with this description, by key."""
        found = self.prefect("artifacts/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
        return {each["key"]: each for each in found if each["key"] and (each["description"] or "") == about}

    def events(self, model: str) -> list[Json]:
        """Return retrue's events about a model; their payload holds the rest."""
        about = {"event": {"prefix": ["retrue."]}, "resource": {"id": [f"retrue.model.{model}"]}}
        found: list[Json] = self.prefect("events/filter", {"filter": about, "limit": 50})["events"]
        return found

    def tasks_of(self, run_id: str) -> list[str]:
        """Return the names of a run's tasks, which Prefect's server learns of a little later than of their run's end."""
        wanted = {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return [task["name"] for task in self.prefect("task_runs/filter", wanted)]

    def log_of(self, run_id: str) -> str:
        """Return a run's log as the UI shows it."""
        lines = self.prefect("logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}})
        return "\n".join(line["message"] for line in lines)

    # ------------------------------------------------------------ MLflow

    def mlflow(self, path: str, body: Json | None = None) -> Any:
        return call(f"{self.server('mlflow').url}/api/2.0/mlflow/{path}", body=body)

    def experiment(self, name: str) -> Json:
        found: Json = self.mlflow(f"experiments/get-by-name?experiment_name={name}")["experiment"]
        return found

    def mlflow_runs(self, experiment: str, where: str = "") -> list[Json]:
        """Return runs, oldest first, with tags and metrics as dictionaries."""
        wanted = {"experiment_ids": [self.experiment(experiment)["experiment_id"]], "filter": where}
        found = self.mlflow("runs/search", {**wanted, "order_by": ["attributes.start_time ASC"]})
        return [
            {
                "id": run["info"]["run_id"],
                "name": run["info"]["run_name"],
                "status": run["info"]["status"],
                "tags": {each["key"]: each["value"] for each in run["data"].get("tags", ())},
                "metrics": {each["key"]: each["value"] for each in run["data"].get("metrics", ())},
            }
            for run in found.get("runs", ())
        ]

    def window_run(self, model: str, day: datetime, *, revision: int = 1) -> Json:
        """Return the one MLflow run of a window's revision."""
        where = f"tags.`retrue.window_start` = '{day.isoformat()}' and tags.`retrue.revision` = '{revision}'"
        (run,) = self.mlflow_runs(f"retrue/{model}", f"{where} and tags.`retrue.kind` = 'window'")
        return run

    def artifact_names(self, run_id: str) -> set[str]:
        return {each["path"] for each in self.mlflow(f"artifacts/list?run_id={run_id}").get("files", ())}

    def artifact(self, run_id: str, name: str) -> Any:
        return call(f"{self.server('mlflow').url}/get-artifact?path={name}&run_uuid={run_id}")

    # ------------------------------------------------------------ ledger

    def ledger(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask or change the ledger's tables directly, as no user should."""
        with closing(sqlite3.connect(self.state / "ledger.db", timeout=30)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def forget_deliveries(self, *kinds: str) -> None:
        """Leave the outbox as a process leaves it that dies after carrying effects out, before it says so."""
        marks = ", ".join("?" for _ in kinds)
        self.ledger(f"UPDATE retrue_outbox SET state = 'pending', done_at = NULL WHERE kind IN ({marks})", *kinds)

    def let_retries_come(self) -> None:
        """Let the pause end that a refused effect makes before it is tried again: half a minute at first."""
        self.ledger("UPDATE retrue_outbox SET next_attempt_at = created_at WHERE state = 'pending'")


def wait_for(ready: Callable[[], T | None], *, within_seconds: float = RUN_SECONDS) -> T:
    """Ask until there is an answer.

    Raises:
        TimeoutError: There was none in time.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if answer := ready():
            return answer
        time.sleep(0.2)
    raise TimeoutError(f"nothing within {within_seconds:g} s")
