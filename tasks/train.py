"""Train an encoder on a published set and measure it before and after."""

from importlib import import_module
from pathlib import Path

from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from negset.batching.reading import open_plan
from negset.batching.versions import with_replay
from negset.encoders.model_folder import find_model, folder_digests
from negset.fingerprint import file_digest, fingerprint
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import open_snapshot
from negset.store import Store, read_json
from negset.training.examples import SetTables
from schemas.config import TrainConfig
from schemas.refs import BatchPlanRef, CheckpointRef, EncoderRef, NegativeSetRef, SnapshotRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress

VERSION = 1
METRICS = "metrics.json"


def training_key(
    published: NegativeSetRef, config: TrainConfig, start: EncoderRef | None, plan: BatchPlanRef | None = None
) -> str:
    """Name the training run of `config` on a set, from the encoder of `start` or the files of the model it names."""
    begun = start.content if start else folder_digests(find_model(config.model, ""))
    by = plan.content if plan else ""
    return fingerprint("train", VERSION, published.fingerprint, published.content, config, begun, by)


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
    plan: BatchPlanRef | None,
    run: str,
    *,
    fingerprint: str,
) -> CheckpointRef:
    """Fit the encoder of `config` in the folder `run`, from the encoder of `start` where it is a bag of embeddings.

    The batches are those of `plan`, or in a random order.
    """
    opened = read_set(Path(published.path))
    folder, store = Path(run), Place().open_store()
    # torch takes seconds to import; a run that is cached does without.
    training = import_module("negset.training.run")
    with shown_progress("train") as progress:
        begun = _static_start(store, start) if start else None
        by = open_plan(store.open(plan.kind, plan.fingerprint)) if plan else None
        taken = open_snapshot(store, snapshot)
        tables = training_tables(opened, config)
        if by is not None and by.manifest.older_versions:
            tables = with_replay(tables, opened.folder, taken)
        report = training.run_training(tables, taken, config, folder, begun, progress, by)
    if TaskRunContext.get() is not None:
        _show(opened.manifest.dataset, folder)
    content = file_digest(folder / METRICS)
    return CheckpointRef(fingerprint=fingerprint, content=content, rows=report.trained, path=str(folder))


def training_tables(opened: PublishedSet, config: TrainConfig) -> SetTables:
    """Read the tables of a set that training by `config` needs."""
    names = ["queries", "documents", "positives", "negatives", *(["false_negatives"] if config.mask_suspects else [])]
    return SetTables(**{name: opened.table(name) for name in names})


def _static_start(store: Store, ref: EncoderRef) -> object:
    model = import_module("negset.encoders.lsa").load_lsa(store.open(ref.kind, ref.fingerprint))
    return import_module("negset.training.model").StaticStart(model.tokens, model.embeddings)


def _show(dataset: str, folder: Path) -> None:
    """Put the metrics into Prefect's UI."""
    held_out = read_json(folder / METRICS)["held_out"]
    table = [{"when": when, **held_out[when]} for when in ("before", "after")] if isinstance(held_out, dict) else []
    create_table_artifact(table=table, key="negset-metrics", description=f"Held-out queries of {dataset}")
