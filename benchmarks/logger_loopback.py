"""What logging adds to requests of 1 ms over loopback: uvicorn with and without the logger, in processes of their own.

``python -m benchmarks.logger_loopback KIND FOLDER STEPS`` serves one of them; `added_share` starts three, two without and one
with the logger, and asks them in turn, a block of requests each, by one client over one connection each. A request carries
twenty features as JSON and costs a fixed amount of computing that holds the interpreter, so that whatever the logger takes of it
shows. The two servers without it say how much two equal servers differ here.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from benchmarks.logger_load import percentile
from benchmarks.logger_subjects import FEATURES, NAMES, PREDICTION, SCORE

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
KINDS = ("bare", "bare_again", "logged")
REQUEST_NS = 1_000_000
TRIAL_STEPS = 500
WARM_REQUESTS = 100
BLOCK_REQUESTS = 200
WAKING_REQUESTS = 10  # before a block, not counted: any server is slow after a pause
PAUSE_SECONDS = 0.05  # between blocks: what the logger still writes shall not slow the next server down
STEP_TRIALS = 2
STARTS = 4  # of all servers: one process is not like another, for as long as it lives
VALUES = [float(value) for value in FEATURES.values() if not isinstance(value, str)]
WEIGHTS = [0.5 / (place + 1) for place in range(len(VALUES))]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def model(steps: int) -> float:
    """Score the same row so many times, as a linear model in pure Python does.

    Not a bare loop over a counter: that makes and drops one integer at a time, which CPython does 3-10 % slower whenever small
    objects are kept somewhere in the process, by a logger or by anybody; it would measure the allocator's luck.
    """
    total = 0.0
    for _ in range(steps):
        total += sum([weight * value for weight, value in zip(WEIGHTS, VALUES, strict=True)])
    return total


def app(kind: str, folder: Path, steps: int) -> App:
    """Return the application that is served, under the logger's middleware or not."""
    import orjson

    from retrue.logger import Fields, InferenceLogger
    from retrue.logger.asgi import InferenceMiddleware, current_call

    logged = kind == "logged"

    async def predict(scope: Message, receive: Receive, send: Send) -> None:
        features = orjson.loads((await receive())["body"])
        if logged:
            current_call().given(features)
        answer = orjson.dumps({"score": SCORE, "of": model(steps)})
        if logged:
            current_call().predicted(PREDICTION, score=SCORE)
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    if not logged:
        return predict
    fields = Fields(keep=[Fields.NUMBERS, *NAMES])
    return InferenceMiddleware(predict, log=InferenceLogger("bench", version="1", to=folder, fields=fields))


def serve(kind: str, folder: Path, steps: int) -> None:
    """Serve until killed; print the port first."""
    import uvicorn

    listener = socket.create_server((HOST, 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app(kind, folder, steps), log_level="critical", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def added_share(folder: Path, blocks: int) -> dict[str, float]:
    """Return what the logger adds to the latency of a request, over so many blocks of requests a server.

    Latencies are medians over blocks, in ms. A share is the median of those by which a block of the server with the logger lies
    over the mean of the two beside it without one, since what else the machine does changes by the second;
    `noise_p99_share` is the share by which one of these lies over the other.
    """
    steps = _steps(folder)
    taken: dict[str, list[list[int]]] = {kind: [] for kind in KINDS}
    for start in range(STARTS):
        with ExitStack() as stack:
            servers = {kind: stack.enter_context(_server(kind, folder / f"{kind}-{start}", steps)) for kind in KINDS}
            for ask in servers.values():
                _ask_many(ask, WARM_REQUESTS)
            for kind, found in _blocks(servers, max(blocks // STARTS, 1)).items():
                taken[kind] += found
    p50 = {kind: [percentile(block, 0.5) / 1e6 for block in taken[kind]] for kind in KINDS}
    p99 = {kind: [percentile(block, 0.99) / 1e6 for block in taken[kind]] for kind in KINDS}
    return {
        "bare_p50_ms": statistics.median(_means(p50)),
        "bare_p99_ms": statistics.median(_means(p99)),
        "logged_p50_ms": statistics.median(p50["logged"]),
        "logged_p99_ms": statistics.median(p99["logged"]),
        "added_p50_share": _over(p50["logged"], _means(p50)),
        "added_p99_share": _over(p99["logged"], _means(p99)),
        "noise_p99_share": _over(p99["bare_again"], p99["bare"]),
        "requests": len(taken["logged"]) * BLOCK_REQUESTS,
    }


def _means(of: Mapping[str, Sequence[float]]) -> list[float]:
    """Return what the two servers without the logger have, block by block."""
    return [(one + other) / 2 for one, other in zip(of["bare"], of["bare_again"], strict=True)]


def _over(values: Sequence[float], beside: Sequence[float]) -> float:
    """Return the share by which values lie over those beside them, the median."""
    return statistics.median([value / other for value, other in zip(values, beside, strict=True)]) - 1


def _blocks(servers: Mapping[str, Callable[[], None]], blocks: int) -> dict[str, list[list[int]]]:
    """Ask all servers in turn, each time beginning with another."""
    taken: dict[str, list[list[int]]] = {kind: [] for kind in servers}
    for block in range(blocks):
        for place in range(len(KINDS)):
            kind = KINDS[(block + place) % len(KINDS)]
            _ask_many(servers[kind], WAKING_REQUESTS)
            taken[kind].append(_ask_many(servers[kind], BLOCK_REQUESTS))
            time.sleep(PAUSE_SECONDS)
    return taken


def _ask_many(ask: Callable[[], None], requests: int) -> list[int]:
    taken = []
    for _ in range(requests):
        began = perf_counter_ns()
        ask()
        taken.append(perf_counter_ns() - began)
    return taken


def _steps(folder: Path) -> int:
    """Return how much a request must compute to take 1 ms in all, as a server without the logger answers it."""
    steps = TRIAL_STEPS
    for _ in range(STEP_TRIALS):
        with _server("bare", folder / "trial", steps) as ask:
            _ask_many(ask, WARM_REQUESTS)
            took = statistics.median(_ask_many(ask, WARM_REQUESTS))
        began = perf_counter_ns()
        model(steps)
        step_ns = (perf_counter_ns() - began) / steps
        steps = max(round(steps + (REQUEST_NS - took) / step_ns), 1)
    return steps


@contextmanager
def _server(kind: str, folder: Path, steps: int) -> Iterator[Callable[[], None]]:
    """Serve, and yield what asks once over a connection that is kept."""
    command = [sys.executable, "-m", "benchmarks.logger_loopback", kind, str(folder), str(steps)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with socket.create_connection((HOST, port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield lambda: _ask(connection)
        finally:
            process.terminate()


def _request() -> bytes:
    body = json.dumps(FEATURES).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


REQUEST = _request()


def _ask(connection: socket.socket) -> None:
    """Send the request and read the whole answer."""
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += _more(connection)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answers {head[:100]!r}")


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise RuntimeError("the server has left")
    return received


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="one server, in this process")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int)
    given = parser.parse_args()
    serve(given.kind, given.folder, given.steps)


if __name__ == "__main__":
    main()
