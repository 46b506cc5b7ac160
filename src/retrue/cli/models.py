"""Commands about who serves: retrain, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrue.cli.output import AsJson, Folder, Model, author, leave, print_json, refusals


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (retrain, rollback):
        app.command()(command)


def retrain(
    model: Model,
    cause: Annotated[str, typer.Option(help="Why, or the id of a request that waits.")] = "asked for by a person",
    cancel: Annotated[
        str | None, typer.Option(help="Close the request of this id instead; who serves stays as it is.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it is cancelled, for the record.")] = "asked for by a person",
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Train a challenger and let the gate decide whether it serves. Exit 0 promoted, 1 refused, 2 later windows decide."""
    if cancel is not None:
        _cancel(model, cancel, reason, project, as_json=as_json)
        return
    from retrue.stages.retrain import request_for, retrain_model
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        retrained = retrain_model(workspace, request_for(workspace, model, cause))
    if as_json:
        print_json(retrained.facts)
    else:
        typer.echo(retrained.reason)
    leave(retrained.state)


def _cancel(model: str, request: str, reason: str, project: Path, *, as_json: bool) -> None:
    from retrue.stages.retrain import cancel_request
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        closed = cancel_request(workspace, model, request, by=author(), reason=reason)
    if as_json:
        print_json({"model": model, "request_id": closed.id, "state": closed.state, "reason": closed.reason})
    else:
        typer.echo(f"{model}: request {closed.id} is closed, {closed.reason}")


def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "asked for by a person",
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Make the version serve again that served before the champion."""
    from retrue.stages.monitor import carry_out
    from retrue.stages.promotion import receivers
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        made = workspace.ledger.models.rollback(
            model,
            reason=reason,
            by=author(),
            notify=receivers(workspace.project.model(model)),
            now=workspace.now(),
        )
        delivery = carry_out(workspace)
    if as_json:
        print_json(
            {"model": model, "version": made.version, "from_version": made.from_version, "waiting": delivery.pending}
        )
    else:
        typer.echo(f"{model}: version {made.version} serves again, {made.from_version} does not")
        if delivery.pending:
            typer.echo("the alias has not moved yet: no MLflow server answers")
