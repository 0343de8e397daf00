import bagit
import pytest

from negset.errors import ArtifactError
from negset.publishing.bag import read_digests, read_info


def test_a_bag_declares_itself_and_counts_its_payload(published):
    assert (published / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    info = read_info(published / "bag-info.txt")
    files = list((published / "data").rglob("*.parquet"))
    assert info["Payload-Oxum"] == f"{sum(path.stat().st_size for path in files)}.{len(files)}"
    assert info["External-Identifier"] == f"tiny@{published.name}"
    assert (info["Published-At"], info["Published-By"]) == ("2026-01-02T03:04:05+00:00", "ada")


def test_payload_is_data_and_tags_are_the_rest(published):
    payload = read_digests(published / "manifest-sha256.txt")
    tags = read_digests(published / "tagmanifest-sha256.txt")
    assert all(name.startswith("data/") for name in payload)
    assert "manifest.json" in tags
    assert "validation/validation.json" in tags
    assert "tagmanifest-sha256.txt" not in tags
    assert len(payload) + len(tags) + 1 == sum(path.is_file() for path in published.rglob("*"))


@pytest.mark.parametrize("line", ["short  data/x", "0" * 64 + " data/x", "nonsense"])
def test_a_line_that_is_no_digest_is_named(tmp_path, line):
    path = tmp_path / "manifest-sha256.txt"
    path.write_text(f"{'0' * 64}  data/a\n{line}\n")
    with pytest.raises(ArtifactError, match=r"manifest-sha256\.txt, line 2"):
        read_digests(path)


def test_nobody_can_add_a_line_through_a_name(tiny_set, staged, tmp_path):
    """A publisher called "eve\\nExternal-Identifier: other" stays one line."""
    by = "eve\nExternal-Identifier: other"
    ref = tiny_set.publish_set(tiny_set.draft_of(staged), tmp_path / "sets", by=by, at=tiny_set.datetime(2026, 1, 2))
    info = read_info(tmp_path / "sets" / "tiny" / "versions" / ref.fingerprint / "bag-info.txt")
    assert info["External-Identifier"] == f"tiny@{ref.fingerprint}"
    assert info["Published-By"] == "eve External-Identifier: other"


def test_the_reader_of_bags_takes_a_version(published):
    assert bagit.Bag(str(published)).validate()


@pytest.mark.parametrize("name", ["data/negatives/part-00000.parquet", "README.md", "data/more.txt"])
def test_the_reader_of_bags_finds_what_changed_or_was_added(published, name):
    path = published / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b"x")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(published)).validate()
