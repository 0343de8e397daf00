"""Which partitions a backfill takes on."""

import pytest

from negset.periods.choosing import chosen, holes, needs_build
from negset.periods.status import DatasetStatus, PartitionStatus

STATES = ("missing", "no data", "building", "failed", "published", "late data", "stale", "revoked")
PARTITIONS = tuple(PartitionStatus(key=state, state=state) for state in STATES)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("", ["missing", "building", "failed", "late data", "stale"]),
        ("holes", ["missing", "building", "failed"]),
        ("missing", ["missing", "building"]),
        ("failed", ["building", "failed"]),
        ("stale", ["building", "late data", "stale"]),
    ],
)
def test_what_is_chosen(only, expected):
    assert chosen(PARTITIONS, only) == expected


def test_who_waited_builds_only_what_the_other_left_undone():
    assert not needs_build("published", "")
    assert needs_build("failed", "")
    assert not needs_build("failed", "missing")


def test_holes_are_what_is_expected_and_not_there():
    status = DatasetStatus(dataset="x", at="now", partitions=PARTITIONS, newest=None, fresh=False)
    assert [one.key for one in holes(status)] == ["missing", "no data", "failed"]
    assert status.counts() == dict.fromkeys(STATES, 1)
