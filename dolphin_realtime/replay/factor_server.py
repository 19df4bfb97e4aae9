"""Serves the factors' sources on loopback, with faults on request.

HTTP and the faults belong here. `POST /replay/faults` with
``{"path": "/fng/", "fault": "500", "times": 3}`` makes an endpoint fail; a `DELETE` ends all
faults. Every answer says in a header that it is simulated.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from dolphin_realtime.infra import log
from dolphin_realtime.replay.bad_answers import BAD_BODIES
from dolphin_realtime.replay.factor_sources import BadRequestError, FactorSources

CONTROL: Final = "/replay/faults"
SIMULATED_HEADER: Final = "X-Dolphin-Simulated"
USED_WEIGHT: Final = "X-MBX-USED-WEIGHT-1M"
STATUS_FAULTS: Final = {
    "429": HTTPStatus.TOO_MANY_REQUESTS,
    "418": HTTPStatus.IM_A_TEAPOT,
    "500": HTTPStatus.INTERNAL_SERVER_ERROR,
}
HANG_S: Final = 60.0
FOR_EVER: Final = 1 << 30


class Fault(msgspec.Struct, kw_only=True):
    """How an endpoint misbehaves, and for how many more requests."""

    path: str
    fault: str
    times: int = FOR_EVER
    retry_after: str | None = None


KNOWN: Final = (*STATUS_FAULTS, "hang", "truncated", *BAD_BODIES)


class FactorServer:
    """Serves the sources; faults are set from any thread.

    Attributes:
        asked: How often each path was asked, for tests.
    """

    def __init__(self, sources: FactorSources, now_us: Callable[[], int]) -> None:
        self._sources, self._now_us = sources, now_us
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self.asked: dict[str, int] = {}

    def misbehave(self, fault: Fault) -> None:
        """Make an endpoint fail from now on.

        Raises:
            ValueError: If the path or the fault is unknown.
        """
        if fault.path not in self._sources.routes or fault.fault not in KNOWN:
            raise ValueError(f"no endpoint {fault.path!r}, or no fault {fault.fault!r} of {KNOWN}")
        with self._lock:
            self._faults[fault.path] = fault

    def behave(self) -> None:
        """End every fault."""
        with self._lock:
            self._faults.clear()

    def take_fault(self, path: str) -> Fault | None:
        """Count a request and return the fault that applies to it, None if there is none."""
        with self._lock:
            self.asked[path] = self.asked.get(path, 0) + 1
            fault = self._faults.get(path)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                del self._faults[path]
            return fault

    def answer(self, path: str, query: dict[str, str], fault: str | None) -> tuple[int, bytes]:
        """Return status and body of a request."""
        route, now_us = self._sources.routes.get(path), self._now_us()
        if route is None:
            return HTTPStatus.NOT_FOUND, b'{"code":404,"msg":"not found"}'
        if now_us <= 0:
            return HTTPStatus.SERVICE_UNAVAILABLE, b"the replay has not begun"
        try:
            body = route(query, now_us)
        except BadRequestError as e:
            return HTTPStatus.BAD_REQUEST, str(e).encode()
        except (KeyError, ValueError) as e:
            return HTTPStatus.BAD_REQUEST, f"bad parameter: {e}".encode()
        if fault in BAD_BODIES:
            body = BAD_BODIES[fault](body)
        return HTTPStatus.OK, body.encode() if isinstance(body, str) else msgspec.json.encode(body)

    @property
    def note(self) -> str:
        """How the answers are simulated."""
        return self._sources.note


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        mine = self.server.factors
        fault = mine.take_fault(url.path)
        kind = fault.fault if fault else None
        if kind == "hang":
            mine.stopping.wait(HANG_S)
            self.close_connection = True
            return
        if fault and kind in STATUS_FAULTS:
            wait = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._send(STATUS_FAULTS[kind], b'{"code":-1003,"msg":"Too many requests."}', wait)
            return
        status, body = mine.answer(url.path, dict(parse_qsl(url.query)), kind)
        self._send(status, body, {}, is_cut=kind == "truncated")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != CONTROL:
            self._send(HTTPStatus.NOT_FOUND, b"POST /replay/faults alone", {})
            return
        try:
            self.server.factors.misbehave(msgspec.json.decode(body, type=Fault))
        except (ValueError, msgspec.DecodeError) as e:
            self._send(HTTPStatus.BAD_REQUEST, str(e).encode(), {})
            return
        self._send(HTTPStatus.OK, b"{}", {})

    def do_DELETE(self) -> None:
        self.server.factors.behave()
        self._send(HTTPStatus.OK, b"{}", {})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], *, is_cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(SIMULATED_HEADER, self.server.factors.note)
        self.send_header(USED_WEIGHT, "1")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_cut else body)
        self.close_connection = self.close_connection or is_cut

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Do not log single requests."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, factors: FactorServer) -> None:
        self.factors = factors
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log a connection that failed, e.g. because the client hung up."""
        log.get().info("factor_server.hung_up", client=str(client_address))


@contextmanager
def serve_factors(factors: FactorServer, port: int) -> Iterator[int]:
    """Serve from threads of their own and yield the port; 0 takes a free one.

    Raises:
        OSError: If the port is taken.
    """
    server = _Server(port, factors)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="factors", daemon=True
    )
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        factors.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
