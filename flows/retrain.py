"""Train a challenger and let the gate decide whether it serves."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from retrue.adapters.flow_prefect import publish_text, run_as_task, show_log_lines
from retrue.cli.script import run_script
from retrue.reports.gate import gate_markdown
from retrue.stages.retrain import request_for, retrain_model
from retrue.workspace import open_workspace


@flow(name="retrain")
def retrain(model: str, cause: str) -> State[Any]:
    """Answer the retraining request `cause`; any other text is a person's reason and opens a request of its own."""
    show_log_lines()
    with open_workspace() as workspace:
        retrained = retrain_model(workspace, request_for(workspace, model, cause), step=run_as_task)
        publish_text(model, "retraining", gate_markdown(retrained.reason, retrained.gate))
    return Completed(message=retrained.reason, data=retrained.facts)


if __name__ == "__main__":
    run_script(retrain)
