import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sources.logs import START, digest, label, pull, record, records, write_lines, write_parquet

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ids(root: Path, rows: int, *, seed: int = 0, labelled: bool = False) -> list[str]:
    with pull(root) as pulled:
        return list(pulled.sample(rows, seed=seed, labelled=labelled)["inference_id"])


def test_sample_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(200))
    assert ids(tmp_path, 50) == ids(tmp_path, 50)
    assert len(set(ids(tmp_path, 50))) == 50
    assert set(ids(tmp_path, 50)) != set(ids(tmp_path, 50, seed=1))


def test_larger_sample_holds_the_smaller_one(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(200))
    assert ids(tmp_path, 120)[:30] == ids(tmp_path, 30)


def test_answered_rows_are_those_without_a_failure_however_the_log_tells_it(tmp_path: Path) -> None:
    told = [{"status": "OK"}, {"status": "error"}, {"status": None, "error_type": "KeyError"}, {"status": None}, {}]
    for number, columns in enumerate((("status", "error_type"), ("error_type",), ("status",))):
        rows = [
            {name: value for name, value in {**record(place), "status": "ok", "error_type": None, **each}.items()
             if name not in {"status", "error_type"} - {*columns}}
            for place, each in enumerate(told)
        ]  # fmt: skip
        write_parquet(tmp_path / f"{number}/logs/a.parquet", rows)
        with pull(tmp_path / str(number)) as pulled:
            left = pulled.engine.fetch(pulled.engine.table(pulled.answered()).select("inference_id"))
        gone = {("status", "error_type"): {1, 2}, ("error_type",): {2}, ("status",): {1}}[columns]
        assert {identity for (identity,) in left} == {f"id-{place}" for place in range(5)} - {
            f"id-{each}" for each in gone
        }


def test_all_rows_are_answered_where_the_log_says_nothing_of_failures(tmp_path: Path) -> None:
    silent = [{name: value for name, value in record(number).items() if name != "status"} for number in range(3)]
    write_parquet(tmp_path / "logs/a.parquet", silent)
    with pull(tmp_path) as pulled:
        assert pulled.answered() == pulled.table


def test_sample_of_more_rows_than_there_are_is_all_of_them(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(20))
    assert sorted(ids(tmp_path, 500)) == sorted(f"id-{number}" for number in range(20))


def test_sample_of_labelled_rows_has_labels_only(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(100))
    write_parquet(tmp_path / "labels/a.parquet", [label(number, 1) for number in range(30)])
    labelled = {f"id-{number}" for number in range(30)}
    assert set(ids(tmp_path, 10, labelled=True)) < labelled
    assert set(ids(tmp_path, 500, labelled=True)) == labelled
    assert len(ids(tmp_path, 50, labelled=True)) == 30


def test_sample_takes_only_the_columns_asked_for_and_gives_aware_times(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(3))
    with pull(tmp_path) as pulled:
        frame = pulled.sample(2, seed=0, columns=["time", "x"])
    assert list(frame.columns) == ["time", "x"]
    assert frame["time"].min() >= START


def test_rows_of_any_weight_are_drawn_alike_and_keep_it(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "logs/a.parquet",
        [record(number, sample_weight=9.0 if number % 10 == 0 else 1.0) for number in range(1000)],
    )
    with pull(tmp_path) as pulled:
        shares = [(pulled.sample(50, seed=seed)["sample_weight"] == 9.0).mean() for seed in range(40)]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)


def test_labels_cover_what_answered_inferences_weigh(tmp_path: Path) -> None:
    weights = [10.0, 10.0, 20.0, 1.0, 1.0]
    status = ["ok", "ok", "ok", "error", "timeout"]
    rows = [record(each, sample_weight=weights[each], status=status[each]) for each in range(5)]
    write_parquet(tmp_path / "logs/a.parquet", rows)
    write_parquet(tmp_path / "labels/a.parquet", [label(number, 1) for number in (0, 2, 3)])
    with pull(tmp_path) as pulled:
        assert pulled.label_coverage() == pytest.approx(30 / 40)


def test_labels_cover_nothing_where_nothing_answered(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, status="error")])
    write_parquet(tmp_path / "labels/a.parquet", [label(0, 1)])
    with pull(tmp_path) as pulled:
        assert pulled.label_coverage() == 0.0


@given(seed=st.integers(0, 2**31), cut=st.integers(0, 40), shuffle=st.randoms(use_true_random=False))
@FEW
def test_sample_and_digest_do_not_depend_on_order_and_files(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int, shuffle: random.Random
) -> None:
    rows = records(40)
    mixed = shuffle.sample(rows, len(rows))
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    write_parquet(one / "logs/a.parquet", rows)
    write_lines(two / "logs/a.jsonl", mixed[:cut])
    if mixed[cut:]:
        write_parquet(two / "logs/b.parquet", mixed[cut:])
    assert digest(one) == digest(two)
    assert ids(one, 15, seed=seed) == ids(two, 15, seed=seed)


@given(
    values=st.lists(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
        min_size=1,
        max_size=8,
    )
)
@FEW
def test_any_json_value_of_a_feature_is_read_and_counted(
    tmp_path_factory: pytest.TempPathFactory, values: list[object]
) -> None:
    root = tmp_path_factory.mktemp("any")
    rows = [record(number, **{"features.x": value}) for number, value in enumerate(values)]
    write_lines(root / "logs/a.jsonl", rows)
    with pull(root) as pulled:
        aside = sum(entry.count for entry in pulled.report.set_aside)
        assert pulled.report.rows + aside == len(values)
        assert len(pulled.sample(100, seed=0)) == pulled.report.rows
