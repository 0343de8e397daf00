import math

import pytest
import torch

from negset.training.losses.info_nce import InfoNceParams, info_nce
from negset.training.losses.peg import PegParams, peg
from negset.training.objective import Moment

MASKED = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0]], dtype=torch.bool)


def at(step: int) -> Moment:
    return Moment(seed=1, epoch=0, epochs=1, step=step, steps=100)


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 5, generator=generator, dtype=torch.float64))


def weights_by_hand(cosines: list[float], slope: float, largest: float) -> list[float]:
    raw = [math.exp(slope * cosine) for cosine in cosines]
    return [min(one * len(raw) / sum(raw), largest) for one in raw]


@pytest.mark.parametrize("block", [None, 2, 4])
@pytest.mark.parametrize("largest", [20.0, 1.2])
def test_the_loss_is_what_a_double_loop_says(loss_inputs, block, largest):
    queries, documents, target = unit(3, 1), unit(6, 2), [0, 1, 0]
    inputs = loss_inputs(queries, documents, target=torch.tensor(target), masked=MASKED, temperature=0.1, moment=at(50))
    losses = peg(inputs, PegParams(steepness=4.0, largest=largest, block=block))
    for row in range(3):
        negatives = [j for j in range(6) if not MASKED[row, j] and j != target[row]]
        cosines = [float(queries[row] @ documents[j]) for j in negatives]
        positive = math.exp(float(queries[row] @ documents[target[row]]) / 0.1)
        weights = weights_by_hand(cosines, 4.0 * 0.5, largest)
        total = sum(w * math.exp(c / 0.1) for w, c in zip(weights, cosines, strict=True))
        assert losses[row] == pytest.approx(-math.log(positive / (positive + total)))


@pytest.mark.parametrize("block", [None, 2])
@pytest.mark.parametrize(("step", "steepness"), [(0, 5.0), (60, 0.0)])
def test_without_slope_it_is_plain_info_nce(loss_inputs, block, step, steepness):
    inputs = loss_inputs(unit(3, 1), unit(6, 2), masked=MASKED & False, temperature=0.1, moment=at(step))
    plain = info_nce(inputs, InfoNceParams())
    assert torch.allclose(peg(inputs, PegParams(steepness=steepness, block=block)), plain)
    later = loss_inputs(unit(3, 1), unit(6, 2), masked=MASKED & False, temperature=0.1, moment=at(99))
    assert (peg(later, PegParams()) - plain).abs().min() > 1e-3


@pytest.mark.parametrize("block", [1, 2, 4, 100])
def test_in_blocks_it_is_the_same_loss_with_the_same_gradients(loss_inputs, block):
    results = []
    for size in (None, block):
        queries, documents = unit(3, 1).requires_grad_(), unit(6, 2).requires_grad_()
        target = torch.tensor([0, 1, 0])
        inputs = loss_inputs(queries, documents, target=target, masked=MASKED, temperature=0.1, moment=at(70))
        losses = peg(inputs, PegParams(block=size))
        (losses * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
        results.append((losses.detach(), queries.grad, documents.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("block", [None, 2])
def test_the_weights_have_no_gradient(loss_inputs, block):
    """With one through the weights, the gradient would be that of finite differences, which move them along."""

    def loss_at(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        inputs = loss_inputs(queries, documents, temperature=0.1, moment=at(90))
        return peg(inputs, PegParams(block=block)).sum()

    queries, documents = unit(3, 1), unit(6, 2).requires_grad_()
    loss_at(queries, documents).backward()
    with torch.no_grad():
        cosines = queries @ documents.T
        raw = torch.exp(4.5 * cosines).fill_diagonal_(0)
        weights = (raw * 5 / raw.sum(1, keepdim=True)).clamp(max=20)
        weights.fill_diagonal_(1)
    frozen = documents.detach().clone().requires_grad_()
    logits = queries @ frozen.T / 0.1 + weights.log()
    torch.nn.functional.cross_entropy(logits, torch.arange(3), reduction="sum").backward()
    assert torch.allclose(documents.grad, frozen.grad, atol=1e-9)


def test_a_negative_that_comes_nearer_gains_share_and_weights_change_which_is_hardest(loss_inputs):
    def share(cosine: float, step: int) -> float:
        documents = torch.tensor([[0.9], [cosine], [0.3], [0.1]], dtype=torch.float64).requires_grad_()
        peg(
            loss_inputs(torch.ones(1, 1, dtype=torch.float64), documents, temperature=0.2, moment=at(step)), PegParams()
        ).sum().backward()
        return float(documents.grad[1])

    shares = [share(cosine, 99) for cosine in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert shares == sorted(shares)
    assert share(0.8, 99) > share(0.8, 50) > share(0.8, 0)


def test_exact_duplicates_of_the_positive_that_are_masked_have_no_part_in_the_mean(loss_inputs):
    queries, documents = unit(2, 1), unit(4, 2)
    with_copy = torch.cat([documents, documents[:1]])
    masked = torch.zeros(2, 5, dtype=torch.bool)
    masked[0, 4] = True
    there = peg(loss_inputs(queries, documents, temperature=0.1, moment=at(80)), PegParams())
    here = peg(loss_inputs(queries, with_copy, masked=masked, temperature=0.1, moment=at(80)), PegParams())
    assert here[0] == pytest.approx(float(there[0]))
    assert here[1] != pytest.approx(float(there[1]))


@pytest.mark.parametrize("block", [None, 2])
def test_a_query_with_only_its_positive_has_no_loss_and_a_finite_gradient(loss_inputs, block):
    masked = torch.tensor([[False, True, True], [True, False, False]])
    queries, documents = unit(2, 1).requires_grad_(), unit(3, 2).requires_grad_()
    losses = peg(
        loss_inputs(queries, documents, masked=masked, temperature=0.01, moment=at(99)), PegParams(block=block)
    )
    losses.sum().backward()
    assert losses[0] == 0
    assert queries.grad.isfinite().all()
    assert documents.grad.isfinite().all()
    assert documents.grad[0].abs().sum() == 0


@pytest.mark.parametrize("block", [None, 2])
def test_steep_weights_do_not_overflow(loss_inputs, block):
    inputs = loss_inputs(unit(3, 1).float(), unit(6, 2).float(), temperature=0.001, moment=at(99))
    assert peg(inputs, PegParams(steepness=1e4, block=block)).isfinite().all()
