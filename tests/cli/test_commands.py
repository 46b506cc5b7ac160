"""Every command: what it promises in its help, what it loads, and that a refusal is one line on stderr with exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from retrue import __version__
from retrue.cli import app
from tests.cli.run import run, run_json
from tests.stages.project import MODEL, Shop, day, records

HEAVY = (
    "pandas", "numpy", "pyarrow", "mlflow", "prefect", "sqlalchemy", "ibis", "duckdb", "great_expectations", "evidently",
    "sklearn", "scipy", "skops", "jinja2",
)  # fmt: skip
WITHOUT_JSON = {("demo",)}  # it is a story for people, and writes .retrue/demo.json


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (COMMANDS[path].help or "").split(".")[0].split("\n")[0][:40] in " ".join(result.stdout.split())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_speaks_json_and_takes_a_projects_folder(path: tuple[str, ...]) -> None:
    options = {name for option in COMMANDS[path].params for name in option.opts}
    assert ("--json" in options) is (path not in WITHOUT_JSON)
    assert "--project" in options or path == ("init",)


def test_the_commands_that_the_design_names_are_there() -> None:
    assert {" ".join(path) for path in COMMANDS} >= {
        "init", "up", "down", "demo", "baseline", "monitor", "backfill", "status", "retrain", "rollback",
        "incidents list", "incidents ack", "incidents mute",
    }  # fmt: skip


def test_without_a_command_the_help_is_shown() -> None:
    assert "Exit codes: 0 healthy, 1 breached, 2 inconclusive" in " ".join(run("--help").stdout.split())
    assert run("--version").stdout == f"retrue {__version__}\n"
    assert run("monitr").exit_code == 2


@pytest.mark.parametrize("argv", [None, ["--help"], ["monitor", "--help"], ["incidents", "--help"]], ids=str)
def test_help_and_import_load_no_tool(argv: list[str] | None) -> None:
    """In an interpreter of its own: this one has loaded everything."""
    call = "import retrue.cli; retrue.cli.app(sys.argv[1:], standalone_mode=False)" if argv else "import retrue"
    script = f"import sys\n{call}\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *(argv or [])], capture_output=True, text=True, check=True)
    assert set(HEAVY).isdisjoint(done.stderr.split())
    assert "retrue" in done.stderr.split()


def test_the_installed_command_judges_a_window_in_a_process_of_its_own(shop: Shop) -> None:
    shop.log([{**row, "features.age": None} for row in records(day(0))])
    command = [str(Path(sys.executable).parent / "retrue"), "monitor", MODEL, "--window-end", "2025-03-11", "--json"]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["verdict"] == "breached"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["monitor", "shpo"], "no model 'shpo' (did you mean 'shop'?): it watches shop"),
        (["monitor", MODEL, "--window-end", "2025-03-10T06:00Z"], "windows end every 1 day"),
        (["monitor", MODEL, "--window-end", "soon"], "a time is written 2013-04-04"),
        (["status", "shpo"], "no model 'shpo'"),
        (["baseline", MODEL, "--version", "9"], "no records of shop"),
        (["baseline", MODEL, "--start", "2025-03-02", "--end", "2025-03-01"], "starts before it ends"),
        (["retrain", MODEL], "models.shop.retrain: is not configured"),
        (["retrain", MODEL, "--cancel", "shop:x:1"], "no retraining request 'shop:x:1'"),
        (["rollback", MODEL], "shop has no version to go back to from 1"),
        (["rollback", "shpo"], "no model 'shpo'"),
        (["incidents", "ack", "nothing"], "no incident begins with 'nothing'"),
        (["incidents", "mute", "nothing", "--reason", "x"], "no incident begins with 'nothing'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refusal_is_one_line_on_stderr_or_json(shop: Shop, arguments: list[str], said: str) -> None:
    result = run(*arguments, "-C", shop.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("retrue: ")
    assert said in result.stderr
    code, facts = run_json(*arguments, "-C", shop.root)
    assert (code, set(facts)) == (2, {"error", "message"})
    assert said in facts["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "retrue.yaml: no such file: run `retrue init` or change to the project's folder"),
        ("", "retrue.yaml:1: the file is empty"),
        ("version: 1\nmodels:\n  shop: {task: binary, logs: {uri: x}, windw: {}}\n", "unknown key (did you mean 'window'?)"),
        ("version: 1\nledger: sqlite:////proc/nothing/ledger.db\nmodels: {shop: {task: binary, logs: {uri: x}}}\n", "ledger"),
    ],
    ids=["no file", "empty", "typo", "no ledger"],
)  # fmt: skip
def test_settings_that_are_refused_say_where(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "retrue.yaml").write_text(content)
    result = run("status", "-C", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


@pytest.mark.parametrize("option", [["--start", "yesterday", "--end", "2025-03-11"], ["--start", "2025-03-10"]])
def test_options_that_are_no_times_are_usage_errors(shop: Shop, option: list[str]) -> None:
    result = run("backfill", MODEL, *option, "-C", shop.root)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_down_stops_nothing_where_nothing_runs(tmp_path: Path) -> None:
    assert run("down", "-C", tmp_path).stdout == "nothing runs here\n"
    assert run_json("down", "-C", tmp_path) == (0, {"stopped": []})


def test_the_demo_runs_in_its_repository_only(tmp_path: Path) -> None:
    result = run("demo", "-C", tmp_path)
    assert result.exit_code == 2
    assert "the demo runs in retrue's own repository" in result.stderr
