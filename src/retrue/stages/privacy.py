"""What is collected of the people behind a model's inferences: in what form, where, for how long, and who may read it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.baselines import baseline_versions, read_baseline
from retrue.config import ModelSettings, RetentionSettings
from retrue.errors import BaselineError
from retrue.logger.shapes import is_shape_text
from retrue.results import Baseline
from retrue.sources.listing import source_folder
from retrue.stages.people import FIRST, LAST
from retrue.stages.pulling import pull_window
from retrue.times import duration_text
from retrue.windows import Window
from retrue.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 200
_HASH = re.compile(r"[0-9a-f]{32}")
_LENGTH = re.compile(r"<\w+, \d+ characters>")
_OF_RETRUE = frozenset({"sample_weight", "time", "received_at", "labelled_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One thing that is kept: which fields, in what form, where, for how long, and who may read it."""

    what: str
    fields: str
    form: str
    where: str
    kept_for: str
    readers: str

    @property
    def facts(self) -> dict[str, str]:
        """The same for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyReport:
    """Everything that is kept for a model, and how many people were erased from it."""

    model: str
    collected: tuple[Collected, ...]
    erasures: int

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {"model": self.model, "collected": [each.facts for each in self.collected], "erasures": self.erasures}


def describe_privacy(workspace: Workspace, model: str) -> PrivacyReport:
    """Return what is kept for a model; the form of each field is what a sample of the log shows.

    Raises:
        ConfigError: No such model.
        SourceError: The log cannot be opened.
    """
    settings = workspace.project.model(model)
    collected = (*_of_log(workspace, model, settings), *_of_labels(workspace, settings), *_of_retrue(workspace, model))
    return PrivacyReport(model=model, collected=collected, erasures=len(workspace.ledger.erasures.list(model)))


def _of_log(workspace: Workspace, model: str, settings: ModelSettings) -> Iterator[Collected]:
    project, kept = workspace.project, workspace.project.retention
    span = Window(model=model, start=FIRST, end=LAST)
    with pull_window(span, settings, root=project.root, erased=workspace.erased(model)) as pulled:
        rows, features, unkept = pulled.sample(SAMPLE_ROWS, seed=0), pulled.features, pulled.unkept
    where, readers = settings.logs.uri, _readers_of_source(settings.logs.uri, project.root)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name in rows.columns:
        if name not in _OF_RETRUE and name != "label" and rows[name].notna().any():
            what, length = _class_of(name, features, settings, kept)
            groups.setdefault((what, form_of(rows[name]), length), []).append(name)
    if unkept:
        groups["features", "type and length", _length(kept.features)] = list(unkept)
    for (what, form, length), names in groups.items():
        yield Collected(what=what, fields=", ".join(names), form=form, where=where, kept_for=length, readers=readers)


def _class_of(name: str, features: Sequence[str], settings: ModelSettings, kept: RetentionSettings) -> tuple[str, str]:
    if name in settings.privacy.free_text or f"features.{name}" in settings.privacy.free_text or name == "context":
        return "free text", _length(_shorter(kept.free_text, kept.features if name in features else None))
    if name in settings.privacy.subject or f"features.{name}" in settings.privacy.subject:
        return "people", _length(kept.features)
    if name in features:
        return "features", _length(kept.features)
    if name in ("prediction", "score", "scores"):
        return "answers", _length(kept.features)
    if name.startswith("error_"):
        return "errors", _length(kept.errors if name != "error_type" else None)
    return "circumstances", _length(None)


def form_of(values: pd.Series) -> str:
    """Return in what form the values of a column are, as far as all of a sample show the same one."""
    forms = {_form(value) for value in values.dropna().head(SAMPLE_ROWS)}
    return next(iter(forms)) if len(forms) == 1 else "as logged"


def _form(value: object) -> str:
    if isinstance(value, str):
        if _HASH.fullmatch(value):
            return "keyed hash"
        if _LENGTH.fullmatch(value) or is_shape_text(value):
            return "type and length"
    return "as logged"


def _of_labels(workspace: Workspace, settings: ModelSettings) -> Iterator[Collected]:
    if settings.labels:
        yield Collected(
            what="labels",
            fields="inference_id, label, labelled_at",
            form="as logged",
            where=settings.labels.uri,
            kept_for=_length(workspace.project.retention.labels),
            readers=_readers_of_source(settings.labels.uri, workspace.project.root),
        )


def _of_retrue(workspace: Workspace, model: str) -> Iterator[Collected]:
    project, kept = workspace.project, workspace.project.retention
    mlflow = "whoever can open this MLflow server"
    form = _form_of_reference(workspace, model)
    yield Collected(
        what="reference",
        fields="features, answers, labels",
        form=form,
        where=f"baselines/{model}",
        kept_for=_length_of_reference(kept),
        readers=_readers(project.baselines / model),
    )
    yield Collected(
        what="reports",
        fields="counts and distributions, ids of failed inferences",
        form="aggregates",
        where=f".retrue/reports/{model}",
        kept_for=_length(kept.reports),
        readers=_readers(project.reports / model),
    )
    if project.mlflow:
        yield Collected(
            what="records in MLflow",
            fields="the same reports and metrics, the reference",
            form=f"aggregates, reference as {form}",
            where=f"experiment retrue/{model}",
            kept_for=f"{_length(kept.mlflow)}, reference {_length_of_reference(kept)}",
            readers=mlflow,
        )
    yield Collected(
        what="records in Prefect",
        fields="verdicts, findings, log lines, ids of failed inferences",
        form="aggregates, texts",
        where=f"runs of flows with the tag retrue and model {model}",
        kept_for=_length(kept.prefect),
        readers="whoever can open this Prefect server" if workspace.prefect else "no server is configured",
    )
    yield Collected(
        what="ledger",
        fields="verdicts, incidents, texts and sample ids of failures",
        form="aggregates",
        where=project.ledger.partition("://")[0],
        kept_for=f"verdicts for ever, texts of failures {_length(kept.errors)}",
        readers=_readers(project.state / "ledger.db")
        if project.ledger.startswith("sqlite")
        else "whoever may connect to this database",
    )


def _form_of_reference(workspace: Workspace, model: str) -> str:
    """Return what the baselines of a model hold: rows, marginals, or some the one and some the other."""
    folder = workspace.project.baselines
    versions = baseline_versions(folder, model)
    try:
        found = {name for version in versions for name in _forms_of_baseline(read_baseline(folder, model, version))}
    except BaselineError:
        return "rows of the log"  # as far as anybody knows
    return " and ".join(sorted(found, reverse=True)) or "nothing there yet"


def _forms_of_baseline(baseline: Baseline) -> Iterator[str]:
    changed = set(baseline.marginals.columns) if baseline.marginals else set()
    if changed:
        yield "marginals"
    if set(baseline.profile.columns) - changed:
        yield "rows of the log"


def _length_of_reference(kept: RetentionSettings) -> str:
    """Return how long a reference holds rows, or until when single columns of it do."""
    if kept.features:
        return f"rows {duration_text(kept.features)}, then marginals for ever"
    ends = {"free text": kept.free_text, "labels": kept.labels}
    lengths = [f"{name} {duration_text(length)}" for name, length in ends.items() if length]
    return f"for ever, but {', '.join(lengths)}" if lengths else "for ever"


def _shorter(*lengths: timedelta | None) -> timedelta | None:
    return min((each for each in lengths if each), default=None)


def _length(kept: timedelta | None) -> str:
    return duration_text(kept) if kept else "for ever"


def _readers_of_source(uri: str, root: Path) -> str:
    scheme, separator, _ = uri.partition("://")
    return "whoever may read this store" if separator and scheme != "file" else _readers(source_folder(uri, root))


def _readers(place: Path) -> str:
    """Return whom the file system lets read a place."""
    try:
        status = place.stat()
    except OSError:
        return "nothing there yet"
    try:
        owner = place.owner()
    except KeyError:
        owner = f"uid {status.st_uid}"
    if status.st_mode & stat.S_IROTH:
        return "every user of this machine"
    return f"{owner} and its group" if status.st_mode & stat.S_IRGRP else f"{owner} only"
