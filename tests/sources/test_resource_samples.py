"""What serving processes used, summed up out of their loggers' samples wherever these lie by now."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retrue.logger import InferenceLogger
from retrue.results import Resources
from retrue.sources.compaction import compact_spool
from retrue.sources.resource_samples import measure_resources
from retrue.windows import Window
from tests.logger.serving import on_disk, wait_for
from tests.sources.logs import START, Row
from tests.sources.spooled import spool_rows

DAY = timedelta(days=1)
WINDOW = Window(model="m", start=START, end=START + DAY)


def samples(count: int, *, begin: timedelta = timedelta(0), **gauges: Any) -> list[Row]:
    """One every 10 s; the n-th uses n hundredths of a core, up to one."""
    return [
        {"time": START + begin + timedelta(seconds=10 * number), "cpu_cores": (number % 101) / 100, **gauges}
        for number in range(count)
    ]


def spool(root: Path, *batches: Sequence[Row], **options: Any) -> None:
    spool_rows(root / "resources", *batches, kind="resources", **options)


def test_a_window_is_summed_up_of_its_samples_alone_before_and_after_compaction(tmp_path: Path) -> None:
    early = samples(3, begin=-timedelta(minutes=1), rss_bytes=9_000)
    spool(
        tmp_path, early, samples(50, rss_bytes=100, threads=4), samples(51, begin=timedelta(seconds=500), rss_bytes=300)
    )
    spool(tmp_path, samples(1, begin=DAY, rss_bytes=8_000))
    expected = Resources(
        samples=101, processes=1, cpu_cores={"p50": 0.25, "p95": 0.47, "max": 0.5}, memory_bytes=300.0, threads=4.0
    )
    assert measure_resources(tmp_path, WINDOW) == expected
    done = compact_spool(tmp_path / "resources")
    assert done is not None
    assert (done.records, done.quarantined) == (105, 0)
    assert measure_resources(tmp_path, WINDOW) == expected


def test_samples_that_lie_in_a_segment_and_in_a_parquet_file_count_once(tmp_path: Path) -> None:
    """A compaction was killed between the two."""
    spool(tmp_path, samples(20))
    shutil.copytree(tmp_path / "resources/segments", tmp_path / "kept")
    compact_spool(tmp_path / "resources")
    shutil.copytree(tmp_path / "kept", tmp_path / "resources/segments", dirs_exist_ok=True)
    found = measure_resources(tmp_path, WINDOW)
    assert found is not None
    assert found.samples == 20


def test_processes_of_several_servers_are_counted_and_other_models_left_out(tmp_path: Path) -> None:
    spool(tmp_path / "one", samples(4, connections=7))
    spool(tmp_path / "one", samples(4, connections=2))
    spool(tmp_path / "two", samples(4, connections=5))
    spool(tmp_path / "three", samples(4, connections=99), model="other")
    compact_spool(tmp_path / "two/resources")
    compact_spool(tmp_path / "three/resources")
    found = measure_resources(tmp_path, WINDOW)
    assert found is not None
    assert (found.processes, found.samples, found.connections) == (3, 12, 7.0)


def test_inferences_are_no_samples_and_an_absent_folder_has_none(tmp_path: Path) -> None:
    assert measure_resources(tmp_path / "absent", WINDOW) is None
    spool_rows(tmp_path / "resources", [{"inference_id": "a", "time": START, "threads": 4}])
    assert measure_resources(tmp_path, WINDOW) is None


@pytest.mark.parametrize("value", ["many", None, -1, True, [3]])
def test_a_value_that_no_gauge_has_is_left_out(tmp_path: Path, value: object) -> None:
    spool(tmp_path, [*samples(2, threads=value), *samples(1, begin=timedelta(hours=1), rss_bytes=5)])
    for _ in range(2):
        found = measure_resources(tmp_path, WINDOW)
        assert found is not None
        assert (found.samples, found.threads, found.memory_bytes) == (3, None, 5.0)
        compact_spool(tmp_path / "resources")


def test_damaged_files_cost_what_is_damaged(tmp_path: Path) -> None:
    spool(tmp_path, samples(10))
    spool(tmp_path, samples(5))
    compact_spool(tmp_path / "resources")
    (path,) = (tmp_path / "resources").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-3])
    assert measure_resources(tmp_path, WINDOW) is None
    spool(tmp_path, samples(3), samples(4))
    torn = next((tmp_path / "resources/segments").glob("*/00000001.seg"))
    torn.write_bytes(torn.read_bytes()[:-40].replace(b"cpu_cores", b"cpu_corez", 1))
    found = measure_resources(tmp_path, WINDOW)
    assert found is not None
    assert found.samples == 6


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        root = tmp_path / str(count)
        spool(root, *(samples(500, begin=timedelta(seconds=2 * begin)) for begin in range(0, count, 500)))
        measure_resources(root, WINDOW)
        tracemalloc.start()
        measure_resources(root, WINDOW)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(8_000) < peak(1_000) + 100_000


def test_what_the_logger_samples_is_read(tmp_path: Path) -> None:
    log = InferenceLogger("m", version="1", to=tmp_path, resources_every=0.1)
    log.record({})
    wait_for(lambda: on_disk(tmp_path / "resources"))
    log.close()
    found = measure_resources(tmp_path, Window(model="m", start=START.replace(year=2020), end=START.replace(year=2090)))
    assert found is not None
    assert found.processes == 1
    assert {"memory_bytes", "open_files", "connections", "threads", "queue_records"} <= found.peaks.keys()
    assert (found.memory_bytes or 0) > 10**6
