"""What a round trains: one model on one set, by the strategy of the rounds."""

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.batching.renewing import check_refresh
from negset.encoders.encoder import Encoder
from negset.encoders.hashing import hash_zero_rows
from negset.errors import ConfigError
from negset.mining.positives import known_pairs
from negset.probing.collection import ProbeCollection, open_collection
from negset.progress import Progress, no_progress
from negset.rounds.dynamic import corpus_examples, step_supply
from negset.rounds.loop import BEGUN, DOCUMENTS, MODEL, QUERIES, RANKER, TRAINED
from negset.rounds.models import FrozenDocuments, checkpoint_digest, open_folder
from negset.rounds.ranker import fooled_share, ranker_scores
from negset.rounds.validation import Roles, deal_roles
from negset.store import make_folder, write_durably
from negset.teaching.scoring import Scores
from negset.training.examples import Examples, SetTables, build_examples
from negset.training.loop import Training, clear_run, train_encoder
from negset.training.model import StaticStart, Trainable, open_model
from negset.training.signals import Signals, read_signals
from schemas.rounds import RoundsConfig, Strategy
from schemas.train import SHUFFLED, TrainConfig

if TYPE_CHECKING:
    from negset.snapshot import Snapshot


@dataclass(frozen=True)
class World:
    """What all rounds share: the snapshot, its queries by role, and what is trained how."""

    snapshot: "Snapshot"
    collection: ProbeCollection
    roles: Roles
    train: TrainConfig
    rounds: RoundsConfig


def open_world(snapshot: "Snapshot", train: TrainConfig, rounds: RoundsConfig) -> World:
    """Read `snapshot` and deal the roles of its queries."""
    collection = open_collection(snapshot)
    return World(snapshot, collection, deal_roles(collection, train, rounds), train, rounds)


def round_config(train: TrainConfig, strategy: Strategy, depth: int) -> TrainConfig:
    """Give how a round trains: `adore` and `ar2` by the losses of their names, on a query's own negatives alone.

    For `adore` a rank beyond `depth`, where the search ends, is worth nothing unless `train.loss_options` say other.
    Raises ConfigError for a loss, a plan or processes that the strategy would have to ignore.
    """
    if train.processes > 1:
        message = f"train.processes is {train.processes}, but a round trains in one process. Leave it out"
        raise ConfigError(message)
    if train.plan != SHUFFLED:
        message = f"train.plan is {train.plan!r}, but a round has its batches in a random order. Leave it out"
        raise ConfigError(message)
    check_refresh(train)
    if strategy == "ance":
        return train
    default = str(TrainConfig.model_fields["loss"].default)
    if train.loss not in (default, strategy):
        message = (
            f"train.loss is {train.loss!r}, but rounds of {strategy!r} train by the loss of that name. Leave it out, "
            "or take rounds of 'ance', which train by any loss"
        )
        raise ConfigError(message)
    cut = {"cut": depth} if strategy == "adore" else {}
    changes = {"loss": strategy, "loss_options": {**cut, **train.loss_options}, "in_batch": False, "remine": ""}
    asked = {"guide": "", "teacher": RANKER if strategy == "ar2" else ""}
    return train.model_copy(update={**changes, **asked, "candidates": "batch"})


def begin(world: World, model_folder: Path | None, start: StaticStart | None, folder: Path) -> str:
    """Save the model that rounds start from to `folder`/model; give the digest of its files.

    With documents frozen, their vectors and those of the queries are saved too. `start` is where a bag of embeddings
    starts, where no `model_folder` is given.
    """
    make_folder(folder)
    _clear_model(folder)
    model = open_folder(world.train, model_folder) if model_folder else open_model(world.train, start)
    model.save(folder / MODEL)
    if world.rounds.strategy == "adore":
        opened = open_folder(world.train, folder / MODEL)
        texts = world.collection.document_texts
        _save_vectors(folder / DOCUMENTS, opened.encode(texts, "document"), texts, world.collection.doc_ids, "doc_id")
        _save_queries(world, opened, folder)
    digest = checkpoint_digest(folder / MODEL)
    write_durably(folder / BEGUN, f"{json.dumps({'checkpoint': digest})}\n".encode())
    return digest


@dataclass(frozen=True)
class Beside:
    """What a round's training reads beside its set: the guide of the loss, and what the ranker gives pairs (`ar2`).

    `bare` says whether the ranker gives log-odds; else it gives probabilities.
    """

    guide: Encoder | None = None
    ranker: Scores | None = None
    bare: bool = False


def train_round(
    world: World,
    tables: SetTables,
    beside: Beside,
    begun: Path,
    start: Path,
    folder: Path,
    progress: Progress = no_progress,
) -> None:
    """Train the model in the folder `begun`, of the start or of a round, on the set of this round, into `folder`.

    Writes the model, with frozen documents the vectors of the queries, and trained.json last. `start` is the folder
    where the rounds began. Raises ConfigError for training in several processes.
    """
    config = round_config(world.train, world.rounds.strategy, world.rounds.depth)
    make_folder(folder)
    _clear_model(folder)
    model = open_folder(config, begun / MODEL)
    if world.rounds.strategy == "adore":
        examples = corpus_examples(world.collection, world.roles.trained, tables.false_negatives)
        documents_ND = np.load(start / DOCUMENTS, allow_pickle=False)
        frozen = FrozenDocuments(model, documents_ND)
        supply = step_supply(frozen, examples, documents_ND, world.rounds.depth)
        training = train_encoder(frozen, examples, config, folder, progress, supply=supply)
        _save_queries(world, open_folder(config, folder / MODEL), folder)
        _write_trained(folder, training, examples, {})
    else:
        examples = round_examples(world, tables, config)
        told: dict[str, object] = {}
        if beside.ranker is None:
            signals = read_signals(tables, examples, config, beside.guide, folder)
        else:
            ranked = ranker_scores(beside.ranker, world.collection, tables, examples, bare=beside.bare)
            signals, told = Signals(teacher=ranked), {"fooled": fooled_share(ranked, examples)}
        training = train_encoder(model, examples, config, folder, progress, signals=signals)
        _write_trained(folder, training, examples, told)
    clear_run(folder)


def round_examples(world: World, tables: SetTables, config: TrainConfig) -> Examples:
    """Give what the set of a round teaches: no query of another role is among it."""
    return build_examples(
        tables,
        known_pairs(world.snapshot),
        world.roles.untrained_texts(world.collection),
        split=config.split,
        negatives=config.negatives,
        in_batch=config.in_batch,
    )


def _clear_model(folder: Path) -> None:
    """Remove what a kill left of a model that was being saved: half a folder would lie among the files of the next."""
    shutil.rmtree(folder / MODEL, ignore_errors=True)


def _write_trained(folder: Path, training: Training, examples: Examples, told: Mapping[str, object]) -> None:
    epochs = [figures.epoch for figures in training.history]
    losses = np.asarray(training.losses)
    written = {
        "checkpoint": checkpoint_digest(folder / MODEL),
        "queries": len(examples.query_ids),
        "left_out": dict(examples.left_out),
        "steps": len(losses),
        "loss_first": round(float(losses[np.equal(epochs, min(epochs))].mean()), 6),
        "loss_last": round(float(losses[np.equal(epochs, max(epochs))].mean()), 6),
        **told,
    }
    write_durably(folder / TRAINED, f"{json.dumps(written, indent=2)}\n".encode())


def _save_queries(world: World, model: Trainable, folder: Path) -> None:
    queries = world.snapshot.queries()
    texts = queries.get_column("text").to_list()
    vectors_QD = model.encode(texts, "query")
    _save_vectors(folder / QUERIES, vectors_QD, texts, queries.get_column("query_id"), "query_id")


def _save_vectors(path: Path, vectors_ND: Matrix, texts: list[str], ids: pl.Series, column: str) -> None:
    """Write vectors and the ids of their rows as the precomputed encoder reads them."""
    buffer = io.BytesIO()
    np.save(buffer, hash_zero_rows(vectors_ND, texts), allow_pickle=False)
    write_durably(path, buffer.getvalue())
    named = io.BytesIO()
    ids.alias(column).to_frame().write_parquet(named)
    write_durably(path.with_suffix(".parquet"), named.getvalue())
