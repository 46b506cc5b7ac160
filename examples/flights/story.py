"""What happened in the demo, read back from the ledger: a table for people, demo.json for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.flights.replay import MODEL
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from retrue.failures.stories import FailureStory
    from retrue.ledger import Revision
    from retrue.workspace import Workspace

FINDINGS_SHOWN = 3
WINDOWS_MAX = 200
_COLOURS = {"healthy": "green", "breached": "red", "inconclusive": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One window of the table: what was judged and what followed from it."""

    start: str
    rows: int
    version: str
    verdict: str
    findings: tuple[str, ...]
    performance: float | None
    action: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """One failure group of the whole demo: what failed, when, for which inputs, and how it ended."""

    title: str
    state: str
    rows: int
    over_weeks: str
    inputs: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The demo's windows, failures, retrainings and messages, and where to look at them."""

    rows: tuple[Row, ...]
    failures: tuple[Failing, ...]
    retrainings: tuple[Mapping[str, object], ...]
    messages: tuple[Mapping[str, str], ...]
    flow_runs: tuple[Mapping[str, str], ...]
    urls: Mapping[str, str]
    charts_url: str

    def print(self, console: Console) -> None:
        """Print the weeks, the failures, what became of each retraining, what the receiver got, and the addresses."""
        console.print()
        console.print(self._table())
        console.print()
        console.print(self._failure_table())
        for each in self.retrainings:
            console.print(f"\n[bold]{str(each['as_of'])[:10]}[/] {each['reason']}", soft_wrap=True)
        console.print(
            f"\n{len(self.messages)} notifications arrived at the demo's webhook; the last ones:", style="bold"
        )
        for message in self.messages[-5:]:
            console.print(f"  {message['subject']}", markup=False, soft_wrap=True)
        console.print(
            f"\nPrefect  {self.urls['prefect']}\nMLflow   {self.charts_url or self.urls['mlflow']}", soft_wrap=True
        )

    def write(self, path: Path) -> None:
        """Write the same facts with every flow-run id, MLflow run id and model version."""
        import orjson

        document = {
            "model": MODEL,
            "urls": {**self.urls, "charts": self.charts_url},
            "windows": [row.facts for row in self.rows],
            "failures": [failing.facts for failing in self.failures],
            "retrainings": self.retrainings,
            "notifications": self.messages,
            "flow_runs": self.flow_runs,
        }
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str) + b"\n")

    def _failure_table(self) -> Table:
        table = _titled("what failed in the model server, and for which inputs")
        for name in ("failure", "over the weeks", "records", "now", "which inputs"):
            table.add_column(name, justify="right" if name == "records" else "left", overflow="fold")
        for each in self.failures:
            table.add_row(each.title, each.over_weeks, f"{each.rows:,}", each.state, each.inputs)
        return table

    def _table(self) -> Table:
        table = _titled("flight-delay, week by week")
        for name in ("window", "rows", "v", "verdict", "findings", "roc_auc", "action"):
            table.add_column(
                name,
                justify="right" if name in ("rows", "roc_auc") else "left",
                no_wrap=name in ("window", "rows", "v", "verdict", "roc_auc"),
            )
        for row in self.rows:
            more = f" +{len(row.findings) - FINDINGS_SHOWN}" if len(row.findings) > FINDINGS_SHOWN else ""
            table.add_row(
                row.start,
                f"{row.rows:,}",
                row.version,
                f"[{_COLOURS[row.verdict]}]{row.verdict}[/]",
                ", ".join(row.findings[:FINDINGS_SHOWN]) + more,
                "" if row.performance is None else f"{row.performance:.3f}",
                row.action,
            )
        return table


def _titled(title: str) -> Table:
    return Table(show_edge=False, pad_edge=False, header_style="bold", title=title, title_justify="left")


def tell(
    workspace: Workspace,
    messages: Sequence[Mapping[str, str]],
    urls: Mapping[str, str],
    flow_runs: Sequence[Mapping[str, str]],
) -> Story:
    """Read the story back from the ledger."""
    from retrue.adapters.record_mlflow import MlflowRecorder

    ledger = workspace.ledger
    requests = sorted(ledger.requests.list(MODEL, limit=WINDOWS_MAX), key=lambda request: request.cause.as_of)
    promoted = {made.request_id: made for made in ledger.models.promotions(MODEL, limit=WINDOWS_MAX)}
    started = {str(row.payload["request_id"]): row for row in ledger.outbox.rows(model=MODEL, kind="retrain")}
    retrainings = tuple(
        {
            "request_id": request.id,
            "as_of": request.cause.as_of,
            "cause": request.cause.message,
            "state": request.state,
            "reason": request.reason,
            "promoted_version": promoted[request.id].version if request.id in promoted else None,
            "flow_run_id": started[request.id].result.get("flow_run_id") if request.id in started else None,
        }
        for request in requests
    )
    answers = {str(each["request_id"]): each for each in retrainings}
    revisions = reversed(ledger.latest(MODEL, limit=WINDOWS_MAX))
    return Story(
        rows=tuple(_row(revision, answers) for revision in revisions),
        failures=tuple(_failing(story) for story in ledger.failures.list(MODEL)),
        retrainings=retrainings,
        messages=tuple(messages),
        flow_runs=tuple(flow_runs),
        urls=urls,
        charts_url=MlflowRecorder(workspace.mlflow).charts_url(MODEL),
    )


def _failing(story: FailureStory) -> Failing:
    from retrue.reports.sparkline import text_sparkline

    inputs = "; ".join(map(str, story.inputs[:1]))
    facts = {
        "id": story.id,
        "title": story.text.title,
        "state": story.status.value,
        "rows": story.rows,
        "first_seen_at": story.first_seen_at,
        "last_seen_at": story.last_seen_at,
        "rows_by_window": {f"{point.window.start:%Y-%m-%d}": point.rows for point in story.points if point.rows},
        "inputs": [str(each) for each in story.inputs],
        "samples": story.samples,
    }
    return Failing(
        title=story.text.title,
        state=story.status.value,
        rows=story.rows,
        over_weeks=text_sparkline([point.rows for point in story.points]),
        inputs=inputs,
        facts=facts,
    )


def _row(revision: Revision, answers: Mapping[str, Mapping[str, object]]) -> Row:
    verdict, metrics = revision.verdict, revision.metrics
    findings = tuple(each.label for each in verdict.findings if each.severity.breaches)
    action = _action(revision, answers)
    facts = {
        "window_start": verdict.window.start,
        "window_end": verdict.window.end,
        "revision": revision.number,
        "rows": int(metrics["rows"]),
        "verdict": verdict.outcome.value,
        "findings": findings,
        "reasons": verdict.reasons,
        "performance": metrics.get("performance.roc_auc.realised"),
        "action": action,
        "model_version": verdict.model_version,
        "mlflow_run_id": revision.mlflow_run_id,
        "flow_run_id": revision.flow_run_url.rsplit("/", 1)[-1],
    }
    return Row(
        start=f"{verdict.window.start:%b %d}",
        rows=int(metrics["rows"]),
        version=verdict.model_version,
        verdict=verdict.outcome.value,
        findings=findings or verdict.reasons,
        performance=metrics.get("performance.roc_auc.realised"),
        action=action,
        facts=facts,
    )


def _action(revision: Revision, answers: Mapping[str, Mapping[str, object]]) -> str:
    """Say what followed from a window: incidents that changed, and what became of a retraining it asked for."""
    from retrue.decide import request_id

    decision = revision.decision
    parts = []
    for change in ("opened", "repeated", "resolved"):
        count = sum(each.change.value == change for each in decision.changes)
        if count:
            parts.append(f"{count} {change}")
    if decision.retrain:
        answer = answers.get(request_id(decision.retrain), {})
        version = answer.get("promoted_version")
        parts.append(f"retrain: {f'version {version} promoted' if version else answer.get('state', 'asked for')}")
    return ", ".join(parts)
