"""The servers of `retrue up`, `retrue demo` and the tests: Prefect, MLflow and a Prefect worker, on loopback only.

They outlive the command that starts them. Their state lives in one folder (`.retrue/` by default):

    prefect/  mlflow/         databases and artifacts
    server-logs/<name>.log    output since the last start; the one before in <name>.log.1
    servers/<name>.json       the last start: process, port, address

A file in servers/ counts only while that very process runs, so another process can find and stop it, one left over from
before a reboot misleads nobody, and the next start takes the same port.
"""

import json
import os
import socket
import sys
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from retrue.adapters import processes
from retrue.adapters.processes import HOST, ProcessId, call
from retrue.errors import ServerError

WORK_POOL = "retrue"
START_SECONDS = 120.0  # a cold start takes 6 to 10 on two quiet cores
STOP_SECONDS = 15.0
LOG_TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server or worker that was started.

    Attributes:
        name: `prefect`, `mlflow` or `worker`.
        process: The process that leads its group.
        url: Where a browser finds it; a worker's is that of its Prefect server.
        port: Its TCP port on 127.0.0.1; 0 for a worker, which listens nowhere.
        log_path: Its output.
    """

    name: str
    process: ProcessId
    url: str
    port: int
    log_path: Path

    @property
    def api_url(self) -> str:
        """What PREFECT_API_URL says for a Prefect server and its worker."""
        return f"{self.url}/api"


def start_servers(state_dir: Path) -> tuple[Server, Server]:
    """Start Prefect and MLflow side by side and return them in this order; if one fails, the other is stopped too."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        pending = [pool.submit(start, state_dir) for start in (start_prefect_server, start_mlflow_server)]
    if any(each.exception() for each in pending):
        for each in pending:
            if not each.exception():
                stop(each.result())
    return pending[0].result(), pending[1].result()


def start_prefect_server(state_dir: Path, *, within_seconds: float = START_SECONDS) -> Server:
    """Start the Prefect server with its SQLite database, or return the one that runs on this folder already.

    It has the work pool `retrue`, without which `prefect --no-prompt deploy` refuses.

    Raises:
        ServerError: It died or did not answer in time; nothing is left running.
    """

    def command(port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        start = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
        return start, client_environment(state_dir, prefect_api_url=f"http://{HOST}:{port}/api")

    def ready(server: Server) -> bool:
        try:
            call(f"{server.api_url}/work_pools/", body={"name": WORK_POOL, "type": "process"})
        except urllib.error.HTTPError as error:
            return error.code == HTTPStatus.CONFLICT  # it exists
        return True

    return _start(state_dir, "prefect", command, ready, within_seconds)


def start_mlflow_server(state_dir: Path, *, within_seconds: float = START_SECONDS) -> Server:
    """Start the MLflow server with its SQLite database and artifacts served through it, or return the running one.

    `mlflow server` imports MLflow twice, in itself and in the uvicorn it starts: 4.2 s of CPU and 400 MB. uvicorn alone
    with the variables it would set: 2.1 s and 210 MB. They are private to MLflow, whose version is capped.

    Raises:
        ServerError: It died or did not answer in time; nothing is left running.
    """
    home = state_dir.absolute() / "mlflow"
    home.mkdir(parents=True, exist_ok=True)
    stores = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{home / 'mlflow.db'}",
        "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{home / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(home / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }

    def command(port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        address = ["--host", HOST, "--port", str(port), "--workers", "1"]
        start = [sys.executable, "-m", "uvicorn", *address, "mlflow.server.fastapi_app:app"]
        return start, client_environment(state_dir, mlflow_url=f"http://{HOST}:{port}") | stores

    probe = "api/2.0/mlflow/experiments/get?experiment_id=0"  # /health answers before there is a database
    return _start(state_dir, "mlflow", command, lambda server: bool(call(f"{server.url}/{probe}")), within_seconds)


def start_worker(
    state_dir: Path,
    *,
    prefect: Server,
    mlflow: Server,
    environment: Mapping[str, str] | None = None,
    within_seconds: float = START_SECONDS,
) -> Server:
    """Start the process worker of the work pool `retrue`, or return the running one.

    Runs an earlier worker left behind are closed as crashed first. `environment` adds to what flow runs inherit.

    Raises:
        ServerError: It died or did not report to the Prefect server in time; nothing is left running.
    """
    asked_at = datetime.now(UTC)

    def command(_: int) -> tuple[Sequence[str], Mapping[str, str]]:
        _close_abandoned_runs(prefect)
        pool = ["--type", "process", "--pool", WORK_POOL, "--name", _worker_name()]
        settings = client_environment(state_dir, prefect_api_url=prefect.api_url, mlflow_url=mlflow.url)
        return [sys.executable, "-m", "prefect", "worker", "start", *pool], settings | dict(environment or {})

    def ready(server: Server) -> bool:
        return any(name == _worker_name() and at >= asked_at for name, at in _online_workers(server))

    return _start(state_dir, "worker", command, ready, within_seconds, url=prefect.url)


def running(state_dir: Path) -> tuple[Server, ...]:
    """Return what was started on this folder and still runs, worker first: the order to stop them in."""
    last = (_last_start(state_dir, name) for name in ("worker", "prefect", "mlflow"))
    return tuple(server for server in last if server and processes.alive(server.process))


def stop(server: Server, *, grace_seconds: float = STOP_SECONDS) -> None:
    """Stop a server and all its processes: asked first, killed after `grace_seconds`. One that is gone is left alone.

    A stopped worker's flow runs end with it and are closed as crashed; Prefect would show them running for ever.

    Raises:
        ServerError: It survived even that.
    """
    if not processes.stop(server.process, grace_seconds=grace_seconds):
        problem = f"process group {server.process.pid} does not end"
        raise ServerError(problem, name=server.name, log_path=server.log_path)
    if server.name == "worker":
        _close_abandoned_runs(server)


def stop_all(state_dir: Path) -> tuple[Server, ...]:
    """Stop whatever `running` finds and return it."""
    for server in (found := running(state_dir)):
        stop(server)
    return found


def client_environment(
    state_dir: Path, *, prefect_api_url: str | None = None, mlflow_url: str | None = None
) -> dict[str, str]:
    """Return the whole environment, made from this process's, of one that uses these servers and no others."""
    urls = {"PREFECT_API_URL": prefect_api_url, "MLFLOW_TRACKING_URI": mlflow_url}
    return processes.child_environment(os.environ, prefect_home=state_dir / "prefect", urls=urls)


def _start(
    state_dir: Path,
    name: str,
    command: Callable[[int], tuple[Sequence[str], Mapping[str, str]]],
    ready: Callable[[Server], bool],
    within_seconds: float,
    *,
    url: str = "",
) -> Server:
    """Start `command(port)` unless it runs; a `url` of another server means that it listens nowhere itself."""
    with processes.alone(state_dir / "servers" / f"{name}.lock"):
        last = _last_start(state_dir, name)
        if last and processes.alive(last.process):
            if not url or url == last.url:
                return last
            stop(last)  # a worker of a Prefect server that has moved
        port = 0 if url else processes.free_port(preferred=last.port if last else 0)
        arguments, environment = command(port)
        log_path = state_dir.absolute() / "server-logs" / f"{name}.log"
        process = processes.spawn(arguments, environment=environment, log_path=log_path)
        server = Server(name=name, process=process, url=url or f"http://{HOST}:{port}", port=port, log_path=log_path)
        processes.write_json(state_dir / "servers" / f"{name}.json", asdict(server))
        if processes.becomes_ready(process, lambda: ready(server), within_seconds=within_seconds):
            return server
        slow = processes.alive(process)
        stop(server)
        tail = log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        problem = f"no answer within {within_seconds:g} s" if slow else "ended before it answered"
        message = "\n  ".join([f"{problem}; its last lines:", *tail])
        raise ServerError(message, name=name, log_path=log_path)


def _last_start(state_dir: Path, name: str) -> Server | None:
    try:
        facts = json.loads((state_dir / "servers" / f"{name}.json").read_text())
        log_path, process = Path(facts.pop("log_path")), ProcessId(**facts.pop("process"))
        return Server(**facts, log_path=log_path, process=process)
    except (OSError, ValueError, TypeError, KeyError):  # never started, or not a file of ours: start anew
        return None


def _worker_name() -> str:
    return f"retrue-{socket.gethostname()}"


def _online_workers(prefect: Server) -> list[tuple[str, datetime]]:
    online = {"workers": {"status": {"any_": ["ONLINE"]}}}
    workers = call(f"{prefect.api_url}/work_pools/{WORK_POOL}/workers/filter", body=online)
    return [(worker["name"], datetime.fromisoformat(worker["last_heartbeat_time"])) for worker in workers]


def _close_abandoned_runs(prefect: Server) -> None:
    """Mark the pool's runs whose process is gone as crashed, unless a worker that is not ours may be running them."""
    unfinished = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
    ours = {"flow_runs": unfinished, "work_pools": {"name": {"any_": [WORK_POOL]}}}
    crashed = {"type": "CRASHED", "name": "Crashed", "message": "its worker was stopped"}
    with suppress(OSError):  # the server went first: the next worker closes them
        if any(name != _worker_name() for name, _ in _online_workers(prefect)):
            return
        alive = {str(pid) for pid in processes.alive_pids()}
        for run in call(f"{prefect.api_url}/flow_runs/filter", body=ours):
            if run["infrastructure_pid"] not in alive:
                call(f"{prefect.api_url}/flow_runs/{run['id']}/set_state", body={"state": crashed, "force": True})
