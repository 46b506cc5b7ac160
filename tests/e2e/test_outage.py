"""What goes on without a server, and what is made up for when it is back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrue.adapters import servers
from tests.e2e.harbour import Json
from tests.e2e.project import CHANGED_BACK, DAY, MODEL, add_late_rows
from tests.e2e.story import Story, told

pytestmark = pytest.mark.timeout(600)  # whoever comes first plays the story: 70 s on two quiet cores

END = CHANGED_BACK + DAY
_PROC = Path("/proc")


def waiting(story: Story) -> dict[str, Any]:
    (standing,) = json.loads(story.harbour.command("retrue", "status", MODEL, "--json", codes=(0, 1, 2)))
    found: dict[str, Any] = standing["waiting"]
    return found


@pytest.fixture(scope="module")
def outage(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, dict[str, Json]]:
    """A bad day judged, and a day judged before asked for again, while MLflow is down; MLflow is back at the end."""
    story = told(pytestconfig, tmp_path_factory)
    harbour = story.harbour
    servers.stop(harbour.server("mlflow"))
    bad = harbour.start("monitor", model=MODEL, window_end=END.isoformat())
    known = harbour.start("monitor", model=MODEL, window_end=CHANGED_BACK.isoformat())
    runs = {"bad": harbour.finish(bad), "known": harbour.finish(known)}
    left = waiting(story)
    servers.start_mlflow_server(harbour.state)
    return story, {**runs, "waiting": left}


def test_a_verdict_and_its_message_go_out_while_mlflow_is_down(outage: tuple[Story, dict[str, Json]]) -> None:
    story, found = outage
    assert found["bad"]["state_type"] == "COMPLETED"
    assert found["bad"]["state"]["message"].startswith("breached: performance.drop(roc_auc)")
    told_of_it = [message for message in story.messages if f"{CHANGED_BACK:%Y-%m-%d}" in message["subject"]]
    assert [message["subject"].split(":")[0] for message in told_of_it] == [f"[critical] {MODEL} 2025-03-09"]


def test_the_record_waits(outage: tuple[Story, dict[str, Json]]) -> None:
    assert outage[1]["waiting"] == {"record": 1}


def test_a_window_judged_before_can_be_asked_for_while_mlflow_is_down(outage: tuple[Story, dict[str, Json]]) -> None:
    run = outage[1]["known"]
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "healthy")


def test_the_next_run_delivers_what_waited(outage: tuple[Story, dict[str, Json]]) -> None:
    story, _ = outage
    story.harbour.let_retries_come()
    run = story.harbour.run("monitor", model=MODEL, window_end=END.isoformat())
    assert run["state_type"] == "COMPLETED"
    assert waiting(story) == {}
    recorded = story.harbour.window_run(MODEL, CHANGED_BACK)
    assert (recorded["status"], recorded["tags"]["retrue.verdict"]) == ("FINISHED", "breached")


def test_down_leaves_no_process_and_a_window_is_judged_without_any_server(
    outage: tuple[Story, dict[str, Json]],
) -> None:
    story, _ = outage
    harbour = story.harbour
    stopped = json.loads(harbour.command("retrue", "down", "--json"))["stopped"]
    assert (set(stopped), servers.running(harbour.state)) == ({"prefect", "mlflow", "worker"}, ())
    assert not using(harbour.state)
    add_late_rows(harbour.folder, CHANGED_BACK)
    assert harbour.script("monitor", MODEL, window_end=END).startswith("breached: performance.drop(roc_auc)")
    assert not list(harbour.home.rglob("*.db"))
    again = json.loads(
        harbour.command("retrue", "monitor", MODEL, "--window-end", f"{END:%Y-%m-%d}", "--json", codes=(1,))
    )
    assert (again["revision"], again["new"], again["mlflow_run_id"]) == (2, False, None)
    assert waiting(story) == {"record": 1, "event": 1}
    assert not using(harbour.state)


def using(state: Path) -> list[str]:
    """The processes that were started with this folder as their Prefect home, where the system shows them."""
    mark = f"PREFECT_HOME={state}".encode()
    return [each.name for each in _PROC.glob("[0-9]*") if mark in _environment(each)]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended meanwhile, or belongs to somebody else
        return b""
