"""One logger in several processes: each has numbers and segments of its own, and nothing is written twice."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from retrue.logger import InferenceLogger
from tests.logger.conftest import OpenLog, RunProgram
from tests.logger.serving import on_disk, wait_for

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

WORKERS = 4
REQUESTS = 400

APPLICATION = """
import os
from retrue.logger import Fields, InferenceLogger

log = InferenceLogger("m", version="1", to=os.environ["LOGS"], fields=Fields(keep=["x", "pid"]))
log.record({"x": "preloaded", "pid": os.getpid()})

def app(environ, start_response):
    with log.observe({"x": environ["QUERY_STRING"], "pid": os.getpid()}) as call:
        call.predicted(1)
    start_response("200 OK", [])
    return [call.inference_id.encode(), str(os.getpid()).encode()]
"""


def in_child(log: InferenceLogger, act) -> int:  # type: ignore[no-untyped-def]
    """Fork, act in the child, close there; return its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            counts = log.close(10.0)
            os._exit(0 if counts.queued == 0 and not counts.dropped else 3)
        except BaseException:  # noqa: BLE001 - the child must not come back into the test runner
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_child_drops_what_it_inherited_and_counts_anew(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log._intake.drain.wake = lambda: None  # type: ignore[method-assign]  # so that records are queued as it forks
    for number in range(50):
        log.record({"x": f"parent {number}"})
    boot = log.boot

    def act() -> None:
        assert log.boot != boot
        assert log.stats().counts.accepted == log.stats().queue_records == 0
        for number in range(30):
            log.record({"x": f"child {number}"})

    assert in_child(log, act) == 0
    assert in_child(log, act) == 0
    del log._intake.drain.wake
    assert log.close(10.0).on_disk == 50
    values = Counter(record["features"]["x"] for record in on_disk(tmp_path))
    assert {value for value, count in values.items() if count == 1} == {f"parent {number}" for number in range(50)}
    assert {value for value, count in values.items() if count == 2} == {f"child {number}" for number in range(30)}
    assert len({record["inference_id"] for record in on_disk(tmp_path)}) == 110


def test_fork_while_threads_log_and_the_drain_writes_harms_neither_side(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    stop = threading.Event()
    accepted = []

    def serve() -> None:
        count = 0
        while not stop.is_set():
            count += log.record({"x": "parent"}) == 1
            time.sleep(0.0001)
        accepted.append(count)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for each in threads:
        each.start()
    codes = [in_child(log, lambda: [log.record({"x": "child"}) for _ in range(20)]) for _ in range(15)]
    stop.set()
    for each in threads:
        each.join()
    assert codes == [0] * 15
    counts = log.close(10.0)
    values = Counter(record["features"]["x"] for record in on_disk(tmp_path))
    assert values == {"parent": sum(accepted), "child": 300}
    assert counts.accepted == counts.on_disk == sum(accepted)


def test_fork_from_a_thread_and_from_a_child(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record({"x": "parent"})
    codes = []

    def grandchild() -> None:
        log.record({"x": "grandchild"})

    def child() -> None:
        log.record({"x": "child"})
        assert in_child(log, grandchild) == 0

    thread = threading.Thread(target=lambda: codes.append(in_child(log, child)))
    thread.start()
    thread.join()
    log.close()
    assert codes == [0]
    assert sorted(record["features"]["x"] for record in on_disk(tmp_path)) == ["child", "grandchild", "parent"]


def test_child_that_logs_nothing_leaves_no_folder(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    log.record({})
    log.flush()
    before = sorted((tmp_path / "segments").iterdir())
    assert in_child(log, lambda: None) == 0
    assert sorted((tmp_path / "segments").iterdir()) == before


def test_closed_logger_stays_closed_in_a_child(open_log: OpenLog) -> None:
    log = open_log()
    log.close()
    assert in_child(log, lambda: None if log.record({}) == 4 else 1 / 0) == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_write_what_they_had_queued(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing, sys
from retrue.logger import Fields, InferenceLogger
log = InferenceLogger("m", version="1", to=sys.argv[1], fields=Fields(keep=["x"]), resources_every=None)

def work(number):
    log.record({{"x": number}})

if __name__ == "__main__":
    workers = [multiprocessing.get_context({method!r}).Process(target=work, args=(number,)) for number in range(8)]
    for each in workers: each.start()
    for each in workers: each.join()
    sys.exit(max(each.exitcode for each in workers))
"""
    )
    logs = tmp_path / "logs"
    subprocess.run([sys.executable, str(program), str(logs)], check=True, timeout=60)
    assert sorted(record["features"]["x"] for record in on_disk(logs)) == list(range(8))


def served(url: str, count: int) -> Counter[str]:
    """Ask so many times; return how many answers each worker gave."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers = []
    for number in range(count):
        with opener.open(f"{url}/?{number}", timeout=20) as answer:
            answers.append(answer.read().decode())
    ids = Counter(answers)
    assert max(ids.values()) == 1
    return Counter(answer.rpartition("-")[2] for answer in answers)


def answers(url: str) -> bool:
    try:
        served(url, 1)
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_preloaded_gunicorn_workers_lose_nothing_and_share_no_id(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION)
    logs, url = tmp_path / "logs", f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", str(WORKERS), "-b", url, "application:app"]
    environment = {**os.environ, "LOGS": str(logs)}
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(f"http://{url}"))
        senders = [threading.Thread(target=served, args=(f"http://{url}", REQUESTS // 4)) for _ in range(4)]
        for each in senders:
            each.start()
        for each in senders:
            each.join()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    records = on_disk(logs)
    warming = sum(record["features"]["x"] == "0" for record in records) - 4
    assert warming >= 1
    assert sum(record["features"]["x"] == "preloaded" for record in records) == 1
    assert len(records) == 1 + REQUESTS + warming
    assert len({record["inference_id"] for record in records}) == len(records)
    boots = {record["inference_id"].partition("-")[0] for record in records}
    assert len(boots) == len({record["features"]["pid"] for record in records})
    assert not list(logs.rglob("*.open"))


def test_killed_workers_records_are_there_up_to_the_last_moments(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        """
for number in range(200):
    log.record({"x": number})
log.flush()
print(log.boot, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert done.returncode == -signal.SIGKILL
    assert len(on_disk(tmp_path)) == 200
