import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negset.errors import ArtifactError, ContractError
from negset.teaching.pair_cache import SCORES, cached_scores, pair_keys
from schemas.refs import PairScoresRef

QUERIES = ["a", "b", "a", "c", "b"]
DOCUMENTS = ["x", "y", "x", "z", "x"]
KEYS = pair_keys(QUERIES, DOCUMENTS)


class Teacher:
    """Score a pair by the lengths and letters of its texts, and note what was asked."""

    def __init__(self, fails_after=None):
        self.asked = []
        self.fails_after = fails_after

    def __call__(self, rows):
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise RuntimeError
        self.asked += [(QUERIES[row], DOCUMENTS[row]) for row in rows]
        return np.array([ord(QUERIES[row]) + ord(DOCUMENTS[row]) / 1000 for row in rows])


def test_equal_pairs_are_scored_once_and_never_again(store):
    teacher, again = Teacher(), Teacher()
    scores = cached_scores(store, "t", KEYS, teacher, 100)
    assert sorted(teacher.asked) == [("a", "x"), ("b", "x"), ("b", "y"), ("c", "z")]
    assert scores[0] == scores[2] == ord("a") + ord("x") / 1000
    assert cached_scores(store, "t", KEYS, again, 100).tolist() == scores.tolist()
    assert again.asked == []


def test_another_teacher_knows_nothing_of_it(store):
    cached_scores(store, "t", KEYS, Teacher(), 100)
    other = Teacher()
    cached_scores(store, "u", KEYS, other, 100)
    assert len(other.asked) == 4


def test_new_pairs_alone_are_asked(store):
    cached_scores(store, "t", KEYS[:2], Teacher(), 100)
    teacher = Teacher()
    cached_scores(store, "t", KEYS, teacher, 100)
    assert sorted(teacher.asked) == [("b", "x"), ("c", "z")]


def test_what_was_scored_before_a_kill_is_kept(store):
    whole = cached_scores(store, "whole", KEYS, Teacher(), 100)
    with pytest.raises(RuntimeError):
        cached_scores(store, "t", KEYS, Teacher(fails_after=2), 1)
    rest = Teacher()
    assert cached_scores(store, "t", KEYS, rest, 1).tolist() == whole.tolist()
    assert len(rest.asked) == 2


def test_the_order_and_the_block_of_pairs_do_not_matter(store):
    turned = [4, 2, 0, 3, 1]
    asked = []

    def score(rows):
        asked.append([KEYS[row] for row in rows])
        return Teacher()(rows)

    straight = cached_scores(store, "t", KEYS, score, 2)
    order = np.array(turned)
    flipped = cached_scores(store, "u", KEYS[order], lambda rows: Teacher()(order[rows]), 3)
    assert flipped.tolist() == straight[order].tolist()
    assert [key for block in asked for key in block] == sorted({bytes(key) for key in KEYS})


def test_a_pair_without_a_score_is_not_asked_again(store):
    assert np.isnan(cached_scores(store, "t", KEYS, lambda rows: np.full(len(rows), np.nan), 100)).all()
    again = Teacher()
    assert np.isnan(cached_scores(store, "t", KEYS, again, 100)).all()
    assert again.asked == []


def test_scores_of_another_shape_are_refused(store):
    with pytest.raises(ContractError, match=r"shape \(3,\) for 4 pairs"):
        cached_scores(store, "t", KEYS, lambda _rows: np.zeros(3), 100)


def test_a_damaged_shard_is_named(store):
    cached_scores(store, "t", KEYS, Teacher(), 100)
    (shard,) = (store.root / PairScoresRef.kind).iterdir()
    data = bytearray((shard / SCORES).read_bytes())
    data[-1] ^= 1
    (shard / SCORES).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=SCORES):
        cached_scores(store, "t", KEYS, Teacher(), 100)


def test_no_pairs_ask_nobody(store):
    assert cached_scores(store, "t", KEYS[:0], Teacher(fails_after=0), 100).tolist() == []


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_pairs_that_differ_anywhere_have_keys_that_differ(pairs):
    first, second = pair_keys(*zip(*pairs, strict=True))
    assert first != second


def test_where_the_query_ends_is_in_the_key():
    first, second = pair_keys(["ab", "a"], ["c", "bc"])
    assert first != second


def test_keys_have_one_length():
    keys = pair_keys([str(number) for number in range(2000)], ["x"] * 2000)
    assert {len(bytes(key)) for key in keys} == {16}
