"""What logging an inference costs, beside its peers and its floor: ``python -m benchmarks.logger`` or ``make bench-logger``.

Every subject and measure runs in a process of its own, one after the other, in several rounds that each begin with another, so
that what else the machine does meets all alike. Figures are medians of rounds. ``benchmarks.logger_load`` says what is timed,
``benchmarks.logger_subjects`` how each logger is set up, ``benchmarks.logger_budgets`` what retrue's logger promises.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from benchmarks.logger_budgets import BUDGETS, MEASURES, Budget
from benchmarks.logger_report import BudgetEntry, Entry, show, write_docs
from benchmarks.logger_subjects import PACKAGES, SUBJECTS, is_installed

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "logger.json"
DOCS = ROOT / "docs" / "logging.md"
ROUNDS, SECONDS = 3, 1.5
QUICK_SECONDS = 0.25
ONCE = frozenset({"memory"})  # bounded by what is queued, so that rounds do not differ
TIMEOUT_SECONDS = 180.0
OBSERVED = "observed"
OWN = "retrue"
CALLS_OF_P999 = 1_000

Figures = Mapping[str, float]
Rounds = dict[str, list[Figures]]
"""What each subject or measure gave, round by round."""


def measure(subjects: Sequence[str], *, rounds: int, seconds: float, console: Console) -> Rounds:
    """Load all subjects, and take the measures of retrue's budgets where it is one of them."""
    jobs = [("benchmarks.logger_load", subject) for subject in subjects]
    if OWN in subjects:
        jobs += [("benchmarks.logger_load", OBSERVED), *(("benchmarks.logger_budgets", name) for name in MEASURES)]
    measured: Rounds = {name: [] for _, name in jobs}
    for number in range(rounds):
        first = number * len(jobs) // rounds
        for module, name in (*jobs[first:], *jobs[:first]):
            if name in ONCE and measured[name]:
                continue
            with console.status(f"round {number + 1} of {rounds}: {name}"):
                measured[name].append(_run(module, name, seconds))
    return measured


def _run(module: str, name: str, seconds: float) -> Figures:
    """Return the figures on the last line that a process prints."""
    with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", module, name, folder, "--seconds", str(seconds)],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _environment() -> dict[str, str]:
    """Return this environment without what points a peer to a server or changes how it works."""
    owned = ("MLFLOW_", "OTEL_", "SENTRY_", "LOGURU_", "RETRUE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(owned)}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


def entries(measured: Rounds, rounds: int) -> list[Entry]:
    """Return the results as they are kept: one entry a subject, retrue's with its budgets."""
    versions = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
        **{name: version(name) for name in (OWN, *(PACKAGES[each] for each in measured if each in PACKAGES))},
    }
    pace_ns = min((figures["pace_ns"] for figures in measured.get("pace", ())), default=0.0)
    made = [_entry(measured, subject, rounds, pace_ns, versions) for subject in SUBJECTS if subject in measured]
    for entry in made:
        if entry["subject"] == OWN:
            _add_budgets(entry, measured, pace_ns)
    return made


def _entry(measured: Rounds, subject: str, rounds: int, pace_ns: float, versions: Mapping[str, str]) -> Entry:
    alone = ("alone_ns_p50", "alone_ns_p99")
    names = ("accept_ns_p50", "accept_ns_p99", "accept_ns_p999", *alone, "drain_records_per_second")
    p50, p99, p999, alone_p50, alone_p99, rate = (round(_median(measured, subject, name)) for name in names)
    calls = round(sum(each["accept_calls"] for each in measured[subject]))
    return Entry(
        subject=subject,
        accept_ns_p50=p50,
        accept_ns_p99=p99,
        accept_ns_p999=p999 if calls >= CALLS_OF_P999 else None,
        accept_calls=calls,
        alone_ns_p50=alone_p50,
        alone_ns_p99=alone_p99,
        drain_records_per_second=rate,
        lost_records=round(sum(each["lost_records"] for each in measured[subject])),
        spread={name: _spread(measured, subject, name) for name in names},
        rounds=rounds,
        pace_ns=pace_ns,
        versions=versions,
    )


def _add_budgets(entry: Entry, measured: Rounds, pace_ns: float) -> None:
    entry["budgets"] = [_budget_entry(budget, measured, pace_ns) for budget in BUDGETS]
    entry["observe_ns_p50"] = round(_median(measured, OBSERVED, "accept_ns_p50"))
    entry["observe_ns_p99"] = round(_median(measured, OBSERVED, "accept_ns_p99"))
    latency = measured["added-latency"]
    entry["loopback"] = {name: round(statistics.median(each[name] for each in latency), 4) for name in latency[0]}
    entry["simulated_records"] = round(measured["memory"][0]["records"])


def _budget_entry(budget: Budget, measured: Rounds, pace_ns: float) -> BudgetEntry:
    name, key = budget.source
    figure = round(_median(measured, name, key), 2)
    at_pace = round(budget.at_pace(figure, pace_ns), 2)
    return BudgetEntry(
        name=budget.name,
        unit=budget.unit,
        limit=budget.limit,
        at_least=budget.at_least,
        figure=figure,
        spread=_spread(measured, name, key),
        at_pace=at_pace,
        met=budget.is_met(figure),
        met_at_pace=budget.is_met(at_pace),
    )


def _median(measured: Rounds, name: str, key: str) -> float:
    return statistics.median(figures[key] for figures in measured[name])


def _spread(measured: Rounds, name: str, key: str) -> list[float]:
    values = [round(figures[key], 2) for figures in measured[name]]
    return [min(values), max(values)]


def main() -> None:
    """Measure, print, and write the results, into the docs too where all is measured and kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logger", description=str(__doc__).partition(":")[0])
    parser.add_argument("--subjects", nargs="+", choices=tuple(SUBJECTS), default=tuple(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load, each round")
    parser.add_argument("--quick", action="store_true", help="one short round, in half a minute; nothing is kept")
    parser.add_argument("--output", type=Path, help="where the results are written, as JSON")
    given = parser.parse_args()
    console = Console()
    if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        console.print("[yellow]others are using this machine: the figures below say little")
    for subject in given.subjects:
        if not is_installed(subject):
            console.print(f"[yellow]without {subject}: {PACKAGES[subject]} is not installed")
    rounds, seconds = (1, QUICK_SECONDS) if given.quick else (given.rounds, given.seconds)
    subjects = [subject for subject in given.subjects if is_installed(subject)]
    found = entries(measure(subjects, rounds=rounds, seconds=seconds, console=console), rounds)
    show(found, console)
    output = given.output or (None if given.quick else RESULT)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        console.print(f"written to {output}", soft_wrap=True)
    if output == RESULT and write_docs(found, DOCS):
        console.print(f"and to {DOCS}", soft_wrap=True)


if __name__ == "__main__":
    main()
