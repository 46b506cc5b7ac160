"""retrue: error tracking for machine-learning models in production.

Importing it loads nothing: names are looked up when they are first used, so that a model server can import
`retrue.logger` without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrue.config import ModelSettings, Project
    from retrue.config_file import load_project
    from retrue.errors import RetrueError
    from retrue.results import Finding, Outcome, Severity, Verdict
    from retrue.windows import Window

    __version__: str

__all__ = [
    "Finding",
    "ModelSettings",
    "Outcome",
    "Project",
    "RetrueError",
    "Severity",
    "Verdict",
    "Window",
    "load_project",
]

_HOMES = {
    "Finding": "retrue.results",
    "ModelSettings": "retrue.config",
    "Outcome": "retrue.results",
    "Project": "retrue.config",
    "RetrueError": "retrue.errors",
    "Severity": "retrue.results",
    "Verdict": "retrue.results",
    "Window": "retrue.windows",
    "load_project": "retrue.config_file",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'retrue' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "__version__"])


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("retrue")
    except PackageNotFoundError:  # run from a folder that is not installed
        return "0"
