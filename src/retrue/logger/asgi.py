"""A middleware for ASGI servers (FastAPI, Starlette, Litestar, Django …) that observes each request to a model.

    log = InferenceLogger("flight-delay", version="3", to="logs/flight-delay", fields=Fields(keep=["carrier"]))
    app.add_middleware(InferenceMiddleware, log=log)

    @app.post("/predict")
    def predict(flight: Flight) -> float:
        call = current_call()
        call.given(flight.model_dump())
        ...
        call.predicted(delayed, score=probability)

| what happens | status |
|---|---|
| the app raises | `error` (a TimeoutError: `timeout`); the exception goes on to the server |
| it answers 5xx | `error` of type `http 503` |
| it answers 408 or 504, or the client leaves before the answer is complete | `timeout` |
| it answers any other 4xx | `rejected`, with `http 401` as the reason |
| else | `ok` |

A handler that says how its call ended (`call.failed(error)`, `call.rejected("quota")`, `call.timed_out()`) has the last word.
The call ends with the last byte of the answer, so a stream is measured whole and a background task is not. Pure ASGI: no
framework is imported, bodies are neither read nor kept, and anything but HTTP passes through untouched.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from retrue.logger.calls import Call, CallFacts
from retrue.logger.current import current_call, served
from retrue.logger.inference import InferenceLogger

__all__ = ["InferenceMiddleware", "current_call"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

INFERENCE_ID: Final = b"x-inference-id"
UNMATCHED: Final = "unmatched"
_ID = re.compile(rb"[!-~]{1,128}")  # printable, without spaces
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_WITH_DIGIT = re.compile(r"[^/]*\d[^/]*")
_CONCLUSIONS = {"status", "error"}
_TIMEOUTS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT)


class InferenceMiddleware:
    """Observes the requests to a model and says their id in the answer's header `x-inference-id`.

    The id is the request's own header of that name where it has one, so that a caller can label its inference later. A
    `traceparent` header gives the record its trace where OpenTelemetry is not at work, which knows better.

    Args:
        app: The application around which it is put.
        log: Where the calls are logged.
        methods: Requests of other methods are not inferences.
        paths: Only requests to these paths, and those under them, are inferences; empty: all are.
        caller: Finds who asks in a request's scope, such as a tenant's header; where it raises, nobody is named.
    """

    def __init__(
        self,
        app: App,
        *,
        log: InferenceLogger,
        methods: Collection[str] = ("POST",),
        paths: Iterable[str] = (),
        caller: Callable[[Scope], str | None] | None = None,
    ) -> None:
        self._app = app
        self._log = log
        self._methods = frozenset(method.upper() for method in methods)
        self._paths = tuple(path.rstrip("/") for path in paths)
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not self._infers(scope):
            await self._app(scope, receive, send)
            return
        with served(self._observed(scope)) as call:
            exchange = _Exchange(call, scope, receive, send)
            with exchange:
                await self._app(scope, exchange.receive, exchange.send)
        self._log.lend()

    def _infers(self, scope: Scope) -> bool:
        if scope["method"] not in self._methods:
            return False
        path = _route_path(scope)
        return not self._paths or any(path == each or path.startswith(f"{each}/") for each in self._paths)

    def _observed(self, scope: Scope) -> Call:
        facts: CallFacts = {}
        for name, value in scope["headers"]:
            if name == INFERENCE_ID and _ID.fullmatch(value):
                facts["inference_id"] = value.decode("ascii")
            elif name == b"traceparent" and not _traced() and (parts := _TRACEPARENT.fullmatch(value)):
                facts["trace_id"], facts["span_id"] = (part.decode("ascii") for part in parts.groups())
            elif name == b"content-length" and value.isdigit():
                facts["request_bytes"] = int(value)
        if self._caller is not None:
            facts["caller_id"] = _asked(self._caller, scope)
        return self._log.observe({}, **facts)


class _Exchange:
    """One request and its answer: passes messages on unchanged and ends the call when the answer is complete."""

    def __init__(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        self._call, self._scope, self._receive, self._send = call, scope, receive, send
        self._received_bytes = 0
        self._status: int | None = None
        self._left = False
        self._ended = False

    def __enter__(self) -> None:
        self._call.__enter__()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end(error)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._left = True
        else:
            self._received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message = self._with_id(message)
        try:
            await self._send(message)
        except OSError:  # what servers raise where the client has left
            self._left = True
            raise
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._end(None)

    def _with_id(self, message: Message) -> Message:
        given = [(name, value) for name, value in message.get("headers", ()) if name.lower() != INFERENCE_ID]
        return {**message, "headers": [*given, (INFERENCE_ID, self._call.inference_id.encode("latin-1", "replace"))]}

    def _end(self, error: BaseException | None) -> None:
        """End the call, once; what a background task raises after the answer is not the inference's."""
        if self._ended:
            return
        self._ended = True
        self._call.told(endpoint=_endpoint(self._scope))
        if self._received_bytes:
            self._call.told(request_bytes=self._received_bytes)
        if error is None and not _CONCLUSIONS & self._call.facts.keys():
            self._conclude()
        self._call.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)

    def _conclude(self) -> None:
        if self._left or self._status in _TIMEOUTS:
            self._call.timed_out()
        elif self._status is None or self._status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._call.failed(f"http {self._status}" if self._status else "no answer")
        elif self._status >= HTTPStatus.BAD_REQUEST:
            self._call.rejected(f"http {self._status}")


def _traced() -> bool:
    """Return whether a span of OpenTelemetry is active already, such as that of its own middleware."""
    tracing = sys.modules.get("opentelemetry.trace")
    return tracing is not None and bool(tracing.get_current_span().get_span_context().is_valid)


def _asked(caller: Callable[[Scope], str | None], scope: Scope) -> str | None:
    try:
        return caller(scope)
    except Exception:  # noqa: BLE001 - the user's function must not cost the user's request
        return None


def _route_path(scope: Scope) -> str:
    """Return the path under the prefix at which the server itself is mounted."""
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return path.removeprefix(root)


def _endpoint(scope: Scope) -> str:
    """Return method and path as they are routed: `POST /users/{id}`, so that no id is kept and the number is bounded.

    A path that no route matched is `unmatched`. Where the framework does not say its routes, parts of the path with a digit
    in them are taken for ids.
    """
    method, path = scope["method"], _route_path(scope)
    route = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(template, str):
        return f"{method} {_prefix(path, template, scope)}{template}"
    if "router" in scope:
        return f"{method} {UNMATCHED}"
    return f"{method} {_WITH_DIGIT.sub('{id}', path)}"


def _prefix(path: str, template: str, scope: Scope) -> str:
    """Return where the route's application or router is mounted: what is left of the path before the route's parts."""
    parts, own = path.split("/"), template.rstrip("/").count("/")
    before = parts[1 : max(len(parts) - own, 1)]
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    return "".join(f"/{{{names[part]}}}" if part in names else f"/{part}" for part in before)
