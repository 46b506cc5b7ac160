"""Commands for one inference: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrue.cli.output import CANNOT, AsJson, Folder, print_json, refusals

_DIFFERS = ("other answer", "other failure", "answers now", "fails now")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(reproduce)


def reproduce(
    inference_id: Annotated[str, typer.Argument(help="Of a record, as `retrue incidents show` lists samples.")],
    model: Annotated[str | None, typer.Option(help="Look in the log of this model only.")] = None,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Run a recorded inference again, beside what was logged. Exit 0 the same, 1 something else, 2 it cannot be run."""
    from retrue.reports.escape import visible
    from retrue.stages.reproduce import reproduce as run_again
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        found = run_again(workspace, inference_id, model=model)
    if as_json:
        print_json(found.facts)
    else:
        typer.echo(f"{found.model} version {found.model_version}, {found.time:%Y-%m-%d %H:%M:%S} UTC")
        for name, value in found.inputs.items():
            typer.echo(visible(f"  {name} = {value}"))
        typer.echo(visible(f"logged: {found.logged.line}"))
        typer.echo(visible(f"now:    {found.now.line if found.now else found.reason}"))
        typer.echo(found.likeness.value)
    raise typer.Exit(CANNOT if found.now is None else int(found.likeness.value in _DIFFERS))
