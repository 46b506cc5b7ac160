"""The command that asks what another policy would have done: replay."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrue.cli.judging import parse_option
from retrue.cli.output import AsJson, Folder, Model, leave, print_json, print_table, refusals

if TYPE_CHECKING:
    from retrue.stages.replay import Comparison

Span = tuple[datetime, datetime]


def _parse_span(text: str) -> Span:
    from retrue.times import parse_span

    try:
        return parse_span(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(replay)


def replay(
    model: Model,
    policy: Annotated[
        Path, typer.Option("--policy", help="Another retrue.yaml, or the keys of the model's block that differ.")
    ],
    start: Annotated[
        datetime | None, typer.Option(help="From when on; the first judged window by default.", parser=parse_option)
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(help="Until when; the last judged window by default.", parser=parse_option)
    ] = None,
    healthy: Annotated[
        list[str] | None,
        typer.Option(
            "--healthy", help="A span known to have been well, START..END; alarms in it are false. Repeatable."
        ),
    ] = None,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show which alarms another policy would have raised over past windows, beside the present one. It writes nothing.

    Exit 0: no false alarm in spans marked healthy, or no alarm at all where no window is marked; 1: some; 2: cannot run, as
    where a --healthy span holds no window.
    """
    from retrue.stages.replay import replay as replay_policy
    from retrue.workspace import open_workspace

    spans = [_parse_span(each) for each in healthy or ()]
    with refusals(as_json=as_json), open_workspace(project) as workspace:
        compared = replay_policy(workspace, model, policy, start=start, end=end, healthy=spans)
    if as_json:
        print_json(_facts(compared))
    else:
        _print(compared)
    leave(compared.outcome)


def _print(compared: Comparison) -> None:
    from retrue.reports.escape import visible
    from retrue.reports.replay import STEP_COLUMNS, policy_rows, step_rows, way_lines

    runs = (compared.present, compared.other)
    title = f"{compared.model}, {compared.start:%Y-%m-%d} to {compared.end:%Y-%m-%d}"
    print_table(title, ("", *(run.name for run in runs)), policy_rows(runs), empty="")
    typer.echo("")
    print_table("", STEP_COLUMNS, step_rows(runs), empty="neither would have opened an incident")
    typer.echo("")
    for run in runs:
        for line in way_lines(run):
            typer.echo(visible(line))
    for window, reason in compared.skipped:
        typer.echo(visible(f"left out: {window.name}: {reason}"))


def _facts(compared: Comparison) -> dict[str, object]:
    from retrue.reports.replay import run_facts

    return {
        "model": compared.model,
        "start": compared.start.isoformat(),
        "end": compared.end.isoformat(),
        "present": run_facts(compared.present),
        "other": run_facts(compared.other),
        "skipped": [{"start": window.start.isoformat(), "reason": reason} for window, reason in compared.skipped],
    }
