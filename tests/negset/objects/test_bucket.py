"""A bucket whose requests fail: what was written is known, nothing is written twice, nothing is reported wrongly."""

import os
import random
from hashlib import sha256

import pytest

from benchmarks import fault_proxy as faults
from negset.errors import AccessError, ConfigError, ConflictError, EnvironmentFault, TransientError
from negset.objects.opening import open_objects
from negset.objects.patience import Patience

WRITES = [kind for kind in faults.KINDS if kind != faults.CUT]


@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_put_that_met_a_fault_is_there_once(bucket, kind):
    objects = bucket.open()
    bucket.inject(kind, only="PUT")
    objects.put_once("key", b"bytes" * 100)
    assert bucket.proxy.injected[kind] == 1
    assert objects.get("key") == b"bytes" * 100


@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_swap_that_met_a_fault_took_place_once(bucket, kind):
    objects = bucket.open()
    objects.swap("LATEST", None, "a 1")
    bucket.inject(kind, only="PUT")
    objects.swap("LATEST", "a 1", "b 2")
    assert bucket.proxy.injected[kind] == 1
    assert objects.read("LATEST") == "b 2"


@pytest.mark.parametrize("kind", [kind for kind in faults.KINDS if kind != faults.CONFLICT])
def test_a_read_that_met_a_fault_gives_all_bytes(bucket, kind, tmp_path):
    objects, data = bucket.open(), random.Random(1).randbytes(200_000)
    objects.put_once("key", data)
    bucket.inject(kind, only="GET")
    assert objects.get("key") == data
    bucket.inject(kind, only="GET")
    objects.fetch("key", tmp_path / "copy", len(data), sha256(data).hexdigest())
    assert (tmp_path / "copy").read_bytes() == data
    assert bucket.proxy.injected[kind] == 2


def test_a_lost_answer_is_no_conflict_and_somebody_elses_object_is(bucket):
    objects = bucket.open()
    objects.put_once("key", b"theirs")
    bucket.inject(faults.LOST, faults.ERROR_AFTER, only="PUT")
    with pytest.raises(ConflictError, match="other bytes"):
        objects.put_once("key", b"ours")
    assert objects.get("key") == b"theirs"


def test_an_object_without_our_metadata_is_compared_by_its_bytes(bucket):
    import obstore

    objects = bucket.open()
    obstore.put(objects.quick, "key", b"bytes", use_multipart=False)
    objects.put_once("key", b"bytes")
    with pytest.raises(ConflictError):
        objects.put_once("key", b"BYTES")


def test_a_store_that_stays_away_is_given_up_at_the_deadline(bucket):
    objects = bucket.open(Patience(deadline=0.6, first=0.05, longest=0.1, request=30))
    bucket.proxy.plan = lambda _method, _path: faults.SLOW_DOWN
    with pytest.raises(TransientError, match=r"put key: no success in \d+ attempts.*503.*Run again") as caught:
        objects.put_once("key", b"bytes")
    assert caught.value.exit_code == 4


def test_refusals_are_not_retried(bucket):
    nowhere = open_objects("s3://no-such-bucket/x", allow_http=True)
    for write in (lambda: nowhere.put_once("key", b"x"), lambda: nowhere.read("LATEST")):
        before = bucket.proxy.requests
        with pytest.raises(AccessError, match="no such bucket"):
            write()
        assert bucket.proxy.requests - before <= 2


def test_more_than_one_put_takes_is_refused(bucket, monkeypatch):
    monkeypatch.setattr("negset.objects.bucket.MOST_BYTES", 10)
    with pytest.raises(EnvironmentFault, match="smaller parts"):
        bucket.open().put_once("key", b"x" * 11)


def test_nothing_is_uploaded_in_parts(bucket):
    methods = []
    bucket.proxy.plan = lambda method, path: methods.append((method, "uploads" in path))
    bucket.open(Patience()).put_once("key", bytes(20 * 1024**2))
    assert methods == [("HEAD", False), ("PUT", False)]


def test_much_that_is_there_already_is_not_sent_again(bucket):
    data, objects = bytes(9 * 1024**2), bucket.open(Patience())
    objects.put_once("key", data)
    methods = []
    bucket.proxy.plan = lambda method, _path: methods.append(method)
    objects.put_once("key", data)
    assert methods == ["HEAD"]
    with pytest.raises(ConflictError):
        objects.put_once("key", data[:-1] + b"x")


def test_a_machine_without_credentials_is_told_what_to_set(bucket):
    from obstore.exceptions import GenericError

    asked = GenericError("Error performing PUT http://169.254.169.254/latest/api/token - HTTP error")
    with pytest.raises(TransientError, match=r"no credentials.*AWS_ACCESS_KEY_ID"), bucket.open()._said("key"):
        raise asked


def test_no_secret_is_shown(bucket):
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    objects = bucket.open(Patience(deadline=0.2, first=0.05, longest=0.1, request=0.5))
    bucket.proxy.plan = lambda _method, _path: faults.ERROR
    with pytest.raises(TransientError) as caught:
        objects.get("key")
    for shown in (str(caught.value), repr(objects), objects.url):
        assert secret not in shown


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://key:secret@bucket/x", "no credentials"),
        ("s3://bucket/x?aws_secret_access_key=secret", "no credentials"),
        ("ftp://bucket/x", "known: s3"),
        ("s3:///x", "no bucket"),
        ("file:///", "absolute path"),
        ("file://host/x", "absolute path"),
    ],
)
def test_addresses_that_are_none_or_hold_secrets_are_refused(address, says):
    with pytest.raises(ConfigError, match=says) as caught:
        open_objects(address)
    assert "secret" not in str(caught.value)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("negset.objects.opening.find_spec", lambda _name: None)
    with pytest.raises(EnvironmentFault, match=r"negset\[s3\]"):
        open_objects("s3://bucket/x")


SEED = 20261125


def test_random_faults_lose_and_double_nothing(bucket):
    objects, chance = bucket.open(), random.Random(SEED)
    bucket.inject_at_random(tuple(WRITES), share=0.35, seed=SEED)
    pointer, written = None, {}
    while bucket.proxy.injected.total() < 30:
        key, data = f"k/{len(written)}", chance.randbytes(100)
        objects.put_once(key, data)
        written[key] = data
        objects.swap("LATEST", pointer, pointer := f"{key} {len(written)}")
    bucket.inject()
    assert {one.key: objects.get(one.key) for one in objects.listed("k")} == written
    assert objects.read("LATEST") == pointer
