"""KServe's payload log: CloudEvents and objects of the blob store, on the real sample where there is one."""

import base64
import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrue.sources.formats.halves import Halves
from tests.sources.formats.reads import SAMPLES, at, copy_of, read, write
from tests.sources.logs import column, pull

TYPE = "org.kubeflow.serving.inference"
T0 = datetime(2025, 1, 1, 10, tzinfo=UTC)
COLUMNS = [
    "url", "bytes", "contentType", "reqType", "id", "sourceUri", "inferenceService", "namespace", "component",
    "endpoint", "metadata", "annotations", "certName", "tlsSkipVerify",
]  # fmt: skip


def event(side: str, key: str = "k", *, ms: int = 0, data: Any = None, **extensions: Any) -> dict[str, Any]:
    plain = {"request": {"instances": [[1, 2]]}, "response": {"predictions": [1]}}
    return {
        "specversion": "1.0",
        "type": f"{TYPE}.{side}",
        "source": "http://localhost:9081/",
        "id": key,
        "time": (T0 + timedelta(milliseconds=ms)).isoformat(),
        "inferenceservicename": "iris",
        "endpoint": "",
        "data": plain[side] if data is None else data,
        **extensions,
    }


def stored(side: str, key: str = "k", body: Any = None, *, occurred: datetime | None = None) -> dict[str, Any]:
    plain = {"request": {"instances": [[1, 2]]}, "response": {"predictions": [1]}}
    content = base64.b64encode(json.dumps(body or plain[side]).encode()).decode()
    return {
        "url": {"Scheme": "http", "Host": "sink"},
        "bytes": content,
        "contentType": "application/json",
        "reqType": f"{TYPE}.{side}",
        "id": key,
        "sourceUri": {"Scheme": "http", "Host": "localhost:9081"},
        "inferenceService": "iris",
        "namespace": "default",
        "component": "predictor",
        "endpoint": "canary",
        "metadata": {"X-Request-Id": ["1"]},
        "annotations": None,
        "certName": "",
        "tlsSkipVerify": False,
        **({"occurrenceTime": occurred.isoformat()} if occurred else {}),
    }


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples lie beside the repository")
def test_the_real_displayed_events_become_two_records(tmp_path: Path) -> None:
    found = read(copy_of(["kserve_cloudevents_basic_0.txt"], tmp_path), "kserve", names=["a", "b", "c", "d"])
    key = "0009174a-24a8-4603-b098-09c8799950e9"
    assert found.reasons == {}
    assert found.column("inference_id") == [key, f"{key}#2"]
    assert found.column("prediction") == [1, 1]
    assert found.features(1) == {"a": 6.0, "b": 3.4, "c": 4.5, "d": 1.6}
    assert found.rows[0]["time"] == at("2021-04-10T00:23:26.078952")
    assert found.rows[0]["latency_ms"] == pytest.approx(1.784)
    assert (found.rows[0]["endpoint"], found.rows[0]["trace_id"]) == (
        "sklearn-iris",
        "90bdf848647d50283394155d2df58f19",
    )


def test_halves_join_whatever_their_order_and_files(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", event("response", "x", ms=25), event("request", "y"))
    write(tmp_path / "c.jsonl", event("request", "x"), event("response", "y", ms=40))
    found = read(tmp_path, "kserve", names=["a", "b"])
    assert sorted(zip(found.column("inference_id"), found.column("latency_ms"), strict=True)) == [("x", 25), ("y", 40)]
    assert found.column("status") == ["ok", "ok"]


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
def test_records_are_the_same_in_whatever_order_and_files_the_halves_lie(tmp_path: Path, data: st.DataObject) -> None:
    keys = [f"k{number}" for number in range(6)]
    events = [event("request", key, ms=number) for number, key in enumerate(keys)]
    events += [event("response", key, ms=100 + number) for number, key in enumerate(keys[:-1])]
    events += data.draw(st.lists(st.sampled_from(events), max_size=4))
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(shuffled)))
    write(tmp_path / "a.jsonl", *shuffled[:cut])
    write(tmp_path / "b.jsonl", *shuffled[cut:])
    rows = sorted(read(tmp_path, "kserve").rows, key=lambda row: row["inference_id"])
    assert [(row["inference_id"], row["status"], row.get("latency_ms")) for row in rows] == [
        *((key, "ok", 100.0) for key in keys[:-1]),
        (keys[-1], "error", None),
    ]


def test_a_request_without_its_response_is_an_error_and_says_that_it_may_be_a_loss(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", event("request", "x"), event("request", "y"), event("response", "y", ms=5))
    found = read(tmp_path, "kserve")
    alone = found.rows[-1]
    assert (alone["inference_id"], alone["status"], alone["error_type"]) == ("x", "error", "NoResponse")
    assert "lost" in alone["error_message"]
    assert alone["features.f1"] == 2
    assert "latency_ms" not in alone


@pytest.mark.parametrize("torn", ["request", "response"])
@pytest.mark.parametrize("first", ["request", "response"])
def test_a_half_that_cannot_be_read_is_one_thing_set_aside_and_no_failure(
    tmp_path: Path, torn: str, first: str
) -> None:
    sides = [first, "response" if first == "request" else "request"]
    broken = {"data_base64": base64.b64encode(b"\xff\xd8").decode()}
    write(tmp_path / "a.jsonl", *[event(side, **(broken if side == torn else {})) for side in sides])
    found = read(tmp_path, "kserve")
    assert found.rows == []
    assert found.reasons == {"the payload is not text: image, audio or packed": 1}
    write(
        tmp_path / "a.jsonl",
        *[{**stored(side, occurred=T0), **({"bytes": "/9g="} if side == torn else {})} for side in sides],
    )
    found = read(tmp_path, "kserve")
    assert (found.rows, sum(found.reasons.values())) == ([], 1)


def test_a_response_without_its_request_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", event("response", "x"), event("request", "y"), event("response", "y"))
    found = read(tmp_path, "kserve")
    assert found.column("inference_id") == ["y"]
    assert found.reasons == {"a response without its request": 1}


def test_halves_on_both_sides_of_a_windows_end_make_one_record_of_the_requests_window(tmp_path: Path) -> None:
    last = int(timedelta(hours=14).total_seconds() * 1000)
    write(tmp_path / "logs/a.jsonl", event("request", "x", ms=last - 5), event("response", "x", ms=last + 5))
    blocks = {"logs": {"uri": "logs", "format": "kserve"}, "labels": None}
    with pull(tmp_path, blocks=blocks) as pulled:
        assert column(pulled, "latency_ms") == [10.0]
        assert pulled.report.set_aside == ()
    after = read(tmp_path / "logs", "kserve", start=T0 + timedelta(hours=14), end=T0 + timedelta(hours=38))
    assert (after.rows, after.reasons) == ([], {})


def test_events_delivered_twice_are_one_record(tmp_path: Path) -> None:
    asked, answered = event("request"), event("response", ms=9)
    write(tmp_path / "a.jsonl", asked, asked, answered, asked, answered)
    found = read(tmp_path, "kserve")
    assert found.column("inference_id") == ["k"]
    assert (found.column("status"), found.reasons) == (["ok"], {})


@pytest.mark.parametrize("memory_bytes", [0, 2_000, 10**9])
def test_waiting_halves_spill_to_disk_and_pair_all_the_same(memory_bytes: int) -> None:
    halves = Halves(memory_bytes)
    assert all(halves.match(f"k{number}", "request", {"n": number}) is None for number in range(100))
    assert len(halves._waiting) <= memory_bytes // 200
    assert [halves.match(f"k{number}", "response", {}) for number in range(0, 100, 2)] == [
        {"n": number} for number in range(0, 100, 2)
    ]
    assert halves.match("k0", "request", {"n": 0}) is None, "both have come already"
    assert len(list(halves.rest())) == 50


def test_several_rows_explode_and_other_numbers_of_answers_are_set_aside(tmp_path: Path) -> None:
    rows, answers = {"instances": [[1], [2], [3]]}, {"predictions": [0, 1, 0]}
    write(tmp_path / "a.jsonl", event("request", data=rows), event("response", data=answers))
    assert read(tmp_path, "kserve").column("inference_id") == ["k", "k#2", "k#3"]
    write(tmp_path / "a.jsonl", event("request", data=rows), event("response", data={"predictions": [0]}))
    assert read(tmp_path, "kserve").reasons == {"the request and the response have different numbers of rows": 1}


def test_tensors_of_the_v2_protocol_are_rows(tmp_path: Path) -> None:
    asked = {
        "inputs": [
            {"name": "age", "shape": [2], "datatype": "INT32", "data": [41, 29]},
            {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[0.1, 0.2], [0.3, 0.4]]},
        ]
    }
    answered = {"outputs": [{"name": "proba", "shape": [2, 1], "datatype": "FP32", "data": [0.9, 0.2]}]}
    write(tmp_path / "a.jsonl", event("request", data=asked), event("response", data=answered))
    found = read(tmp_path, "kserve")
    assert [found.features(0), found.features(1)] == [
        {"age": 41, "x_0": 0.1, "x_1": 0.2},
        {"age": 29, "x_0": 0.3, "x_1": 0.4},
    ]
    assert found.column("prediction") == [0.9, 0.2]


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        ({"name": "x", "shape": [2, 3], "data": [1, 2]}, "the shape of a tensor does not fit its data"),
        ({"name": "x", "shape": [2]}, "a tensor has its data in binary, which was not logged"),
    ],
)
def test_tensors_that_cannot_be_read_are_set_aside(tmp_path: Path, tensor: dict[str, Any], reason: str) -> None:
    write(tmp_path / "a.jsonl", event("request", data={"inputs": [tensor]}))
    assert read(tmp_path, "kserve").reasons == {reason: 1}


def test_binary_mode_is_read_from_headers_and_body(tmp_path: Path) -> None:
    def kept(side: str, body: str) -> dict[str, Any]:
        named = {"Ce-Id": "k", "Ce-Type": f"{TYPE}.{side}", "Ce-Time": "2025-01-01T10:00:00Z", "Ce-Specversion": "1.0"}
        more = {"Ce-Inferenceservicename": "iris", "Ce-Endpoint": "canary", "Content-Type": "application/json"}
        return {"headers": named | more, "body": body}

    write(tmp_path / "a.jsonl", kept("request", '{"instances": [[5]]}'), kept("response", '{"predictions": [2]}'))
    (row,) = read(tmp_path, "kserve").rows
    assert (row["endpoint"], row["features.f0"], row["prediction"]) == ("iris/canary", 5, 2)


@pytest.mark.parametrize(("endpoint", "shown"), [("", "iris"), ("default", "iris"), ("canary", "iris/canary")])
def test_an_empty_endpoint_is_the_default_one(tmp_path: Path, endpoint: str, shown: str) -> None:
    write(tmp_path / "a.jsonl", event("request", endpoint=endpoint), event("response", endpoint=endpoint))
    assert read(tmp_path, "kserve").column("endpoint") == [shown]


def test_responses_other_than_200_are_failures_once_they_are_logged(tmp_path: Path) -> None:
    error = {"error": "ValueError : boom"}
    write(tmp_path / "a.jsonl", event("request"), event("response", ms=3, data=error, statuscode="500"))
    (row,) = read(tmp_path, "kserve").rows
    assert (row["status"], row["error_type"], row["error_message"]) == ("error", "HTTP 500", "ValueError : boom")
    assert row["latency_ms"] == 3


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_log_of_one_side_alone_is_read_when_the_settings_say_so(tmp_path: Path, side: str) -> None:
    write(tmp_path / "a.jsonl", event(side))
    (row,) = read(tmp_path, "kserve", sides=side).rows
    assert ("prediction" in row, "features.f0" in row) == (side == "response", side == "request")
    assert row.get("status") == ("ok" if side == "response" else None)


# ---------------------------------------------------------------- blob store


def test_a_json_object_is_one_record_and_an_array_a_batch(tmp_path: Path) -> None:
    write(tmp_path / "p/ns/iris/predictor/x-request.json", json.dumps(stored("request", "x", occurred=T0)).encode())
    batch = [stored("request", "y", occurred=T0), stored("request", "z", occurred=T0)]
    write(tmp_path / "p/ns/iris/predictor/y-request.json", json.dumps(batch).encode())
    later = T0 + timedelta(milliseconds=7)
    answers = [stored("response", key, occurred=later) for key in "xyz"]
    write(tmp_path / "p/ns/iris/predictor/x-response.json", json.dumps(answers, indent=1).encode())
    found = read(tmp_path, "kserve")
    assert found.reasons == {}
    assert sorted(found.column("inference_id")) == ["x", "y", "z"]
    assert found.column("latency_ms") == [7.0] * 3
    assert set(found.column("endpoint")) == {"iris/canary"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_csv_and_parquet_take_the_time_of_their_object_and_have_no_latency(tmp_path: Path, ending: str) -> None:
    written = T0 + timedelta(minutes=5)
    for side in ("request", "response"):
        row = {**stored(side), "url": "http://sink", "sourceUri": "", "metadata": "{}", "annotations": ""}
        path = tmp_path / f"x-{side}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist([row]), path)
        else:
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS)
            writer.writeheader()
            writer.writerow({**row, "tlsSkipVerify": "false"})
            write(path, text.getvalue().encode())
        os.utime(path, (written.timestamp(), written.timestamp()))
    (row,) = read(tmp_path, "kserve").rows
    assert row["time"] == at("2025-01-01T10:05:00")
    assert (row["prediction"], row["features.f0"]) == (1, 1)
    assert "latency_ms" not in row


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"type": "com.example.other", "id": "1", "time": "2025-01-01T00:00:00Z"}, "a CloudEvent of another type"),
        ({"a": 1}, "no CloudEvent: it has no id or no type"),
        (
            {"type": f"{TYPE}.request", "id": "", "time": "2025-01-01T00:00:00Z"},
            "no id that request and response share",
        ),
        ({"type": f"{TYPE}.request", "id": "1"}, "no time"),
        ({"type": f"{TYPE}.request", "id": "1", "time": "2025-01-01T00:00:00"}, "the time has no zone: set timezone"),
    ],
)
def test_an_event_that_cannot_be_read_is_set_aside_with_its_reason(
    tmp_path: Path, value: dict[str, Any], reason: str
) -> None:
    write(tmp_path / "a.jsonl", value)
    assert read(tmp_path, "kserve").reasons == {reason: 1}
