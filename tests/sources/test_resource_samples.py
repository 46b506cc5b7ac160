from datetime import timedelta
from pathlib import Path

from retrue.sources.compaction import compact_spool
from retrue.sources.resource_samples import resource_samples
from tests.sources.logs import START
from tests.sources.spooled import spool_rows

ROWS = [
    {"time": START + timedelta(hours=10 * number), "cpu_cores": number / 4, "threads": number, "gpu": None}
    for number in range(6)
]


def test_samples_of_a_span_are_the_same_before_and_after_compaction(tmp_path: Path) -> None:
    spool_rows(tmp_path, ROWS[:3], ROWS[3:], kind="resources")
    span = {"start": START + timedelta(hours=10), "end": START + timedelta(hours=40)}
    before = resource_samples(tmp_path, **span)
    assert [sample.at for sample in before] == [START + timedelta(hours=10 * number) for number in (1, 2, 3)]
    assert before[0].values == {"cpu_cores": 0.25, "threads": 1.0}
    assert {sample.model_version for sample in before} == {"1"}
    done = compact_spool(tmp_path)
    assert done is not None
    assert (done.records, done.quarantined) == (6, 0)
    assert resource_samples(tmp_path, **span) == before


def test_absent_folder_and_damaged_files_have_no_samples(tmp_path: Path) -> None:
    span = {"start": START, "end": START + timedelta(days=9)}
    assert resource_samples(tmp_path / "absent", **span) == []
    spool_rows(tmp_path, ROWS, kind="resources")
    compact_spool(tmp_path)
    for path in tmp_path.glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-3])
    assert resource_samples(tmp_path, **span) == []
