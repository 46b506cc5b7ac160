"""Ended flow runs of ours go with artifacts and logs from a real Prefect server; young, running and foreign ones stay."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.stages.project import DAY, MODEL, Shop, day, recorders, records

from retrue.adapters import purge_prefect
from retrue.adapters.processes import call
from retrue.adapters.purge_prefect import EndedRun, FlowRuns
from retrue.adapters.servers import Server, client_environment, start_prefect_server, stop
from retrue.errors import DeliveryError
from retrue.stages.purge import Purged, find_expired, purge

ROOT = Path(__file__).parents[2]
KEPT = 30 * DAY
CANARY = "canary-of-a-category"
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prefect server of these tests' own."""
    started = start_prefect_server(tmp_path_factory.mktemp("prefect"))
    yield started
    stop(started)


@pytest.fixture
def ask(server: Server) -> Callable[..., Any]:
    return lambda path, body=None: call(f"{server.api_url}/{path}", body=body)


@pytest.fixture
def make(ask: Callable[..., Any]) -> Callable[..., str]:
    """Make a flow run with a log line and an artifact, in a state, as Prefect's own client does."""

    def run(flow: str, *, state: str = "COMPLETED", tags: tuple[str, ...] = ("retrue",), **parameters: object) -> str:
        flow_id = ask("flows/", {"name": flow})["id"]
        made = ask("flow_runs/", {"flow_id": flow_id, "tags": tags, "parameters": parameters})["id"]
        ask(f"flow_runs/{made}/set_state", {"state": {"type": "RUNNING"}, "force": True})
        line = {
            "name": "retrue",
            "level": 20,
            "message": CANARY,
            "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        _post(ask, "logs/", [{**line, "flow_run_id": made}])
        ask("artifacts/", {"key": f"{flow}-x", "type": "markdown", "data": CANARY, "flow_run_id": made})
        if state != "RUNNING":
            ask(f"flow_runs/{made}/set_state", {"state": {"type": state}, "force": True})
        return str(made)

    return run


def _post(ask: Callable[..., Any], path: str, body: Any) -> None:
    try:
        ask(path, body)
    except json.JSONDecodeError:  # an answer without a body
        return


@pytest.fixture
def kept(shop: Shop, server: Server, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The project on this server, keeping flow runs for 30 days."""
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    keep(shop, prefect="30d")
    return shop


def keep(shop: Shop, **retention: str | None) -> None:
    document = yaml.safe_load((shop.root / "retrue.yaml").read_text())
    (shop.root / "retrue.yaml").write_text(yaml.safe_dump({**document, "retention": retention}))


def purged(shop: Shop, end: datetime) -> Purged:
    """Purge when what ended before a time has been kept for as long as it is to be."""
    with shop.open(now=end + KEPT, carriers=recorders()) as workspace:
        (done,) = purge(workspace)
    return done


def monitor(shop: Shop, server: Server) -> str:
    """Run flows/monitor.py as a program, as a person or a cron job does, and return its flow run's id."""
    shop.log(
        [
            {**row, "features.country": CANARY if number == 7 else row["features.country"]}
            for number, row in enumerate(records(day(0)))
        ]
    )
    environment = client_environment(shop.root / ".retrue", prefect_api_url=server.api_url)
    command = [sys.executable, str(ROOT / "flows" / "monitor.py"), MODEL, "--window-end", "2025-03-11"]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        command, cwd=shop.root, env={**environment, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with shop.open() as workspace:
        url = workspace.ledger.latest(MODEL)[0].flow_run_url
    return url.rpartition("/")[2]


def left_of(ask: Callable[..., Any], run: str) -> dict[str, int]:
    """What every listing of the API shows of a flow run."""
    of_run = {"flow_run_id": {"any_": [run]}}
    return {
        "runs": len(ask("flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})),
        "tasks": len(ask("task_runs/filter", {"task_runs": of_run})),
        "logs": len(ask("logs/filter", {"logs": of_run})),
        "artifacts": len(ask("artifacts/filter", {"artifacts": of_run})),
        "latest": len(ask("artifacts/latest/filter", {"artifacts": of_run})),
    }


def rows_of(server: Server, run: str) -> int:
    """Rows of a flow run in the server's own tables, orphans too."""
    database = server.log_path.parents[1] / "prefect" / "prefect.db"
    tables = {
        "flow_run": "id",
        **dict.fromkeys(("task_run", "flow_run_state", "log", "artifact", "artifact_collection"), "flow_run_id"),
    }
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return sum(
            connection.execute(
                f"SELECT count(*) FROM {table} WHERE replace({column}, '-', '') = ?", [run.replace("-", "")]
            ).fetchone()[0]
            for table, column in tables.items()
        )


def test_an_ended_run_of_ours_is_gone_from_every_listing(
    kept: Shop, server: Server, ask: Callable[..., Any], make: Callable[..., str]
) -> None:
    old, foreign = monitor(kept, server), make("monitor", tags=(), model=MODEL)
    assert all(left_of(ask, old).values()), left_of(ask, old)
    assert rows_of(server, old) > 9
    time.sleep(0.01)
    moment = datetime.now(UTC)
    young = make("monitor", model=MODEL)
    done = purged(kept, moment)
    assert (done.counts["flow_runs"], done.problems) == (1, ())
    assert not any(left_of(ask, old).values()), left_of(ask, old)
    assert rows_of(server, old) == 0
    assert all(left_of(ask, each)["runs"] and left_of(ask, each)["logs"] for each in (young, foreign))
    with kept.open() as workspace:
        assert workspace.ledger.latest(MODEL)[0].flow_run_url == "", "a link that leads nowhere is forgotten"
        receipt = workspace.ledger.purges.list(MODEL)[0]
    assert (receipt.planned["flow_runs"], receipt.removed["flow_runs"]) == (1, 1)
    assert purged(kept, moment).counts["flow_runs"] == 0


def test_only_ended_runs_of_our_flows_and_models_go(
    kept: Shop, ask: Callable[..., Any], make: Callable[..., str]
) -> None:
    ours = [make("monitor", state=state, model=MODEL) for state in ENDED]
    ours += [make(flow, model=MODEL) for flow in ("backfill", "baseline", "retrain")] + [make("doctor"), make("purge")]
    stay = [
        make("monitor", state="RUNNING", model=MODEL),
        make("monitor", model="another-project"),
        make("monitor", tags=("production",), model=MODEL),
        make("etl", model=MODEL),
    ]
    flow_id = ask("flows/", {"name": "monitor"})["id"]
    planned = {"flow_id": flow_id, "tags": ["retrue"], "parameters": {"model": MODEL}, "state": {"type": "SCHEDULED"}}
    stay.append(ask("flow_runs/", planned)["id"])
    with kept.open(now=datetime.now(UTC) + KEPT) as workspace:
        (found,) = find_expired(workspace)
    assert found.flow_runs is not None
    assert {str(run.id) for run in found.flow_runs} >= set(ours)
    assert not {str(run.id) for run in found.flow_runs} & set(stay)
    done = purged(kept, datetime.now(UTC))
    assert (done.counts["flow_runs"], done.problems) == (len(found.flow_runs), ())
    assert not any(sum(left_of(ask, run).values()) for run in ours)
    assert all(left_of(ask, run)["runs"] for run in stay)


def test_a_removal_that_was_killed_on_the_way_is_completed_by_the_next(
    kept: Shop, ask: Callable[..., Any], make: Callable[..., str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    purged(kept, datetime.now(UTC))
    runs = [make("monitor", model=MODEL) for _ in range(3)]
    monkeypatch.setattr(purge_prefect, "PAGE", 2)
    found = FlowRuns(server.api_url).ended_before(datetime.now(UTC), [MODEL])
    assert len(found) == 3, "more than a page"
    removal = FlowRuns(server.api_url).remove(found, forget=lambda _: None)
    next(removal)
    removal.close()
    of_second = ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [runs[1]]}}})
    _delete(server, f"artifacts/{of_second[0]['id']}")
    assert purged(kept, datetime.now(UTC)).counts["flow_runs"] == 2
    assert not any(sum(left_of(ask, run).values()) for run in runs)


def _delete(server: Server, path: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{server.api_url}/{path}", method="DELETE")).close()


def test_a_run_that_somebody_else_removed_counts_as_gone(server: Server) -> None:
    from uuid import uuid4

    ghost = EndedRun(id=uuid4(), model=MODEL)
    assert list(FlowRuns(server.api_url).remove([ghost], forget=lambda _: None)) == [ghost]


def test_null_keeps_flow_runs_for_ever(kept: Shop, ask: Callable[..., Any], make: Callable[..., str]) -> None:
    run = make("monitor", model=MODEL)
    keep(kept, prefect=None)
    assert purged(kept, datetime.now(UTC) + 4000 * DAY).problems == ()
    assert left_of(ask, run)["runs"] == 1


# ---------------------------------------------------------------- no server, or one that is none


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"


@pytest.fixture
def another_kind() -> Iterator[str]:
    """A web server that is not Prefect's."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        do_GET = do_POST  # noqa: N815 - the names http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/api"
        serving.shutdown()


@pytest.mark.parametrize("place", ["refused", "silent", "another_kind", "http://[not an address"])
def test_a_server_that_does_not_answer_is_a_problem_within_seconds(
    shop: Shop, place: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = {"refused": "http://127.0.0.1:9/api"}.get(place) or (
        request.getfixturevalue(place) if "/" not in place else place
    )
    monkeypatch.setenv("PREFECT_API_URL", address)
    monkeypatch.setattr(purge_prefect, "REQUEST_SECONDS", 0.5)
    started = time.monotonic()
    done = purged(shop, datetime.now(UTC))
    assert len(done.problems) == 1
    assert done.problems[0].startswith("flow runs: Prefect did not answer as it should")
    assert time.monotonic() - started < 15


def test_without_a_server_expired_flow_runs_are_a_problem_and_none_is_none(shop: Shop) -> None:
    shop.log(records(day(0)))
    shop.judge(0, carriers=recorders())
    judged_at = day(41)
    with shop.open(now=judged_at + 91 * DAY, carriers=recorders()) as workspace:
        assert purge(workspace)[0].problems == ()
        with workspace.ledger._store.write() as connection:
            connection.exec_driver_sql("UPDATE retrue_revisions SET flow_run_url = 'http://x/flow-runs/flow-run/1'")
        assert purge(workspace)[0].problems == (
            "1 flow runs of shop have expired, and no Prefect server is configured",
        )
    with shop.open(now=judged_at + timedelta(days=80), carriers=recorders()) as workspace:
        assert purge(workspace)[0].problems == ()


def test_a_time_that_somebody_set_cannot_be_kept_without_a_server(shop: Shop) -> None:
    keep(shop, prefect="30d")
    assert purged(shop, day(1)).problems == (
        "retention.prefect ends flow runs of shop, and no Prefect server is configured",
    )


def test_a_slow_server_leaves_the_rest_to_the_next_purge(
    server: Server, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make("monitor", model="slow")
    found = FlowRuns(server.api_url).ended_before(datetime.now(UTC), ["slow"])
    monkeypatch.setattr(purge_prefect, "REMOVAL_SECONDS", -1.0)
    with pytest.raises(DeliveryError, match="flow runs are left to the next purge"):
        list(FlowRuns(server.api_url).remove(found, forget=lambda _: None))
