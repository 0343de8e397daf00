"""A version's papers as one file, so that of two publishers of one version all papers are one's.

Two publishers of a version have the same data, but their papers say who they are and when. Put one by one, the
papers of both could mix, and the bag's list of digests would fit neither.
"""

import io
import tarfile
from pathlib import Path

from negset.errors import ArtifactError
from negset.objects.objects import check_key


def pack_papers(version: Path) -> bytes:
    """Give all files of `version` outside data/ as a tar: by name, without times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(path for path in version.rglob("*") if path.is_file()):
            name = path.relative_to(version).as_posix()
            if not name.startswith("data/"):
                data = path.read_bytes()
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def unpack_papers(packed: bytes, where: str) -> dict[str, bytes]:
    """Give the files in `packed`, which came from `where`, by name; a name never leads out of the version's folder.

    Raises ArtifactError where `packed` holds anything but papers.
    """
    papers = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is None or member.name.startswith("data/"):
                    message = f"{where} holds {member.name!r}, which is no paper"
                    raise ArtifactError(message)
                papers[check_key(member.name)] = file.read()
    except tarfile.TarError as error:
        message = f"{where} is damaged: {error}"
        raise ArtifactError(message) from error
    return papers
