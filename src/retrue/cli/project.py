"""The command that starts a project: init."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from retrue.cli.output import AsJson, print_json, refusals
from retrue.errors import RetrueError


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one without a retrue.yaml.")],
    model: Annotated[str, typer.Option(help="Name of the first model to watch.")] = "my-model",
    as_json: AsJson = False,
) -> None:
    """Make a project: retrue.yaml, prefect.yaml and the flows, ready to be pointed at a log."""
    with refusals(as_json=as_json):
        made = _make(folder, model)
    if as_json:
        print_json({"folder": str(folder), "files": made})
        return
    typer.echo("\n".join(f"made {folder / name}" for name in made))
    typer.echo(f"next: set logs and labels in {folder / 'retrue.yaml'}, then `retrue baseline {model} -C {folder}`")


def _make(folder: Path, model: str) -> list[str]:
    from retrue.windows import check_name

    check_name(model)
    if (folder / "retrue.yaml").exists():
        raise RetrueError(f"{folder / 'retrue.yaml'} is there already: edit it instead")
    template = resources.files("retrue") / "template"
    files = {
        name: (template / name).read_text().replace("my-model", model)
        for name in ("retrue.yaml", "prefect.yaml", "gitignore")
    }
    files[".gitignore"] = files.pop("gitignore")
    packed = template / "flows"
    flows = packed if packed.is_dir() else Path(__file__).parents[3] / "flows"  # an editable install packs nothing
    files |= {f"flows/{each.name}": each.read_text() for each in flows.iterdir() if each.name.endswith(".py")}
    watching = template / "observability"
    files |= {f"observability/{each.name}": each.read_text() for each in watching.iterdir() if each.is_file()}
    there = sorted(name for name in files if (folder / name).exists())
    if there:
        raise RetrueError(f"{folder} has {', '.join(there[:5])} already: choose a new folder beside it")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in ("expectations", "baselines"):
        (folder / name).mkdir(exist_ok=True)
    return sorted(files)
