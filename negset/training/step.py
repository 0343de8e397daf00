"""One step: batches become vectors, vectors become losses, losses move the parameters."""

from collections.abc import Callable, Sequence
from typing import Protocol, cast, runtime_checkable

import torch

from negset.errors import ContractError, listed
from negset.training.batches import Batch
from negset.training.binding import Binding
from negset.training.curvature import sampled_losses
from negset.training.examples import Examples
from negset.training.gradients import Work, add_gradients
from negset.training.objective import LossInputs, Moment

Optimizers = Sequence[torch.optim.Optimizer]


@runtime_checkable
class Curved(Protocol):
    """An optimizer that wants to know, every `hessian_every` steps, how the loss bends (Sophia)."""

    hessian_every: int

    def update_hessian(self, queries: int) -> None:
        """Learn from the gradients that are there now: of the mean loss of `queries` targets drawn from the model."""


def take_step(
    binding: Binding, optimizers: Optimizers, batches: Sequence[Batch], moment: Moment, episode: object = None
) -> list[torch.Tensor]:
    """Move the parameters once by the gradients of all `batches`; give the losses of each, without gradients.

    A batch has a loss for each query, (B,); their mean over the whole step is what is made smaller.
    """
    _bend(binding, optimizers, batches, moment, episode)
    losses = _gradients(binding, optimizers, batches, moment, episode, _loss_of(binding))
    if binding.model.pace.gradient_limit:
        torch.nn.utils.clip_grad_norm_(binding.model.module.parameters(), binding.model.pace.gradient_limit)
    for optimizer in optimizers:
        optimizer.step()
    return losses


def check_finite(losses_B: torch.Tensor, batch: Batch, examples: Examples) -> None:
    """Raise ContractError naming the queries of `batch` whose loss is not finite."""
    finite_B = torch.isfinite(losses_B).cpu().numpy()
    if not finite_B.all():
        ids = [examples.query_ids[row] for row in batch.queries_B[~finite_B].tolist()]
        message = f"the loss of {len(ids)} queries is not finite: {listed(ids)}. Lower train.learning_rate"
        raise ContractError(message)


def _gradients(
    binding: Binding,
    optimizers: Optimizers,
    batches: Sequence[Batch],
    moment: Moment,
    episode: object,
    losses: Callable[[LossInputs], torch.Tensor],
) -> list[torch.Tensor]:
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    queries = sum(len(batch.queries_B) for batch in batches)
    works = [Work(batch, moment, turn, queries, losses, episode) for turn, batch in enumerate(batches)]
    return [add_gradients(binding, work) for work in works]


def _bend(binding: Binding, optimizers: Optimizers, batches: Sequence[Batch], moment: Moment, episode: object) -> None:
    """Show the optimizers that ask for it the gradients of losses whose targets are drawn from the model itself."""
    curved = [cast("Curved", optimizer) for optimizer in optimizers if isinstance(optimizer, Curved)]
    due = [optimizer for optimizer in curved if moment.step % optimizer.hessian_every == 0]
    if due:
        _gradients(binding, optimizers, batches, moment, episode, sampled_losses)
        for optimizer in due:
            optimizer.update_hessian(sum(len(batch.queries_B) for batch in batches))


def _loss_of(binding: Binding) -> Callable[[LossInputs], torch.Tensor]:
    return lambda inputs: binding.loss.compute(inputs, binding.params)
