"""Sources in a store: a real S3 endpoint, a small one of GCS, and fsspec's memory; what there is when nobody answers."""

import gzip
import json
import socket
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from retrue.errors import SourceError
from retrue.logger import Fields
from retrue.sources import remote
from retrue.sources.engine import open_engine
from retrue.windows import Window
from tests.sources.logs import column, label, line, pull, record, records, write_parquet

BUCKET = "logs-bucket"
Files = dict[str, bytes]


@pytest.fixture
def memory() -> Iterator[Any]:
    """The store of fsspec that lives in this process, empty."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A real S3 endpoint on a free port of loopback."""
    moto = pytest.importorskip("moto.server", reason="moto is among the tests' dependencies")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the endpoint, which the environment names too, with an empty bucket."""
    s3fs = pytest.importorskip("s3fs")
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    store = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    if store.exists(BUCKET):
        store.rm(BUCKET, recursive=True)
    store.mkdir(BUCKET)
    return store


def put(store: Any, root: str, files: Files) -> None:
    for name, content in files.items():
        store.pipe_file(f"{root}/{name}", content)


def parquet_bytes(tmp_path: Path, rows: list[dict[str, Any]]) -> bytes:
    return write_parquet(tmp_path / "made.parquet", rows).read_bytes()


def blocks(uri: str, **settings: Any) -> dict[str, Any]:
    return {"logs": {"uri": uri, **settings}, "labels": None}


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_store_holds_what_a_folder_holds(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> None:
    root, uri = ("/m", "memory://m") if store == "memory" else (f"{BUCKET}/m", f"s3://{BUCKET}/m")
    rows = records(20)
    labels = [label(3, 1), label(4, 0)]
    files = {
        "logs/a.parquet": parquet_bytes(tmp_path, rows[:10]),
        "logs/deep/b.jsonl": b"\n".join(map(line, rows[10:15])),
        "logs/c.jsonl.gz": gzip.compress(b"\n".join(map(line, rows[15:]))),
        "logs/_SUCCESS": b"",
        "logs/.hidden/x.jsonl": b"{broken",
        "logs/readme.txt": b"hello",
        "labels/a.jsonl": b"\n".join(map(line, labels)),
    }
    put(request.getfixturevalue(store), root, files)
    for name in ("logs/a.parquet", "logs/deep/b.jsonl", "logs/c.jsonl.gz", "labels/a.jsonl"):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    there = {"logs": {"uri": f"{uri}/logs"}, "labels": {"uri": f"{uri}/labels", "horizon": "30d"}}
    with pull(tmp_path / "here") as local, pull(tmp_path, blocks=there) as distant:
        assert (distant.report.rows, distant.report.labelled_rows) == (20, 2)
        assert distant.report.input_digest == local.report.input_digest
        assert distant.report.set_aside == ()


def test_a_foreign_format_is_read_from_s3_by_hour(s3: Any, tmp_path: Path) -> None:
    event = {
        "captureData": {"endpointInput": {"data": "1,2", "encoding": "CSV"}},
        "eventMetadata": {"eventId": "e", "inferenceTime": "2025-01-01T10:30:00Z"},
    }
    files = {f"churn/v/2025/01/0{day}/10/a.jsonl": json.dumps(event).encode() for day in (1, 3)}
    put(s3, BUCKET, files)
    with pull(tmp_path, blocks=blocks(f"s3://{BUCKET}", format="sagemaker", names=["a", "b"])) as pulled:
        assert column(pulled, "b") == [2]
        assert (pulled.report.files_read, pulled.report.files_skipped) == (1, 1)
        assert column(pulled, "endpoint") == ["churn/v"]


def test_the_loggers_own_spool_is_read_from_a_store(memory: Any, tmp_path: Path) -> None:
    from retrue.logger import InferenceLogger

    log = InferenceLogger("m", version="1", to=tmp_path / "spool", fields=Fields(keep=["x"]))
    for number in range(5):
        log.record({"x": number}, prediction=1, latency_ms=2.0)
    log.close(timeout=5)
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    put(memory, "/m", {path.relative_to(tmp_path / "spool").as_posix(): path.read_bytes() for path in files})
    now = datetime.now(UTC)
    today = Window(model="m", start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    with pull(tmp_path, window=today, blocks=blocks("memory://m")) as pulled:
        assert (pulled.report.rows, pulled.report.lost, pulled.report.set_aside) == (5, 0, ())


def test_parquet_outside_the_window_is_known_by_its_footer_and_never_fetched(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [record(number) for number in range(2_000)]
    put(
        memory,
        "/m",
        {"in.parquet": parquet_bytes(tmp_path, rows), "out.parquet": parquet_bytes(tmp_path, [record(9_000)])},
    )
    fetched: list[str] = []
    fetch = type(memory).get_file

    def counted(self: Any, path: str, target: str, **options: Any) -> None:
        fetched.append(path)
        fetch(self, path, target, **options)

    monkeypatch.setattr(type(memory), "get_file", counted)
    with pull(tmp_path, blocks=blocks("memory://m")) as pulled:
        assert (pulled.report.rows, pulled.report.files_skipped) == (1440, 1)
    assert fetched == ["/m/in.parquet"]


def test_objects_written_well_before_the_window_are_not_fetched(memory: Any, tmp_path: Path) -> None:
    put(memory, "/m", {"a.jsonl": b"{broken", "b.jsonl": line(record(0))})
    memory.store["/m/a.jsonl"].modified = memory.store["/m/a.jsonl"].created = datetime(2024, 12, 1, tzinfo=UTC)
    with pull(tmp_path, blocks=blocks("memory://m", format="jsonl")) as pulled:
        assert (pulled.report.rows, pulled.report.files_skipped, pulled.report.set_aside) == (1, 1, ())


def test_nothing_that_was_fetched_stays(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    put(
        memory,
        "/m",
        {"a.parquet": parquet_bytes(tmp_path, records(3)), "b.jsonl": line(record(9)), "c.jsonl": line(record(8))},
    )
    with pull(tmp_path, blocks=blocks("memory://m")) as pulled:
        assert pulled.report.rows == 5
        fetched = sorted(path.suffix for path in (tmp_path / "temp").rglob("*.*") if path.is_file())
        assert fetched == [".jsonl", ".parquet"], "of two files of lines only the one read last is still here"
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_damaged_remote_file_is_set_aside_like_one_here(memory: Any, tmp_path: Path) -> None:
    good = parquet_bytes(tmp_path, records(5))
    put(memory, "/m", {"a.parquet": good, "b.parquet": good[:200], "c.jsonl": b"{torn"})
    with pull(tmp_path, blocks=blocks("memory://m")) as pulled:
        assert pulled.report.rows == 5
        assert {each.place for each in pulled.report.set_aside} == {"b.parquet", "c.jsonl:1"}


def test_an_empty_or_absent_prefix_is_an_empty_window(s3: Any, memory: Any, tmp_path: Path) -> None:
    for uri in (f"s3://{BUCKET}/nothing", "memory://nothing"):
        with pull(tmp_path, blocks=blocks(uri)) as pulled:
            assert pulled.report.rows == 0


def test_an_absent_bucket_and_a_single_object_are_refused(s3: Any, tmp_path: Path) -> None:
    s3.pipe_file(f"{BUCKET}/a.jsonl", line(record(0)))
    with pytest.raises(SourceError, match="name the folder"), pull(tmp_path, blocks=blocks(f"s3://{BUCKET}/a.jsonl")):
        pass


# ---------------------------------------------------------------- nobody answers


def test_a_store_that_never_answers_is_told_within_bounded_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs")
    with socket.socket() as silent:  # accepts and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(remote, "READ_SECONDS", 1)
        monkeypatch.setattr(remote, "TRIES", 1)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "secret-of-mine")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SourceError, match="no answer") as caught, pull(tmp_path, blocks=blocks("s3://b/x")):
            pass
        assert "secret-of-mine" not in str(caught.value)


def test_a_port_where_nobody_listens_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(SourceError, match="look at the network"), pull(tmp_path, blocks=blocks("s3://b/x")):
        pass


@pytest.mark.parametrize(("uri", "module", "extra"), [("s3://b/x", "s3fs", "s3"), ("gs://b/x", "gcsfs", "gcs")])
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    sys.modules["fsspec.registry"]._registry.pop(uri.partition("://")[0], None)
    with pytest.raises(SourceError, match=rf"retrue\[{extra}\]"), pull(tmp_path, blocks=blocks(uri)):
        pass


def test_the_engine_asks_no_network_for_extensions() -> None:
    with open_engine() as engine:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert engine.backend.con.execute(f"SELECT current_setting('{name}')").fetchone() == (False,)


def test_a_network_that_fails_half_way_is_an_error_and_not_a_damaged_file(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, "/m", {"a.jsonl": line(record(0)), "b.jsonl": line(record(1))})
    fetch = type(memory).get_file

    def failing(self: Any, path: str, target: str, **options: Any) -> None:
        if path.endswith("b.jsonl"):
            raise ConnectionResetError("reset")
        fetch(self, path, target, **options)

    monkeypatch.setattr(type(memory), "get_file", failing)
    with pytest.raises(SourceError, match="fetching"), pull(tmp_path, blocks=blocks("memory://m")):
        pass


# ---------------------------------------------------------------- GCS


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The two answers of GCS's JSON interface that reading needs, over a dict of objects."""
    pytest.importorskip("gcsfs")
    objects: Files = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(url.query)
            name = urllib.parse.unquote(url.path.partition("/o/")[2])
            if name in objects and query.get("alt") == ["media"]:
                start, end = self._range(len(objects[name]))
                self._answer(objects[name][start:end], 206 if "Range" in self.headers else 200)
            elif name in objects:
                self._answer(json.dumps(described(name)).encode())
            elif url.path.endswith("/o"):
                prefix = query.get("prefix", [""])[0]
                items = [described(each) for each in objects if each.startswith(prefix)]
                self._answer(json.dumps({"kind": "storage#objects", "items": items}).encode())
            else:
                self._answer(b'{"error": {"code": 404, "message": "Not Found"}}', 404)

        def _range(self, size: int) -> tuple[int, int]:
            start, _, end = self.headers.get("Range", f"bytes=0-{size - 1}").removeprefix("bytes=").partition("-")
            return int(start), int(end or size - 1) + 1

        def _answer(self, content: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def described(name: str) -> dict[str, str]:
        return {
            "kind": "storage#object", "name": name, "bucket": BUCKET, "size": str(len(objects[name])), "generation": "1",
            "updated": "2025-01-02T00:00:00.000Z", "contentType": "text/plain",
        }  # fmt: skip

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
    yield objects
    server.shutdown()
    server.server_close()


def test_gcs_is_read_through_its_own_client(gcs: Files, tmp_path: Path) -> None:
    gcs["m/a.jsonl"] = b"\n".join(map(line, records(3)))
    gcs["m/b.parquet"] = parquet_bytes(tmp_path, [record(number) for number in range(5, 8)])
    with pull(tmp_path, blocks=blocks(f"gs://{BUCKET}/m")) as pulled:
        assert pulled.report.rows == 6
        assert pulled.report.set_aside == ()
