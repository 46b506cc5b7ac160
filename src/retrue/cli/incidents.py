"""Commands about incidents: list, show, ack, mute, unmute."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrue.cli.output import AsJson, Folder, author, print_json, print_table, refusals
from retrue.results import Incident

if TYPE_CHECKING:
    from retrue.failures.stories import FailureStory
    from retrue.ledger import Mute
    from retrue.workspace import Workspace

Fingerprint = Annotated[str, typer.Argument(help="The incident's fingerprint, or its beginning.")]
_COLUMNS = ("id", "model", "state", "severity", "check", "scope", "since", "message")
_FAILURE_COLUMNS = ("id", "model", "state", "failure", "rows", "share", "windows", "since", "last seen")
DEFAULT_MUTE = "7d"

group = typer.Typer(name="incidents", help="Show, acknowledge or mute incidents.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group of this module."""
    app.add_typer(group)


@group.command("list")
def list_(
    model: Annotated[str | None, typer.Option(help="Of one model.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    failures: Annotated[
        bool, typer.Option("--failures", help="Failure groups instead, also those too small for an incident.")
    ] = False,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """List the open incidents, gravest first."""
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        if failures:
            _list_failures(workspace, model, everything=everything, as_json=as_json)
            return
        found = [each for each in workspace.ledger.incidents.list(model) if everything or each.state != "resolved"]
        titles = _titles(workspace, found)
    if as_json:
        print_json(
            [{**_facts(each), "fingerprint": each.fingerprint, "title": titles.get(each.fingerprint)} for each in found]
        )
        return
    rows = [tuple({**_facts(each), "scope": titles.get(each.fingerprint, each.scope)}.values()) for each in found]
    print_table("", _COLUMNS, rows, empty="no open incident")


@group.command()
def show(
    fingerprint: Annotated[
        str, typer.Argument(help="An incident's fingerprint or a failure group's id, or the beginning.")
    ],
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show everything of an incident or a failure group: its windows, its group, samples, traces, messages, mutes."""
    from retrue.stages.dossier import dossier
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        found = dossier(workspace, fingerprint)
    if as_json:
        print_json(found.facts)
        return
    from retrue.reports.dossier import render_dossier

    typer.echo(render_dossier(found))


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
    duration: Annotated[
        str | None, typer.Option("--for", help=f"How long, such as 12h; {DEFAULT_MUTE} by default.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when, such as 2026-12-01, in UTC.")] = None,
    until_escalates: Annotated[
        bool, typer.Option("--until-escalates", help="Until it becomes graver, or its failure group escalates.")
    ] = False,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Send nothing about an incident for a while; it stays recorded."""
    from retrue.workspace import open_workspace

    if (duration is not None) + (until is not None) + until_escalates > 1:
        raise typer.BadParameter("give one of --for, --until and --until-escalates")
    length, end = _end(duration, until)
    with refusals(as_json=as_json), open_workspace(project) as workspace:
        now = workspace.now()
        ends = None if until_escalates else end or now + length
        muted = workspace.ledger.incidents.mute(fingerprint, until=ends, reason=reason, by=author(), now=now)
    _told(_mute_line(muted), _mute_facts(muted), as_json=as_json)


@group.command()
def unmute(fingerprint: Fingerprint, project: Folder = Path(), as_json: AsJson = False) -> None:
    """Let messages about an incident through again."""
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        found = workspace.ledger.incidents.get(fingerprint)
        workspace.ledger.incidents.unmute(found.fingerprint)
    _told(f"not muted any more: {found.message}", _facts(found), as_json=as_json)


def _end(duration: str | None, until: str | None) -> tuple[timedelta, datetime | None]:
    from retrue.times import parse_duration, parse_time

    try:
        return parse_duration(duration or DEFAULT_MUTE), parse_time(until) if until else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _mute_line(muted: Mute) -> str:
    return f"muted until {muted.until:%Y-%m-%d %H:%M} UTC" if muted.until else "muted until it escalates"


def _mute_facts(muted: Mute) -> dict[str, str | None]:
    until = muted.until.isoformat() if muted.until else None
    return {"fingerprint": muted.fingerprint, "until": until, "reason": muted.reason}


def _list_failures(workspace: Workspace, model: str | None, *, everything: bool, as_json: bool) -> None:
    models = [model] if model else workspace.project.models
    told = [(name, story) for name in models for story in workspace.ledger.failures.list(name)]
    found = [(name, story) for name, story in told if everything or not story.resolved]
    if as_json:
        from retrue.reports.dossier import failure_facts

        print_json([{"model": name, **failure_facts(story)} for name, story in found])
        return
    print_table(
        "", _FAILURE_COLUMNS, [_failure_row(name, story) for name, story in found], empty="no open failure group"
    )


def _failure_row(model: str, story: FailureStory) -> tuple[str, ...]:
    from retrue.reports.failures import WINDOWS_MAX, since
    from retrue.reports.figures import count, share
    from retrue.reports.sparkline import text_sparkline

    seen = story.now
    return (
        story.id,
        model,
        story.status.value,
        story.text.title,
        count(seen.rows) if seen else "0",
        share(seen.share) if seen else "0%",
        text_sparkline([point.rows for point in story.points[-WINDOWS_MAX:]]),
        since(story),
        f"{story.last_seen_at:%Y-%m-%d}",
    )


def _titles(workspace: Workspace, found: list[Incident]) -> dict[str, str]:
    """Return the titles of failure groups by the fingerprint of the incident about them."""
    from retrue.standing import is_failure

    about = [each for each in found if is_failure(each.check)]
    models = {each.model for each in about}
    titles = {
        (model, story.id): story.text.title for model in models for story in workspace.ledger.failures.list(model)
    }
    return {each.fingerprint: titles.get((each.model, each.scope), each.scope) for each in about}


def _told(line: str, facts: dict[str, str] | dict[str, str | None], *, as_json: bool) -> None:
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
