"""BentoML's monitoring files and its OTLP variant, on the real sample where there is one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.formats.reads import SAMPLES, at, copy_of, read, read_labels, write

SCHEMA = {
    "meta_data": {"bento_name": "iris", "bento_version": "v7"},
    "columns": [
        {"name": "sepal_len", "role": "feature", "type": "numerical"},
        {"name": "pred", "role": "prediction", "type": "categorical"},
        {"name": "truth", "role": "target", "type": "categorical"},
        {"name": "note", "role": "custom", "type": "text"},
    ],
}


def row(request: str = "14642743634293743168", **values: Any) -> dict[str, Any]:
    plain = {"sepal_len": 4.9, "pred": "setosa", "timestamp": "2025-01-01T10:00:00.490137", "request_id": request}
    return {**plain, **values}


def monitor(folder: Path, *rows: dict[str, Any], worker: int = 1) -> Path:
    write(folder / f"iris/schema/schema.{worker}.log", SCHEMA)
    write(folder / f"iris/data/data.{worker}.log", *rows)
    return folder


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples lie beside the repository")
def test_the_real_log_is_read_by_the_roles_that_its_schema_and_the_settings_give(tmp_path: Path) -> None:
    folder = copy_of(["bentoml_monitor_data.log", "bentoml_monitor_schema.log"], tmp_path)
    found = read(folder, "bentoml", timezone="UTC", roles={"original_text": "feature"})
    assert found.reasons == {}
    assert found.column("inference_id") == ["14642743634293743168", "7485759375304577245"]
    assert found.rows[0]["time"] == at("2024-03-05T03:33:59.490137")
    assert found.features()["input_text"].startswith("Breaking News")
    assert found.rows[0]["prediction"].startswith(" Whiskers")
    assert found.rows[0]["model_version"] is None, "'not available' is no version"
    unread = read(folder, "bentoml", timezone="UTC")
    assert unread.features() == {}
    assert list(unread.notes) == ["columns of role original_text are not read: name it in roles"]


def test_local_times_need_the_zone_they_are_in(tmp_path: Path) -> None:
    monitor(tmp_path, row(timestamp="2025-07-01T12:00:00"), row("2", timestamp="2025-01-01T12:00:00"))
    assert read(tmp_path, "bentoml").reasons == {"the time has no zone: set timezone": 2}
    found = read(tmp_path, "bentoml", timezone="Europe/Paris")
    assert found.column("time") == [at("2025-07-01T10:00:00"), at("2025-01-01T11:00:00")]


def test_of_the_hour_that_autumn_has_twice_the_first_is_meant_and_spring_has_no_gap(tmp_path: Path) -> None:
    monitor(tmp_path, row("1", timestamp="2025-10-26T02:30:00"), row("2", timestamp="2025-03-30T02:30:00"))
    found = read(tmp_path, "bentoml", timezone="Europe/Paris")
    assert found.column("time") == [at("2025-10-26T00:30:00"), at("2025-03-30T01:30:00")]


def test_rows_of_a_batch_repeat_one_request_id_and_all_stay(tmp_path: Path) -> None:
    monitor(tmp_path, row("7", sepal_len=1), row("8", sepal_len=5), row("7", sepal_len=2), row("7", sepal_len=3))
    found = read(tmp_path, "bentoml", timezone="UTC")
    assert dict(zip(found.column("inference_id"), found.column("features.sepal_len"), strict=True)) == {
        "7": 1,
        "7#2": 2,
        "7#3": 3,
        "8": 5,
    }


def test_roles_make_columns_features_predictions_and_labels(tmp_path: Path) -> None:
    monitor(tmp_path, row("7", truth="setosa", note="hi"), row("8", truth=None, note="hi"))
    found = read(tmp_path, "bentoml", timezone="UTC")
    assert found.features() == {"sepal_len": 4.9}
    assert (found.rows[0]["prediction"], found.rows[0]["model_version"]) == ("setosa", "v7")
    assert found.notes == {"columns of role custom are not read: name it in roles": 2}
    labels = read_labels(tmp_path, "bentoml", timezone="UTC")
    assert [(each["inference_id"], each["label"]) for each in labels.rows] == [("7", "setosa")]


def test_a_column_may_be_given_a_part_by_its_own_name(tmp_path: Path) -> None:
    monitor(tmp_path, row("7", note="hi"))
    roles = {"note": "feature", "sepal_len": "ignore", "pred": "score"}
    (found,) = read(tmp_path, "bentoml", timezone="UTC", roles=roles).rows
    assert {name for name in found if name.startswith("features.")} == {"features.note"}
    assert found["score"] == "setosa"


def test_data_without_a_schema_needs_roles(tmp_path: Path) -> None:
    write(tmp_path / "iris/data/data.1.log", row())
    (reason,) = read(tmp_path, "bentoml", timezone="UTC").reasons
    assert reason.startswith("no schema")
    roles = {"sepal_len": "feature", "pred": "prediction"}
    assert read(tmp_path, "bentoml", timezone="UTC", roles=roles).features() == {"sepal_len": 4.9}


def test_rotated_files_and_all_workers_are_read(tmp_path: Path) -> None:
    monitor(tmp_path, row("1"))
    write(tmp_path / "iris/data/data.1.log.2024-12-31", row("2"))
    write(tmp_path / "iris/data/data.2.log", row("3"))
    assert sorted(read(tmp_path, "bentoml", timezone="UTC").column("inference_id")) == ["1", "2", "3"]


def test_trace_ids_are_whole_numbers_and_become_hexadecimal(tmp_path: Path) -> None:
    monitor(tmp_path, row(trace_id=str(0xABC)), row("2", trace_id="0"))
    assert read(tmp_path, "bentoml", timezone="UTC").column("trace_id") == [f"{0xABC:032x}", None]


def over_otlp(request: str, *, with_meta: bool) -> dict[str, Any]:
    schema = {each["name"]: each for each in SCHEMA["columns"]}
    about = {"bento_name": "iris", "bento_version": "v7", "monitor_name": "m", "schema": schema}
    plain = {"sepal_len": 4.9, "pred": "setosa", "timestamp": 1735725600.25, "request_id": request}
    return {**plain, **({"bento_meta": about} if with_meta else {})}


@pytest.mark.parametrize("wrapped", [False, True])
def test_bodies_over_otlp_have_epoch_seconds_and_say_their_schema_now_and_then(tmp_path: Path, wrapped: bool) -> None:
    bodies = [over_otlp("1", with_meta=True), over_otlp("2", with_meta=False)]
    records = [{"body": {"stringValue": json.dumps(body)}} for body in bodies]
    batch = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    write(tmp_path / "otel.jsonl", *([batch] if wrapped else bodies))
    found = read(tmp_path, "bentoml")
    assert found.reasons == {}
    assert found.column("time") == [at("2025-01-01T10:00:00.250000")] * 2
    assert found.column("features.sepal_len") == [4.9, 4.9]
    assert found.column("model_version") == ["v7", "v7"]
