"""Commands about servers: up, down, demo."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import typer

from retrue.cli.output import AsJson, Folder, print_json, refusals
from retrue.errors import ServerError


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (up, down, demo):
        app.command()(command)


def up(project: Folder = Path(), as_json: AsJson = False) -> None:
    """Start Prefect, MLflow and a worker on this folder, on loopback, and deploy prefect.yaml. They stay up."""
    from retrue.config_file import load_project

    with refusals(as_json=as_json):
        load_project(project)
        urls = start(project)
    if as_json:
        print_json(urls)
        return
    typer.echo(
        f"Prefect  {urls['prefect']}\nMLflow   {urls['mlflow']}\nstate    {urls['state']}\nstop them with: retrue down"
    )


def down(project: Folder = Path(), as_json: AsJson = False) -> None:
    """Stop what `up` started on this folder; its state stays."""
    from retrue.adapters.servers import stop_all

    with refusals(as_json=as_json):
        stopped = [server.name for server in stop_all(project / ".retrue")]
    if as_json:
        print_json({"stopped": stopped})
    else:
        typer.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing runs here")


def start(project: Path) -> dict[str, str]:
    """Start the servers and the worker and deploy; return their addresses.

    Raises:
        ServerError: One of them did not start, or a deployment was refused.
    """
    from retrue.adapters import servers

    state = project / ".retrue"
    prefect, mlflow = servers.start_servers(state)
    environment = servers.client_environment(state, prefect_api_url=prefect.api_url, mlflow_url=mlflow.url)
    deploy(project, environment)
    servers.start_worker(state, prefect=prefect, mlflow=mlflow)
    return {"prefect": prefect.url, "mlflow": mlflow.url, "state": str(state)}


def deploy(project: Path, environment: dict[str, str]) -> None:
    """Deploy prefect.yaml, as a person would.

    Raises:
        ServerError: Prefect refused; its output is in the log.
    """
    log_path = project / ".retrue" / "server-logs" / "deploy.log"
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    with log_path.open("w") as log:
        done = subprocess.run(command, cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if done.returncode:
        raise ServerError("`prefect deploy --all` failed", name="prefect", log_path=log_path)


def demo(project: Folder = Path()) -> None:
    """Watch real flights drift, and a model being retrained and promoted."""
    if not (project / "examples" / "flights" / "demo.py").is_file():
        typer.secho(
            f"retrue: the demo runs in retrue's own repository, which {project.resolve()} is not", err=True, fg="red"
        )
        raise typer.Exit(2)
    sys.path.insert(0, str(project.resolve()))
    with refusals(as_json=False):
        importlib.import_module("examples.flights.demo").run(project)
