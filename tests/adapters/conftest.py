"""A proxy before the MLflow server that spoils its answers."""

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

Fault = Callable[[int, str, str], str]


@pytest.fixture
def faulty(mlflow_uri: str) -> Iterator[Callable[[Fault], str]]:
    """Start proxies before MLflow: ``fault(number, method, path)`` says pass, error (not forwarded) or lost (no answer)."""
    servers: list[ThreadingHTTPServer] = []

    def start(fault: Fault) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fault, urlsplit(mlflow_uri).netloc))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(fault: Fault, target: str) -> type[BaseHTTPRequestHandler]:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append(self.path)
            what = fault(len(requests), self.command, self.path.partition("?")[0])
            if what == "error":
                self.send_error(500)
                return
            status, headers, answer = self._forward(body)
            if what == "lost":
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - the names http.server calls

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(target, timeout=30)
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            connection.request(self.command, self.path, body=body, headers=kept)
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            return response.status, response.getheaders(), answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
