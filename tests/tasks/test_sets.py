"""Sets by path and by address."""

from pathlib import Path

import pytest

from negset.errors import ArtifactError, ConfigError
from tasks import sets
from tasks.place import Place


@pytest.mark.parametrize(
    ("where", "split"),
    [
        ("s3://bucket/tldr", ("s3://bucket", "tldr", None)),
        ("s3://bucket/pre/fix/tldr/", ("s3://bucket/pre/fix", "tldr", None)),
        ("s3://bucket/pre/tldr/versions/0123", ("s3://bucket/pre", "tldr", "0123")),
        ("s3://bucket/versions/tldr", ("s3://bucket/versions", "tldr", None)),
        ("file:///data/sets/tldr", ("file:///data/sets", "tldr", None)),
        ("file:///data/sets/tldr/versions/0123", ("file:///data/sets", "tldr", "0123")),
    ],
)
def test_an_address_is_a_store_a_set_and_perhaps_a_version(where, split):
    assert sets.split_address(where) == split


@pytest.mark.parametrize("where", ["s3://bucket", "s3://bucket/", "s3:///"])
def test_a_store_alone_is_no_set(where):
    with pytest.raises(ConfigError, match="write the set too"):
        sets.split_address(where)


def test_a_path_is_itself(tmp_path):
    assert sets.local_set(str(tmp_path / "set")) == tmp_path / "set"
    assert sets.local_set("relative/set") == Path("relative/set")


def test_a_store_without_the_set_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("NEGSET_HOME", str(tmp_path / "home"))
    with pytest.raises(ArtifactError, match="holds no negative set"):
        sets.local_set((tmp_path / "objects").as_uri() + "/tiny")


def test_folders_stay_where_they_were(monkeypatch, tmp_path):
    monkeypatch.setenv("NEGSET_HOME", str(tmp_path))
    assert (Place().sets_folder(), Place().shared_sets()) == (tmp_path / "sets", None)
    monkeypatch.setenv("NEGSET_SETS", str(tmp_path / "elsewhere"))
    assert (Place().sets_folder(), Place().shared_sets()) == (tmp_path / "elsewhere", None)
    monkeypatch.setenv("NEGSET_SETS", (tmp_path / "objects").as_uri())
    assert Place().sets_folder().parent == tmp_path / "copies"
    monkeypatch.setenv("NEGSET_SETS", (tmp_path / "objects").as_uri() + "/")
    first = Place().sets_folder()
    monkeypatch.setenv("NEGSET_SETS", (tmp_path / "others").as_uri())
    assert Place().sets_folder() != first
    assert Place().sets_folder().parent == first.parent


def test_http_and_the_deadline_come_from_the_environment(monkeypatch, bucket):
    monkeypatch.setenv("NEGSET_SETS", bucket.address)
    monkeypatch.setenv("NEGSET_OBJECTS_DEADLINE", "7.5")
    objects = Place().shared_sets()
    objects.put_once("key", b"x")
    assert objects.patience.deadline == 7.5
