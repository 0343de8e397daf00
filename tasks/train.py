"""Train an encoder on a published set and measure it before and after."""

from importlib import import_module
from pathlib import Path

from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from negset.encoders.model_folder import find_model, folder_digests
from negset.fingerprint import file_digest, fingerprint
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import open_snapshot
from negset.store import Store, read_json
from schemas.config import TrainConfig
from schemas.refs import CheckpointRef, EncoderRef, NegativeSetRef, SnapshotRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress

VERSION = 1
METRICS = "metrics.json"


def training_key(published: NegativeSetRef, config: TrainConfig, start: EncoderRef | None) -> str:
    """Name the training run of `config` on a set, from the encoder of `start` or the files of the model it names."""
    begun = start.content if start else folder_digests(find_model(config.model, ""))
    return fingerprint("train", VERSION, published.fingerprint, published.content, config, begun)


def run_folder(dataset: str, key: str) -> Path:
    """Give the folder of the training run with this `key`; a run that was killed goes on in it."""
    return Place().runs_folder() / f"{dataset}-{key[:16]}"


def is_trained(folder: Path) -> bool:
    """Say whether the run in `folder` came to its end: its metrics are written last."""
    return (folder / METRICS).is_file()


@room("train")
def train(
    published: NegativeSetRef,
    config: TrainConfig,
    snapshot: SnapshotRef,
    start: EncoderRef | None,
    run: str,
    *,
    fingerprint: str,
) -> CheckpointRef:
    """Fit the encoder of `config` in the folder `run`, from the encoder of `start` where it is a bag of embeddings."""
    opened = read_set(Path(published.path))
    folder, store = Path(run), Place().open_store()
    # torch takes seconds to import; a run that is cached does without.
    training = import_module("negset.training.run")
    with shown_progress("train") as progress:
        begun = static_start(store, start) if start else None
        report = training.run_training(
            training_tables(opened, config), open_snapshot(store, snapshot), config, folder, begun, progress
        )
    if TaskRunContext.get() is not None:
        _show(opened.manifest.dataset, folder)
    content = file_digest(folder / METRICS)
    return CheckpointRef(fingerprint=fingerprint, content=content, rows=report.trained, path=str(folder))


def training_tables(opened: PublishedSet, config: TrainConfig) -> object:
    """Read the tables of a set that training by `config` needs."""
    tables = import_module("negset.training.examples").SetTables
    names = ["queries", "documents", "positives", "negatives", *(["false_negatives"] if config.mask_suspects else [])]
    return tables(**{name: opened.table(name) for name in names})


def static_start(store: Store, ref: EncoderRef) -> object:
    """Give where a bag of embeddings starts: the fitted encoder of `ref`."""
    model = import_module("negset.encoders.lsa").load_lsa(store.open(ref.kind, ref.fingerprint))
    return import_module("negset.training.model").StaticStart(model.tokens, model.embeddings)


def _show(dataset: str, folder: Path) -> None:
    """Put the metrics into Prefect's UI."""
    held_out = read_json(folder / METRICS)["held_out"]
    table = [{"when": when, **held_out[when]} for when in ("before", "after")] if isinstance(held_out, dict) else []
    create_table_artifact(table=table, key="negset-metrics", description=f"Held-out queries of {dataset}")
