"""Detached processes on this machine: environment, start, recognition, loopback calls, end (POSIX, no dependency).

A pid alone proves nothing: it is given to another process later. So a process is recognised by pid *and* the moment the
kernel started it, which no later process shares.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
POLL_SECONDS = 0.05
BUSY_PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0)
CALL_SECONDS = 30.0  # the first call makes MLflow build its database: 2 s, 5 beside a starting Prefect

QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",  # Prefect's client and Evidently report use
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # the Prefect server reports use
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",  # the Prefect UI shows its vendor's offers
    "MLFLOW_DISABLE_TELEMETRY": "true",  # MLflow's client and server report use
    "GX_ANALYTICS_ENABLED": "false",  # Great Expectations reports use
}
"""The switch for every call that would leave the machine."""

_SETTINGS: Mapping[str, str] = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes of 235 MB for GenAI jobs we do not have
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_COLORS": "false",  # the logs are files
    "PREFECT_LOGGING_EXTRA_LOGGERS": "retrue",  # our lines reach the run's page
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",  # logs of deleted runs go even if the server died meanwhile
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",  # events can be read back after 1 s, not 5
    "PREFECT_WORKER_QUERY_SECONDS": "1",  # a run is picked up after at most 1 s, not 10
}

# What a user's shell says about another server, database, profile or surrounding flow run must not reach ours.
_OWNED_PREFIXES = ("PREFECT_", "MLFLOW_", "_MLFLOW_")
_USERS_CHOICE = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_SERVER_LEVEL", "MLFLOW_LOGGING_LEVEL")
_NO_PROXY = ("NO_PROXY", "no_proxy")

_PROC = Path("/proc")
_ENDED_STATES = frozenset("ZX")  # zombies keep their pid until their parent collects them


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """One process for ever.

    Attributes:
        pid: Its number, which is also its process group's: `spawn` makes every process lead its own group.
        started: When the kernel started it: boot id and clock tick on Linux, local time to the second elsewhere.
    """

    pid: int
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    pid: int
    group: int
    started: str


def child_environment(base: Mapping[str, str], *, prefect_home: Path, urls: Mapping[str, str | None]) -> dict[str, str]:
    """Return the whole environment of a process that talks to the servers at `urls` and to no others.

    Every PREFECT_* and MLFLOW_* variable of `base` but log levels is dropped, loopback calls pass by any proxy, and
    `python` and `prefect` are the ones beside this interpreter, as job commands of the work pool expect.
    """
    kept = {key: value for key, value in base.items() if key in _USERS_CHOICE or not key.startswith(_OWNED_PREFIXES)}
    exempt = ",".join(dict.fromkeys([*filter(None, map(base.get, _NO_PROXY)), HOST, "localhost"]))
    path = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
    ours = {"PREFECT_HOME": str(prefect_home.absolute()), "PATH": path, **dict.fromkeys(_NO_PROXY, exempt)}
    return {**kept, **QUIET, **_SETTINGS, **ours, **{name: url for name, url in urls.items() if url}}


def free_port(*, preferred: int) -> int:
    """Return `preferred` if nothing listens on it, else a TCP port of 127.0.0.1 that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):  # taken by somebody else meanwhile
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise OSError(f"no free TCP port on {HOST}")


def call(url: str, *, body: Any = None) -> Any:
    """GET, or POST `body` as JSON, past any proxy, and return the JSON answer, or its text if it is none.

    A 503, which Prefect answers while its SQLite database is locked and means its clients to retry, is asked again.

    Raises:
        OSError: Nobody answers, or with an error (`urllib.error.HTTPError`).
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for pause_seconds in (*BUSY_PAUSES_SECONDS, None):
        try:
            with opener.open(request, timeout=CALL_SECONDS) as answer:
                text = answer.read().decode()
            break
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or pause_seconds is None:
                raise
            time.sleep(pause_seconds)
    try:
        return json.loads(text)
    except ValueError:
        return text


def write_json(path: Path, value: Any) -> None:
    """Replace a file as a whole, so that no reader sees half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, default=str, indent=1))
    partial.replace(path)


@contextmanager
def alone(lock_path: Path) -> Iterator[None]:
    """Hold an advisory lock, waiting for whoever has it; it falls with its process."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def spawn(command: Sequence[str], *, environment: Mapping[str, str], log_path: Path) -> ProcessId:
    """Start a program in a session of its own, without a terminal, its output in a new file at `log_path`.

    The file before it is kept beside it with `.1` added. The program outlives this process.

    Raises:
        OSError: The program or the log's folder does not exist or may not be used.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if log_path.exists():
        log_path.replace(log_path.with_name(log_path.name + ".1"))
    pid = os.posix_spawn(
        command[0],
        [*command],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.fspath(log_path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    started = next((row.started for row in _rows() if row.pid == pid), "")
    return ProcessId(pid=pid, started=started)


def alive(process: ProcessId) -> bool:
    """Return whether this very process still runs; a zombie does not, nor does a later owner of its pid."""
    _collect(process.pid)
    return any(row.pid == process.pid and row.started == process.started for row in _rows())


def becomes_ready(process: ProcessId, ready: Callable[[], bool], *, within_seconds: float) -> bool:
    """Wait until `ready()` is true and raises no OSError; false if the process ends or the time is over first."""
    deadline = time.monotonic() + within_seconds
    while alive(process) and time.monotonic() < deadline:
        with suppress(OSError):  # it does not listen yet
            if ready():
                return True
        time.sleep(POLL_SECONDS)
    return False


def alive_pids() -> frozenset[int]:
    """Return the numbers of all processes that run now."""
    return frozenset(row.pid for row in _rows())


def stop(process: ProcessId, *, grace_seconds: float) -> bool:
    """End the process and its group: SIGTERM, then SIGKILL after `grace_seconds`; return whether all of it is gone.

    Nothing is signalled if the process is gone already, since its number may belong to somebody else by now.
    """
    if not alive(process):
        return True
    for number, bound_seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, grace_seconds)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if _group_ends(process.pid, bound_seconds):
            return True
    return False


def _group_ends(group: int, bound_seconds: float) -> bool:
    deadline = time.monotonic() + bound_seconds
    while True:
        _collect(group)
        if all(row.group != group for row in _rows()):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)


def _collect(pid: int) -> None:
    """Take the exit status if the process is our child and has ended, so that it does not stay a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _rows() -> Iterator[_Row]:
    return _rows_of_proc() if (_PROC / "self" / "stat").exists() else _rows_of_ps()


def _rows_of_proc() -> Iterator[_Row]:
    boot = ""
    with suppress(OSError):  # some containers hide it
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            line = (entry / "stat").read_text(errors="replace")
        except OSError:  # ended since the folder was listed
            continue
        # After the name in brackets: state, parent, group, …; the start tick is the 20th (proc_pid_stat(5), field 22).
        state, _, group, *rest = line.rpartition(")")[2].split()
        if state not in _ENDED_STATES:
            yield _Row(pid=int(entry.name), group=int(group), started=f"{boot}:{rest[16]}")


def _rows_of_ps() -> Iterator[_Row]:
    command = ["ps", "-axo", "pid=,pgid=,stat=,lstart="]
    environment = {"LC_ALL": "C", "PATH": os.defpath}
    listing = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
    for line in listing.stdout.splitlines():
        pid, group, state, started = line.split(maxsplit=3)
        if state[0] not in _ENDED_STATES:
            yield _Row(pid=int(pid), group=int(group), started=started.strip())
