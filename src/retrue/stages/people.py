"""Which inferences a log holds of people that are to be forgotten. pyarrow is imported by callees."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from retrue.config import ModelSettings
from retrue.stages.pulling import pull_window
from retrue.tombstones import Tombstones
from retrue.windows import Window

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2261, 1, 1, tzinfo=UTC)


def inferences_of(people: Tombstones, model: str, settings: ModelSettings, *, root: Path) -> frozenset[str]:
    """Return the ids of every record in a model's log that names one of these people, whatever its time and file.

    Raises:
        SourceError: The log cannot be opened.
    """
    span = Window(model=model, start=FIRST, end=LAST)
    with pull_window(span, settings, root=root, only=people) as pulled:
        table = pulled.expression()
        return frozenset(str(identity) for (identity,) in pulled.engine.fetch(table.select("inference_id")))
