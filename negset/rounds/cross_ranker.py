"""The phase of AR2's ranker where it is a cross-encoder: it learns to tell positives from what the retriever proposes.

Zhang et al. 2022 (arXiv 2110.03611): the softmax cross entropy of a query's positive among its negatives. Imports torch
and the library.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from negset.encoders.model_folder import check_model
from negset.encoders.pair_model import load_pair_model
from negset.errors import ContractError
from negset.fingerprint import fingerprint
from negset.progress import Progress, no_progress
from negset.rounds.loop import RANKED, RANKER_FOLDER
from negset.rounds.models import checkpoint_digest
from negset.store import make_folder, storage_fault, write_durably
from negset.training.batches import shuffled_plan, turns
from negset.training.examples import Examples, Rows
from negset.training.losses.ar2 import ranker_losses
from negset.training.schedule import rate_factor
from schemas.rounds import RoundsConfig
from schemas.teach import CrossEncoderConfig
from schemas.train import TrainConfig

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

QUERIES: Final = 8
"""Queries of a step, each with its positive and all its negatives."""
WARM_UP: Final = 0.1
LIMIT: Final = 1.0
"""Largest length of the gradient."""


def train_ranker(
    examples: Examples,
    begun: Path,
    model_config: CrossEncoderConfig,
    train: TrainConfig,
    rounds: RoundsConfig,
    folder: Path,
    progress: Progress = no_progress,
) -> None:
    """Train the cross-encoder in the folder `begun` on `examples` and save it to `folder`/ranker.

    The result depends on the examples, the model, the options and the seed of `train` alone; a phase that was killed is
    begun again. Raises ContractError where a loss is not finite.
    """
    check_model(begun)
    model = load_pair_model(begun, model_config.model_copy(update={"dtype": "float32"})).model
    optimizer = torch.optim.AdamW(model.parameters(), lr=rounds.ranker_learning_rate)
    plan = shuffled_plan(examples, train.seed, QUERIES, in_batch=False)
    steps, step = -(-len(examples.query_ids) // QUERIES) * rounds.ranker_epochs, 0
    with torch.random.fork_rng():
        for epoch in range(rounds.ranker_epochs):
            for planned in plan(epoch):
                torch.manual_seed(int(fingerprint("ranker", train.seed, step)[:15], 16))
                optimizer.param_groups[0]["lr"] = rounds.ranker_learning_rate * rate_factor(step, steps, WARM_UP)
                positive_B = turns(examples, planned.queries_B, train.seed, epoch)
                _take_step(model, optimizer, examples, planned.queries_B, positive_B)
                step += 1
                progress("rank", step, steps)
    _save(model, folder)


def _take_step(
    model: "CrossEncoder", optimizer: torch.optim.Optimizer, examples: Examples, queries_B: Rows, positive_B: Rows
) -> None:
    """Move the parameters once, by the mean loss of the queries."""
    row, negative = examples.negatives.take(queries_B)
    owner, document = np.r_[np.arange(len(queries_B)), row], np.r_[positive_B, negative]
    sizes = np.bincount(row, minlength=len(queries_B))
    # The positive stands in column 0, a query's negatives behind it.
    place = np.r_[np.zeros(len(queries_B), dtype=np.int64), np.arange(len(row)) - np.r_[0, np.cumsum(sizes)][row] + 1]
    model.train()
    scores_P = _scores(model, examples, queries_B[owner], document)
    logits_BC = scores_P.new_zeros(len(queries_B), int(sizes.max(initial=0)) + 1)
    logits_BC = logits_BC.index_put((torch.from_numpy(owner), torch.from_numpy(place)), scores_P)
    masked_BC = torch.arange(logits_BC.shape[1])[None, :] > torch.from_numpy(sizes)[:, None]
    target_B = torch.zeros(len(queries_B), dtype=torch.int64, device=logits_BC.device)
    loss = ranker_losses(logits_BC, target_B, masked_BC.to(logits_BC.device)).mean()
    if not torch.isfinite(loss):
        message = f"the loss of the ranker is {loss.item()}. Lower rounds.ranker_learning_rate"
        raise ContractError(message)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
    optimizer.step()


def _scores(model: "CrossEncoder", examples: Examples, query_P: Rows, document_P: Rows) -> torch.Tensor:
    """Give the model's bare output for each pair, with gradients, (P,)."""
    pairs = [
        (examples.query_texts[query], examples.document_texts[document])
        for query, document in zip(query_P.tolist(), document_P.tolist(), strict=True)
    ]
    features = model.preprocess(pairs)
    moved = {name: part.to(model.device) if isinstance(part, torch.Tensor) else part for name, part in features.items()}
    scores: torch.Tensor = model(moved)["scores"].float().reshape(len(pairs))
    return scores


def _save(model: "CrossEncoder", folder: Path) -> None:
    make_folder(folder)
    shutil.rmtree(folder / RANKER_FOLDER, ignore_errors=True)
    try:
        model.save_pretrained(str(folder / RANKER_FOLDER), safe_serialization=True, create_model_card=False)
    except OSError as error:
        raise storage_fault(error, folder) from error
    written = {"checkpoint": checkpoint_digest(folder / RANKER_FOLDER)}
    write_durably(folder / RANKED, f"{json.dumps(written)}\n".encode())
