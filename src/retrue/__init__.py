"""retrue: error tracking for machine-learning models in production. Importing it loads no tool."""

from importlib.metadata import PackageNotFoundError, version

from retrue.config import ModelSettings, Project
from retrue.config_file import load_project
from retrue.errors import RetrueError
from retrue.results import Finding, Outcome, Severity, Verdict
from retrue.windows import Window

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

try:
    __version__ = version("retrue")
except PackageNotFoundError:  # run from a folder that is not installed
    __version__ = "0"
