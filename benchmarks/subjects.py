"""What ``benchmarks.window`` measures, each in a process of its own: ``python -m benchmarks.subjects SUBJECT FOLDER``.

- ``retrue``: what ``retrue monitor`` does with no server around: project and ledger opened, the window pulled, profiled,
  validated, compared, scored, judged, its reports written, its verdict committed.
- ``peers``: the same Parquet into pandas, the same suite run by Great Expectations on it, Evidently's ``DataDriftPreset``
  on all rows of both sides over the same columns, its page saved. No labels, no performance, no ledger.
- ``floor``: one DuckDB pass over the same Parquet: count, nulls, minimum, maximum, mean, standard deviation and
  distinct values (approximate: HyperLogLog) of the 25 feature columns.

Each first does the same to 1,000 rows, so that no import is under the clock. What it measures it imports in its function.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from benchmarks.generate import CATEGORIES, FEATURES, NUMBERS
from benchmarks.project import END, MODEL, SUITE, VERSION, prepare

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Steps = dict[str, float]

WARM_ROWS = 1_000  # enough for every measure to be taken
PREDICTIONS = ("prediction", "score")
MEASURED, WARM = "measured", "warm"
_EACH = ("count({0})", "count(*) - count({0})", "min({0})", "max({0})", "approx_count_distinct({0})")
_NUMERIC = ("avg({0})", "stddev({0})")


class Call(TypedDict):
    """One call of a subject: seconds in all and by step, and the process's peak of memory after it."""

    seconds: float
    steps: Steps
    peak_bytes: int


class Stopwatch:
    """A ``Step`` that keeps the seconds each named step took."""

    def __init__(self) -> None:
        self.seconds: Steps = {}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def retrue(folder: Path) -> Steps:
    """Judge the window of a project as the command line does."""
    from retrue.results import Outcome
    from retrue.stages.monitor import monitor_window
    from retrue.workspace import open_workspace

    step = Stopwatch()
    with open_workspace(folder) as workspace:
        window = workspace.project.model(MODEL).window.grid.window_ending(MODEL, END)
        judged = monitor_window(workspace, window, step=step)
    verdict = judged.revision.verdict
    if verdict.outcome is Outcome.INCONCLUSIVE:
        raise RuntimeError(f"the time of a window that was not measured says nothing: {verdict.line}")
    return step.seconds


def peers(folder: Path) -> Steps:
    """Do what one would without retrue: all rows in pandas, then Great Expectations, then Evidently."""
    import pandas as pd

    from retrue.baselines import reference_path

    step, baselines = Stopwatch(), folder / "baselines"
    current = step("read", lambda: pd.read_parquet(folder / "logs").rename(columns=_bare))
    reference = step("read", lambda: pd.read_parquet(reference_path(baselines, MODEL, VERSION)))
    step("validate", lambda: _validate(current, folder / SUITE))
    step("drift", lambda: _compare(current, reference, folder / "peers.html"))
    return step.seconds


def _bare(column: str) -> str:
    return column.removeprefix("features.")


def _validate(frame: pd.DataFrame, suite: Path) -> None:
    import great_expectations as gx

    document = json.loads(suite.read_bytes())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("logs").add_dataframe_asset("window")
    definition = gx.ValidationDefinition(
        name="window",
        data=asset.add_batch_definition_whole_dataframe("window"),
        suite=context.suites.add(gx.ExpectationSuite(**document)),
    )
    result = context.validation_definitions.add(definition).run(batch_parameters={"dataframe": frame})
    if not result.success or len(result.results) != len(document["expectations"]):
        raise RuntimeError("the generated window meets its suite, but Great Expectations on pandas disagrees")


def _compare(current: pd.DataFrame, reference: pd.DataFrame, page: Path) -> None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    columns = [*FEATURES, *PREDICTIONS]
    definition = DataDefinition(
        numerical_columns=[*FEATURES[:NUMBERS], *PREDICTIONS], categorical_columns=list(FEATURES[-CATEGORIES:])
    )
    snapshot = Report([DataDriftPreset()]).run(
        Dataset.from_pandas(current[columns], data_definition=definition),
        Dataset.from_pandas(reference[columns], data_definition=definition),
    )
    snapshot.save_html(str(page))


def floor(folder: Path) -> Steps:
    """Describe every feature column in one pass."""
    import duckdb

    columns = [f'"features.{name}"' for name in FEATURES]
    values = [each.format(name) for each in _EACH for name in columns]
    values += [each.format(name) for each in _NUMERIC for name in columns[:NUMBERS]]
    with duckdb.connect() as connection:
        query = f"SELECT {', '.join(values)} FROM read_parquet(?)"
        connection.execute(query, [str(folder / "logs" / "*.parquet")]).fetchall()
    return {}


SUBJECTS: Mapping[str, Callable[[Path], Steps]] = {"retrue": retrue, "peers": peers, "floor": floor}


def measure(subject: str, folder: Path, repeats: int) -> Iterator[Call]:
    """Yield what each call took, the ledger of the one before removed outside of the clock."""
    SUBJECTS[subject](folder / WARM)
    for _ in range(repeats):
        shutil.rmtree(folder / MEASURED / ".retrue", ignore_errors=True)
        start = time.perf_counter()
        steps = SUBJECTS[subject](folder / MEASURED)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
        yield Call(seconds=seconds, steps=steps, peak_bytes=peak)


def main() -> None:
    """Prepare the projects in a folder, or measure one subject on them and write its calls as JSON."""
    parser = argparse.ArgumentParser(description="one subject, in this process")
    parser.add_argument("subject", choices=("prepare", *SUBJECTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, help="of the project that prepare makes")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if given.subject == "prepare":
        for name, rows in ((WARM, WARM_ROWS), (MEASURED, given.rows)):
            (given.folder / name).mkdir()
            prepare(given.folder / name, rows)
        return
    calls = list(measure(given.subject, given.folder, given.repeats))
    given.output.write_text(json.dumps(calls), encoding="utf-8")


if __name__ == "__main__":
    main()
