"""A published set as its batch plans see it, opened by what can be handed to another process."""

from pathlib import Path

from negset.batching.view import SetView, view_set
from negset.publishing.reading import read_set
from negset.snapshot import open_snapshot
from schemas.batches import PlanRequest
from schemas.refs import NegativeSetRef, SnapshotRef
from schemas.train import TrainConfig, usual_epochs
from tasks.place import Place


def open_view(published: NegativeSetRef, snapshot: SnapshotRef, request: PlanRequest) -> SetView:
    """Open the set as the plan of `request` sees it."""
    store = Place().open_store()
    return view_set(read_set(Path(published.path)), open_snapshot(store, snapshot), store, request)


def plan_request(config: TrainConfig) -> PlanRequest:
    """Say which plan a run of `config` trains by."""
    return PlanRequest(
        plan=config.plan,
        options=config.plan_options,
        seed=config.seed,
        batch_size=config.batch_size,
        epochs=config.epochs or usual_epochs(config.model),
        in_batch=config.in_batch,
        negatives=config.negatives,
        split=config.split,
        held_out=config.held_out,
    )
