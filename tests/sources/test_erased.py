"""Records of people who were erased are left out of every window, wherever they still lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrue.tombstones import NOBODY, Tombstones, digests_of
from tests.sources.logs import column, digest, label, pull, record, write_lines, write_parquet

ANN = Tombstones(salt="pepper", columns=("caller_id",), subjects=digests_of("pepper", ["ann"]))


def write(root: Path, *, lines: bool = False) -> None:
    rows = [record(number, caller_id="ann" if number == 2 else f"p{number}") for number in range(4)]
    if lines:
        write_lines(root / "logs" / "a.jsonl", rows)
    else:
        write_parquet(root / "logs" / "a.parquet", rows)


@pytest.mark.parametrize("lines", [False, True])
def test_a_subject_is_left_out_and_counted(tmp_path: Path, lines: bool) -> None:
    write(tmp_path, lines=lines)
    with pull(tmp_path, erased=ANN) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-1", "id-3"]
        assert (pulled.report.rows, pulled.report.erased) == (3, 1)


def test_a_record_that_is_replayed_under_its_id_alone_is_left_out_too(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs" / "a.parquet", [record(number) for number in range(4)])
    ids = Tombstones(salt="s", columns=("caller_id",), inferences=digests_of("s", ["id-1"]))
    with pull(tmp_path, erased=ids) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-2", "id-3"]


def test_a_label_of_an_erased_inference_joins_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    write_lines(tmp_path / "labels" / "l.jsonl", [label(2, 1), label(3, 1)])
    with pull(tmp_path, erased=ANN) as pulled:
        assert pulled.report.labelled_rows == 1


def test_a_feature_that_is_not_monitored_can_name_the_subject(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "logs" / "a.parquet", [record(0, **{"features.name": "ann"}), record(1, **{"features.name": "bo"})]
    )
    stones = Tombstones(salt="s", columns=("features.name",), subjects=digests_of("s", ["ann"]))
    with pull(tmp_path, erased=stones, blocks={"columns": {"ignore": ["name"]}}) as pulled:
        assert column(pulled, "inference_id") == ["id-1"]
        assert "name" not in pulled.columns


def test_nobody_erased_changes_no_digest(tmp_path: Path) -> None:
    write(tmp_path)
    assert digest(tmp_path) == digest(tmp_path, erased=NOBODY) != digest(tmp_path, erased=ANN)


def test_erasing_gives_the_window_of_a_log_without_the_person(tmp_path: Path) -> None:
    write(tmp_path / "all")
    rows = [record(number, caller_id=f"p{number}") for number in (0, 1, 3)]
    write_parquet(tmp_path / "rest" / "logs" / "a.parquet", rows)
    assert digest(tmp_path / "all", erased=ANN) == digest(tmp_path / "rest")
