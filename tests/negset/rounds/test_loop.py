"""What names a loop, and what the model of a round is as an encoder."""

from pathlib import Path

import pytest

from negset.rounds.loop import loop_fingerprint, trained_encoder
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

BUILD = BuildConfig.model_validate({"name": "small", "source": {"format": "beir", "path": "here"}})


def named(build=BUILD, train=None, rounds=None, snapshot="s", encoder="e", start="m"):
    return loop_fingerprint(build, train or TrainConfig(), rounds or RoundsConfig(), snapshot, encoder, start)


def test_more_rounds_are_the_same_loop_and_places_do_not_matter():
    assert named(rounds=RoundsConfig(rounds=7)) == named()
    moved = BUILD.model_copy(update={"source": BUILD.source.model_copy(update={"path": "there"})})
    assert named(moved) == named()
    assert named(train=TrainConfig(model="/a/folder")) == named(train=TrainConfig(model="/another/folder"))
    assert named(train=TrainConfig(checkpoint_every=3)) == named()


@pytest.mark.parametrize(
    "changed",
    [
        {"snapshot": "other"},
        {"encoder": "other"},
        {"start": "other"},
        {"train": TrainConfig(epochs=9)},
        {"train": TrainConfig(seed=9)},
        {"rounds": RoundsConfig(strategy="adore")},
        {"rounds": RoundsConfig(begin="first")},
        {"rounds": RoundsConfig(validation=0.3)},
        {"build": BUILD.model_copy(update={"seed": 9})},
    ],
)
def test_what_changes_sets_or_models_is_another_loop(changed):
    assert named(**changed) != named()


def test_the_model_of_a_round_is_a_folder_or_its_queries_beside_frozen_documents():
    mined = EncoderConfig(dimensions=8, storage="float16", query_prompt="ask: ", device="cpu")
    train = TrainConfig(max_length=77)
    found = trained_encoder(mined, train, RoundsConfig(), Path("/loop/round-2"), Path("/loop/start"))
    assert (found.backend, found.model, found.max_length) == ("sentence-transformers", "/loop/round-2/model", 77)
    assert (found.storage, found.device, found.query_prompt) == ("float16", "cpu", "")
    found = trained_encoder(mined, train, RoundsConfig(strategy="adore"), Path("/loop/round-2"), Path("/loop/start"))
    assert found.backend == "precomputed"
    assert (found.query_vectors, found.document_vectors) == ("/loop/round-2/queries.npy", "/loop/start/documents.npy")
