"""Commands that judge windows or show what was judged: baseline, monitor, backfill, status."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrue.cli.output import CANNOT, AsJson, Folder, Model, leave, print_json, print_table, refusals, worst

if TYPE_CHECKING:
    from retrue.stages.monitor import Judged

WindowEnd = Annotated[
    str | None,
    typer.Option("--window-end", help="End of the window, such as 2013-04-11; the newest settled one by default."),
]


def parse_option(text: str) -> datetime:
    """Return an option's time.

    Raises:
        typer.BadParameter: It is no time.
    """
    from retrue.times import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Start = Annotated[datetime, typer.Option("--start", help="Start, UTC.", parser=parse_option)]
End = Annotated[datetime, typer.Option("--end", help="End, exclusive, UTC.", parser=parse_option)]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (baseline, monitor, backfill, status):
        app.command()(command)


def baseline(
    model: Model,
    start: Annotated[datetime | None, typer.Option(help="From when on it did well.", parser=parse_option)] = None,
    end: Annotated[datetime | None, typer.Option(help="Until when.", parser=parse_option)] = None,
    version: Annotated[str, typer.Option(help="Whose records; by default the version that served most.")] = "",
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Freeze what a version logged in good times: what its windows are compared with. Proposes a suite if there is none."""
    from retrue.stages.calibrate import calibration_line
    from retrue.stages.freeze import freeze_from_log
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        frozen = freeze_from_log(workspace, model, start=start, end=end, version=version)
        facts = {
            "model": model,
            "version": frozen.version,
            "rows": frozen.provenance.rows,
            "columns": len(frozen.profile.columns),
            "digest": frozen.digest,
            "calibration": calibration_line(frozen, workspace.project.model(model)),
            "expectations": workspace.project.model(model).expectations,
        }
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"{model}: baseline of version {frozen.version}, {facts['rows']} rows, {facts['columns']} columns")
        typer.echo(f"drift: {facts['calibration']}")
        typer.echo(f"suite: {facts['expectations'] or 'none configured'}")


def monitor(model: Model, window_end: WindowEnd = None, project: Folder = Path(), as_json: AsJson = False) -> None:
    """Judge one window. It needs no server: what a server would carry out waits in the ledger's outbox.

    Without --window-end the newest settled window is judged, and again those whose labels have come.
    """
    from retrue.stages.backfill import judge_due
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        *_, judged = judge_due(workspace, model, window_end)
    if as_json:
        print_json(judged.facts)
    else:
        _print_judged(judged)
    leave(judged.verdict.outcome.value)


def _print_judged(judged: Judged) -> None:
    verdict = judged.verdict
    again = "" if judged.revision.new else ", judged before on the same input"
    typer.echo(f"{verdict.window.name} r{judged.revision.number}{again}: {verdict.line}")
    rows = [
        (each.severity.value, each.check, each.scope, each.value, each.threshold, each.next_step)
        for each in verdict.findings
    ]
    print_table("", ("severity", "check", "scope", "value", "threshold", "next step"), rows, empty="no finding")
    typer.echo(judged.revision.decision.retrain_reason)
    typer.echo(f"reports: {judged.report_dir}")
    if judged.delivery.pending:
        typer.echo(f"{judged.delivery.pending} effects wait in the outbox for a Prefect or MLflow server")


def backfill(model: Model, start: Start, end: End, project: Folder = Path(), as_json: AsJson = False) -> None:
    """Judge every window that lies wholly within [start, end), oldest first."""
    from retrue.stages.backfill import judge_span
    from retrue.workspace import open_workspace

    facts = []
    with refusals(as_json=as_json), open_workspace(project) as workspace:
        for judged in judge_span(workspace, model, start, end):
            facts.append(judged.facts)
            if not as_json:
                typer.echo(f"{judged.verdict.window.name}: {judged.verdict.line}")
    if as_json:
        print_json(facts)
    if not facts:
        typer.echo("retrue: no settled window lies wholly in the span", err=True)
        raise typer.Exit(CANNOT)
    leave(worst([str(each["verdict"]) for each in facts]))


def status(
    model: Annotated[str | None, typer.Argument(help="One model; all by default.")] = None,
    windows: Annotated[int, typer.Option(help="How many windows of each.")] = 10,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show the last windows, who serves, open incidents and findings on their way to one, and what waits in the outbox."""
    from retrue.reports.escape import visible
    from retrue.stages.status import describe
    from retrue.workspace import open_workspace

    with refusals(as_json=as_json), open_workspace(project) as workspace:
        models = [model] if model else list(workspace.project.models)
        facts = [describe(workspace, each, windows=windows) for each in models]
    if as_json:
        print_json([each.facts for each in facts])
    else:
        for each in facts:
            print_table(
                each.title,
                ("window", "r", "verdict", "version"),
                each.rows,
                empty=f"{each.title}: no window judged yet",
            )
            for line in each.pending_lines:
                typer.echo(visible(line))
            if each.performance:
                typer.echo(each.performance)
            typer.echo(each.outbox)
    leave(worst([each.outcome or "inconclusive" for each in facts]))  # a model that was never judged is not healthy
