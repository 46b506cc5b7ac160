"""Send what is worth knowing but wakes nobody, one message a model."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from retrue.adapters.flow_prefect import show_log_lines
from retrue.cli.script import run_script
from retrue.stages.digest import make_digests
from retrue.workspace import open_workspace


@flow(name="digest")
def digest() -> State[Any]:
    """Make a digest of every model that has something new to tell, and deliver what waits in the outbox."""
    show_log_lines()
    with open_workspace() as workspace:
        made = make_digests(workspace)
    notes = {each.model: len(each.items) for each in made}
    message = ", ".join(f"{model}: {count} notes" for model, count in notes.items()) or "nothing new"
    return Completed(message=message, data=notes)


if __name__ == "__main__":
    run_script(digest)
