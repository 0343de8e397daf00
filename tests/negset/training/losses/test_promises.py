"""What every loss promises, whatever it computes; a new file of the folder is tested here without being named."""

from dataclasses import replace
from functools import cache

import polars as pl
import pytest
import torch
from torch.nn.functional import normalize

from negset.training.cells import cells_of
from negset.training.objective import EpochInputs, Loss, LossInputs, MemoryInputs, Moment, losses

MOMENT = Moment(seed=3, epoch=1, epochs=4, step=5, steps=20)
QUERIES, DOCUMENTS, WIDTH = 6, 40, 8
NO_DERIVATIVE = {"claps", "gaussian_negatives", "peg", "triplet"}
"""Parts of them, weights or synthetic vectors, are constants that are computed from the vectors. Their own tests
check the gradient."""
HEARS_ALL = {"gaussian_negatives"}
"""All candidates have a say in where its invented negatives lie, whomever they count for."""

NEVER_ALONE = {"gaussian_negatives", "proto_clip"}
"""They compare a query with more than the batch's candidates."""


def vectors(rows: int, seed: int) -> torch.Tensor:
    drawn = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(drawn)


@cache
def episode(found: Loss) -> object:
    """Give what the loss computes at the start of an epoch in which the model gives the vectors of `world`."""
    queries, documents = vectors(QUERIES, 1), vectors(DOCUMENTS, 2)
    if found.prepare is None:
        return None
    inputs = EpochInputs(
        query_vectors=lambda: queries.float(),
        document_vectors=lambda: documents.float(),
        positive_row_Q=torch.arange(QUERIES),
        query_key_Q=torch.arange(QUERIES) * 7919 + 11,
        moment=MOMENT,
        guide_queries=vectors(QUERIES, 3).float(),
        guide_documents=vectors(DOCUMENTS, 4).float(),
        pair_losses=lambda: pl.DataFrame(
            schema={"query_id": pl.String, "positive_id": pl.String, "epoch": pl.Int32, "loss": pl.Float64}
        ),
    )
    return found.prepare(inputs, found.params())


def world(found: Loss, rows: int = QUERIES, kind: torch.dtype = torch.float64) -> LossInputs:
    """Give a batch of `rows` queries: query i has positive i, own negatives, and some candidates masked."""
    queries, documents = vectors(QUERIES, 1).to(kind), vectors(DOCUMENTS, 2).to(kind)
    query_keys, document_keys = torch.arange(QUERIES) * 7919 + 11, torch.arange(DOCUMENTS) * 104729 + 5
    target, columns = torch.arange(rows), torch.arange(DOCUMENTS)
    masked = (columns[None, :] + target[:, None] * 3) % 5 == 1
    masked[:, -1] = True
    masked[target, target] = False
    own = (columns[None, :] - target[:, None] * 4 - QUERIES >= 0) & (columns[None, :] - target[:, None] * 4 < 10)
    own &= ~masked
    own[target, target] = False
    memory = MemoryInputs(DOCUMENTS, WIDTH, MOMENT.seed, lambda: documents.float())
    own_parameters = None if found.open_parameters is None else found.open_parameters(memory, found.params())
    return LossInputs(
        queries_BD=queries[:rows],
        candidates_CD=documents,
        target_B=target,
        cells=cells_of(masked, own, torch.where(own, 1 + columns[None, :] % 3, 1).float()),
        query_row_B=target,
        candidate_row_C=columns,
        query_key_B=query_keys[:rows],
        candidate_key_C=document_keys,
        temperature=0.1,
        moment=MOMENT,
        guide_BG=vectors(QUERIES, 3)[:rows].to(kind),
        guide_CG=vectors(DOCUMENTS, 4).to(kind),
        teacher_BC=(vectors(QUERIES, 5)[:rows] @ vectors(DOCUMENTS, 6).T * 3).to(kind),
        episode=episode(found),
        memory=None if own_parameters is None else own_parameters.to(kind),
    )


def compute(found: Loss, inputs: LossInputs) -> torch.Tensor:
    return found.compute(inputs, found.params())


@pytest.fixture(params=sorted(losses()))
def found(request) -> Loss:
    return losses()[request.param]


def test_a_loss_is_a_finite_number_for_each_query(found):
    given = compute(found, world(found))
    assert given.shape == (QUERIES,)
    assert torch.isfinite(given).all()


def test_what_is_masked_for_all_gets_no_gradient_and_nothing_of_the_share(found):
    inputs = world(found)
    candidates = inputs.candidates_CD.clone().requires_grad_()
    queries = inputs.queries_BD.clone().requires_grad_()
    given = compute(found, replace(inputs, candidates_CD=candidates, queries_BD=queries))
    given.sum().backward()
    assert candidates.grad is None or not candidates.grad[-1].any()
    if found.name in HEARS_ALL:
        return
    elsewhere = inputs.candidates_CD.clone()
    elsewhere[-1] = -elsewhere[-1]
    assert torch.equal(compute(found, replace(inputs, candidates_CD=elsewhere)), given.detach())


def test_a_loss_hears_its_query_and_what_it_is_compared_with(found):
    inputs = world(found)
    queries = inputs.queries_BD.clone().requires_grad_()
    compute(found, replace(inputs, queries_BD=queries)).sum().backward()
    assert (queries.grad.abs().sum(dim=1) > 0).all()


def test_what_is_masked_for_one_query_alone_gets_no_gradient_from_it(found):
    inputs = world(found)
    candidates = inputs.candidates_CD.clone().requires_grad_()
    given = compute(found, replace(inputs, candidates_CD=candidates))
    for row in range(QUERIES):
        (gradient,) = torch.autograd.grad(given[row], candidates, retain_graph=True, allow_unused=True)
        assert gradient is None or not gradient[inputs.masked_BC[row]].any()


def test_permuting_the_batch_permutes_the_losses(found):
    inputs = world(found)
    rows, columns = (
        torch.tensor([4, 2, 0, 5, 1, 3]),
        torch.randperm(DOCUMENTS, generator=torch.Generator().manual_seed(1)),
    )
    place = torch.argsort(columns)
    moved = {name: getattr(inputs, name)[rows] for name in ("queries_BD", "query_row_B", "query_key_B", "guide_BG")}
    moved |= {name: getattr(inputs, name)[columns] for name in ("candidates_CD", "candidate_row_C", "guide_CG")}
    matrices = [getattr(inputs, name)[rows][:, columns] for name in ("masked_BC", "own_BC", "weight_BC")]
    moved |= {"cells": cells_of(*matrices), "teacher_BC": inputs.teacher_BC[rows][:, columns]}
    moved |= {"candidate_key_C": inputs.candidate_key_C[columns], "target_B": place[inputs.target_B[rows]]}
    there = compute(found, inputs)[rows]
    assert torch.allclose(compute(found, replace(world(found), **moved)), there, atol=1e-9)


def test_one_query_with_nothing_but_its_positive_has_a_finite_loss_and_gradient(found):
    inputs = world(found, rows=1)
    masked = torch.ones_like(inputs.masked_BC)
    masked[0, 0] = False
    candidates = inputs.candidates_CD.clone().requires_grad_()
    alone = replace(inputs, candidates_CD=candidates, cells=cells_of(masked, ~masked & False, torch.ones(masked.shape)))
    given = compute(found, alone)
    assert torch.isfinite(given).all()
    assert found.name in NEVER_ALONE or given.tolist() == [0.0]
    given.sum().backward()
    assert candidates.grad is None or torch.isfinite(candidates.grad).all()


def test_extreme_scores_give_finite_losses_and_gradients(found):
    inputs = world(found, kind=torch.float32)
    candidates = inputs.candidates_CD.clone()
    candidates[:QUERIES] = -inputs.queries_BD
    candidates[QUERIES : 2 * QUERIES] = inputs.queries_BD
    candidates.requires_grad_()
    queries = inputs.queries_BD.clone().requires_grad_()
    given = compute(found, replace(inputs, candidates_CD=candidates, queries_BD=queries, temperature=1e-3))
    given.sum().backward()
    for one in (given, queries.grad, candidates.grad):
        assert one is None or torch.isfinite(one).all()


def test_vectors_of_half_precision_are_computed_with_in_full(found):
    exact = compute(found, world(found, kind=torch.float32))
    inputs = world(found, kind=torch.float32)
    halved = replace(
        inputs, queries_BD=inputs.queries_BD.bfloat16().float(), candidates_CD=inputs.candidates_CD.bfloat16().float()
    )
    rough = replace(inputs, queries_BD=inputs.queries_BD.bfloat16(), candidates_CD=inputs.candidates_CD.bfloat16())
    given = compute(found, rough)
    assert given.dtype == torch.float32
    assert torch.equal(given, compute(found, halved))
    assert torch.allclose(given, exact, atol=0.5)


def test_the_gradient_is_that_of_the_loss(found):
    if found.name in NO_DERIVATIVE:
        return
    inputs = world(found)

    def give(queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        return compute(found, replace(inputs, queries_BD=queries, candidates_CD=candidates))

    moving = inputs.queries_BD.clone().requires_grad_(), inputs.candidates_CD.clone().requires_grad_()
    assert torch.autograd.gradcheck(give, moving, fast_mode=True)
