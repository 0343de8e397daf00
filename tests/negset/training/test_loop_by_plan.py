"""Training by a batch plan on disk: resumed as if it had not been killed, in epochs of different lengths."""

import numpy as np
import polars as pl
import pytest
import torch

from negset.batching.following import planned_run
from negset.batching.inputs import PlanInputs
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.reading import PAPER, open_plan
from negset.lots import id_keys
from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from schemas.batches import PlanManifest
from schemas.train import TrainConfig

CONFIG = TrainConfig(batch_size=5, checkpoint_every=2, device="cpu", plan="cyclical")


@pytest.fixture
def examples(planted):
    known = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
    return build_examples(planted.tables(), known, pl.Series([], dtype=pl.String), split="train")


@pytest.fixture
def opened(examples, tmp_path):
    """A cyclical plan: epochs of a quarter, a half, all and half of the queries."""
    inputs = PlanInputs(
        query_ids=examples.query_ids,
        keys_Q=id_keys(examples.query_ids),
        document_ids=examples.document_ids,
        positives=examples.positives,
        known=examples.known,
        negatives=examples.negatives,
        losses=lambda _path: np.linspace(0.1, 2.0, len(examples.query_ids)),
    )
    found, folder = find_plan("cyclical"), tmp_path / "plan"
    params = plan_params(found, {})
    epochs = found.epochs(2, params)
    counts, visits = make_plan(inputs, found, params, PlanSettings(1, 5, epochs, passes=2), folder)
    manifest = PlanManifest(
        strategy="cyclical",
        version=1,
        options=params.model_dump(),
        seed=1,
        batch_size=5,
        in_batch=True,
        split="train",
        dataset="planted",
        set_version="v",
        queries=len(examples.query_ids),
        never_visited=0,
        visits_per_query=visits_per_query(visits, epochs),
        epochs=tuple(counts),
    )
    (folder / PAPER).write_text(manifest.model_dump_json())
    return open_plan(folder)


class KilledError(Exception):
    pass


def trained(planted, examples, opened, folder, kill_at=0):
    def progress(step, done, total):
        if done == kill_at:
            raise KilledError

    model = open_model(CONFIG, planted.start())
    by = planned_run(opened, examples)
    training = train_encoder(model, examples, CONFIG, folder, progress, by=by)
    return training, {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


@pytest.mark.parametrize("kill_at", [3, 6])
def test_a_killed_run_takes_the_batches_that_are_left(planted, examples, opened, tmp_path, kill_at):
    whole, parameters = trained(planted, examples, opened, tmp_path / "whole")
    assert len(whole.losses) == sum(epoch.batches for epoch in opened.manifest.epochs) == 13
    assert [epoch.visits for epoch in opened.manifest.epochs] == [6, 12, 24, 12]
    with pytest.raises(KilledError):
        trained(planted, examples, opened, tmp_path / "cut", kill_at)
    resumed, same = trained(planted, examples, opened, tmp_path / "cut")
    assert resumed.resumed_at > 0
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
