"""Attempts are kept, and who builds is seen as long as he lives."""

import multiprocessing
import os
import signal

import pytest

from negset.errors import ArtifactError, NoDataError
from negset.periods.attempts import ATTEMPTS, KEPT, begin_attempt, building, is_building, read_attempts


def test_an_attempt_is_on_disk_before_it_ends_and_says_how_it_did(tmp_path):
    record = begin_attempt(tmp_path, source="abc", backfill="b1")
    (open_one,) = read_attempts(tmp_path)
    assert (open_one.n, open_one.outcome, open_one.ended_at, open_one.source) == (1, "started", None, "abc")
    record.published("0123")
    begin_attempt(tmp_path).failed(ValueError("no"))
    begin_attempt(tmp_path).failed(NoDataError("nothing there"))
    first, second, third = read_attempts(tmp_path)
    assert (first.outcome, first.version, first.backfill) == ("published", "0123", "b1")
    assert (second.n, second.outcome, second.error, second.why) == (2, "failed", "ValueError", "no")
    assert (third.outcome, third.why) == ("no data", "nothing there")


def test_numbers_go_on_when_old_attempts_are_forgotten(tmp_path):
    for _ in range(KEPT + 3):
        begin_attempt(tmp_path)
    kept = read_attempts(tmp_path)
    assert [kept[0].n, kept[-1].n, len(kept)] == [4, KEPT + 3, KEPT]


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / ATTEMPTS).write_text("{\n")
    with pytest.raises(ArtifactError, match=r"attempts.jsonl is damaged"):
        read_attempts(tmp_path)


def _hold(home, held):
    with building(home):
        held.set()
        signal.pause()


def test_a_killed_builder_holds_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held))
    process.start()
    assert held.wait(60)
    assert is_building(tmp_path)
    assert is_building(tmp_path)  # looking takes no lock that another look would meet
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not is_building(tmp_path)
    with building(tmp_path):
        pass


def test_nobody_builds_what_was_never_begun(tmp_path):
    assert not is_building(tmp_path / "nothing")
    assert read_attempts(tmp_path / "nothing") == []
