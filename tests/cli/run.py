"""Running commands in this process, as a person would type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from retrue.cli import app


def run(*arguments: str | Path) -> Result:
    """Run a command; anything but an exit with a code is a bug and comes out."""
    result = CliRunner(env={"COLUMNS": "240"}).invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(*arguments: str | Path) -> tuple[int, Any]:
    """Run a command with ``--json``; return its exit code and what it printed."""
    result = run(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)
