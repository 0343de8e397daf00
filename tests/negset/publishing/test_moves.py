"""The log of LATEST on an object store: one order, no move lost, none made twice, whoever dies."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from negset.errors import ArtifactError, TransientError
from negset.objects.folder import FolderObjects
from negset.publishing.moves import catch_up, move_latest, read_moves, shared_latest

AT = datetime(2026, 1, 2, tzinfo=UTC)
IDS = [f"{number:016x}" for number in range(40)]


def move(objects, number, by="ada", write=""):
    move_latest(objects, "tiny", IDS[number], IDS[number] * 4, by=by, at=AT, write=write)


def history(objects):
    return [(one.entry.n, one.entry.parent, one.entry.id) for one in read_moves(objects, "tiny")]


@pytest.fixture
def folder(tmp_path):
    return FolderObjects(tmp_path / "objects")


class Dying:
    """A store whose `at`-th write fails for good, before or after it was applied, and every later one too."""

    def __init__(self, objects, at, *, applied):
        self.objects, self.left, self.applied = objects, at, applied

    def __getattr__(self, name):
        return getattr(self.objects, name)

    def _write(self, write, *arguments):
        if self.left > 0:
            write(*arguments)
            self.left -= 1
            return
        if self.applied and self.left == 0:
            write(*arguments)
        self.left = -1
        message = "the machine lost its network"
        raise TransientError(message)

    def put_once(self, *arguments):
        self._write(self.objects.put_once, *arguments)

    def swap(self, *arguments):
        self._write(self.objects.swap, *arguments)


def test_each_move_names_its_parent_and_the_same_version_is_not_moved_to(folder):
    for number in (1, 2, 2, 1):
        move(folder, number)
    assert history(folder) == [(1, None, IDS[1]), (2, IDS[1], IDS[2]), (3, IDS[2], IDS[1])]
    assert shared_latest(folder, "tiny") == (IDS[1], 3)
    assert folder.read("tiny/LATEST") == f"{IDS[1]} 3"


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", [0, 1])
def test_a_publisher_that_dies_at_any_write_leaves_nothing_to_mend(folder, at, applied):
    move(folder, 1)
    with pytest.raises(TransientError):
        move(Dying(folder, at, applied=applied), 2)
    made = at == 1 or applied
    assert shared_latest(folder, "tiny") == ((IDS[2], 2) if (at, applied) == (1, True) else (IDS[1], 1))
    move(folder, 3)
    between = [(2, IDS[1], IDS[2]), (3, IDS[2], IDS[3])] if made else [(2, IDS[1], IDS[3])]
    assert history(folder) == [(1, None, IDS[1]), *between]
    assert shared_latest(folder, "tiny") == (IDS[3], len(between) + 1)


def test_an_attempt_that_was_made_and_overtaken_is_not_made_again(folder):
    with pytest.raises(TransientError):
        move(Dying(folder, 0, applied=True), 1, write="task-run 7")
    move(folder, 2)
    move(folder, 1, write="task-run 7")
    assert [one[2] for one in history(folder)] == [IDS[1], IDS[2]]
    assert shared_latest(folder, "tiny")[0] == IDS[2]


def test_a_slow_helper_never_takes_latest_back(folder):
    """Between its look at the log and its swap, others went on to a version that was the latest before."""
    move(folder, 1)
    with pytest.raises(TransientError):
        move(Dying(folder, 1, applied=False), 2)  # made, but LATEST is still at 1

    class Slow(Dying):
        def swap(self, *arguments):
            if self.left == 0:
                self.left = 1
                move(folder, 1)  # 2 is taken forward, and back to 1 as the third move
            folder.swap(*arguments)

    assert catch_up(Slow(folder, 0, applied=False), "tiny") == (IDS[1], 3)
    assert folder.read("tiny/LATEST") == f"{IDS[1]} 3"


def test_publishers_at_one_time_make_one_line(bucket):
    def publish(number):
        move(bucket.open(), number, by=f"publisher {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(8)))
    made = history(bucket.open())
    assert sorted(one[2] for one in made) == IDS[:8]
    assert [one[0] for one in made] == list(range(1, 9))
    assert [one[1] for one in made] == [None, *(one[2] for one in made[:-1])]
    assert shared_latest(bucket.open(), "tiny") == (made[-1][2], 8)


def test_publishers_at_one_time_among_faults_make_one_line(bucket):
    bucket.inject_at_random(
        ("connection closed after the request was applied", "500 after the request was applied", "503 slow down"),
        share=0.25,
        seed=5,
    )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: move(bucket.open(), number), range(6)))
    assert bucket.proxy.injected.total() > 5
    bucket.inject()
    made = history(bucket.open())
    assert sorted(one[2] for one in made) == IDS[:6]
    assert [one[1] for one in made] == [None, *(one[2] for one in made[:-1])]


def test_what_is_no_pointer_and_no_move_is_named(folder):
    folder.put_once("tiny/history/00000001.json", json.dumps({"entry": 1}).encode())
    with pytest.raises(ArtifactError, match=r"tiny/history/00000001.json is no move"):
        read_moves(folder, "tiny")
    folder.swap("tiny/LATEST", None, "nonsense")
    with pytest.raises(ArtifactError, match="'nonsense'"):
        shared_latest(folder, "tiny")


class Publishers(RuleBasedStateMachine):
    """Any order of publishing, dying, going on after it, and looking; the model is a list of ids."""

    def __init__(self):
        super().__init__()
        import tempfile
        from pathlib import Path

        self.scratch = tempfile.TemporaryDirectory(prefix="moves-")
        self.objects = FolderObjects(Path(self.scratch.name))
        self.line: list[str] = []
        self.stuck: list[tuple[int, str]] = []
        self.number = 0

    def teardown(self):
        self.scratch.cleanup()

    def applied(self, number):
        if not self.line or self.line[-1] != IDS[number]:
            self.line.append(IDS[number])

    @rule(number=st.integers(0, 4))
    def publishes(self, number):
        move(self.objects, number)
        self.applied(number)

    @rule(number=st.integers(0, 4), at=st.integers(0, 3), applied=st.booleans())
    def dies(self, number, at, applied):
        self.number += 1
        before = len(history(self.objects))
        write = f"attempt {self.number}"
        try:
            move(Dying(self.objects, at, applied=applied), number, write=write)
        except TransientError:
            if len(history(self.objects)) > before:
                self.applied(number)
            self.stuck.append((number, write))
        else:
            self.applied(number)

    @rule(chance=st.randoms(use_true_random=False))
    def goes_on(self, chance: random.Random):
        if self.stuck:
            number, write = self.stuck.pop(chance.randrange(len(self.stuck)))
            made = any(one.write == write for one in read_moves(self.objects, "tiny"))
            move(self.objects, number, write=write)
            if not made:
                self.applied(number)

    @rule()
    def looks(self):
        assert catch_up(self.objects, "tiny") == ((self.line[-1], len(self.line)) if self.line else (None, 0))

    @invariant()
    def one_line(self):
        parents = [None, *self.line]
        assert history(self.objects) == [(n + 1, parents[n], one) for n, one in enumerate(self.line)]
        latest, number = shared_latest(self.objects, "tiny")
        assert latest == (self.line[number - 1] if number else None)


TestPublishers = Publishers.TestCase
TestPublishers.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
