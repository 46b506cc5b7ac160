"""Whatever lies in a folder: no format raises, none shows content, none follows a link or swallows a bomb."""

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrue.sources import json_lines
from retrue.sources.formats import FORMATS
from retrue.sources.formats.refused import OTHER_SHAPE
from tests.sources.formats.reads import Reading, read, read_labels, write
from tests.sources.formats.test_bentoml import SCHEMA
from tests.sources.formats.test_kserve import event, stored
from tests.sources.formats.test_sagemaker import capture, side
from tests.sources.logs import START, column, pull

SECRET = "4111 1111 1111 1111"
SEEDS: dict[str, list[Any]] = {
    "sagemaker": [capture(asked=side("1,2"), answered=side("0.5")), [{"prefix": "s3://b/"}, "a.csv.out"]],
    "kserve": [event("request"), event("response"), stored("request", occurred=START), {"headers": {"ce-id": "1"}, "body": "{}"}],
    "seldon": [
        {"_source": {"RequestId": "r", "request": {"instance": [1]}, "@timestamp": "2025-01-01T00:00:00Z"}},
        {"type": "io.seldon.serving.feedback", "id": "1", "time": "2025-01-01T00:00:00Z", "requestid": "r", "data": {"truth": {"data": {"ndarray": [[1]]}}}},
        {"hits": {"hits": [1, None, {}]}},
    ],
    "bentoml": [SCHEMA, {"timestamp": 1.0, "request_id": "1", "bento_meta": {"schema": {"a": {"name": "a", "role": "feature"}}}, "a": 1},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"kvlistValue": {"values": [{"key": "a"}]}}}]}]}]}],
    "databricks": [{"timestamp_ms": 1, "databricks_request_id": "d", "request": "{\"inputs\": {\"a\": [1]}}", "status_code": 200, "sampling_fraction": 1}],
    "vertex": [{"request_id": "1", "logging_time": "2025-01-01 00:00:00 UTC", "request_payload": ["1"], "response_payload": ["1"]},
        {"model": "m", "time": "2025-01-01T00:00:00Z", "raw_data": "1", "raw_prediction": "1", "groundtruth": "1"}],
    "mlflow": [{"info": {"trace_id": "tr-1", "request_time": "2025-01-01T00:00:00Z", "state": "ERROR", "assessments": [{"assessment_name": "a", "expectation": {"value": 1}, "create_time": "2025-01-01T00:00:00Z"}]},
        "data": {"spans": [{"events": [{"name": "exception", "attributes": {}}], "attributes": {}, "status": {"message": "x"}}]}}],
    "jsonl": [{"inference_id": "a", "time": "2025-01-01T00:00:00Z", "features": {"x": 1}, "status": "ok"}],
    "csv": [{"a": 1}],
}  # fmt: skip

scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, form: str) -> Any:
    """A real event in which some values, deep or not, are something else."""
    event = json.loads(json.dumps(draw(st.sampled_from(SEEDS[form]))))
    for _ in range(draw(st.integers(1, 3))):
        event = _mutate(draw, event)
    return event


def _mutate(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _mutate(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        number = draw(st.integers(0, len(value) - 1))
        return [_mutate(draw, each) if place == number else each for place, each in enumerate(value)]
    return draw(values)


@pytest.mark.parametrize("form", sorted(SEEDS))
def test_no_event_of_any_shape_raises(form: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp(form)
    name = "a.csv" if form == "csv" else "a.json"

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(mutated(form), min_size=1, max_size=4))
    def run(events: list[Any]) -> None:
        write(folder / name, *events)
        found = read(folder, form)
        for record in found.rows:
            assert isinstance(record["inference_id"], str)
            assert isinstance(record["time"], int)
        if FORMATS[form].labels:
            read_labels(folder, form)

    run()


@pytest.mark.parametrize("form", sorted(SEEDS))
def test_no_bytes_of_any_kind_raise(form: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp(form)
    names = ["a.json", "a.jsonl", "a.csv", "a.parquet", "a.log", "a.jsonl.gz", "data.1.log"]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.sampled_from(names),
        st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    )
    def run(name: str, content: bytes) -> None:
        for each in folder.iterdir():
            each.unlink()
        write(folder / name, content)
        read(folder, form)

    run()


def _said(found: Reading) -> str:
    return json.dumps([[each.place, each.reason] for each in found.tally.entries] + list(found.notes))


@pytest.mark.parametrize("form", sorted(SEEDS))
def test_no_reason_and_no_log_line_shows_content(form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "logs"
    broken = []
    for seed in SEEDS[form]:
        if isinstance(seed, dict):
            broken += [{**seed, name: SECRET} for name in seed]
            broken += [{**seed, name: {SECRET: [SECRET]}} for name in seed]
    write(folder / ("a.csv" if form == "csv" else "a.json"), *broken, f'{{"x": "{SECRET}', SECRET)
    found = read(folder, form)
    assert found.tally.entries
    assert SECRET not in _said(found) + caplog.text


def test_links_fifos_and_folders_named_like_files_are_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    write(folder / "a.jsonl", SEEDS["jsonl"][0])
    write(tmp_path / "secret.jsonl", SEEDS["jsonl"][0])
    (folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.jsonl").mkdir()
    found = read(folder, "jsonl")
    assert len(found.rows) == 1
    assert found.reasons == {"a symbolic link": 1, "not a regular file": 1} | found.reasons
    assert len(found.tally.entries) == 4


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.json.gz"])
def test_a_bomb_of_gzip_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(json_lines, "GZIP_BYTES_MIN", 2**20)
    write(tmp_path / name, gzip.compress(b" " * 40 * 2**20))
    found = read(tmp_path, "csv" if "csv" in name else "jsonl")
    assert [reason for reason in found.reasons if "grows more than" in reason]


def test_a_truncated_gzip_is_set_aside_and_what_came_before_stays(tmp_path: Path) -> None:
    line = json.dumps(SEEDS["jsonl"][0]) + "\n"
    packed = gzip.compress((line * 20_000).encode(), compresslevel=0)
    write(tmp_path / "a.jsonl.gz", packed[: len(packed) - 100])
    found = read(tmp_path, "jsonl")
    assert "cannot be read to its end (EOFError)" in found.reasons


@pytest.mark.parametrize("deep", ["[" * 50_000 + "]" * 50_000, '{"a":' * 100_000, "[" * 100_000])
def test_deep_nesting_costs_at_most_its_own_event(tmp_path: Path, deep: str) -> None:
    write(tmp_path / "logs/a.jsonl", capture("deep", asked=side(deep, "JSON")), capture("ok", asked=side("1")))
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert "ok" in column(pulled, "inference_id")
        assert pulled.report.rows + sum(each.count for each in pulled.report.set_aside) == 2


def test_a_hundred_thousand_columns_are_cut_and_told(tmp_path: Path) -> None:
    write(tmp_path / "logs/v/e/2025/01/01/10/a.jsonl", capture(asked=side(",".join(["1"] * 100_000))))
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert pulled.report.rows == 1
        assert len(pulled.features) < 2_000
        assert "columns beyond 2000" in pulled.report.set_aside[0].reason


def test_a_huge_payload_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LINE_BYTES_MAX", 2**20)
    write(tmp_path / "a.jsonl", capture("big", asked=side("1," * 2**22)), capture("ok", asked=side("1")))
    found = read(tmp_path, "sagemaker")
    assert found.column("inference_id") == ["ok"]
    assert len(found.reasons) == 1


def test_json_lines_named_json_are_lines_even_when_the_first_is_broken(tmp_path: Path) -> None:
    write(tmp_path / "a.json", '{"torn', SEEDS["jsonl"][0])
    found = read(tmp_path, "jsonl")
    assert (len(found.rows), found.reasons) == (1, {"the line is not valid JSON": 1})


def test_another_shape_is_told_as_such(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"captureData": [], "eventMetadata": 3})
    assert read(tmp_path, "sagemaker").reasons == {OTHER_SHAPE: 1}


def test_a_bad_event_belongs_to_the_window_of_its_neighbours(tmp_path: Path) -> None:
    inside = [capture(f"i{n}", asked=side("1"), time="2025-01-01T10:00:00Z") for n in range(3)]
    outside = [capture(f"o{n}", asked=side("1"), time="2025-03-01T10:00:00Z") for n in range(3)]
    write(tmp_path / "logs/a.jsonl", *inside, {"x": 1}, *inside)
    write(tmp_path / "logs/b.jsonl", *outside, {"x": 1}, *outside)
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert [(each.place, each.count) for each in pulled.report.set_aside] == [("a.jsonl:4", 1)]
        assert pulled.report.duplicates == 3
        assert pulled.report.set_aside_share == pytest.approx(1 / 7)


def test_a_month_of_logs_is_read_in_bounded_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import retrue.sources.formats.sieve as sieve

    monkeypatch.setattr(sieve, "BATCH_ROWS", 100)
    events = [capture(f"e{n}", asked=side(f"{n}"), time=(START + timedelta(seconds=n)).isoformat()) for n in range(950)]
    write(tmp_path / "logs/a.jsonl", *events)
    with pull(tmp_path, blocks={"logs": {"uri": "logs", "format": "sagemaker"}, "labels": None}) as pulled:
        assert pulled.report.rows == 950
        assert sum(column(pulled, "f0")) == sum(range(950))
