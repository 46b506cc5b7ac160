"""Runs a flow from the command line: as a flow run where a Prefect server is there, plainly where none is."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrue.cli.output import CANNOT, refusals


def run_script(flow: Any) -> None:
    """Read the flow's parameters from the command line and run it.

    Without a server the function itself runs: Prefect would start one for a single run, which takes ten seconds. With one
    that `retrue up` keeps here the program starts anew: Prefect, imported already, has read its address from a shell
    that did not know it. A flow that cannot run ends with exit code 2.
    """
    import typer

    from retrue.workspace import adopt_servers

    told = "PREFECT_API_URL" in os.environ
    known = "PREFECT_API_URL" in adopt_servers(Path())
    if known and not told:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606

    def script(**parameters: Any) -> None:
        with refusals(as_json=False):
            state = _as_flow_run(flow, parameters) if known else flow.fn(**parameters)
        typer.echo(state.message)
        if not state.is_completed():
            raise typer.Exit(CANNOT)

    script.__signature__ = inspect.signature(flow.fn, eval_str=True).replace(return_annotation=None)  # type: ignore[attr-defined]
    script.__doc__ = flow.fn.__doc__
    typer.run(script)


def _as_flow_run(flow: Any, parameters: Mapping[str, Any]) -> Any:
    from retrue.adapters.flow_prefect import tagged

    with tagged():
        return flow(**parameters, return_state=True)
