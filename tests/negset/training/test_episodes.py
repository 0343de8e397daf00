"""Losses that prepare at each epoch or learn parameters of their own, resumed in the middle."""

import polars as pl
import pytest
import torch

from negset.errors import ArtifactError
from negset.training.examples import build_examples
from negset.training.loop import clear_run, train_encoder
from negset.training.model import open_model
from negset.training.objective import LossParams
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


class KilledError(Exception):
    pass


@pytest.fixture
def examples(planted):
    return build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")


@pytest.fixture
def prepared(register):
    """Register a loss that is drawn to the mean of all documents as they were when its epoch began."""
    asked = []

    def prepare(inputs, params):
        losses = inputs.pair_losses()
        asked.append((inputs.moment.epoch, losses.height, len(inputs.positive_row_Q)))
        mean = inputs.document_vectors().mean(0) + inputs.query_vectors().mean(0)
        return {"centre": mean / mean.norm(), "pairs": torch.tensor([losses.height])}

    @register("to_the_centre", params=LossParams, needs=["episode"], prepare=prepare)
    def to_the_centre(inputs, params):
        return 1 - inputs.queries_BD @ inputs.episode["centre"] - inputs.candidates_CD[inputs.target_B].sum(1) * 0.01

    return asked


@pytest.fixture
def remembered(register):
    """Register a loss with a bias for each document."""

    class Biases(torch.nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.bias = torch.nn.Parameter(inputs.document_vectors()[:, 0].clone() * 0)
            assert self.bias.shape == (inputs.documents,)
            assert inputs.document_vectors().shape[1] == inputs.width

    def compute(inputs, params):
        logits = inputs.scores_BC() / inputs.temperature + inputs.memory.bias[inputs.candidate_row_C]
        logits = logits.masked_fill(inputs.masked_BC, float("-inf"))
        return torch.nn.functional.cross_entropy(logits, inputs.target_B, reduction="none")

    register("biased", params=LossParams, needs=["memory"], open_parameters=lambda inputs, params: Biases(inputs))(
        compute
    )


def run(planted, examples, folder, loss, kill_at=0, **changes):
    def kill(step, done, total):
        if done == kill_at:
            raise KilledError

    settings = {"loss": loss, "batch_size": 5, "epochs": 3, "checkpoint_every": 4, "device": "cpu", **changes}
    config = TrainConfig(**settings)
    model = open_model(config, planted.start())
    training = train_encoder(model, examples, config, folder, kill)
    return training, {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


def test_each_epoch_begins_with_what_the_model_is_then(planted, examples, prepared, tmp_path):
    run(planted, examples, tmp_path, "to_the_centre")
    # It sees the losses of all epochs before, one for each of the 24 queries.
    assert prepared == [(0, 0, 24), (1, 24, 24), (2, 48, 24)]


@pytest.mark.parametrize("kill_at", [7, 10, 14])
def test_a_run_resumed_within_an_epoch_reads_what_it_began_with(planted, examples, prepared, tmp_path, kill_at):
    whole, parameters = run(planted, examples, tmp_path / "whole", "to_the_centre")
    with pytest.raises(KilledError):
        run(planted, examples, tmp_path / "cut", "to_the_centre", kill_at)
    prepared.clear()
    resumed, same = run(planted, examples, tmp_path / "cut", "to_the_centre")
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    # Steps 4, 8 and 12 of 5 an epoch: none is at the start of one, so its own epoch is not prepared again.
    resumed_in = resumed.resumed_at // 5
    assert [epoch for epoch, _, _ in prepared] == list(range(resumed_in + 1, 3))


def test_without_what_its_epoch_began_with_a_checkpoint_is_passed_over(planted, examples, prepared, tmp_path):
    whole, _ = run(planted, examples, tmp_path / "whole", "to_the_centre")
    with pytest.raises(KilledError):
        run(planted, examples, tmp_path / "cut", "to_the_centre", 14)
    (tmp_path / "cut" / "episode_2.safetensors").unlink()
    resumed, _ = run(planted, examples, tmp_path / "cut", "to_the_centre")
    assert resumed.resumed_at == 8
    assert "episode_2" in resumed.passed_over[0]
    assert resumed.losses == whole.losses
    with pytest.raises(KilledError):
        run(planted, examples, tmp_path / "gone", "to_the_centre", 14)
    for path in (tmp_path / "gone").glob("episode_*"):
        path.write_bytes(b"torn")
    with pytest.raises(ArtifactError, match=r"episode_2.*episode_1"):
        run(planted, examples, tmp_path / "gone", "to_the_centre")


def test_what_epochs_began_with_goes_with_the_run(planted, examples, prepared, tmp_path):
    run(planted, examples, tmp_path, "to_the_centre")
    assert (tmp_path / "episode_0.safetensors").is_file()
    clear_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("mini_batch", [0, 3])
def test_parameters_of_a_loss_learn_are_resumed_and_are_not_in_the_model(
    planted, examples, remembered, tmp_path, mini_batch
):
    changes = {"mini_batch": mini_batch, "memory_rate": 0.5}
    whole, parameters = run(planted, examples, tmp_path / "whole", "biased", **changes)
    frozen, _ = run(planted, examples, tmp_path / "frozen", "biased", **{**changes, "memory_rate": 1e-30})
    assert whole.losses[0] == frozen.losses[0]
    assert whole.losses[-1] != frozen.losses[-1]
    with pytest.raises(KilledError):
        run(planted, examples, tmp_path / "cut", "biased", 10, **changes)
    resumed, same = run(planted, examples, tmp_path / "cut", "biased", **changes)
    assert resumed.resumed_at == 8
    assert resumed.losses == whole.losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)
    assert set(parameters) == {"embedding", "log_weight"}


def test_cached_gradients_reach_parameters_of_a_loss_once(planted, examples, remembered, tmp_path):
    plain, parameters = run(planted, examples, tmp_path / "plain", "biased", memory_rate=0.5)
    cached, same = run(planted, examples, tmp_path / "cached", "biased", memory_rate=0.5, mini_batch=2)
    assert cached.losses == pytest.approx(plain.losses, abs=1e-4)
    assert all(torch.allclose(parameters[name], same[name], atol=1e-3) for name in parameters)
