"""Runs a flow from the command line: as a flow run where a Prefect server is there, plainly where none is."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any


def run_script(flow: Any) -> None:
    """Read the flow's parameters from the command line and run it.

    Without a server the function itself runs: Prefect would start one for a single run, which takes ten seconds.
    """
    import typer

    from retrue.workspace import adopt_servers

    run = flow if "PREFECT_API_URL" in adopt_servers(Path()) else flow.fn

    def script(**parameters: Any) -> None:
        state = run(**parameters, **({"return_state": True} if run is flow else {}))
        typer.echo(state.message)

    script.__signature__ = inspect.signature(flow.fn, eval_str=True).replace(return_annotation=None)  # type: ignore[attr-defined]
    script.__doc__ = flow.fn.__doc__
    typer.run(script)
