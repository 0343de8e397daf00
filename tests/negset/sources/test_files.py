import gzip
import random
from unittest.mock import patch

import fsspec
import pytest

from negset.errors import ConfigError, InputError, TransientError
from negset.sources import files as module
from negset.sources.files import digests, find_place, open_bytes, pick, read_whole, without_credentials

TEXT = "".join(f"{random.Random(7).random()} line {number}\n" for number in range(5000)).encode()


def content(folder: str, name: str) -> bytes:
    return read_whole(find_place(folder), name)


def test_gzip_files_are_read_with_all_their_members(files):
    folder = files({"a.gz": gzip.compress(b"one\n") + gzip.compress(b"two\n")})
    assert content(folder, "a.gz") == b"one\ntwo\n"


@pytest.mark.parametrize("cut", [1, 8, 100, 0.5])
def test_a_cut_gzip_file_is_refused_by_name(files, cut):
    packed = gzip.compress(TEXT)
    keep = int(len(packed) * cut) if cut < 1 else len(packed) - cut
    with pytest.raises(InputError, match=r"a\.gz is no whole gzip file"):
        content(files({"a.gz": packed[:keep]}), "a.gz")


def test_a_gzip_file_with_a_wrong_checksum_is_refused(files):
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(InputError, match="CRC check failed"):
        content(files({"a.gz": bytes(packed)}), "a.gz")


def test_plain_text_named_gz_is_refused(files):
    with pytest.raises(InputError, match="Not a gzipped file"):
        content(files({"a.gz": "plain"}), "a.gz")


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(files):
    folder = files({"a.gz": gzip.compress(b"\0" * (64 << 20))})
    seen = []
    with pytest.raises(InputError, match="decompression bomb"), open_bytes(find_place(folder), "a.gz") as stream:
        seen.extend(len(block) for block in iter(lambda: stream.read(1 << 20), b""))
    assert sum(seen) <= module.RATIO_FROM


def test_a_file_over_the_cap_is_refused(files):
    with pytest.raises(InputError, match="longer than"):
        read_whole(find_place(files({"a": TEXT})), "a", most=100)


def test_any_file_system_of_fsspec_may_hold_the_source():
    memory = fsspec.filesystem("memory")
    memory.pipe("/folder/sub/a.txt", b"hello")
    place = find_place("memory://folder")
    assert place.names == ("sub/a.txt",)
    assert read_whole(place, "sub/a.txt") == b"hello"
    memory.rm("/folder", recursive=True)


def test_a_single_file_is_a_folder_of_one_name(files):
    place = find_place(files({"a.txt": "x", "b.txt": "y"}) + "/a.txt")
    assert place.names == ("a.txt",)
    assert read_whole(place, "a.txt") == b"x"


def test_hidden_files_are_left_out(files):
    assert find_place(files({"a": "", ".git/b": "", ".c": ""})).names == ("a",)


def test_what_is_missing_is_said_with_what_is_there(files):
    folder = files({"corpus.json": "", "queries.jsonl": ""})
    with pytest.raises(InputError, match=r"no corpus in .* looked for corpus\.jsonl.*found corpus\.json, queries"):
        pick(find_place(folder), "", ["corpus.jsonl"], "corpus")
    with pytest.raises(InputError, match=r"looked for corpvs\.json \(did you mean 'corpus\.json'\?\)"):
        pick(find_place(folder), "corpvs.json", ["corpus.jsonl"], "corpus")
    with pytest.raises(InputError, match="does not exist"):
        find_place(folder + "/nowhere")
    with pytest.raises(ConfigError, match="no-such-scheme"):
        find_place("no-such-scheme://bucket/key")
    with pytest.raises(ConfigError, match=r"source\.path is empty"):
        find_place("")


def test_several_files_may_be_named(files):
    place = find_place(files({"a.tsv": "", "b.tsv": "", "c.txt": ""}))
    assert pick(place, "b.tsv, c.*", ["x"], "qrels") == ["b.tsv", "c.txt"]


def test_credentials_are_never_shown():
    assert without_credentials("s3://key:secret@bucket/x?token=1") == "s3://bucket/x"
    with pytest.raises(ConfigError) as caught:
        find_place("nope://key:secret@bucket/x")
    assert "secret" not in str(caught.value)


def test_a_remote_fault_is_transient():
    memory = fsspec.filesystem("memory")
    memory.pipe("/remote/a", b"x")
    place = find_place("memory://remote")
    with (
        patch.object(type(memory), "protocol", "far"),
        pytest.raises(TransientError, match="cannot be read now"),
        open_bytes(place, "a"),
    ):
        raise ConnectionResetError
    memory.rm("/remote", recursive=True)


def test_digests_follow_bytes_alone(files):
    first = digests(find_place(files({"a": "x"})), ["a"])
    assert digests(find_place(files({"a": "y"})), ["a"]) != first
    assert digests(find_place(files({"a": "x"})), ["a"]) == first
