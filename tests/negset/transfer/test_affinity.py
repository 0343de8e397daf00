import numpy as np
import pytest

from negset.transfer.affinity import gradient_affinity


def test_cosines_and_conflicts_by_hand():
    one = np.array([[2.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    other = np.array([[-3.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    found = gradient_affinity([one, other])
    # Pairs: (-1, .707, 0, .707): a cosine of exactly 0 is no conflict.
    assert found.cosine_GG[0, 1] == pytest.approx((-1 + 2 * np.sqrt(0.5)) / 4)
    assert found.conflict_GG[0, 1] == 0.25
    assert found.cosine_GG[1, 0] == found.cosine_GG[0, 1]


def test_lengths_do_not_count_and_a_batch_is_not_compared_with_itself():
    one = np.array([[1.0, 0.0], [0.0, 5.0]], dtype=np.float32)
    found = gradient_affinity([one, 100 * one])
    assert found.cosine_GG[0, 0] == 0.0  # with itself each batch would have 1
    assert found.cosine_GG[0, 1] == pytest.approx(0.5)


def test_a_group_of_one_batch_has_no_affinity_with_itself_and_a_zero_gradient_none_with_any():
    found = gradient_affinity([np.ones((1, 3), np.float32), np.zeros((2, 3), np.float32)])
    assert np.isnan(found.cosine_GG[0, 0])
    assert found.cosine_GG[0, 1] == 0
    assert found.conflict_GG[0, 1] == 0
