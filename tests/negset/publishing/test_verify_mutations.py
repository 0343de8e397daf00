"""A few of the damages of benchmarks/verify_mutations.py, each kind several times."""

import pytest

from benchmarks.verify_mutations import DAMAGES, damaged, negset_finds, read_files, sha256sum_finds
from negset.publishing.verify import inspect_version


def test_every_damage_is_found_and_the_file_named(published):
    sound = read_files(published)
    for kind in DAMAGES:
        for seed in range(4):
            with damaged(published, sound, kind, seed) as at_fault:
                assert negset_finds(published, at_fault) == (True, True), (kind, seed, at_fault)
    assert read_files(published) == sound
    assert inspect_version(published, rows=True).findings == ()


@pytest.mark.parametrize(
    ("kind", "seen"), [("flip", True), ("missing", True), ("swap", True), ("extra", False), ("forge_data", False)]
)
def test_what_coreutils_see_and_what_they_do_not(published, kind, seen):
    """Why there is a verify: extra files and mended lists pass `sha256sum --check`."""
    sound = read_files(published)
    with damaged(published, sound, kind, 1):
        assert sha256sum_finds(published) == seen
