"""The flows that deployments run: each takes its configuration as a form and finds its partition when it runs.

`negset deploy` registers them. They are thin: what they run are the flows that the command line runs.
"""

from datetime import UTC, datetime

from prefect import flow

from flows.build import build
from flows.left_running import end_orphans
from flows.partitions import backfill, build_partition, dataset_status
from flows.rounds import rounds
from flows.train import train
from negset.configuration import one_partition
from negset.errors import ArtifactError, ConfigError
from negset.periods.choosing import Only
from negset.periods.expected import LATEST, expected_partitions
from negset.publishing.reading import read_latest
from schemas.config import BuildConfig, Slug
from schemas.partitions import PartitionsConfig
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig
from tasks.freshness import tell_fresh
from tasks.place import Place
from tasks.sets import bring_set, bring_version


@flow(name="build-dataset", flow_run_name="build {config.name}")
def build_dataset(config: BuildConfig) -> str:
    """Build `config` and give the version; of a dataset with partitions `config.partition`, or else the newest.

    A partition is built whatever its state; what is cached does not run again.
    """
    require_places()
    end_orphans()
    if config.partitions.kind == "none":
        return build(one_partition(config)).fingerprint
    asked = one_partition(config.model_copy(update={"partition": config.partition or LATEST}))
    version = build_partition(asked, asked.partition, force=True)
    status = dataset_status(config, asked.partition, asked.partition)
    if status.fresh:
        tell_fresh(config.name, status.newest or "")
    return version


@flow(name="backfill-dataset", flow_run_name="backfill {config.name}")
def backfill_dataset(
    config: BuildConfig, first: str = "", last: str = "", only: Only = "", max_parallel: int = 1
) -> dict[str, int]:
    """Build the partitions of `config` from `first` to `last` that are over and not up to date; count the states.

    Of these `only` those that are missing, failed or stale, or `holes`, missing or failed; empty for all. Runs that
    were missed need nothing else: what closed meanwhile is missing, and one that is not over is not expected.
    """
    require_places()
    end_orphans()
    return backfill(config, first, last, only, max_parallel).counts()


@flow(name="train-dataset", flow_run_name="train on {dataset}")
def train_dataset(
    dataset: Slug,
    config: TrainConfig,
    partitions: PartitionsConfig = PartitionsConfig(),  # noqa: B008 - frozen
    partition: str = LATEST,
) -> str:
    """Train on the published version of `dataset`, or of its `partition`, and give the folder of the model.

    `latest` is the newest of `partitions` of which something is published.
    """
    require_places()
    end_orphans()
    place = Place()
    name = _published(place, dataset, partitions, partition)
    version = read_latest(place.sets_folder() / name)
    if version is None:
        message = f"nothing is published of {name!r}; build it first"
        raise ArtifactError(message)
    return train(str(bring_version(place, name, version)), config).path


@flow(name="rounds-dataset", flow_run_name="rounds on {config.name}")
def rounds_dataset(config: BuildConfig, train: TrainConfig, options: RoundsConfig) -> str:
    """Mine, train and mine again; of a dataset with partitions `config.partition`, or else the newest.

    Gives the folder of `rounds.json`.
    """
    require_places()
    end_orphans()
    asked = config.partition or (LATEST if config.partitions.kind != "none" else "")
    return rounds(one_partition(config.model_copy(update={"partition": asked})), train, options)


def dataset_tag(dataset: str) -> str:
    """Give the tag of the deployments of `dataset` and of their runs; sub-flows and tasks do not bear it."""
    return f"negset:{dataset}"


def require_places() -> None:
    """Raise ConfigError where results would be lost: a worker runs each flow in a folder that it removes."""
    home = Place().home
    if not home.is_absolute():
        message = (
            f"NEGSET_HOME is {str(home)!r}, a folder below one that the worker removes after the run; set it to an "
            "absolute path in the worker's environment"
        )
        raise ConfigError(message)


def _published(place: Place, dataset: str, partitions: PartitionsConfig, partition: str) -> str:
    """Name the set of the `partition` wanted, brought up to date with what is shared."""
    if partitions.kind == "none":
        bring_set(place, dataset)
        return dataset
    if partition != LATEST:
        bring_set(place, f"{dataset}/{partition}")
        return f"{dataset}/{partition}"
    if partitions.kind == "list":
        message = f"the partitions of {dataset!r} are a list, of which none is the newest; give partition"
        raise ConfigError(message)
    for one in reversed(expected_partitions(partitions, datetime.now(UTC))):
        bring_set(place, f"{dataset}/{one.key}")
        if read_latest(place.sets_folder() / dataset / one.key) is not None:
            return f"{dataset}/{one.key}"
    message = f"no partition of {dataset!r} is published; build one first"
    raise ArtifactError(message)
