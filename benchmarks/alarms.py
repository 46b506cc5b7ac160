"""Are the alarms right: ``python -m benchmarks.alarms [--data DATA]`` or ``make bench-alarms``.

| section | what is counted |
|---|---|
| ``no_drift`` | windows without drift in which anything alarms, beside the rate that was stated |
| ``shifts`` | shifted windows that alarm, all subjects set to alarm in one of twenty windows without drift |
| ``streams`` | alarms on recorded streams of which it is known when they change |
| ``estimation`` | how far estimated performance lies from what the labels said later |
| ``gate`` | challengers that were promoted, where the truth is known |

Data are looked for in the folder given or in a folder ``*/data`` beside the project; a section's cases whose data are absent are
left out. Evidently's defaults are computed beside, NannyML's where its own environment can be made.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import alarms_gate
from benchmarks.alarms_rates import (
    REFERENCES,
    RELATION_REFERENCES,
    SHIFT_SIZES,
    SIZES,
    WINDOWS,
    no_drift,
    relations,
    shifts,
)
from benchmarks.alarms_report import write_docs
from benchmarks.alarms_streams import streams
from benchmarks.alarms_subjects import install_nannyml
from benchmarks.estimation import estimation_rows

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "alarms.json"
DOCS = ROOT / "docs" / "statistics.md"
DATA = next((each.parent for each in sorted(ROOT.parent.glob("*/data/nycflights13"))), ROOT.parent / "no-data")
Row = Mapping[str, object]
Section = Callable[[], Iterable[Row]]
GATES = 1_000


def sections(data: Path, *, quick: bool, processes: int) -> Mapping[str, Section]:
    """Return what makes the rows of each section; quick ones are for tests and say nothing."""
    amount = {"references": 1, "windows": 4} if quick else {"references": REFERENCES, "windows": WINDOWS}
    fewer = {**amount, "references": min(amount["references"], RELATION_REFERENCES)}
    sizes, shift_sizes = ((200,), (200,)) if quick else (SIZES, SHIFT_SIZES)
    return {
        "no_drift": partial(no_drift, data, sizes=sizes, processes=processes, **amount),
        "shifts": lambda: chain(
            shifts(data, sizes=shift_sizes, processes=processes, **amount),
            relations(sizes=shift_sizes, processes=processes, **fewer),
        ),
        "streams": partial(streams, data),
        "estimation": partial(estimation_rows, data),
        "gate": partial(alarms_gate.measure, trials=20 if quick else GATES),
    }


def show(name: str, rows: Sequence[Row], console: Console) -> None:
    """Print a section as a table."""
    table = Table(title=name)
    names = list(dict.fromkeys(key for row in rows for key in row))
    for key in names:
        table.add_column(key)
    for row in rows:
        table.add_row(*(_shown(row.get(key)) for key in names))
    console.print(table)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def main() -> None:
    """Count, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sample data")
    parser.add_argument("--sections", nargs="+", help="only these; the others keep their last results")
    parser.add_argument("--quick", action="store_true", help="a few windows of each; nothing is kept")
    parser.add_argument("--without-nannyml", action="store_true", help="do not make NannyML's environment")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, help="where the results are written, as JSON")
    given = parser.parse_args()
    console = Console()
    refusal = "" if given.without_nannyml or given.quick else install_nannyml()
    if refusal:
        console.print(f"[yellow]without NannyML, whose environment could not be made: {refusal}", soft_wrap=True)
    made = sections(given.data, quick=given.quick, processes=given.processes)
    output = given.output or (None if given.quick else RESULT)
    results = json.loads(output.read_text()) if output and output.is_file() else {}
    for name in given.sections or made:
        with console.status(name):
            results[name] = list(made[name]())
        show(name, results[name], console)
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps({key: results[key] for key in made if key in results}, indent=1) + "\n")
    if output:
        console.print(f"written to {output}", soft_wrap=True)
    if output == RESULT and write_docs(results, DOCS):
        console.print(f"and to {DOCS}", soft_wrap=True)


if __name__ == "__main__":
    main()
