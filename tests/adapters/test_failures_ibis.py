from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.sources.logs import START, WINDOW, Row, pull, record, write_lines, write_parquet

from retrue.adapters.failures_ibis import GROUPS_MAX, REST, WAYS_MAX, Failures, measure_failures

STACK = """Traceback (most recent call last):
  File "/srv/shop/serve.py", line 10, in predict
    return look(x)
  File "/srv/shop/features.py", line 7, in look
    raise KeyError(x)
"""


def failure(number: int, **values: Any) -> Row:
    plain = {
        "status": "error",
        "error_type": "KeyError",
        "error_message": f"no weather for {number}",
        "error_stack": STACK,
    }
    return record(number, **{**plain, "prediction": None, **values})


def measured(root: Path, rows: list[Row], **options: Any) -> Failures:
    write_parquet(root / "logs/a.parquet", rows)
    with pull(root) as pulled:
        found = measure_failures(pulled, WINDOW, **options)
    assert found is not None
    return found


def test_failures_are_grouped_counted_and_weighted(tmp_path: Path) -> None:
    rows = [record(n, sample_weight=10.0, endpoint="/p") for n in range(9)]
    rows += [failure(100 + n, model_version="23"[n > 1], endpoint="/p", trace_id=f"t{n}") for n in range(3)]
    rows += [failure(1439, error_type="ValueError", error_message="too long", status="rejected")]
    found = measured(tmp_path, rows)
    first, second = found.groups
    assert (first.error_type, first.rows, first.weight, first.share) == ("KeyError", 3, 3.0, pytest.approx(3 / 94))
    assert (first.versions, first.endpoints) == ({"2": 2, "3": 1}, {"/p": 3})
    assert (first.first_at, first.last_at) == (START + timedelta(minutes=100), START + timedelta(minutes=102))
    assert first.frames[-1].endswith("look")
    assert set(first.samples) == {"id-100", "id-101", "id-102"}
    assert set(first.traces) == {"t0", "t1", "t2"}
    assert (second.error_type, second.status, second.rows) == ("ValueError", "rejected", 1)
    assert found.shares == pytest.approx({"crash": 3 / 94, "timeout": 0, "authentication": 0, "rejected": 1 / 94})


def test_the_histogram_cuts_the_window_in_24(tmp_path: Path) -> None:
    (group,) = measured(tmp_path, [failure(n) for n in (0, 59, 60, 719, 720, 1439)]).groups
    assert {hour: rows for hour, rows in enumerate(group.histogram) if rows} == {0: 2, 1: 1, 11: 1, 12: 1, 23: 1}


def test_groups_are_the_same_whatever_files_the_rows_came_from(tmp_path: Path) -> None:
    rows = [failure(n, error_type=f"Error{n % 3}", trace_id=f"t{n}") for n in range(60)] + [
        record(n) for n in range(100, 300)
    ]
    one = measured(tmp_path / "one", rows)
    write_parquet(tmp_path / "two/logs/b.parquet", rows[::-2])
    write_lines(tmp_path / "two/logs/a.jsonl", rows[::-1][1::2])
    with pull(tmp_path / "two") as pulled:
        other = measure_failures(pulled, WINDOW)
    assert other == one
    assert all(len(group.samples) == 5 for group in one.groups)


def test_a_log_that_has_only_a_status_is_grouped_by_it(tmp_path: Path) -> None:
    rows = [record(n, status=status) for n, status in enumerate(["ok", "error", "error", "timeout", "503", None])]
    found = measured(tmp_path, rows)
    assert [(group.status, group.rows) for group in found.groups] == [("error", 2), ("503", 1), ("timeout", 1)]
    assert len({group.id for group in found.groups}) == 3
    assert all(group.title for group in found.groups)
    assert found.shares == pytest.approx({"crash": 3 / 6, "timeout": 1 / 6, "authentication": 0, "rejected": 0})


def test_an_error_without_a_status_is_a_failure(tmp_path: Path) -> None:
    rows = [{**record(n), "error_type": "KeyError" if n == 2 else None} for n in range(4)]
    for row in rows:
        del row["status"]
    (group,) = measured(tmp_path, rows).groups
    assert (group.error_type, group.rows, group.status) == ("KeyError", 1, "error")


def test_a_window_without_failures_has_no_groups(tmp_path: Path) -> None:
    found = measured(tmp_path, [record(n) for n in range(5)])
    assert (found.groups, found.inferences) == ((), 5)


def test_ways_of_failing_beyond_the_limit_are_counted_and_not_lost(tmp_path: Path) -> None:
    """Letters tell the messages apart, so that taking digits as one does not help."""
    count = WAYS_MAX + 500
    names = ("".join("abcdefghij"[int(digit)] for digit in f"{n:05d}") for n in range(count))
    rows = [
        failure(n % 1440, inference_id=f"i{n}", error_message=f"no such thing as {name}", error_stack=None)
        for n, name in enumerate(names)
    ]
    found = measured(tmp_path, rows)
    assert sum(group.rows for group in found.groups) == count
    assert len(found.groups) <= GROUPS_MAX + 1
    assert sum(found.weights.values()) == count
    if len(found.groups) > 1:
        assert found.groups[-1].id == REST.id


def test_numbers_in_messages_do_not_use_up_the_limit(tmp_path: Path) -> None:
    rows = [failure(n % 1440, inference_id=f"i{n}", error_message=f"no row {n}") for n in range(WAYS_MAX + 100)]
    (group,) = measured(tmp_path, rows).groups
    assert group.rows == WAYS_MAX + 100


def test_texts_may_be_as_long_and_strange_as_they_like(tmp_path: Path) -> None:
    odd = ["\0\x1b[31m", "x" * 100_000, "{{7*7}} %s ${jndi:x}", "\u202e", "", "'; drop table current; --"]
    found = measured(tmp_path, [failure(n, error_message=text, error_stack=text) for n, text in enumerate(odd)])
    assert sum(group.rows for group in found.groups) == len(odd)
    assert all(len(group.message) < 5_000 for group in found.groups)
