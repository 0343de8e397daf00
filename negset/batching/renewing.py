"""A plan made anew while a model is trained by it: from the vectors of the model, not those of the miner.

NGAME clusters again every few epochs, Sample4Geo lists the most similar again, ProtoCLIP clusters each episode. A run
knows its steps beforehand, so only plans with as many batches whatever the vectors say are renewed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from negset.arrays import Matrix, Rows
from negset.batching.inputs import PlanInputs
from negset.batching.making import make_plan, visits_per_query
from negset.batching.opening import plan_inputs
from negset.batching.planner import BatchPlan, PlanParams, PlanSettings, find_plan, plan_params, plans
from negset.batching.reading import PAPER
from negset.batching.view import SetView
from negset.encoders.encoder import Role
from negset.errors import ConfigError, ContractError, listed
from negset.store import write_durably
from negset.training.examples import Groups
from schemas.batches import PlanManifest
from schemas.train import TrainConfig, usual_epochs

Encode = Callable[[Sequence[str], Role], Matrix]
"""Turn texts into their vectors of length one by the model as it is now, (n, D)."""

InputsBy = Callable[[Encode], PlanInputs]
"""Give what a plan reads, its vectors by an encoder in place of those that the set was mined with."""

_NOBODY: Final = Groups(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64))


def check_refresh(config: TrainConfig, positives: Groups = _NOBODY) -> None:
    """Raise ConfigError where `train.plan_refresh` would renew nothing, or change the number of batches.

    `positives` are those of all queries, where they are known already.
    """
    every = config.plan_refresh
    if not every:
        return
    found, params = _asked(config)
    epochs = found.epochs(config.epochs or usual_epochs(config.model), params)
    following = [epoch for epoch in range(epochs) if found.from_vectors(params, epoch)]
    if not following:
        named = sorted(name for name, one in plans().items() if one.from_vectors(one.params(), epochs))
        message = (
            f"train.plan_refresh = {every}, but none of the {epochs} epochs of the plan {found.name!r} is made from "
            f"vectors: leave it out, change train.plan_options, or set train.plan to one of {', '.join(named)}"
        )
        raise ConfigError(message)
    if following[-1] < every:
        message = (
            f"train.plan_refresh = {every} renews nothing: of {epochs} epochs, counted from 0, the last that the plan "
            f"{found.name!r} makes from vectors is {following[-1]}. Set a lower one, or more train.epochs"
        )
        raise ConfigError(message)
    why = found.unsteady(positives, params)
    if why:
        message = (
            f"train.plan_refresh = {every}, but the number of batches of the plan {found.name!r} depends on the "
            f"vectors, and a run must know its steps beforehand: {why}, or leave plan_refresh out"
        )
        raise ConfigError(message)


def renewed_epochs(config: TrainConfig, epochs: int, epoch: int) -> range:
    """Give the epochs whose plan is made anew with that of `epoch`, at the start of the first of them.

    None where the plan of `epoch` is the one that was made before training, as nothing of it is made from vectors.
    """
    if not config.plan_refresh:
        return range(0)
    first = epoch - epoch % config.plan_refresh
    together = range(first, min(first + config.plan_refresh, epochs))
    found, params = _asked(config)
    return together if first and any(found.from_vectors(params, one) for one in together) else range(0)


def _asked(config: TrainConfig) -> tuple[BatchPlan, PlanParams]:
    found = find_plan(config.plan)
    return found, plan_params(found, config.plan_options)


def renewed_inputs(open_view: Callable[[], SetView], encode: Encode) -> PlanInputs:
    """Give what plans read of a set, as when the plan was made, but with vectors by `encode`."""
    view = open_view()
    query_texts, document_texts = view.examples.query_texts, view.examples.document_texts

    def documents(rows: Rows) -> Matrix:
        return encode([document_texts[row] for row in rows.tolist()], "document")

    return replace(plan_inputs(view), vectors=cache(lambda: encode(query_texts, "query")), document_vectors=documents)


def renew_plan(before: PlanManifest, inputs_by: InputsBy, encode: Encode, epochs: range, folder: Path) -> None:
    """Make the plan of `before` anew for these `epochs`, by the vectors that `encode` gives: a plan in `folder`.

    It passes the checks of every plan. Raises ContractError where a query has a vector that is not finite, and where
    an epoch has not as many batches as `before` says.
    """
    found = find_plan(before.strategy)
    params = plan_params(found, before.options)
    settings = PlanSettings(before.seed, before.batch_size, len(before.epochs), before.in_batch, only=epochs)
    inputs = _finite(inputs_by(encode))
    counts, visits_Q = make_plan(inputs, found, params, settings, folder)
    for one in counts:
        announced = before.epochs[one.epoch].batches
        if one.batches != announced:
            message = (
                f"plan {found.name!r}, made anew, has {one.batches} batches in epoch {one.epoch}, and {announced} "
                "were announced: the steps of a run must not change. Leave train.plan_refresh out"
            )
            raise ContractError(message)
    seen = {
        "epochs": tuple(counts),
        "never_visited": int((visits_Q == 0).sum()),
        "visits_per_query": visits_per_query(visits_Q, len(counts)),
    }
    write_durably(folder / PAPER, f"{before.model_copy(update=seen).model_dump_json(indent=2)}\n".encode())


def _finite(inputs: PlanInputs) -> PlanInputs:
    """Give `inputs` whose vectors are looked at before a plan sorts by them."""

    def checked(vectors_ND: Matrix, ids: Sequence[str], what: str) -> Matrix:
        wrong_N = ~np.isfinite(vectors_ND).all(axis=1)
        if wrong_N.any():
            named = [ids[row] for row in np.flatnonzero(wrong_N).tolist()]
            message = f"the model gives {len(named)} {what} vectors that are not finite: {listed(named)}"
            raise ContractError(message)
        return vectors_ND

    def documents(rows: Rows) -> Matrix:
        ids = [inputs.document_ids[row] for row in rows.tolist()]
        return checked(inputs.document_vectors(rows), ids, "document")

    return replace(
        inputs,
        vectors=cache(lambda: checked(inputs.vectors(), inputs.query_ids, "query")),
        document_vectors=documents,
    )
