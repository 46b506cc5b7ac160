"""The benchmark runs at a small size and writes what it promises; how long anything takes is not looked at."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from benchmarks.generate import FEATURES
from benchmarks.project import suite
from benchmarks.window import ROOT

ENTRY = {"subject", "rows", "columns", "seconds", "peak_bytes", "versions"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What a small run prints and writes."""
    output = tmp_path_factory.mktemp("bench") / "made" / "window.json"
    options = ["--rows", "2000", "--repeats", "1", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.window", *options],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(output.read_bytes())


def test_results_are_one_entry_per_subject_and_size(run: tuple[str, list[dict[str, Any]]]) -> None:
    _, entries = run
    assert [(entry["subject"], entry["rows"]) for entry in entries] == [
        ("retrue", 2000),
        ("peers", 2000),
        ("floor", 2000),
    ]
    for entry in entries:
        assert set(entry) == ENTRY
        assert entry["columns"] == len(FEATURES) == 25
        assert entry["seconds"] > 0
        assert entry["versions"]["duckdb"]


def test_peak_of_memory_is_that_of_each_subject_alone(run: tuple[str, list[dict[str, Any]]]) -> None:
    _, entries = run
    peak = {entry["subject"]: entry["peak_bytes"] for entry in entries}
    assert 10**7 < peak["floor"] < min(peak["retrue"], peak["peers"])


def test_every_step_of_monitoring_is_measured(run: tuple[str, list[dict[str, Any]]]) -> None:
    printed, _ = run
    (line,) = [line for line in printed.splitlines() if line.startswith("retrue at 2,000 rows")]
    for step in ("pull", "profile", "validate", "drift", "performance", "commit"):
        assert f"{step} " in line


def test_suite_has_55_expectations_that_great_expectations_keeps() -> None:
    import great_expectations as gx

    assert len(gx.ExpectationSuite(**suite(1000)).expectations) == 55
