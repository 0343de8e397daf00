"""Make a batch plan of a published set: which queries share a batch in each epoch."""

from prefect import flow

from negset.building import require_current
from negset.publishing.manifest import version_id
from negset.publishing.reading import read_set
from negset.store import Store
from schemas.batches import PlanRequest
from schemas.refs import BatchPlanRef, NegativeSetRef, SnapshotRef
from tasks.batches import plan_batches, plan_key
from tasks.place import Place
from tasks.policies import is_stored, through_cache
from tasks.sets import local_set


@flow(name="batches")
def batches(set_path: str, request: PlanRequest) -> BatchPlanRef:
    """Plan the batches of the set at `set_path`, a version or the latest of a set, with the corpus in the store."""
    opened, store = read_set(local_set(set_path)), Place().open_store()
    manifest = opened.manifest
    published = NegativeSetRef(
        fingerprint=version_id(manifest),
        content=manifest.source.content,
        rows=manifest.counts.rows["negatives"],
        path=str(opened.folder.absolute()),
    )
    return planned(published, require_current(store, manifest.source.content), request, store)


def planned(published: NegativeSetRef, snapshot: SnapshotRef, request: PlanRequest, store: Store) -> BatchPlanRef:
    """Give the plan of `request`, from the store where it was made before."""
    key = plan_key(published, request)
    chosen = through_cache(plan_batches, is_stored(store, BatchPlanRef, key))
    return chosen(published, snapshot, request, fingerprint=key)
