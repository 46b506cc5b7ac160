"""How a process ends, and what is on disk then."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.logger.conftest import PREAMBLE, OpenLog, RunProgram
from tests.logger.serving import on_disk, wait_for

LOGGED = 'for number in range(300): log.record({"x": number})\n'


def values(root: Path) -> list[object]:
    return [record["features"].get("x") for record in on_disk(root)]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError", 1),
        ("import atexit; atexit.register(lambda: None)", 0),
        ("threading.Thread(target=lambda: (time.sleep(0.2), log.record({'x': 300}))).start()", 0),
        ("sys.setswitchinterval(10)", 0),
    ],
)
def test_process_that_ends_by_itself_leaves_nothing_behind(
    ending: str, code: int, run_program: RunProgram, tmp_path: Path
) -> None:
    done = run_program(LOGGED + ending)
    assert done.returncode == code
    assert values(tmp_path)[:300] == list(range(300))
    assert len(on_disk(tmp_path)) == 300 + ("300" in ending)
    assert not list(tmp_path.rglob("*.open"))
    assert "retrue" not in done.stderr


def test_exception_at_the_top_is_in_the_log(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program("with log.observe({'x': 1}):\n    raise KeyboardInterrupt")
    assert done.returncode != 0
    (record,) = on_disk(tmp_path)
    assert record["error_type"] == "KeyboardInterrupt"


def test_records_of_finalisers_at_the_very_end_raise_nothing(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        """
class Resource:
    def __del__(self, log=log):
        log.record({"x": "gone"})
        with log.observe({}) as call:
            call.predicted(1)
kept = Resource()
kept.itself = kept
log.record({"x": 1})
"""
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert values(tmp_path) == [1]


def test_sigterm_writes_what_is_queued_and_ends_the_process_as_ever(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(LOGGED + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)")
    assert done.returncode == -signal.SIGTERM
    assert values(tmp_path) == list(range(300))


def test_handler_of_the_host_is_left_alone_and_the_end_is_orderly(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        """
log.close()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
log = InferenceLogger("m", version="1", to=sys.argv[1], fields=Fields(keep=["x"]), resources_every=None)
"""
        + LOGGED
        + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)"
    )
    assert done.returncode == 7
    assert values(tmp_path) == list(range(300))


def test_ignored_sigterm_stays_ignored(run_program: RunProgram) -> None:
    done = run_program(
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
log = InferenceLogger("m", version="1", to=sys.argv[1] + "/b", resources_every=None)
os.kill(os.getpid(), signal.SIGTERM)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
"""
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_logger_made_in_a_thread_installs_no_handler(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        """
signal.signal(signal.SIGTERM, signal.SIG_DFL)
def serve():
    made = InferenceLogger("m", version="1", to=sys.argv[1] + "/b", fields=Fields(keep=["x"]), resources_every=None)
    made.record({"x": 1})
thread = threading.Thread(target=serve); thread.start(); thread.join()
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_sigterm_during_a_close_neither_hangs_nor_loses(run_program: RunProgram, tmp_path: Path) -> None:
    done = run_program(
        LOGGED
        + """
threading.Timer(0.01, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
for _ in range(50): log.close(0.05); time.sleep(0.01)
"""
    )
    assert done.returncode == -signal.SIGTERM
    assert values(tmp_path) == list(range(300))


def test_sigterm_from_outside_while_a_server_serves(tmp_path: Path) -> None:
    program = PREAMBLE + "while True: log.record({'x': 1}); time.sleep(0.0005)"
    server = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(on_disk(tmp_path)) > 50)
    server.terminate()
    _, said = server.communicate(timeout=20)
    assert (server.returncode, said) == (-signal.SIGTERM, "")
    numbers = [record["seq"] for record in on_disk(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not list(tmp_path.rglob("*.open"))


def test_close_in_the_drains_own_thread_and_twice_at_once_is_harmless(open_log: OpenLog) -> None:
    log = open_log()
    log.record({})
    log.flush()
    log._intake.drain._sample = lambda: log.close(5.0)  # type: ignore[assignment]
    log._intake.drain._sample_at = 0.0
    log.record({})
    wait_for(lambda: log._intake.drain.finished)
    began = time.monotonic()
    assert log.close(10.0).on_disk == 2
    assert time.monotonic() - began < 10.0


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 1e-9, float("inf")])
def test_any_number_of_seconds_may_be_given(timeout: float, open_log: OpenLog) -> None:
    log = open_log()
    log.record({})
    log.flush(timeout)
    log.close(timeout)
    assert log.close(20.0).on_disk == 1
