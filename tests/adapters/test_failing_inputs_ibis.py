"""Which inputs fail, on windows of which it is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.logs import START, WINDOW, pull

from retrue.adapters.exposures_ibis import ROWS_MAX
from retrue.adapters.failing_inputs_ibis import INPUTS_MAX, measure_failing_inputs
from retrue.adapters.failures_ibis import measure_failures
from retrue.results import FailingInput, FailureGroup

Columns = dict[str, Any]
Fails = Callable[[Columns, np.random.Generator], Any]


def columns(rows: int, draw: np.random.Generator) -> Columns:
    """24 features: two that a bug may be about, the rest noise."""
    made: Columns = {
        "origin": draw.choice(["EWR", "JFK", "LGA"], rows),
        "visib": np.where(draw.random(rows) < 0.05, np.nan, draw.choice([2.0, 5.0, 10.0], rows)),
        "distance": draw.gamma(2, 500, rows),
    }
    made |= {f"noise{n}": draw.normal(size=rows) for n in range(15)}
    made |= {f"kind{n}": draw.choice([f"v{each}" for each in range(40)], rows) for n in range(5)}
    return made | {"flag": draw.random(rows) < 0.3}


def found(
    root: Path, fails: Fails, *, rows: int = 6500, seed: int = 0, sample: float = 1.0, **fields: Any
) -> tuple[tuple[FailureGroup, ...], tuple[FailingInput, ...]]:
    """Write a window, and return its groups and what all its failures have in common."""
    draw = np.random.default_rng(seed)
    made = columns(rows, draw) | {name: make(rows, draw) for name, make in fields.items()}
    failed = np.asarray(fails(made, draw), dtype=bool)
    kept = failed | (draw.random(rows) < sample)
    table = {
        "inference_id": [f"id-{n}" for n in range(rows)],
        "time": [START + n * timedelta(days=1) / rows for n in range(rows)],
        "status": np.where(failed, "error", "ok"),
        "error_type": pa.array(np.where(failed, "KeyError", None), pa.string()),
        "sample_weight": np.where(failed, 1.0, 1 / sample),
        **{f"features.{name}": pa.array(values, from_pandas=True) for name, values in made.items()},
    }
    path = root / "logs/a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(table).filter(pa.array(kept)), path)
    with pull(root) as pulled:
        failures = measure_failures(pulled, WINDOW)
        assert failures is not None
        failures, inputs = measure_failing_inputs(pulled, failures)
    return failures.groups, inputs


def sentences(inputs: tuple[FailingInput, ...]) -> list[set[str]]:
    return [{str(condition) for condition in each.conditions} for each in inputs]


def planted(made: Columns, draw: np.random.Generator) -> Any:
    bug = (made["origin"] == "EWR") & np.isnan(made["visib"])
    return np.where(bug, draw.random(len(bug)) < 0.6, draw.random(len(bug)) < 0.01)


@pytest.mark.parametrize("sample", [1.0, 0.2])
def test_a_bug_of_two_conditions_is_named_among_noise(tmp_path: Path, sample: float) -> None:
    (group,), inputs = found(tmp_path, planted, sample=sample)
    assert sentences(group.inputs) == [{"origin = EWR", "visib is missing"}]
    (bug,) = inputs
    assert bug.inside_share == pytest.approx(0.6, abs=0.15)
    assert bug.outside_share == pytest.approx(0.01, abs=0.004)
    assert bug.ratio.low < 60 < bug.ratio.high


def test_of_very_many_records_a_part_stands_for_the_rest(tmp_path: Path) -> None:
    rows = 3 * ROWS_MAX
    truth: dict[str, int] = {}

    def fails(made: Columns, draw: np.random.Generator) -> Any:
        failed = planted(made, draw)
        bug = (made["origin"] == "EWR") & np.isnan(made["visib"])
        truth.update(rows=int(bug.sum()), failures=int((bug & failed).sum()))
        return failed

    _, (bug,) = found(tmp_path, fails, rows=rows)
    assert {str(condition) for condition in bug.conditions} == {"origin = EWR", "visib is missing"}
    assert bug.failures == truth["failures"]
    assert bug.rows == pytest.approx(truth["rows"], rel=0.1)
    assert bug.inside_share == pytest.approx(0.6, abs=0.04)


def test_random_failures_have_nothing_in_common(tmp_path: Path) -> None:
    told = [
        found(tmp_path / str(seed), lambda made, draw: draw.random(len(made["origin"])) < 0.03, rows=2000, seed=seed)[1]
        for seed in range(8)
    ]
    assert sum(map(bool, told)) == 0


def test_a_range_of_a_number_is_named_with_edges_a_person_can_read(tmp_path: Path) -> None:
    _, inputs = found(tmp_path, lambda made, draw: (made["distance"] > 2400) & (draw.random(6500) < 0.5))
    (condition,) = inputs[0].conditions
    assert (condition.column, condition.relation) == ("distance", ">=")
    assert 2000 <= float(condition.value.replace(",", "")) <= 2700
    assert len([digit for digit in condition.value.strip("0") if digit.isdigit() and digit != "0"]) <= 3


def test_of_overlapping_conditions_one_is_told(tmp_path: Path) -> None:
    _, inputs = found(tmp_path, lambda made, draw: (made["distance"] > 1500) & (draw.random(6500) < 0.3))
    assert len(inputs) == 1


@pytest.mark.parametrize(
    ("fails", "named"),
    [
        (lambda made: made["flag"], {"flag = true"}),
        (lambda made: made["hour"] == 7, {"hour = 7"}),
        (lambda made: made["kind2"] == "v7", {"kind2 = v7"}),
    ],
)
def test_booleans_few_numbers_and_categories_are_named(
    tmp_path: Path, fails: Callable[[Columns], Any], named: set[str]
) -> None:
    _, inputs = found(
        tmp_path,
        lambda made, draw: fails(made) & (draw.random(6500) < 0.4),
        hour=lambda rows, draw: draw.integers(0, 24, rows),
    )
    assert sentences(inputs) == [named]


def test_values_that_few_records_share_are_never_shown(tmp_path: Path) -> None:
    """Four customers fail every time: each with four records, so their names stay untold."""

    def customer(rows: int, draw: np.random.Generator) -> Any:
        names = np.array([f"person {n}" for n in range(rows)])
        names[:16] = np.repeat(["Ada", "Bea", "Cy", "Dee"], 4)
        return names

    groups, inputs = found(tmp_path, lambda made, draw: np.arange(6500) < 16, customer=customer)
    assert not any("customer" in str(each) for each in (*inputs, *groups[0].inputs))


def test_redacted_and_nested_values_are_not_looked_at(tmp_path: Path) -> None:
    def redacted(rows: int, draw: np.random.Generator) -> Any:
        return pa.array([{"type": "str", "len": n % 2} for n in range(rows)])

    _, inputs = found(
        tmp_path, lambda made, draw: (np.arange(6500) % 2 == 1) & (draw.random(6500) < 0.1), name=redacted
    )
    assert inputs == ()


def test_records_that_failed_before_their_input_was_read_say_nothing(tmp_path: Path) -> None:
    """Rejected requests have no features at all: that is not why they failed."""

    def fails(made: Columns, draw: np.random.Generator) -> Any:
        early = np.arange(6500) < 300
        for name, values in made.items():
            made[name] = np.where(early, None, values)
        return early | (draw.random(6500) < 0.01)

    _, inputs = found(tmp_path, fails)
    assert inputs == ()


def test_at_most_three_are_told_strongest_first_and_each_on_its_own_columns(tmp_path: Path) -> None:
    def fails(made: Columns, draw: np.random.Generator) -> Any:
        bugs = [made[f"kind{n}"] == "v1" for n in range(5)]
        return np.any(bugs, axis=0) & (draw.random(6500) < 0.9)

    _, inputs = found(tmp_path, fails)
    assert len(inputs) == INPUTS_MAX
    assert [each.ratio.low for each in inputs] == sorted((each.ratio.low for each in inputs), reverse=True)
    named = [condition.column for each in inputs for condition in each.conditions]
    assert len(named) == len(set(named))


def test_a_model_version_that_fails_is_named_beside_the_features(tmp_path: Path) -> None:
    def write(root: Path) -> tuple[FailingInput, ...]:
        draw = np.random.default_rng(1)
        version = draw.choice(["2", "3"], 4000)
        failed = (version == "3") & (draw.random(4000) < 0.1)
        table = {
            "inference_id": [f"id-{n}" for n in range(4000)],
            "time": [START + timedelta(seconds=n) for n in range(4000)],
            "model_version": version,
            "status": np.where(failed, "error", "ok"),
            "features.x": draw.normal(size=4000),
        }
        (root / "logs").mkdir()
        pq.write_table(pa.table(table), root / "logs/a.parquet")
        with pull(root) as pulled:
            failures = measure_failures(pulled, WINDOW)
            assert failures is not None
            return measure_failing_inputs(pulled, failures)[1]

    (only,) = write(tmp_path)
    assert str(only) == "fails only when model_version = 3"
