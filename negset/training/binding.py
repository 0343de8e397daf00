"""A model and a loss, bound to the texts of a run, and what the loss is told of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from negset.encoders.encoder import Role
from negset.errors import ConfigError
from negset.lots import id_keys
from negset.training.batches import Batch
from negset.training.distributed import ALONE, World
from negset.training.examples import Examples, Rows
from negset.training.gathers import HostGather, PairGather
from negset.training.model import Embed, Trainable
from negset.training.objective import Loss, LossInputs, LossParams, MemoryInputs, Moment, Need, find_loss, loss_params
from negset.training.signals import NO_SIGNALS, Signals
from schemas.train import TrainConfig


@dataclass(frozen=True)
class Binding:
    """A model and a loss, bound to the texts of a run. The keys are hashes of the ids, of 63 bits.

    `mini_batch` is how many texts are embedded at once, 0 for all of a batch. `memory` are the parameters of the
    loss's own, None where it has none. `world` are the processes that train together.
    `guide` fetches the guide's vectors of a batch from the host.
    """

    model: Trainable
    examples: Examples
    embed_query: Embed
    embed_document: Embed
    loss: Loss
    params: LossParams
    temperature: float
    mini_batch: int
    query_keys: Rows
    document_keys: Rows
    signals: Signals = NO_SIGNALS
    guide: PairGather | None = None
    memory: torch.nn.Module | None = None
    world: World = ALONE


def bind(
    model: Trainable,
    examples: Examples,
    config: TrainConfig,
    signals: Signals = NO_SIGNALS,
    world: World = ALONE,
) -> Binding:
    """Prepare the texts of `examples` for `model`, and the loss of `config` with what it reads of `signals`.

    Raises ConfigError for a loss or option that does not exist, and where the loss needs what is not configured.
    """
    found = check_needs(config)
    params = loss_params(found, config.loss_options)
    return Binding(
        model=model,
        examples=examples,
        embed_query=model.bind(examples.query_texts, "query"),
        embed_document=model.bind(examples.document_texts, "document"),
        loss=found,
        params=params,
        temperature=config.temperature,
        mini_batch=config.mini_batch,
        query_keys=_keys(examples.query_ids),
        document_keys=_keys(examples.document_ids),
        signals=signals,
        guide=_guide_gather(signals, model.device),
        memory=_open_memory(found, params, model, examples, config),
        world=world,
    )


def check_needs(config: TrainConfig) -> Loss:
    """Give the loss of `config` after checking that what it cannot do without is configured, and no more than that.

    Raises ConfigError saying which key to set, and for an option of the loss that does not exist.
    """
    found = find_loss(config.loss)
    loss_params(found, config.loss_options)
    asked: tuple[tuple[Need, bool, str, str], ...] = (
        ("guide", bool(config.guide), "asks a guide: set train.guide to 'lsa' or to a model", "train.guide"),
        (
            "teacher",
            bool(config.teacher),
            "learns from a teacher: set train.teacher to a score of the set",
            "train.teacher",
        ),
    )
    for need, configured, wanted, key in asked:
        if need in found.needs and not configured:
            message = f"loss {found.name!r} {wanted}"
            raise ConfigError(message)
        if configured and need not in found.needs:
            message = f"{key} is set, but loss {found.name!r} does not read it: leave it out or set train.loss"
            raise ConfigError(message)
    if "all_documents" in found.needs and config.candidates != "all":
        message = f"loss {found.name!r} compares with every document: set train.candidates = 'all'"
        raise ConfigError(message)
    return found


def text_vectors(model: Trainable, texts: Sequence[str], role: Role) -> torch.Tensor:
    """Give the vectors of `texts` by `model` as it is now, (n, d), on the CPU, without gradients."""
    return torch.from_numpy(model.encode(texts, role))


GuideVectors = Callable[[], tuple[torch.Tensor, torch.Tensor] | tuple[None, None]]


def no_guide() -> tuple[None, None]:
    """Give no vectors, where a run has no guide."""
    return None, None


def fetch_guide(binding: Binding, batch: Batch) -> GuideVectors:
    """Begin to fetch the guide's vectors of `batch`; give what waits for them."""
    return no_guide if binding.guide is None else binding.guide.fetch(batch.queries_B, batch.candidates_C)


def _guide_gather(signals: Signals, device: torch.device) -> PairGather | None:
    if signals.guide is None:
        return None
    return PairGather(HostGather(signals.guide.queries_QG, device), HostGather(signals.guide.documents_NG, device))


def loss_inputs(
    binding: Binding,
    batch: Batch,
    vectors_BD: torch.Tensor,
    vectors_CD: torch.Tensor,
    moment: Moment,
    episode: object = None,
    guide: GuideVectors = no_guide,
) -> LossInputs:
    """Give what the loss of `binding` reads, on the device of the model; `guide` waits for the guide's vectors."""

    def moved(array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(array).to(binding.model.device)

    signals, device = binding.signals, binding.model.device
    guide_BG, guide_CG = guide()
    return LossInputs(
        queries_BD=vectors_BD,
        candidates_CD=vectors_CD,
        target_B=moved(batch.target_B),
        cells=batch.cells.to(device),
        query_row_B=moved(batch.queries_B),
        candidate_row_C=moved(batch.candidates_C),
        query_key_B=moved(binding.query_keys[batch.queries_B]),
        candidate_key_C=moved(binding.document_keys[batch.candidates_C]),
        temperature=binding.temperature,
        moment=moment,
        guide_BG=guide_BG,
        guide_CG=guide_CG,
        teacher_BC=None if signals.teacher is None else moved(signals.teacher.of(batch.queries_B, batch.candidates_C)),
        episode=episode,
        memory=binding.memory,
    )


def _open_memory(
    found: Loss, params: LossParams, model: Trainable, examples: Examples, config: TrainConfig
) -> torch.nn.Module | None:
    if found.open_parameters is None:
        return None
    documents = partial(text_vectors, model, examples.document_texts, "document")
    width = model.encode(examples.document_texts[:1], "document").shape[1]
    inputs = MemoryInputs(len(examples.document_texts), width, config.seed, documents)
    memory = found.open_parameters(inputs, params)
    return None if memory is None else memory.to(model.device)


def _keys(ids: Sequence[str]) -> Rows:
    return (id_keys(list(ids)) >> np.uint64(1)).astype(np.int64)
