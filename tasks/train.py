"""Train an encoder on a published set and measure it before and after."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from negset.batching.reading import open_plan
from negset.batching.renewing import InputsBy, renewed_inputs
from negset.batching.versions import with_replay
from negset.encoders.encoder import Encoder, open_encoder
from negset.encoders.model_folder import find_model, folder_digests
from negset.errors import ConfigError
from negset.fingerprint import file_digest, fingerprint
from negset.publishing.reading import PublishedSet, read_set
from negset.snapshot import open_snapshot
from negset.store import Store, read_json
from negset.training.examples import SetTables
from negset.training.option_files import by_content
from schemas.encoder import EncoderConfig
from schemas.refs import BatchPlanRef, CheckpointRef, EncoderRef, NegativeSetRef, SnapshotRef
from schemas.train import TrainConfig
from tasks.place import Place
from tasks.policies import room
from tasks.progress import Report, shown_progress
from tasks.views import open_view, plan_request

if TYPE_CHECKING:
    from negset.training.records import StepFigures

VERSION = 2
METRICS = "metrics.json"


def training_key(
    published: NegativeSetRef,
    config: TrainConfig,
    start: EncoderRef | None,
    guide: EncoderRef | None = None,
    plan: BatchPlanRef | None = None,
) -> str:
    """Name the training run of `config` on a set, from the encoder of `start` or the files of the model it names.

    What the `guide` is, what `plan` holds and what is in files that options name, count; not where they lie.
    """
    begun = start.content if start else folder_digests(find_model(config.model, ""))
    asked = [ref.content if ref else "" for ref in (guide, plan)]
    named = by_content(config).model_copy(update={"guide": ""} if guide else {})
    return fingerprint("train", VERSION, published.fingerprint, published.content, named, begun, *asked)


def guide_encoder(config: TrainConfig) -> EncoderConfig | None:
    """Give the encoder that `config` names as its guide, None where it names none."""
    if not config.guide:
        return None
    if config.guide == "lsa":
        return EncoderConfig(backend="lsa", dimensions=config.dimensions)
    return EncoderConfig(
        backend="sentence-transformers", model=config.guide, max_length=config.max_length, device=config.device
    )


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
    guide: EncoderRef | None = None,
    plan: BatchPlanRef | None = None,
    *,
    fingerprint: str,
) -> CheckpointRef:
    """Fit the encoder of `config` in the folder `run`, from the encoder of `start` where it is a bag of embeddings.

    The batches are those of `plan`, or in a random order. The loss asks the encoder of `guide`, where there is one.
    """
    opened = read_set(Path(published.path))
    folder, store = Path(run), Place().open_store()
    # torch takes seconds to import; a run that is cached does without.
    training = import_module("negset.training.run")
    with shown_progress("train") as progress:
        begun = static_start(store, start) if start else None
        by = open_plan(store.open(plan.kind, plan.fingerprint)) if plan else None
        taken = open_snapshot(store, snapshot)
        tables = training_tables(opened, config)
        if by is not None and by.manifest.older_versions:
            tables = with_replay(tables, opened.folder, taken)
        report = training.run_training(
            tables,
            taken,
            config,
            folder,
            begun,
            progress,
            guide=open_guide(store, config, guide),
            tell=partial(_tell, progress),
            plan=by,
            inputs_by=_inputs_by(published, snapshot, config) if config.plan_refresh else None,
        )
    if TaskRunContext.get() is not None:
        _show(opened.manifest.dataset, folder)
    content = file_digest(folder / METRICS)
    return CheckpointRef(fingerprint=fingerprint, content=content, rows=report.trained, path=str(folder))


def _inputs_by(published: NegativeSetRef, snapshot: SnapshotRef, config: TrainConfig) -> InputsBy:
    """Give what the plan of a run is made of; the set is opened when it is asked for, in whichever process."""
    return partial(renewed_inputs, partial(open_view, published, snapshot, plan_request(config)))


def training_tables(opened: PublishedSet, config: TrainConfig) -> SetTables:
    """Read the tables of a set that training by `config` needs."""
    names = ["queries", "documents", "positives", "negatives", *(["false_negatives"] if config.mask_suspects else [])]
    if config.teacher:
        if "candidates" not in opened.manifest.counts.rows:
            message = (
                f"train.teacher = {config.teacher!r} needs scores of positives, and {opened.folder} was published "
                "without its candidates. Build it with publish.keep_candidates = true"
            )
            raise ConfigError(message)
        names.append("candidates")
    return SetTables(**{name: opened.table(name) for name in names})


def static_start(store: Store, ref: EncoderRef) -> object:
    """Give where a bag of embeddings starts: the fitted encoder of `ref`."""
    model = import_module("negset.encoders.lsa").load_lsa(store.open(ref.kind, ref.fingerprint))
    return import_module("negset.training.model").StaticStart(model.tokens, model.embeddings)


def open_guide(store: Store, config: TrainConfig, ref: EncoderRef | None) -> Encoder | None:
    """Open the encoder that the loss asks; None where the config names none."""
    encoder = guide_encoder(config)
    return open_encoder(encoder, store, ref) if encoder and ref else None


def _tell(progress: Report, figures: "StepFigures") -> None:
    """Show the figures of a step beside its bar."""
    memory = "" if figures.gpu_mib is None else f", {figures.gpu_mib / 1024:.1f} GiB"
    note = f"loss {figures.loss:.4f}, {figures.queries_per_second:,.0f} queries/s{memory}"
    progress("train", figures.step, figures.steps, note)


def _show(dataset: str, folder: Path) -> None:
    """Put the metrics into Prefect's UI."""
    held_out = read_json(folder / METRICS)["held_out"]
    table = [{"when": when, **held_out[when]} for when in ("before", "after")] if isinstance(held_out, dict) else []
    create_table_artifact(table=table, key="negset-metrics", description=f"Held-out queries of {dataset}")
