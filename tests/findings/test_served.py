"""Versions, generators and endpoints side by side: a sentence where they differ beyond noise, silence elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrue.findings.served import COMPARISONS_MAX, compare_served
from retrue.results import Interval, Served


def served(version: str = "2", **changes: object) -> Served:
    plain = Served(
        model_version=version, endpoint="/predict", generator="", rows=5000, weight=5000.0, error_share=0.02,
        effective_rows=5000.0, latency_ms={"p95": 86.0}, latency_bounds_ms={"p95": (84.0, 88.0)},
        cost_usd_per_1k=Interval(value=1.0, low=0.98, high=1.02),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def slower(version: str = "3", **changes: object) -> Served:
    return served(
        version, latency_ms={"p95": 180.0}, latency_bounds_ms={"p95": (170.0, 190.0)},
        cost_usd_per_1k=Interval(value=0.6, low=0.59, high=0.61), **changes,
    )  # fmt: skip


def sentences(*given: Served) -> list[str]:
    return [each.sentence for each in compare_served(given)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_sentence_says_how_a_version_differs_from_the_one_before(order: int) -> None:
    assert sentences(*[served(), slower()][::order]) == [
        "Version 3 is 2.1x slower at p95 than version 2 at /predict (180 against 86 ms), fails as often, and costs 40 % less."
    ]


def test_versions_that_differ_in_nothing_have_no_sentence() -> None:
    assert sentences(served(), served("3", latency_ms={"p95": 87.5}, latency_bounds_ms={"p95": (85.0, 90.0)})) == []


def test_failures_are_compared_by_how_much_the_rows_can_tell() -> None:
    assert sentences(served(), served("3", error_share=0.06)) == [
        "Version 3 is as fast at p95 as version 2 at /predict, fails 3.0x more often (6.00% against 2.00%), and costs as much."
    ]
    assert sentences(served(), served("3", error_share=0.06, effective_rows=40.0)) == []


def test_what_one_side_does_not_have_is_left_out() -> None:
    bare = {"cost_usd_per_1k": None, "latency_ms": {}, "latency_bounds_ms": {}}
    assert sentences(served(**bare), served("3", error_share=0.0, **bare)) == [  # type: ignore[arg-type]
        "Version 3 fails less often than version 2 at /predict (0.00% against 2.00%)."
    ]
    assert sentences(served(error_share=None), slower(error_share=None)) == [
        "Version 3 is 2.1x slower at p95 than version 2 at /predict (180 against 86 ms), and costs 40 % less."
    ]


def test_generators_and_endpoints_are_compared_where_the_rest_is_alike() -> None:
    small, large = served(generator="small"), slower("2", generator="large")
    assert sentences(small, large)[0].startswith(
        "Generator small is 2.1x faster at p95 than generator large at /predict"
    )
    (found,) = compare_served([served(), slower("2", endpoint="/batch")])
    assert (found.between, found.sentence[:9]) == ("endpoints", "Endpoint ")
    assert sentences(small, slower("3", generator="large")) == []


def test_few_rows_are_compared_with_nothing() -> None:
    assert sentences(served(), slower(rows=99)) == []


def test_versions_are_in_the_order_people_count_them() -> None:
    assert sentences(served("9"), slower("10"))[0].startswith("Version 10 is 2.1x slower")


def test_many_versions_do_not_flood_the_report() -> None:
    assert len(compare_served([served("1"), *(slower(str(n)) for n in range(2, 30))])) == COMPARISONS_MAX


def test_two_samples_of_one_world_are_seldom_told_apart() -> None:
    """Shares of failures, 2,000 pairs: at 95 % about one in twenty is told, and no more."""
    draw = np.random.default_rng(5)
    rates = draw.binomial(400, 0.05, (2000, 2)) / 400
    bare = {"effective_rows": 400.0, "latency_ms": {}, "latency_bounds_ms": {}, "cost_usd_per_1k": None}
    told = sum(bool(sentences(served(error_share=a, **bare), served("3", error_share=b, **bare))) for a, b in rates)  # type: ignore[arg-type]
    assert 0.02 < told / 2000 < 0.06
