from itertools import islice

import numpy as np
import polars as pl
import pytest

from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.plans.cyclical import CyclicalParams, chances, shares, shares_worth
from negset.errors import ConfigError

LOSSES = np.repeat(np.arange(1, 11) / 10.0, 100)


def opened(inputs, *, passes=3, seed=1, **options):
    found = find_plan("cyclical")
    params = plan_params(found, options)
    return found.open(inputs, PlanSettings(seed, 32, found.epochs(passes, params), passes=passes), params)


@pytest.fixture
def inputs(plan_inputs):
    return plan_inputs(1000, losses=lambda _path: LOSSES)


def test_the_share_grows_to_all_and_shrinks_again():
    assert list(islice(shares(0.25, 1.0, 0.5), 8)) == [0.25, 0.5, 1.0, 0.5, 0.25, 0.5, 1.0, 0.5]
    assert list(islice(shares(0.1, 1.0, 0.5), 9)) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 0.5, 0.25, 0.125, 0.1])
    assert list(islice(shares(1.0, 1.0, 0.5), 3)) == [1.0, 1.0, 1.0]


def test_so_many_epochs_are_worth_what_was_asked_for():
    three, ten = shares_worth(3, CyclicalParams()), shares_worth(10, CyclicalParams())
    assert three == [0.25, 0.5, 1.0, 0.5, 0.25, 0.5]
    assert sum(three) == 3.0
    assert (len(ten), sum(ten)) == (19, 10.75)


def test_an_epoch_has_its_share_of_the_queries_none_of_them_twice(inputs):
    visit = opened(inputs)
    for epoch, count in enumerate([250, 500, 1000, 500, 250, 500]):
        rows = visit(epoch).query_V
        assert len(rows) == len(set(rows.tolist())) == count
    drawn = np.random.default_rng(1).choice(1000, 250, p=chances(LOSSES, 0.0))
    assert len(set(drawn.tolist())) < 250  # with replacement, the wrong way


def test_easy_queries_are_visited_more_often_in_small_epochs_and_alike_in_full_ones(inputs):
    visits = [opened(inputs, seed=seed)(0).query_V for seed in range(20)]
    counts = np.bincount(np.concatenate(visits), minlength=1000)
    by_loss = counts.reshape(10, 100).sum(axis=1)
    assert np.corrcoef(np.argsort(np.argsort(LOSSES[::100])), by_loss)[0, 1] < -0.8
    assert by_loss[0] > 3 * by_loss[-1]
    full = np.bincount(opened(inputs)(2).query_V, minlength=1000)
    assert set(full.tolist()) == {1}


def test_a_loss_of_zero_is_no_certainty():
    chance = chances(np.r_[0.0, LOSSES], 0.0)
    assert np.isfinite(chance).all()
    assert chance.sum() == pytest.approx(1.0)
    assert chance[0] == pytest.approx(chance[1])
    assert chances(np.zeros(4), 0.0).tolist() == [0.25] * 4


def test_the_chance_may_fall_exponentially_with_the_loss():
    chance = chances(np.array([0.0, 1.0, 2.0]), 3.0)
    assert chance[0] / chance[1] == pytest.approx(np.exp(3.0))
    assert chances(np.array([0.0, 5000.0]), 3.0).min() > 0


def test_an_end_below_the_start_is_refused():
    with pytest.raises(ConfigError, match=r"end 0\.2 is below start 0\.5"):
        plan_params(find_plan("cyclical"), {"start": 0.5, "end": 0.2})


def test_losses_come_from_a_file_or_from_the_scores_of_the_set(tmp_path):
    from negset.batching.set_scores import _read_losses, _score_losses

    stats = pl.DataFrame({"query_id": ["a", "a", "b"], "positive_id": ["x", "y", "z"], "loss": [1.0, 3.0, 4.0]})
    stats.write_parquet(tmp_path / "stats.parquet")
    assert dict(_read_losses(str(tmp_path / "stats.parquet")).iter_rows()) == {"a": 2.0, "b": 4.0}
    negatives = pl.DataFrame(
        {"query_id": ["a", "a", "b"], "score": [0.45, 0.5, 400.0], "positive_score": [0.5, 0.5, 0.0]}
    )
    losses = dict(_score_losses(negatives).iter_rows())
    assert losses["a"] == pytest.approx(np.log(1 + np.exp(-1.0) + 1))
    assert losses["b"] == pytest.approx(400 / 0.05)
