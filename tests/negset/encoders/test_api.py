import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from negset.encoders import api
from negset.encoders.encoder import encoder_fingerprint, open_encoder, prepare_encoder
from negset.errors import ConfigError, ContractError, TransientError
from negset.service import ATTEMPTS
from schemas.encoder import EncoderConfig


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0, 0.0]


class Service:
    """A local embeddings service that answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, object]] = []
        self.requests: list[tuple[str, dict, dict]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, answer = service.answers.pop(0) if service.answers else (200, None)
                rows = [{"index": place, "embedding": vector(text)} for place, text in enumerate(body["input"])]
                data = json.dumps({"data": rows[::-1]} if answer is None else answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *values):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Service()
    yield running
    running.close()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Give the seconds that would have been waited."""
    seconds: list[float] = []
    monkeypatch.setattr(api.time, "sleep", seconds.append)
    return seconds


def config_of(service, **options) -> EncoderConfig:
    return EncoderConfig(backend="api", url=service.url, model="m1", **options)


def opened(service, store, corpus, secrets=None, **options):
    config = config_of(service, **options)
    return open_encoder(config, store, prepare_encoder(config, corpus, store), secrets or {})


def test_texts_go_out_in_batches_and_vectors_come_back_in_order(service, store, corpus, waits):
    encoder = opened(service, store, corpus, batch_size=2, query_prompt="q: ")

    vectors = encoder.encode(["a", "bbb", "cc"], ["1", "2", "3"], "query")

    assert encoder.dimensions == 3
    assert [body["input"] for _, _, body in service.requests[1:]] == [["q: a", "q: bbb"], ["q: cc"]]
    assert {(path, body["model"]) for path, _, body in service.requests} == {("/v1/embeddings", "m1")}
    lengths = np.array([4, 6, 5])
    np.testing.assert_allclose(vectors[:, 0], lengths / np.sqrt(lengths**2 + 1), rtol=1e-6)
    assert encoder.encode([], [], "document").shape == (0, 3)


def test_the_key_comes_from_the_caller_and_shows_nowhere(service, store, corpus, waits):
    encoder = opened(service, store, corpus, {"MY_KEY": "canary"}, api_key_env="MY_KEY")
    encoder.encode(["a"], ["1"], "document")

    assert {headers["authorization"] for _, headers, _ in service.requests} == {"Bearer canary"}
    assert "canary" not in repr(encoder)
    assert all(b"canary" not in path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    with pytest.raises(ConfigError, match="'OTHER', which is not set"):
        opened(service, store, corpus, {"MY_KEY": "canary"}, api_key_env="OTHER")


def test_too_many_requests_are_tried_again_after_growing_waits(service, store, corpus, waits):
    encoder = opened(service, store, corpus)
    service.answers = [(429, {}), (503, {}), (429, {})]

    assert encoder.encode(["a"], ["1"], "document").shape == (1, 3)
    assert len(service.requests) == 5
    assert [0.25 <= waits[0] <= 0.75, 0.5 <= waits[1] <= 1.5, 1 <= waits[2] <= 3] == [True] * 3


def test_a_service_that_stays_broken_is_a_transient_error(service, store, corpus, waits):
    encoder = opened(service, store, corpus)
    service.answers = [(500, {"error": "on fire"})] * 100

    with pytest.raises(TransientError, match=r"failed 6 times, last with status 500.*on fire"):
        encoder.encode(["a"], ["1"], "document")
    assert len(service.requests) == 1 + ATTEMPTS
    assert len(waits) == ATTEMPTS - 1


def test_nobody_listening_is_a_transient_error(service, store, corpus, waits):
    encoder = opened(service, store, corpus)
    service.close()

    with pytest.raises(TransientError, match="ConnectError"):
        encoder.encode(["a"], ["1"], "document")


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_tried_again(service, store, corpus, waits, status):
    encoder = opened(service, store, corpus)
    service.answers = [(status, {"error": "no"})]

    with pytest.raises(ConfigError, match=f"refused model 'm1' with status {status}"):
        encoder.encode(["a"], ["1"], "document")
    assert waits == []


def rows(*vectors):
    return {"data": [{"index": place, "embedding": list(vector)} for place, vector in enumerate(vectors)]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (rows((1, 2), (3, 4)), "vectors of 2 dimensions, 3 before"),
        (rows((1, 2, 3)), r"answered 2 texts with vectors of shape \(1, 3\)"),
        (rows((1, 2, 3), (1, 2)), "in another shape"),
        ({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}, "indices \\[0, 0\\]"),
        ({"vectors": []}, "in another shape"),
        ({"data": [{"index": 0}, {"index": 1}]}, "in another shape"),
        ([], "in another shape"),
    ],
)
def test_answers_of_another_shape_are_refused(service, store, corpus, waits, answer, said):
    encoder = opened(service, store, corpus)
    service.answers = [(200, answer)]

    with pytest.raises(ContractError, match=said):
        encoder.encode(["a", "b"], ["1", "2"], "document")


def test_a_null_in_a_vector_is_left_for_the_gate_to_find(service, store, corpus, waits):
    encoder = opened(service, store, corpus)
    service.answers = [(200, rows((1, 2, 3), (1, None, 3)))]

    found = encoder.encode(["a", "b"], ["1", "2"], "document")

    assert np.isfinite(found).all(axis=1).tolist() == [True, False]


def test_batches_of_different_widths_are_refused(service, store, corpus, waits):
    encoder = opened(service, store, corpus, batch_size=1)
    service.answers = [(200, rows((1, 2, 3))), (200, rows((1, 2)))]

    with pytest.raises(ContractError, match=r"different dimensions: \[2, 3\]"):
        encoder.encode(["a", "b"], ["1", "2"], "document")


def test_a_service_must_be_named(store, corpus):
    with pytest.raises(ConfigError, match=r"needs encoder\.url"):
        prepare_encoder(EncoderConfig(backend="api", url="ftp://x", model="m"), corpus, store)
    with pytest.raises(ConfigError, match=r"needs encoder\.url"):
        prepare_encoder(EncoderConfig(backend="api", url="http://x"), corpus, store)


def test_url_model_revision_and_prompts_are_in_the_fingerprint(service):
    keys = {
        encoder_fingerprint(config_of(service, **options), "c")
        for options in ({}, {"revision": "2"}, {"query_prompt": "q"}, {"document_prompt": "q"}, {"batch_size": 3})
    }
    assert len(keys) == 4
