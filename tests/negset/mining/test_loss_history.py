import math

import numpy as np
import polars as pl
import pytest

from negset.errors import ContractError, MissingColumnsError
from negset.mining.loss_history import weigh_pairs


def table(losses_PE):
    """Give pair_stats of losses by pair and epoch."""
    pairs, epochs = losses_PE.shape
    return pl.DataFrame(
        {
            "query_id": [f"q{pair:04d}" for pair in range(pairs) for _ in range(epochs)],
            "positive_id": ["d"] * (pairs * epochs),
            "epoch": list(range(epochs)) * pairs,
            "loss": losses_PE.ravel().tolist(),
        }
    )


def world(noisy=60, faulty=60, pairs=2000, epochs=20, seed=0):
    """World W4: losses around 2.0, those of the first pairs around 0.2, of the next around 4.5."""
    level_P = np.array([0.2] * noisy + [4.5] * faulty + [2.0] * (pairs - noisy - faulty))
    noise_PE = 0.35 * np.random.default_rng(seed).standard_normal((pairs, epochs))
    return np.maximum(level_P[:, None] + noise_PE, 0.0)


def flagged(found, name):
    return set(np.flatnonzero((found["flag"] == name).to_numpy()).tolist())


@pytest.mark.parametrize("cut", [2.0, 3.0])
def test_the_planted_pairs_are_found_exactly(cut):
    found = weigh_pairs(table(world()), too_hard=cut)
    assert flagged(found, "noisy") == set(range(60))
    assert flagged(found, "faulty") == set(range(60, 120))
    assert found.filter(pl.col("flag") == "ok")["weight"].unique().to_list() == [1.0]


def test_a_single_epoch_would_miss_some():
    losses_PE = world()
    found = weigh_pairs(table(losses_PE[:, -1:]), warm_up=1)
    assert len(flagged(found, "noisy") & set(range(60))) < 60


def test_without_bad_pairs_few_are_flagged():
    found = weigh_pairs(table(world(noisy=0, faulty=0)), too_hard=2.0)
    assert len(flagged(found, "noisy")) < 60
    assert len(flagged(found, "faulty")) < 60


def test_a_few_huge_losses_do_not_hide_the_tiny_ones():
    level_P = np.array([5.0] * 3 + [0.01] * 2 + [1.0] * 95)
    noise_PE = 0.05 * np.random.default_rng(1).standard_normal((100, 10))
    found = weigh_pairs(table(np.maximum(level_P[:, None] + noise_PE, 0)))
    assert flagged(found, "faulty") == {0, 1, 2}
    assert flagged(found, "noisy") == {3, 4}
    # at once, the huge ones widen sigma so much that 0.01 is within two of it
    assert (1.0 - 0.01) / level_P.std() < 2


def test_weights_are_at_most_one_where_a_density_is_not():
    # sigma .05: the normal density at mu + 2 sigma is 1.08
    density = math.exp(-2) / (0.05 * math.sqrt(2 * math.pi))
    assert density == pytest.approx(1.08, abs=0.005)
    level_P = 1.0 + 0.05 * np.random.default_rng(0).standard_normal(500)
    found = weigh_pairs(table(np.repeat(level_P[:, None], 5, axis=1)), too_hard=2.0)
    bad = found.filter(pl.col("flag") != "ok")
    assert bad.height > 5
    assert bad["weight"].is_between(0, math.exp(-2) + 1e-9).all()
    far = weigh_pairs(table(np.array([[1.0] * 5] * 4000 + [[900.0] * 5])))
    assert far.filter(pl.col("flag") == "faulty")["weight"].to_list() == [pytest.approx(math.exp(-50))]


def test_like_is_compared_with_like():
    # Scaled by (epoch + 1) / epochs, the mean of losses of 2 is 1.05 and no pair is near its own losses.
    losses_PE = world(noisy=0, faulty=0, pairs=50)
    found = weigh_pairs(table(losses_PE))
    assert found["mean_loss"].to_list() == pytest.approx(losses_PE.mean(axis=1).tolist())
    scaled_P = (losses_PE * np.arange(1, 21) / 20).mean(axis=1)
    assert scaled_P.max() < losses_PE.mean(axis=1).min()


def test_pairs_seen_in_other_epochs_compare():
    # All losses fall from 4 to 1; half of the pairs joined late, and are not too easy for that.
    falling_E = np.linspace(4.0, 1.0, 20)
    losses_PE = falling_E + 0.1 * np.random.default_rng(0).standard_normal((200, 20))
    stats = table(losses_PE).filter((pl.col("query_id") < "q0190") | (pl.col("epoch") >= 12))
    found = weigh_pairs(stats, too_easy=3.0)
    assert found.filter(pl.col("query_id") >= "q0190")["flag"].unique().to_list() == ["ok"]
    late_P = losses_PE[190:, 12:].mean(axis=1)
    assert (late_P < losses_PE[:190].mean() - 3 * losses_PE[:190].mean(axis=1).std()).all()  # by plain means all are


def test_the_warm_up_leaves_new_pairs_alone():
    stats = table(world(pairs=300, noisy=5, faulty=5)).filter((pl.col("query_id") > "q0000") | (pl.col("epoch") < 4))
    assert weigh_pairs(stats)["flag"][0] == "ok"
    assert weigh_pairs(stats, warm_up=4)["flag"][0] == "noisy"


def test_a_history_in_two_parts_gives_the_flags_of_the_whole_and_order_does_not_matter():
    stats = table(world(pairs=300, noisy=5, faulty=5))
    early, late = stats.filter(pl.col("epoch") < 8), stats.filter(pl.col("epoch") >= 8)
    resumed = pl.concat([late, early]).sample(fraction=1, shuffle=True, seed=3)
    assert weigh_pairs(resumed).equals(weigh_pairs(stats))


def test_losses_that_are_all_equal_flag_nobody():
    assert weigh_pairs(table(np.full((10, 6), 1.5)))["flag"].unique().to_list() == ["ok"]
    assert weigh_pairs(table(np.full((1, 6), 1.5)))["flag"].to_list() == ["ok"]
    assert weigh_pairs(table(np.zeros((0, 6)))).height == 0


def test_wrong_tables_are_named():
    stats = table(np.array([[1.0, 2.0], [1.0, 2.0]]))
    with pytest.raises(MissingColumnsError, match="loss"):
        weigh_pairs(stats.drop("loss"))
    broken = stats.with_columns(loss=pl.Series([1.0, float("nan"), 1.0, None]))
    with pytest.raises(ContractError, match=r"2 losses.*\(q0000, d\) in epoch 1.*\(q0001, d\) in epoch 1"):
        weigh_pairs(broken)
    with pytest.raises(ContractError, match="more than once in an epoch"):
        weigh_pairs(pl.concat([stats, stats[:1]]))
