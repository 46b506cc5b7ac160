"""Vertex AI's BigQuery exports, old and new."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.formats.reads import at, read, read_labels, write

BIG = "12345678901234567890123456789"


def row(**values: Any) -> dict[str, Any]:
    return {
        "endpoint": "123", "deployed_model_id": "456", "logging_time": "2025-01-01 10:00:00.123456 UTC", "request_id": BIG,
        "request_payload": ['{"a": 1, "order": "o1"}', '{"a": 2, "order": "o2"}'],
        "response_payload": ['{"score": 0.1}', '{"score": 0.9}'], **values,
    }  # fmt: skip


def test_instances_of_one_request_explode_and_ids_keep_every_digit(tmp_path: Path) -> None:
    write(tmp_path / "a.json", row())
    found = read(tmp_path, "vertex")
    assert found.column("inference_id") == [BIG, f"{BIG}#2"]
    assert found.column("features.a") == [1, 2]
    assert found.column("score") == [0.1, 0.9]
    assert found.rows[0]["time"] == at("2025-01-01T10:00:00.123456")
    assert (found.rows[0]["model_version"], found.rows[0]["endpoint"]) == ("456", "123")


def test_parquet_has_decimals_and_says_the_same_as_json(tmp_path: Path) -> None:
    write(tmp_path / "json/a.json", row())
    (tmp_path / "parquet").mkdir()
    kept = {**row(), "request_id": Decimal(BIG), "logging_time": None}
    table = pa.Table.from_pylist([kept]).drop(["logging_time"])
    times = pa.array([at("2025-01-01T10:00:00.123456")], pa.timestamp("us", "UTC"))
    pq.write_table(table.append_column("logging_time", times), tmp_path / "parquet/a.parquet")
    assert read(tmp_path / "json", "vertex").rows == read(tmp_path / "parquet", "vertex").rows


def test_an_id_that_lost_digits_as_a_float_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.json", json.dumps(row()).replace(f'"{BIG}"', BIG))
    assert read(tmp_path, "vertex").reasons == {"request_id is a number of too many digits: export it as text": 1}


def test_labels_join_by_an_id_inside_the_payload_where_the_settings_name_it(tmp_path: Path) -> None:
    write(tmp_path / "a.json", row())
    found = read(tmp_path, "vertex", columns={"inference_id": "order"})
    assert found.column("inference_id") == ["o1", "o2"]
    assert found.column("caller_id") == [BIG, BIG]


@pytest.mark.parametrize("payload", [["[1, 2]"], ["1"], ['{"predictions": [1]}']])
def test_responses_of_any_shape_are_read(tmp_path: Path, payload: list[str]) -> None:
    write(tmp_path / "a.json", row(request_payload=['{"a": 1}'], response_payload=payload))
    found = read(tmp_path, "vertex")
    assert found.reasons == {}
    assert found.column("prediction") == [[1, 2] if payload == ["[1, 2]"] else 1]


def test_publisher_models_have_tokens_model_and_latency(tmp_path: Path) -> None:
    answered = {
        "candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 7}, "modelVersion": "gemini-x",
    }  # fmt: skip
    write(
        tmp_path / "a.json",
        row(
            request_payload=[], response_payload=[], model="publishers/google/models/gemini-x", api_method="generateContent",
            full_request=json.dumps({"contents": [{"role": "user"}]}), full_response=json.dumps(answered),
            metadata=json.dumps({"request_latency": 210.5}),
        ),
    )  # fmt: skip
    (found,) = read(tmp_path, "vertex").rows
    assert (found["input_tokens"], found["output_tokens"], found["latency_ms"]) == (3, 7, 210.5)
    assert (found["prediction"], found["gen_ai.response.finish_reasons"]) == ("yes", "STOP")
    assert found["gen_ai.response.model"] == "gemini-x"


def platform(**values: Any) -> dict[str, Any]:
    return {
        "model": "m", "model_version": "v1", "time": "2025-01-01 10:00:00 UTC", "raw_data": '{"instances": [{"a": 1}]}',
        "raw_prediction": '{"predictions": [0]}', "groundtruth": None, **values,
    }  # fmt: skip


def test_the_older_platform_has_no_ids_and_its_ground_truth_joins_all_the_same(tmp_path: Path) -> None:
    rows = [platform(groundtruth="1"), platform(raw_data='{"instances": [{"a": 2}]}')]
    write(tmp_path / "a.json", *rows)
    found, labels = read(tmp_path, "vertex"), read_labels(tmp_path, "vertex")
    assert found.column("features.a") == [1, 2]
    assert found.column("model_version") == ["v1", "v1"]
    assert len(set(found.column("inference_id"))) == 2
    assert [(each["inference_id"], each["label"]) for each in labels.rows] == [(found.rows[0]["inference_id"], 1)]


def test_a_table_of_something_else_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"a": 1}, {"b": 2})
    assert list(read(tmp_path, "vertex").reasons) == ["no request_id: no table of request-response logging"]
