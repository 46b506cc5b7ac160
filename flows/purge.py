"""Remove what `retention` no longer keeps: reports, MLflow and flow runs, ended effects, values of logs and baselines."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from retrue.adapters.flow_prefect import show_log_lines
from retrue.cli.script import run_script
from retrue.stages.purge import purge as remove_expired
from retrue.stages.purge import purge_line
from retrue.workspace import open_workspace


@flow(name="purge")
def purge() -> State[Any]:
    """Purge every model, with a receipt in the ledger; fails if something that has expired could not be removed."""
    show_log_lines()
    with open_workspace() as workspace:
        purged = remove_expired(workspace)
    state = Failed if any(each.problems for each in purged) else Completed
    return state(message=purge_line(purged), data=[each.facts for each in purged])


if __name__ == "__main__":
    run_script(purge)
