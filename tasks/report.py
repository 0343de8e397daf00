"""Report a finished training run: the page in its folder, and the verdict on its domains."""

from importlib import import_module
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from negset.errors import ValidationFailed
from negset.snapshot import open_snapshot
from negset.store import write_durably
from schemas.refs import CheckpointRef, SnapshotRef
from schemas.train import TrainConfig
from tasks.place import Place


@task(name="report", cache_policy=NO_CACHE)
def report(checkpoint: CheckpointRef, snapshot: SnapshotRef, config: TrainConfig, dataset: str) -> None:
    """Write report.json and report.html to the run of `checkpoint`, anew each time: it takes seconds.

    Raises ValidationFailed, leaving model and page, where a domain fell by more than `config` allows.
    """
    reports, page = (import_module(f"negset.training.reports.{name}") for name in ("report", "page"))
    folder, opened = Path(checkpoint.path), open_snapshot(Place().open_store(), snapshot)
    found = reports.report_run(folder, opened, config)
    write_durably(folder / reports.PAGE, page.render_run(found, opened, config, dataset).encode())
    reports.write_report_numbers(found, folder)
    if found.verdict is not None and not found.verdict.passed:
        message = (
            f"domains fell: {import_module('negset.training.reports.domain_gate').describe_falls(found.verdict)}. "
            f"The model is in {folder}, the page is {folder / reports.PAGE}; waive a domain with report.waived_domains"
        )
        raise ValidationFailed(message)
