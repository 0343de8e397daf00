import json
import shutil
import subprocess

import pytest

from negset.errors import ArtifactError
from negset.fingerprint import file_digest
from negset.publishing import publish
from negset.publishing.bag import digest_lines, read_digests
from negset.publishing.manifest import canonical_bytes
from negset.publishing.verify import inspect_version, verify_set


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def paths_named(folder):
    """Give what verifying finds fault with, as one text."""
    try:
        return " ".join(f"{finding.path} {finding.problem}" for finding in inspect_version(folder).findings)
    except ArtifactError as error:
        return str(error)


def test_a_sound_version_has_no_findings(published):
    report = verify_set(published)
    assert (report.id, report.findings) == (published.name, ())
    assert report.bytes == sum(path.stat().st_size for path in (published / "data").rglob("*.parquet"))
    assert verify_set(published.parents[1]) == report


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [flip, lambda data: data[:-1], lambda data: data + b"\n", None])
def test_every_file_is_watched(published, damage):
    """Flip a bit of, cut, lengthen or remove each file in turn."""
    for path in files_of(published):
        data = path.read_bytes()
        path.unlink()
        if damage is not None:
            path.write_bytes(damage(data))
        name = path.relative_to(published).as_posix()
        assert name in paths_named(published) or str(path) in paths_named(published), name
        with pytest.raises(ArtifactError):
            verify_set(published)
        path.write_bytes(data)
    assert verify_set(published).findings == ()


def test_swapped_files_are_both_named(published):
    train, test = (published / "data" / "ntuples" / split / "part-00000.parquet" for split in ("train", "test"))
    one, other = train.read_bytes(), test.read_bytes()
    train.write_bytes(other)
    test.write_bytes(one)
    assert [finding.path for finding in inspect_version(published).findings] == [
        "data/ntuples/test/part-00000.parquet",
        "data/ntuples/train/part-00000.parquet",
    ]


@pytest.mark.parametrize("name", ["data/queries/part-00001.parquet", "notes.txt", "validation/data_docs/more.html"])
def test_extra_files_are_named(published, name):
    (published / name).write_bytes(b"more")
    assert [(finding.path, finding.problem) for finding in inspect_version(published).findings] == [
        (name, "is in no manifest")
    ]


def test_a_link_is_named(published):
    path = published / "README.md"
    aside = published.parents[2] / "aside.md"
    path.rename(aside)
    path.symlink_to(aside)
    assert ("README.md", "is a link; a version holds plain files") in [
        (finding.path, finding.problem) for finding in inspect_version(published).findings
    ]


def test_a_version_under_another_name_is_named(published):
    moved = published.with_name("0" * 16)
    shutil.copytree(published, moved)
    with pytest.raises(ArtifactError, match=f"manifest.json: its digest gives the id {published.name}"):
        verify_set(moved)


def test_a_copy_outside_of_its_set_is_sound(published, tmp_path):
    shutil.copytree(published, tmp_path / "handed-over")
    assert verify_set(tmp_path / "handed-over").id == published.name


def test_a_manifest_that_was_edited_along_with_its_digest_is_named(published):
    """Someone changes a count and mends the tag manifest: the id gives it away."""
    path = published / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"short": 1', b'"short": 0'))
    tags = published / "tagmanifest-sha256.txt"
    digests = read_digests(tags) | {"manifest.json": file_digest(path)}
    tags.write_text(digest_lines(digests))
    assert {finding.path for finding in inspect_version(published).findings} == {"manifest.json", "bag-info.txt"}


def test_a_tag_manifest_cannot_point_outside(published):
    with (published / "tagmanifest-sha256.txt").open("a") as file:
        file.write(f"{'0' * 64}  ../../LATEST\n")
    assert [finding.path for finding in inspect_version(published).findings] == [
        "../../LATEST",
        "tagmanifest-sha256.txt",
    ]


@pytest.mark.parametrize("content", ["", "../../../etc", "0123456789abcdef", b"\xff"])
def test_a_pointer_that_leads_nowhere_is_named(published, content):
    home = published.parents[1]
    data = content if isinstance(content, bytes) else content.encode()
    (home / "LATEST").write_bytes(data)
    with pytest.raises(ArtifactError, match="LATEST"):
        verify_set(home)


def test_a_folder_without_a_set_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="holds no negative set"):
        verify_set(tmp_path / "nowhere")


def test_coreutils_can_check_a_version(published):
    command = ["sha256sum", "--check", "--quiet", "--strict", "manifest-sha256.txt", "tagmanifest-sha256.txt"]
    assert subprocess.run(command, cwd=published, check=False).returncode == 0
    (published / "report.html").write_text("other")
    assert subprocess.run(command, cwd=published, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("said", "other"), [('"table": "ntuples"', '"table": "ntupdes"'), ("data/fates/", "data/fa\\u0000es/")]
)
def test_a_manifest_with_a_flipped_letter_is_a_finding_and_no_crash(published, said, other):
    """A table that nobody knows and a path that no system takes came up among 2,000 seeded damages."""
    path = published / "manifest.json"
    path.write_bytes(path.read_bytes().replace(said.encode(), other.encode()))
    assert "manifest.json" in paths_named(published)


def test_a_broken_list_hides_no_other_damage(published):
    """A wrong version stops at the first list that it cannot read."""
    (published / "manifest-sha256.txt").write_text("no digest\n")
    (published / "README.md").write_text("other")
    assert {finding.path for finding in inspect_version(published).findings} == {"manifest-sha256.txt", "README.md"}


@pytest.mark.parametrize(
    ("before", "after"), [(b'"table": "negatives"', b'"table": "nugatives"'), (b'"data/fates/', b'"../../fates/')]
)
def test_a_manifest_that_names_what_cannot_be_is_named(published, before, after):
    path = published / "manifest.json"
    path.write_bytes(path.read_bytes().replace(before, after))
    assert "manifest.json" in {finding.path for finding in inspect_version(published).findings}


def test_a_manifest_that_lacks_a_field_of_today_is_sound(tiny_set, staged, tmp_path, monkeypatch):
    """A wrong version writes the manifest anew with today's fields and calls every older one edited."""
    written = publish.manifest_bytes

    def older(manifest):
        plain = json.loads(written(manifest))
        del plain["teachers"]
        return canonical_bytes(plain)

    monkeypatch.setattr(publish, "manifest_bytes", older)
    monkeypatch.setattr("negset.publishing.manifest.manifest_bytes", older)
    monkeypatch.setattr("negset.publishing.provenance.manifest_bytes", older)
    at = tiny_set.datetime(2026, 1, 2, tzinfo=tiny_set.UTC)
    ref = publish.publish_set(tiny_set.draft_of(staged), tmp_path / "sets", by="ada", at=at)
    version = tmp_path / "sets" / "tiny" / "versions" / ref.fingerprint
    assert b"teachers" not in (version / "manifest.json").read_bytes()
    assert verify_set(version).findings == ()
