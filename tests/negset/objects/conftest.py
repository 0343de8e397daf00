"""Each kind of object store in turn."""

import pytest

from negset.objects.folder import FolderObjects
from negset.objects.objects import Objects


@pytest.fixture(params=["folder", "bucket"])
def objects(request, tmp_path) -> Objects:
    """Give an empty store of each kind in turn."""
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    return request.getfixturevalue("bucket").open()
