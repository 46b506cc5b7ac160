"""What the serving process uses: processor, memory, files, connections, threads, and GPUs where NVIDIA's library answers.

Read from `/proc` on Linux; elsewhere, and where something cannot be read, a gauge is left out. ctypes is imported by the
first sample: a logger is imported faster without it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

DESCRIPTORS_LOOKED_AT: Final = 4_096
"""Of more open files the connections are not counted."""
_GPUS_MAX = 16
_GPU = 0  # of nvmlUtilization_t: gpu, memory
_USED = 2  # of nvmlMemory_t: total, free, used


class Resources:
    """Gauges of this process.

    Args:
        process_clock: Processor time of the process so far, in ns.
        wall_clock: Time in ns, for intervals.
        proc: The process's folder in `/proc`.
    """

    def __init__(
        self,
        *,
        process_clock: Callable[[], int] = time.process_time_ns,
        wall_clock: Callable[[], int] = time.monotonic_ns,
        proc: Path = Path("/proc/self"),
    ) -> None:
        self._process_clock, self._wall_clock, self._proc = process_clock, wall_clock, proc
        self._used, self._at = process_clock(), wall_clock()
        self._gpus: Gpus | None = None

    def sample(self) -> dict[str, float | int]:
        """Return the gauges that can be read.

        `cpu_cores` is the mean number of cores in use since the last sample, so 1.0 is one core's whole time; `rss_bytes`,
        `open_files`, `connections` (open sockets), `threads`; `gpu_share` (busiest GPU, 0–1) and `gpu_memory_bytes` (in use on
        all GPUs, by whomever).
        """
        gauges: dict[str, float | int] = {"cpu_cores": self._cpu_cores(), "threads": threading.active_count()}
        gauges |= self._memory() | self._files() | self._gpu()
        return gauges

    def _cpu_cores(self) -> float:
        used, at = self._process_clock(), self._wall_clock()
        share = (used - self._used) / max(at - self._at, 1)
        self._used, self._at = used, at
        return round(share, 4)

    def _memory(self) -> dict[str, int]:
        try:
            pages = int((self._proc / "statm").read_bytes().split()[1])
            threads = len(os.listdir(self._proc / "task"))  # noqa: PTH208 - names are enough
        except (OSError, ValueError, IndexError):
            return {}
        return {"rss_bytes": pages * os.sysconf("SC_PAGE_SIZE"), "threads": threads}

    def _files(self) -> dict[str, int]:
        folder = self._proc / "fd"
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names are enough
        except OSError:
            return {}
        if len(names) > DESCRIPTORS_LOOKED_AT:
            return {"open_files": len(names)}
        return {"open_files": len(names), "connections": sum(_is_socket(folder / name) for name in names)}

    def _gpu(self) -> dict[str, float | int]:
        if self._gpus is None:
            self._gpus = Gpus()
        return self._gpus.sample()


class Gpus:
    """NVIDIA's GPUs through `libnvidia-ml`, which comes with the driver; without it there are none.

    Args:
        library: The library with its `nvml…` functions; None: that of the system.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library or _nvml()
        self._devices = _devices(self._library) if self._library else []

    def sample(self) -> dict[str, float | int]:
        """Return the gauges, none without a GPU that answers."""
        import ctypes

        loads, used = [], 0
        for device in self._devices:
            load, memory = (ctypes.c_uint * 2)(), (ctypes.c_ulonglong * 3)()
            if self._library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(load)) == 0:
                loads.append(load[_GPU] / 100)
            if self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0:
                used += memory[_USED]
        return {"gpu_share": max(loads), "gpu_memory_bytes": used} if loads else {}


def _nvml() -> Any:
    import ctypes

    try:
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None


def _devices(library: Any) -> list[Any]:
    import ctypes

    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    devices = []
    for number in range(min(count.value, _GPUS_MAX)):
        device = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)) == 0:
            devices.append(device)
    return devices


def _is_socket(path: Path) -> bool:
    try:
        return os.readlink(path).startswith("socket:")  # noqa: PTH115 - no real path
    except OSError:
        return False
