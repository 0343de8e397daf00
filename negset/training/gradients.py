"""The gradients of a batch: all of it at once, or chunk by chunk where it is too large to be kept.

The second form is GradCache (Gao et al. 2021, arXiv 2101.06983): all texts are embedded without a graph, the loss
gives the gradient of each vector, and the texts are embedded once more, a chunk at a time, to carry it on to the
parameters. Dropout must draw the same the second time, so each chunk has a seed of its own, made from the run's
seed, the step, the batch in the step and the chunk.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from negset.encoders.encoder import Role
from negset.fingerprint import fingerprint
from negset.training.batches import Batch
from negset.training.binding import Binding, GuideVectors, fetch_guide, loss_inputs, no_guide
from negset.training.distributed import gather_with_gradient, split_batch
from negset.training.examples import Rows
from negset.training.objective import LossInputs, Moment


@dataclass(frozen=True)
class Chunk:
    """Some texts of a batch: rows of the run, their places among this process's, what dropout draws from."""

    role: Role
    rows: Rows
    start: int
    stop: int
    seed: int


@dataclass(frozen=True)
class Work:
    """A batch at its place in the run: its `turn` among the batches of the step, the loss that is asked.

    `queries` is how many queries the whole step has: each counts the same, whatever batch it is in.
    """

    batch: Batch
    moment: Moment
    turn: int
    queries: int
    losses: Callable[[LossInputs], torch.Tensor]
    episode: object = None
    guide: GuideVectors = no_guide


def add_gradients(binding: Binding, work: Work) -> torch.Tensor:
    """Add the gradients of the mean loss over the step to the parameters; give the loss of each query, (B,).

    Of several processes each embeds its part of the texts and adds what is its own; the sum over processes is whole.
    """
    queries, documents = list(_chunks(binding, work, "query")), list(_chunks(binding, work, "document"))
    # Asked for before texts are embedded, so that both go on at once.
    work = replace(work, guide=fetch_guide(binding, work.batch))
    if len(queries) == len(documents) == 1:
        losses_B = _losses(binding, work, embed_chunks(binding, queries), embed_chunks(binding, documents))
        _backward(losses_B, work)
        return losses_B.detach()
    return _add_chunk_by_chunk(binding, work, queries, documents)


def embed_chunks(binding: Binding, chunks: list[Chunk]) -> torch.Tensor:
    """Give the vectors of the texts of `chunks`, one after the other, (n, d)."""
    return torch.cat([embed_chunk(binding, chunk) for chunk in chunks])


def embed_chunk(binding: Binding, chunk: Chunk) -> torch.Tensor:
    """Give the vectors of the texts of `chunk`; the same ones each time, dropout included."""
    if binding.model.device.type == "cpu":
        # torch.manual_seed keeps a stack trace for each kind of device that is not there: 8 % of a static step.
        torch.default_generator.manual_seed(chunk.seed)
    else:
        torch.manual_seed(chunk.seed)
    embed = binding.embed_query if chunk.role == "query" else binding.embed_document
    return embed(chunk.rows)[: chunk.stop - chunk.start]


def _add_chunk_by_chunk(binding: Binding, work: Work, queries: list[Chunk], documents: list[Chunk]) -> torch.Tensor:
    with torch.no_grad():
        vectors_BD, vectors_CD = embed_chunks(binding, queries), embed_chunks(binding, documents)
    leaves = vectors_BD.requires_grad_(), vectors_CD.requires_grad_()
    losses_B = _losses(binding, work, *leaves)
    _backward(losses_B, work)
    for leaf, chunks in zip(leaves, (queries, documents), strict=True):
        if leaf.grad is None:  # a loss need not move both
            continue
        for chunk in chunks:
            torch.autograd.backward(embed_chunk(binding, chunk), leaf.grad[chunk.start : chunk.stop])
    return losses_B.detach()


def _losses(binding: Binding, work: Work, own_BD: torch.Tensor, own_CD: torch.Tensor) -> torch.Tensor:
    """Give the loss of each query of the batch, from the vectors that this process embedded and those of others."""
    vectors_BD = gather_with_gradient(own_BD, len(work.batch.queries_B), binding.world)
    vectors_CD = gather_with_gradient(own_CD, len(work.batch.candidates_C), binding.world)
    return work.losses(loss_inputs(binding, work.batch, vectors_BD, vectors_CD, work.moment, work.episode, work.guide))


def _backward(losses_B: torch.Tensor, work: Work) -> None:
    (losses_B.sum() / work.queries).backward()  # type: ignore[no-untyped-call]


def _chunks(binding: Binding, work: Work, role: Role) -> Iterator[Chunk]:
    """Cut this process's texts of one `role` into chunks of `mini_batch`, each with its seed; at least one chunk.

    A process without a text of its own embeds none of one: all must have gradients of the same parameters.
    """
    rows = work.batch.queries_B if role == "query" else work.batch.candidates_C
    own = rows[split_batch(len(rows), binding.world)[binding.world.rank]]
    size = binding.mini_batch or max(len(own), 1)
    for place, start in enumerate(range(0, max(len(own), 1), size)):
        name = (work.moment.seed, work.moment.step, work.turn, role, binding.world.rank, place)
        seed = int(fingerprint("dropout", *name)[:15], 16)
        stop = min(start + size, len(own))
        yield Chunk(role, own[start:stop] if stop else rows[:1], start, stop, seed)
