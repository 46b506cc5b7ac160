"""Seldon Core 1: CloudEvents, Kafka messages, Elasticsearch documents and feedback."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.formats.reads import at, read, read_labels, write

TYPE = "io.seldon.serving.inference"
ASKED = {"meta": {}, "data": {"names": ["a", "b"], "ndarray": [[1, "x"]]}}
ANSWERED = {"meta": {}, "data": {"names": ["proba"], "ndarray": [[0.195]]}}


def event(kind: str, data: Any, *, request: str = "r", own: str = "e", second: int = 0) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": own,
        "type": kind,
        "source": "http://executor/",
        "time": f"2025-01-01T10:00:{second:02d}Z",
        "requestid": request,
        "inferenceservicename": "income",
        "endpoint": "default",
        "data": data,
    }


def test_halves_pair_by_requestid_and_not_by_the_events_id(tmp_path: Path) -> None:
    asked = event(f"{TYPE}.request", ASKED, own="e1")
    answered = event(f"{TYPE}.response", ANSWERED, own="e2", second=2)
    write(tmp_path / "a.jsonl", asked, answered)
    (row,) = read(tmp_path, "seldon", columns={"score": "proba"}).rows
    assert (row["inference_id"], row["score"], row["latency_ms"]) == ("r", 0.195, 2000)
    assert (row["features.a"], row["features.b"], row["endpoint"]) == (1, "x", "income")


@pytest.mark.parametrize(
    ("message", "features"),
    [
        ({"data": {"names": ["a", "b"], "tensor": {"shape": [1, 2], "values": [3, 4]}}}, {"a": 3, "b": 4}),
        ({"inputs": [{"name": "a", "shape": [1, 1], "datatype": "INT64", "data": [3]}]}, {"a": 3}),
        ({"jsonData": {"a": 3, "b": "y"}}, {"a": 3, "b": "y"}),
        ({"strData": "hello"}, {"f0": "hello"}),
        ({"instances": [[3]]}, {"f0": 3}),
    ],
)
def test_every_kind_of_message_is_read(tmp_path: Path, message: Any, features: Any) -> None:
    write(tmp_path / "a.jsonl", event(f"{TYPE}.request", message), event(f"{TYPE}.response", {"strData": "yes"}))
    found = read(tmp_path, "seldon")
    assert found.features() == features
    assert found.column("prediction") == ["yes"]


def test_binary_data_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", event(f"{TYPE}.request", {"binData": "AAAA"}))
    assert read(tmp_path, "seldon").reasons == {"the payload is in binary": 1}


HEADERS = {"requestid": "r", "inferenceservicename": "income", "endpoint": "canary", "content-type": "application/json"}


@pytest.mark.parametrize("shape", ["mapping", "list", "flat"])
def test_kafka_messages_have_bare_headers_and_their_time_from_kafka(tmp_path: Path, shape: str) -> None:
    def message(side: str, content: Any, stamp: int) -> dict[str, Any]:
        named = {"type": f"{TYPE}.{side}", **HEADERS}
        flat = [part for pair in named.items() for part in pair]
        shapes = {"mapping": named, "list": [{"key": k, "value": v} for k, v in named.items()], "flat": flat}
        stamped = {"ts": stamp} if shape == "flat" else {"timestamp": stamp}
        body = {"payload": json.dumps(content)} if shape == "flat" else {"value": json.dumps(content)}
        return {"topic": "log", "headers": shapes[shape], **stamped, **body}

    stamp = at("2025-01-01T10:00:00") // 1000
    write(tmp_path / "a.jsonl", message("request", ASKED, stamp), message("response", ANSWERED, stamp + 12))
    (row,) = read(tmp_path, "seldon").rows
    assert (row["inference_id"], row["prediction"], row["latency_ms"]) == ("r", 0.195, 12)
    assert (row["endpoint"], row["time"]) == ("income/canary", at("2025-01-01T10:00:00"))


def document(identity: str = "r", request: str = "r", **parts: Any) -> dict[str, Any]:
    asked = {"instance": [1, "x"], "names": ["a", "b"], "dataType": "tabular", "ce-time": "2025-01-01T10:00:00Z"}
    answered = {"instance": [0.2], "names": ["proba"], "ce-time": "2025-01-01T10:00:00.030Z"}
    source = {"RequestId": request, "Ce-Inferenceservicename": "income", "Ce-Endpoint": "canary", "request": asked}
    return {
        "_index": "inference-log-seldon-ns-income",
        "_id": identity,
        "_source": {**source, "response": answered, **parts},
    }


def test_a_document_of_elasticsearch_is_an_inference_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", document())
    (row,) = read(tmp_path, "seldon").rows
    assert (row["features.a"], row["features.b"], row["prediction"]) == (1, "x", 0.2)
    assert (row["latency_ms"], row["endpoint"], row["status"]) == (30, "income/canary", "ok")


def test_batch_documents_have_the_ids_of_rows(tmp_path: Path) -> None:
    answer = {"hits": {"hits": [document(f"r-item-{number}") for number in range(3)]}}
    write(tmp_path / "a.json", json.dumps(answer, indent=1).encode())
    assert read(tmp_path, "seldon").column("inference_id") == ["r", "r#2", "r#3"]


def test_documents_without_times_of_their_halves_have_no_latency(tmp_path: Path) -> None:
    parts = {"@timestamp": "2025-01-01T10:00:00+00:00", "request": {"instance": [1]}, "response": {"instance": 2}}
    write(tmp_path / "a.jsonl", document(**parts))
    (row,) = read(tmp_path, "seldon").rows
    assert (row["prediction"], row.get("latency_ms")) == (2, None)


def test_feedback_carries_delayed_labels_that_join_by_request(tmp_path: Path) -> None:
    feedback = "io.seldon.serving.feedback"
    truth = {"data": {"ndarray": [[1], [0]]}}
    write(
        tmp_path / "a.jsonl",
        event(f"{TYPE}.request", ASKED),
        event(feedback, {"request": ASKED, "truth": truth, "reward": 1.0}, second=30),
        event(feedback, {"response": {"meta": {"puid": "mine"}}, "truth": {"strData": "yes"}}),
        event(feedback, {"reward": 0.5}, request="q"),
    )
    found = read_labels(tmp_path, "seldon")
    assert [(row["inference_id"], row["label"]) for row in found.rows] == [("r", 1), ("r#2", 0), ("mine", "yes")]
    assert found.rows[0]["labelled_at"] == at("2025-01-01T10:00:30")
    assert sum(found.notes.values()) == 1, "a reward alone is no label, and that is told"
