"""The same ledger on both databases: a SQLite file, and a PostgreSQL server of the tests' own on a loopback port."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from retrue.ledger import Ledger

REPOSITORY = Path(__file__).parents[2]
SERVER_BYTES = 500_000_000  # what the server and all schemas of a run take, several times over


def _postgresql_folder() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _unprivileged() -> list[str]:
    """Return the command's prefix that gives up root, which PostgreSQL refuses to run as."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    programs = _postgresql_folder()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed")
    as_user = _unprivileged()
    if as_user and not any(user.pw_name == "postgres" for user in pwd.getpwall()):
        pytest.skip("root cannot run PostgreSQL and there is no user postgres")
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > SERVER_BYTES
    folder = Path(tempfile.mkdtemp(prefix="retrue-pg-", dir=memory if roomy else None))
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "--username=retrue", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off"
        run("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "log"))
        yield f"postgresql://retrue:s3cret@127.0.0.1:{port}"
        run("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_numbers = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return "sqlite:///state/ledger.db"
    import psycopg

    server = request.getfixturevalue("postgresql")
    name = f"ledger{next(_numbers)}"  # a schema costs a hundredth of what a database does
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    return f"{server}/postgres?options=-csearch_path%3D{name}"


@pytest.fixture
def ledger(empty_url: str, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(empty_url, root=tmp_path) as opened:
        yield opened


@dataclass(frozen=True)
class Racers:
    """Processes that get a command at the same time."""

    processes: Sequence[subprocess.Popen[str]]

    def race(self, work: str, url: str, root: Path) -> list[object]:
        for process in self.processes:
            self.send(process, work, url, root)
        return [json.loads(self.answer(process)) for process in self.processes]

    def send(self, process: subprocess.Popen[str], work: str, url: str, root: Path) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"work": work, "url": url, "root": str(root)}) + "\n")
        process.stdin.flush()

    def answer(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()


def _start(name: str) -> subprocess.Popen[str]:
    path = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.racer", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait()


@pytest.fixture(scope="session")
def racers() -> Iterator[Racers]:
    started = Racers(processes=[_start(str(number)) for number in range(2, 5)])
    yield started
    for process in started.processes:
        _end(process)


@pytest.fixture
def doomed() -> Iterator[Callable[[str, Path], int]]:
    """Run a commit in a process that is killed in the middle of it; returns its exit code."""
    process = _start("doomed")

    def commit_and_die(url: str, root: Path) -> int:
        Racers(processes=[process]).send(process, "die_deciding", url, root)
        return process.wait()

    yield commit_and_die
    _end(process)
