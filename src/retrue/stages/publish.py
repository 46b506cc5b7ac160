"""Show a judged window on the page of the flow run that judged it."""

from __future__ import annotations

import logging

from retrue.adapters.flow_prefect import publish_verdict
from retrue.errors import DeliveryError
from retrue.reports.markdown import finding_rows
from retrue.stages.monitor import Judged
from retrue.workspace import Workspace

log = logging.getLogger(__name__)


def publish(workspace: Workspace, judged: Judged) -> None:
    """Publish the verdict's text, its findings and the way to its MLflow run, once that exists."""
    text = judged.report_dir / "verdict.md"
    publish_verdict(
        judged.verdict.window.model,
        markdown=text.read_text(encoding="utf-8") if text.is_file() else judged.verdict.line,
        findings=finding_rows(judged.verdict),
        mlflow_url=_mlflow_url(workspace, judged),
        description=judged.verdict.window.name,
    )


def _mlflow_url(workspace: Workspace, judged: Judged) -> str:
    run_id = judged.revision.mlflow_run_id
    if run_id is None or not workspace.project.mlflow:
        return ""
    from retrue.adapters.record_mlflow import MlflowRecorder

    try:
        return MlflowRecorder(workspace.project.mlflow).run_url(run_id)
    except DeliveryError as error:  # MLflow is down: the verdict is shown without the way there
        log.warning("%s", error)
        return ""
