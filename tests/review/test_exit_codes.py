"""A command that breaks must not read as a verdict: exit code 1 means breached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from retrue.cli import app
from retrue.cli.output import CANNOT, application, refusals
from tests.stages.project import Shop


def broken_app(*, as_json: bool) -> typer.Typer:
    app = application()

    @app.command()
    def work() -> None:
        with refusals(as_json=as_json):
            raise KeyError("a bug")

    @app.command()
    def leave() -> None:
        with refusals(as_json=as_json):
            raise typer.Exit(0)

    return app


def test_a_bug_is_cannot_run_and_not_breached() -> None:
    done = CliRunner().invoke(broken_app(as_json=False), ["work"])
    assert done.exit_code == CANNOT
    assert "KeyError" in done.output


def test_a_bug_is_json_for_programs() -> None:
    done = CliRunner().invoke(broken_app(as_json=True), ["work"])
    assert (done.exit_code, json.loads(done.stdout)["error"]) == (CANNOT, "KeyError")


def test_an_exit_code_of_the_command_itself_passes() -> None:
    assert CliRunner().invoke(broken_app(as_json=False), ["leave"]).exit_code == 0


def test_a_user_without_a_name_can_still_act(monkeypatch: pytest.MonkeyPatch) -> None:
    from retrue.cli.output import author

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_001)  # as in a container that runs under a number
    assert author() == "uid 2000000001"


def test_hints_name_commands_that_exist() -> None:
    source = Path("src/retrue/ledger/incidents.py").read_text()
    assert "`retrue incidents`" not in source


def test_a_model_that_was_never_judged_is_not_healthy(shop: Shop) -> None:
    assert CliRunner().invoke(app, ["status", "-C", str(shop.root)]).exit_code == CANNOT
