import ctypes
import json
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retrue.logger.resources import Gpus, Resources
from tests.logger.conftest import OpenLog
from tests.logger.serving import on_disk, wait_for

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_processor_time_is_in_cores_since_the_last_sample() -> None:
    used, at = iter([0, 500, 500]), iter([0, 1_000, 2_000])
    resources = Resources(process_clock=lambda: next(used), wall_clock=lambda: next(at))
    assert resources.sample()["cpu_cores"] == 0.5
    assert resources.sample()["cpu_cores"] == 0.0


SAMPLED = """
import json, os, socket, sys
from retrue.logger.resources import Resources
resources = Resources()
resources.sample()
before = resources.sample()
ballast = bytearray(os.urandom(2**20) * 64)
with socket.create_server(("127.0.0.1", 0)), open(sys.executable, "rb"):
    print(json.dumps([before, resources.sample()]))
"""


@needs_proc
def test_memory_files_connections_and_threads_are_those_of_this_process() -> None:
    """A process of its own: in that of the tests, other threads open files meanwhile."""
    done = subprocess.run([sys.executable, "-c", SAMPLED], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert after["rss_bytes"] - before["rss_bytes"] > 2**25
    assert after["open_files"] == before["open_files"] + 2
    assert after["connections"] == before["connections"] + 1
    assert after["threads"] == 1


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    assert set(Resources(proc=tmp_path).sample()) <= {"cpu_cores", "threads", "gpu_share", "gpu_memory_bytes"}
    (tmp_path / "statm").write_text("nonsense")
    (tmp_path / "task").mkdir()
    assert "rss_bytes" not in Resources(proc=tmp_path).sample()


def nvml(*, loads: list[int], fails: tuple[str, ...] = ()) -> Any:
    """A library that answers as libnvidia-ml does, through pointers."""

    def answering(name: str, answer: Any) -> Any:
        return lambda *arguments: 999 if name in fails else answer(*arguments)

    def counted(pointer: Any) -> int:
        pointer._obj.value = len(loads)
        return 0

    def handle(number: int, pointer: Any) -> int:
        pointer._obj.value = number + 1
        return 0

    def load(device: ctypes.c_void_p, pointer: Any) -> int:
        pointer._obj[0] = loads[(device.value or 0) - 1]
        return 0

    def memory(device: ctypes.c_void_p, pointer: Any) -> int:
        pointer._obj[:] = [100, 70, 30]
        return 0

    answers = {
        "nvmlDeviceGetCount_v2": counted,
        "nvmlDeviceGetHandleByIndex_v2": handle,
        "nvmlDeviceGetUtilizationRates": load,
        "nvmlDeviceGetMemoryInfo": memory,
    }
    return SimpleNamespace(**{name: answering(name, answer) for name, answer in answers.items()})


def test_busiest_gpu_and_the_memory_of_all_are_told() -> None:
    assert Gpus(nvml(loads=[10, 95])).sample() == {"gpu_share": 0.95, "gpu_memory_bytes": 60}


@pytest.mark.parametrize(
    "fails", ["nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUtilizationRates"]
)
def test_gpu_that_does_not_answer_is_left_out(fails: str) -> None:
    assert Gpus(nvml(loads=[10], fails=(fails,))).sample() == {}
    assert Gpus(nvml(loads=[])).sample() == {}


def test_samples_are_written_beside_the_loggers_own_gauges(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(resources_every=0.1, sample=0.0)
    log.record({})
    for number in range(3):
        log.record({}, error=ValueError(number))
    samples = wait_for(lambda: [each for each in on_disk(tmp_path / "resources") if each["accepted"] == 3])
    assert samples[0]["cpu_cores"] >= 0
    assert samples[0]["sampled_out"] == 1
    assert samples[0]["dropped"] == samples[0]["shed"] == 0
    assert abs(samples[0]["time"] - time.time_ns()) < 60e9
    log.close()
    numbers = [each["seq"] for each in on_disk(tmp_path / "resources")]
    assert numbers == [number for number, _ in zip(count(1), numbers, strict=False)]


def test_no_sample_is_taken_where_none_is_wanted(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(resources_every=None)
    log.record({})
    log.close()
    assert not (tmp_path / "resources").exists()
