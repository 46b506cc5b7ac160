"""Windows recorded in MLflow: one history run a model, one run a window revision under it. MLflow is imported in functions.

How a model's experiment looks, and why:

- A window's run starts and ends when its window does, so that MLflow's list, newest first, is in the order of the
  windows whenever they were judged. The history run spans from the first window recorded to the last.
- A window's step is its number on the grid, its timestamp its end. Revision n of a window adds its points to the history
  at the same step, n - 1 ms later: charts show both, MLflow takes the later one as the current value.
- A run that is not FINISHED, without the tag ``retrue.verdict``, is half written; the next delivery completes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from retrue.adapters.client_mlflow import (
    again,
    connect,
    escape_markdown,
    find_or_create_run,
    find_run,
    log_values,
    open_experiment,
    patience,
    ui_url,
)
from retrue.results import Verdict

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

SUMMARY = "summary.html"
ARTIFACTS = (SUMMARY, "quality.html", "drift.html", "verdict.json")

_FINDINGS_NOTED = 10
_NOTE = """\
What retrue saw of the model **{model}**, window by window.

- The run **{model} history** holds every window's metrics: open it and choose *Model metrics* for the charts, \
*Artifacts* → `summary.html` for the current state on one page.
- Under it stands one run a window (`r2` is its second revision: labels or late rows arrived). Its tag `retrue.verdict` \
is healthy, breached or inconclusive; read `summary.html` first, then `quality.html` and `drift.html`.
- Retraining is in the experiment **retrue/{model}/training**, the versions under *Models* → **{model}**.
"""
_HISTORY_NOTE = (
    "Every window's metrics of **{model}**; step is the window's number. `summary.html` is the newest window's."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """A judged window revision as MLflow shows it.

    Attributes:
        revision: 1 for the first judgement of the window.
        step: The window's number on its grid (``Grid.index``).
        metrics: Finite values by metric name (``recorded.metrics_of``).
        columns: Columns whose metric is called otherwise, by metric name (``recorded.encoded_columns``).
        report_dir: Holds some of ``ARTIFACTS``; a part that was not measured has no file.
        flow_run_url: Its page in the Prefect UI; empty when no server was used.
        key: Identifies this revision for ever; the same key is recorded once (``Verdict.key``).
        tags: More tags, such as the flow run's id.
    """

    verdict: Verdict
    revision: int
    step: int
    metrics: Mapping[str, float]
    report_dir: Path
    key: str
    columns: Mapping[str, str] = field(default_factory=dict)
    flow_run_url: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return self.verdict.window.model

    @property
    def name(self) -> str:
        """The run's name: model, start date, revision."""
        return f"{self.verdict.window.name} r{self.revision}"

    @property
    def start_ms(self) -> int:
        """A millisecond later a revision, so that lists show the newest first."""
        return _milliseconds(self.verdict.window.start) + self.revision - 1

    @property
    def end_ms(self) -> int:
        return _milliseconds(self.verdict.window.end)


class MlflowRecorder:
    """Records windows on one MLflow server (or in a local store, ``sqlite:///…``, as MLflow allows)."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._client = connect(tracking_uri)

    def record_window(self, record: WindowRecord) -> str:
        """Write a window revision and its point of the history; return the id of its MLflow run.

        Doing it again with the same key changes nothing and completes what a crash left half done.

        Raises:
            DeliveryError: MLflow was down, slow, or refused; the record is to be delivered again.
        """
        with patience(f"record of {record.name}"):
            experiment_id = open_experiment(self._client, _experiment(record.model), _NOTE.format(model=record.model))
            history = self._history_run(experiment_id, record)
            run = self._window_run(experiment_id, history.info.run_id, record)
            if run.info.status != "FINISHED":
                self._complete(run.info.run_id, record)
            self._append(history, record)
        log.info("recorded %s in MLflow as run %s", record.name, run.info.run_id)
        return str(run.info.run_id)

    def run_url(self, run_id: str) -> str:
        """Return a run's page in the MLflow UI; empty where the store is no server.

        Raises:
            DeliveryError: No such run, or no answer.
        """
        with patience(f"page of run {run_id}"):
            run = again(self._client.get_run, run_id)
        return ui_url(self._tracking_uri, "experiments", run.info.experiment_id, "runs", run_id)

    def experiment_url(self, model: str) -> str:
        """Return the page of a model's windows in the MLflow UI, empty before the first or where there is no server.

        Raises:
            DeliveryError: No answer.
        """
        with patience(f"experiment of {model}"):
            found = again(self._client.get_experiment_by_name, _experiment(model))
        return ui_url(self._tracking_uri, "experiments", found.experiment_id, "runs") if found else ""

    def charts_url(self, model: str) -> str:
        """Return the page with the charts over all windows of a model, empty where ``experiment_url`` is.

        Raises:
            DeliveryError: No answer.
        """
        with patience(f"charts of {model}"):
            found = again(self._client.get_experiment_by_name, _experiment(model))
            run = find_run(self._client, found.experiment_id, _history_key(model)) if found else None
        if run is None:
            return ""
        return ui_url(self._tracking_uri, "experiments", found.experiment_id, "runs", run.info.run_id, "model-metrics")

    def _history_run(self, experiment_id: str, record: WindowRecord) -> Run:
        name = _history_key(record.model)
        tags = {
            "retrue.kind": "history",
            "retrue.model": record.model,
            "mlflow.note.content": _HISTORY_NOTE.format(model=record.model),
            **_SOURCE,
        }
        return find_or_create_run(self._client, experiment_id, name, name=name, start_ms=record.start_ms, tags=tags)

    def _window_run(self, experiment_id: str, parent_id: str, record: WindowRecord) -> Run:
        tags = {
            "mlflow.parentRunId": parent_id,
            "retrue.kind": "window",
            "retrue.model": record.model,
            "retrue.window_start": record.verdict.window.start.isoformat(),
            "retrue.window_end": record.verdict.window.end.isoformat(),
            "retrue.revision": str(record.revision),
            **_SOURCE,
        }
        return find_or_create_run(
            self._client, experiment_id, record.key, name=record.name, start_ms=record.start_ms, tags=tags
        )

    def _complete(self, run_id: str, record: WindowRecord) -> None:
        for name in ARTIFACTS:
            if (record.report_dir / name).is_file():
                again(self._client.log_artifact, run_id, str(record.report_dir / name))
        tags = {
            **record.tags,
            "retrue.model_version": record.verdict.model_version,
            "retrue.flow_run_url": record.flow_run_url,
            "mlflow.note.content": _window_note(record),
            "retrue.verdict": record.verdict.outcome.value,
        }
        if record.columns:
            tags["retrue.columns"] = json.dumps(dict(record.columns))
        log_values(self._client, run_id, record.metrics, at_ms=record.end_ms, step=record.step, tags=tags)
        again(self._client.set_terminated, run_id, "FINISHED", record.end_ms)

    def _append(self, history: Run, record: WindowRecord) -> None:
        run_id = history.info.run_id
        newest = _order(record) >= _newest_order(history.data.tags)
        summary = record.report_dir / SUMMARY
        if newest and summary.is_file():
            again(self._client.log_artifact, run_id, str(summary))
        tags = {
            "retrue.window_start": record.verdict.window.start.isoformat(),
            "retrue.window_end": record.verdict.window.end.isoformat(),
            "retrue.revision": str(record.revision),
            "retrue.verdict": record.verdict.outcome.value,
            "retrue.model_version": record.verdict.model_version,
            "retrue.step": str(record.step),
        }
        at_ms = record.end_ms + record.revision - 1
        log_values(self._client, run_id, record.metrics, at_ms=at_ms, step=record.step, tags=tags if newest else None)
        if newest:
            again(self._client.set_terminated, run_id, "FINISHED", record.end_ms)


_SOURCE: Mapping[str, str] = {"mlflow.user": "retrue", "mlflow.source.name": "retrue", "mlflow.source.type": "JOB"}


def _experiment(model: str) -> str:
    return f"retrue/{model}"


def _history_key(model: str) -> str:
    return f"{model} history"


def _order(record: WindowRecord) -> tuple[int, int]:
    return record.step, record.revision


def _newest_order(tags: Mapping[str, str]) -> tuple[int, int]:
    return (int(tags["retrue.step"]), int(tags["retrue.revision"])) if "retrue.step" in tags else (-(2**63), 0)


def _window_note(record: WindowRecord) -> str:
    verdict = record.verdict
    findings = verdict.findings[:_FINDINGS_NOTED]
    lines = [f"**{verdict.outcome.value}** · model version {escape_markdown(verdict.model_version)}", ""]
    lines += [f"- {escape_markdown(reason)}" for reason in verdict.reasons]
    lines += [f"- *{finding.severity.value}*: {escape_markdown(finding.message)}" for finding in findings]
    if len(verdict.findings) > len(findings):
        lines.append(f"- and {len(verdict.findings) - len(findings)} more, all in `verdict.json`")
    lines += ["", f"Read *Artifacts* → `{SUMMARY}` first."]
    return "\n".join(lines)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
