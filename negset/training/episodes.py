"""What a loss prepares at the start of an epoch, kept so that a run resumed in its middle reads the same."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from negset.errors import ArtifactError
from negset.store import write_durably
from negset.training.batches import turns
from negset.training.binding import Binding, text_vectors
from negset.training.checkpoint import Position
from negset.training.distributed import wait_for_all
from negset.training.objective import EpochInputs, Moment

EPISODE: Final = "episode_{}.safetensors"

Episode = Mapping[str, torch.Tensor]


def start_episode(
    binding: Binding,
    moment: Moment,
    batches: int,
    folder: Path,
    run: str,
    pair_losses: Callable[[], pl.DataFrame],
) -> Episode | None:
    """Give what the loss of `binding` prepares for the epoch of `moment`, on the model's device; None if nothing.

    At the start of an epoch it is prepared from the model as it is and written to `folder`; where `batches` of the
    epoch are done already it is read from there, since the model has moved on. `pair_losses` gives the losses of all
    pairs so far. Of several processes the first calls this; the others `follow_episode`.
    """
    if binding.loss.prepare is None:
        return None
    path = folder / EPISODE.format(moment.epoch)
    if batches:
        wait_for_all(binding.world)
        return _moved(_read(path, run), binding)
    prepared = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in binding.loss.prepare(epoch_inputs(binding, moment, pair_losses), binding.params).items()
    }
    write_durably(path, serialise(prepared, {"run": run}))
    wait_for_all(binding.world)
    return _moved(prepared, binding)


def follow_episode(binding: Binding, moment: Moment, folder: Path, run: str) -> Episode | None:
    """Give what `start_episode` prepared in the first process, once it has; None if nothing."""
    if binding.loss.prepare is None:
        return None
    wait_for_all(binding.world)
    return _moved(_read(folder / EPISODE.format(moment.epoch), run), binding)


def epoch_inputs(binding: Binding, moment: Moment, pair_losses: Callable[[], pl.DataFrame]) -> EpochInputs:
    """Give what `prepare` may read; texts are embedded only where it asks for their vectors."""
    examples, guide = binding.examples, binding.signals.guide
    positive_row_Q = turns(examples, np.arange(len(examples.query_ids)), moment.seed, moment.epoch)
    return EpochInputs(
        query_vectors=partial(text_vectors, binding.model, examples.query_texts, "query"),
        document_vectors=partial(text_vectors, binding.model, examples.document_texts, "document"),
        positive_row_Q=torch.from_numpy(positive_row_Q),
        query_key_Q=torch.from_numpy(binding.query_keys),
        moment=moment,
        guide_queries=None if guide is None else guide.queries_QG,
        guide_documents=None if guide is None else guide.documents_NG,
        pair_losses=pair_losses,
    )


def check_episode(binding: Binding, folder: Path, run: str, position: Position) -> None:
    """Raise ArtifactError where a run cannot go on from `position` because what its epoch began with is gone."""
    if binding.loss.prepare is not None and position.batches:
        _read(folder / EPISODE.format(position.epoch), run)


def clear_episodes(folder: Path) -> None:
    """Remove what epochs were prepared with."""
    for path in folder.glob(EPISODE.format("*")):
        path.unlink(missing_ok=True)


def _read(path: Path, run: str) -> Episode:
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("run") != run:
                message = f"{path} is of another run"
                raise ArtifactError(message)
            return {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be read: {error}"
        raise ArtifactError(message) from error


def _moved(episode: Episode, binding: Binding) -> Episode:
    return {name: tensor.to(binding.model.device) for name, tensor in episode.items()}
