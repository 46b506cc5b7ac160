"""retrue <command>: parse, call a stage, print. Stages and tools are imported by the commands that need them."""

from retrue.cli import debugging, importing, incidents, judging, models, people, project, replaying, servers, upkeep
from retrue.cli.output import application

__all__ = ["app"]

app = application()
project.add_to(app)
servers.add_to(app)
judging.add_to(app)
replaying.add_to(app)
importing.add_to(app)
models.add_to(app)
incidents.add_to(app)
debugging.add_to(app)
people.add_to(app)
upkeep.add_to(app)
