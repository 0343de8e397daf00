import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from negset.audit.intervals import Interval, beta_interval, clustered_share, share_interval


def share(hits, trials, raw=None):
    return clustered_share(np.array(hits, dtype=float), np.array(trials, dtype=float), raw)


def test_nothing_found_is_not_nothing_there():
    """0 of 100 in 100 clusters: the rule of three says about 3 %; a zero-width interval would say never."""
    ends = share_interval(share([0] * 100, [1] * 100))
    assert ends.low == 0
    assert 0.03 < ends.high < 0.04
    all_of_them = share_interval(share([1] * 100, [1] * 100))
    assert all_of_them.high == 1
    assert 0.96 < all_of_them.low < 0.97


def test_one_trial_a_cluster_is_the_binomial_with_a_little_more_for_the_spread_that_is_estimated():
    ends = share_interval(share([1] * 10 + [0] * 90, [1] * 100))
    exact = beta_interval(10, 100)
    assert exact.low == pytest.approx(stats.beta.ppf(0.025, 10, 91))
    assert exact.high == pytest.approx(stats.beta.ppf(0.975, 11, 90))
    assert ends.low == pytest.approx(exact.low, abs=0.004)
    assert ends.high == pytest.approx(exact.high, abs=0.004)
    assert ends.low <= exact.low
    assert ends.high >= exact.high


def test_clusters_that_return_whole_are_worth_one_trial_each():
    """20 clusters of 10, all or nothing: treating 200 trials as independent would be three times too sure."""
    whole = share([10] * 6 + [0] * 14, [10] * 20)
    assert whole.effective == pytest.approx(20, rel=0.06)
    naive = beta_interval(60, 200)
    ends = share_interval(whole)
    assert ends.high - ends.low > 2.5 * (naive.high - naive.low)


def test_clusters_that_look_alike_are_no_evidence():
    alike = share([3] * 20, [10] * 20)
    assert alike.effective == alike.trials == 200


def test_a_single_cluster_says_nothing():
    assert share_interval(share([3], [10])) == Interval(0.0, 1.0)
    with pytest.raises(ValueError, match="no trials"):
        share([], [])


def test_the_share_among_few_further_trials_scatters_more_and_is_that_of_a_count():
    found = share([1] * 10 + [0] * 90, [1] * 100)
    rate, many, few = share_interval(found), share_interval(found, 10**9), share_interval(found, 20)
    assert many.low == pytest.approx(rate.low, abs=1e-6)
    assert few.low == 0
    assert few.high > rate.high
    assert few.high * 20 == pytest.approx(round(few.high * 20))


def test_a_corrected_share_below_zero_is_zero_with_an_upper_end():
    found = share([-0.5, 0.2, -0.2, 0.0] * 10, [1] * 40, raw=0.05)
    assert found.share == 0
    assert share_interval(found).high > 0.03


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=2, max_size=40), st.floats(1, 500))
def test_the_share_lies_in_its_interval(pairs, more):
    hits, trials = [min(hit, size) for hit, size in pairs], [size for _, size in pairs]
    found = share(hits, trials)
    for ends in (share_interval(found), share_interval(found, more)):
        assert 0 <= ends.low <= ends.high <= 1
        assert ends.low < ends.high
    ends = share_interval(found)
    assert ends.low - 1e-9 <= found.share <= ends.high + 1e-9
    assert found.effective <= found.trials + 1e-9


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3])
def test_it_covers_at_least_95_percent_of_clustered_draws(rate):
    """400 seeded samples of 60 clusters whose rates differ (beta-binomial); a binomial interval covers far less."""
    rng = np.random.default_rng([7, int(rate * 100)])
    covered = naive = 0
    for _ in range(400):
        sizes = rng.integers(1, 12, 60).astype(float)
        rates = rng.beta(rate * 2, (1 - rate) * 2, 60) if rate else np.zeros(60)
        hits = rng.binomial(sizes.astype(int), rates).astype(float)
        ends = share_interval(clustered_share(hits, sizes))
        plain = beta_interval(float(hits.sum()), float(sizes.sum()))
        covered += ends.low <= rate <= ends.high
        naive += plain.low <= rate <= plain.high
    assert covered >= 0.93 * 400
    if rate == 0.3:
        assert naive < 0.88 * 400
    assert math.isfinite(ends.high)
