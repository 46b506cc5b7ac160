from __future__ import annotations

import base64
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrue.logger.lines import Lines
from retrue.logger.segments import encode_line
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL
from retrue.results import PullReport
from retrue.sources.compaction import Compacted, compact_spool, spool_roots, utc_day
from retrue.sources.edits import Blank, Discard
from retrue.sources.rewriting import rewrite_folder
from retrue.windows import Window
from tests.sources.logs import START, Row, column, label, pull, record, records
from tests.sources.spooled import payload, spool_rows

HOUR = 3600 * 10**9
HOSTILE: dict[str, Any] = {
    "features.X": 7.0,
    "features.": 1,
    "features.list": [1, {"a": None}],
    "features.mixed": "five",
    "features.</script>": True,
    "context": {"user": {"plan": "free"}},
}


def varied(number: int) -> Row:
    """Records whose columns differ in presence and type."""
    row = record(number)
    if number % 7 == 0:
        row |= {**HOSTILE, "status": "error", "error_type": "ValueError"}
    if number % 11 == 0:
        row |= {"features.mixed": 5, "features.x": {"$": "nan"}, "features.none": None}
    if number % 13 == 0:
        row |= {"features.mixed": 0.5, "score": None, "sample_weight": 4.0, "prediction": "late"}
    return row


def report(root: Path, **options: Any) -> PullReport:
    with pull(root, **options) as pulled:
        return pulled.report


def told(root: Path, **options: Any) -> tuple[object, ...]:
    """What must be the same before, during and after compaction."""
    found = report(root, **options)
    aside = sorted((each.reason, each.count) for each in found.set_aside)
    return (
        found.rows,
        found.duplicates,
        found.input_digest,
        found.lost,
        dict(found.dropped),
        aside,
        found.model_versions,
    )


def damage(root: Path, *, old: bytes, new: bytes) -> None:
    for path in root.rglob("*.seg"):
        path.write_bytes(path.read_bytes().replace(old, new))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A project whose logs span three days in five segments, with a damaged line, an unusable record and a lost tail."""
    rows = [varied(number) for number in range(0, 4000, 7)]
    rows[40] |= {"inference_id": None}
    spool_rows(tmp_path / "logs", *(rows[start : start + 120] for start in range(0, len(rows), 120)), accepted=600)
    damage(tmp_path / "logs", old=b'"id-77"', new=b'"id-##"')
    return tmp_path


DAMAGED = "damaged: a page does not match its checksum"
DAYS = [Window(model="m", start=START + timedelta(days=day), end=START + timedelta(days=day + 1)) for day in range(3)]


def test_compacted_window_is_judged_as_before(logs: Path) -> None:
    before = [told(logs, window=day) for day in DAYS]
    assert [each[3] for each in before] == [1, 0, 600 - 572]
    done = compact_spool(logs / "logs")
    assert done == Compacted(segments=5, files=3, records=570, quarantined=2)
    assert not list(logs.rglob("*.seg"))
    assert [told(logs, window=day) for day in DAYS] == before


def test_compacting_again_does_nothing(logs: Path) -> None:
    compact_spool(logs / "logs")
    files = {path: path.stat().st_mtime_ns for path in logs.rglob("*")}
    assert compact_spool(logs / "logs") == Compacted()
    assert {path: path.stat().st_mtime_ns for path in logs.rglob("*")} == files


def test_columns_and_types_are_those_of_the_segments(logs: Path) -> None:
    def view() -> dict[str, str]:
        with pull(logs) as pulled:
            return dict(pulled.engine.types(pulled.table))

    before = view()
    compact_spool(logs / "logs")
    assert view() == before
    assert before["list"] == "JSON"
    assert before["mixed"] == "VARCHAR"
    assert {"X", "features.x"} <= set(before)


def test_files_hold_whole_days_sorted_by_time_with_checksums(logs: Path) -> None:
    compact_spool(logs / "logs")
    files = sorted((logs / "logs").glob("*.parquet"))
    assert [path.name[:10] for path in files] == ["2025-01-01", "2025-01-02", "2025-01-03"]
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        table = pq.read_table(path, page_checksum_verification=True)
        times = table["time"].cast(pa.int64()).to_pylist()
        assert times == sorted(times)
        assert len({utc_day(at) for at in times}) == 1
        statistics = pq.read_metadata(path).row_group(0).column(0).statistics
        assert statistics is not None


def test_files_do_not_cross_the_borders_of_windows(logs: Path) -> None:
    """Columns and types of a window of hours are those of its own records then."""
    hours = [
        Window(model="m", start=START + timedelta(hours=h), end=START + timedelta(hours=h + 6)) for h in (0, 6, 30)
    ]
    before = [told(logs, window=each) for each in hours]
    compact_spool(logs / "logs", cut=lambda at: at - at % (6 * HOUR))
    assert [told(logs, window=each) for each in hours] == before


def test_what_cannot_be_read_is_kept_in_quarantine_with_its_reason(logs: Path) -> None:
    compact_spool(logs / "logs")
    kept = [
        orjson.loads(line)
        for path in sorted((logs / "logs/quarantine").iterdir())
        for line in path.read_bytes().splitlines()
    ]
    assert [each["reason"] for each in kept] == ["the line is damaged", "no inference_id"]
    assert b"id-##" in base64.b64decode(kept[0]["base64"])


def test_segment_of_garbage_goes_to_quarantine_whole(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(5), records(3))
    _, second = sorted((tmp_path / "logs").rglob("*.seg"))
    content = random.Random(1).randbytes(5000)
    second.write_bytes(content)
    done = compact_spool(tmp_path / "logs")
    assert done is not None
    assert (done.segments, done.records) == (2, 5)
    assert report(tmp_path).lost == 3
    assert sum(path.stat().st_size for path in (tmp_path / "logs/quarantine").iterdir()) > 5000


def test_segment_of_a_newer_version_stays(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(5))
    (path,) = (tmp_path / "logs").rglob("*.seg")
    newer = path.read_bytes().replace(b'"format":1', b'"format":9')
    path.write_bytes(b"".join(encode_line(each[9:]) for each in newer.splitlines()))
    assert compact_spool(tmp_path / "logs") == Compacted()
    assert [each.reason for each in report(tmp_path).set_aside] == [
        "format 9 of a newer version: upgrade retrue to read it"
    ]


def test_living_process_keeps_its_open_segment_and_loses_its_sealed_ones(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "logs", kind="inferences", model="m")
    spool.append(Lines.of(payload(number + 1, record(number)) for number in range(10)))
    spool.seal()
    spool.append(Lines.of(payload(number + 1, record(number)) for number in range(10, 15)))
    spool.tally.cells[ACCEPTED_CELL] = 18
    assert compact_spool(tmp_path / "logs") == Compacted(segments=1, files=1, records=10)
    assert (report(tmp_path).rows, report(tmp_path).lost) == (15, 0)
    spool.append(Lines.of([payload(16, record(15))]))
    spool.close()
    assert (report(tmp_path).rows, report(tmp_path).lost) == (16, 2)
    compact_spool(tmp_path / "logs")
    assert (report(tmp_path).rows, report(tmp_path).lost) == (16, 2)
    assert not list((tmp_path / "logs/segments").iterdir())


def test_labels_are_compacted_too(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(4))
    spool_rows(tmp_path / "logs/labels", [label(0, 1), label(1, 0)], [label(1, 1, minutes=90)], kind="labels")
    spool_rows(tmp_path / "logs/resources", [{"time": START, "cpu_share": 0.5}], kind="resources")
    blocks = {"labels": {"uri": "logs/labels", "horizon": "30d"}}
    before = told(tmp_path, blocks=blocks)
    roots = spool_roots(tmp_path / "logs")
    assert [root.name for root in roots] == ["logs", "labels", "resources"]
    for root in roots:
        compact_spool(root)
    assert not list(tmp_path.rglob("*.seg"))
    assert told(tmp_path, blocks=blocks) == before
    with pull(tmp_path, blocks=blocks) as pulled:
        assert column(pulled, "label") == [1, 1, None, None]


def test_late_records_of_a_compacted_day_become_another_file(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(10))
    compact_spool(tmp_path / "logs")
    spool_rows(tmp_path / "logs", [record(10), record(11)])
    compact_spool(tmp_path / "logs")
    assert len(list((tmp_path / "logs").glob("2025-01-01.*.parquet"))) == 2
    assert (report(tmp_path).rows, report(tmp_path).lost) == (12, 0)


def test_many_tiny_segments_become_one_file(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", *([row] for row in records(600)))
    before = told(tmp_path)
    assert compact_spool(tmp_path / "logs") == Compacted(segments=600, files=1, records=600)
    assert told(tmp_path) == before


def test_records_that_were_let_go_of_on_purpose_are_not_lost(logs: Path) -> None:
    compact_spool(logs / "logs")
    before = report(logs, window=DAYS[0])
    discard = Discard(before=START + timedelta(hours=12))
    blank = Blank(wanted=lambda name: name == "features.list", before=START + timedelta(hours=18))
    rewritten = rewrite_folder(logs / "logs", [discard, blank], time="time")
    assert (rewritten.files, rewritten.problems) == (1, ())
    after = report(logs, window=DAYS[0])
    assert 0 < after.rows < before.rows
    assert (after.lost, after.set_aside) == (before.lost, before.set_aside)


def test_flipped_byte_of_a_compacted_file_is_noticed_where_it_would_be_another_value(logs: Path) -> None:
    """The engine alone reads on, and other values."""
    compact_spool(logs / "logs")
    before = told(logs, window=DAYS[0])
    path = sorted((logs / "logs").glob("*.parquet"))[0]
    content = path.read_bytes()
    noticed = unseen_by_the_engine = 0
    for place in range(10, len(content) // 2, 499):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        found = told(logs, window=DAYS[0])
        if found == before:
            continue
        noticed += 1
        assert found[0] == 0
        assert [each.reason for each in report(logs, window=DAYS[0]).set_aside] == [DAMAGED]
        try:
            duckdb.sql(f"SELECT sum(hash(COLUMNS(*))) FROM '{path}'").fetchall()
        except duckdb.Error:
            continue
        unseen_by_the_engine += 1
    assert noticed >= unseen_by_the_engine > 0


# ---------------------------------------------------------------- several at once, and killed


def test_two_compactions_at_once_do_the_work_once(logs: Path) -> None:
    before = [told(logs, window=day) for day in DAYS]
    done: list[Compacted | None] = []
    threads = [threading.Thread(target=lambda: done.append(compact_spool(logs / "logs"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.records for each in done if each) == 570
    assert [told(logs, window=day) for day in DAYS] == before


def test_reader_sees_every_record_once_while_compaction_is_at_work(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", *(records(1440)[start : start + 20] for start in range(0, 1440, 20)))
    before = told(tmp_path)
    stop = threading.Event()

    def keep_compacting() -> None:
        number = 2000
        while not stop.is_set():
            compact_spool(tmp_path / "logs")
            spool_rows(tmp_path / "logs", [record(number)], [record(number + 1)])
            number += 2
            time.sleep(0.2)

    thread = threading.Thread(target=keep_compacting)
    thread.start()
    try:
        assert {told(tmp_path) == before for _ in range(8)} == {True}
    finally:
        stop.set()
        thread.join()


def killed_at(operation: int, work: Callable[[], object]) -> bool:
    """Run work in a child that dies right before its n-th change of the file system; tell whether it died."""
    pid = os.fork()
    if pid == 0:
        left = iter(range(operation))

        def watch(event: str, _arguments: object) -> None:
            if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate") and next(left, None) is None:
                os._exit(9)

        sys.addaudithook(watch)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) in (0, 9)
    return os.WEXITSTATUS(status) == 9


@pytest.fixture
def copies(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    folder = tmp_path_factory.mktemp("copies")
    return lambda: Path(shutil.copytree(logs, folder / str(len(list(folder.iterdir())))))


def test_compaction_killed_before_any_of_its_changes_loses_and_doubles_nothing(
    logs: Path, copies: Callable[[], Path]
) -> None:
    before = [told(logs, window=day) for day in DAYS]
    operation, died = 0, True
    while died:
        copy = copies()
        died = killed_at(operation, lambda: compact_spool(copy / "logs"))  # noqa: B023 - run at once
        assert [told(copy, window=day) for day in DAYS] == before, operation
        compact_spool(copy / "logs")
        assert [told(copy, window=day) for day in DAYS] == before, operation
        assert not [path for path in copy.rglob("*") if path.suffix in (".seg", ".compacting", ".open")]
        operation += 1
    assert operation > 10


def test_folder_that_cannot_be_written_to_is_an_error_that_loses_nothing(logs: Path) -> None:
    before = told(logs)
    (logs / "logs/.compaction.lock").mkdir()
    with pytest.raises(OSError, match="directory"):
        compact_spool(logs / "logs")
    assert told(logs) == before


@pytest.mark.parametrize("name", ["segments", "quarantine"])
def test_link_in_place_of_a_folder_is_not_followed(
    logs: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.rmtree(logs / "logs" / name, ignore_errors=True)
    (logs / "logs" / name).symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError, match="symbolic link"):
        compact_spool(logs / "logs")
