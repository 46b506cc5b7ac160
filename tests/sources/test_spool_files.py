from datetime import timedelta
from pathlib import Path

import pytest

from retrue.logger.lines import Lines
from retrue.logger.spool import Spool
from retrue.logger.tally import ACCEPTED_CELL
from retrue.results import SetAside
from retrue.windows import Window
from tests.sources.logs import END, START, column, digest, label, pull, record, records, write_lines, write_parquet
from tests.sources.spooled import payload, spool_rows


def bare(number: int, **values: object) -> dict[str, object]:
    """A record without what the segment's header says of all."""
    return {name: value for name, value in record(number, **values).items() if name not in ("model", "model_version")}


def test_segments_are_read_beside_parquet_and_json_lines(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(5), [bare(number) for number in range(5, 8)])
    write_parquet(tmp_path / "logs/a.parquet", [record(8)])
    write_lines(tmp_path / "logs/b.jsonl", [record(9)])
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.files_read, pulled.report.set_aside) == (10, 4, ())
        assert pulled.report.model_versions == {"1": 10}
        assert column(pulled, "x") == [number / 8 + 0.5 for number in range(10)]
        assert column(pulled, "carrier") == ["AA", "UA"] * 5


def test_window_of_segments_has_the_digest_of_the_same_rows_elsewhere(tmp_path: Path) -> None:
    spool_rows(tmp_path / "a/logs", records(30))
    write_parquet(tmp_path / "b/logs/a.parquet", records(30))
    write_lines(tmp_path / "c/logs/a.jsonl", records(30))
    assert len({digest(tmp_path / name) for name in "abc"}) == 1


def test_segment_that_is_still_being_written_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "logs", kind="inferences", model="m", model_version="1")
    spool.append(Lines.of(payload(number + 1, record(number)) for number in range(5)))
    (path,) = (tmp_path / "logs").rglob("*.open")
    with path.open("ab") as file:
        file.write(b'01234567 {"seq":6,"inference_')
    spool.tally.cells[ACCEPTED_CELL] = 9
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.set_aside, pulled.report.lost) == (5, (), 0)
    spool.close()


def test_damaged_line_is_set_aside_with_its_place_and_counted_as_lost(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(20))
    (path,) = (tmp_path / "logs").rglob("*.seg")
    path.write_bytes(path.read_bytes().replace(b'"id-7"', b'"id-#"'))
    with pull(tmp_path) as pulled:
        name = path.relative_to(tmp_path / "logs").as_posix()
        assert pulled.report.set_aside == (SetAside(place=f"{name}:9", reason="the line is damaged"),)
        assert (pulled.report.rows, pulled.report.lost) == (19, 1)
        assert pulled.report.set_aside_share == pytest.approx(1 / 20)


def test_sound_line_that_is_no_record_is_set_aside_and_not_lost(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", [record(0), record(1, inference_id=None), record(2, sample_weight=-1), record(3)])
    with pull(tmp_path) as pulled:
        assert [each.reason for each in pulled.report.set_aside] == [
            "no inference_id",
            "sample_weight is no number above 0",
        ]
        assert (pulled.report.rows, pulled.report.lost) == (2, 0)


def test_losses_belong_to_the_window_of_the_record_before_them(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(10), [record(1440 + number) for number in range(5)], accepted=20)
    first, _ = sorted((tmp_path / "logs").rglob("*.seg"))
    first.write_bytes(first.read_bytes().replace(b'"id-7"', b'"id-#"'))
    tomorrow = Window(model="m", start=END, end=END + timedelta(days=1))
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.lost, pulled.report.files_skipped) == (9, 1, 1)
    with pull(tmp_path, window=tomorrow) as pulled:
        assert (pulled.report.rows, pulled.report.lost, pulled.report.files_skipped) == (5, 5, 1)


def test_gap_reports_do_not_change_the_digest(tmp_path: Path) -> None:
    spool_rows(tmp_path / "a/logs", records(10))
    spool_rows(tmp_path / "b/logs", records(10), accepted=50)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_what_the_logger_dropped_is_reported_by_reason_and_not_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "logs", kind="inferences", model="m")
    spool.append(Lines.of(payload(number, record(number)) for number in (1, 2, 3, 7, 8)))
    spool.tally.cells[ACCEPTED_CELL] = 8
    spool.tally.add("dropped.spool_full", 3)
    spool.tally.add("shed.lane_full", 5)
    spool.tally.add("sampled_out", 100)
    spool.close()
    with pull(tmp_path) as pulled:
        assert (pulled.report.lost, pulled.report.dropped) == (0, {"lane_full": 5, "spool_full": 3})


def test_record_that_lies_in_two_segments_counts_once(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(10), [record(10)])
    first, second = sorted((tmp_path / "logs").rglob("*.seg"))
    (second.parent / "00000009.seg").write_bytes(first.read_bytes())
    with pull(tmp_path) as pulled:
        assert (pulled.report.rows, pulled.report.duplicates, pulled.report.lost) == (11, 0, 0)


def test_labels_lie_beside_inferences_and_are_read_as_labels_only(tmp_path: Path) -> None:
    spool_rows(tmp_path / "logs", records(4))
    spool_rows(tmp_path / "logs/labels", [label(0, 1), label(1, 0)], kind="labels")
    spool_rows(tmp_path / "logs/resources", [{"time": START, "cpu_share": 0.5}], kind="resources")
    labels = {"labels": {"uri": "logs/labels", "horizon": "30d"}}
    with pull(tmp_path, blocks=labels) as pulled:
        assert (pulled.report.rows, pulled.report.labelled_rows, pulled.report.set_aside) == (4, 2, ())
        assert column(pulled, "label") == [1, 0, None, None]


def test_spools_of_several_machines_in_one_folder_are_read_together(tmp_path: Path) -> None:
    for place in range(3):
        spool_rows(tmp_path / f"logs/host-{place}", [record(place * 10 + number) for number in range(4)])
    with pull(tmp_path) as pulled:
        assert pulled.report.rows == 12


def test_values_that_json_does_not_have_come_back(tmp_path: Path) -> None:
    rows = [record(0, **{"features.x": {"$": "nan"}}), record(1, **{"features.x": {"$": "inf"}}), record(2)]
    spool_rows(tmp_path / "logs", rows)
    with pull(tmp_path) as pulled:
        found = column(pulled, "x")
    assert found[0] != found[0]
    assert found[1:] == [float("inf"), 0.75]


def test_weights_and_times_to_the_nanosecond_are_kept(tmp_path: Path) -> None:
    late = {"time": START + timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)}
    spool_rows(tmp_path / "logs", [record(0, sample_weight=4.0), record(1, **late)])
    with pull(tmp_path) as pulled:
        assert column(pulled, "sample_weight") == [4.0, 1.0]
        assert pulled.sample(2, seed=0)["time"].max() == late["time"]
