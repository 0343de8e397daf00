"""A proxy before an HTTP store that fails on purpose, in every way in which a network or S3 can fail a request."""

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

REFUSED = "connection closed before the request was applied"
LOST = "connection closed after the request was applied"
ERROR = "500 before the request was applied"
ERROR_AFTER = "500 after the request was applied"
SLOW_DOWN = "503 slow down"
CONFLICT = "409 conditional request conflict"
CUT = "answer cut in its middle"
STALL = "no answer in time, nothing applied"
STALL_AFTER = "no answer in time, the request was applied"
IGNORED = "conditions ignored, as by a store that knows none"
"""Not one of the kinds: no store for publishers does this."""
KINDS = (REFUSED, LOST, ERROR, ERROR_AFTER, SLOW_DOWN, CONFLICT, CUT, STALL, STALL_AFTER)

_BEFORE = {ERROR: (500, "InternalError"), SLOW_DOWN: (503, "SlowDown"), CONFLICT: (409, "ConditionalRequestConflict")}
_SKIPPED = {"transfer-encoding", "connection", "content-length", "server", "date"}

Plan = Callable[[str, str], str | None]
"""Which fault befalls a request of this method and path, None for none. Called one at a time."""


@dataclass
class FaultProxy:
    """Where the proxy listens, what it did, and what it is to do."""

    url: str
    plan: Plan
    injected: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    lock: Lock = field(default_factory=Lock)

    def fault(self, method: str, path: str, conditional: bool) -> str | None:
        """Give the fault of the next request and count it; one that does not fit the request is none."""
        with self.lock:
            self.requests += 1
            kind = self.plan(method, path)
            if kind == CONFLICT and not conditional:
                kind = None
            if kind is not None:
                self.injected[kind] += 1
            return kind


class Server(ThreadingHTTPServer):
    """The listening end of the proxy."""

    daemon_threads = True

    def __init__(self, upstream: tuple[str, int], plan: Plan, stall: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.stall = upstream, stall
        self.proxy = FaultProxy(f"http://127.0.0.1:{self.server_address[1]}", plan)


class Handler(BaseHTTPRequestHandler):
    """Pass one request on, or fail it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        """Do with this request what the plan says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        conditional = any(name in self.headers for name in ("If-Match", "If-None-Match"))
        kind = self.server.proxy.fault(self.command, self.path, conditional)
        if kind in (REFUSED, STALL):
            self.hang_up(stall=kind == STALL)
            return
        if kind in _BEFORE:
            self.reply(*_BEFORE[kind])
            return
        response, data = self.forward(body, kind)
        if kind in (LOST, STALL_AFTER):
            self.hang_up(stall=kind == STALL_AFTER)
        elif kind == ERROR_AFTER:
            self.reply(500, "InternalError")
        else:
            self.give(response, data, cut=kind == CUT)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

    def forward(self, body: bytes, kind: str | None) -> tuple[http.client.HTTPResponse, bytes]:
        """Have the server behind the proxy apply this request."""
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        try:
            ignored = ("if-match", "if-none-match") if kind == IGNORED else ()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ignored}
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            return response, response.read()
        finally:
            upstream.close()

    def give(self, response: http.client.HTTPResponse, data: bytes, *, cut: bool) -> None:
        """Pass the answer on, or half of it; of an answer without a body, not even its headers."""
        length = response.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _SKIPPED:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        if cut and not data:
            self.hang_up(stall=False)
            return
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.hang_up(stall=False)

    def reply(self, status: int, code: str) -> None:
        """Answer with an error of S3."""
        data = f"<Error><Code>{code}</Code></Error>".encode() if self.command != "HEAD" else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def hang_up(self, *, stall: bool) -> None:
        """Close the connection, at once or when the client has lost its patience."""
        time.sleep(self.server.stall if stall else 0)
        self.close_connection = True

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@contextmanager
def fault_proxy(host: str, port: int, plan: Plan, stall: float) -> Iterator[FaultProxy]:
    """Run a proxy before the server at `host`:`port`; a stalled request is held for `stall` seconds."""
    server = Server((host, port), plan, stall)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
