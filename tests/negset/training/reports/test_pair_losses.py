import numpy as np
import polars as pl
import pytest

from negset.training.reports.pair_losses import WARM_UP, epoch_losses, flagged_pairs


def planted(epochs, pairs=200):
    """Losses around 2; the first four pairs stay at 6, the last four at .1."""
    chance = np.random.default_rng(1)
    rows = [
        (f"q{pair:03}", f"d{pair:03}", epoch, 6.0 if pair < 4 else 0.1 if pair >= pairs - 4 else chance.normal(2, 0.3))
        for epoch in range(epochs)
        for pair in range(pairs)
    ]
    return pl.DataFrame(rows, schema=["query_id", "positive_id", "epoch", "loss"], orient="row")


def test_bad_pairs_are_found_faulty_ones_first():
    found = flagged_pairs(planted(WARM_UP))
    assert {pair.query_id for pair in found if pair.flag == "faulty"} == {"q000", "q001", "q002", "q003"}
    assert {"q196", "q197", "q198", "q199"} <= {pair.query_id for pair in found if pair.flag == "noisy"}
    assert [pair.flag for pair in found] == sorted(pair.flag for pair in found)
    assert found[0].epochs == WARM_UP
    assert found[0].mean_loss == pytest.approx(6.0)
    faulty = [pair.mean_loss for pair in found if pair.flag == "faulty"]
    noisy = [pair.mean_loss for pair in found if pair.flag == "noisy"]
    assert faulty == sorted(faulty, reverse=True)
    assert noisy == sorted(noisy)


def test_a_short_run_judges_nothing():
    assert flagged_pairs(planted(WARM_UP - 1)) == []


def test_quantiles_of_each_epoch_in_order():
    rows = [("q", f"d{place}", epoch, float(place + 100 * epoch)) for epoch in (1, 0) for place in range(101)]
    first, second = epoch_losses(pl.DataFrame(rows, schema=["query_id", "positive_id", "epoch", "loss"], orient="row"))
    assert (first.epoch, first.pairs, first.mean) == (0, 101, 50.0)
    assert first.quantiles == (5.0, 25.0, 50.0, 75.0, 95.0)
    assert second.quantiles == (105.0, 125.0, 150.0, 175.0, 195.0)
