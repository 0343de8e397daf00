"""Retries: of what may pass, with growing random pauses, until a deadline."""

import pytest

from negset.errors import AccessError, ConflictError, TransientError
from negset.objects.patience import Patience, persist


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.pauses = 0.0, []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def run(self, attempt, patience):
        return persist(attempt, "put key", patience, clock=lambda: self.now, sleep=self.sleep)


def failing(times, error, result="done"):
    left = [error] * times

    def attempt():
        if left:
            raise left.pop()
        return result

    return attempt


def test_what_passes_is_tried_until_it_does():
    assert Time().run(failing(5, TransientError("503")), Patience()) == "done"


@pytest.mark.parametrize("error", [AccessError("no"), ConflictError("taken"), ValueError("a defect")])
def test_what_does_not_pass_is_tried_once(error):
    time = Time()
    with pytest.raises(type(error)):
        time.run(failing(1, error), Patience())
    assert time.pauses == []


def test_the_deadline_ends_it_and_the_message_says_what_was_tried():
    time = Time()
    with pytest.raises(TransientError, match=r"put key: no success in \d+ attempts over [\d.]+ s: 503.*Run again"):
        time.run(failing(10**6, TransientError("503")), Patience(deadline=60, first=0.5, longest=8))
    assert time.now < 60
    assert len(time.pauses) > 8


def test_pauses_differ_and_their_limit_doubles_up_to_the_longest():
    patience = Patience(deadline=10**5, first=1, longest=16)
    tracks = []
    for _ in range(200):
        time = Time()
        time.run(failing(7, TransientError("503")), patience)
        tracks.append(time.pauses)
    limits = [1, 2, 4, 8, 16, 16, 16]
    for place, limit in enumerate(limits):
        drawn = [track[place] for track in tracks]
        assert 0.8 * limit < max(drawn) <= limit
        assert len(set(drawn)) > 190
