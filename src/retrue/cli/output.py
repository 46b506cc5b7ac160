"""What every command shares: the application, its options, how results and refusals are printed, exit codes."""

from __future__ import annotations

import getpass
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import click
import typer

from retrue.errors import RetrueError

log = logging.getLogger(__name__)

HEALTHY, BREACHED, CANNOT = 0, 1, 2
EXIT_CODES = {
    "healthy": HEALTHY,
    "breached": BREACHED,
    "inconclusive": CANNOT,
    "promoted": HEALTHY,
    "refused": BREACHED,
    "watching": CANNOT,
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Folder = Annotated[Path, typer.Option("--project", "-C", help="The project's folder, with its retrue.yaml.")]
Model = Annotated[str, typer.Argument(help="A model of retrue.yaml.")]


def application() -> typer.Typer:
    """Return the command-line application, without commands yet."""
    app = typer.Typer(
        name="retrue",
        help="Error tracking for machine-learning models in production. Exit codes: 0 healthy, 1 breached, 2 inconclusive or cannot run.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def version(
        _show: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
        ] = False,
    ) -> None:
        pass

    return app


def _print_version(show: bool) -> None:
    if show:
        from retrue import __version__

        typer.echo(f"retrue {__version__}")
        raise typer.Exit


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Turn a broken set-up into one line on stderr, or a JSON object, and exit code 2.

    A bug ends with 2 too, under its traceback: 1 would read as a breached window.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, click.ClickException):
        raise
    except RetrueError as error:
        if as_json:
            print_json({"error": type(error).__name__, "message": str(error)})
        else:
            typer.secho(f"retrue: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(CANNOT) from error
    except Exception as error:
        log.exception("this is a bug of retrue")
        if as_json:
            print_json(
                {"error": type(error).__name__, "message": "this is a bug of retrue: its traceback is on stderr"}
            )
        else:
            typer.secho(f"retrue: {type(error).__name__}: this is a bug of retrue", err=True, fg=typer.colors.RED)
        raise typer.Exit(CANNOT) from error


def author() -> str:
    """Return who acts, for the record: the user's name, or the number of one without, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def print_json(value: object) -> None:
    """Print a value as JSON; times in ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=str))


def leave(outcome: str) -> NoReturn:
    """End the command with the exit code of a verdict or of a retraining."""
    raise typer.Exit(EXIT_CODES[outcome])


def worst(outcomes: Sequence[str]) -> str:
    """Return breached if any is, else inconclusive if any is, else healthy."""
    return next((each for each in ("breached", "inconclusive") if each in outcomes), "healthy")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print rows as a table as wide as its content; escape sequences in them are shown, not carried out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from retrue.reports.escape import visible

    if not rows:
        typer.echo(empty)
        return
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell), style=_style(cell)) for cell in row))
    Console().print(table)


_STYLES: Mapping[str, str] = {
    "healthy": "green",
    "promoted": "green",
    "breached": "red",
    "critical": "red",
    "refused": "yellow",
    "watching": "yellow",
    "inconclusive": "yellow",
    "warning": "yellow",
}


def _style(cell: str) -> str:
    return _STYLES.get(cell.split(":")[0].split(" ")[0], "")
