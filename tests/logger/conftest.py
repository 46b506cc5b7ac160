"""What the tests of the logger share: loggers that are closed again, and programs that run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retrue.logger import Fields, InferenceLogger

OpenLog = Callable[..., InferenceLogger]
RunProgram = Callable[..., "subprocess.CompletedProcess[str]"]

PREAMBLE = """
import os, signal, sys, threading, time
from retrue.logger import ACCEPTED, CLOSED, SAMPLED_OUT, SHED, Fields, InferenceLogger, Queues
log = InferenceLogger("m", version="1", to=sys.argv[1], fields=Fields(keep=["x"]), resources_every=None)
"""


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    """Open loggers of a model `m` into the test's folder; they are closed at its end."""
    opened = []

    def open_one(**options: Any) -> InferenceLogger:
        chosen = {"version": "1", "to": tmp_path, "fields": Fields(keep=["x"]), "resources_every": None, **options}
        opened.append(InferenceLogger("m", **chosen))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    """Run a program that finds a logger `log`, into the test's folder, beside the usual imports."""

    def run(program: str, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PREAMBLE + program, str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return run
