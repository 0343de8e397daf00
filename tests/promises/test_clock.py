"""A clock that is set back: what is newest is said by the order of the moves, and nobody's work is cleared away."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from negset import store as store_module
from negset.cleaning.versions import versions_to_go
from negset.objects.opening import open_objects
from negset.publishing.moves import move_latest, read_moves, shared_latest
from negset.publishing.publish import point_to, read_history
from negset.publishing.reading import read_latest
from negset.store import ABANDONED_AFTER, staged_folder

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, SECOND = "1" * 16, "2" * 16


def test_the_newest_version_is_the_last_that_was_published_whatever_the_clock_said(tmp_path):
    point_to(tmp_path, FIRST, "1" * 64, by="a", at=NOON)
    point_to(tmp_path, SECOND, "2" * 64, by="a", at=NOON - HOUR)
    assert read_latest(tmp_path) == SECOND
    line = [(entry.n, entry.id, entry.parent, entry.published_at[11:13]) for entry in read_history(tmp_path)]
    assert line == [(1, FIRST, None, "12"), (2, SECOND, FIRST, "11")]
    point_to(tmp_path, FIRST, "1" * 64, by="a", at=NOON - 2 * HOUR)
    assert read_latest(tmp_path) == FIRST
    assert [entry.n for entry in read_history(tmp_path)] == [1, 2, 3]


def test_so_it_is_in_a_store_that_machines_with_different_clocks_share(tmp_path):
    objects = open_objects(f"file://{tmp_path}")
    move_latest(objects, "news", FIRST, "1" * 64, by="a", at=NOON)
    move_latest(objects, "news", SECOND, "2" * 64, by="b", at=NOON - HOUR)
    assert shared_latest(objects, "news") == (SECOND, 2)
    assert [(move.entry.n, move.entry.id, move.entry.parent) for move in read_moves(objects, "news")] == [
        (1, FIRST, None),
        (2, SECOND, FIRST),
    ]


@pytest.fixture
def clock(monkeypatch):
    """Give a function that sets the clock so many seconds off."""

    def set_off(seconds):
        monkeypatch.setattr(store_module.time, "time", lambda: time.clock_gettime(time.CLOCK_REALTIME) + seconds)

    return set_off


@pytest.mark.parametrize("hours", [-1, 1])
def test_clearing_up_after_the_clock_was_set_leaves_who_is_at_work(tmp_path, clock, hours):
    with staged_folder(tmp_path) as mine:
        (mine / "part").write_bytes(b"x")
        clock(hours * 3600)
        with staged_folder(tmp_path):
            assert (mine / "part").read_bytes() == b"x"


def test_what_was_abandoned_long_ago_is_cleared_though_the_clock_was_set_back(tmp_path, clock):
    long_ago = tmp_path / "staging" / "abandoned"
    lately = tmp_path / "staging" / "lately"
    for folder, age in ((long_ago, ABANDONED_AFTER + 2 * 3600), (lately, ABANDONED_AFTER)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    clock(-3600)
    with staged_folder(tmp_path):
        assert not long_ago.exists()
        assert lately.exists()


@pytest.mark.parametrize("off", [-HOUR, timedelta(days=3650)])
def test_collecting_by_a_wrong_clock_keeps_what_is_latest_and_what_was_just_written(tmp_path, off):
    """Published at noon, collected by a clock that is an hour back, or ten years ahead."""
    third = "3" * 16
    for name in (FIRST, SECOND, third):
        folder = tmp_path / "versions" / name
        folder.mkdir(parents=True)
        os.utime(folder, (NOON.timestamp(),) * 2)
    for name in (FIRST, SECOND):  # the third is about to be
        point_to(tmp_path, name, name * 4, by="a", at=NOON)
    going = versions_to_go(tmp_path, NOON + off, keep=1, days=0, grace=1800)
    assert going == ([] if off < timedelta(0) else [third])
