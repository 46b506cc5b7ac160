"""Commands about the people behind the inferences: privacy, erase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrue.cli.output import AsJson, Folder, Model, author, print_json, print_table, refusals

_COLUMNS = ("what", "fields", "form", "where", "kept for", "who may read it")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (privacy, erase):
        app.command()(command)


def privacy(model: Model, project: Folder = Path(), as_json: AsJson = False) -> None:
    """Print what is collected for a model: in what form, where, for how long, and who may read it."""
    from retrue.stages.privacy import describe_privacy
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        report = describe_privacy(workspace, model)
    if as_json:
        print_json(report.facts)
        return
    print_table(model, _COLUMNS, [tuple(each.facts.values()) for each in report.collected], empty="nothing is kept")
    typer.echo(f"people erased: {report.erasures}")


def erase(
    subject: Annotated[
        str, typer.Option("--subject", help="What the person is called in the log, such as a caller_id.")
    ],
    model: Annotated[str | None, typer.Option(help="From this model only.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Remove a person's records, labels and reference rows, and leave out what comes later of theirs. It cannot be undone."""
    from retrue.stages.erase import erase as forget
    from retrue.workspace import open_workspace

    if not yes:
        typer.confirm("Remove every record of this person? It cannot be undone", abort=True, err=True)
    with refusals(as_json=as_json), open_workspace(project) as workspace:
        erased = forget(workspace, subject, model=model, by=author())
    if as_json:
        print_json([each.facts for each in erased])
        return
    rows = [(each.model, kind, str(count)) for each in erased for kind, count in each.removed.items()]
    print_table("", ("model", "what", "removed"), rows, empty="no model is watched")
    for line in dict.fromkeys(line for each in erased for line in each.left):
        typer.echo(f"left: {line}")
