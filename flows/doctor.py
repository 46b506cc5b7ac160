"""The dead-man check: whether the monitoring itself still works, told once when it does not and once when it does again."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from retrue.adapters.flow_prefect import show_log_lines
from retrue.cli.script import run_script
from retrue.stages.doctor import diagnose
from retrue.workspace import open_workspace


@flow(name="doctor")
def doctor() -> State[Any]:
    """Examine schedules, outbox, baselines, labels and set-up of every model; complaints are a result, not a failure."""
    show_log_lines()
    with open_workspace() as workspace:
        diagnosis = diagnose(workspace)
    return Completed(message=diagnosis.line, data=diagnosis.facts)


if __name__ == "__main__":
    run_script(doctor)
