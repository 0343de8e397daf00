import numpy as np
import pytest

from negset.lots import id_keys
from negset.transfer.similarity import FOLDS, proxy_distance


def keys(name, count):
    return id_keys([f"{name}{place}" for place in range(count)])


def drawn(seed, count, shift=0.0, width=64):
    return (np.random.default_rng(seed).normal(size=(count, width)) + shift).astype(np.float32)


def distance(one, other, seed=1):
    return proxy_distance(one, keys("a", len(one)), other, keys("b", len(other)), seed)


def test_what_is_alike_is_near_though_a_classifier_could_learn_it_by_heart():
    """In 64 dimensions 60 points of each side are separable: an error on what was fitted would give 2."""
    one, other = drawn(1, 60), drawn(2, 60)
    assert distance(one, other) < 0.6
    assert distance(drawn(1, 500), drawn(2, 500)) < 0.4


def test_what_is_apart_is_far_and_nearer_sources_are_nearer():
    target = drawn(1, 200)
    near, far = distance(drawn(2, 200, 0.1), target), distance(drawn(3, 200, 1.0), target)
    assert far == pytest.approx(2.0, abs=0.05)
    assert near < far


def test_unequal_sizes_tell_nothing_apart():
    """Nine texts in ten are of one side: always saying so would be right nine times in ten."""
    assert distance(drawn(1, 900), drawn(2, 100)) < 0.6


def test_the_order_of_texts_does_not_matter_and_too_few_have_no_distance():
    one, other = drawn(1, 40), drawn(2, 40, 0.3)
    mixed = np.random.default_rng(5).permutation(40)
    assert proxy_distance(one[mixed], keys("a", 40)[mixed], other, keys("b", 40), 1) == distance(one, other)
    assert np.isnan(distance(one, other[: FOLDS - 1]))
