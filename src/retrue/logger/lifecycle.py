"""What happens to loggers when their process forks, is told to end, or ends.

The one place with a state of the process: the loggers that are open, and the handlers that were installed for them.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final, Protocol
from weakref import WeakSet

EXIT_SECONDS: Final = 2.0
"""What the end of a process grants all its loggers together."""
TERMINATION_SECONDS: Final = 1.0
"""Likewise SIGTERM."""


class Closable(Protocol):
    """A logger, as it is seen from here."""

    def close(self, timeout: float = ...) -> object:
        """Write what is queued."""

    def _after_fork(self) -> None:
        """Become the logger of a child."""


_open: WeakSet[Closable] = WeakSet()
_watched: set[str] = set()


def watch(logger: Closable) -> None:
    """See that a logger is closed when the process ends, and made anew in a forked child.

    SIGTERM is handled only where nobody handles it yet, and only if this is the main thread: servers such as uvicorn and
    gunicorn install handlers of their own, end in an orderly way, and the logger is closed at exit. A handler installed
    later takes the place of ours.
    """
    _open.add(logger)
    if "fork" not in _watched:
        _watched.add("fork")
        atexit.register(_close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def watch_worker(logger: Closable) -> None:
    """See that a logger is closed at the end of a worker of `multiprocessing`, where `atexit` is not heard."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(logger, _close_all, exitpriority=0)


def _after_fork() -> None:
    for logger in list(_open):
        logger._after_fork()


def _terminated(number: int, frame: FrameType | None) -> None:
    """Write what is queued, then end as the signal would have."""
    _close_all(TERMINATION_SECONDS)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _close_all(timeout: float = EXIT_SECONDS) -> None:
    deadline = time.monotonic() + timeout
    for logger in list(_open):
        logger.close(max(deadline - time.monotonic(), 0.0))
