"""Commands that look after the monitoring itself: doctor, purge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrue.cli.output import CANNOT, AsJson, Folder, leave, print_json, print_table, refusals

if TYPE_CHECKING:
    from retrue.stages.doctor import Diagnosis


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (doctor, purge):
        app.command()(command)


def doctor(project: Folder = Path(), as_json: AsJson = False) -> None:
    """Examine the monitoring itself: schedules, outbox, baselines, labels, set-up. Exit 0 all is well, 1 complaints."""
    from retrue.stages.doctor import diagnose
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        diagnosis = diagnose(workspace)
    if as_json:
        print_json(diagnosis.facts)
    else:
        _print(diagnosis)
    leave(diagnosis.outcome)


def _print(diagnosis: Diagnosis) -> None:
    from retrue.reports.escape import visible

    for each in diagnosis.complaints:
        severity = typer.style(each.severity.value, fg="red" if each.severity.value == "critical" else "yellow")
        typer.echo(f"{severity} {visible(each.label)}: {visible(each.message)}\n  next: {visible(each.next_step)}")
    for each in diagnosis.news.resolved:
        typer.echo(f"over: {visible(each.label)}")
    if not diagnosis.complaints:
        typer.echo("nothing to complain of")
    if diagnosis.delivery.pending:
        typer.echo(f"{diagnosis.delivery.pending} effects wait in the outbox for a Prefect or MLflow server")


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what has expired; remove nothing.")] = False,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Remove what `retention` no longer keeps. Logs, labels and rows of baselines stay unless it says so. Exit 2 if something could not be removed."""
    from retrue.stages.purge import find_expired
    from retrue.stages.purge import purge as remove_expired
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        found = find_expired(workspace) if dry_run else remove_expired(workspace)
    if as_json:
        print_json([each.facts for each in found])
    else:
        rows = [
            (each.model, kind, str(count), f"{each.oldest_kept[kind]:%Y-%m-%d}" if kind in each.oldest_kept else "")
            for each in found
            for kind, count in each.counts.items()
        ]
        counted = "has expired" if dry_run else "removed"
        print_table("", ("model", "what", counted, "oldest kept"), rows, empty="no model was ever judged")
        for problem in (problem for each in found for problem in each.problems):
            typer.secho(f"retrue: {problem}", err=True, fg=typer.colors.RED)
    if any(each.problems for each in found):
        raise typer.Exit(CANNOT)
