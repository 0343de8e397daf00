"""Learn how much of each model goes into a merge, by stochastic gradients on a few training queries.

After Self Positioning ("Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through Model
Merging"), known to us by its description alone: shares are a softmax, the scale is free, the loss is InfoNCE, the steps
are Adam's, since nobody knows the scale of a loss beforehand.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch
from sentence_transformers import SentenceTransformer
from torch.func import functional_call
from torch.nn.functional import cross_entropy, normalize

from negset.encoders.encoder import Role
from negset.encoders.sentence_model import choose_device, load_model
from negset.errors import ConfigError
from negset.lots import id_keys, mix
from negset.publishing.reading import PublishedSet
from negset.training.batches import Planned, collate_batch, shuffled_plan
from negset.training.examples import Examples, SetTables, build_examples
from negset.training.merging import Mixture, check_folders
from schemas.train import TrainConfig

RATE: Final = 0.05
"""Peak rate of the logits of the shares and of the scale; it falls to 0 along a cosine."""
BATCH: Final = 32
NEGATIVES: Final = 4
TEMPERATURE: Final = 0.05

Parameters = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Learned:
    """A mixture, and the mean loss of the probe queries with equal shares and with it."""

    mixture: Mixture
    queries: int
    loss_before: float
    loss_after: float


def learn_mixture(
    loss: Callable[[Parameters, int], torch.Tensor], base: Parameters, models: Sequence[Parameters], steps: int
) -> Mixture:
    """Find the mixture of `models` (all trained from `base`) for which `loss` is least, in so many steps.

    `loss` is given merged parameters and the step, from 0. It starts from equal shares at scale 1.
    """
    with torch.no_grad():
        vectors = [{name: model[name] - base[name] for name in base} for model in models]
    logits, scale = torch.zeros(len(models), requires_grad=True), torch.ones((), requires_grad=True)
    optimizer = torch.optim.Adam([logits, scale], lr=RATE)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        weights = torch.softmax(logits, dim=0) * scale
        merged = {name: base[name] + _weighted(weights, [one[name] for one in vectors]) for name in base}
        loss(merged, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    shares = torch.softmax(logits.detach().double(), dim=0)
    return Mixture(tuple((shares / shares.sum()).tolist()), float(scale.detach()))


def learn_from_sets(
    base: Path, models: Sequence[Path], sets: Sequence[PublishedSet], *, queries: int, steps: int, seed: int
) -> Learned:
    """Learn the mixture of the models in folders on so many training queries of each of `sets`, drawn by id.

    The sets take turns. Queries of other splits than the training split, and training queries that share a text with
    one of them, are never used. Raises ConfigError where a set has no query to learn from, and where `check_folders`
    does.
    """
    check_folders(base, models)
    probes = [probe_examples(opened, queries, seed) for opened in sets]
    device = choose_device("auto", "the device of a merge")
    loaded = [load_model(folder, device, TrainConfig().max_length).float().eval() for folder in (base, *models)]
    start, *trained = [{name: one.detach() for name, one in model.named_parameters()} for model in loaded]
    # Tokens, prompts and buffers are the first model's, as in the merge.
    probe = _Probe(loaded[1], device, probes, [_plan(examples, seed) for examples in probes], seed)
    learned = learn_mixture(probe.loss, start, trained, steps)
    equal = Mixture(tuple(1 / len(models) for _ in models))
    before, after = (probe.mean_loss(_mixed(start, trained, mixture)) for mixture in (equal, learned))
    return Learned(learned, sum(len(examples.query_ids) for examples in probes), before, after)


def _mixed(base: Parameters, models: Sequence[Parameters], mixture: Mixture) -> Parameters:
    weights = torch.tensor(mixture.shares) * mixture.scale
    return {name: base[name] + _weighted(weights, [model[name] - base[name] for model in models]) for name in base}


def _weighted(weights: torch.Tensor, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum `tensors`, each times its weight."""
    total = weights[0] * tensors[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total = total + weight * tensor
    return total


def probe_examples(opened: PublishedSet, queries: int, seed: int) -> Examples:
    """Draw so many training queries of a set by lot, each with its positives and first negatives."""
    settings = TrainConfig()
    everything = opened.table("queries")
    training = everything.filter(pl.col("split") == settings.split).sort("query_id")
    ids = training.get_column("query_id").to_list()
    if not ids:
        message = f"{opened.folder} has no query of split {settings.split!r} to learn a mixture from"
        raise ConfigError(message)
    lots = mix(id_keys(ids) ^ id_keys([f"{seed}:merge"]))
    drawn = training[np.sort(np.argsort(lots, kind="stable")[:queries])]
    tables = SetTables(drawn, *(opened.table(name) for name in ("documents", "positives", "negatives")))
    nothing = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
    held_out = everything.filter(pl.col("split") != settings.split).get_column("text")
    return build_examples(tables, nothing, held_out, split=settings.split, negatives=NEGATIVES)


def _plan(examples: Examples, seed: int) -> list[Planned]:
    return list(shuffled_plan(examples, seed, BATCH, in_batch=True)(0))


@dataclass(frozen=True)
class _Probe:
    """A model whose parameters are handed in, and the batches that it is measured on: a list for each set."""

    model: SentenceTransformer
    device: torch.device
    examples: Sequence[Examples]
    batches: Sequence[Sequence[Planned]]
    seed: int

    def loss(self, parameters: Parameters, step: int) -> torch.Tensor:
        """Give the mean InfoNCE loss of the batch of `step`; sets take turns, then batches."""
        place, turn = step % len(self.batches), step // len(self.batches)
        own = self.batches[place]
        return self._losses(parameters, self.examples[place], own[turn % len(own)], turn // len(own)).mean()

    def mean_loss(self, parameters: Parameters) -> float:
        """Give the mean loss of all queries, each with its first positive in turn; no gradients."""
        with torch.no_grad():
            found = [
                self._losses(parameters, examples, planned, 0)
                for examples, own in zip(self.examples, self.batches, strict=True)
                for planned in own
            ]
        return float(torch.cat(found).mean())

    def _losses(self, parameters: Parameters, examples: Examples, planned: Planned, epoch: int) -> torch.Tensor:
        batch = collate_batch(examples, planned, self.seed, epoch)
        queries_BD = self._embed(parameters, [examples.query_texts[row] for row in batch.queries_B.tolist()], "query")
        documents = [examples.document_texts[row] for row in batch.candidates_C.tolist()]
        scores_BC = queries_BD @ self._embed(parameters, documents, "document").T / TEMPERATURE
        masked_BC, target_B = (torch.from_numpy(one).to(self.device) for one in (batch.masked_BC, batch.target_B))
        return cross_entropy(scores_BC.masked_fill(masked_BC, float("-inf")), target_B, reduction="none")

    def _embed(self, parameters: Parameters, texts: list[str], role: Role) -> torch.Tensor:
        features = self.model.preprocess(texts, prompt=self.model.prompts.get(role) or None, task=role)
        moved = {
            name: value.to(self.device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }
        vectors: torch.Tensor = functional_call(self.model, dict(parameters), (moved,), {"task": role})[
            "sentence_embedding"
        ]
        return normalize(vectors.float())
