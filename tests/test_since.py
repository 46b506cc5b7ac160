"""A window in the light of those before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrue.reports.since import hindsight_of, move_line, since_line
from retrue.results import HistoryPoint, Outcome
from retrue.since import date_findings, date_incident, metric_of, sudden_moves
from retrue.statistics.change_point import Shape
from tests.builders import drift, measurements, number, profile
from tests.ledger.verdicts import DRIFT, DROP, verdict, week

NOISE = np.random.default_rng(3).normal(size=60)


def history(scores: list[float], *, name: str = "drift.temp", version: str = "1") -> list[HistoryPoint]:
    return [
        HistoryPoint(window=week(at), revision=1, outcome=Outcome.HEALTHY, line="healthy", model_version=version, metrics={name: score})
        for at, score in enumerate(scores)
    ]  # fmt: skip


def scores(*levels: tuple[int, float]) -> list[float]:
    flat = [level for count, level in levels for _ in range(count)]
    return [level + 0.02 * noise for level, noise in zip(flat, NOISE, strict=False)]


def test_a_finding_is_dated_by_the_history_of_its_metric() -> None:
    past = history(scores((15, 0.1), (4, 0.6)))
    dated = date_findings(verdict(19, DRIFT), measurements(window=week(19), drift=drift({"temp": 0.6})), past)
    (since,) = dated.values()
    assert (since.change.shape, since.since, since.windows) == (Shape.SUDDEN, week(15), 20)
    assert since_line(since) == "sudden, since the window of 2013-07-18: 0.09566 before, 0.6032 since"


def test_what_rises_with_every_window_is_slow_and_its_date_has_an_interval() -> None:
    rising = [0.1 + 0.05 * max(0, at - 11) + 0.01 * noise for at, noise in enumerate(NOISE[:24])]
    since = date_incident("drift.column", "temp", history(rising))
    assert since is not None
    assert since.change.shape is Shape.SLOW
    assert since.earliest <= week(12) <= since.latest
    assert since_line(since).startswith("slowly, since 2013-06-")


def test_another_version_has_another_baseline_and_another_history() -> None:
    past = [*history(scores((15, 0.1)), version="0"), *history(scores((18, 0.6)))[15:]]
    found = measurements(window=week(18), drift=drift({"temp": 0.6}))
    assert date_findings(verdict(18, DRIFT), found, past) == {}
    assert date_incident("drift.column", "temp", past) is None


def test_later_windows_are_not_looked_at() -> None:
    past = history(scores((15, 0.1), (9, 0.6)))
    found = measurements(window=week(14), drift=drift({"temp": 0.1}))
    assert date_findings(verdict(14, DRIFT), found, past) == {}


@pytest.mark.parametrize(
    ("check", "scope", "metric"),
    [
        ("drift.prediction", "score", "drift.score"),
        ("drift.share", "", "drift.share"),
        ("performance.realised", "roc_auc", "performance.roc_auc.realised"),
        ("performance.estimated", "roc_auc", "performance.roc_auc.estimated"),
        ("system.errors", "", "system.error_share"),
        ("system.latency_p95", "", "system.latency_ms.p95"),
        ("system.latency_p95", "/score", None),
        ("quality.nulls", "temp", None),
    ],
)
def test_findings_are_about_recorded_metrics(check: str, scope: str, metric: str | None) -> None:
    assert metric_of(check, scope) == metric


def with_means(means: list[float]) -> list[HistoryPoint]:
    return history(means, name="mean.temp")


def test_a_mean_that_jumps_from_one_side_of_the_baseline_to_the_other_is_seen() -> None:
    """Its distance from the baseline is what it was."""
    past = [
        replace(each, metrics={**each.metrics, "drift.temp": 0.5}) for each in with_means(scores((12, -0.5)))
    ]  # fmt: skip
    now = measurements(window=week(12), profile=profile(number(mean=0.5)), drift=drift({"temp": 0.5}))
    (move,) = sudden_moves(verdict(12), now, past)
    assert (move.column, move.is_mean, move.now) == ("temp", True, 0.5)
    assert move.p_value < 1e-4
    assert move_line(move).startswith("temp: its mean has jumped, -0.5")


def test_a_season_that_moves_the_mean_week_by_week_is_not_told() -> None:
    season = [10 * np.sin(2 * np.pi * at / 52) + 0.3 * noise for at, noise in enumerate(NOISE)]
    for at in range(10, 60):
        now = measurements(window=week(at), profile=profile(number(mean=float(season[at]))))
        assert sudden_moves(verdict(at), now, with_means(season[:at])) == ()


def test_the_more_is_looked_at_the_more_a_jump_must_be() -> None:
    columns = [number(f"c{at}", mean=0.22) for at in range(40)]
    means = scores((12, 0.0))
    many = [replace(each, metrics={f"mean.c{at}": each.metrics["mean.temp"] for at in range(40)}) for each in with_means(means)]  # fmt: skip
    one = [replace(each, metrics={"mean.c0": each.metrics["mean.temp"]}) for each in with_means(means)]
    alone = measurements(window=week(12), profile=profile(columns[0]), drift=None)
    together = measurements(window=week(12), profile=profile(*columns), drift=None)
    assert len(sudden_moves(verdict(12), alone, one)) == 1
    assert sudden_moves(verdict(12), together, many) == ()


def test_nothing_is_said_of_a_window_without_history() -> None:
    found = verdict(0, DROP)
    told = hindsight_of(found, date_findings(found, measurements(), []), (), sudden_moves(found, measurements(), []))
    assert (told.notes, told.moves, told.more_moves) == ({}, (), 0)
