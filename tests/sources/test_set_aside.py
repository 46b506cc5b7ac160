import gzip
import os
import random
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrue.results import SetAside
from retrue.sources.set_aside import ENTRIES_MAX, Tally
from tests.sources.logs import START, column, line, pull, record, records, write_lines, write_parquet

GOOD = [line(row) for row in records(100)]


def reasons(root: Path) -> dict[str, tuple[str, int]]:
    with pull(root) as pulled:
        return {each.place: (each.reason, each.count) for each in pulled.report.set_aside}


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize("place", [1, 50, 101])
def test_broken_line_is_set_aside_with_its_number_and_the_rest_is_read(tmp_path: Path, place: int) -> None:
    write_lines(tmp_path / "logs/deep/a.jsonl", [*GOOD[: place - 1], GOOD[0][:40], *GOOD[place - 1 :]])
    with pull(tmp_path) as pulled:
        assert pulled.report.set_aside == (
            SetAside(place=f"deep/a.jsonl:{place}", reason="the line is not valid JSON"),
        )
        assert pulled.report.set_aside_share == pytest.approx(1 / 101)
        assert pulled.report.rows == 100


def test_torn_last_line_without_an_end_is_set_aside(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "logs/a.jsonl", GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    assert reasons(tmp_path) == {"a.jsonl:100": ("the line is not valid JSON", 1)}


def test_file_of_broken_lines_only_is_set_aside_whole(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [b"{"] * 7)
    with pull(tmp_path) as pulled:
        assert pulled.report.set_aside == (SetAside(place="a.jsonl:1", reason="the line is not valid JSON", count=7),)
        assert pulled.report.set_aside_share == 1
        assert pulled.report.rows == 0


def test_broken_line_among_records_of_other_windows_is_theirs(tmp_path: Path) -> None:
    other = [line(record(number + 5000)) for number in range(3)]
    write_lines(tmp_path / "logs/a.jsonl", [*GOOD, *other, b"{", *other])
    assert reasons(tmp_path) == {}


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "null": (b"null", "the line is not a JSON object"),
    "list": (b"[]", "the line is not a JSON object"),
    "number": (b"3", "the line is not a JSON object"),
    "text": (b'"x"', "the line is not a JSON object"),
    "invalid utf-8": (GOOD[0].replace(b"AA", b"\xff\xfe"), "the line is not UTF-8"),
    "1e999": (GOOD[0].replace(b"0.25", b"1e999"), "a number is out of range"),
    "5,000 digits": (GOOD[0].replace(b"0.25", b"9" * 5000), "a number is out of range"),
    "deep": (b'{"a":' * 100_000, "the line is nested too deeply"),
    "half surrogate": (GOOD[0].replace(b"AA", b"\\ud800"), "the line has half of a surrogate pair"),
    "no id": (line(record(0, inference_id=None)), "no inference_id"),
    "empty id": (line(record(0, inference_id="")), "no inference_id"),
    "fractional id": (line(record(0, inference_id=1.5)), "inference_id is not text"),
    "list id": (line(record(0, inference_id=[1])), "inference_id is not text"),
    "long id": (line(record(0, inference_id="x" * 2000)), "inference_id is longer than 1024 characters"),
    "no time": (line(record(0, time=None)), "no time"),
    "naive time": (line(record(0, time="2025-01-01T00:00:00")), "the time has no zone"),
    "epoch time": (
        line(record(0, time=1735689600)),
        "the time is a number whose unit is unknown: write ISO 8601 text with a zone",
    ),
    "no such time": (line(record(0, time="2025-02-30T00:00:00Z")), "the time is not ISO 8601"),
    "leap second": (line(record(0, time="2025-01-01T00:00:60Z")), "the time is not ISO 8601"),
    "year 1": (line(record(0, time="0001-01-01T00:00:00+14:00")), "the time is out of range"),
    "year 9999": (line(record(0, time="9999-12-31T23:59:59-14:00")), "the time is out of range"),
    "features are a list": (line({**record(0), "features": [1, 2]}), "features is not a JSON object"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_bad_line_is_set_aside_with_its_reason(tmp_path: Path, kind: str) -> None:
    bad, reason = BAD_LINES[kind]
    write_lines(tmp_path / "logs/a.jsonl", [GOOD[1], bad, GOOD[2]])
    with pull(tmp_path) as pulled:
        assert pulled.report.set_aside == (SetAside(place="a.jsonl:2", reason=reason),)
        assert column(pulled, "inference_id") == ["id-1", "id-2"]


def test_line_that_is_too_long_is_set_aside_and_the_next_is_read(tmp_path: Path) -> None:
    long = line(record(0, **{"features.x": "x" * 40_000_000}))
    write_lines(tmp_path / "logs/a.jsonl", [GOOD[1], long, GOOD[2]])
    with pull(tmp_path) as pulled:
        assert [each.place for each in pulled.report.set_aside] == ["a.jsonl:2"]
        assert column(pulled, "inference_id") == ["id-1", "id-2"]


def test_reasons_hold_no_content(tmp_path: Path) -> None:
    canary = b"canary@example.org"
    rows = [bad.replace(b"AA", canary).replace(b"2025-", b"2025x" + canary) for bad, _ in BAD_LINES.values()]
    write_lines(tmp_path / "logs/a.jsonl", [*GOOD, *rows, b"{" + canary, canary])
    with pull(tmp_path) as pulled:
        assert canary.decode() not in repr(pulled.report)


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n\n\r\n  \t\n", b"\n"])
def test_ends_of_lines_blank_lines_and_byte_order_mark_are_normalised(tmp_path: Path, end: bytes) -> None:
    path = write_lines(tmp_path / "logs/a.jsonl", GOOD, end=end)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.set_aside) == (100, ())


def test_utf_16_file_is_set_aside(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "logs/a.jsonl", GOOD)
    path.write_text(path.read_text(), encoding="utf-16")
    assert reasons(tmp_path) == {"a.jsonl": ("UTF-16, not UTF-8", 1)}


def test_literals_that_json_does_not_have_are_read_and_kept_apart_from_null(tmp_path: Path) -> None:
    values = [b"NaN", b"Infinity", b"-Infinity", b"null", b"1180591620717411303424"]
    plain = [line({**record(number), "features.x": "@"}) for number in range(5)]
    write_lines(
        tmp_path / "logs/a.jsonl", [row.replace(b'"@"', value) for row, value in zip(plain, values, strict=True)]
    )
    with pull(tmp_path) as pulled:
        found = column(pulled, "x")
    assert found[0] != found[0]
    assert found[1:] == [float("inf"), float("-inf"), None, 2.0**70]


def test_sound_gzip_is_read_and_a_torn_one_set_aside(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(line(record(number, score=number / 7)) for number in range(100)))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.jsonl.gz").write_bytes(packed)
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.set_aside) == (100, ())
    (tmp_path / "logs/a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pull(tmp_path) as pulled:
        assert pulled.report.set_aside == (SetAside(place="a.jsonl.gz", reason="cannot be read to its end (EOFError)"),)
        assert pulled.report.set_aside_share > 0.01


def test_empty_file_of_lines_is_nothing(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [])
    assert reasons(tmp_path) == {}


# ---------------------------------------------------------------- Parquet


@pytest.mark.parametrize("keep", [0, 1, 3, 4, 8, 11, 0.1, 0.5, 0.9, -1, -4, -8, -9])
def test_truncated_parquet_is_set_aside_and_the_rest_is_read(tmp_path: Path, keep: float) -> None:
    write_parquet(tmp_path / "logs/good.parquet", records(5))
    path = write_parquet(tmp_path / "logs/torn.parquet", [record(number + 10) for number in range(500)])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if 0 < keep < 1 else int(keep)])
    with pull(tmp_path) as pulled:
        assert [each.place for each in pulled.report.set_aside] == ["torn.parquet"]
        assert pulled.report.set_aside_share > 0
        assert pulled.report.rows == 5


def test_damaged_pages_are_found_while_reading_and_their_file_set_aside(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/good.parquet", records(5))
    path = write_parquet(tmp_path / "logs/bad.parquet", [record(number + 10) for number in range(5000)])
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = random.Random(0).randbytes(len(content) // 2 - 4)
    path.write_bytes(content)
    with pull(tmp_path) as pulled:
        assert [(each.place, each.reason) for each in pulled.report.set_aside] == [
            ("bad.parquet", "damaged: its pages cannot be read")
        ]
        assert (pulled.report.rows, pulled.report.files_read) == (5, 1)
        assert pulled.report.set_aside_share > 0.01


def test_text_with_the_ending_of_parquet_is_set_aside(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.parquet", GOOD)
    assert list(reasons(tmp_path)) == ["a.parquet"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"time": [START]}, "no column inference_id"),
        ({"inference_id": ["a"]}, "no column time"),
        (
            {"inference_id": ["a"], "time": [START.replace(tzinfo=None)]},
            "the column time has no zone: write timestamps in UTC",
        ),
        ({"inference_id": ["a"], "time": [1735689600]}, "the column time is no timestamp"),
        ({"inference_id": ["a"], "time": [START.date()]}, "the column time is no timestamp"),
    ],
    ids=["no id", "no time", "naive", "epoch", "date"],
)
def test_parquet_without_usable_id_or_time_is_set_aside(tmp_path: Path, table: dict[str, Any], reason: str) -> None:
    (tmp_path / "logs").mkdir()
    pq.write_table(pa.table(table), tmp_path / "logs/a.parquet")
    assert reasons(tmp_path) == {"a.parquet": (reason, 1)}


@pytest.mark.parametrize(
    ("names", "reason"), [(["a", "a"], "same name"), (["a", "A"], "only by case"), (["a", ""], "no name")]
)
def test_parquet_with_clashing_column_names_is_set_aside(tmp_path: Path, names: list[str], reason: str) -> None:
    (tmp_path / "logs").mkdir()
    arrays = [pa.array(["id"]), pa.array([START]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["inference_id", "time", *names]), tmp_path / "logs/a.parquet")
    (found,) = reasons(tmp_path).values()
    assert reason in found[0]


def test_columns_of_types_that_cannot_be_measured_do_not_stop_the_window(tmp_path: Path) -> None:
    odd = {"features.at": time(1), "features.bytes": b"\x00", "features.list": [1], "features.day": START.date()}
    write_parquet(tmp_path / "logs/a.parquet", [record(0, **odd)])
    write_parquet(tmp_path / "logs/b.parquet", [record(1, **{"features.list": "text"})])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.set_aside) == (2, ())
        assert column(pulled, "list") == ["[1]", "text"]


def test_rows_without_id_or_time_or_with_an_impossible_weight_are_set_aside(tmp_path: Path) -> None:
    bad = [record(1, inference_id=None), record(2, inference_id=""), record(3, time=None)]
    bad += [record(4, sample_weight=0.0), record(5, sample_weight=-1.0), record(6, sample_weight=float("nan"))]
    write_parquet(tmp_path / "logs/a.parquet", [record(0, sample_weight=2.0), *bad, record(7, sample_weight=None)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-7"]
        assert {each.reason: each.count for each in pulled.report.set_aside} == {
            "no time, or one without a zone": 1,
            "no inference_id, or a sample_weight that is no number above 0": 5,
        }
        assert pulled.report.set_aside_share == pytest.approx(6 / 8)


def test_lines_with_an_impossible_weight_are_set_aside(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "logs/a.jsonl",
        [
            record(0),
            record(1, sample_weight=0),
            record(2, sample_weight=-2.5),
            record(3, sample_weight=float("nan")),
            record(4, sample_weight="2"),
        ],
    )
    assert reasons(tmp_path) == {"a.jsonl:2": ("sample_weight is no number above 0", 4)}


def test_text_times_without_a_zone_are_set_aside_row_by_row(tmp_path: Path) -> None:
    times = ["2025-01-01T01:00:00Z", "2025-01-01T01:00:00", "soon", "2025-01-01 01:00:00-01:00"]
    write_parquet(tmp_path / "logs/a.parquet", [record(number, time=time) for number, time in enumerate(times)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == ["id-0", "id-3"]
        assert [each.count for each in pulled.report.set_aside] == [2]


def test_unreadable_file_written_before_the_window_is_named_but_weighs_nothing(tmp_path: Path) -> None:
    write_parquet(tmp_path / "logs/good.parquet", records(5))
    torn = tmp_path / "logs/torn.parquet"
    torn.write_bytes(b"PAR1")
    before = (START - timedelta(days=2)).timestamp()
    os.utime(torn, (before, before))
    with pull(tmp_path) as pulled:
        assert [each.place for each in pulled.report.set_aside] == ["torn.parquet"]
        assert pulled.report.set_aside_share == 0


# ---------------------------------------------------------------- what is no file


def test_links_and_pipes_and_folders_with_the_name_of_a_file_are_not_opened(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "elsewhere/a.parquet", records(3))
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "link.parquet").symlink_to(good)
    (folder / "linked").symlink_to(good.parent)
    (folder / "dangling.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.jsonl")
    os.mkfifo(folder / "pipe.parquet")
    (folder / "folder.parquet").mkdir()
    with pull(tmp_path) as pulled:
        assert {each.place: each.reason for each in pulled.report.set_aside} == {
            "link.parquet": "a symbolic link",
            "linked": "a symbolic link",
            "dangling.jsonl": "a symbolic link",
            "pipe.jsonl": "not a regular file",
            "pipe.parquet": "not a regular file",
            "folder.parquet": "not a regular file",
        }
        assert pulled.report.rows == 0


def test_files_being_written_and_other_endings_are_no_part_of_the_source(tmp_path: Path) -> None:
    for name in (".a.parquet", "_tmp/b.jsonl", "c.csv", "_SUCCESS", "d.parquet.tmp"):
        write_lines(tmp_path / "logs" / name, [b"{"])
    with pull(tmp_path) as pulled:
        assert (pulled.report.set_aside, pulled.report.files_read) == ((), 0)


def test_entries_are_bounded_and_keep_the_full_count() -> None:
    tally = Tally()
    for number in range(1000):
        tally.set_aside_rows(f"{number}.jsonl", "bad", line=1)
    assert len(tally.entries) == ENTRIES_MAX
    assert sum(entry.count for entry in tally.entries) == 1000
    assert tally.share == 1


def test_share_is_the_larger_of_rows_and_bytes() -> None:
    tally = Tally()
    tally.read(rows=99, size_bytes=900)
    tally.set_aside_rows("a.jsonl", "bad")
    assert tally.share == pytest.approx(0.01)
    tally.set_aside_file("b.parquet", "torn", size_bytes=100)
    assert tally.share == pytest.approx(0.1)
