"""Commands about incidents: list, ack, mute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrue.cli.output import AsJson, Folder, author, print_json, print_table, refusals
from retrue.results import Incident

Fingerprint = Annotated[str, typer.Argument(help="The incident's fingerprint, or its beginning.")]
_COLUMNS = ("id", "model", "state", "severity", "check", "scope", "since", "message")

group = typer.Typer(name="incidents", help="Show, acknowledge or mute incidents.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group of this module."""
    app.add_typer(group)


@group.command("list")
def list_(
    model: Annotated[str | None, typer.Option(help="Of one model.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """List the open incidents, gravest first."""
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        found = [each for each in workspace.ledger.incidents.list(model) if everything or each.state != "resolved"]
    if as_json:
        print_json([{**_facts(each), "fingerprint": each.fingerprint} for each in found])
        return
    print_table("", _COLUMNS, [tuple(_facts(each).values()) for each in found], empty="no open incident")


@group.command()
def ack(fingerprint: Fingerprint, project: Folder = Path(), as_json: AsJson = False) -> None:
    """Say that somebody is on it: it is not repeated any more."""
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        incidents = workspace.ledger.incidents
        found = incidents.acknowledge(fingerprint, by=author(), now=workspace.now())
    _told(f"acknowledged: {found.message}", _facts(found), as_json=as_json)


@group.command()
def mute(
    fingerprint: Fingerprint,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    duration: Annotated[str, typer.Option("--for", help="How long, such as 12h or 7d.")] = "7d",
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Send nothing about an incident for a while; it stays recorded."""
    from retrue.times import parse_duration
    from retrue.workspace import open_workspace

    try:
        length = parse_duration(duration)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with refusals(as_json=as_json), open_workspace(project) as workspace:
        now = workspace.now()
        muted = workspace.ledger.incidents.mute(fingerprint, until=now + length, reason=reason, by=author(), now=now)
    facts: dict[str, str] = {"fingerprint": muted.fingerprint, "until": muted.until.isoformat(), "reason": reason}
    _told(f"muted until {muted.until:%Y-%m-%d %H:%M} UTC", facts, as_json=as_json)


def _told(line: str, facts: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        typer.echo(line)


def _facts(incident: Incident) -> dict[str, str]:
    return {
        "id": incident.fingerprint[:12],
        "model": incident.model,
        "state": incident.state,
        "severity": incident.severity.value,
        "check": incident.check,
        "scope": incident.scope,
        "since": f"{incident.opened_window:%Y-%m-%d}",
        "message": incident.message,
    }
