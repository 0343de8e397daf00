from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import normalize

from negset.errors import ConfigError, InputError
from negset.lots import id_keys
from negset.mining.loss_history import weigh_pairs
from negset.training.losses.dbpm import DbpmParams, dbpm, pair_weights, prepare
from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.objective import EpochInputs, Moment

QUERIES = 60
FAULTY, NOISY = ("q3", "d3"), ("q7", "d7")
MOMENT = Moment(seed=1, epoch=4, epochs=9, step=40, steps=90)


def keys(ids: list[str]) -> torch.Tensor:
    return torch.from_numpy((id_keys(ids) >> np.uint64(1)).astype(np.int64))


def history(epochs: int) -> pl.DataFrame:
    """Give losses near 2 with a deviation of .35, of q3 always 4.5, of q7 always .2."""
    drawn = np.random.default_rng(1).normal(2, 0.35, (epochs, QUERIES))
    drawn[:, 3], drawn[:, 7] = 4.5, 0.2
    rows = [(f"q{q}", f"d{q}", epoch, float(drawn[epoch, q])) for epoch in range(epochs) for q in range(QUERIES)]
    schema = {"query_id": pl.String, "positive_id": pl.String, "epoch": pl.Int32, "loss": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def epoch_inputs(losses: pl.DataFrame | None) -> EpochInputs:
    return EpochInputs(
        query_vectors=lambda: torch.zeros(0),
        document_vectors=lambda: torch.zeros(0),
        positive_row_Q=torch.arange(QUERIES),
        query_key_Q=keys([f"q{q}" for q in range(QUERIES)]),
        moment=MOMENT,
        pair_losses=None if losses is None else lambda: losses,
    )


def vectors(rows: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def batch(loss_inputs, episode, queries=("q3", "q7", "q5"), documents=("d3", "d7", "d5", "d9", "d11")):
    return loss_inputs(
        vectors(len(queries), 1),
        vectors(len(documents), 2),
        query_key_B=keys(list(queries)),
        candidate_key_C=keys(list(documents)),
        temperature=0.2,
        episode=episode,
    )


def weights_of(losses: pl.DataFrame, params: DbpmParams) -> dict[tuple[str, str], float]:
    judged = weigh_pairs(losses, too_easy=params.too_easy, too_hard=params.too_hard, warm_up=params.warm_up)
    return {
        (query, document): weight
        for query, document, weight in judged.select(["query_id", "positive_id", "weight"]).rows()
    }


def test_only_odd_pairs_are_kept_and_each_finds_its_weight(loss_inputs):
    params, losses = DbpmParams(), history(4)
    episode = prepare(epoch_inputs(losses), params)
    expected = weights_of(losses, params)
    assert len(episode["key"]) == 2
    weights = pair_weights(batch(loss_inputs, episode)).tolist()
    assert weights == pytest.approx([expected[FAULTY], expected[NOISY], 1.0])
    assert 0 < weights[0] < 0.01
    assert 0 < weights[1] < 0.5


def test_a_pair_is_both_its_texts(loss_inputs):
    """By the query alone, its other positives would be weighed down too."""
    episode = prepare(epoch_inputs(history(4)), DbpmParams())
    weights = pair_weights(batch(loss_inputs, episode, documents=("d8", "d3", "d5", "d7", "d1")))
    assert weights.tolist() == [1.0, 1.0, 1.0]


def test_before_the_warm_up_is_over_nobody_is_judged(loss_inputs):
    for epochs in (0, 1, 2):
        episode = prepare(epoch_inputs(history(epochs)), DbpmParams(warm_up=3))
        assert len(episode["key"]) == 0
        assert pair_weights(batch(loss_inputs, episode)).tolist() == [1.0] * 3
    assert len(prepare(epoch_inputs(history(3)), DbpmParams(warm_up=3))["key"]) == 2


def test_the_gradient_is_weighed_and_the_value_is_not(loss_inputs):
    """A weighed value would be what the next epoch judges: a faulty pair would look noisy, and then fine."""
    episode = prepare(epoch_inputs(history(4)), DbpmParams())
    inputs = batch(loss_inputs, episode)
    plain = info_nce(inputs, InfoNceParams())
    assert torch.allclose(dbpm(inputs, DbpmParams()), plain)
    weights = pair_weights(inputs)
    for row in range(3):
        given = []
        for compute, params in ((dbpm, DbpmParams()), (info_nce, InfoNceParams())):
            moving = inputs.queries_BD.clone().requires_grad_()
            compute(replace(inputs, queries_BD=moving), params)[row].backward()
            given.append(moving.grad[row])
        assert torch.allclose(given[0], float(weights[row]) * given[1], atol=1e-12)


def test_the_order_of_rows_changes_nothing():
    losses = history(5)
    there, back = (
        prepare(epoch_inputs(one), DbpmParams()) for one in (losses, losses.sample(fraction=1, shuffle=True, seed=4))
    )
    assert torch.equal(there["key"], back["key"])
    assert torch.equal(there["weight"], back["weight"])
    assert (there["key"].diff() > 0).all()


def test_the_losses_of_another_run_are_read_from_a_file(loss_inputs, tmp_path):
    path = tmp_path / "losses.parquet"
    pq.write_table(history(4).to_arrow(), path)
    params = DbpmParams(pair_stats=str(path))
    episode = prepare(epoch_inputs(None), params)
    assert torch.equal(episode["key"], prepare(epoch_inputs(history(4)), DbpmParams())["key"])
    others = history(4).with_columns(query_id=pl.lit("other-") + pl.col("query_id"))
    pq.write_table(others.to_arrow(), path)
    with pytest.raises(InputError, match="another set"):
        prepare(epoch_inputs(None), params)


def test_a_run_that_keeps_no_losses_is_refused():
    with pytest.raises(ConfigError, match="pair_stats"):
        prepare(epoch_inputs(None), DbpmParams())
