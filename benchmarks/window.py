"""What judging a window costs, beside its peers and its floor: ``python -m benchmarks.window`` or ``make bench-window``.

Every subject and size runs in a process of its own, one after the other; ``benchmarks.subjects`` says what each does.
Seconds are the median of its calls; the peak of memory is that of the process after its first. The process that
starts them stays small, since a child begins with its parent's peak.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.generate import FEATURES
from benchmarks.subjects import SUBJECTS, Call
from retrue.adapters.processes import QUIET

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "window.json"
ROWS = (100_000, 1_000_000)
REPEATS = 5
SLOW = frozenset({"peers"})  # called once, whatever the repeats
PACKAGES = (
    "retrue",
    "duckdb",
    "ibis-framework",
    "pyarrow",
    "pandas",
    "great-expectations",
    "evidently",
    "scikit-learn",
)
SERVERS = frozenset({"MLFLOW_TRACKING_URI", "PREFECT_API_URL"})  # with them, records and messages would be sent

AIM_ROWS = 1_000_000
AIM_FLOORS, AIM_SECONDS = 3, 3.0
AIM_FASTER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All calls of one subject at one size."""

    subject: str
    rows: int
    calls: Sequence[Call]

    @property
    def seconds(self) -> float:
        return statistics.median(call["seconds"] for call in self.calls)

    @property
    def peak_bytes(self) -> int:
        return self.calls[0]["peak_bytes"]

    @property
    def steps(self) -> Mapping[str, float]:
        """The median seconds of each step, and of what lies between them."""
        steps = {name: statistics.median(call["steps"][name] for call in self.calls) for name in self.calls[0]["steps"]}
        rest = statistics.median(call["seconds"] - sum(call["steps"].values()) for call in self.calls)
        return {**steps, "the rest": rest} if steps else {}


def measure(rows: Sequence[int], subjects: Sequence[str], repeats: int, console: Console) -> Iterator[Measured]:
    """Measure subjects at each size, on one project a size."""
    for count in rows:
        with tempfile.TemporaryDirectory(prefix="retrue-bench-") as place:
            folder = Path(place)
            with console.status(f"generating {count:,} rows"):
                _run("prepare", folder, "--rows", str(count))
            for subject in subjects:
                times = 1 if subject in SLOW else repeats
                with console.status(f"{subject}: {count:,} rows, {times} x"):
                    _run(subject, folder, "--repeats", str(times), "--output", str(folder / "calls.json"))
                yield Measured(subject=subject, rows=count, calls=json.loads((folder / "calls.json").read_bytes()))


def _run(subject: str, folder: Path, *options: str) -> None:
    environment = {**{name: value for name, value in os.environ.items() if name not in SERVERS}, **QUIET}
    command = [sys.executable, "-m", "benchmarks.subjects", subject, str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{subject} failed:\n{done.stderr[-4000:]}")


def entries(measured: Sequence[Measured]) -> list[dict[str, object]]:
    """Return the results as they are kept: one entry a subject and size, each with what it was measured on."""
    versions = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    return [
        {
            "subject": each.subject,
            "rows": each.rows,
            "columns": len(FEATURES),
            "seconds": round(each.seconds, 3),
            "peak_bytes": each.peak_bytes,
            "versions": versions,
        }
        for each in measured
    ]


def show(measured: Sequence[Measured], console: Console) -> None:
    """Print sizes, ratios, the aim, and where retrue and its peers spend their time."""
    seconds = {(each.rows, each.subject): each.seconds for each in measured}
    table = Table(title=f"One window of {len(FEATURES)} feature columns, imports and servers aside")
    for heading in ("rows", "subject", "seconds", "of calls", "peak MB", "x floor", "x retrue"):
        table.add_column(heading, justify="left" if heading == "subject" else "right")
    for each in measured:
        taken = [call["seconds"] for call in each.calls]
        ratios = (_ratio(each.seconds, seconds.get((each.rows, beside))) for beside in ("floor", "retrue"))
        spread = f"{min(taken):.2f}-{max(taken):.2f}"
        table.add_row(
            f"{each.rows:,}", each.subject, f"{each.seconds:.2f}", spread, f"{each.peak_bytes / 1e6:,.0f}", *ratios
        )
    console.print(table)
    for each in measured:
        if each.steps:
            parts = ", ".join(f"{name} {taken:.2f}" for name, taken in each.steps.items())
            console.print(f"{each.subject} at {each.rows:,} rows, seconds: {parts}", soft_wrap=True)
    for line in _aims(seconds):
        console.print(line, soft_wrap=True)


def _ratio(seconds: float, beside: float | None) -> str:
    return f"{seconds / beside:.3g}" if beside else ""


def _aims(seconds: Mapping[tuple[int, str], float]) -> Iterator[str]:
    own, floor, peers = (seconds.get((AIM_ROWS, subject)) for subject in ("retrue", "floor", "peers"))
    if own and floor:
        bound = AIM_FLOORS * floor + AIM_SECONDS
        reached = "reached" if own <= bound else "missed"
        yield f"Aim at {AIM_ROWS:,} rows: at most {AIM_FLOORS} x floor + {AIM_SECONDS:.0f} s = {bound:.2f} s: {own:.2f} s, {reached}"
    if own and peers:
        reached = "reached" if peers / own >= AIM_FASTER else "missed"
        yield f"Aim at {AIM_ROWS:,} rows: at least {AIM_FASTER} x faster than the peers: {peers / own:.1f} x, {reached}"


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.window", description=str(__doc__).partition(":")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="sizes of the window")
    parser.add_argument("--subjects", nargs="+", choices=tuple(SUBJECTS), default=tuple(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=REPEATS, help="calls of each quick subject, of which the median")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the results are written, as JSON")
    given = parser.parse_args()
    console = Console()
    if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        console.print("[yellow]others are using this machine: the seconds below say little")
    measured = list(measure(given.rows, given.subjects, given.repeats, console))
    show(measured, console)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(entries(measured), indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {given.output}", soft_wrap=True)


if __name__ == "__main__":
    main()
