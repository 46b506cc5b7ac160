"""The window of a model from wherever it is: files here and elsewhere, in any format, and MLflow servers."""

from __future__ import annotations

from functools import partial

from retrue.adapters.traces_mlflow import read_traces
from retrue.sources import files

pull_window = partial(files.pull_window, traces=read_traces)
"""``files.pull_window`` that can read traces of a server too."""
