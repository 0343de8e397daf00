"""A server that answers like Prefect's, as well or as badly as a test wants."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from time import time

import pytest


@dataclass
class Stub:
    """What the server says."""

    auth: str = ""
    prefect: str = field(default_factory=lambda: version("prefect"))
    ahead: float = 0.0
    deployments: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    workers: list = field(default_factory=list)

    def answer(self, path):
        if path.endswith("/admin/version"):
            return self.prefect
        if path.endswith("/deployments/filter"):
            return self.deployments
        return self.runs if path.endswith("/flow_runs/filter") else self.workers


@contextmanager
def serve(stub: Stub, host: str = "127.0.0.1") -> Iterator[str]:
    """Run a server that bears `stub`; give the URL of its API on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            expected = f"Basic {base64.b64encode(stub.auth.encode()).decode()}"
            refused = stub.auth and self.headers.get("authorization") != expected
            body = json.dumps("no" if refused else stub.answer(self.path)).encode()
            self.send_response_only(401 if refused else 200)
            self.send_header("date", formatdate(time() + stub.ahead, usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def served():
    """Give `Stub` and `serve`."""
    return Stub, serve
