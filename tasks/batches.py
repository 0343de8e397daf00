"""Make a batch plan of a published set."""

from pathlib import Path

from prefect.artifacts import create_table_artifact
from prefect.context import TaskRunContext

from negset.batching.opening import plan_identity, plan_set
from negset.fingerprint import fingerprint as fingerprint_of
from schemas.batches import PlanManifest, PlanRequest
from schemas.refs import BatchPlanRef, NegativeSetRef, SnapshotRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress
from tasks.views import open_view


def plan_key(published: NegativeSetRef, request: PlanRequest) -> str:
    """Name the plan of `request` on a published set."""
    return plan_identity(request, Path(published.path), published.fingerprint)


@room("batches")
def plan_batches(
    published: NegativeSetRef, snapshot: SnapshotRef, request: PlanRequest, *, fingerprint: str
) -> BatchPlanRef:
    """Make the tables of the plan that `request` asks for."""
    store = Place().open_store()
    view = open_view(published, snapshot, request)
    with shown_progress("batches") as progress, store.staging() as staged:
        manifest = plan_set(view, request, staged, progress)
        if TaskRunContext.get() is not None:
            _show(manifest)
        rows = sum(epoch.visits for epoch in manifest.epochs)
        return store.commit(BatchPlanRef, fingerprint, fingerprint_of(fingerprint, manifest), rows, staged)


def _show(manifest: PlanManifest) -> None:
    """Put what each epoch has into Prefect's UI."""
    table = [epoch.model_dump(exclude={"notes"}) for epoch in manifest.epochs]
    create_table_artifact(table=table, key="negset-batches", description=f"Batch plan {manifest.strategy}")
