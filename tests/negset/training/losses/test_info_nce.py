import math

import pytest
import torch

from negset.training.losses.info_nce import InfoNceParams
from negset.training.losses.info_nce import info_nce as compute


def vectors(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 5, generator=generator, dtype=torch.float32))


@pytest.fixture
def info_nce(loss_inputs):
    def give(queries, candidates, target, masked, temperature):
        return compute(
            loss_inputs(queries, candidates, target=target, masked=masked, temperature=temperature), InfoNceParams()
        )

    return give


def test_the_loss_is_what_a_double_loop_says(info_nce):
    queries, documents = vectors(3, 1), vectors(6, 2)
    masked = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]], dtype=torch.bool)
    target = [0, 2, 5]
    losses = info_nce(queries, documents, torch.tensor(target), masked, 0.1)
    for row in range(3):
        total = 0.0
        for column in range(6):
            if not masked[row, column]:
                total += math.exp(float(queries[row] @ documents[column]) / 0.1)
        expected = -math.log(math.exp(float(queries[row] @ documents[target[row]]) / 0.1) / total)
        assert float(losses[row]) == pytest.approx(expected, abs=1e-5)


def test_a_masked_candidate_gets_no_gradient_and_has_no_weight(info_nce):
    """Masked by a factor, as OpenShape's loss has it, the first world's loss would be .474."""
    logits = torch.tensor([[0.5, 0.9, -8.0, -9.0]])
    loss = info_nce(torch.ones(1, 1), logits.T, torch.tensor([0]), torch.tensor([[False, True, False, False]]), 1.0)
    assert float(loss) == pytest.approx(0.0003, abs=5e-5)
    documents = vectors(4, 3).requires_grad_()
    masked = torch.tensor([[False, True, False, False]])
    info_nce(vectors(1, 4), documents, torch.tensor([0]), masked, 0.05).sum().backward()
    assert documents.grad[1].tolist() == [0.0] * 5
    assert documents.grad[2].abs().sum() > 0


def test_a_query_with_nothing_but_its_positive_has_no_loss(info_nce):
    losses = info_nce(vectors(1, 1), vectors(3, 2), torch.tensor([1]), torch.tensor([[True, False, True]]), 0.05)
    assert losses.tolist() == [0.0]


def test_permuting_the_batch_permutes_the_losses(info_nce):
    queries, documents, target = vectors(4, 1), vectors(7, 2), torch.tensor([0, 1, 2, 3])
    masked = torch.zeros(4, 7, dtype=torch.bool)
    masked[0, 4] = masked[3, 5] = True
    order = torch.tensor([2, 0, 3, 1])
    there = info_nce(queries, documents, target, masked, 0.05)
    back = info_nce(queries[order], documents, target[order], masked[order], 0.05)
    assert torch.allclose(there[order], back, atol=1e-6)
