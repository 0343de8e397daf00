"""Sharing a version: whole or absent for every reader, whoever dies, and whoever publishes the same at one time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks import fault_proxy as faults
from negset.errors import ArtifactError, ConflictError, MissingObjectError, TransientError
from negset.gates.previous import find_previous
from negset.objects.folder import FolderObjects
from negset.publishing.publish import publish_set, read_history
from negset.publishing.reading import read_latest, read_set
from negset.publishing.sharing import MANIFESTS, check_shared, fetch_version, follow, share_version
from negset.publishing.verify import verify_set
from negset.store import stored_files

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROBES = 1
"""Writes that ask whether the store has conditional ones, and are applied."""


def digests(folder):
    return {file.path: file.sha256 for file in stored_files(folder)}


def share(objects, version, by="ada", at=AT):
    share_version(objects, version, by=by, at=at)


@pytest.fixture
def folder(tmp_path):
    return FolderObjects(tmp_path / "objects")


@pytest.fixture
def versions(tiny_set, tmp_path):
    """Give two versions of the tiny set, and the first as somebody else published it a day later."""
    made = []
    for place, by, days, facts in (("a", "ada", 0, {}), ("b", "ada", 0, {"description": "other"}), ("c", "bob", 1, {})):
        draft = tiny_set.draft_of(tiny_set.stage(tmp_path / f"staged-{place}"), **facts)
        ref = publish_set(draft, tmp_path / place, by=by, at=AT + timedelta(days=days))
        made.append(Path(ref.path))
    assert made[0].name == made[2].name != made[1].name
    return made


class Counting:
    """A store that counts its writes and dies before the one numbered `last`."""

    def __init__(self, objects, last=10**9):
        self.objects, self.last, self.writes = objects, last, 0

    def __getattr__(self, name):
        return getattr(self.objects, name)

    def _write(self, write, *arguments):
        if self.writes >= self.last:
            message = "the machine lost its network"
            raise TransientError(message)
        write(*arguments)
        self.writes += 1

    def put_once(self, *arguments):
        self._write(self.objects.put_once, *arguments)

    def swap(self, *arguments):
        self._write(self.objects.swap, *arguments)


def test_a_shared_version_comes_back_byte_for_byte(bucket, versions, tmp_path):
    objects = bucket.open()
    share(objects, versions[0])
    assert follow(objects, "tiny", tmp_path / "here") == versions[0].name
    assert digests(tmp_path / "here" / "versions" / versions[0].name) == digests(versions[0])
    assert verify_set(tmp_path / "here").id == versions[0].name
    assert read_history(tmp_path / "here") == read_history(versions[0].parents[1])
    assert (tmp_path / "here" / "LATEST").read_bytes() == (versions[0].parents[1] / "LATEST").read_bytes()
    keys = {one.key.partition("/")[2] for one in objects.listed("tiny") if "/versions/" in one.key}
    assert keys == {f"versions/{versions[0].name}/{name}" for name in digests(versions[0])}


def test_the_files_in_the_store_are_a_version_as_they_lie(folder, versions):
    share(folder, versions[0])
    there = folder.root / "tiny" / "versions" / versions[0].name
    assert digests(there) == digests(versions[0])
    assert verify_set(there).id == versions[0].name


def test_faults_change_nothing(bucket, versions, tmp_path):
    kinds = (
        "connection closed before the request was applied",
        "connection closed after the request was applied",
        "500 after the request was applied",
        "503 slow down",
        "409 conditional request conflict",
        "answer cut in its middle",
    )
    bucket.inject_at_random(kinds, share=0.3, seed=11)
    objects = bucket.open()
    for version in (versions[0], versions[1]):
        share(objects, version)
    follow(objects, "tiny", tmp_path / "here")
    assert bucket.proxy.injected.total() > 15
    bucket.inject()
    assert verify_set(tmp_path / "here").id == versions[1].name
    assert [entry.id for entry in read_history(tmp_path / "here")] == [versions[0].name, versions[1].name]
    assert digests(fetch_version(objects, "tiny", versions[0].name, tmp_path / "there")) == digests(versions[0])


def test_whoever_dies_at_any_write_another_one_completes_it(versions, tmp_path):
    """Ada dies at each of her writes in turn; Bob, with the same rows and other papers, publishes after her."""
    counting = Counting(FolderObjects(tmp_path / "whole"))
    share(counting, versions[0])
    whole = counting.writes
    for last in sorted({*range(0, whole, 4), *range(whole - 4, whole)}):
        objects = FolderObjects(tmp_path / f"objects-{last}")
        with pytest.raises(TransientError):
            share(Counting(objects, last), versions[0])
        assert follow(objects, "tiny", tmp_path / f"before-{last}") is None
        share(objects, versions[2], by="bob", at=AT + timedelta(days=1))
        here = tmp_path / f"here-{last}"
        assert follow(objects, "tiny", here) == versions[0].name
        assert digests(here / "versions" / versions[0].name) in (digests(versions[0]), digests(versions[2]))
        assert len(read_history(here)) == 1


def test_a_reader_sees_no_version_before_its_manifest(folder, versions, tmp_path):
    counting = Counting(folder)
    share(Counting(FolderObjects(tmp_path / "count")), versions[0])
    # One write more is the tar's, so the manifest, the last of the files, is not there.
    counting.last = PROBES + len(digests(versions[0]))
    with pytest.raises(TransientError):
        share(counting, versions[0])
    with pytest.raises(MissingObjectError, match=r"manifest\.json"):
        fetch_version(folder, "tiny", versions[0].name, tmp_path / "here")
    assert not (tmp_path / "here" / "versions").exists()


def test_a_version_that_is_there_costs_no_write_but_the_move(folder, versions):
    share(folder, versions[0])
    share(folder, versions[1])
    counting = Counting(folder)
    share(counting, versions[2], by="bob")
    assert counting.writes == PROBES + 2
    counting = Counting(folder)
    share(counting, versions[0])
    assert counting.writes == PROBES


def test_damage_here_does_not_get_there(folder, versions):
    file = next((versions[0] / "data").rglob("*.parquet"))
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(ArtifactError, match=file.name):
        share(folder, versions[0])
    assert folder.read("tiny/LATEST") is None


@pytest.mark.parametrize("name", ["data", "papers", "manifest.json"])
def test_damage_there_is_named_and_not_brought_here(folder, versions, tmp_path, name):
    share(folder, versions[0])
    there = folder.root / "tiny"
    version = there / "versions" / versions[0].name
    damaged = {
        "data": sorted((version / "data").rglob("*.parquet"))[0],
        "papers": there / "papers" / f"{versions[0].name}.tar",
        "manifest.json": version / "manifest.json",
    }[name]
    data = bytearray(damaged.read_bytes())
    at = data.find(b'"') if name != "data" else len(data) // 2
    data[at] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"damaged|no manifest"):
        fetch_version(folder, "tiny", versions[0].name, tmp_path / "here")
    assert not (tmp_path / "here" / "versions" / versions[0].name).exists()


def test_other_bytes_under_a_versions_id_are_a_conflict_and_stay(folder, versions):
    folder.put_once(f"tiny/versions/{versions[0].name}/data/fates/part-00000.parquet", b"theirs")
    with pytest.raises(ConflictError, match="other bytes"):
        share(folder, versions[0])
    assert folder.read("tiny/LATEST") is None


def test_what_only_this_machine_said_is_forgotten(folder, versions, tmp_path):
    share(folder, versions[0])
    here = versions[1].parents[1]
    assert read_latest(here) == versions[1].name
    follow(folder, "tiny", here)
    assert read_latest(here) == versions[0].name
    assert [entry.id for entry in read_history(here)] == [versions[0].name]
    follow(FolderObjects(tmp_path / "empty"), "tiny", here)
    assert read_latest(here) is None


def test_a_set_that_is_gone_back_to_is_compared_as_where_all_versions_are(folder, versions, tmp_path):
    share(folder, versions[0])
    share(folder, versions[1])
    here = tmp_path / "here"
    follow(folder, "tiny", here)
    assert not (here / "versions" / versions[0].name).exists()
    assert (here / MANIFESTS / versions[0].name / "manifest.json").is_file()
    staged = {file.path: file.sha256 for file in read_set(versions[0]).manifest.files}
    assert find_previous(here, staged) is None
    assert find_previous(here, {}) == versions[1].name


@pytest.mark.parametrize("wrong", ["missing", "changed", "extra"])
def test_checking_looks_at_what_lies_in_the_store(folder, versions, tmp_path, wrong):
    share(folder, versions[0])
    identity = versions[0].name
    assert check_shared(folder, "tiny", identity, tmp_path / "well").id == identity
    there = folder.root / "tiny" / "versions" / identity
    if wrong == "missing":
        (there / "report.html").unlink()
    elif wrong == "changed":
        (there / "report.html").write_text("<html>")
    else:
        (there / "validation" / "planted.html").write_text("<html>")
    with pytest.raises(ArtifactError, match="planted.html is no file" if wrong == "extra" else r"report\.html"):
        check_shared(folder, "tiny", identity, tmp_path / "ill")


def test_two_that_publish_the_same_at_one_time_make_one_version_with_the_papers_of_one(bucket, versions, tmp_path):
    bucket.inject_at_random((faults.LOST, faults.ERROR_AFTER, faults.SLOW_DOWN), share=0.15, seed=2)
    with ThreadPoolExecutor(2) as pool:
        shares = [
            pool.submit(share, bucket.open(), versions[0]),
            pool.submit(share, bucket.open(), versions[2], "bob", AT + timedelta(days=1)),
        ]
        for one in shares:
            one.result()
    bucket.inject()
    here = tmp_path / "here"
    assert follow(bucket.open(), "tiny", here) == versions[0].name
    assert len(read_history(here)) == 1
    check_shared(bucket.open(), "tiny", versions[0].name, tmp_path / "checked")
    assert digests(here / "versions" / versions[0].name) in (digests(versions[0]), digests(versions[2]))
