"""A bucket in this process behind a proxy that fails on purpose, and a folder that keeps the same promises."""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import pytest

from benchmarks.fault_proxy import FaultProxy, fault_proxy
from negset.objects.folder import FolderObjects
from negset.objects.objects import Objects
from negset.objects.opening import open_objects
from negset.objects.patience import Patience

BUCKET = "sets-bucket"
QUICK = Patience(deadline=20, first=0.01, longest=0.1, request=0.5)
SECRET = "canary-secret-9f2c"


@dataclass
class Bucket:
    """An address in the bucket, new for each test, and the proxy before it."""

    address: str
    proxy: FaultProxy

    def open(self, patience: Patience = QUICK) -> Objects:
        return open_objects(self.address, patience, allow_http=True)

    def inject(self, *kinds: str, only: str = "") -> None:
        """Have the next requests (of the method `only`, if given) meet these faults, one each."""
        left = list(kinds)
        self.proxy.plan = lambda method, _path: left.pop(0) if left and only in ("", method) else None

    def inject_at_random(self, kinds: tuple[str, ...], share: float, seed: int) -> None:
        chance = random.Random(seed)
        self.proxy.plan = lambda _method, _path: chance.choice(kinds) if chance.random() < share else None


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FaultProxy]:
    for name in ("obstore", "moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'negset[dev]'")
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="k",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    try:
        with fault_proxy(host, port, lambda _method, _path: None, stall=0.8) as proxy:
            yield proxy
    finally:
        server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, request) -> Iterator[Bucket]:
    values = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    s3_server.plan = lambda _method, _path: None
    s3_server.injected.clear()
    yield Bucket(f"s3://{BUCKET}/{sha256(request.node.nodeid.encode()).hexdigest()[:12]}", s3_server)
    s3_server.plan = lambda _method, _path: None


@pytest.fixture(params=["folder", "bucket"])
def objects(request, tmp_path) -> Objects:
    """Give an empty store of each kind in turn."""
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    return request.getfixturevalue("bucket").open()
