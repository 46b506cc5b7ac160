"""One's own JSON lines, CSV and Parquet, whose columns the settings name."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.formats.reads import Reading, at, read, read_labels, write
from tests.sources.logs import START, column, label, pull, write_lines, write_parquet

NAMED = {"inference_id": "id", "time": "ts", "prediction": "yhat", "latency_ms": "took"}
CSV = "id,ts,yhat,took,age,plan\na,2025-01-01T10:00:00Z,1,12.5,41,basic\nb,2025-01-01T11:00:00Z,0,7,,plus\n"


def csv(tmp_path: Path, text: str | bytes, name: str = "a.csv", **settings: Any) -> Reading:
    write(tmp_path / name, text if isinstance(text, bytes) else text.encode())
    return read(tmp_path, "csv", **{"columns": {**NAMED, "features": "*"}, **settings})


# ---------------------------------------------------------------- CSV


def test_columns_of_csv_are_mapped_and_the_others_are_features(tmp_path: Path) -> None:
    found = csv(tmp_path, CSV)
    assert found.column("inference_id") == ["a", "b"]
    assert found.column("time") == [at("2025-01-01T10:00:00"), at("2025-01-01T11:00:00")]
    assert found.column("latency_ms") == [12.5, 7]
    assert [found.features(0), found.features(1)] == [{"age": 41, "plan": "basic"}, {"age": None, "plan": "plus"}]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (CSV.encode("utf-8-sig"), {}),
        (CSV.replace("\n", "\r\n").encode(), {}),
        (CSV.replace(",", ";").encode(), {"delimiter": ";"}),
        (CSV.replace(",", "\t").encode(), {"delimiter": "\t"}),
        (CSV.encode("utf-16"), {"encoding": "utf-16"}),
        (CSV.partition("\n")[2].encode(), {"names": ["id", "ts", "yhat", "took", "age", "plan"]}),
    ],
    ids=["byte order mark", "CRLF", "semicolons", "tabs", "UTF-16", "no header"],
)
def test_every_dialect_says_the_same(tmp_path: Path, content: bytes, settings: dict[str, Any]) -> None:
    assert csv(tmp_path, content, **settings).rows == csv(tmp_path, CSV, "a.csv").rows


def test_packed_csv_is_read(tmp_path: Path) -> None:
    assert len(csv(tmp_path, gzip.compress(CSV.encode()), "a.csv.gz").rows) == 2


def test_quotes_hold_newlines_and_delimiters(tmp_path: Path) -> None:
    found = csv(tmp_path, 'id,ts,note\n"a","2025-01-01T10:00:00Z","one, ""two""\nthree"\nb,2025-01-01T10:00:00Z,x\n')
    assert found.column("features.note") == ['one, "two"\nthree', "x"]


def test_text_in_another_encoding_is_read_where_the_settings_say_so_and_else_set_aside(tmp_path: Path) -> None:
    text = "id,ts,plan\na,2025-01-01T10:00:00Z,café\nb,2025-01-01T10:00:00Z,plain\n".encode("latin-1")
    found = csv(tmp_path, text)
    assert (found.column("inference_id"), found.reasons) == (["b"], {"the row is not in this encoding": 1})
    assert csv(tmp_path, text, encoding="latin-1").column("features.plan") == ["café", "plain"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("c,2025-01-01T10:00:00Z,1", "the row has more or fewer values than there are columns"),
        ("c,2025-01-01T10:00:00Z,1,2,3,4,5", "the row has more or fewer values than there are columns"),
        (",2025-01-01T10:00:00Z,1,2,3,4", "no inference_id"),
        ("c,yesterday,1,2,3,4", "the time is not ISO 8601"),
        ("c,1735725600,1,2,3,4", "the time is a number whose unit is unknown: set time_unit"),
        ("c,2025-01-01T10:00:00,1,2,3,4", "the time has no zone: set timezone"),
        (f"c,2025-01-01T10:00:00Z,1,2,3,{'x' * 200_000}", "the row is not valid CSV"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_the_rest_is_read(tmp_path: Path, row: str, reason: str) -> None:
    found = csv(tmp_path, f"{CSV}{row}\nd,2025-01-01T12:00:00Z,1,2,3,4\n")
    assert found.column("inference_id") == ["a", "b", "d"]
    assert found.reasons == {reason: 1}
    assert found.tally.entries[0].place == "a.csv:4"


def test_a_quote_that_never_ends_costs_no_more_than_the_rest_of_the_file(tmp_path: Path) -> None:
    found = csv(tmp_path, CSV + 'c,"2025\n' + "x" * 300_000)
    assert found.column("inference_id") == ["a", "b"]
    assert found.reasons


def test_codes_with_leading_zeros_and_ids_stay_text(tmp_path: Path) -> None:
    found = csv(tmp_path, "id,ts,zip,version,n\n007,2025-01-01T10:00:00Z,01234,1.2.3,1e3\n")
    assert found.column("inference_id") == ["007"]
    assert found.features() == {"zip": "01234", "version": "1.2.3", "n": 1000.0}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numeric_times_are_read_in_their_unit(tmp_path: Path, unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    found = csv(tmp_path, f"id,ts\na,{1735725600 * per_second}\n", time_unit=unit)
    assert found.column("time") == [at("2025-01-01T10:00:00")]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert list(csv(tmp_path, "id,ts,id\na,2025-01-01T10:00:00Z,b\n").reasons) == ["two columns have the same name"]


def test_an_empty_file_and_a_header_alone_are_no_rows(tmp_path: Path) -> None:
    assert (csv(tmp_path, "").rows, csv(tmp_path, CSV.splitlines()[0]).rows) == ([], [])


# ---------------------------------------------------------------- JSON lines


def json_row(number: int = 0, **values: Any) -> dict[str, Any]:
    plain = {
        "meta": {"id": f"j{number}", "at": 1735725600000 + number},
        "request": {"features": {"age": 41, "geo": {"country": "DE"}}},
        "response": {"label": "yes", "p": 0.75},
    }
    return {**plain, **values}


PATHS = {"inference_id": "meta.id", "time": "meta.at", "prediction": "response.label", "score": "response.p"}


def test_nested_paths_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", json_row())
    found = read(tmp_path, "jsonl", columns={**PATHS, "features": "request.features"}, time_unit="ms")
    assert (found.column("inference_id"), found.column("prediction"), found.column("score")) == (
        ["j0"],
        ["yes"],
        [0.75],
    )
    assert found.features() == {"age": 41, "geo": {"country": "DE"}}
    chosen = {"age": "request.features.age", "country": "request.features.geo.country"}
    assert read(tmp_path, "jsonl", columns={**PATHS, "features": chosen}, time_unit="ms").features() == {
        "age": 41,
        "country": "DE",
    }


def test_a_list_of_features_takes_only_these(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"inference_id": "a", "time": "2025-01-01T00:00:00Z", "x": 1, "y": 2})
    assert read(tmp_path, "jsonl", columns={"features": ["y"]}).features() == {"y": 2}
    assert read(tmp_path, "jsonl").features() == {}


def test_an_object_of_features_that_is_none_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", json_row(request={"features": [1]}))
    reasons = read(tmp_path, "jsonl", columns={**PATHS, "features": "request.features"}, time_unit="ms").reasons
    assert reasons == {"no object of features where columns.features says": 1}


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        (200, "ok", None), ("SUCCESS", "ok", None), (True, "ok", None), ("failed", "error", None), (503, "error", "HTTP 503"),
        ("429", "rejected", "HTTP 429"), ("timeout", "timeout", None), ("odd", "odd", None),
    ],
)  # fmt: skip
def test_statuses_of_others_are_ours(tmp_path: Path, said: Any, status: str, kind: str | None) -> None:
    write(tmp_path / "a.jsonl", json_row(outcome=said))
    (row,) = read(tmp_path, "jsonl", columns={**PATHS, "status": "outcome"}, time_unit="ms").rows
    assert (row["status"], row.get("error_type")) == (status, kind)


def test_a_version_given_by_the_settings_fills_in_where_the_log_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", json_row(0), json_row(1, v="9"))
    found = read(tmp_path, "jsonl", columns={**PATHS, "model_version": "v"}, time_unit="ms", model_version="3")
    assert found.column("model_version") == ["3", "9"]


def test_labels_are_mapped_as_logs_are(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"id": 7, "truth": 1, "known": "2025-01-03T00:00:00"})
    columns = {"inference_id": "id", "label": "truth", "labelled_at": "known"}
    (found,) = read_labels(tmp_path, "jsonl", columns=columns, timezone="UTC").rows
    assert (found["inference_id"], found["label"], found["labelled_at"]) == ("7", 1, at("2025-01-03T00:00:00"))


def test_labels_in_the_log_itself_are_read_from_there(tmp_path: Path) -> None:
    text = "id,ts,age,late,known\na,2025-01-01T10:00:00Z,1,yes,2025-01-02T00:00:00Z\nb,2025-01-01T11:00:00Z,2,,\n"
    write(tmp_path / "logs/a.csv", text.encode())
    blocks = {
        "logs": {"uri": "logs", "format": "csv", "columns": {"inference_id": "id", "time": "ts", "features": ["age"]}},
        "labels": {
            "uri": "logs",
            "format": "csv",
            "columns": {"inference_id": "id", "label": "late", "labelled_at": "known"},
        },
    }
    with pull(tmp_path, blocks=blocks) as pulled:
        assert column(pulled, "label") == ["yes", None]


# ---------------------------------------------------------------- Parquet


def parquet(folder: Path, **columns: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "a.parquet")
    return folder


def blocks(**settings: Any) -> dict[str, Any]:
    return {"logs": {"uri": "logs", "format": "parquet", **settings}, "labels": None}


SECONDS = [int((START + timedelta(hours=hour)).timestamp()) for hour in (1, 2, 30)]


def test_parquet_is_mapped_where_it_lies(tmp_path: Path) -> None:
    parquet(
        tmp_path / "logs",
        id=[1, 2, 3],
        at=SECONDS,
        yhat=["a", "b", "c"],
        req=[{"age": n, "plan": "x"} for n in range(3)],
    )
    columns = {"inference_id": "id", "time": "at", "prediction": "yhat", "features": "req"}
    with pull(tmp_path, blocks=blocks(columns=columns, time_unit="s", model_version="5")) as pulled:
        assert column(pulled, "inference_id") == ["1", "2"]
        assert column(pulled, "prediction") == ["a", "b"]
        assert pulled.features == ("age", "plan")
        assert pulled.report.model_versions == {"5": 2}
        assert pulled.sample(1, seed=0)["time"][0] in (START + timedelta(hours=1), START + timedelta(hours=2))
        assert pulled.report.set_aside == ()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_parquet_times_are_read_in_their_unit_and_prune_files(tmp_path: Path, unit: str, kind: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for name, seconds in (("in", SECONDS[0]), ("out", SECONDS[2])):
        times = pa.array([seconds * per_second], pa.int64()).cast(kind, safe=False)
        parquet(tmp_path / f"logs/{name}", inference_id=["a"], ts=times)
    with pull(tmp_path, blocks=blocks(columns={"time": "ts"}, time_unit=unit)) as pulled:
        assert pulled.sample(9, seed=0)["time"].tolist() == [START + timedelta(hours=1)]
        assert pulled.report.files_skipped == (1 if kind == "int64" else 0)


def test_parquet_times_without_a_zone_are_in_the_settings_zone(tmp_path: Path) -> None:
    local = pa.array([datetime(2025, 1, 1, 12), datetime(2025, 1, 1, 0, 30)], pa.timestamp("us"))  # noqa: DTZ001
    parquet(tmp_path / "logs", inference_id=["a", "b"], time=local)
    with pull(tmp_path, blocks=blocks(timezone="Europe/Paris")) as pulled:
        assert pulled.sample(9, seed=0)["time"].tolist() == [datetime(2025, 1, 1, 11, tzinfo=UTC)]
    with pull(tmp_path, blocks=blocks()) as pulled:
        (entry,) = pulled.report.set_aside
        assert "has no zone" in entry.reason


def test_parquet_text_times_may_lack_their_zone_too(tmp_path: Path) -> None:
    parquet(tmp_path / "logs", inference_id=["a", "b"], time=["2025-01-01 12:00:00", "2025-01-01T12:00:00Z"])
    with pull(tmp_path, blocks=blocks(timezone="Europe/Paris")) as pulled:
        times = sorted(pulled.sample(9, seed=0)["time"].tolist())
        assert times == [datetime(2025, 1, 1, 11, tzinfo=UTC), datetime(2025, 1, 1, 12, tzinfo=UTC)]


def test_every_other_column_may_be_a_feature(tmp_path: Path) -> None:
    parquet(
        tmp_path / "logs", id=["a"], time=pa.array([START], pa.timestamp("us", "UTC")), yhat=[1], age=[3], plan=["x"]
    )
    columns = {"inference_id": "id", "prediction": "yhat", "features": "*"}
    with pull(tmp_path, blocks=blocks(columns=columns)) as pulled:
        assert pulled.features == ("age", "plan")


def test_rows_without_an_id_or_time_are_counted_by_file(tmp_path: Path) -> None:
    parquet(tmp_path / "logs", id=["a", None, "c"], at=[SECONDS[0], SECONDS[0], None])
    with pull(tmp_path, blocks=blocks(columns={"inference_id": "id", "time": "at"}, time_unit="s")) as pulled:
        assert pulled.report.rows == 1
        assert sum(entry.count for entry in pulled.report.set_aside) == 2


@pytest.mark.parametrize(
    ("columns", "settings", "reason"),
    [
        ({"inference_id": "missing"}, {}, "no column missing"),
        ({"time": "n"}, {}, "set time_unit"),
    ],
)
def test_a_mapping_that_does_not_fit_a_file_sets_it_aside(
    tmp_path: Path, columns: dict[str, str], settings: dict[str, Any], reason: str
) -> None:
    parquet(tmp_path / "logs", inference_id=["a"], time=pa.array([START], pa.timestamp("us", "UTC")), n=[1])
    with pull(tmp_path, blocks=blocks(columns=columns, **settings)) as pulled:
        assert reason in pulled.report.set_aside[0].reason


def test_a_column_that_differs_from_a_field_by_case_does_not_hide_it(tmp_path: Path) -> None:
    parquet(tmp_path / "logs", ID=["a"], Time=SECONDS[:1], ts=SECONDS[:1])
    with pull(tmp_path, blocks=blocks(columns={"inference_id": "ID", "time": "ts"}, time_unit="s")) as pulled:
        assert pulled.report.rows == 1


# ---------------------------------------------------------------- alike


def test_the_same_rows_have_one_digest_in_every_format(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "ts": (START + timedelta(minutes=n)).isoformat(), "y": n % 2, "age": n} for n in range(20)]
    write(tmp_path / "jsonl/logs/a.jsonl", *rows)
    text = "id,ts,y,age\n" + "".join(f"{r['id']},{r['ts']},{r['y']},{r['age']}\n" for r in rows)
    write(tmp_path / "csv/logs/a.csv", text.encode())
    write_parquet(tmp_path / "parquet/logs/a.parquet", rows)
    columns = {"inference_id": "id", "time": "ts", "prediction": "y", "features": ["age"]}
    digests = set()
    for name in ("jsonl", "csv", "parquet"):
        made = {"logs": {"uri": "logs", "format": name, "columns": columns}}
        write_lines(tmp_path / name / "labels/a.jsonl", [{**label(0, 1), "inference_id": "r3"}])
        with pull(tmp_path / name, blocks=made) as pulled:
            assert (pulled.report.rows, pulled.report.labelled_rows) == (20, 1)
            digests.add(pulled.report.input_digest)
    assert len(digests) == 1
    assert json.dumps(rows)
