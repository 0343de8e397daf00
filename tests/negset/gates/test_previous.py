"""The version before is the latest, and stays the same however often a set is built or gone back to."""

from datetime import UTC, datetime

import pytest

from negset.gates import previous as gate
from negset.gates.previous import find_previous
from negset.publishing.publish import point_to
from negset.publishing.reading import VERSIONS

A, B, C = ({"data/queries.parquet": letter * 64} for letter in "abc")
IDS = {letter: letter * 16 for letter in "abc"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give a set folder; `move(letter)` publishes the version with these files, or points to it again."""
    files = {IDS["a"]: A, IDS["b"]: B, IDS["c"]: C}
    monkeypatch.setattr(gate, "_files", lambda version: files[version.name])

    def move(*letters):
        for letter in letters:
            (tmp_path / VERSIONS / IDS[letter]).mkdir(parents=True, exist_ok=True)
            point_to(tmp_path, IDS[letter], letter * 64, by="ada", at=datetime(2026, 1, 1, tzinfo=UTC))
        return tmp_path

    return move


@pytest.mark.parametrize(
    ("published", "staged", "expected"),
    [
        ("", A, None),
        ("a", B, "a"),
        ("a", A, None),  # built again: still the first
        ("ab", B, "a"),  # built again: compared with what it was compared with
        ("ab", C, "b"),
        ("ab", A, None),  # gone back to: as it was when it was first published
        ("aba", A, None),
        ("abab", B, "a"),
        ("aba", C, "a"),
    ],
)
def test_the_version_before(home, published, staged, expected):
    assert find_previous(home(*published), staged) == (IDS[expected] if expected else None)


def test_a_version_that_cannot_be_read_is_another(tmp_path):
    (tmp_path / VERSIONS / IDS["a"]).mkdir(parents=True)
    point_to(tmp_path, IDS["a"], "a" * 64, by="ada", at=datetime(2026, 1, 1, tzinfo=UTC))
    assert find_previous(tmp_path, A) == IDS["a"]
