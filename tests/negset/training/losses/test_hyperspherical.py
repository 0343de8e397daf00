import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from negset.errors import NegsetError
from negset.training.losses.hyperspherical import (
    HypersphericalParams,
    Prototypes,
    hyperspherical,
    open_prototypes,
    tell_novel,
)
from negset.training.objective import MemoryInputs


def vectors(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def batch(loss_inputs, params: HypersphericalParams | None = None, **others):
    """Give three queries and five of nine documents, each with a prototype of its own."""
    memory = Prototypes(vectors(9, 7), params or HypersphericalParams())
    rows = torch.tensor([1, 4, 0, 8, 6])
    return loss_inputs(vectors(3, 1), vectors(5, 2), candidate_row_C=rows, memory=memory, **others)


def test_the_loss_is_what_a_double_loop_says(loss_inputs):
    masked = torch.tensor([[0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.bool)
    inputs = batch(loss_inputs, masked=masked)
    losses = hyperspherical(inputs, HypersphericalParams())
    prototypes, rows = inputs.memory.vectors_ND.detach(), inputs.candidate_row_C.tolist()
    for place in range(3):
        expected = 0.0
        for vector in (inputs.queries_BD[place], inputs.candidates_CD[place]):
            of_class = [math.exp(20 * float(vector @ prototypes[row])) for row in rows]
            total = sum(one for one, out in zip(of_class, masked[place].tolist(), strict=True) if not out)
            expected -= math.log(of_class[place] / total) / 2
        assert losses[place].item() == pytest.approx(expected)


def test_the_length_of_vectors_and_prototypes_does_not_matter(loss_inputs):
    inputs = batch(loss_inputs)
    before = hyperspherical(inputs, HypersphericalParams())
    with torch.no_grad():
        inputs.memory.vectors_ND.mul_(3.7)
    longer = replace(inputs, queries_BD=inputs.queries_BD * 250, candidates_CD=inputs.candidates_CD * 0.01)
    assert torch.allclose(hyperspherical(longer, HypersphericalParams()), before)


def test_a_vector_of_zeros_is_as_far_from_every_class_and_has_a_finite_gradient(loss_inputs):
    """Divided by a tiny number instead of by one, its gradient would be about 1e12."""
    inputs = batch(loss_inputs)
    queries, documents = torch.zeros(3, 6, dtype=torch.float64), torch.zeros(5, 6, dtype=torch.float64)
    queries.requires_grad_()
    losses = hyperspherical(replace(inputs, queries_BD=queries, candidates_CD=documents), HypersphericalParams())
    assert losses.tolist() == pytest.approx([math.log(5)] * 3)
    losses.sum().backward()
    assert 0 < float(queries.grad.abs().max()) < 100


def test_prototypes_start_at_their_documents_and_are_trained_along(loss_inputs):
    documents = vectors(9, 3)
    memory = open_prototypes(MemoryInputs(9, 6, 1, lambda: documents), HypersphericalParams())
    assert torch.equal(memory.vectors_ND, documents)
    inputs = replace(batch(loss_inputs), memory=memory)
    hyperspherical(inputs, HypersphericalParams()).sum().backward()
    moved = memory.vectors_ND.grad.abs().sum(dim=1) > 0
    assert moved.nonzero().flatten().tolist() == [0, 1, 4, 6, 8]
    assert not documents.requires_grad
    assert memory.log_kappa.grad is None


def test_a_masked_class_gets_no_gradient(loss_inputs):
    masked = torch.zeros(3, 5, dtype=torch.bool)
    masked[:, 3] = True
    inputs = batch(loss_inputs, masked=masked)
    hyperspherical(inputs, HypersphericalParams()).sum().backward()
    assert not inputs.memory.vectors_ND.grad[8].any()


def test_kappa_is_trained_where_that_is_asked_for(loss_inputs):
    params = HypersphericalParams(kappa=12, learn_kappa=True)
    inputs = batch(loss_inputs, params)
    hyperspherical(inputs, params).sum().backward()
    assert inputs.memory.log_kappa.grad.abs() > 0
    assert inputs.memory.log_kappa.exp().item() == pytest.approx(12)


def test_novel_classes_are_told_by_their_nearest_prototype():
    """Orthogonal classes, few examples each, of any length: all are told, whatever the classes are called."""
    base = torch.eye(8, dtype=torch.float64)
    names = torch.tensor([90, 3, 17, 5, 44, 8, 21, 60])
    generator = torch.Generator().manual_seed(3)

    def examples(each: int) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = base.repeat(each, 1) + 0.15 * torch.randn(8 * each, 8, generator=generator, dtype=torch.float64)
        return drawn * torch.rand(8 * each, 1, generator=generator, dtype=torch.float64) * 9, names.repeat(each)

    support, of_support = examples(5)
    asked, truth = examples(40)
    assert torch.equal(tell_novel(support, of_support, asked), truth)


def test_long_examples_do_not_outvote_short_ones():
    support = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
    support[0] *= 100
    told = tell_novel(support, torch.tensor([0, 0, 0, 1]), torch.tensor([[0.2, 1.0], [0.1, -1.0], [0.0, 0.0]]))
    assert told.tolist() == [0, 1, 0]
    assert tell_novel(support[[0, 3]], torch.tensor([7, 2]), torch.tensor([[1.0, -1.0]])).tolist() == [2]


def test_another_module_is_refused(loss_inputs):
    with pytest.raises(NegsetError, match="Linear"):
        hyperspherical(replace(batch(loss_inputs), memory=torch.nn.Linear(1, 1)), HypersphericalParams())
