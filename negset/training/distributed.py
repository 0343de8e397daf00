"""One batch over several processes: each embeds its part, all see every vector, gradients are summed.

Every process plans the same batches and computes the loss of the whole batch from the vectors of all, with gradients
to its own; a sum over processes is then the gradient that one process alone would have, for any loss, also for one in
which queries meet. What that repeats is the product of vectors, which costs little beside embedding.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
import torch.distributed as dist

from negset.training.examples import Rows
from negset.training.model import Embed

_BUCKET: Final = 1 << 23
"""Numbers that are summed over processes in one message: enough to fill a wire, little beside a model."""


@dataclass(frozen=True)
class World:
    """The processes that train together: which of them this one is, from 0, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Say whether this process is the one that writes files."""
        return self.rank == 0


ALONE: Final = World()


def split_batch(count: int, world: World) -> list[slice]:
    """Cut `count` rows into a run of neighbours for each process; the first ones have one row more."""
    least, more = divmod(count, world.size)
    ends = [least * rank + min(rank, more) for rank in range(world.size + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def embed_together(embed: Embed, rows: Rows, world: World) -> torch.Tensor:
    """Embed this process's part of `rows` and give the vectors of all of them, in their order."""
    if world.size == 1:
        return embed(rows)
    own = rows[split_batch(len(rows), world)[world.rank]]
    # With no row of its own a process embeds one for nothing: all must have gradients of the same parameters.
    local_nD = embed(own) if len(own) else embed(rows[:1])[:0]
    return gather_with_gradient(local_nD, len(rows), world)


def gather_with_gradient(local_nD: torch.Tensor, count: int, world: World) -> torch.Tensor:
    """Give the `count` vectors of all processes, (count, D), as `split_batch` cut them; only one's own have gradients.

    The gradient of a row is what the whole loss says of it here, once; so gradients of parameters must be summed over
    processes, not averaged.
    """
    if world.size == 1:
        return local_nD
    parts = split_batch(count, world)
    longest = parts[0].stop
    padded_nD = torch.zeros(longest, local_nD.shape[1], dtype=local_nD.dtype, device=local_nD.device)
    padded_nD[: len(local_nD)] = local_nD.detach()
    gathered = [torch.empty_like(padded_nD) for _ in parts]
    dist.all_gather(gathered, padded_nD)
    rows = [found[: part.stop - part.start] for found, part in zip(gathered, parts, strict=True)]
    rows[world.rank] = local_nD
    return torch.cat(rows)


def wait_for_all(world: World) -> None:
    """Go on only when every process has come here."""
    if world.size > 1:
        dist.barrier()


@contextmanager
def in_turn(world: World) -> Iterator[None]:
    """Run the block in the first process, then in the others; none goes on before all have."""
    if not world.first:
        wait_for_all(world)
    yield
    if world.first:
        wait_for_all(world)
    wait_for_all(world)


def sum_gradients(parameters: Iterable[torch.nn.Parameter], world: World) -> None:
    """Replace the gradient of each of `parameters` by its sum over processes, which all then hold alike.

    All processes must have gradients of the same parameters.
    """
    if world.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient in gradients:
        if gradient.is_sparse:
            dist.all_reduce(gradient)
    for bucket in _buckets([gradient for gradient in gradients if not gradient.is_sparse]):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        for gradient, summed in zip(bucket, torch.split(flat, [one.numel() for one in bucket]), strict=True):
            gradient.copy_(summed.view_as(gradient))


def average_gradients(parameters: Iterable[torch.nn.Parameter], world: World) -> None:
    """Replace the gradient of each of `parameters` by its mean over processes.

    For parameters that every process uses on the whole batch, those of a loss: each has the whole gradient, and the
    mean keeps the last bits alike.
    """
    kept = list(parameters)
    sum_gradients(kept, world)
    for parameter in kept:
        if parameter.grad is not None and world.size > 1:
            parameter.grad.div_(world.size)


def _buckets(gradients: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Group neighbours of one type into buckets of about `_BUCKET` numbers."""
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        full = sum(one.numel() for one in bucket) + gradient.numel() > _BUCKET
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
