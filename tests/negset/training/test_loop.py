from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ContractError
from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from schemas.config import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


def config(**changes) -> TrainConfig:
    return TrainConfig(**{"batch_size": 5, "epochs": 3, "checkpoint_every": 4, "device": "cpu", **changes})


@pytest.fixture
def examples(planted):
    return build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")


def trained(planted, examples, settings, folder, progress=lambda *_: None):
    model = open_model(settings, planted.start())
    training = train_encoder(model, examples, settings, folder, progress)
    return training, {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


class KilledError(Exception):
    pass


def test_one_seed_gives_one_model_and_another_seed_another(planted, examples, tmp_path):
    first, parameters = trained(planted, examples, config(), tmp_path / "a")
    again, same = trained(planted, examples, config(), tmp_path / "b")
    other, _ = trained(planted, examples, config(seed=14), tmp_path / "c")
    assert first.losses == again.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    assert first.losses != other.losses
    files = [(tmp_path / name / "model" / "0_StaticEmbedding" / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_the_state_of_the_callers_generator_does_not_matter_and_is_kept(planted, examples, tmp_path):
    torch.manual_seed(1)
    once, _ = trained(planted, examples, config(), tmp_path / "a")
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    again, _ = trained(planted, examples, config(), tmp_path / "b")
    assert once.losses == again.losses
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kill_at", [1, 4, 7, 14])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(planted, examples, tmp_path, kill_at):
    whole, parameters = trained(planted, examples, config(), tmp_path / "whole")

    def kill(step, done, total):
        if done == kill_at:
            raise KilledError

    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path / "cut", kill)
    resumed, same = trained(planted, examples, config(), tmp_path / "cut")
    assert resumed.resumed_at == (kill_at - 1) // 4 * 4
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)


def test_a_checkpoint_of_another_run_is_not_gone_on_from(planted, examples, tmp_path):
    def kill(step, done, total):
        if done == 6:
            raise KilledError

    with pytest.raises(KilledError):
        trained(planted, examples, config(), tmp_path, kill)
    training, _ = trained(planted, examples, config(temperature=0.1), tmp_path)
    assert training.resumed_at == 0
    assert len(training.losses) == 15


def test_how_often_checkpoints_are_written_changes_nothing(planted, examples, tmp_path):
    often, _ = trained(planted, examples, config(checkpoint_every=1), tmp_path / "a")
    never, _ = trained(planted, examples, config(checkpoint_every=1000), tmp_path / "b")
    assert often.losses == never.losses


def test_a_loss_that_is_not_finite_names_its_queries(planted, examples, tmp_path):
    model = open_model(config(), planted.start())
    word = model.tokenizer.token_to_id("ask3")
    with torch.no_grad():
        model.module.embedding[word] = float("nan")
    with pytest.raises(ContractError, match="q3x") as caught:
        train_encoder(model, examples, config(batch_size=100), tmp_path)
    assert "q1x" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_the_loss_falls(planted, examples, tmp_path):
    training, _ = trained(planted, examples, config(epochs=20, learning_rate=0.03), tmp_path)
    assert np.mean(training.losses[-5:]) < np.mean(training.losses[:5]) / 2


def test_without_negatives_and_in_batch_off_nothing_is_compared(planted, examples, tmp_path):
    """The guard itself is in the examples; the loop on such a set leaves the parameters where they were."""
    empty = replace(
        examples.negatives, offsets=np.zeros_like(examples.negatives.offsets), rows=np.empty(0, dtype=np.int64)
    )
    settings = config(in_batch=False, epochs=1)
    before = open_model(settings, planted.start()).module.state_dict()
    training, after = trained(planted, replace(examples, negatives=empty), settings, tmp_path)
    assert set(training.losses) == {0.0}
    assert all(torch.allclose(before[name], after[name]) for name in before)
