"""The rooms of rounds: save where they start, look at what a model finds, train one round."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from negset.fingerprint import file_digest
from negset.probing.collection import open_collection
from negset.publishing.reading import read_set
from negset.rounds import survey as surveys
from negset.rounds.loop import BEGUN, RANKED, TRAINED
from negset.snapshot import open_snapshot
from negset.store import Store
from negset.teaching.scoring import open_scores
from negset.vectors import open_vectors
from schemas.refs import (
    CheckpointRef,
    EncoderRef,
    NegativeSetRef,
    ScoresRef,
    SnapshotRef,
    StartRef,
    SurveyRef,
    VectorsRef,
)
from schemas.rounds import RoundsConfig
from schemas.teach import CrossEncoderConfig
from schemas.train import TrainConfig
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress
from tasks.train import open_guide, static_start, training_tables

if TYPE_CHECKING:
    from negset.rounds.training import World


def is_begun(folder: Path) -> bool:
    """Say whether the start in `folder` is whole: its record is written last."""
    return (folder / BEGUN).is_file()


def is_trained(folder: Path) -> bool:
    """Say whether the training of the round in `folder` came to its end."""
    return (folder / TRAINED).is_file()


def is_ranked(folder: Path) -> bool:
    """Say whether the phase of the ranker in `folder` came to its end."""
    return (folder / RANKED).is_file()


@room("begin-rounds")
def begin(
    train: TrainConfig,
    rounds: RoundsConfig,
    snapshot: SnapshotRef,
    start: EncoderRef | None,
    model: str,
    folder: str,
    *,
    fingerprint: str,
) -> StartRef:
    """Save the model that the rounds start from to `folder`: the bag of `start`, or the one in the folder `model`."""
    store = Place().open_store()
    # torch takes seconds to import; rounds that are cached do without.
    training = import_module("negset.rounds.training")
    world = open_world(store, snapshot, train, rounds)
    begun = static_start(store, start) if start else None
    content = training.begin(world, Path(model) if model else None, begun, Path(folder))
    return StartRef(fingerprint=fingerprint, content=content, rows=len(world.roles.trained), path=folder)


@room("survey")
def survey(
    queries: VectorsRef,
    documents: VectorsRef,
    snapshot: SnapshotRef,
    splits: list[str],
    depth: int,
    *,
    fingerprint: str,
) -> SurveyRef:
    """Find the best documents of each labelled query of `splits`."""
    store = Place().open_store()
    collection = open_collection(open_snapshot(store, snapshot))
    rows = collection.of_splits(tuple(splits))
    texts = collection.queries.get_column("text").gather(rows).to_list()
    found = surveys.survey_vectors(
        open_vectors(store, queries).gather(texts),
        open_vectors(store, documents).rows(collection.document_texts),
        rows,
        depth,
    )
    return surveys.commit_survey(store, fingerprint, found)


@room("train-round")
def train_round(
    published: NegativeSetRef,
    train: TrainConfig,
    rounds: RoundsConfig,
    snapshot: SnapshotRef,
    begun: str,
    start: str,
    folder: str,
    guide: EncoderRef | None,
    ranker: ScoresRef | None,
    bare_ranker: bool,
    *,
    fingerprint: str,
) -> CheckpointRef:
    """Train the model in the folder `begun` on a round's set; a training that was killed goes on in `folder`.

    The loss asks the encoder of `guide`; rounds of `ar2` learn from what their `ranker` gave: log-odds
    if `bare_ranker`, else probabilities.
    """
    store, opened = Place().open_store(), read_set(Path(published.path))
    training = import_module("negset.rounds.training")
    world = open_world(store, snapshot, train, rounds)
    with shown_progress("train") as progress:
        tables = training_tables(opened, train)
        scores = open_scores(store, ranker) if ranker else None
        beside = training.Beside(open_guide(store, train, guide), scores, bare_ranker)
        training.train_round(world, tables, beside, Path(begun), Path(start), Path(folder), progress)
    content = file_digest(Path(folder) / TRAINED)
    return CheckpointRef(fingerprint=fingerprint, content=content, rows=len(world.roles.trained), path=folder)


@room("train-ranker")
def train_ranker(
    published: NegativeSetRef,
    model: CrossEncoderConfig,
    train: TrainConfig,
    rounds: RoundsConfig,
    snapshot: SnapshotRef,
    begun: str,
    folder: str,
    *,
    fingerprint: str,
) -> CheckpointRef:
    """Train the cross-encoder in the folder `begun` on a round's set."""
    store, opened = Place().open_store(), read_set(Path(published.path))
    training, ranking = (import_module(f"negset.rounds.{name}") for name in ("training", "cross_ranker"))
    world = open_world(store, snapshot, train, rounds)
    with shown_progress("rank") as progress:
        config = training.round_config(train, rounds.strategy, rounds.depth)
        examples = training.round_examples(world, training_tables(opened, train), config)
        ranking.train_ranker(examples, Path(begun), model, train, rounds, Path(folder), progress)
    content = file_digest(Path(folder) / RANKED)
    return CheckpointRef(fingerprint=fingerprint, content=content, rows=len(examples.query_ids), path=folder)


def open_world(store: Store, snapshot: SnapshotRef, train: TrainConfig, rounds: RoundsConfig) -> "World":
    """Read what all rounds share."""
    training = import_module("negset.rounds.training")
    return cast("World", training.open_world(open_snapshot(store, snapshot), train, rounds))
