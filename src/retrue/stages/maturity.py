"""Which windows after a time are settled, judged and have their labels: by them versions are compared later on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from retrue.config import ModelSettings
from retrue.ledger import Revision
from retrue.windows import Window
from retrue.workspace import Workspace

WINDOWS_MAX = 1000  # of those judged last: older ones have long had their labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Matured:
    """The windows from a time on, oldest first, up to the first that still waits for labels.

    ``as_of`` is the time of the data: that at which the newest judged window had settled. Labels known by then count.
    """

    windows: tuple[Window, ...]
    as_of: datetime

    @property
    def end(self) -> datetime | None:
        return self.windows[-1].end if self.windows else None

    def first(self, count: int) -> Matured:
        """Return no more than so many of the windows."""
        return Matured(windows=self.windows[:count], as_of=self.as_of)


def matured_windows(workspace: Workspace, settings: ModelSettings, model: str, since: datetime) -> Matured | None:
    """Return the matured windows that begin at ``since`` or later, None where no window was judged yet.

    A window has matured once its newest revision does not wait for labels, or their horizon has passed.
    """
    judged: dict[datetime, Revision] = {
        each.window.start: each for each in workspace.ledger.latest(model, limit=WINDOWS_MAX)
    }
    if not judged:
        return None
    end = max(each.window.end for each in judged.values())
    as_of = end + settings.window.settle
    matured: list[Window] = []
    for window in settings.window.grid.windows_between(model, since, end):
        revision = judged.get(window.start)
        late = settings.labels is None or window.end + settings.labels.horizon <= as_of
        if not late and (revision is None or revision.awaits_labels):
            break
        matured.append(window)
    return Matured(windows=tuple(matured), as_of=as_of)
