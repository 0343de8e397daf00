import io
import tarfile

import pytest

from negset.errors import ArtifactError, ConfigError
from negset.publishing.papers import pack_papers, unpack_papers


def test_papers_are_all_but_the_data_and_depend_on_bytes_alone(published, tmp_path):
    packed = pack_papers(published)
    papers = unpack_papers(packed, "here")
    there = {path.relative_to(published).as_posix(): path for path in published.rglob("*") if path.is_file()}
    assert papers == {name: path.read_bytes() for name, path in there.items() if not name.startswith("data/")}
    assert {"manifest.json", "report.html", "validation/data_docs/index.html"} <= set(papers)
    (published / "report.html").touch()
    (published / "report.html").chmod(0o600)
    assert pack_papers(published) == packed


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_a_name_never_leads_out(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises((ArtifactError, ConfigError)):
        unpack_papers(buffer.getvalue(), "there")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_is_no_paper(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("README.md")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ArtifactError, match="no paper"):
        unpack_papers(buffer.getvalue(), "there")


@pytest.mark.parametrize("packed", [b"<html>", b"x" * 2000])
def test_damage_names_the_place(packed):
    with pytest.raises(ArtifactError, match=r"s3://b/papers\.tar is damaged"):
        unpack_papers(packed, "s3://b/papers.tar")
