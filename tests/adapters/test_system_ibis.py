from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sources.logs import WINDOW, Row, pull, record, write_lines, write_parquet

from retrue.adapters.failures_ibis import measure_failures
from retrue.adapters.system_ibis import PARTS_MAX, measure_system
from retrue.results import SystemHealth

NAN, INFINITY = math.nan, math.inf


def measured(root: Path, rows: list[Row], **options: Any) -> SystemHealth:
    write_parquet(root / "logs/a.parquet", rows)
    with pull(root) as pulled:
        return measure_system(pulled, measure_failures(pulled, WINDOW), **options)


def test_error_share_and_latency_are_weighted(tmp_path: Path) -> None:
    statuses = ["ok", "error", "timeout", None, "OK"]
    health = measured(
        tmp_path,
        [
            record(n, status=status, latency_ms=float(n), sample_weight=float(n + 1))
            for n, status in enumerate(statuses)
        ],
    )
    assert health.error_share == pytest.approx(5 / 15)
    assert health.error_shares == pytest.approx(
        {"crash": 2 / 15, "timeout": 3 / 15, "authentication": 0, "rejected": 0}
    )
    assert health.latency_ms == {"p50": 3.0, "p95": 4.0, "p99": 4.0}
    assert health.inferences == 15


def test_percentiles_leave_out_rows_without_a_value(tmp_path: Path) -> None:
    odd = [
        record(900 + n, latency_ms=value, request_bytes=value) for n, value in enumerate([None, NAN, INFINITY, -1.0])
    ]
    rows = [record(n, latency_ms=float(n), request_bytes=10.0 * n) for n in range(101)]
    health = measured(tmp_path, [*rows, *odd])
    assert health.latency_ms == pytest.approx({"p50": 50.0, "p95": 95.0, "p99": 99.0})
    assert health.request_bytes == pytest.approx({"p50": 500.0, "p95": 950.0, "p99": 990.0})


@pytest.mark.parametrize("rows", [0, 3])
def test_a_log_that_does_not_say_what_failed_has_no_share_of_failures(tmp_path: Path, rows: int) -> None:
    plain = [{"inference_id": f"{n}", "time": record(n)["time"], "features.x": 1.0} for n in range(rows)]
    write_lines(tmp_path / "logs/a.jsonl", plain)
    with pull(tmp_path) as pulled:
        assert measure_failures(pulled, WINDOW) is None
        health = measure_system(pulled)
    assert (health.error_share, dict(health.error_shares), dict(health.latency_ms)) == (None, {}, {})


def test_cost_and_tokens_are_weighted_sums_and_means_of_what_has_them(tmp_path: Path) -> None:
    rows = [
        record(0, cost_usd=0.01, input_tokens=100, output_tokens=10, sample_weight=1.0),
        record(1, cost_usd=0.02, input_tokens=200, output_tokens=40, sample_weight=10.0),
        record(2, cost_usd=None, input_tokens=None, output_tokens=None, sample_weight=5.0),
    ]
    health = measured(tmp_path, rows)
    assert (health.input_tokens, health.output_tokens) == (2100, 410)
    assert health.cost_usd == pytest.approx(0.21)
    assert health.cost_usd_per_1k == pytest.approx(1000 * 0.21 / 11)
    assert health.output_tokens_per_inference == pytest.approx(410 / 11)


def test_what_nobody_logged_is_absent_and_not_zero(tmp_path: Path) -> None:
    health = measured(tmp_path, [record(n) for n in range(5)])
    assert (health.cost_usd, health.cost_usd_per_1k, health.input_tokens, health.output_tokens) == (None,) * 4
    assert (health.endpoints, health.versions, health.generators) == ({}, {}, {})


def test_each_endpoint_version_and_generator_is_measured_by_itself(tmp_path: Path) -> None:
    rows = [
        record(
            n,
            endpoint=("/predict", "/generate")[n % 2],
            model_version="23"[n < 4],
            status="timeout" if n in (1, 3) else "ok",
            latency_ms=(10.0, 500.0)[n % 2],
            **{"gen_ai.request.model": (None, "large")[n % 2]},
        )
        for n in range(12)
    ]
    health = measured(tmp_path, rows)
    assert {name: part.latency_ms["p95"] for name, part in health.endpoints.items()} == {
        "/generate": 500,
        "/predict": 10,
    }
    assert health.endpoints["/generate"].error_shares["timeout"] == pytest.approx(2 / 6)
    assert health.endpoints["/predict"].error_share == 0
    assert {name: part.inferences for name, part in health.versions.items()} == {"2": 8, "3": 4}
    assert list(health.generators) == ["large"]
    assert sum(each.weight for each in health.served) == 12
    assert len(health.served) == 4


def test_an_endpoint_with_bounds_is_measured_even_where_it_is_the_only_one(tmp_path: Path) -> None:
    rows = [record(n, endpoint="/predict") for n in range(5)]
    assert list(measured(tmp_path, rows, endpoints=["/predict", "/idle"]).endpoints) == ["/predict"]


def test_a_thousand_endpoints_are_measured_no_further_than_the_largest(tmp_path: Path) -> None:
    rows = [record(n % 1440, inference_id=f"i{n}", endpoint=f"/users/{n if n > 50 else 0}") for n in range(1200)]
    health = measured(tmp_path, rows, endpoints=["/users/999"])
    assert len(health.endpoints) == PARTS_MAX + 1
    assert health.endpoints["/users/0"].inferences == 51
    assert health.endpoints["/users/999"].inferences == 1
    assert len(health.served) == 50


def test_intervals_of_latency_hold_the_true_percentile_as_often_as_they_say(tmp_path: Path) -> None:
    """Of an exponential latency with mean 100 ms the percentile 95 is 100 ln 20."""
    draw = np.random.default_rng(3)
    latency = draw.exponential(100, 24_000)
    rows = [
        record(n % 1440, inference_id=f"i{n}", endpoint=f"/{n % 40}", latency_ms=float(value))
        for n, value in enumerate(latency)
    ]
    served = measured(tmp_path, rows).served
    held = [
        each.latency_bounds_ms["p95"][0] <= 100 * math.log(20) <= each.latency_bounds_ms["p95"][1] for each in served
    ]
    assert len(held) == 40
    assert sum(held) >= 35
    assert all(
        each.latency_bounds_ms["p95"][0] < each.latency_ms["p95"] < each.latency_bounds_ms["p95"][1] for each in served
    )


def test_effective_rows_know_that_all_errors_are_kept_and_successes_sampled(tmp_path: Path) -> None:
    rows = [record(n, status="error", sample_weight=1.0) for n in range(50)]
    rows += [record(100 + n, sample_weight=10.0) for n in range(100)]
    (served,) = measured(tmp_path, rows).served
    share = 50 / 1050
    variance = ((1 - share) ** 2 * 50 + share**2 * 10_000) / 1050**2
    assert served.effective_rows == pytest.approx(share * (1 - share) / variance)
    assert served.effective_rows > 1050**2 / 10_050
