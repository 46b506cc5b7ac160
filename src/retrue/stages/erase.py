"""Forget a person: their records, labels and reference rows are removed, and what comes later of theirs is left out.

The tombstone is written first: from then on no window holds the person, whatever is still on a disk. The rest may die and
be done again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from retrue.baseline_changes import without_rows
from retrue.baselines import baseline_versions, reference_table
from retrue.config import LabelSettings, LogSettings, ModelSettings
from retrue.errors import BaselineError, DeliveryError, ModelError, RetrueError
from retrue.logger.fields import Fields
from retrue.report_folders import report_folders
from retrue.sources.edits import Erase
from retrue.sources.rewriting import Rewritten, editable_folder, rewrite_folder, why_not_editable
from retrue.stages.baseline_rows import copy_to_mlflow, finish_changes, put_in_place
from retrue.stages.compact import compact
from retrue.stages.people import inferences_of
from retrue.tombstones import Tombstones
from retrue.workspace import Workspace

log = logging.getLogger(__name__)

RECORDS, LABELS, REFERENCE, SAMPLES, REPORTS = "records", "labels", "reference_rows", "failure_samples", "reports"
ERASED = b"(erased)"
WORD_MIN = 4  # shorter ids are words of a report as well
_SHAPE = re.compile(r"<\w+, \d+ characters>")
_WORD = re.compile(rb"[^\s\"'<>(),;`|]+")
BEYOND = (
    "copies that retrue does not know of: backups, messages that were sent, Prefect's logs and artifacts until"
    " retention.prefect ends them, models that have learned from the rows"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed of a person from one model, by kind, and what could not be, with the reason."""

    model: str
    removed: dict[str, int]
    left: tuple[str, ...]

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {"model": self.model, "removed": self.removed, "left": list(self.left)}


def erase(workspace: Workspace, subject: str, *, model: str | None = None, by: str) -> tuple[Erased, ...]:
    """Remove a person from every watched model, or from one.

    The person is looked for in the columns of ``privacy.subject``, as written and as the logger's keyed hash if
    ``RETRUE_HASH_KEY`` is set.

    Raises:
        ConfigError: No such model.
        ModelError: The name names nobody, or the key cannot be used.
        SourceError: A log cannot be opened; the tombstone is written already, and the command can be given again.
    """
    models = [model] if model else list(workspace.project.models)
    erased = tuple(_erase(workspace, name, workspace.project.model(name), subject, by) for name in models)
    workspace.ledger.erasures.compact()
    return erased


def erase_again(workspace: Workspace, model: str, *, dry_run: bool = False) -> Rewritten:
    """Remove again whom a log may no longer hold: their records may have been replayed since."""
    people = workspace.erased(model)
    if not people or model not in workspace.project.models:
        return Rewritten()
    settings = workspace.project.model(model)
    if not dry_run:
        ids = inferences_of(people, model, settings, root=workspace.project.root)
        latest = workspace.ledger.erasures.list(model)[0]
        workspace.ledger.erasures.bury(latest.id, ids)
        people = workspace.erased(model)
    return _rewrite(workspace, settings, people, dry_run=dry_run)[0]


def _erase(workspace: Workspace, model: str, settings: ModelSettings, subject: str, by: str) -> Erased:
    names = _names(subject)
    erasures = workspace.ledger.erasures
    request = erasures.begin(model, names, settings.privacy.subject, by=by, now=workspace.now())
    compact(workspace.project, model)
    ids = inferences_of(workspace.erased(model), model, settings, root=workspace.project.root)
    erasures.bury(request, ids)
    people = workspace.erased(model)
    rewritten, removed = _rewrite(workspace, settings, people)
    left = list(rewritten.problems)
    removed[REFERENCE] = sum(_take_from_baselines(workspace, model, people, left))
    removed[SAMPLES] = workspace.ledger.failures.forget(model, ids)
    removed[REPORTS] = sum(_take_from_reports(workspace, model, ids, left))
    left += _out_of_reach(workspace, settings)
    erasures.finish(request, removed=removed, left=left, now=workspace.now())
    log.info("a person was erased from %s: %s", model, removed)
    return Erased(model=model, removed=removed, left=tuple(left))


def _names(subject: str) -> set[str]:
    """Return what a person is called in a log: the name, and where a key is set the logger's hash of it.

    Without a key the logger writes a length, which many people share: it names nobody.
    """
    if not subject.strip() or _SHAPE.fullmatch(subject):
        raise ModelError(f"{subject!r} names nobody: give what the log calls the person")
    try:
        fields = Fields()
    except ValueError as error:
        raise ModelError(f"RETRUE_HASH_KEY cannot be used: {error}") from error
    return {subject, str(fields.pseudonym(subject))} if fields.describe()["keyed"] else {subject}


def _rewrite(
    workspace: Workspace, settings: ModelSettings, people: Tombstones, *, dry_run: bool = False
) -> tuple[Rewritten, dict[str, int]]:
    edits, done = [Erase(tombstones=people)], {}
    total = Rewritten()
    for kind, source, time in _sources(settings):
        folder = editable_folder(source, workspace.project.root)
        found = rewrite_folder(folder, edits, time=time, dry_run=dry_run) if folder else Rewritten()
        done[kind] = found.records
        total += found
    return total, done


def _sources(settings: ModelSettings) -> Iterator[tuple[str, LogSettings | LabelSettings, str]]:
    yield RECORDS, settings.logs, "time"
    if settings.labels:
        yield LABELS, settings.labels, "labelled_at"


def _out_of_reach(workspace: Workspace, settings: ModelSettings) -> Iterator[str]:
    for kind, source, _ in _sources(settings):
        if editable_folder(source, workspace.project.root) is None:
            yield f"{kind} of the person are left out of every window, but {why_not_editable(source)}"
    yield BEYOND


def _take_from_baselines(workspace: Workspace, model: str, people: Tombstones, left: list[str]) -> Iterator[int]:
    folder = workspace.project.baselines
    finish_changes(workspace, model)
    for version in baseline_versions(folder, model):
        try:
            rows = reference_table(folder, model, version).num_rows
            changed = without_rows(folder, model, version, people.covers)
            if changed is None:
                continue
            put_in_place(workspace, changed)
            yield rows - reference_table(folder, model, version).num_rows
            copy_to_mlflow(workspace, model, version)
        except (BaselineError, DeliveryError) as error:
            left.append(f"the baseline of {model} version {version}: {error}")


def _take_from_reports(workspace: Workspace, model: str, ids: frozenset[str], left: list[str]) -> Iterator[int]:
    """Cross out ids of inferences in report folders and in MLflow's copies of them."""
    if not ids:
        return
    runs = {trace.report_dir.rpartition("/")[2]: trace.mlflow_run_id for trace in workspace.ledger.purges.traces(model)}
    for folder in report_folders(workspace.project.reports, model):
        crossed = [path for path in sorted(folder.path.iterdir()) if path.is_file() and _cross_out(path, ids)]
        run = runs.get(folder.path.name)
        if crossed and run and workspace.project.mlflow:
            try:
                _replace_in_mlflow(workspace, model, run, crossed)
            except RetrueError as error:
                left.append(f"reports of {folder.path.name} in MLflow: {error}")
        yield len(crossed)


def _replace_in_mlflow(workspace: Workspace, model: str, run_id: str, reports: list[Path]) -> None:
    from retrue.adapters.purge_mlflow import WindowRuns

    WindowRuns(workspace.mlflow, model).replace_reports(run_id, reports)


def _cross_out(path: Path, ids: frozenset[str]) -> bool:
    """Replace ids in a report: whole words of text, but numbers and short words only where JSON says that they are text."""
    before = path.read_bytes()
    after = _without_in_json(before, ids) if path.suffix == ".json" else _without_words(before, ids)
    if after == before:
        return False
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes(after)
    unfinished.replace(path)
    return True


def _without_words(text: bytes, ids: frozenset[str]) -> bytes:
    gone = {each.encode("utf-8", "surrogatepass") for each in ids if len(each) >= WORD_MIN and not each.isdecimal()}
    return _WORD.sub(lambda found: ERASED if found[0] in gone else found[0], text)


def _without_in_json(text: bytes, ids: frozenset[str]) -> bytes:
    document = orjson.loads(text)
    crossed = _crossed(document, ids)
    return text if crossed == document else orjson.dumps(crossed, option=orjson.OPT_INDENT_2)


def _crossed(value: Any, ids: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _crossed(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [_crossed(each, ids) for each in value]
    if not isinstance(value, str):
        return value
    return ERASED.decode() if value in ids else _without_words(value.encode(), ids).decode()
