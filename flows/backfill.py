"""Judge every window of a span, oldest first, in one flow run."""

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from retrue.adapters.flow_prefect import flow_run_page, run_as_task, show_log_lines
from retrue.cli.script import run_script
from retrue.stages.backfill import count_outcomes, judge_span
from retrue.stages.publish import publish
from retrue.workspace import open_workspace


@flow(name="backfill", flow_run_name="{model} {start:%Y-%m-%d} to {end:%Y-%m-%d}")
def backfill(model: str, start: datetime, end: datetime) -> State[Any]:
    """Judge the windows that lie wholly within [start, end); those judged before on the same input stay as they are."""
    show_log_lines()
    with open_workspace() as workspace:
        judged = []
        for each in judge_span(workspace, model, start, end, step=run_as_task, flow_run_url=flow_run_page()):
            publish(workspace, each)
            judged.append(each.facts)
    return Completed(message=count_outcomes(judged), data=judged)


if __name__ == "__main__":
    run_script(backfill)
