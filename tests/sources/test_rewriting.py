"""Edits of logs on disk: what goes is gone from every byte, what stays is as it was."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from retrue.sources.edits import Blank, Discard, Edit, Erase
from retrue.sources.rewriting import Rewritten, rewrite_folder
from retrue.tombstones import Tombstones, digests_of
from tests.sources.logs import START, Row, column, line, pull, record, write_lines, write_parquet

LATER = START + timedelta(minutes=5)
PEOPLE = Tombstones(salt="s", columns=("caller_id",), subjects=digests_of("s", ["ann"]))


def people(count: int = 10) -> list[Row]:
    """Records of which numbers 3 and 7 are Ann's."""
    return [record(number, caller_id="ann" if number in (3, 7) else f"person-{number}") for number in range(count)]


def write(root: Path, rows: list[Row], kind: str) -> Path:
    if kind == "parquet":
        return write_parquet(root / "logs" / "a.parquet", rows, row_group_size=4)
    if kind == "gz":
        path = root / "logs" / "a.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"".join(line(row) + b"\n" for row in rows)))
        return path
    return write_lines(root / "logs" / "a.jsonl", rows)


def edit(root: Path, *edits: Edit, **options: Any) -> Rewritten:
    return rewrite_folder(root / "logs", edits, time="time", **options)


def bytes_of(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()).encode()
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


KINDS = pytest.mark.parametrize("kind", ["parquet", "jsonl", "gz"])


@KINDS
def test_values_past_their_time_become_null_and_the_rest_stays(tmp_path: Path, kind: str) -> None:
    write(tmp_path, people(), kind)
    done = edit(tmp_path, Blank(wanted=lambda name: name.startswith("features."), before=LATER))
    assert (done.files, done.records, done.problems) == (1, 5, ())
    with pull(tmp_path) as pulled:
        assert column(pulled, "carrier") == [None] * 5 + ["UA", "AA", "UA", "AA", "UA"]
        assert column(pulled, "score") == [0.25] * 10


@KINDS
def test_a_second_edit_finds_nothing_to_do(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, people(), kind)
    old = Blank(wanted=lambda name: name.startswith("features."), before=LATER)
    edit(tmp_path, old, Erase(tombstones=PEOPLE))
    before = path.read_bytes()
    assert edit(tmp_path, old, Erase(tombstones=PEOPLE)) == Rewritten()
    assert path.read_bytes() == before


@KINDS
def test_an_erased_person_is_in_no_byte_and_everybody_else_is(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, people(), kind)
    assert b"ann" in bytes_of(path)
    assert edit(tmp_path, Erase(tombstones=PEOPLE)).records == 2
    assert b"ann" not in bytes_of(path)
    with pull(tmp_path) as pulled:
        assert column(pulled, "inference_id") == [f"id-{number}" for number in range(10) if number not in (3, 7)]


@KINDS
def test_whole_records_go_after_their_time(tmp_path: Path, kind: str) -> None:
    write(tmp_path, people(), kind)
    assert edit(tmp_path, Discard(before=LATER)).records == 5
    with pull(tmp_path) as pulled:
        assert pulled.report.rows == 5


@KINDS
def test_a_dry_run_counts_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, people(), kind)
    before = path.read_bytes()
    assert edit(tmp_path, Erase(tombstones=PEOPLE), dry_run=True).records == 2
    assert path.read_bytes() == before


def test_ids_of_erased_inferences_take_their_labels_along(tmp_path: Path) -> None:
    rows = [{"inference_id": f"id-{number}", "label": 1, "labelled_at": START} for number in range(4)]
    write_lines(tmp_path / "labels" / "l.jsonl", rows)
    ids = Tombstones(salt="s", inferences=digests_of("s", ["id-2"]))
    assert rewrite_folder(tmp_path / "labels", [Erase(tombstones=ids)], time="labelled_at").records == 1
    assert b"id-2" not in (tmp_path / "labels" / "l.jsonl").read_bytes()


def test_nested_features_are_found_under_their_flat_names(tmp_path: Path) -> None:
    nested = {"inference_id": "n", "time": START, "features": {"name": "ann", "x": 1}}
    path = write_lines(tmp_path / "logs" / "n.jsonl", [nested])
    stones = Tombstones(salt="s", columns=("features.name",), subjects=digests_of("s", ["ann"]))
    assert edit(tmp_path, Erase(tombstones=stones)).records == 1
    assert path.read_bytes() == b""


def test_bad_lines_stay_and_a_broken_file_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "logs" / "a.jsonl", [*people(), b"{broken"])
    (tmp_path / "logs" / "b.parquet").write_bytes(b"no parquet")
    done = edit(tmp_path, Erase(tombstones=PEOPLE))
    assert path.read_bytes().endswith(b"{broken\n")
    assert done.problems == ("b.parquet could not be edited (ArrowInvalid)",)


def test_permissions_and_metadata_survive(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "logs" / "a.parquet"
    write(tmp_path, people(), "parquet")
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"retrue": "kept"}), path)
    path.chmod(0o600)
    edit(tmp_path, Erase(tombstones=PEOPLE))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (pq.read_schema(path).metadata or {})[b"retrue"] == b"kept"
    assert isinstance(pq.read_table(path), pa.Table)
    assert not [each.name for each in path.parent.iterdir() if each.name.startswith(".")]
