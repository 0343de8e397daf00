"""Publish to a bucket through a network that fails: `python -m benchmarks.object_faults [--faults 1000]`.

Several publishers at one time share versions of a small set in moto's S3 server, through a proxy that fails every
fourth request in one of nine ways, until so many faults were injected. Then the network is well again and the bucket
is looked at. Prints one line of JSON: what was lost, doubled, spurious or damaged, all of which must be 0; the exit
code is 1 where it is not. Needs the development extras.
"""

import argparse
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Lock

from benchmarks.fault_proxy import KINDS, STALL, STALL_AFTER, FaultProxy, fault_proxy
from negset.errors import ConflictError, NegsetError, TransientError
from negset.objects.objects import Objects
from negset.objects.opening import open_objects
from negset.objects.patience import Patience
from negset.publishing.moves import read_moves, shared_latest
from negset.publishing.publish import publish_set
from negset.publishing.sharing import check_shared, share_version
from tests.negset.publishing.conftest import draft_of, stage

_COUNTED = (ConflictError.__name__, TransientError.__name__)
BUCKET, DATASET = "faults-bucket", "tiny"
SHARE = 0.25
REQUEST = 1.5
"""Seconds of patience with one request; a stall takes longer."""
_WEIGHTS = [1 if kind in (STALL, STALL_AFTER) else 4 for kind in KINDS]


@dataclass
class Told:
    """What the publishers were told."""

    published: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)


@contextmanager
def bucket() -> Iterator[FaultProxy]:
    """Run moto's server with an empty bucket, and a proxy before it that does nothing yet."""
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    try:
        with fault_proxy(host, port, lambda _method, _path: None, stall=1.3 * REQUEST) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            yield proxy
    finally:
        server.stop()


def opened() -> Objects:
    """Open the bucket as one more machine."""
    patience = Patience(deadline=120, first=0.02, longest=0.5, request=REQUEST)
    return open_objects(f"s3://{BUCKET}/sets", patience, allow_http=True)


def publish_until(folder: Path, publisher: int, proxy: FaultProxy, faults: int, told: Told) -> None:
    """Publish one version after the other, each new, until `faults` were injected in all."""
    objects, by, at = opened(), f"publisher {publisher}", datetime(2026, 1, 1, tzinfo=UTC)
    draft = draft_of(stage(folder / f"staged-{publisher}"))
    for number in count():
        if proxy.injected.total() >= faults:
            return
        facts = draft.facts.model_copy(update={"description": f"version {number} of {by}"})
        made = publish_set(replace(draft, facts=facts), folder / f"sets-{publisher}", by=by, at=at)
        try:
            share_version(objects, Path(made.path), by=by, at=at, write=f"{publisher} {number}")
        except NegsetError as error:
            with told.lock:
                told.errors[type(error).__name__] += 1
            print(f"publisher {publisher}: {error}", file=sys.stderr)
        else:
            with told.lock:
                told.published.append(made.fingerprint)


def look(told: Told, folder: Path) -> dict[str, int]:
    """Count what is wrong in the bucket, given what the publishers were told."""
    objects = opened()
    line = [move.entry for move in read_moves(objects, DATASET)]
    moved = Counter(entry.id for entry in line)
    ids = [entry.id for entry in line]
    stored = {one.key.split("/")[2] for one in objects.listed(f"{DATASET}/versions")}
    damaged = 0
    for number, identity in enumerate(sorted(stored)):
        try:
            check_shared(objects, DATASET, identity, folder / f"checked-{number}")
        except NegsetError as error:
            damaged += 1
            print(f"{identity}: {error}", file=sys.stderr)
    return {
        "lost": sum(not (moved[identity] and identity in stored) for identity in told.published),
        "doubled": sum(count - 1 for count in moved.values()),
        "spurious_versions": len({*moved, *stored} - set(told.published)),
        "spurious_conflicts": told.errors[ConflictError.__name__],
        "given_up": told.errors[TransientError.__name__],
        "other_errors": told.errors.total()
        - told.errors[ConflictError.__name__]
        - told.errors[TransientError.__name__],
        "broken_line": sum(entry.parent != parent for entry, parent in zip(line, [None, *ids], strict=False)),
        "latest_behind": int(shared_latest(objects, DATASET) != (([None, *ids])[-1], len(line))),
        "damaged": damaged,
    }


def main() -> int:
    """Inject faults, look, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--publishers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=13)
    options = parser.parse_args()
    chance, told, start = random.Random(options.seed), Told(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="object-faults-") as name, bucket() as proxy:
        folder = Path(name)
        proxy.plan = lambda _method, _path: chance.choices(KINDS, _WEIGHTS)[0] if chance.random() < SHARE else None
        with ThreadPoolExecutor(options.publishers) as pool:
            runs = [
                pool.submit(publish_until, folder, number, proxy, options.faults, told)
                for number in range(options.publishers)
            ]
            for run in runs:
                run.result()
        injected, requests = dict(proxy.injected), proxy.requests
        proxy.plan = lambda _method, _path: None
        seconds = time.monotonic() - start
        wrong = look(told, folder)
    report = {
        "seed": options.seed,
        "publishers": options.publishers,
        "versions": len(told.published),
        "requests": requests,
        "faults": sum(injected.values()),
        **wrong,
        "by_kind": dict(sorted(injected.items())),
        "seconds": round(seconds, 1),
    }
    print(json.dumps(report))
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
