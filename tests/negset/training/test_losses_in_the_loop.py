"""Losses as a run uses them: found by name, with options as a file of settings has them."""

import polars as pl
import pytest
import torch

from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


@pytest.fixture
def train(planted, tmp_path):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")

    def run(name: str, **options):
        settings = TrainConfig(
            batch_size=8, epochs=6, learning_rate=0.03, device="cpu", loss=name, loss_options=options
        )
        model = open_model(settings, planted.start())
        folder = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}"
        training = train_encoder(model, examples, settings, folder)
        return training, {key: tensor.clone() for key, tensor in model.module.state_dict().items()}

    return run


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("info_nce", {"symmetric": True, "label_smoothing": 0.1, "block": 3}),
        ("info_nce", {"learn_temperature": True}),
        ("peg", {"block": 5}),
        ("star", {}),
        ("cet", {}),
        ("triplet", {"hardest": 3}),
    ],
)
def test_a_loss_falls(train, name, options):
    training, _ = train(name, **options)
    third = len(training.losses) // 3
    assert sum(training.losses[-third:]) < sum(training.losses[:third])


def test_blocks_train_the_same_model(train):
    whole, parameters = train("info_nce")
    blocks, same = train("info_nce", block=3)
    assert blocks.losses == pytest.approx(whole.losses, abs=1e-5)
    assert all(torch.allclose(parameters[name], same[name], atol=1e-4) for name in parameters)


def test_a_learned_temperature_changes_the_run(train):
    fixed, _ = train("info_nce")
    learned, _ = train("info_nce", learn_temperature=True)
    assert learned.losses[0] == pytest.approx(fixed.losses[0])
    assert learned.losses[-1] != pytest.approx(fixed.losses[-1], abs=1e-4)
