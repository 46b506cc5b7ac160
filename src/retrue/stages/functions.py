"""Functions of the user's that retrue.yaml names as ``module:function``, imported from the project's folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from retrue.config import Project
from retrue.errors import ModelError


def user_function(project: Project, setting: str, name: str) -> Callable[..., Any]:
    """Return the function that a setting names; ``setting`` is its key, for the message.

    Raises:
        ModelError: It cannot be imported.
    """
    module, _, function = name.partition(":")
    if str(project.root) not in sys.path:
        sys.path.insert(0, str(project.root))
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except Exception as error:
        raise ModelError(f"{setting} {name} cannot be imported from {project.root}: {error}") from error
    return found
