"""Min-K% tells apart what perplexity does not."""

import pytest

from negset.errors import InputError
from negset.gates.min_k import min_k_score


def test_equal_perplexity_and_different_scores():
    flat, spiked = [-1.0] * 10, [-0.2] * 8 + [-4.2] * 2
    assert sum(flat) == pytest.approx(sum(spiked))
    assert min_k_score(flat, 0.2) == pytest.approx(1.0)
    assert min_k_score(spiked, 0.2) == pytest.approx(4.2)
    assert min_k_score(spiked[::-1], 0.2) == min_k_score(spiked, 0.2)
    assert min_k_score(spiked, 1) == pytest.approx(1.0)


def test_a_short_text_has_a_score():
    assert min_k_score([-0.5, -3.0, -1.0], 0.2) == 3.0


def test_a_share_is_not_rounded_down_by_its_last_bit():
    """0.29 of 100 is 28.999999999999996 in binary."""
    assert min_k_score([-1.0] * 71 + [-2.0] * 28 + [-31.0], 0.29) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("log_probs", "share"), [([], 0.2), ([-1.0, 0.1], 0.2), ([float("nan")], 0.2), ([float("-inf")], 0.2), ([-1.0], 0)]
)
def test_what_is_no_log_probability_is_refused(log_probs, share):
    with pytest.raises(InputError):
        min_k_score(log_probs, share)
