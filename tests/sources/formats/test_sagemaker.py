"""SageMaker's captures, ground truth and batch manifests: every trap, on the real samples where there are some."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sources.formats.reads import SAMPLES, at, copy_of, read, read_labels, write
from tests.sources.logs import column, pull

real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples lie beside the repository")
NAMES = [f"c{number}" for number in range(69)]
HOUR = "churn/AllTraffic/2025/01/01/10"


def side(data: str, encoding: str = "CSV", content_type: str = "text/csv") -> dict[str, Any]:
    return {"observedContentType": content_type, "mode": "INPUT", "data": data, "encoding": encoding}


def capture(
    event: str = "e1",
    asked: dict[str, Any] | None = None,
    answered: dict[str, Any] | None = None,
    *,
    time: str = "2025-01-01T10:30:00Z",
    **about: str,
) -> dict[str, Any]:
    sides = {name: each for name, each in (("endpointInput", asked), ("endpointOutput", answered)) if each}
    return {
        "captureData": sides,
        "eventMetadata": {"eventId": event, "inferenceTime": time, **about},
        "eventVersion": "0",
    }


def truth(event: str, data: str = "1", encoding: str = "CSV") -> dict[str, Any]:
    return {
        "groundTruthData": {"data": data, "encoding": encoding},
        "eventMetadata": {"eventId": event},
        "eventVersion": "0",
    }


@real
def test_the_real_captures_are_read_whole(tmp_path: Path) -> None:
    found = read(copy_of(["sagemaker_datacapture.jsonl"], tmp_path), "sagemaker", names=NAMES, outputs=["score"])
    assert found.reasons == {}
    assert found.column("inference_id")[0] == "f04a8538-696c-4648-8064-8b680b2e3318"
    assert found.column("time") == [at(f"2022-04-18T00:21:{second}") for second in (48, 49, 50)]
    assert found.column("score") == [0.036397725343704224, 0.3791300654411316, 0.017852725461125374]
    assert (len(found.features()), found.features()["c0"], found.features()["c2"]) == (69, 132, 182.9)


@real
def test_the_real_captures_of_the_guide_repeat_one_event_and_end_in_a_newline(tmp_path: Path) -> None:
    folder = copy_of(["sagemaker_datacapture_awsdocs.jsonl"], tmp_path / "logs")
    found = read(folder, "sagemaker")
    assert len(found.rows) == 3
    assert set(found.column("inference_id")) == {"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}
    assert found.features()["f0"] == 69


def test_columns_have_the_configured_names_and_else_numbers(tmp_path: Path) -> None:
    write(tmp_path / f"{HOUR}/a.jsonl", capture(asked=side("1,2\n"), answered=side("0.5")))
    assert read(tmp_path, "sagemaker", names=["a", "b"]).features() == {"a": 1, "b": 2}
    assert read(tmp_path, "sagemaker").features() == {"f0": 1, "f1": 2}
    refused = read(tmp_path, "sagemaker", names=["a", "b", "c"])
    assert refused.reasons == {"the row has more or fewer values than there are names": 1}


def test_each_side_has_an_encoding_of_its_own(tmp_path: Path) -> None:
    packed = base64.b64encode(b'{"predictions": [{"score": 0.25, "predicted_label": 0}]}').decode()
    write(
        tmp_path / f"{HOUR}/a.jsonl",
        capture("csv", side("1,x"), side(packed, "BASE64", "application/json")),
        capture("json", side('{"instances": [{"a": 7}]}', "JSON", "application/json"), side("0.5")),
        capture("packed", side(base64.b64encode(b"1,y\n").decode(), "BASE64", "text/csv"), side("0.5")),
        capture("unsaid", side(base64.b64encode(b"1,z").decode(), "BASE64", "application/octet-stream"), side("0.5")),
    )
    found = read(tmp_path, "sagemaker")
    assert found.reasons == {}
    assert [found.features(number) for number in range(4)] == [
        {"f0": 1, "f1": "x"},
        {"a": 7},
        {"f0": 1, "f1": "y"},
        {"f0": 1, "f1": "z"},
    ]
    assert (found.rows[0]["prediction"], found.rows[0]["score"]) == (0, 0.25)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (base64.b64encode(b"\x89PNG\r\n\xff").decode(), "the payload is not text: image, audio or packed"),
        ("not base64!", "the payload is not base64"),
    ],
)
def test_a_payload_that_is_no_text_is_set_aside(tmp_path: Path, data: str, reason: str) -> None:
    write(tmp_path / f"{HOUR}/a.jsonl", capture(asked=side(data, "BASE64", "image/png"), answered=side("1")))
    assert read(tmp_path, "sagemaker").reasons == {reason: 1}


def test_an_event_of_many_rows_explodes_and_its_first_row_keeps_the_id(tmp_path: Path) -> None:
    write(tmp_path / f"{HOUR}/a.jsonl", capture("e", side("1,2\n3,4\n5,6\n"), side("0.1\n0.2\n0.3\n")))
    found = read(tmp_path, "sagemaker", outputs=["score"])
    assert found.column("inference_id") == ["e", "e#2", "e#3"]
    assert found.column("features.f1") == [2, 4, 6]
    assert found.column("score") == [0.1, 0.2, 0.3]


def test_sides_of_different_length_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path / f"{HOUR}/a.jsonl", capture("e", side("1\n3\n"), side("0.1\n0.2\n0.3\n")))
    assert read(tmp_path, "sagemaker").reasons == {"the request and the response have different numbers of rows": 1}


def test_either_side_may_be_absent(tmp_path: Path) -> None:
    write(tmp_path / f"{HOUR}/a.jsonl", capture("i", asked=side("1")), capture("o", answered=side("0.5")))
    found = read(tmp_path, "sagemaker")
    assert found.rows[0]["features.f0"] == 1
    assert "prediction" not in found.rows[0]
    assert found.rows[0].get("status") is None, "nothing says whether it was answered"
    assert found.rows[1]["prediction"] == 0.5
    assert found.rows[1]["status"] == "ok"


def test_the_callers_id_wins_and_endpoint_and_variant_come_from_the_path(tmp_path: Path) -> None:
    write(tmp_path / f"bucket/{HOUR}/a.jsonl", capture("e", side("1"), side("1"), inferenceId="mine"))
    (row,) = read(tmp_path, "sagemaker", model_version="7").rows
    assert (row["inference_id"], row["caller_id"]) == ("mine", "mine")
    assert (row["endpoint"], row["model_version"]) == ("churn/AllTraffic", "7")


def test_ground_truth_joins_by_either_id_in_the_engine(tmp_path: Path) -> None:
    events = [
        capture("e1", side("1"), side("0.5"), inferenceId="mine", time="2025-01-01T10:00:00Z"),
        capture("e2", side("1\n2"), side("0.5\n0.6"), time="2025-01-01T11:00:00Z"),
    ]
    write(tmp_path / "logs/x/y/2025/01/01/10/a.jsonl", events[0])
    write(tmp_path / "logs/x/y/2025/01/01/11/a.jsonl", events[1])
    write(tmp_path / "labels/2025/01/09/00/a.jsonl", truth("mine"), truth("e2", "0\n1\n"))
    blocks = {
        "logs": {"uri": "logs", "format": "sagemaker", "outputs": ["score"]},
        "labels": {"uri": "labels", "format": "sagemaker", "horizon": "30d"},
    }
    with pull(tmp_path, blocks=blocks) as pulled:
        assert column(pulled, "inference_id") == ["e2", "e2#2", "mine"]
        assert column(pulled, "label") == [0, 1, 1]
        assert column(pulled, "score") == [0.5, 0.6, 0.5]


def test_ground_truth_counts_from_the_end_of_the_hour_it_was_collected_in(tmp_path: Path) -> None:
    write(tmp_path / "2025/01/09/07/a.jsonl", truth("e"))
    (label,) = read_labels(tmp_path, "sagemaker").rows
    assert label["labelled_at"] == at("2025-01-09T07:59:59.999999")
    write(tmp_path / "elsewhere.jsonl", truth("f"))
    assert (
        abs(
            read_labels(tmp_path, "sagemaker").rows[-1]["labelled_at"] / 1e6
            - (tmp_path / "elsewhere.jsonl").stat().st_mtime
        )
        < 1
    )


@pytest.mark.parametrize("data", ["1,0", "[1, 2]"])
def test_a_label_of_more_than_one_value_is_set_aside(tmp_path: Path, data: str) -> None:
    encoding = "JSON" if data.startswith("[") else "CSV"
    write(tmp_path / "a.jsonl", truth("e", json.dumps([json.loads(data)]) if encoding == "JSON" else data, encoding))
    assert read_labels(tmp_path, "sagemaker").reasons == {"a label of more than one value": 1}


def test_folders_of_other_hours_are_not_opened(tmp_path: Path) -> None:
    day = datetime(2025, 1, 1, tzinfo=UTC)
    for hour in ("2024/12/31/21", "2024/12/31/23", "2025/01/01/05", "2025/01/02/00", "2025/01/02/02"):
        write(tmp_path / f"logs/churn/v/{hour}/a.jsonl", b"{broken\n")
    write(tmp_path / "logs/churn/v/2025/01/01/10/a.jsonl", capture(asked=side("1")))
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert (pulled.report.files_read, pulled.report.files_skipped) == (4, 2)
        assert pulled.report.rows == 1
    assert day.year == 2025


def test_an_event_in_a_late_folder_still_counts_in_its_own_hour(tmp_path: Path) -> None:
    write(tmp_path / "logs/churn/v/2025/01/02/00/a.jsonl", capture("late", side("1"), time="2025-01-01T23:59:59Z"))
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert column(pulled, "inference_id") == ["late"]


# ---------------------------------------------------------------- batch


def manifest(*names: str) -> bytes:
    return json.dumps([{"prefix": "s3://bucket/data/"}, *names]).encode()


UUIDS = ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"]
STARTED = "2025-01-01T10:00:00Z"


def test_a_manifest_is_no_row_and_the_rows_it_lists_are_read_beside_their_inputs(tmp_path: Path) -> None:
    write(tmp_path / "input/2025/01/01/10/m1", manifest("a.csv"))
    write(tmp_path / "output/2025/01/01/10/m2", manifest("a.csv.out"))
    write(tmp_path / "data/a.csv", b"1,x\n2,y\n")
    write(tmp_path / "data/a.csv.out", f"0.1,{UUIDS[0]},{STARTED}\n0.2,{UUIDS[1]},{STARTED}\n".encode())
    found = read(tmp_path, "sagemaker", outputs=["score"], names=["n", "t"])
    assert found.reasons == {}
    assert found.column("inference_id") == UUIDS
    assert set(found.column("time")) == {at(STARTED)}
    assert found.column("score") == [0.1, 0.2]
    assert found.column("features.t") == ["x", "y"]


def test_rows_without_generated_ids_have_file_and_row_and_the_hour_of_the_manifest(tmp_path: Path) -> None:
    write(tmp_path / "output/2025/01/01/10/m", manifest("a.csv.out"))
    write(tmp_path / "a.csv.out", b"0.1\n0.2\n")
    found = read(tmp_path, "sagemaker")
    assert found.column("inference_id") == ["a.csv.out#1", "a.csv.out#2"]
    assert found.column("time") == [at("2025-01-01T10:00:00")] * 2


def test_json_lines_of_a_batch_have_their_ids_inside(tmp_path: Path) -> None:
    row = {"SageMakerOutput": 0.7, "SageMakerInferenceId": UUIDS[0], "SageMakerInferenceTime": STARTED}
    write(tmp_path / "a.jsonl.out", row)
    (found,) = read(tmp_path, "sagemaker").rows
    assert (found["inference_id"], found["prediction"], found["time"]) == (UUIDS[0], 0.7, at(STARTED))


def test_a_manifest_of_files_elsewhere_is_told_and_never_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.csv.out", b"0.1\n")
    evil = json.dumps([{"prefix": f"file://{tmp_path}/"}, "../secret.csv.out", str(secret)]).encode()
    write(tmp_path / "logs/output/2025/01/01/10/m", evil)
    found = read(tmp_path / "logs", "sagemaker")
    assert found.rows == []
    assert [reason for reason in found.reasons if "do not lie in this folder" in reason]


def test_input_and_output_of_different_length_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", b"1\n2\n3\n")
    write(tmp_path / "a.csv.out", b"0.1\n0.2\n")
    write(tmp_path / "output/2025/01/01/10/m", manifest("a.csv.out"))
    assert "the input and the output have different numbers of rows" in read(tmp_path, "sagemaker").reasons
