"""The flows as plain functions, on a project's folder and without any server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flows.backfill import backfill
from flows.baseline import baseline
from flows.digest import digest
from flows.monitor import monitor
from flows.retrain import retrain

from retrue.errors import ConfigError, RetrueError
from tests.stages.project import MODEL, Shop, day, labels, records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project with two days, in its folder, as a worker runs flows."""
    for number in (0, 1):
        rows = records(day(number))
        shop.log([{**row, "features.coupon": 1} for row in rows] if number else rows)
        shop.label(labels(rows))
    monkeypatch.chdir(shop.root)
    return shop


@pytest.mark.parametrize("end", [day(1), datetime(2025, 3, 11)], ids=["aware", "naive"])  # noqa: DTZ001
def test_monitor_ends_with_its_verdict_as_message_and_its_facts_as_data(here: Shop, end: datetime) -> None:
    state = monitor.fn(MODEL, end)
    assert (state.is_completed(), state.message) == (True, "healthy")
    assert (state.data["window_start"], state.data["findings"]) == ("2025-03-10T00:00:00+00:00", [])


def test_a_bad_window_completes_its_run_and_a_broken_set_up_fails_it(here: Shop) -> None:
    state = monitor.fn(MODEL, day(9))
    assert (state.is_completed(), state.message) == (
        True,
        "inconclusive: no rows: the model was idle or its log does not arrive",
    )
    with pytest.raises(ConfigError, match="no model 'other'"):
        monitor.fn("other")


@pytest.mark.parametrize("zone", [UTC, None], ids=["aware", "naive"])
def test_backfill_counts_outcomes(here: Shop, zone: object) -> None:
    state = backfill.fn(MODEL, datetime(2025, 3, 10, tzinfo=zone), datetime(2025, 3, 13, tzinfo=zone))  # type: ignore[arg-type]
    assert (state.is_completed(), state.message) == (True, "3 windows: 2 healthy, 1 inconclusive")
    assert [each["window_start"][:10] for each in state.data] == ["2025-03-10", "2025-03-11", "2025-03-12"]


def test_baseline_freezes_what_was_logged(here: Shop) -> None:
    here.log(records(day(2), version="2"))
    state = baseline.fn(MODEL, datetime(2025, 3, 12), datetime(2025, 3, 13))  # noqa: DTZ001 - as Prefect hands it over
    assert (state.is_completed(), state.message) == (True, "baseline of version 2: 400 rows")


def test_digest_tells_what_is_new_once(here: Shop) -> None:
    monitor.fn(MODEL, day(2))
    assert digest.fn().message == "shop: 1 notes"
    assert digest.fn().message == "nothing new"


def test_retrain_fails_where_there_is_nothing_to_retrain_with(here: Shop) -> None:
    with pytest.raises(RetrueError, match="is not configured"):
        retrain.fn(MODEL, "because")


def test_a_flow_runs_as_a_script_without_a_server(here: Shop) -> None:
    command = [sys.executable, str(ROOT / "flows" / "monitor.py"), MODEL, "--window-end", "2025-03-11"]
    done = subprocess.run(command, cwd=here.root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "healthy\n")
