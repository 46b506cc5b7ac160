"""`retrue import`: what is there, what was understood and what not, and what it is converted into."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from retrue.config import LabelSettings, LogSettings
from tests.cli.run import run as run_anything
from tests.cli.run import run_json
from tests.sources.formats.reads import write
from tests.sources.formats.test_bentoml import monitor
from tests.sources.formats.test_bentoml import row as bento_row
from tests.sources.formats.test_databricks import gateway
from tests.sources.formats.test_kserve import event, stored
from tests.sources.formats.test_mlflow_traces import span, trace
from tests.sources.formats.test_sagemaker import capture, manifest, side, truth
from tests.sources.formats.test_seldon import document
from tests.sources.formats.test_vertex import row as vertex_row
from tests.sources.logs import digest, pull, record, write_lines, write_parquet


def run(*arguments: Any) -> Result:
    """Run a command that may refuse, but not for a bug."""
    result = run_anything(*arguments)
    assert "bug of retrue" not in result.output
    return result


def captures(folder: Path, count: int = 3) -> Path:
    rows = [capture(f"e{n}", side(f"{n},x"), side("0.5"), time=f"2025-01-01T10:00:{n:02d}Z") for n in range(count)]
    write(folder / "churn/v/2025/01/01/10/a.jsonl", *rows)
    return folder


def project(folder: Path, **blocks: Any) -> Path:
    model = {"task": "binary", **blocks}
    (folder / "retrue.yaml").write_text(yaml.safe_dump({"version": 1, "models": {"churn": model}}))
    return folder


def test_a_folder_is_described_by_what_was_understood_and_what_is_missing(tmp_path: Path) -> None:
    code, (found,) = run_json("import", "--check", captures(tmp_path))
    assert code == 0
    assert (found["format"], found["detected"], found["records"], found["files_read"]) == (
        "sagemaker",
        "sagemaker",
        3,
        1,
    )
    assert found["start"].startswith("2025-01-01 10:00:00")
    assert found["fields"]["prediction"] == 1
    assert found["features"] == {"f0": 1, "f1": 1}
    assert found["values"]["endpoint"] == {"churn/v": 3}
    assert set(found["missing"]) == {"latency_ms", "score", "model_version", "names"}
    assert found["set_aside"] == []


def test_what_is_set_aside_is_shown_with_its_place_and_makes_the_exit_code_1(tmp_path: Path) -> None:
    write(captures(tmp_path) / "churn/v/2025/01/01/10/b.jsonl", "{torn", {"x": 1})
    code, (found,) = run_json("import", "--check", tmp_path)
    assert code == 1
    assert {each["reason"]: each["count"] for each in found["set_aside"]} == {
        "the line is not valid JSON": 1,
        "no captureData": 1,
    }
    shown = run("import", "--check", tmp_path)
    assert shown.exit_code == 1
    assert "b.jsonl:1" in shown.output
    assert "latency is not judged" in shown.output
    assert "format: sagemaker" in shown.output


@pytest.mark.parametrize("content", [None, b"", b"\x00\x01\x02", b"hello"])
def test_a_place_of_nothing_readable_exits_2(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        write(tmp_path / "a.bin", content)
    assert run("import", "--check", tmp_path).exit_code == 2
    assert run("import", "--check", tmp_path, "--format", "sagemaker").exit_code == 2
    assert run("import", "--check", tmp_path / "absent").exit_code == 2


WRITERS: dict[str, Any] = {
    "sagemaker": lambda folder: captures(folder),
    "sagemaker labels": lambda folder: write(folder / "2025/01/01/10/a.jsonl", truth("e")),
    "sagemaker batch": lambda folder: write(folder / "output/2025/01/01/10/m", manifest("a.csv.out")),
    "kserve": lambda folder: write(folder / "a.jsonl", event("request"), event("response")),
    "kserve stored": lambda folder: write(folder / "x-request.json", json.dumps([stored("request")]).encode()),
    "bentoml": lambda folder: monitor(folder, bento_row()),
    "databricks": lambda folder: write(folder / "part-0.json", gateway()),
    "vertex": lambda folder: write(folder / "a.json", vertex_row()),
    "seldon": lambda folder: write(folder / "a.json", document()),
    "mlflow": lambda folder: write(folder / "a.json", json.dumps([trace(span())], indent=1).encode()),
    "retrue": lambda folder: write_lines(folder / "a.jsonl", [record(0)]),
    "retrue table": lambda folder: write_parquet(folder / "a.parquet", [record(0)]),
    "jsonl": lambda folder: write(folder / "a.jsonl", {"id": 1, "ts": 1735725600, "features": {"x": 1}}),
    "csv": lambda folder: write(folder / "a.csv", b"id,ts,x\n1,2025-01-01T00:00:00Z,3\n"),
    "parquet": lambda folder: write_parquet(folder / "a.parquet", [{"id": 1, "x": 2}]),
}


@pytest.mark.parametrize("written", WRITERS)
def test_the_format_is_found_by_content(tmp_path: Path, written: str) -> None:
    WRITERS[written](tmp_path)
    _, (found,) = run_json("import", "--check", tmp_path)
    assert found["detected"] == written.split()[0]


@pytest.mark.parametrize("written", [name for name in WRITERS if name not in ("sagemaker labels", "sagemaker batch")])
def test_the_suggested_block_is_one_that_loads(tmp_path: Path, written: str) -> None:
    WRITERS[written](tmp_path)
    _, (found,) = run_json("import", "--check", tmp_path)
    (block,) = yaml.safe_load(found["suggestion"]).values()
    assert LogSettings.model_validate(block).uri == str(tmp_path)


def test_the_suggestion_maps_columns_that_are_called_something_else(tmp_path: Path) -> None:
    rows = [
        {
            "request_id": f"r{n}",
            "timestamp": 1735725600000 + n,
            "request": {"features": {"age": n}},
            "pred": 1,
            "took_ms": 3,
        }
        for n in range(3)
    ]
    write(tmp_path / "a.jsonl", *rows)
    code, (found,) = run_json("import", "--check", tmp_path)
    assert code == 2
    block = yaml.safe_load(found["suggestion"])["logs"]
    assert block["time_unit"] == "ms"
    assert block["columns"] == {
        "inference_id": "request_id",
        "time": "timestamp",
        "prediction": "pred",
        "latency_ms": "took_ms",
        "features": "request.features",
    }
    further = yaml.safe_dump({name: block[name] for name in ("columns", "time_unit")}, default_flow_style=True)
    code, (found,) = run_json("import", "--check", tmp_path, "--format", "jsonl", "--settings", further)
    assert (code, found["records"], list(found["features"])) == (0, 3, ["age"])


def test_a_missing_zone_is_suggested(tmp_path: Path) -> None:
    monitor(tmp_path, bento_row())
    code, (found,) = run_json("import", "--check", tmp_path)
    assert code == 2
    assert yaml.safe_load(found["suggestion"])["logs"]["timezone"] == "UTC"
    assert run("import", "--check", tmp_path, "--settings", "{timezone: Europe/Paris}").exit_code == 0


def test_a_model_is_checked_as_its_settings_say_and_its_labels_are_joined(tmp_path: Path) -> None:
    captures(tmp_path / "logs")
    write(tmp_path / "labels/2025/01/03/00/a.jsonl", truth("e1"), truth("nobody"))
    logs = {"uri": "logs", "format": "sagemaker", "names": ["n", "t"], "outputs": ["score"], "model_version": "3"}
    project(tmp_path, logs=logs, labels={"uri": "labels", "format": "sagemaker"})
    code, (found, labels) = run_json("import", "--check", "churn", "-C", tmp_path)
    assert code == 0
    assert (list(found["features"]), found["values"]["model_version"]) == (["n", "t"], {"3": 3})
    assert (labels["part"], labels["records"], labels["labels_joined"]) == ("labels", 2, 1)


def test_a_model_whose_records_are_all_of_another_is_told(tmp_path: Path) -> None:
    write_lines(tmp_path / "logs/a.jsonl", [record(0, model="other")])
    project(tmp_path, logs={"uri": "logs"})
    _, (found,) = run_json("import", "--check", "churn", "-C", tmp_path)
    assert "only those of churn" in found["missing"]["model"]


def test_a_format_other_than_the_configured_one_is_told(tmp_path: Path) -> None:
    captures(tmp_path / "logs")
    project(tmp_path, logs={"uri": "logs", "format": "kserve"})
    shown = run("import", "--check", "churn", "-C", tmp_path)
    assert shown.exit_code == 2
    assert "its content looks like sagemaker" in shown.output


def test_labels_at_an_address_are_checked_as_labels(tmp_path: Path) -> None:
    write(tmp_path / "2025/01/03/00/a.jsonl", truth("e1"), truth("e2"))
    code, (found,) = run_json("import", "--check", tmp_path, "--format", "sagemaker", "--labels")
    assert (code, found["part"], found["records"]) == (0, "labels", 2)


def test_failures_without_a_type_are_counted_as_such(tmp_path: Path) -> None:
    rows = [record(0), record(1, status="error"), record(2, status="timeout")]
    write_lines(tmp_path / "a.jsonl", rows)
    _, (found,) = run_json("import", "--check", tmp_path)
    assert found["missing"]["error_type"].startswith("2 failures")


def test_columns_that_were_understood_in_part_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", gateway(request=None, response=None, logging_error_codes=["MAX_REQUEST_SIZE_EXCEEDED"]))
    shown = run("import", "--check", tmp_path)
    assert "in part: 1x payload not logged whole: MAX_REQUEST_SIZE_EXCEEDED" in shown.output


# ---------------------------------------------------------------- converting


def test_a_converted_log_says_the_same_to_a_window(tmp_path: Path) -> None:
    captures(tmp_path / "foreign")
    write(tmp_path / "truth/2025/01/03/00/a.jsonl", truth("e1"))
    logs = {"uri": "foreign", "format": "sagemaker", "names": ["n", "t"]}
    labels = {"uri": "truth", "format": "sagemaker", "horizon": "30d"}
    project(tmp_path, logs=logs, labels=labels)
    result = run("import", "churn", "--to", tmp_path / "native", "-C", tmp_path)
    assert result.exit_code == 0
    assert sorted(
        path.relative_to(tmp_path / "native").as_posix() for path in (tmp_path / "native").rglob("*.parquet")
    ) == [
        "labels/2025-01-03.parquet",
        "logs/2025-01-01.parquet",
    ]
    native = {"logs": {"uri": "native/logs"}, "labels": {"uri": "native/labels", "horizon": "30d"}}
    assert digest(tmp_path, blocks={"logs": logs, "labels": labels}) == digest(tmp_path, blocks=native)
    with pull(tmp_path, blocks=native) as pulled:
        assert (pulled.report.rows, pulled.report.labelled_rows, pulled.report.set_aside) == (3, 1, ())


def test_features_called_like_fields_survive_converting(tmp_path: Path) -> None:
    rows = [{**record(0), "features.status": 3, "features.time": "x"}]
    write_lines(tmp_path / "logs/a.jsonl", rows)
    assert run("import", tmp_path / "logs", "--to", tmp_path / "out").exit_code == 0
    before = digest(tmp_path, blocks={"labels": None})
    assert digest(tmp_path, blocks={"logs": {"uri": "out/logs"}, "labels": None}) == before


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path) -> None:
    captures(tmp_path / "in")
    write(tmp_path / "out/mine.txt", b"mine")
    result = run("import", tmp_path / "in", "--to", tmp_path / "out")
    assert result.exit_code == 2
    assert "not empty" in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("arguments", [[], ["--check", "--to", "out"]])
def test_either_check_or_to_is_needed(tmp_path: Path, arguments: list[str]) -> None:
    assert run("import", tmp_path, *arguments).exit_code == 2


@pytest.mark.parametrize("settings", ["{nonsense: 1}", "{timezone: Mars}", "[1]", "{", "{names: [a, a]}"])
def test_settings_that_are_refused_say_why(tmp_path: Path, settings: str) -> None:
    captures(tmp_path)
    assert run("import", "--check", tmp_path, "--format", "csv", "--settings", settings).exit_code == 2


def test_a_label_setting_loads_as_suggested(tmp_path: Path) -> None:
    write(tmp_path / "2025/01/03/00/a.jsonl", truth("e1"))
    _, (found,) = run_json("import", "--check", tmp_path, "--labels")
    assert LabelSettings.model_validate(yaml.safe_load(found["suggestion"])["labels"]).format == "sagemaker"


def test_nothing_of_the_content_is_shown(tmp_path: Path) -> None:
    secret = "4111 1111 1111 1111"
    write(tmp_path / "a.jsonl", capture(asked=side(secret), answered=side("1")), {"eventId": secret}, f"{{{secret}")
    shown = run("import", "--check", tmp_path, "--format", "sagemaker")
    assert shown.exit_code == 1
    assert secret not in shown.output
