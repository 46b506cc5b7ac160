"""Values that a log holds for a time only: features, free text, texts of failures, labels, and people who were erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrue.config import LabelSettings, LogSettings, ModelSettings, RetentionSettings
from retrue.sources.edits import Blank, Discard, Edit
from retrue.sources.rewriting import Rewritten, editable_folder, rewrite_folder, why_not_editable
from retrue.stages.compact import compact
from retrue.stages.erase import erase_again
from retrue.workspace import Workspace

FEATURES, FREE_TEXT, ERRORS, LABELS = "features", "free_text", "errors", "labels"
ERASED, QUARANTINE, FAILURES = "erased", "quarantine", "failure_texts"
_ANSWERS = frozenset({"prediction", "score", "scores", "caller_id"})
_ERRORS = frozenset({"error_message", "error_stack"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """One class of values: in which folder it lies, which column tells its time, and what ends it."""

    source: LogSettings | LabelSettings
    time: str
    edit: Edit


def expire(workspace: Workspace, model: str, *, dry_run: bool = False) -> tuple[dict[str, int], tuple[str, ...]]:
    """End what of a model's log has reached its time; return how many records each class was taken from, and problems.

    Only folders of this machine are edited. A run that dies is completed by the next.
    """
    settings = workspace.project.models.get(model)
    if settings is None:
        return {}, ()
    classes = dict(_classes(settings, workspace.project.retention, workspace.now()))
    people = workspace.erased(model)
    if not classes and not people:
        return {}, ()
    if not dry_run:
        compact(workspace.project, model)
    done = {kind: _end(workspace, each, dry_run) for kind, each in classes.items()}
    if people:
        done[ERASED] = erase_again(workspace, model, dry_run=dry_run)
    counts = {kind: each.records for kind, each in done.items()}
    counts |= _in_ledger(workspace, model, dry_run)
    counts |= _in_quarantine(workspace, settings, dry_run)
    return counts, tuple(problem for each in done.values() for problem in each.problems)


def _classes(settings: ModelSettings, kept: RetentionSettings, now: datetime) -> Iterator[tuple[str, _Class]]:
    texts = frozenset(settings.privacy.free_text)
    answers = _ANSWERS | {settings.columns.prediction, settings.columns.score or "score"}

    def is_feature(name: str) -> bool:
        return name.startswith("features.") or name in answers

    def is_text(name: str) -> bool:
        return name in texts or name.split(".", 1)[0] == "context"

    wanted = {
        FEATURES: (kept.features, is_feature),
        FREE_TEXT: (kept.free_text, is_text),
        ERRORS: (kept.errors, _ERRORS.__contains__),
    }
    for kind, (length, columns) in wanted.items():
        if length:
            yield kind, _Class(source=settings.logs, time="time", edit=Blank(wanted=columns, before=now - length))
    if kept.labels and settings.labels:
        edit = Discard(before=now - kept.labels)
        yield LABELS, _Class(source=settings.labels, time="labelled_at", edit=edit)


def _end(workspace: Workspace, each: _Class, dry_run: bool) -> Rewritten:
    folder = editable_folder(each.source, workspace.project.root)
    if folder is None:
        return Rewritten(problems=(why_not_editable(each.source),))
    return rewrite_folder(folder, [each.edit], time=each.time, dry_run=dry_run)


def _in_ledger(workspace: Workspace, model: str, dry_run: bool) -> Mapping[str, int]:
    kept, failures = workspace.project.retention.errors, workspace.ledger.failures
    if not kept:
        return {}
    before = workspace.now() - kept
    if dry_run:
        return {FAILURES: failures.count_samples(model, before=before) + failures.count_texts(model, before=before)}
    return {FAILURES: failures.forget_samples(model, before=before) + failures.forget_texts(model, before=before)}


def _in_quarantine(workspace: Workspace, settings: ModelSettings, dry_run: bool) -> Mapping[str, int]:
    """Remove what could not be read once the shortest of all times is over: nobody knows what it holds."""
    kept = workspace.project.retention
    lengths = [each for each in (kept.features, kept.free_text, kept.errors) if each]
    if not lengths:
        return {}
    folder = editable_folder(settings.logs, workspace.project.root)
    old = list(_older(folder, workspace.now() - min(lengths))) if folder else []
    if not dry_run:
        for path in old:
            path.unlink(missing_ok=True)
    return {QUARANTINE: len(old)}


def _older(folder: Path, before: datetime) -> Iterator[Path]:
    for path in sorted(folder.rglob("quarantine/*")):
        if path.is_file() and not path.is_symlink() and datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
            yield path
