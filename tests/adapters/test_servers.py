"""Real servers on loopback: started at most twice each, everything else asked of those."""

import json
import os
import socket
import sqlite3
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrue.adapters import processes, servers
from retrue.adapters.processes import ProcessId, call
from retrue.adapters.servers import Server
from retrue.errors import ServerError


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("state dir")  # the blank is on purpose: it reaches SQLite addresses
    yield folder
    servers.stop_all(folder)


@pytest.fixture(scope="module")
def up(state_dir: Path) -> tuple[Server, Server]:
    return servers.start_servers(state_dir)


def test_both_servers_answer_and_keep_their_state_in_the_folder(up: tuple[Server, Server], state_dir: Path) -> None:
    prefect, mlflow = up
    assert call(f"{prefect.api_url}/health") is True
    experiment = call(f"{mlflow.url}/api/2.0/mlflow/experiments/create", body={"name": "retrue/m"})["experiment_id"]
    found = call(f"{mlflow.url}/api/2.0/mlflow/experiments/get?experiment_id={experiment}")["experiment"]
    assert found["artifact_location"] == f"mlflow-artifacts:/{experiment}"
    assert (state_dir / "prefect" / "prefect.db").exists()
    with sqlite3.connect(state_dir / "mlflow" / "mlflow.db") as database:
        assert ("retrue/m",) in database.execute("SELECT name FROM experiments").fetchall()


def test_the_server_has_the_work_pool_that_deploy_wants(up: tuple[Server, Server]) -> None:
    assert call(f"{up[0].api_url}/work_pools/{servers.WORK_POOL}")["type"] == "process"


def test_a_schedule_makes_runs(up: tuple[Server, Server]) -> None:
    """Prefect 3.8.8 on SQLAlchemy 2.1 logs an error here for ever and never starts a scheduled run."""
    api = up[0].api_url
    flow = call(f"{api}/flows/", body={"name": "scheduled"})["id"]
    daily = {"schedule": {"cron": "15 2 * * *", "timezone": "UTC"}, "parameters": {"model": "m"}}
    deployment = call(f"{api}/deployments/", body={"flow_id": flow, "name": "d", "schedules": [daily]})["id"]
    call(f"{api}/deployments/{deployment}/schedule", body={})
    planned = call(f"{api}/flow_runs/filter", body={"deployments": {"id": {"any_": [deployment]}}})
    assert len(planned) >= 3
    assert {(run["state_name"], run["parameters"]["model"]) for run in planned} == {("Scheduled", "m")}


def test_starting_again_returns_the_running_servers(up: tuple[Server, Server], state_dir: Path) -> None:
    assert servers.start_servers(state_dir) == up


def test_a_worker_reports_and_a_run_it_leaves_is_closed(up: tuple[Server, Server], state_dir: Path) -> None:
    prefect, mlflow = up
    worker = servers.start_worker(state_dir, prefect=prefect, mlflow=mlflow)
    assert [server.name for server in servers.running(state_dir)] == ["worker", "prefect", "mlflow"]
    run = _run_without_a_process(prefect)
    servers.stop(worker)
    assert not processes.alive(worker.process)
    state = call(f"{prefect.api_url}/flow_runs/{run}")["state"]
    assert (state["type"], state["message"]) == ("CRASHED", "its worker was stopped")


def test_stopped_servers_are_gone_and_come_back_on_their_ports(up: tuple[Server, Server], state_dir: Path) -> None:
    assert [server.name for server in servers.stop_all(state_dir)] == ["prefect", "mlflow"]
    assert servers.running(state_dir) == ()
    with pytest.raises(urllib.error.URLError):
        call(f"{up[1].url}/health")
    again = servers.start_mlflow_server(state_dir)
    assert (again.url, again.process != up[1].process) == (up[1].url, True)
    servers.stop(again)


def test_a_server_that_dies_shows_its_last_lines_and_its_log(tmp_path: Path) -> None:
    (tmp_path / "prefect").write_text("a file where its home should be")
    with pytest.raises(ServerError, match="ended before it answered") as caught:
        servers.start_prefect_server(tmp_path)
    assert "prefect" in caught.value.log_path.read_text()
    assert caught.value.log_path.read_text().splitlines()[-1] in str(caught.value)
    assert (caught.value.name, caught.value.log_path) == ("prefect", tmp_path / "server-logs" / "prefect.log")


def test_a_server_that_does_not_answer_in_time_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no answer within 0 s"):
        servers.start_mlflow_server(tmp_path, within_seconds=0)
    assert servers.running(tmp_path) == ()


def test_a_file_left_from_before_a_reboot_neither_runs_nor_is_signalled(tmp_path: Path) -> None:
    mine = ProcessId(pid=os.getpid(), started="another boot:1")
    stale = {
        "name": "prefect",
        "process": {"pid": mine.pid, "started": mine.started},
        "url": "",
        "port": 1,
        "log_path": "",
    }
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "prefect.json").write_text(json.dumps(stale))
    (tmp_path / "servers" / "mlflow.json").write_text("{")
    assert servers.stop_all(tmp_path) == ()
    assert processes.stop(mine, grace_seconds=0)


def test_a_process_that_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork()"
    program = f"{deaf}; print(os.getpid(), flush=True); time.sleep(99)"
    log = tmp_path / "log"
    process = processes.spawn([sys.executable, "-c", program], environment=os.environ, log_path=log)
    assert processes.becomes_ready(process, lambda: len(log.read_text().split()) == 2, within_seconds=20)
    assert processes.stop(process, grace_seconds=0.2)
    assert not processes.alive_pids() & {int(pid) for pid in log.read_text().split()}


def test_what_a_shell_says_about_other_servers_does_not_reach_ours(tmp_path: Path) -> None:
    foreign = {
        "PREFECT_API_KEY": "k",
        "PREFECT_PROFILES_PATH": "/p",
        "MLFLOW_TRACKING_TOKEN": "t",
        "PREFECT__FLOW_RUN_ID": "r",
    }
    kept = {"HOME": "/h", "PREFECT_LOGGING_LEVEL": "DEBUG", "no_proxy": "intranet", "http_proxy": "http://proxy:1"}
    made = processes.child_environment(foreign | kept, prefect_home=tmp_path, urls={"PREFECT_API_URL": "u"})
    assert not foreign.keys() & made.keys()
    assert (
        made.items()
        >= {**processes.QUIET, "HOME": "/h", "PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_API_URL": "u"}.items()
    )
    assert made["NO_PROXY"] == made["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind((processes.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert processes.free_port(preferred=port) not in (0, port)
    assert processes.free_port(preferred=port) == port


def _run_without_a_process(prefect: Server) -> str:
    flow = call(f"{prefect.api_url}/flows/", body={"name": "f"})["id"]
    body = {"flow_id": flow, "work_pool_name": servers.WORK_POOL, "state": {"type": "RUNNING"}}
    run: str = call(f"{prefect.api_url}/flow_runs/", body=body)["id"]
    return run
