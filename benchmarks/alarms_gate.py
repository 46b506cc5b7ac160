"""How often the gate, a watched gate and a probation are wrong, and how often right: section ``gate`` of alarms.json.

``measure()`` returns the section's rows; ``python -m benchmarks.alarms_gate`` prints them. Labels are coins. The champion is right on
80 % of rows; the two models differ in being right on 10 % of rows. Rows lie on days; of the rows on which the two differ, the
challenger wins a share that changes from day to day (standard deviation ``SWING``), as weather does to flights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np

from retrue.config import GateSettings
from retrue.gate import judge_challenger, judge_probation, probation_looks
from retrue.results import GateResult
from retrue.statistics.sequential import mean_sequence

TRIALS = 1000
SWING = 0.05
TELLING_SHARE = 0.10
ROWS, DAYS = 3000, 20
WATCHED_DAYS, FIRST_LOOK_DAYS, ROWS_A_DAY = 74, 14, 150
POINTS = 0.02
BY_DAY = GateSettings(resamples=400)
BY_ROW = GateSettings(resample="rows", test="mcnemar")
SLICED = GateSettings(resamples=400, min_slice_rows=200)

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def draw(seed: int, *, gain: float = 0.0, rows: int = ROWS, days: int = DAYS, swing: float = SWING) -> Drawn:
    """Return labels, the two models' predictions, and the number of each row's day.

    Args:
        seed: Of the draws.
        gain: What the challenger truly gains in accuracy.
        rows: How many, spread evenly over the days.
        days: How many.
        swing: Standard deviation from day to day of the share of telling rows that the challenger wins.
    """
    rng = np.random.default_rng(seed)
    labels, day = rng.integers(0, 2, rows), np.arange(rows) % days
    share = np.clip(0.5 + gain / TELLING_SHARE / 2 + rng.normal(0, swing, days), 0, 1)[day]
    telling, wins = rng.random(rows) < TELLING_SHARE, rng.random(rows) < share
    both = rng.random(rows) < (0.8 - TELLING_SHARE / 2) / (1 - TELLING_SHARE)
    champion_right = np.where(telling, ~wins, both)
    challenger_right = np.where(telling, wins, both)
    return labels, np.where(champion_right, labels, 1 - labels), np.where(challenger_right, labels, 1 - labels), day


def gate(drawn: Drawn, settings: GateSettings, **more: object) -> GateResult:
    """Put a drawn pair before the gate."""
    labels, champion, challenger, day = drawn
    return judge_challenger(
        "accuracy",
        task="binary",
        labels=labels,
        champion=champion,
        challenger=challenger,
        settings=settings,
        times=np.datetime64("2013-04-04") + day * np.timedelta64(1, "D"),
        **more,  # type: ignore[arg-type]
    )


def equal(seed: int) -> bool:
    return gate(draw(seed), BY_DAY, seed=seed).passed


def identical(seed: int) -> bool:
    labels, champion, _, day = draw(seed)
    return gate((labels, champion, champion, day), BY_DAY, seed=seed).passed


def better(seed: int) -> bool:
    return gate(draw(seed, gain=POINTS), BY_DAY, seed=seed).passed


def harmful(seed: int) -> bool:
    """Better by two points in all, worse by ten on a fifth of the rows: tell whether it is refused for that slice."""
    labels, champion, challenger, day = draw(seed, gain=0.05)
    rng = np.random.default_rng([seed, 1])
    small = rng.random(len(labels)) < 0.2
    broken = small & (challenger == labels) & (rng.random(len(labels)) < 0.18)
    harmed = np.where(broken, 1 - challenger, challenger)
    origin = np.where(small, "small", "large")
    judged = gate((labels, champion, harmed, day), SLICED, seed=seed, slices={"origin": origin})
    return any("worse on origin=small" in refusal for refusal in judged.refusals)


def equal_by_mcnemar(seed: int) -> bool:
    return gate(draw(seed, swing=0), BY_ROW).passed


def better_by_mcnemar(seed: int) -> bool:
    return gate(draw(seed, gain=POINTS, swing=0), BY_ROW).passed


def equal_by_mcnemar_though_days_differ(seed: int) -> bool:
    return gate(draw(seed, swing=0.15), BY_ROW).passed


def equal_by_days_that_differ(seed: int) -> bool:
    return gate(draw(seed, swing=0.15), BY_DAY, seed=seed).passed


def watched(seed: int, gain: float = 0.0) -> bool:
    """Look every day from the 14th to the 74th, as a watched gate does: by the days' gains, whose test it shares."""
    gains = daily_gains(seed, gain)
    looks = range(FIRST_LOOK_DAYS, WATCHED_DAYS + 1)
    return any(mean_sequence(gains[:look], confidence=0.95, tuned_for=FIRST_LOOK_DAYS + 30)[0] > 0 for look in looks)


def daily_gains(seed: int, gain: float = 0.0) -> np.ndarray:
    labels, champion, challenger, day = draw(seed, gain=gain, rows=WATCHED_DAYS * ROWS_A_DAY, days=WATCHED_DAYS)
    won = (challenger == labels).astype(float) - (champion == labels)
    return np.bincount(day, won) / np.bincount(day)


def watched_better(seed: int) -> bool:
    return watched(seed, POINTS)


def looked_at_daily_without(seed: int) -> bool:
    """The same looks by Student's interval of one look: what watching is not."""
    from scipy import stats

    gains = daily_gains(seed)
    for look in range(FIRST_LOOK_DAYS, WATCHED_DAYS + 1):
        error = gains[:look].std(ddof=1) / np.sqrt(look)
        if gains[:look].mean() - stats.t.ppf(0.975, look - 1) * error > 0:
            return True
    return False


def rolled_back(seed: int, gain: float = 0.0) -> bool:
    """Take the looks of a probation of four weeks at a version that gains so much on the one before it."""
    labels, previous, champion, day = draw(seed, gain=gain, rows=28 * 300, days=28)
    looks = probation_looks(BY_DAY, timedelta(days=7))
    for end in (14, 21, 28):
        rows = day < end
        look = judge_probation(
            "accuracy",
            task="binary",
            labels=labels[rows],
            champion=champion[rows],
            previous=previous[rows],
            settings=BY_DAY,
            looks=looks,
            times=np.datetime64("2013-04-04") + day[rows] * np.timedelta64(1, "D"),
            seed=seed,
        )
        if look.outcome == "worse":
            return True
    return False


def rolled_back_worse(seed: int) -> bool:
    return rolled_back(seed, -POINTS)


CASES: Mapping[tuple[str, str], tuple[Callable[[int], bool], int]] = {
    ("gate by day", "the same model as challenger: promoted"): (identical, ROWS),
    ("gate by day", "a challenger of equal quality: promoted"): (equal, ROWS),
    ("gate by day", "+2 points of accuracy: promoted"): (better, ROWS),
    ("gate by day", "+2 points in all, -10 on a fifth of the rows: refused for that slice"): (harmful, ROWS),
    ("gate by day", "equal quality, days differ more: promoted"): (equal_by_days_that_differ, ROWS),
    ("gate by McNemar", "a challenger of equal quality: promoted"): (equal_by_mcnemar, ROWS),
    ("gate by McNemar", "+2 points of accuracy: promoted"): (better_by_mcnemar, ROWS),
    ("gate by McNemar", "equal quality, days differ more: promoted"): (equal_by_mcnemar_though_days_differ, ROWS),
    ("watched gate", "equal quality, 61 daily looks: promoted"): (watched, WATCHED_DAYS * ROWS_A_DAY),
    ("watched gate", "+2 points of accuracy, 61 daily looks: promoted"): (watched_better, WATCHED_DAYS * ROWS_A_DAY),
    ("one look repeated", "equal quality, 61 daily looks: promoted"): (
        looked_at_daily_without,
        WATCHED_DAYS * ROWS_A_DAY,
    ),
    ("probation", "equal quality, 3 looks: rolled back"): (rolled_back, 28 * 300),
    ("probation", "-2 points of accuracy, 3 looks: rolled back"): (rolled_back_worse, 28 * 300),
}


def measure(*, trials: int = TRIALS) -> list[dict[str, object]]:
    """Return the rows of the section: subject, case, size in rows, trials, and in how many of them it happened."""
    return [
        {"subject": subject, "case": case, "size": size, "trials": trials, "count": sum(map(run, range(trials)))}
        for (subject, case), (run, size) in CASES.items()
    ]


if __name__ == "__main__":
    for row in measure(trials=int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS):
        print(row)
