import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.training.cells import Cells, cells_of
from negset.training.softmax import log_sums, softmax_losses


def unit(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64))


def world(queries: int, candidates: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Cells]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(candidates, (queries,), generator=generator)
    masked = torch.rand((queries, candidates), generator=generator) < 0.3
    masked[torch.arange(queries), target] = False
    cells = cells_of(masked, torch.zeros_like(masked), torch.ones(masked.shape))
    return unit(queries, seed) / 0.05, unit(candidates, seed + 1), target, cells


def grown(logits: torch.Tensor, rows: slice) -> torch.Tensor:
    return 0.1 * logits + torch.arange(rows.start, rows.stop)[:, None]


def losses_and_gradients(queries, candidates, target, cells, **options):
    queries, candidates = queries.clone().requires_grad_(), candidates.clone().requires_grad_()
    losses = softmax_losses(queries, candidates, target, cells, **options)
    (losses * torch.arange(1, len(losses) + 1)).sum().backward()
    return losses.detach(), queries.grad, candidates.grad


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 999), st.integers(1, 10), st.booleans(), st.booleans())
def test_in_blocks_losses_and_gradients_are_those_of_the_matrix(queries, candidates, seed, block, tilted, smooth):
    drawn = world(queries, candidates, seed)
    options = {"tilt": grown if tilted else None, "smoothing": 0.2 if smooth else 0.0}
    there = losses_and_gradients(*drawn, **options)
    here = losses_and_gradients(*drawn, **options, block=block)
    for one, other in zip(there, here, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_a_thousand_by_two_thousand_in_float32_is_equal_to_a_millionth():
    queries, candidates, target, cells = world(1000, 2000, 3)
    drawn = (queries.float(), candidates.float(), target, cells)
    there, here = losses_and_gradients(*drawn), losses_and_gradients(*drawn, block=300)
    for one, other in zip(there, here, strict=True):
        assert ((one - other).abs().max() / one.abs().max()) < 2e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("block", [None, 2])
def test_gradients_are_those_of_finite_differences(block, smoothing):
    queries, candidates, target, cells = world(3, 5, 8)
    queries = (queries / 10).requires_grad_()
    candidates = candidates.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q, c: softmax_losses(q, c, target, cells, block=block, smoothing=smoothing), (queries, candidates)
    )


def test_frozen_candidates_get_no_gradient_in_blocks():
    queries, candidates, target, cells = world(3, 5, 8)
    queries.requires_grad_()
    softmax_losses(queries, candidates, target, cells, block=2).sum().backward()
    assert queries.grad.abs().sum() > 0
    assert candidates.grad is None


@pytest.mark.parametrize("block", [None, 2])
def test_a_positive_alone_has_exactly_no_loss_in_a_block_of_its_own_too(block):
    masked = torch.tensor([[True, True, True, False]])
    cells = cells_of(masked, ~masked, torch.ones(1, 4))
    vectors = (unit(1, 1), unit(4, 2), torch.tensor([3]), cells)
    assert softmax_losses(*vectors, block=block).tolist() == [0.0]
    assert log_sums(*vectors, block).tolist() == [float("-inf")]


@pytest.mark.parametrize("block", [None, 2])
def test_huge_logits_do_not_overflow(block):
    queries, candidates, target, cells = world(4, 6, 5)
    for out in losses_and_gradients(queries.float() * 1e4, candidates.float(), target, cells, block=block):
        assert out.isfinite().all()


@pytest.mark.parametrize("block", [None, 3])
def test_no_logit_is_rounded_where_autocast_is_on(block):
    queries, candidates, target, cells = world(4, 6, 5)
    plain = losses_and_gradients(queries.float(), candidates.float(), target, cells, block=block)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = losses_and_gradients(queries.float(), candidates.float(), target, cells, block=block)
    assert torch.equal(plain[0], under[0])
    half = softmax_losses(queries.bfloat16(), candidates.bfloat16(), target, cells, block=block)
    assert half.dtype == torch.float32


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 999), st.booleans())
def test_the_sum_over_the_negatives_is_that_of_a_loop(queries, candidates, seed, in_batch):
    vectors, documents, target, cells = world(queries, candidates, seed)
    masked = cells.masked_BC()
    row, column = (masked == in_batch).nonzero(as_tuple=True)
    none = row[:0]
    cells = Cells(queries, candidates, in_batch, row, column, none, none, torch.zeros(0))
    logits = vectors @ documents.T
    sums = log_sums(vectors, documents, target, cells, 2)
    for i in range(queries):
        negatives = [j for j in range(candidates) if not masked[i, j] and j != target[i]]
        expected = float(logits[i, negatives].exp().sum().log()) if negatives else float("-inf")
        assert sums[i] == pytest.approx(expected)
