"""Train an encoder on a published set: prepare its start, fit it, measure it before and after."""

from pathlib import Path

from prefect import flow

from negset.building import require_current
from negset.encoders.encoder import encoder_fingerprint
from negset.fingerprint import fingerprint
from negset.publishing.manifest import version_id
from negset.publishing.reading import read_set
from negset.store import Store
from schemas.config import TrainConfig
from schemas.encoder import EncoderConfig
from schemas.refs import CheckpointRef, EncoderRef, NegativeSetRef, SnapshotRef
from tasks.embed import prepare
from tasks.place import Place
from tasks.policies import is_stored, through_cache
from tasks.train import is_trained, run_folder, training_key
from tasks.train import train as train_room


@flow(name="train")
def train(set_path: str, config: TrainConfig) -> CheckpointRef:
    """Train on the set at `set_path`, a version or the latest of a set, with the corpus that is in the store."""
    opened, store = read_set(Path(set_path)), Place().open_store()
    manifest = opened.manifest
    published = NegativeSetRef(
        fingerprint=version_id(manifest),
        content=manifest.source.content,
        rows=manifest.counts.rows["negatives"],
        path=str(opened.folder),
    )
    snapshot = require_current(store, manifest.source.content)
    start = fit_start(config, snapshot, store) if config.model == "static" else None
    key = training_key(published, config, start)
    folder = run_folder(manifest.dataset, key)
    # A run has a place: what was trained elsewhere is not trained here.
    return through_cache(train_room, is_trained(folder))(
        published, config, snapshot, start, str(folder), fingerprint=fingerprint(key, folder)
    )


def fit_start(config: TrainConfig, snapshot: SnapshotRef, store: Store) -> EncoderRef:
    """Fit what a bag of embeddings starts from: LSA of the corpus, the very encoder where the set was mined with it."""
    encoder = EncoderConfig(backend="lsa", dimensions=config.dimensions)
    key = encoder_fingerprint(encoder, snapshot.content)
    return through_cache(prepare, is_stored(store, EncoderRef, key))(encoder, snapshot, fingerprint=key)
