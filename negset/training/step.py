"""One step: a batch becomes vectors, vectors become losses, losses move the parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from negset.errors import ConfigError, ContractError, listed
from negset.lots import id_keys
from negset.training.batches import Batch
from negset.training.examples import Examples, Rows
from negset.training.model import Embed, Trainable
from negset.training.objective import Loss, LossInputs, LossParams, Moment, find_loss, loss_params
from schemas.config import TrainConfig


@dataclass(frozen=True)
class Binding:
    """A model and a loss, bound to the texts of a run. The keys are hashes of the ids, of 63 bits."""

    model: Trainable
    examples: Examples
    embed_query: Embed
    embed_document: Embed
    loss: Loss
    params: LossParams
    temperature: float
    query_keys: Rows
    document_keys: Rows


def bind(model: Trainable, examples: Examples, config: TrainConfig) -> Binding:
    """Prepare the texts of `examples` for `model`, and the loss of `config`.

    Raises ConfigError for a loss or option that does not exist.
    """
    found = find_loss(config.loss)
    if "all_documents" in found.needs and config.candidates != "all":
        message = f'the loss {found.name} compares with every document of the run: set train.candidates = "all"'
        raise ConfigError(message)
    return Binding(
        model,
        examples,
        model.bind(examples.query_texts, "query"),
        model.bind(examples.document_texts, "document"),
        found,
        loss_params(found, config.loss_options),
        config.temperature,
        _keys(examples.query_ids),
        _keys(examples.document_ids),
    )


def batch_losses(binding: Binding, batch: Batch, moment: Moment) -> torch.Tensor:
    """Give the loss of each query of `batch`, with gradients, (B,)."""
    vectors_BD = binding.embed_query(batch.queries_B)
    vectors_CD = binding.embed_document(batch.candidates_C)
    return binding.loss.compute(loss_inputs(binding, batch, vectors_BD, vectors_CD, moment), binding.params)


def loss_inputs(
    binding: Binding, batch: Batch, vectors_BD: torch.Tensor, vectors_CD: torch.Tensor, moment: Moment
) -> LossInputs:
    """Give what the loss of `binding` reads, on the device of the model."""

    def moved(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(binding.model.device)

    return LossInputs(
        queries_BD=vectors_BD,
        candidates_CD=vectors_CD,
        target_B=moved(batch.target_B),
        cells=batch.cells.to(binding.model.device),
        query_row_B=moved(batch.queries_B),
        candidate_row_C=moved(batch.candidates_C),
        query_key_B=moved(binding.query_keys[batch.queries_B]),
        candidate_key_C=moved(binding.document_keys[batch.candidates_C]),
        temperature=binding.temperature,
        moment=moment,
    )


def take_step(
    binding: Binding, optimizers: Sequence[torch.optim.Optimizer], batch: Batch, moment: Moment
) -> torch.Tensor:
    """Move the parameters once; give the loss of each query of the batch, without gradients.

    Raises ContractError naming the queries whose loss is not finite.
    """
    losses_B = batch_losses(binding, batch, moment)
    _check_finite(losses_B, batch, binding.examples)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    losses_B.mean().backward()  # type: ignore[no-untyped-call]
    if binding.model.pace.gradient_limit:
        torch.nn.utils.clip_grad_norm_(binding.model.module.parameters(), binding.model.pace.gradient_limit)
    for optimizer in optimizers:
        optimizer.step()
    return losses_B.detach()


def _check_finite(losses_B: torch.Tensor, batch: Batch, examples: Examples) -> None:
    finite_B = torch.isfinite(losses_B.detach()).cpu().numpy()
    if not finite_B.all():
        ids = [examples.query_ids[row] for row in batch.queries_B[~finite_B].tolist()]
        message = f"the loss of {len(ids)} queries is not finite: {listed(ids)}. Lower train.learning_rate"
        raise ContractError(message)


def _keys(ids: Sequence[str]) -> Rows:
    return (id_keys(list(ids)) >> np.uint64(1)).astype(np.int64)
