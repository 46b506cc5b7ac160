"""How well failures are grouped, beside Drain3: ``python -m benchmarks.grouping [DATA]`` or ``make bench-grouping``.

Two kinds of data, in the folder given or in a folder ``*/data`` beside the project: ``loghub_dev``, messages of six systems whose
true groups people made out, and ``sentry_events_dev``, exceptions of mobile apps and servers, each with copies that have other
values, lines, addresses and folders. Rules were tuned on the other systems; of those in ``HELD_OUT`` only
the scores were watched, never the mistakes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.drain_peer import VERSION as DRAIN_VERSION
from benchmarks.grouping_events import Event, events
from benchmarks.grouping_scores import Scores, scores
from retrue.failures import Failure, group

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "grouping.json"
DATA = next((each.parent for each in sorted(ROOT.parent.glob("*/data/loghub_dev"))), ROOT.parent / "no-data")
DRAIN = ROOT / ".venv" / "drain3"
HELD_OUT = frozenset({"OpenStack", "Zookeeper"})
RUNS = {"drain3": False, "drain3 masked": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Failures of one origin with their true groups."""

    name: str
    failures: Sequence[Failure]
    truth: Sequence[str]


def systems(data: Path) -> list[System]:
    """Return what the folder holds, none where it holds neither kind of data."""
    logs = sorted((data / "loghub_dev").glob("*.log_structured.csv.gz"))
    found = [_logs(path) for path in logs]
    folder = data / "sentry_events_dev"
    if folder.is_dir():
        found.append(_events("Sentry mobile", events(folder, distinct=True)))
        found.append(_events("Sentry others", events(folder, distinct=False)))
    return [system for system in found if system.truth]


def _logs(path: Path) -> System:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return System(
        name=path.name.split("_")[0],
        failures=[Failure(error_type="", message=row["Content"], stack="", status="error") for row in rows],
        truth=[row["EventId"] for row in rows],
    )


def _events(name: str, found: Sequence[Event]) -> System:
    return System(name=name, failures=[each.failure for each in found], truth=[each.truth for each in found])


def measure(found: Sequence[System], drain: Path | None) -> list[tuple[str, str, Scores]]:
    """Return system, subject and scores; Drain3 only where the folder it is installed in is given."""
    results = [
        (system.name, "retrue", scores([each.id for each in group(system.failures)], system.truth)) for system in found
    ]
    if drain:
        clusters = iter(_drain(found, drain))
        results += [
            (system.name, subject, scores(next(clusters), system.truth)) for system in found for subject in RUNS
        ]
    return sorted(results, key=lambda each: [system.name for system in found].index(each[0]))


def _drain(found: Sequence[System], folder: Path) -> list[list[int]]:
    given = [
        {"messages": [_line(failure) for failure in system.failures], "masked": masked}
        for system in found
        for masked in RUNS.values()
    ]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("drain_peer.py"))],
        env={**os.environ, "PYTHONPATH": str(folder)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Drain3 failed:\n{done.stderr[-4000:]}")
    clusters: list[list[int]] = json.loads(done.stdout)
    return clusters


def _line(failure: Failure) -> str:
    """Return all that is known of a failure as one line, as Drain3 reads messages."""
    kind = f"{failure.error_type}: " if failure.error_type else ""
    return " ".join(f"{kind}{failure.message} {failure.stack}".split())


def install(folder: Path, console: Console) -> Path | None:
    """Install Drain3 in a folder of its own, unless it is there; nothing where that is impossible."""
    if not folder.is_dir():
        command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--target", str(folder)]
        try:
            done = subprocess.run([*command, f"drain3=={DRAIN_VERSION}"], capture_output=True, text=True, check=False)
            refusal = done.stderr if done.returncode else ""
        except OSError as error:
            refusal = str(error)
        if refusal:
            console.print(f"[yellow]without Drain3, which could not be installed: {refusal.strip()[-300:]}")
            return None
    return folder


def entries(results: Sequence[tuple[str, str, Scores]]) -> list[Mapping[str, object]]:
    """Return the results as they are kept: one entry a system and subject."""
    return [
        {
            "system": system,
            "subject": subject,
            **{name: round(value, 4) for name, value in asdict(found).items()},
            "held_out": system in HELD_OUT,
        }
        for system, subject, found in results
    ]


def show(results: Sequence[tuple[str, str, Scores]], console: Console) -> None:
    """Print a line a system and subject, and how many systems each subject is best at."""
    table = Table(title="Grouping, shares of messages; * held out while rules were tuned")
    for heading in ("system", "subject", "accuracy", "precision", "recall", "over", "under", "groups", "true"):
        table.add_column(heading, justify="left" if heading in ("system", "subject") else "right")
    for system, subject, found in results:
        shown = (
            found.grouping_accuracy,
            found.pairwise_precision,
            found.pairwise_recall,
            found.over_grouped_share,
            found.under_grouped_share,
        )
        name = f"{system}{' *' if system in HELD_OUT else ''}"
        table.add_row(name, subject, *(f"{share:.4f}" for share in shown), str(found.groups), str(found.truth_groups))
    console.print(table)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grouping", description=str(__doc__).partition(":")[0])
    parser.add_argument("data", type=Path, nargs="?", default=DATA, help="folder of loghub_dev and sentry_events_dev")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the results are written, as JSON")
    parser.add_argument("--without-drain", action="store_true", help="measure retrue alone, install nothing")
    given = parser.parse_args()
    console = Console()
    found = systems(given.data)
    if not found:
        raise SystemExit(
            f"{given.data} holds neither loghub_dev/*.log_structured.csv.gz nor sentry_events_dev: name the folder"
        )
    results = measure(found, None if given.without_drain else install(DRAIN, console))
    show(results, console)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(entries(results), indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {given.output}", soft_wrap=True)


if __name__ == "__main__":
    main()
