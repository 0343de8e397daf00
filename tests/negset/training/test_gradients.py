"""Cached gradients equal those of one graph: loss, parameters, the loss's own parameters; dropout on."""

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.training import gradients
from negset.training.batches import collate_batch, shuffled_plan
from negset.training.binding import bind
from negset.training.distributed import ALONE
from negset.training.examples import build_examples
from negset.training.gradients import Work, add_gradients, embed_chunks
from negset.training.model import open_model
from negset.training.objective import Moment
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
MOMENT = Moment(seed=13, epoch=0, epochs=1, step=3, steps=9)


@pytest.fixture
def examples(planted):
    return build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")


def bound(planted, examples, model_name, mini_batch):
    config = TrainConfig(model=str(model_name), device="cpu", mini_batch=mini_batch, batch_size=11)
    binding = bind(open_model(config, planted.start()), examples, config)
    planned = next(shuffled_plan(examples, 13, 11, in_batch=True)(0))
    batch = collate_batch(examples, planned, 13, 0)
    losses = partial(binding.loss.compute, params=binding.params)
    return binding, Work(batch, MOMENT, 0, 11, losses)


def taken(binding):
    """Give the gradients of all parameters as dense copies, and forget them."""
    found = {
        name: parameter.grad.to_dense().clone()
        for name, parameter in binding.model.module.named_parameters()
        if parameter.grad is not None
    }
    binding.model.module.zero_grad(set_to_none=True)
    return found


def one_graph(binding, work):
    """Embed chunk by chunk as the cached form does, but keep the graph of all chunks."""
    chunks = [list(gradients._chunks(binding, work, role)) for role in ("query", "document")]
    losses_B = gradients._losses(binding, work, *(embed_chunks(binding, one) for one in chunks))
    (losses_B.sum() / work.queries).backward()
    return losses_B.detach()


def furthest(left, right):
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.mark.parametrize("mini_batch", [1, 4, 11, 100])
def test_the_cached_step_of_a_bag_is_the_plain_one(planted, examples, mini_batch):
    binding, work = bound(planted, examples, "static", 0)
    expected = add_gradients(binding, work)
    wanted = taken(binding)
    cached = replace(binding, mini_batch=mini_batch)
    losses_B = add_gradients(cached, work)
    assert losses_B.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert furthest(taken(cached), wanted) < 1e-5
    assert max(float(gradient.abs().max()) for gradient in wanted.values()) > 1e-3


def test_the_cached_step_of_a_transformer_is_the_plain_one_with_dropout(planted, examples, tiny_model):
    binding, work = bound(planted, examples, tiny_model, 4)
    expected = one_graph(binding, work)
    wanted = taken(binding)
    losses_B = add_gradients(binding, work)
    assert losses_B.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert furthest(taken(binding), wanted) < 1e-5
    assert max(float(gradient.abs().max()) for gradient in wanted.values()) > 1e-3


def test_a_second_pass_that_draws_other_dropout_is_another_gradient(planted, examples, tiny_model, monkeypatch):
    """The wrong version: texts embedded the second time by what the generator happens to give."""
    binding, work = bound(planted, examples, tiny_model, 4)
    one_graph(binding, work)
    wanted = taken(binding)

    def forgetful(of, chunk):
        if not torch.is_grad_enabled():
            torch.manual_seed(chunk.seed)
        return (of.embed_query if chunk.role == "query" else of.embed_document)(chunk.rows)

    monkeypatch.setattr(gradients, "embed_chunk", forgetful)
    add_gradients(binding, work)
    assert furthest(taken(binding), wanted) > 1e-4


def test_without_dropout_chunks_of_a_transformer_change_nothing(planted, examples, tiny_model):
    binding, work = bound(planted, examples, tiny_model, 0)
    for part in binding.model.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    expected = add_gradients(binding, work)
    wanted = taken(binding)
    cached = replace(binding, mini_batch=3)
    assert add_gradients(cached, work).numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert furthest(taken(cached), wanted) < 1e-5


def test_chunks_of_queries_documents_turns_and_steps_draw_apart(planted, examples):
    binding, work = bound(planted, examples, "static", 2)
    other_turn, other_step = replace(work, turn=1), replace(work, moment=replace(MOMENT, step=4))
    seeds = [
        chunk.seed
        for one in (work, other_turn, other_step)
        for role in ("query", "document")
        for chunk in gradients._chunks(binding, one, role)
    ]
    assert len(set(seeds)) == len(seeds)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 45))
def test_chunks_hold_each_text_once_in_order(rows, mini_batch):
    from types import SimpleNamespace

    batch = SimpleNamespace(queries_B=np.arange(rows) * 3, candidates_C=np.arange(rows))
    work = Work(batch, MOMENT, 0, rows, lambda inputs: inputs)
    chunks = list(gradients._chunks(SimpleNamespace(mini_batch=mini_batch, world=ALONE), work, "query"))
    assert np.concatenate([chunk.rows for chunk in chunks]).tolist() == batch.queries_B.tolist()
    assert [chunk.start for chunk in chunks][1:] == [chunk.stop for chunk in chunks][:-1]
    assert max(len(chunk.rows) for chunk in chunks) <= (mini_batch or rows)
