"""Train an encoder on a published set: prepare its start, fit it, measure it before and after, report it."""

from prefect import flow

from flows.batches import planned
from negset.batching.renewing import check_refresh
from negset.building import require_current
from negset.encoders.encoder import encoder_fingerprint
from negset.fingerprint import fingerprint
from negset.publishing.manifest import version_id
from negset.publishing.reading import read_set
from negset.store import Store
from schemas.encoder import EncoderConfig
from schemas.refs import CheckpointRef, EncoderRef, NegativeSetRef, SnapshotRef
from schemas.train import SHUFFLED, TrainConfig
from tasks.embed import prepare
from tasks.place import Place
from tasks.policies import is_stored, through_cache
from tasks.report import report
from tasks.sets import local_set
from tasks.train import guide_encoder, is_trained, run_folder, training_key
from tasks.train import train as train_room
from tasks.views import plan_request


@flow(name="train")
def train(set_path: str, config: TrainConfig) -> CheckpointRef:
    """Train on the set at `set_path`, a version or the latest of a set, with the corpus that is in the store.

    Raises ValidationFailed where a domain fell by more than `config.report` allows; model and page are there then too.
    """
    check_refresh(config)
    opened, store = read_set(local_set(set_path)), Place().open_store()
    manifest = opened.manifest
    published = NegativeSetRef(
        fingerprint=version_id(manifest),
        content=manifest.source.content,
        rows=manifest.counts.rows["negatives"],
        path=str(opened.folder.absolute()),
    )
    snapshot = require_current(store, manifest.source.content)
    start = fit_start(config, snapshot, store) if config.model == "static" else None
    guide = fit_guide(config, snapshot, store)
    plan = planned(published, snapshot, plan_request(config), store) if config.plan != SHUFFLED else None
    key = training_key(published, config, start, guide, plan)
    folder = run_folder(manifest.dataset, key)
    # A run has a place: what was trained elsewhere is not trained here.
    checkpoint = through_cache(train_room, is_trained(folder))(
        published, config, snapshot, start, str(folder), guide, plan, fingerprint=fingerprint(key, folder)
    )
    report(checkpoint, snapshot, config, manifest.dataset)
    return checkpoint


def fit_start(config: TrainConfig, snapshot: SnapshotRef, store: Store) -> EncoderRef:
    """Fit what a bag of embeddings starts from: LSA of the corpus, the very encoder where the set was mined with it."""
    return _prepared(EncoderConfig(backend="lsa", dimensions=config.dimensions), snapshot, store)


def fit_guide(config: TrainConfig, snapshot: SnapshotRef, store: Store) -> EncoderRef | None:
    """Fit or check the encoder that the loss asks, where the config names one."""
    encoder = guide_encoder(config)
    return _prepared(encoder, snapshot, store) if encoder else None


def _prepared(encoder: EncoderConfig, snapshot: SnapshotRef, store: Store) -> EncoderRef:
    key = encoder_fingerprint(encoder, snapshot.content)
    return through_cache(prepare, is_stored(store, EncoderRef, key))(encoder, snapshot, fingerprint=key)
