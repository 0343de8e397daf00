"""Two processes train what one trains: real processes, a static encoder and a transformer."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ConfigError, EnvironmentFault
from negset.training.batches import Planned, Renewal, shuffled_batches
from negset.training.distributed import ALONE, gather_with_gradient, split_batch
from negset.training.examples import build_examples
from negset.training.launch import launch_training
from negset.training.loop import train_encoder
from negset.training.model import open_model
from negset.training.processes import run_processes
from schemas.train import TrainConfig

pytestmark = pytest.mark.timeout(600)  # each start of processes imports torch anew, slowly on a busy machine

LOSSES = {
    "info_nce": {},
    "in_chunks": {"mini_batch": 2, "accumulate": 2},
    "no_in_batch": {"in_batch": False},
    "prepared_by_epoch": {"loss": "proto_clip"},
    "with_parameters_of_its_own": {"loss": "hyperspherical"},
    "all_documents": {"loss": "exact_softmax", "candidates": "all"},
    "plan_made_anew": {"plan": "ngame", "plan_refresh": 1, "epochs": 3},
}


def config(**changes) -> TrainConfig:
    settings = {"batch_size": 5, "epochs": 2, "checkpoint_every": 2, "device": "cpu", "seed": 13}
    return TrainConfig(**{**settings, **changes})


def examples_of(planted):
    nothing = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})
    return build_examples(planted.tables(), nothing, pl.Series([], dtype=pl.String), split="train")


def renewing(examples, settings, world):
    """Give batches in a random order that are later cut from an order by the model, which only the first may make."""

    def make(encode, _epochs, folder):
        assert world.first
        np.save(folder / "order.npy", np.argsort(encode(examples.query_texts, "query")[:, 0]))

    def follow(folder):
        order, size = np.load(folder / "order.npy"), settings.batch_size
        return lambda _epoch: (Planned(order[at : at + size], True) for at in range(0, len(order), size))

    by = shuffled_batches(examples, settings.seed, settings.batch_size, settings.epochs, in_batch=True)
    return replace(by, renewal=Renewal(make, follow))


def trained(settings, start, examples, folder, world=ALONE):
    """Train and give the losses of the first process, and the parameters of this one."""
    model = open_model(settings, start)
    by = renewing(examples, settings, world) if settings.plan_refresh else None
    training = train_encoder(model, examples, settings, folder, world=world, by=by)
    return training.losses, {name: one.clone() for name, one in model.module.state_dict().items()}


def misplaced(local, count, world):
    """A wrong gather: the parts of the processes in another order, so that targets point to others' vectors."""
    whole = gather_with_gradient(local, count, world)
    parts = split_batch(count, world)
    return torch.cat([whole[part] for part in reversed(parts)])


def cut_off(local, count, world):
    """A wrong gather: vectors of the others have no say, as if each process had its negatives alone."""
    whole = gather_with_gradient(local, count, world).detach().clone() * 0
    own = split_batch(count, world)[world.rank]
    return torch.cat([whole[: own.start], local, whole[own.stop :]])


def every_case(cases, start, examples, folder, world, say):
    """Train each of `cases` in this process; the first one's results come back, with whether all processes agree."""
    import negset.training.gradients as gradients

    found = {}
    for name, (settings, gather) in cases.items():
        gradients.gather_with_gradient = gather
        given = start if settings.model == "static" else None
        losses, parameters = trained(settings, given, examples, folder / name, world)
        gradients.gather_with_gradient = gather_with_gradient
        found[name] = (losses, parameters, agreed(parameters, world))
    return found


def agreed(parameters, world) -> bool:
    """Say whether all processes hold the same bits."""
    whole = torch.cat([one.reshape(-1).double() for one in parameters.values()])
    gathered = [torch.empty_like(whole) for _ in range(world.size)]
    torch.distributed.all_gather(gathered, whole)
    return all(torch.equal(one, whole) for one in gathered)


@pytest.fixture(scope="module")
def without_dropout(tiny_model, tmp_path_factory):
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("steady") / "model")
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    return str(folder)


@pytest.fixture(scope="module")
def cases(without_dropout):
    right = {f"static {name}": (config(**changes), gather_with_gradient) for name, changes in LOSSES.items()}
    return {
        **right,
        "transformer": (config(model=without_dropout, learning_rate=1e-3), gather_with_gradient),
        "misplaced": (config(), misplaced),
        "cut_off": (config(), cut_off),
    }


@pytest.fixture(scope="module")
def two(cases, world_of_pairs, tmp_path_factory):
    start, examples = world_of_pairs
    return run_processes(partial(every_case, cases, start, examples, tmp_path_factory.mktemp("two")), 2, "gloo")


@pytest.fixture(scope="module")
def world_of_pairs(planted_once):
    return planted_once.start(), examples_of(planted_once)


def difference(found, expected) -> float:
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


@pytest.mark.parametrize("name", [*(f"static {name}" for name in LOSSES), "transformer"])
def test_two_processes_train_what_one_trains(two, cases, world_of_pairs, tmp_path, name):
    settings, _ = cases[name]
    start, examples = world_of_pairs
    losses, expected = trained(settings, start if settings.model == "static" else None, examples, tmp_path)
    there, parameters, same = two[name]
    assert same
    assert there == pytest.approx(losses, abs=1e-5)
    assert difference(parameters, expected) < 1e-6
    assert difference(parameters, open_model(settings, start).module.state_dict()) > 1e-3


@pytest.mark.parametrize("name", ["misplaced", "cut_off"])
def test_a_wrong_gather_trains_something_else(two, world_of_pairs, tmp_path, name):
    _, expected = trained(config(), *world_of_pairs, tmp_path)
    assert difference(two[name][1], expected) > 1e-3


class KilledError(Exception):
    pass


def test_a_run_in_two_processes_is_resumed_and_ends_as_if_it_had_not_been_cut(world_of_pairs, tmp_path):
    start, examples = world_of_pairs
    settings = config(processes=2)

    def train(folder, progress=lambda *_: None):
        model = open_model(settings, start)
        training = launch_training(model, start, examples, settings, folder, progress)
        return training, model.module.state_dict()

    heard, told = [], []
    model = open_model(settings, start)
    whole = launch_training(
        model, start, examples, settings, tmp_path / "whole", lambda *said: heard.append(said), tell=told.append
    )
    assert heard == [("train", step, 10) for step in range(1, 11)]
    assert [figures.loss for figures in told] == list(whole.losses)
    assert (tmp_path / "whole" / "model" / "modules.json").exists()

    def kill_one(step, done, total):
        if done == 5:
            multiprocessing.active_children()[1].kill()

    with pytest.raises(EnvironmentFault, match=r"process \d of 2 ended by SIGKILL"):
        train(tmp_path / "cut", kill_one)
    assert not (tmp_path / "cut" / "model").exists()
    resumed, parameters = train(tmp_path / "cut")
    assert resumed.resumed_at in (2, 4, 6, 8)
    assert resumed.losses == whole.losses
    assert difference(parameters, model.module.state_dict()) == 0


def test_more_processes_than_gpus_are_refused(world_of_pairs, tmp_path):
    start, examples = world_of_pairs
    model = open_model(config(), start)
    model.device = torch.device("cuda")
    settings = config(processes=2 + torch.cuda.device_count())
    with pytest.raises(ConfigError, match="each needs its own"):
        launch_training(model, start, examples, settings, tmp_path)
    model.device = torch.device("mps")
    with pytest.raises(ConfigError, match="not on mps"):
        launch_training(model, start, examples, settings, tmp_path)
