"""Judge one window of one model: `prefect deployment run monitor/monitor`, `python flows/monitor.py MODEL`, `retrue monitor`."""

from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from retrue.adapters.flow_prefect import flow_run_page, run_as_task, show_log_lines
from retrue.cli.script import run_script
from retrue.stages.backfill import judge_due
from retrue.stages.publish import publish
from retrue.workspace import name_window, open_workspace


def run_name() -> str:
    """Model and start of the window, as the run list shows them."""
    asked = flow_run.parameters
    return name_window(Path(), asked["model"], asked["window_end"], now=lambda: flow_run.scheduled_start_time)


@flow(name="monitor", flow_run_name=run_name)
def monitor(model: str, window_end: datetime | None = None) -> State[Any]:
    """Judge the window that ends at `window_end`; by default the newest settled one, and again those whose labels have come."""
    show_log_lines()
    with open_workspace() as workspace:
        due = judge_due(
            workspace,
            model,
            window_end,
            at=flow_run.scheduled_start_time,  # a run that starts days late has its own window to judge
            step=run_as_task,
            flow_run_url=flow_run_page(),
        )
        for judged in due:
            publish(workspace, judged)
    return Completed(message=judged.verdict.line, data=judged.facts)


if __name__ == "__main__":
    run_script(monitor)
