"""What both kinds of object store promise."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from negset.errors import ArtifactError, ConfigError, ConflictError, MissingObjectError
from negset.objects.objects import check_key


def digest(data):
    return sha256(data).hexdigest()


def test_what_was_put_is_got_by_its_digest(objects, tmp_path):
    objects.put_once("a/b.bin", b"bytes")
    (tmp_path / "file").write_bytes(b"of a file")
    objects.put_once("a/c.bin", tmp_path / "file")
    assert objects.get("a/b.bin", digest(b"bytes")) == b"bytes"
    objects.fetch("a/c.bin", tmp_path / "copy", 9, digest(b"of a file"))
    assert (tmp_path / "copy").read_bytes() == b"of a file"


def test_the_same_bytes_may_be_put_again_others_may_not(objects):
    objects.put_once("key", b"first")
    objects.put_once("key", b"first")
    for other in (b"other", b"longer than it", b""):
        with pytest.raises(ConflictError, match="other bytes"):
            objects.put_once("key", other)
    assert objects.get("key") == b"first"


def test_nothing_and_damage_are_told_apart(objects, tmp_path):
    with pytest.raises(MissingObjectError, match="nothing at"):
        objects.get("absent")
    with pytest.raises(MissingObjectError, match="nothing at"):
        objects.fetch("absent", tmp_path / "copy", 1, digest(b""))
    objects.put_once("key", b"first")
    for read in (lambda: objects.get("key", "0" * 64), lambda: objects.fetch("key", tmp_path / "f", 5, "0" * 64)):
        with pytest.raises(ArtifactError, match="damaged") as caught:
            read()
        assert not isinstance(caught.value, MissingObjectError)


def test_a_pointer_moves_only_from_what_is_expected(objects):
    assert objects.read("LATEST") is None
    with pytest.raises(ConflictError):
        objects.swap("LATEST", "a 1", "b 2")
    objects.swap("LATEST", None, "a 1")
    objects.swap("LATEST", None, "a 1")
    with pytest.raises(ConflictError, match="expected None"):
        objects.swap("LATEST", None, "b 1")
    objects.swap("LATEST", "a 1", "b 2")
    with pytest.raises(ConflictError, match="expected 'a 1'"):
        objects.swap("LATEST", "a 1", "c 2")
    assert objects.read("LATEST") == "b 2"


def test_of_many_swaps_at_once_one_wins(objects):
    objects.swap("LATEST", None, "start 0")

    def contend(number):
        try:
            objects.swap("LATEST", "start 0", f"writer {number}")
        except ConflictError:
            return None
        return number

    with ThreadPoolExecutor(6) as pool:
        winners = [number for number in pool.map(contend, range(6)) if number is not None]
    assert [f"writer {number}" for number in winners] == [objects.read("LATEST")]


def test_of_many_puts_at_once_one_wins(objects):
    def contend(number):
        try:
            objects.put_once("key", b"%d" % number)
        except ConflictError:
            return None
        return number

    with ThreadPoolExecutor(6) as pool:
        winners = [number for number in pool.map(contend, range(6)) if number is not None]
    assert [b"%d" % number for number in winners] == [objects.get("key")]


def test_objects_are_listed_by_folder_and_deleted_by_key(objects):
    for key in ("b/2", "b/1", "bb/3", "c"):
        objects.put_once(key, b"x")
    assert [one.key for one in objects.listed()] == ["b/1", "b/2", "bb/3", "c"]
    assert [(one.key, one.bytes) for one in objects.listed("b")] == [("b/1", 1), ("b/2", 1)]
    objects.delete("b/1")
    objects.delete("b/1")
    assert [one.key for one in objects.listed("b")] == ["b/2"]
    objects.put_once("b/1", b"y")
    assert objects.get("b/1") == b"y"


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".negset-lock", "a/.negset-b", "a\\b", "a\nb"]
)
def test_a_key_stays_in_its_store(key, objects):
    with pytest.raises(ConfigError, match="no key"):
        check_key(key)
    with pytest.raises(ConfigError, match="no key"):
        objects.put_once(key, b"x")
