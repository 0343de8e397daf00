"""Minus the log of the positive's share in a softmax: of a matrix, or in blocks that never make one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy

from negset.training.cells import Cells
from negset.training.objective import cosines, widened

Tilt = Callable[[torch.Tensor, slice], torch.Tensor]
"""Gives what is added to the logits of negatives, without gradients, from a block of logits and its rows."""


def softmax_losses(
    queries_BD: torch.Tensor,
    candidates_CD: torch.Tensor,
    target_B: torch.Tensor,
    cells: Cells,
    *,
    temperature: float | torch.Tensor = 1.0,
    block: int | None = None,
    tilt: Tilt | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Give minus the log of each target's share among the candidates that count, (B,), with gradients.

    A logit is the product of a query and a candidate over `temperature`, plus, for all but the target, what `tilt`
    says. A masked candidate has minus infinity, never a factor: multiplied by zero it
    would keep the weight exp(0), and far from the positive that is most of the sum.

    With `smoothing`, that share of what is to be predicted lies evenly on all candidates that count.

    With `block`, at most `block` x `block` logits exist at a time and the backward pass computes them anew: one
    product more, and memory that grows with B + C instead of B x C. Second derivatives are not to be had then.
    """
    queries_BD, candidates_CD = widened(queries_BD), widened(candidates_CD)
    if block is not None:
        rest = (target_B, cells, block, tilt, smoothing)
        losses_B: torch.Tensor = _Streamed.apply(queries_BD / temperature, candidates_CD, *rest)  # type: ignore[no-untyped-call]
        return losses_B
    logits_BC = cosines(queries_BD, candidates_CD) / temperature
    if tilt is not None:
        tilt_BC = tilt(logits_BC.detach(), slice(0, len(logits_BC)))
        logits_BC = logits_BC + tilt_BC.scatter(1, target_B[:, None], 0.0)
    masked_BC = cells.masked_BC()
    losses_B = cross_entropy(logits_BC.masked_fill(masked_BC, float("-inf")), target_B, reduction="none")
    if smoothing:
        means_B = logits_BC.masked_fill(masked_BC, 0.0).sum(1) / cells.counted_B()
        losses_B = losses_B + smoothing * (logits_BC.gather(1, target_B[:, None])[:, 0] - means_B)
    return losses_B


def log_sums(
    logit_vectors_BD: torch.Tensor, candidates_CD: torch.Tensor, target_B: torch.Tensor, cells: Cells, block: int | None
) -> torch.Tensor:
    """Give the log of each query's sum of exp(logit) over its negatives that count, (B,), without gradients.

    Minus infinity where a query has none.
    """
    with torch.no_grad(), _full_precision(logit_vectors_BD):
        vectors_BD, candidates_CD = widened(logit_vectors_BD), widened(candidates_CD)
        sums_B = vectors_BD.new_full((len(vectors_BD),), float("-inf"))
        size = block or max(vectors_BD.shape[0], candidates_CD.shape[0])
        for rows, columns, logits in _blocks(vectors_BD, candidates_CD, cells, size):
            row, column = _targets_inside(target_B, rows, columns)
            logits[row, column] = float("-inf")
            sums_B[rows] = torch.logaddexp(sums_B[rows], torch.logsumexp(logits, 1))
    return sums_B


class _Streamed(torch.autograd.Function):
    """The loss in blocks. Rabe and Staats 2021 (arXiv 2112.05682) keep such sums for attention."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        vectors_BD: torch.Tensor,
        candidates_CD: torch.Tensor,
        target_B: torch.Tensor,
        cells: Cells,
        block: int,
        tilt: Tilt | None,
        smoothing: float,
    ) -> torch.Tensor:
        sums_B = vectors_BD.new_full((len(vectors_BD),), float("-inf"))
        aim_B = vectors_BD.new_zeros(len(vectors_BD))
        counted_B = cells.counted_B()
        with _full_precision(vectors_BD):
            for rows, columns, logits in _blocks(vectors_BD, candidates_CD, cells, block, target_B, tilt):
                sums_B[rows] = torch.logaddexp(sums_B[rows], torch.logsumexp(logits, 1))
                row, column = _targets_inside(target_B, rows, columns)
                aim_B[rows.start + row] += (1 - smoothing) * logits[row, column]
                if smoothing:
                    total_B = logits.masked_fill_(logits.isneginf(), 0.0).sum(1)
                    aim_B[rows] += smoothing * total_B / counted_B[rows]
        ctx.save_for_backward(vectors_BD, candidates_CD, target_B, sums_B)
        ctx.rest = cells, block, tilt, smoothing
        return sums_B - aim_B

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        vectors_BD, candidates_CD, target_B, sums_B = ctx.saved_tensors
        cells, block, tilt, smoothing = ctx.rest
        even_B = smoothing / cells.counted_B().to(sums_B.dtype)
        vectors_grad = torch.zeros_like(vectors_BD) if ctx.needs_input_grad[0] else None
        candidates_grad = torch.zeros_like(candidates_CD) if ctx.needs_input_grad[1] else None
        with _full_precision(vectors_BD):
            for rows, columns, logits in _blocks(vectors_BD, candidates_CD, cells, block, target_B, tilt):
                even = even_B[rows, None].masked_fill(logits.isneginf(), 0.0) if smoothing else None
                shares = logits.sub_(sums_B[rows, None]).exp_()
                row, column = _targets_inside(target_B, rows, columns)
                shares[row, column] -= 1 - smoothing
                if even is not None:
                    shares -= even
                shares *= gradient_B[rows, None]
                if vectors_grad is not None:
                    vectors_grad[rows].addmm_(shares, candidates_CD[columns])
                if candidates_grad is not None:
                    candidates_grad[columns].addmm_(shares.T, vectors_BD[rows])
        return vectors_grad, candidates_grad, None, None, None, None, None


def _blocks(
    vectors_BD: torch.Tensor,
    candidates_CD: torch.Tensor,
    cells: Cells,
    block: int,
    target_B: torch.Tensor | None = None,
    tilt: Tilt | None = None,
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Yield rows, columns and logits of each block, tilted and minus infinity where masked; to be written over."""
    for rows in _slices(len(vectors_BD), block):
        for columns in _slices(len(candidates_CD), block):
            logits = vectors_BD[rows] @ candidates_CD[columns].T
            if tilt is not None and target_B is not None:
                tilts = tilt(logits, rows)
                tilts[_targets_inside(target_B, rows, columns)] = 0.0
                logits += tilts
            yield rows, columns, logits.masked_fill_(cells.masked_block(rows, columns), float("-inf"))


def _slices(length: int, size: int) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _targets_inside(target_B: torch.Tensor, rows: slice, columns: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Give row and column within a block of the targets that lie in it."""
    column = target_B[rows] - columns.start
    row = ((column >= 0) & (column < columns.stop - columns.start)).nonzero()[:, 0]
    return row, column[row]


def _full_precision(tensor: torch.Tensor) -> AbstractContextManager[Any]:
    return torch.autocast(tensor.device.type, enabled=False)
