"""Freeze what a model logged in good times as the measure of the times to come."""

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from retrue.adapters.flow_prefect import show_log_lines
from retrue.cli.script import run_script
from retrue.stages.freeze import freeze_from_log
from retrue.workspace import open_workspace


@flow(name="baseline", flow_run_name="{model}")
def baseline(model: str, start: datetime | None = None, end: datetime | None = None) -> State[Any]:
    """Freeze the records logged in [start, end), all there are by default, as the serving version's baseline."""
    show_log_lines()
    with open_workspace() as workspace:
        frozen = freeze_from_log(workspace, model, start=start, end=end)
    message = f"baseline of version {frozen.version}: {frozen.provenance.rows} rows"
    return Completed(message=message, data={"version": frozen.version, "digest": frozen.digest})


if __name__ == "__main__":
    run_script(baseline)
