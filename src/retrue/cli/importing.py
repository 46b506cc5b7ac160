"""The command that looks at what others write, and converts it: import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrue.cli.output import AsJson, Folder, leave, print_json, print_table, refusals, worst

if TYPE_CHECKING:
    from retrue.config import LabelSettings, LogSettings
    from retrue.stages.importing import Checked

FEATURES_SHOWN = 30


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import")(import_logs)


def import_logs(
    source: Annotated[str, typer.Argument(help="A model of retrue.yaml, or a folder, s3:// or gs:// address.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what is there; write nothing.")] = False,
    form: Annotated[
        str | None, typer.Option("--format", help="The address's format; found by content by default.")
    ] = None,
    settings: Annotated[
        str, typer.Option("--settings", help="More settings as YAML, such as '{timezone: Europe/Paris}'.")
    ] = "",
    labels: Annotated[bool, typer.Option("--labels", help="The address holds labels, not logs.")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="A new folder for retrue's own Parquet files.")] = None,
    project: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Say what logs of any format hold and what of it was understood; with --to convert them. Exit 1 if some was set aside."""
    from retrue.stages.importing import check as look

    if check == (to is not None):
        raise typer.BadParameter("either --check, or --to and a new folder")
    with refusals(as_json=as_json):
        sources, root = _sources(source, form, settings, labels, project)
        found = look(sources, root, model=source if root != Path() else None, to=to)
    if as_json:
        print_json([each.facts for each in found])
    else:
        for each in found:
            _print(each)
    leave(worst([each.outcome for each in found]))


def _sources(
    source: str, form: str | None, settings: str, labels: bool, project: Path
) -> tuple[list[LogSettings | LabelSettings], Path]:
    """The places of a model, with its project's folder, or the one that an address is."""
    from retrue.config_file import load_project
    from retrue.stages.importing import source_at, sources_of

    loaded = load_project(project) if (project / "retrue.yaml").is_file() else None
    is_model = not (form or settings or labels) and loaded is not None and source in loaded.models
    if loaded is not None and (is_model or not ("/" in source or form or Path(source).is_dir())):
        return sources_of(loaded, source), loaded.root
    return [source_at(source, form, settings, labels=labels)], Path()


def _print(found: Checked) -> None:
    from retrue.reports.escape import visible

    survey = found.survey
    said = "" if found.detected in (None, found.settings.format) else f", but its content looks like {found.detected}"
    files = ", ".join(f"{count} {ending}" for ending, count in found.endings.items()) or "no files"
    typer.echo(f"{found.part} at {visible(found.uri)}: {found.settings.format}{said} ({files})")
    if survey.start and survey.end:
        again = f", {survey.duplicates} repeat an inference_id" if survey.duplicates else ""
        typer.echo(f"{survey.rows} records of {survey.start:%Y-%m-%d %H:%M} to {survey.end:%Y-%m-%d %H:%M} UTC{again}")
    if found.joined is not None:
        typer.echo(f"{found.joined} of {survey.ids} labels belong to a record")
    rows = [(name, f"{share:.1%}", _values(found, name)) for name, share in survey.fields.items() if share]
    print_table("understood", ("field", "filled", "values"), rows, empty="nothing was understood")
    _print_features(found)
    for note, count in survey.notes.items():
        typer.echo(f"in part: {count}x {visible(note)}")
    for name, lost in found.missing.items():
        typer.echo(f"missing: {name}: {visible(lost)}")
    aside = [(each.reason, each.place, str(each.count)) for each in survey.set_aside]
    print_table("not understood", ("reason", "first at", "count"), aside, empty="nothing was set aside")
    for path in found.written:
        typer.echo(f"wrote {path}")
    if not found.written:
        typer.echo(f"for retrue.yaml:\n{found.suggestion}\n")


def _values(found: Checked, name: str) -> str:
    counts = found.survey.values.get(name, {})
    return ", ".join(f"{value} ({count})" for value, count in list(counts.items())[:5])


def _print_features(found: Checked) -> None:
    from retrue.reports.escape import visible

    features = list(found.survey.features.items())
    if features:
        shown = [
            f"{visible(name)}{'' if share == 1 else f' ({share:.1%})'}" for name, share in features[:FEATURES_SHOWN]
        ]
        more = f" and {len(features) - len(shown)} more" if len(features) > len(shown) else ""
        typer.echo(f"{len(features)} features: {', '.join(shown)}{more}")
