"""infra/s3: the policy lets through every write that negset makes, and no write without a condition."""

import fnmatch
import json
import os
import urllib.request
from pathlib import Path

import pytest

S3 = Path(__file__).parents[2] / "infra" / "s3"
POLICY = json.loads((S3 / "bucket-policy.json").read_text())


def denied(action, headers, secure=True):
    """Say which statements of the policy deny a request: of S3's rules, those that the policy makes use of."""
    present = {name.lower() for name in headers}
    facts = {"s3:if-none-match": "if-none-match" in present, "s3:if-match": "if-match" in present}
    holds = {
        "Null": lambda key, value: facts[key] != (value == "true"),
        "Bool": lambda key, value: key == "aws:SecureTransport" and secure == (value == "true"),
    }
    return [
        statement["Sid"]
        for statement in POLICY["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and fnmatch.fnmatch(action, statement["Action"])
        and all(
            holds[operator](key, value)
            for operator, keys in statement["Condition"].items()
            for key, value in keys.items()
        )
    ]


@pytest.fixture
def asked(bucket, monkeypatch):
    """Give the methods and whether they had a condition of all requests that reach the store from now on."""
    requests, counted = [], bucket.proxy.fault

    def fault(method, path, conditional):
        requests.append((method, path, conditional))
        return counted(method, path, conditional)

    monkeypatch.setattr(bucket.proxy, "fault", fault)
    return requests


def test_a_write_without_a_condition_is_denied_and_nothing_else_is():
    assert denied("s3:PutObject", []) == ["NoWriteWithoutACondition"]
    assert denied("s3:PutObject", ["If-None-Match"]) == []
    assert denied("s3:PutObject", ["If-Match"]) == []
    assert denied("s3:GetObject", []) == []
    assert denied("s3:GetObject", [], secure=False) == ["NothingInTheClear"]
    assert denied("s3:PutObject", ["If-Match"], secure=False) == ["NothingInTheClear"]


def test_the_policy_is_about_everything_in_the_bucket():
    for statement in POLICY["Statement"]:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "arn:aws:s3:::BUCKET/*" in resources


def test_every_write_of_ours_passes(bucket, asked, tmp_path):
    objects = bucket.open()
    (tmp_path / "large").write_bytes(os.urandom(11 << 20))  # more than what clients cut into parts by themselves
    objects.put_once("small", b"one")
    objects.put_once("small", b"one")
    objects.put_once("large", tmp_path / "large")
    objects.swap("LATEST", None, "a 1")
    objects.swap("LATEST", "a 1", "b 2")
    assert objects.read("LATEST") == "b 2"
    writes = [one for one in asked if one[0] not in ("GET", "HEAD")]
    assert len(writes) >= 4
    assert {method for method, _, _ in writes} == {"PUT"}  # no upload in parts, which the policy denies
    assert [path for _, path, conditional in writes if denied("s3:PutObject", ["If-Match"] * conditional)] == []


def test_a_write_by_another_hand_is_seen_by_this_test(bucket, asked):
    """What would be denied is recognised: the test above can fail."""
    request = urllib.request.Request(f"{bucket.proxy.url}/sets-bucket/other", data=b"x", method="PUT")
    urllib.request.urlopen(request).close()
    ((method, _, conditional),) = asked
    assert (method, denied("s3:PutObject", ["If-Match"] * conditional)) == ("PUT", ["NoWriteWithoutACondition"])


def test_workers_may_read_and_put_and_nothing_more():
    said = json.loads((S3 / "worker-policy.json").read_text())["Statement"]
    actions = {
        action for one in said for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    assert {one["Effect"] for one in said} == {"Allow"}
