"""What is known of a model right now, read from the ledger alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrue.ledger import Revision
from retrue.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A model's last windows, newest first, its champion, its open incidents, and what waits to be carried out."""

    model: str
    champion: str | None
    open_incidents: int
    windows: tuple[Revision, ...]
    waiting: Mapping[str, int]
    undelivered: Mapping[str, int]

    @property
    def outcome(self) -> str:
        """The newest window's outcome, empty if there is none."""
        return self.windows[0].verdict.outcome.value if self.windows else ""

    @property
    def title(self) -> str:
        incidents = f"{self.open_incidents} open {'incident' if self.open_incidents == 1 else 'incidents'}"
        return f"{self.model}: champion {self.champion or 'none'}, {incidents}"

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Window, revision, verdict in one line, and version, as a table shows them."""
        return [
            (f"{each.window.start:%Y-%m-%d %H:%M}", str(each.number), each.verdict.line, each.verdict.model_version)
            for each in self.windows
        ]

    @property
    def outbox(self) -> str:
        """One line about what has not been carried out."""
        parts = [f"{count} {kind} waiting" for kind, count in self.waiting.items()]
        parts += [f"{count} {kind} UNDELIVERED" for kind, count in self.undelivered.items()]
        return f"outbox: {', '.join(parts) or 'empty'}"

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "model": self.model,
            "champion": self.champion,
            "open_incidents": self.open_incidents,
            "waiting": dict(self.waiting),
            "undelivered": dict(self.undelivered),
            "windows": [
                {
                    "start": each.window.start.isoformat(),
                    "end": each.window.end.isoformat(),
                    "revision": each.number,
                    "verdict": each.verdict.outcome.value,
                    "line": each.verdict.line,
                    "model_version": each.verdict.model_version,
                    "mlflow_run_id": each.mlflow_run_id,
                }
                for each in self.windows
            ],
        }


def describe(workspace: Workspace, model: str, *, windows: int) -> Standing:
    """Read what is known of a model.

    Raises:
        ConfigError: No such model.
    """
    workspace.project.model(model)
    ledger = workspace.ledger
    counts = ledger.outbox.counts(model=model)
    return Standing(
        model=model,
        champion=ledger.models.champion(model),
        open_incidents=sum(each.state != "resolved" for each in ledger.incidents.list(model)),
        windows=ledger.latest(model, limit=windows),
        waiting={kind: count for (kind, state), count in counts.items() if state == "pending"},
        undelivered={kind: count for (kind, state), count in counts.items() if state == "undelivered"},
    )
