import os
from datetime import UTC, timedelta
from pathlib import Path

import duckdb
import pytest

from retrue.errors import SourceError
from retrue.windows import Window
from tests.sources.logs import (
    END,
    START,
    WINDOW,
    column,
    digest,
    label,
    pull,
    record,
    records,
    write_lines,
    write_parquet,
)


def test_absent_folder_is_an_empty_window(tmp_path: Path) -> None:
    with pull(tmp_path) as pulled:
        assert pulled.report.rows == 0
        assert pulled.report.model_versions == {}
        assert pulled.report.set_aside_share == 0
        assert pulled.features == ()
        assert {"inference_id", "time", "sample_weight", "label", "labelled_at"} == set(pulled.columns)


def test_empty_folder_is_an_empty_window(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pull(tmp_path) as pulled:
        assert pulled.report.rows == 0
        assert len(pulled.sample(10, seed=0)) == 0


def test_window_without_rows_in_files_that_are_read_is_empty_and_keeps_their_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(-600), record(2000)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.files_read) == (0, 1)
        assert pulled.features == ("carrier", "x")


def test_one_row_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", records(1))
    with pull(tmp_path) as pulled:
        assert pulled.report.rows == 1
        assert len(pulled.sample(10, seed=0)) == 1


@pytest.mark.parametrize("uri", ["ftp://host/logs", "postgresql://host/db"])
def test_scheme_that_is_not_read_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SourceError, match="folder"), pull(tmp_path, blocks={"logs": {"uri": uri}}):
        pass


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs", records(1))
    with pytest.raises(SourceError, match="not a folder"), pull(tmp_path):
        pass


def test_file_scheme_names_a_folder(tmp_path: Path) -> None:
    write_parquet(tmp_path / "my logs/a.parquet", records(3))
    with pull(tmp_path, blocks={"logs": {"uri": f"file://{tmp_path}/my%20logs"}}) as pulled:
        assert pulled.report.rows == 3


def test_window_is_half_open(tmp_path: Path) -> None:
    rows = [record(0, time=START), record(1, time=END), record(2, time=END - timedelta(microseconds=1))]
    write_parquet(tmp_path / "logs/a.parquet", rows)
    write_lines(tmp_path / "logs/b.jsonl", [row | {"inference_id": f"j{row['inference_id']}"} for row in rows])
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-2", "jid-0", "jid-2"]


def test_files_outside_the_window_are_skipped_by_their_statistics(tmp_path: Path) -> None:
    for day in range(4):
        write_parquet(tmp_path / f"logs/deep/{day}.parquet", [record(day * 1440 + n) for n in range(3)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.files_read, pulled.report.files_skipped) == (1, 3)
        assert pulled.report.rows == 3


def test_file_without_statistics_is_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(3), write_statistics=False)
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.files_read) == (3, 1)
        assert pulled.report.set_aside == ()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_statistics_are_read_in_the_unit_of_the_column(tmp_path: Path, unit: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "logs").mkdir()
    for name, day in (("in", 0), ("out", 1)):
        table = pa.Table.from_pylist([record(day * 1440)])
        times = table["time"].cast(pa.timestamp(unit, "UTC"))
        pq.write_table(
            table.set_column(table.column_names.index("time"), "time", times), tmp_path / f"logs/{name}.parquet"
        )
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.files_skipped) == (1, 1)
        assert pulled.sample(1, seed=0)["time"][0] == START


def test_records_of_another_model_are_not_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0), record(1, model="other"), record(2, model=None)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-2"]


def test_features_have_bare_names_and_colliding_ones_keep_their_prefix(tmp_path: Path) -> None:
    names = {"features.status": 1.0, "features.label": 2.0, "features.Time": 3.0, "features.": 4.0, "features.y": 5.0}
    write_lines(tmp_path / "logs/a.jsonl", [record(0, **names)])
    with pull(tmp_path) as pulled:
        assert set(pulled.features) == {
            "features.status",
            "features.label",
            "features.Time",
            "features.",
            "y",
            "x",
            "carrier",
        }
        assert column(pulled, "status") == ["ok"]


def test_features_that_differ_by_case_are_both_kept(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [record(0, **{"features.X": 7.0})])
    with pull(tmp_path) as pulled:
        assert set(pulled.features) == {"X", "features.x", "carrier"}
        assert (column(pulled, "X"), column(pulled, "features.x")) == ([7.0], [0.5])


def test_nested_features_are_flattened_in_both_formats(tmp_path: Path) -> None:
    plain = {name: value for name, value in record(0).items() if not name.startswith("features.")}
    write_lines(tmp_path / "logs/a.jsonl", [plain | {"features": {"x": 1.5, "deep": {"y": 1}}}])
    write_parquet(tmp_path / "logs/b.parquet", [plain | {"inference_id": "id-1", "features": {"x": 2.5}}])
    with pull(tmp_path) as pulled:
        assert pulled.features == ("deep", "x")
        assert column(pulled, "x") == [1.5, 2.5]


def test_configured_columns_are_renamed_and_ignored_ones_left_out(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, guess="late", p=0.75, extra="?")])
    columns = {"prediction": "guess", "score": "p", "ignore": ["carrier"]}
    with pull(tmp_path, blocks={"columns": columns}) as pulled:
        assert pulled.features == ("x",)
        assert (column(pulled, "prediction"), column(pulled, "score")) == (["late"], [0.75])
        assert "extra" not in pulled.columns


def test_configured_features_are_the_only_ones(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, plain=3)])
    with pull(tmp_path, blocks={"columns": {"features": ["x", "plain", "absent"]}}) as pulled:
        assert pulled.features == ("plain", "x")


def test_hostile_column_names_pass_through_the_engine(tmp_path: Path) -> None:
    names = [
        "</script><script>alert(1)</script>",
        '"; DROP TABLE current; --',
        "a b",
        "é🦆",
        "'",
        '""',
        "%s",
        "{0}",
        "x" * 500,
    ]
    hostile = {f"features.{name}": float(number) for number, name in enumerate(names)}
    write_lines(tmp_path / "logs/a.jsonl", [record(0, **hostile)])
    write_parquet(tmp_path / "logs/b.parquet", [record(1, **hostile)])
    with pull(tmp_path) as pulled:
        assert set(names) < set(pulled.features)
        assert [column(pulled, name) for name in names] == [[float(number)] * 2 for number in range(len(names))]
        assert set(pulled.sample(5, seed=0).columns) == set(pulled.columns)


def test_features_named_like_parts_of_the_engine_or_of_ibis_are_read(tmp_path: Path) -> None:
    names = [
        "self",
        "exprs",
        "count",
        "columns",
        "filter",
        "place",
        "labelled",
        "label_right",
        "key",
        "row",
        "weight",
        "v0",
        "c0",
    ]
    odd = {f"features.{name}": float(number) for number, name in enumerate(names)}
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **odd), record(1, **odd), record(1, **odd), record(2)])
    write_parquet(tmp_path / "labels/a.parquet", [label(0, 1)])
    with pull(tmp_path) as pulled:
        assert [column(pulled, name)[1] for name in names] == [float(number) for number in range(len(names))]
        assert column(pulled, "label") == [1, None, None]
        assert len(pulled.sample(2, seed=0)) == 2


def test_feature_named_rowid_does_not_mislead_sampling_and_deduplication(tmp_path: Path) -> None:
    rows = [record(number, **{"features.rowid": 0}) for number in range(20)]
    write_parquet(tmp_path / "logs/a.parquet", [*rows, rows[0]])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.duplicates) == (20, 1)
        assert len(pulled.sample(5, seed=0)) == 5
        assert "features.rowid" in pulled.features


def test_number_that_became_text_in_one_file_makes_the_column_text(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **{"features.x": 5.0}), record(1, **{"features.x": 0.1})])
    write_parquet(tmp_path / "logs/b.parquet", [record(2, **{"features.x": "n/a"})])
    write_lines(tmp_path / "logs/c.jsonl", [record(3, **{"features.x": 5}), record(4, **{"features.x": float("inf")})])
    with pull(tmp_path) as pulled:
        assert column(pulled, "x") == ["5", "0.1", "n/a", "5", "inf"]


def test_whole_and_fractional_numbers_are_fractional(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **{"features.x": 5})])
    write_lines(tmp_path / "logs/b.jsonl", [record(1, **{"features.x": 0.5}), record(2, **{"features.x": 2})])
    with pull(tmp_path) as pulled:
        assert column(pulled, "x") == [5.0, 0.5, 2.0]


def test_column_that_a_file_lacks_is_null_there(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **{"features.new": 1.0})])
    write_parquet(tmp_path / "logs/b.parquet", [record(1)])
    write_lines(tmp_path / "logs/c.jsonl", [record(2)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "new") == [1.0, None, None]


def test_all_null_column_of_any_file_takes_the_type_of_the_others(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **{"features.flag": None})])
    write_lines(tmp_path / "logs/b.jsonl", [record(1, **{"features.flag": None})])
    write_lines(tmp_path / "logs/c.jsonl", [record(2, **{"features.flag": True})])
    with pull(tmp_path) as pulled:
        assert column(pulled, "flag") == [None, None, True]


def test_field_of_the_wrong_type_becomes_null(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "logs/a.jsonl", [record(0, latency_ms="12.5"), record(1, latency_ms="slow"), record(2, latency_ms=3)]
    )
    with pull(tmp_path) as pulled:
        assert column(pulled, "latency_ms") == [12.5, None, 3.0]


def test_duplicates_are_removed_and_the_first_received_stays(tmp_path: Path) -> None:
    late = {"received_at": START + timedelta(hours=9)}
    soon = {"received_at": START + timedelta(hours=1)}
    write_parquet(tmp_path / "logs/a.parquet", [record(0, score=0.1, **late), record(1, **soon)])
    write_parquet(tmp_path / "logs/b.parquet", [record(0, score=0.9, **soon), record(1, **soon), record(1, **soon)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.duplicates) == (2, 3)
        assert column(pulled, "score") == [0.9, 0.25]


def test_duplicates_of_other_content_keep_the_same_row_in_any_order(tmp_path: Path) -> None:
    rows = [record(0, score=score) for score in (0.1, 0.2, 0.3, 0.4)]
    kept = set()
    for number in range(4):
        write_lines(tmp_path / f"{number}/logs/a.jsonl", rows[number:] + rows[:number])
        with pull(tmp_path / str(number)) as pulled:
            kept.add(column(pulled, "score")[0])
    assert len(kept) == 1


def test_ids_that_are_whole_numbers_are_text_to_the_last_digit(tmp_path: Path) -> None:
    big = 2**53 + 1
    write_parquet(tmp_path / "logs/a.parquet", [record(0, inference_id=big)])
    write_lines(tmp_path / "logs/b.jsonl", [record(1, inference_id=big + 1)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == [str(big), str(big + 1)]


def test_rows_of_each_model_version_are_counted(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "logs/a.parquet", [record(0), record(1, model_version="2"), record(2), record(3, model_version=None)]
    )
    with pull(tmp_path) as pulled:
        assert pulled.report.model_versions == {"1": 2, "2": 1, "unknown": 1}


def test_weight_is_one_where_the_log_has_none(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [record(0), record(1, sample_weight=4)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "sample_weight") == [1.0, 4.0]
        assert pulled.weighted
    (tmp_path / "logs/a.jsonl").unlink()
    write_parquet(tmp_path / "logs/b.parquet", records(2))
    with pull(tmp_path) as pulled:
        assert not pulled.weighted


def test_database_is_shared_by_name_inside_the_process_and_gone_afterwards(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(3))
    with pull(tmp_path) as pulled:
        other = duckdb.connect(pulled.database)
        assert other.execute(f"SELECT count(*) FROM {pulled.table}").fetchall() == [(3,)]
        other.close()
        database = pulled.database
    assert duckdb.connect(database).execute("SHOW TABLES").fetchall() == []


def test_training_span_reads_many_windows(tmp_path: Path) -> None:
    for day in range(3):
        write_parquet(tmp_path / f"logs/{day}.parquet", [record(day * 1440 + n) for n in range(4)])
    span = Window(model="m", start=START, end=START + timedelta(days=3))
    write_parquet(tmp_path / "labels/a.parquet", [label(1440, 1, minutes=3000), label(0, 0)])
    with pull(tmp_path, window=span) as pulled:
        frame = pulled.labelled_frame(["x", "label", "time"])
    assert frame["label"].tolist() == [0, 1]
    assert list(frame.columns) == ["x", "label", "time"]
    assert frame["time"].tolist() == [START, START + timedelta(days=1)]


@pytest.mark.skipif(os.name != "posix", reason="file names with these characters need a POSIX file system")
def test_file_names_with_glob_and_quote_characters_are_read_as_such(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a*[1]'.parquet", records(2))
    write_parquet(tmp_path / "logs/a1.parquet", [record(5)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.duplicates) == (3, 0)


def test_digest_is_the_same_in_other_orders_files_and_formats(tmp_path: Path) -> None:
    rows = records(20)
    write_parquet(tmp_path / "a/logs/a.parquet", rows)
    write_parquet(tmp_path / "b/logs/a.parquet", rows[10:][::-1])
    write_parquet(tmp_path / "b/logs/b.parquet", rows[:10])
    write_lines(tmp_path / "c/logs/a.jsonl", rows[::-1])
    write_lines(tmp_path / "d/logs/a.ndjson", [*rows, *rows[:5]])
    assert len({digest(tmp_path / name) for name in "abcd"}) == 1


@pytest.mark.parametrize(
    "change",
    [{"score": 0.5}, {"features.carrier": None}, {"features.x": float("nan")}, {"time": START}, {"features.new": None}],
    ids=lambda change: str(change),
)
def test_digest_changes_with_any_value_and_with_the_columns(tmp_path: Path, change: dict[str, object]) -> None:
    write_lines(tmp_path / "a/logs/a.jsonl", records(3))
    write_lines(tmp_path / "b/logs/a.jsonl", [*records(2), record(2, **change)])
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


def test_digest_depends_on_labels_but_not_on_their_repetition(tmp_path: Path) -> None:
    for name, labels in {
        "none": [],
        "one": [label(0, 1)],
        "again": [label(0, 1), label(0, 1, minutes=90)],
        "other": [label(0, 0)],
    }.items():
        write_lines(tmp_path / name / "logs/a.jsonl", records(3))
        write_lines(tmp_path / name / "labels/a.jsonl", labels)
    found = {name: digest(tmp_path / name) for name in ("none", "one", "again", "other")}
    assert found["one"] == found["again"]
    assert len({found["none"], found["one"], found["other"]}) == 3


def test_times_with_offsets_are_moved_to_utc(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "logs/a.jsonl",
        [record(0, time="2025-01-01T02:30:00.123456789+02:00"), record(1, time="2025-01-01 01:00:00Z")],
    )
    write_parquet(tmp_path / "logs/b.parquet", [record(2, time="2025-01-01T05:00:00+02:00")])
    with pull(tmp_path) as pulled:
        frame = pulled.sample(3, seed=0).sort_values("inference_id")
    minutes = (frame["time"] - START).dt.total_seconds() / 60
    assert minutes.tolist() == pytest.approx([30 + 0.123456 / 60, 60, 180], abs=1e-12)


def test_window_bounds_may_be_in_any_zone(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/a.parquet", records(3))
    assert WINDOW.start.tzinfo is UTC
    with pull(tmp_path, window=Window(model="m", start=START + timedelta(minutes=1), end=END)) as pulled:
        assert pulled.report.rows == 2
