"""What is known of a model right now, read from the ledger alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from retrue.digits import decimal, decimal_all
from retrue.failures.lifecycle import FailureStatus
from retrue.failures.stories import FailureStory
from retrue.ledger import Revision
from retrue.stages.hindsight import pending_findings
from retrue.standing import Pending
from retrue.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A model's last windows, newest first, its champion, its open incidents, and what waits to be carried out.

    ``failures`` are the failure groups that are not resolved, ``pending`` findings that are no incident yet. ``probation`` is the
    version compared with the one before it, ``challenger`` one that waits for later windows. ``metric`` is the judged one of
    performance, empty where none is.
    """

    model: str
    champion: str | None
    open_incidents: int
    failures: tuple[FailureStory, ...]
    pending: tuple[Pending, ...]
    windows: tuple[Revision, ...]
    waiting: Mapping[str, int]
    undelivered: Mapping[str, int]
    probation: str | None = None
    challenger: str | None = None
    metric: str = ""

    @property
    def outcome(self) -> str:
        """The newest window's outcome, empty if there is none."""
        return self.windows[0].verdict.outcome.value if self.windows else ""

    @property
    def title(self) -> str:
        incidents = f"{self.open_incidents} open {'incident' if self.open_incidents == 1 else 'incidents'}"
        waiting = f", {len(self.pending)} pending" if self.pending else ""
        return f"{self.model}: champion {self.champion or 'none'}{self._versions}, {incidents}{waiting}{self._failures}"

    @property
    def _versions(self) -> str:
        """What is being compared at the moment."""
        probation = " (on probation)" if self.probation else ""
        return probation + (f", challenger {self.challenger} waits for later windows" if self.challenger else "")

    @property
    def _failures(self) -> str:
        """How many failure groups are open, and how many of them are more than going on."""
        if not self.failures:
            return ""
        counts = Counter(each.status for each in self.failures if each.status is not FailureStatus.ONGOING)
        news = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        groups = f"{len(self.failures)} failure {'group' if len(self.failures) == 1 else 'groups'}"
        return f", {groups}{f' ({news})' if news else ''}"

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Window, revision, verdict in one line, and version, as a table shows them."""
        return [
            (f"{each.window.start:%Y-%m-%d %H:%M}", str(each.number), each.verdict.line, each.verdict.model_version)
            for each in self.windows
        ]

    @property
    def pending_lines(self) -> list[str]:
        """What may become an incident, a line each."""
        return [f"pending: {each.label} in {each.line}" for each in self.pending]

    @property
    def performance(self) -> str:
        """One line on how estimates and labels met, empty where nothing was estimated."""
        pairs = [(self._value(each, "estimated"), self._value(each, "realised")) for each in self.windows]
        estimated = [value for value, _ in pairs if value is not None]
        if not estimated:
            return ""
        met = [(guess, fact) for guess, fact in pairs if guess is not None and fact is not None]
        newest = f"{self.metric}: estimated {decimal(estimated[0])} in the newest window that has an estimate"
        if not met:
            return f"{newest}; no labels to compare with yet"
        apart = sum(abs(guess - fact) for guess, fact in met) / len(met)
        guess, fact = decimal_all(met[0])
        return f"{newest}; estimated {guess}, realised {fact} where labels came last; {decimal(apart)} apart over {len(met)} windows"

    def _value(self, revision: Revision, how: str) -> float | None:
        return revision.metrics.get(f"performance.{self.metric}.{how}")

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
            "probation": self.probation,
            "challenger": self.challenger,
            "open_incidents": self.open_incidents,
            "pending": [asdict(each) for each in self.pending],
            "failure_groups": [
                {"id": each.id, "title": each.text.title, "state": each.status.value} for each in self.failures
            ],
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
                    "estimated": self._value(each, "estimated"),
                    "realised": self._value(each, "realised"),
                }
                for each in self.windows
            ],
        }


def describe(workspace: Workspace, model: str, *, windows: int) -> Standing:
    """Read what is known of a model.

    Raises:
        ConfigError: No such model.
    """
    settings = workspace.project.model(model)
    ledger = workspace.ledger
    counts = ledger.outbox.counts(model=model)
    newest = ledger.latest(model, limit=windows)
    probation, trial = ledger.probations.open_of(model), ledger.requests.watching(model)
    return Standing(
        model=model,
        champion=ledger.models.champion(model),
        open_incidents=sum(each.state != "resolved" for each in ledger.incidents.list(model)),
        failures=tuple(each for each in ledger.failures.list(model) if not each.resolved),
        pending=pending_findings(workspace, newest[0].verdict) if newest else (),
        windows=newest,
        waiting={kind: count for (kind, state), count in counts.items() if state == "pending"},
        undelivered={kind: count for (kind, state), count in counts.items() if state == "undelivered"},
        probation=probation.version if probation else None,
        challenger=trial.version if trial else None,
        metric=settings.metric,
    )
