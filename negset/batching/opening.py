"""From a published set to a batch plan: what plans read of it, what names a plan, and how one is made."""

from functools import cache
from pathlib import Path
from typing import Final

from negset.batching.inputs import PlanInputs
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import BatchPlan, PlanSettings, find_plan, plan_params
from negset.batching.reading import PAPER
from negset.batching.replay import older_versions
from negset.batching.set_fields import query_column, query_places
from negset.batching.set_scores import graded_positives, query_losses, scored_pairs
from negset.batching.versions import listed_versions
from negset.batching.view import SetView, document_vectors, query_vectors
from negset.errors import ConfigError
from negset.fingerprint import file_digest, fingerprint, identity
from negset.lots import id_keys
from negset.progress import Progress, no_progress
from negset.publishing.manifest import version_id
from negset.store import write_durably
from schemas.batches import PlanManifest, PlanRequest

VERSION: Final = 1
"""Raised when the room gives other tables for the same plan and request."""


def plan_inputs(view: SetView) -> PlanInputs:
    """Give what plans read of the set in `view`; vectors, scores and the rest are opened where a plan asks for them."""
    examples = view.examples
    return PlanInputs(
        query_ids=examples.query_ids,
        keys_Q=id_keys(examples.query_ids),
        document_ids=examples.document_ids,
        positives=examples.positives,
        known=examples.known,
        negatives=examples.negatives,
        vectors=cache(lambda: query_vectors(view)),
        document_vectors=lambda rows: document_vectors(view, rows),
        pairs=cache(lambda by: scored_pairs(view, by)),
        column=lambda name: query_column(view, name),
        places=lambda latitude, longitude: query_places(view, latitude, longitude),
        losses=lambda path: query_losses(view, path),
        grades=lambda: graded_positives(view),
        versions=lambda: older_versions(view),
    )


def plan_identity(request: PlanRequest, set_folder: Path, set_version: str) -> str:
    """Name the plan that `request` makes of the version `set_version` of the set: options, files and versions read.

    Raises ConfigError for a plan, option or file that does not exist.
    """
    found = find_plan(request.plan)
    params = plan_params(found, request.options)
    files = [(name, _digest(str(getattr(params, name)))) for name in found.files if getattr(params, name)]
    older = (
        [(one.version, one.age, one.folder is not None) for one in listed_versions(set_folder)]
        if found.versions
        else []
    )
    return fingerprint("batches", VERSION, found.version, set_version, request, params, files, older)


def _digest(path: str) -> str:
    try:
        return file_digest(Path(path))
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error


def plan_set(view: SetView, request: PlanRequest, folder: Path, progress: Progress = no_progress) -> PlanManifest:
    """Make the plan of `request` from the set in `view`: its tables and, last, `plan.json`, in `folder`.

    Raises ConfigError for a plan or option that does not exist or lacks what it needs.
    """
    found = find_plan(request.plan)
    params = plan_params(found, request.options)
    epochs = found.epochs(request.epochs, params)
    settings = PlanSettings(request.seed, request.batch_size, epochs, request.in_batch, request.epochs)
    inputs = plan_inputs(view)
    counts, visits_Q = make_plan(inputs, found, params, settings, folder, progress)
    manifest = PlanManifest(
        strategy=found.name,
        version=found.version,
        options=params.model_dump(include=set(identity(params))),
        seed=request.seed,
        batch_size=request.batch_size,
        in_batch=request.in_batch,
        split=request.split,
        dataset=view.published.manifest.dataset,
        set_version=version_id(view.published.manifest),
        queries=len(inputs.query_ids),
        left_out=dict(view.examples.left_out),
        older_versions=_versions_read(view, found),
        never_visited=int((visits_Q == 0).sum()),
        visits_per_query=visits_per_query(visits_Q, epochs),
        epochs=tuple(counts),
    )
    write_durably(folder / PAPER, f"{manifest.model_dump_json(indent=2)}\n".encode())
    return manifest


def _versions_read(view: SetView, found: BatchPlan) -> tuple[str, ...]:
    listed = listed_versions(view.published.folder)[1:] if found.versions else []
    return tuple(one.version for one in listed if one.folder is not None)
