from datetime import timedelta
from pathlib import Path

import pytest

from tests.sources.logs import START, WINDOW, column, label, pull, records, write_lines, write_parquet


def test_without_a_folder_of_labels_nothing_is_labelled(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(3))
    for blocks in ({}, {"labels": None}):
        with pull(tmp_path, blocks=blocks) as pulled:
            assert pulled.report.labelled_rows == 0
            assert column(pulled, "label") == [None] * 3
            assert len(pulled.labelled_frame(["x", "label"])) == 0


def test_latest_label_wins_whatever_the_order_and_the_file(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_parquet(tmp_path / "labels/z.parquet", [label(0, 1, minutes=20), label(1, 0, minutes=90)])
    write_lines(tmp_path / "labels/a.jsonl", [label(0, 0, minutes=10), label(1, 1, minutes=30)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "label") == [1, 0]
        assert pulled.report.labelled_rows == 2


def test_conflicting_labels_of_the_same_time_give_the_same_one_in_any_order(tmp_path: Path) -> None:
    found = set()
    for name, labels in {"a": [label(0, 0), label(0, 1)], "b": [label(0, 1), label(0, 0)]}.items():
        write_lines(tmp_path / name / "logs/a.jsonl", records(1))
        write_lines(tmp_path / name / "labels/a.jsonl", labels)
        with pull(tmp_path / name) as pulled:
            found.add(column(pulled, "label")[0])
    assert len(found) == 1


def test_label_of_an_unknown_id_adds_no_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_parquet(tmp_path / "labels/a.parquet", [label(99, 1), label(0, 1), label(0, 1)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.labelled_rows) == (2, 1)


def test_label_beyond_the_horizon_does_not_count(tmp_path: Path) -> None:
    last = (WINDOW.end + timedelta(days=30) - START) // timedelta(minutes=1)
    write_parquet(tmp_path / "logs/a.parquet", records(3))
    write_lines(
        tmp_path / "labels/a.jsonl", [label(0, 1, minutes=last), label(1, 1, minutes=last + 1), label(2, 1, minutes=-1)]
    )
    with pull(tmp_path) as pulled:
        assert column(pulled, "label") == [1, None, None]


def test_label_after_as_of_does_not_count(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_parquet(
        tmp_path / "labels/a.parquet", [label(0, 0, minutes=60), label(0, 1, minutes=61), label(1, 1, minutes=61)]
    )
    with pull(tmp_path, as_of=START + timedelta(minutes=60)) as pulled:
        assert column(pulled, "label") == [0, None]


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_null_label_is_no_label(tmp_path: Path, nothing: object) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_lines(tmp_path / "labels/a.jsonl", [label(0, nothing), label(1, 0.5)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "label") == [None, 0.5]


def test_labels_of_two_types_are_text(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_lines(tmp_path / "labels/a.jsonl", [label(0, 1), label(1, "late")])
    with pull(tmp_path) as pulled:
        assert column(pulled, "label") == ["1", "late"]


def test_broken_label_lines_are_set_aside(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_lines(tmp_path / "labels/a.jsonl", [label(0, 1), b"{", {"inference_id": "id-1", "label": 1}])
    with pull(tmp_path) as pulled:
        assert [(each.place, each.count) for each in pulled.report.set_aside] == [("a.jsonl:3", 1), ("a.jsonl:2", 1)]
        assert pulled.report.set_aside_share == pytest.approx(2 / 3)
        assert pulled.report.labelled_rows == 1


def test_broken_label_line_is_weighed_against_all_labels_of_the_span(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    write_parquet(tmp_path / "labels/a.parquet", [label(number, 1) for number in range(500, 599)])
    write_lines(tmp_path / "labels/b.jsonl", [b"{"])
    with pull(tmp_path) as pulled:
        assert pulled.report.labelled_rows == 0
        assert pulled.report.set_aside_share == pytest.approx(0.01)


def test_files_of_labels_before_the_window_or_beyond_the_horizon_are_not_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(2))
    for name, minutes in (("before", -5), ("beyond", 60 * 24 * 40)):
        path = write_parquet(
            tmp_path / f"labels/{name}.parquet", [label(number, 1, minutes=minutes) for number in range(3000)]
        )
        content = bytearray(path.read_bytes())
        content[4:3000] = bytes(2996)
        path.write_bytes(content)
    with pull(tmp_path) as pulled:
        assert (pulled.report.labelled_rows, pulled.report.set_aside) == (0, ())
