"""Databricks inference tables of three schemas, as Parquet, JSON and CSV exports."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrue.errors import SourceError
from tests.sources.formats.reads import SAMPLES, at, read, write
from tests.sources.logs import column, pull

T0 = datetime(2025, 1, 1, 10, tzinfo=UTC)
MS = int(T0.timestamp() * 1000)
ASKED = json.dumps({"dataframe_records": [{"a": 1, "b": "x"}]})
ANSWERED = json.dumps({"predictions": [0.7], "databricks_output": {"trace": None, "databricks_request_id": "d"}})


def legacy(**values: Any) -> dict[str, Any]:
    return {
        "client_request_id": "mine", "databricks_request_id": "d", "date": "2025-01-01", "timestamp_ms": MS,
        "status_code": 200, "execution_time_ms": 12, "request": ASKED, "response": ANSWERED, "sampling_fraction": 1.0,
        "request_metadata": {"model_name": "m", "model_version": "3", "endpoint_name": "e"}, **values,
    }  # fmt: skip


def gateway(**values: Any) -> dict[str, Any]:
    return {
        "databricks_request_id": "d", "request_date": "2025-01-01", "client_request_id": None, "request_time": T0.isoformat(),
        "status_code": 200, "sampling_fraction": 0.5, "execution_duration_ms": 34, "request": ASKED,
        "response": ANSWERED, "logging_error_codes": [], "served_entity_id": "e1", "requester": "u", **values,
    }  # fmt: skip


def unity(**values: Any) -> dict[str, Any]:
    return {
        "event_time": T0.isoformat(), "invocation_id": "i", "status_code": 200, "latency_ms": 56, "request": ASKED,
        "response": ANSWERED, "logging_error_codes": None, **values,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            legacy(),
            {"inference_id": "d", "latency_ms": 12, "sample_weight": 1, "caller_id": "mine", "model_version": "3"},
        ),
        (gateway(), {"inference_id": "d", "latency_ms": 34, "sample_weight": 2, "endpoint": "e1"}),
        (unity(), {"inference_id": "i", "latency_ms": 56}),
    ],
    ids=["legacy", "gateway", "unity"],
)
def test_each_schema_is_known_by_its_columns(tmp_path: Path, row: dict[str, Any], expected: dict[str, Any]) -> None:
    write(tmp_path / "a.jsonl", row)
    (found,) = read(tmp_path, "databricks").rows
    assert {name: found.get(name) for name in expected} == expected
    assert (found["time"], found["status"], found["prediction"]) == (at("2025-01-01T10:00:00"), "ok", 0.7)
    assert (found["features.a"], found["features.b"]) == (1, "x")


def test_parquet_json_and_csv_exports_say_the_same(tmp_path: Path) -> None:
    row = legacy()
    write(tmp_path / "json/a.json", json.dumps([row], indent=1).encode())
    (tmp_path / "parquet").mkdir()
    maps = pa.array([list(row["request_metadata"].items())], pa.map_(pa.string(), pa.string()))
    others = pa.Table.from_pylist([{name: value for name, value in row.items() if name != "request_metadata"}])
    pq.write_table(others.append_column("request_metadata", maps), tmp_path / "parquet/a.parquet")
    text = io.StringIO()
    writer = csv.DictWriter(text, row)
    writer.writeheader()
    writer.writerow({**row, "request_metadata": json.dumps(row["request_metadata"])})
    write(tmp_path / "csv/a.csv", text.getvalue().encode())
    as_json, as_parquet, as_csv = (read(tmp_path / each, "databricks").rows for each in ("json", "parquet", "csv"))
    assert as_json == as_parquet == as_csv
    assert len(as_json) == 1


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples lie beside the repository")
def test_the_real_shapes_of_mlflows_requests_become_rows(tmp_path: Path) -> None:
    shapes = json.loads((SAMPLES / "mlflow_invocations_shapes.json").read_text())
    write(
        tmp_path / "a.jsonl",
        *[
            legacy(request=json.dumps(each), response=None, databricks_request_id=str(number))
            for number, each in enumerate(shapes)
        ],
    )
    found = read(tmp_path, "databricks")
    assert found.reasons == {}
    by_event = {
        key: [found.features(n) for n, row in enumerate(found.rows) if row["inference_id"].split("#")[0] == key]
        for key in "0123"
    }
    assert by_event["0"] == by_event["1"] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]
    assert by_event["2"] == [{"f0": 1, "f1": 2}, {"f0": 3, "f1": 4}, {"f0": 5, "f1": 6}]
    assert by_event["3"] == [{"x": 1.0}, {"x": 2.0}]


def test_one_call_of_many_rows_explodes(tmp_path: Path) -> None:
    asked = {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}
    write(tmp_path / "a.jsonl", legacy(request=json.dumps(asked), response=json.dumps({"predictions": [0, 1]})))
    found = read(tmp_path, "databricks")
    assert found.column("inference_id") == ["d", "d#2"]
    assert found.column("prediction") == [0, 1]


def test_an_oversize_payload_is_null_and_its_code_is_told(tmp_path: Path) -> None:
    codes = ["MAX_REQUEST_SIZE_EXCEEDED"]
    write(tmp_path / "a.jsonl", gateway(request=None, response=None, logging_error_codes=codes))
    found = read(tmp_path, "databricks")
    assert (found.rows[0]["latency_ms"], found.features()) == (34, {})
    assert found.notes == {"payload not logged whole: MAX_REQUEST_SIZE_EXCEEDED": 1}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (200, "ok", None), (400, "rejected", "BAD_REQUEST"), (401, "rejected", "HTTP 401"), (403, "rejected", "HTTP 403"),
        (429, "rejected", "HTTP 429"), (408, "timeout", "HTTP 408"), (504, "timeout", "HTTP 504"), (500, "error", "HTTP 500"),
    ],
)  # fmt: skip
def test_codes_of_http_are_statuses(tmp_path: Path, code: int, status: str, kind: str | None) -> None:
    body = {"error_code": "BAD_REQUEST", "message": "bad"} if code == 400 else {"message": "bad"}
    write(
        tmp_path / "a.jsonl",
        legacy(status_code=code, response=json.dumps(body if code != 200 else {"predictions": [1]})),
    )
    (row,) = read(tmp_path, "databricks").rows
    assert (row["status"], row.get("error_type")) == (status, kind)
    assert row.get("error_message") == (None if code == 200 else "bad")
    assert ("prediction" in row) == (code == 200)


@pytest.mark.parametrize(("fraction", "weight"), [(0.25, 4.0), (1, 1.0), (None, None)])
def test_the_sampling_fraction_becomes_a_weight(tmp_path: Path, fraction: float | None, weight: float | None) -> None:
    write(tmp_path / "a.jsonl", gateway(sampling_fraction=fraction))
    assert read(tmp_path, "databricks").column("sample_weight") == [weight]


@pytest.mark.parametrize("fraction", [0, -1, 1.5, float("nan")])
def test_a_fraction_that_is_none_is_set_aside(tmp_path: Path, fraction: float) -> None:
    write(tmp_path / "a.jsonl", gateway(sampling_fraction=fraction))
    assert read(tmp_path, "databricks").reasons == {"sampling_fraction is no share above 0": 1}


def test_a_chat_carries_model_tokens_and_finish_reason_on_its_first_row_only(tmp_path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "model": "m"}
    answered = {
        "model": "llama-1", "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5},
    }  # fmt: skip
    write(tmp_path / "a.jsonl", gateway(request=json.dumps(asked), response=json.dumps(answered)))
    (row,) = read(tmp_path, "databricks").rows
    assert (row["input_tokens"], row["output_tokens"], row["prediction"]) == (3, 5, "yes")
    assert (row["gen_ai.response.model"], row["gen_ai.response.finish_reasons"]) == ("llama-1", "stop")
    assert row["features.max_tokens"] == 9


def test_the_id_may_be_a_column_of_the_request(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", legacy(request=json.dumps({"dataframe_records": [{"order": 77, "a": 1}]})))
    (row,) = read(tmp_path, "databricks", columns={"inference_id": "order"}).rows
    assert (row["inference_id"], row["caller_id"]) == ("77", "d")


def test_days_and_row_groups_outside_the_window_are_not_read(tmp_path: Path) -> None:
    for day in ("2024-12-29", "2024-12-31", "2025-01-01", "2025-01-04"):
        write(
            tmp_path / f"logs/request_date={day}/a.jsonl",
            gateway(request_time=f"{day}T10:00:00Z", databricks_request_id=day),
        )
    blocks = {"logs": {"uri": "logs", "format": "databricks"}, "labels": None}
    with pull(tmp_path, blocks=blocks) as pulled:
        assert column(pulled, "inference_id") == ["2025-01-01"]
        assert (pulled.report.files_read, pulled.report.files_skipped) == (2, 2)
    table = pa.Table.from_pylist(
        [
            legacy(databricks_request_id=str(n), timestamp_ms=MS + n * 3_600_000, request="{" if n else ASKED)
            for n in (0, 100)
        ]
    )
    (tmp_path / "groups").mkdir()
    pq.write_table(table.drop(["request_metadata"]), tmp_path / "groups/a.parquet", row_group_size=1)
    found = read(tmp_path / "groups", "databricks", start=T0, end=datetime(2025, 1, 2, tzinfo=UTC))
    assert (found.column("inference_id"), found.reasons) == (["0"], {})


def test_a_row_of_no_schema_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"databricks_request_id": "d", "request": "{}"})
    assert read(tmp_path, "databricks").reasons == {"no column of time: timestamp_ms, request_time or event_time": 1}


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_the_folder_of_a_delta_table_is_refused_since_it_holds_what_was_deleted(tmp_path: Path, where: str) -> None:
    write(tmp_path / "logs/part-0.json", gateway())
    write(tmp_path / "logs/_delta_log/00000000000000000000.json", {"commitInfo": {}})
    uri = "logs"
    if where == "elsewhere":
        store, uri = fsspec.filesystem("memory"), "memory://delta"
        for name in ("part-0.json", "_delta_log/00000000000000000000.json"):
            store.pipe_file(f"/delta/{name}", (tmp_path / "logs" / name).read_bytes())
    blocks = {"logs": {"uri": uri, "format": "databricks"}, "labels": None}
    with pytest.raises(SourceError, match="export the table"), pull(tmp_path, blocks=blocks):
        pass
