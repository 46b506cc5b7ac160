import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse

from retrue.logger import Fields, InferenceLogger
from retrue.logger.asgi import InferenceMiddleware, current_call
from tests.aio import run_async
from tests.logger.serving import Listener, on_disk, serving, wait_for

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STREAMED = b"chunk"


@dataclass
class Shop:
    """A served model: what its clients see, and what was logged of it."""

    http: httpx.Client
    log: InferenceLogger
    heard: Listener
    to: Path
    background: list[str]

    def last(self) -> dict[str, Any]:
        return dict(wait_for(lambda: self.heard.records)[-1])

    def written(self) -> list[dict[str, Any]]:
        self.log.flush(5.0)
        return on_disk(self.to)


def application(log: InferenceLogger, background: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        background.append("started")
        yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(InferenceMiddleware, log=log, caller=lambda scope: dict(scope["headers"])[b"x-tenant"].decode())
    routes = APIRouter(prefix="/shops/{shop}")

    @app.post("/predict")
    def predict(basket: dict[str, Any]) -> dict[str, str]:
        call = current_call()
        call.given(basket)
        call.predicted(True, score=0.75)
        return {"id": call.inference_id}

    @routes.post("/items/{item:int}")
    async def item(shop: str, item: int) -> None:
        current_call().predicted(item)

    @app.post("/answers/{status}")
    def answers(status: int) -> None:
        raise HTTPException(status)

    @app.post("/raises")
    def raises(name: str) -> None:
        raise KeyError(name)

    @app.post("/times-out")
    async def times_out() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    @app.post("/refuses")
    def refuses() -> str:
        current_call().rejected("quota")
        return "sorry"

    @app.post("/streams")
    def streams() -> StreamingResponse:
        def chunks() -> Iterator[bytes]:
            for _ in range(3):
                time.sleep(0.02)
                yield STREAMED

        return StreamingResponse(chunks())

    @app.post("/endless")
    def endless() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield STREAMED
                await asyncio.sleep(0.01)

        return StreamingResponse(chunks())

    @app.post("/later")
    def later(tasks: BackgroundTasks) -> None:
        def work() -> None:
            background.append("begun")
            time.sleep(0.3)
            raise RuntimeError("of the background task")

        tasks.add_task(work)

    @app.get("/health")
    def health() -> str:
        return "fine"

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    app.include_router(routes, prefix="/v1")
    return app


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    heard, background = Listener(), list[str]()
    fields = Fields(keep=["age", "prediction"], key=b"of the tests, sixteen")
    log = InferenceLogger("shop", version="3", to=tmp_path, fields=fields, observers=[heard], resources_every=None)
    with serving(application(log, background)) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield Shop(http=client, log=log, heard=heard, to=tmp_path, background=background)
    log.close()


def test_a_handler_says_what_was_asked_and_answered_and_the_middleware_the_rest(shop: Shop) -> None:
    answer = shop.http.post("/predict", json={"age": 42, "name": "Jane"}, headers={"x-tenant": "acme"})
    (record,) = shop.written()
    assert record["features"] == {"age": 42, "name": {"type": "str", "len": 4}}
    assert (record["prediction"], record["score"], record["status"]) == (True, 0.75, "ok")
    assert record["endpoint"] == "POST /predict"
    assert record["request_bytes"] == len(answer.request.content)
    assert record["latency_ms"] > 0
    assert record["inference_id"] == answer.json()["id"] == answer.headers["x-inference-id"]
    assert "caller_id" in record
    assert "acme" not in str(record)


def test_the_callers_own_id_and_trace_are_kept_and_its_id_given_back(shop: Shop) -> None:
    given = {"x-inference-id": "order-17", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    assert shop.http.post("/predict", json={}, headers=given).headers["x-inference-id"] == "order-17"
    (record,) = shop.written()
    assert (record["inference_id"], record["trace_id"], record["span_id"]) == ("order-17", TRACE, SPAN)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-inference-id": "x" * 129},
        {"x-inference-id": "two words"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": "nonsense"},
    ],
    ids=["long id", "spaced id", "version ff", "null trace", "nonsense"],
)
def test_headers_that_are_none_are_left_aside(shop: Shop, headers: dict[str, str]) -> None:
    shop.http.post("/predict", json={}, headers=headers)
    (record,) = shop.written()
    assert record["inference_id"] != headers.get("x-inference-id")
    assert record.get("trace_id") is None


@pytest.mark.parametrize(
    ("path", "answered", "status", "kind"),
    [
        ("/answers/503", 503, "error", "http 503"),
        ("/answers/504", 504, "timeout", None),
        ("/answers/408", 408, "timeout", None),
        ("/answers/401", 401, "rejected", "rejected"),
        ("/answers/429", 429, "rejected", "rejected"),
        ("/answers/none", 422, "rejected", "rejected"),
        ("/raises?name=customer", 500, "error", "KeyError"),
        ("/times-out", 500, "timeout", "TimeoutError"),
        ("/refuses", 200, "rejected", "rejected"),
    ],
)
def test_how_the_request_ended_is_the_status(shop: Shop, path: str, answered: int, status: str, kind: str) -> None:
    assert shop.http.post(path).status_code == answered
    record = shop.last()
    assert record["status"] == status
    assert record.get("error_type") == kind


def test_why_a_request_was_rejected_is_kept(shop: Shop) -> None:
    shop.http.post("/answers/401")
    (record,) = shop.written()
    assert record["error_message"] == "http 401"


def test_the_stack_of_what_the_app_raised_is_kept_without_its_words(shop: Shop) -> None:
    shop.http.post("/raises?name=customer")
    (record,) = shop.written()
    assert "raises" in str(record["error_stack"])
    assert "customer" not in str(record)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/shops/jane/items/42", "POST /v1/shops/{shop}/items/{item}"),
        ("/v1/shops/jane/items/x", "POST unmatched"),
        ("/no/such/path", "POST unmatched"),
        ("/answers/418?token=secret", "POST /answers/{status}"),
    ],
)
def test_an_endpoint_is_a_route_and_names_nobody(shop: Shop, path: str, endpoint: str) -> None:
    shop.http.post(path)
    assert shop.last()["endpoint"] == endpoint


def test_routes_of_a_mounted_application_have_its_prefix(tmp_path: Path) -> None:
    inner, outer, heard = FastAPI(), FastAPI(), Listener()
    inner.add_api_route("/items/{item}", lambda item: item, methods=["POST"])
    outer.mount("/shops/{shop}", inner)
    log = InferenceLogger("shop", version="3", to=tmp_path, observers=[heard], resources_every=None)
    outer.add_middleware(InferenceMiddleware, log=log)
    with serving(outer) as url:
        httpx.post(f"{url}/shops/jane/items/42", trust_env=False)
    log.close()
    assert heard.records[0]["endpoint"] == "POST /shops/{shop}/items/{item}"


def test_a_stream_is_measured_to_its_last_byte(shop: Shop) -> None:
    assert shop.http.post("/streams").content == STREAMED * 3
    assert shop.last()["latency_ms"] >= 60
    assert shop.last()["status"] == "ok"


def test_a_background_task_is_not_part_of_the_inference(shop: Shop) -> None:
    shop.http.post("/later")
    record = shop.last()
    assert (record["status"], len(shop.heard.records)) == ("ok", 1)
    assert record["latency_ms"] < 300
    wait_for(lambda: "begun" in shop.background)


def test_a_client_that_leaves_is_a_timeout(shop: Shop) -> None:
    address = urlsplit(str(shop.http.base_url))
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"POST /endless HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n")
        assert client.recv(4096)
    assert shop.last()["status"] == "timeout"


def test_other_methods_sockets_and_the_lifespan_pass_through(shop: Shop) -> None:
    assert shop.background == ["started"]
    assert "x-inference-id" not in shop.http.get("/health").headers
    assert run_async(talk(shop)) == ["websocket.accept", "websocket.close"]
    assert shop.heard.records == []


async def talk(shop: Shop) -> list[str]:
    sent: list[str] = []
    app = application(shop.log, [])
    scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b"", "subprotocols": []}

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await app(scope, receive, send)
    return sent


def test_only_the_paths_that_are_named_are_observed(tmp_path: Path) -> None:
    heard = Listener()
    log = InferenceLogger("shop", version="3", to=tmp_path, observers=[heard], resources_every=None)
    app = FastAPI()
    for path in ("/predict", "/predict/batch", "/predictions"):
        app.add_api_route(path, lambda: None, methods=["PUT"])
    app.add_middleware(InferenceMiddleware, log=log, methods=["put"], paths=["/predict"])
    with serving(app) as url:
        for path in ("/predict", "/predict/batch", "/predictions"):
            httpx.put(f"{url}{path}", trust_env=False)
    log.close()
    assert [record["endpoint"] for record in heard.records] == ["PUT /predict", "PUT /predict/batch"]


def test_an_application_without_routes_has_its_ids_taken_out(tmp_path: Path) -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    heard = Listener()
    log = InferenceLogger("shop", version="3", to=tmp_path, observers=[heard], resources_every=None)
    app = InferenceMiddleware(bare, log=log)
    scope = {"type": "http", "method": "POST", "path": "/shops/jane/items/i42", "headers": []}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    run_async(app(scope, None, send))  # type: ignore[arg-type]
    log.close()
    assert heard.records[0]["endpoint"] == "POST /shops/jane/items/{id}"
    assert [name for name, _ in sent[0]["headers"]] == [b"x-inference-id"]


def test_what_the_app_raises_goes_on_to_the_server(tmp_path: Path) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("the app's own")

    log = InferenceLogger("shop", version="3", to=tmp_path, resources_every=None)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    with pytest.raises(LookupError, match="the app's own"):
        run_async(InferenceMiddleware(broken, log=log)(scope, None, None))  # type: ignore[arg-type]
    log.close()
    (record,) = on_disk(tmp_path)
    assert record["error_type"] == "LookupError"


def test_concurrent_requests_have_a_call_each(shop: Shop) -> None:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=shop.http.base_url, trust_env=False) as client:
            return await asyncio.gather(*(client.post("/predict", json={"age": age}) for age in range(40)))

    answers = run_async(ask())
    by_id = {record["inference_id"]: record["features"]["age"] for record in shop.written()}
    assert by_id == {answer.json()["id"]: age for age, answer in enumerate(answers)}


def test_a_handler_works_where_nothing_is_observed() -> None:
    call = current_call()
    call.given({"age": 1})
    call.predicted(True, score=0.5)
    assert call.inference_id == ""
    assert current_call().facts == {}


def test_a_request_reaches_the_app_unchanged(shop: Shop) -> None:
    app = FastAPI()

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, Any]:
        return {"body": (await request.body()).decode(), "query": str(request.url.query)}

    app.add_middleware(InferenceMiddleware, log=shop.log)
    body = "x" * 300_000
    with serving(app) as url:
        answer = httpx.post(f"{url}/echo?a=b", content=body, trust_env=False).json()
    assert answer == {"body": body, "query": "a=b"}
    assert shop.last()["request_bytes"] == len(body)
