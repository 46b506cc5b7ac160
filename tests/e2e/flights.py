"""A user's project with one model server: the server as a process, its clients, and the commands its owner runs."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.cli.run import run_json
from tests.logger.serving import wait_for

MODEL = "flight-delay"
TOKEN = "Bearer of-the-tests"
KEY = "a key of the tests, long enough"
PASSENGER = "jane.canary@example.org"
DAY = timedelta(days=1)
FIRST = datetime(2025, 3, 10, tzinfo=UTC)
CLIENTS = 4
REPOSITORY = Path(__file__).parents[2]

Json = dict[str, Any]


def day(number: int) -> datetime:
    """The start of a day of the story."""
    return FIRST + number * DAY


def draw(count: int, *, seed: int) -> list[Json]:
    """Flights; three in ten have no visibility, a third leaves from Newark."""
    chance = random.Random(seed)
    return [
        {
            "origin": chance.choice(["EWR", "JFK", "LGA"]),
            "carrier": chance.choice(["UA", "DL", "B6", "AA"]),
            "visib": None if chance.random() < 0.3 else round(chance.uniform(1, 10), 1),
            "distance": chance.randrange(200, 2600),
            "passenger": PASSENGER,
        }
        for _ in range(count)
    ]


def strikes(flight: Json) -> bool:
    """Whether the bug of the release `buggy` strikes."""
    return flight["origin"] == "EWR" and flight["visib"] is None and not flight.get("slow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a client saw of its request; ``status`` is 0 where the server died on it."""

    flight: Json
    status: int
    inference_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running model server."""

    pid: int
    client: httpx.Client

    def put(self, path: str, **values: object) -> Any:
        """Ask for something that is no inference."""
        answer = self.client.put(path, params={name: str(value) for name, value in values.items()})
        answer.raise_for_status()
        return answer.json()

    def play(self, number: int, release: str) -> None:
        """Set the day and the release."""
        self.put("/admin", release=release, day=day(number).date())

    def ask(self, flights: Sequence[Json], *, tenant: str = "acme", token: str = TOKEN) -> list[Reply]:
        """Ask about flights, by several clients at once."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            parts = [flights[number::CLIENTS] for number in range(CLIENTS)]
            return [reply for part in clients.map(lambda each: self._ask(each, tenant, token), parts) for reply in part]

    def _ask(self, flights: Sequence[Json], tenant: str, token: str) -> list[Reply]:
        headers = {"authorization": token, "x-tenant": tenant}
        replies = []
        for flight in flights:
            status, inference_id = 0, ""
            with suppress(httpx.TransportError):
                answer = self.client.post("/predict", json=flight, headers=headers)
                status, inference_id = answer.status_code, answer.headers.get("x-inference-id", "")
            replies.append(Reply(flight=flight, status=status, inference_id=inference_id))
        return replies

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def serving(logs: Path, *, sample: float = 1.0) -> Iterator[Server]:
    """Run the model server on a free port; stop it as a user would, if it is still there."""
    own = {"FLIGHT_LOGS": str(logs), "FLIGHT_SAMPLE": str(sample), "FLIGHT_TOKEN": TOKEN, "RETRUE_HASH_KEY": KEY}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "tests.e2e.flight_server:create",
            "--factory",
            "--log-level",
            "critical",
        ]
        process = subprocess.Popen(
            [*command, "--fd", str(listening.fileno())],
            cwd=REPOSITORY,
            env={**os.environ, **own},
            pass_fds=[listening.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        with httpx.Client(base_url=url) as client:
            wait_for(lambda: _answers(client))
            yield Server(pid=process.pid, client=client)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/docs").is_success
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The folder that `retrue init` made, and its commands."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs" / MODEL

    def command(self, *arguments: str) -> tuple[int, Any]:
        """Run a command with ``--json``; return its exit code and answer."""
        return run_json(*arguments, "-C", str(self.root))

    def monitor(self, number: int) -> tuple[Json, Json]:
        """Judge a day; return what the command says and the window's ``verdict.json``."""
        code, judged = self.command("monitor", MODEL, "--window-end", f"{day(number + 1):%Y-%m-%d}")
        assert code == {"healthy": 0, "breached": 1, "inconclusive": 2}[judged["verdict"]]
        recorded: Json = json.loads((Path(judged["reports"]) / "verdict.json").read_text())
        return judged, recorded
