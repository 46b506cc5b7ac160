"""What a flow needs of Prefect: steps as tasks, the run's page, artifacts. All of it does nothing outside a flow run."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

TAG = "retrue"  # of every deployment in prefect.yaml, and so of its runs; `retrue purge` knows ours by it


def in_flow_run() -> bool:
    """Tell whether this code runs inside a Prefect flow run; artifacts made elsewhere would start a server."""
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


@contextmanager
def tagged() -> Iterator[None]:
    """Mark flow runs that start in this block as retrue's, as deployments mark theirs."""
    from prefect import tags

    with tags(TAG):
        yield


def run_as_task(name: str, work: Callable[[], T]) -> T:
    """Run a stage's step as a task of the current flow run, so that the UI shows it by name; plainly outside of one.

    The step is a closure: nothing is passed to the task, hashed or stored.
    """
    if not in_flow_run():
        return work()
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    run: Callable[[], T] = task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)(work)
    return run()


def flow_run_page() -> str:
    """Return the current flow run's page in the Prefect UI, empty outside of one."""
    if not in_flow_run():
        return ""
    from prefect.runtime import flow_run

    page = str(flow_run.ui_url or "")
    return page if page.startswith("http") else ""  # Prefect's own temporary server has no pages


def show_log_lines() -> None:
    """Let retrue's own lines reach the run's log: Prefect copies the handlers of extra loggers, not their level."""
    logging.getLogger("retrue").setLevel(logging.INFO)


def artifact_key(model: str, what: str) -> str:
    """Return an artifact key, for which Prefect allows a-z, 0-9 and dashes only; different models never share one.

    >>> artifact_key("flight-delay", "verdict"), artifact_key("a.b", "verdict")
    ('flight-delay-verdict', 'a-2e-b-verdict')
    """
    return f"{re.sub(r'[^a-z0-9-]', lambda match: f'-{ord(match[0]):x}-', model)}-{what}"


def publish_verdict(
    model: str, *, markdown: str, findings: Sequence[Mapping[str, str]], mlflow_url: str, description: str
) -> None:
    """Show a verdict on the flow run's page: its text, its findings as a table, and the way to the MLflow run."""
    if not in_flow_run():
        return
    from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

    create_markdown_artifact(markdown, key=artifact_key(model, "verdict"), description=description)
    table = [dict(row) for row in findings] or [{"severity": "", "message": "no finding"}]
    create_table_artifact(table, key=artifact_key(model, "findings"), description=description)
    if mlflow_url:
        create_link_artifact(
            mlflow_url,
            link_text="reports and metrics in MLflow",
            key=artifact_key(model, "mlflow"),
            description=description,
        )


def publish_text(model: str, what: str, markdown: str) -> None:
    """Show a text on the flow run's page."""
    if not in_flow_run():
        return
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(markdown, key=artifact_key(model, what))
