"""One step: batches become vectors, vectors become losses, losses move the parameters."""

from collections.abc import Callable, Sequence

import torch

from negset.errors import ContractError, listed
from negset.training.batches import Batch
from negset.training.binding import Binding
from negset.training.distributed import average_gradients, sum_gradients
from negset.training.examples import Examples
from negset.training.gradients import Work, add_gradients
from negset.training.objective import LossInputs, Moment
from negset.training.sophia import EVERY, Sophia, pseudo_losses

Optimizers = Sequence[torch.optim.Optimizer]
Losses = Callable[[LossInputs], torch.Tensor]


def take_step(
    binding: Binding, optimizers: Optimizers, batches: Sequence[Batch], moment: Moment, episode: object = None
) -> list[torch.Tensor]:
    """Move the parameters once by the gradients of all `batches`; give the losses of each, without gradients.

    A batch has a loss for each query, (B,); their mean over the whole step is what is made smaller. Every `EVERY`
    steps Sophia is shown how the loss bends first.
    """

    def gradients(losses: Losses) -> list[torch.Tensor]:
        return _gradients(binding, optimizers, batches, moment, episode, losses)

    curved = [optimizer for optimizer in optimizers if isinstance(optimizer, Sophia)]
    if curved and moment.step % EVERY == 0:
        gradients(pseudo_losses)
        for optimizer in curved:
            optimizer.update_hessian(sum(len(batch.queries_B) for batch in batches))
    losses = gradients(lambda inputs: binding.loss.compute(inputs, binding.params))
    if binding.model.pace.gradient_limit:
        torch.nn.utils.clip_grad_norm_(binding.model.module.parameters(), binding.model.pace.gradient_limit)
    for moving in optimizers:
        moving.step()
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
    losses: Losses,
) -> list[torch.Tensor]:
    """Give all parameters the gradients of the mean of `losses` over the step, and nothing else."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    queries = sum(len(batch.queries_B) for batch in batches)
    works = [Work(batch, moment, turn, queries, losses, episode) for turn, batch in enumerate(batches)]
    found = [add_gradients(binding, work) for work in works]
    sum_gradients(binding.model.module.parameters(), binding.world)
    if binding.memory is not None:
        average_gradients(binding.memory.parameters(), binding.world)
    return found
