import shutil

import numpy as np
import pytest

from negset.errors import ConfigError, InputError
from negset.training.model import open_model
from negset.training.run import run_training
from schemas.config import TrainConfig


def config(model, **changes) -> TrainConfig:
    settings = {"model": str(model), "batch_size": 8, "epochs": 2, "learning_rate": 3e-3, "device": "cpu"}
    return TrainConfig(**{**settings, **changes})


def test_a_model_folder_is_trained_resumed_and_saved(planted, tiny_model, tmp_path):
    """With dropout: a resumed run draws what the uninterrupted one draws."""
    from sentence_transformers import SentenceTransformer

    report = run_training(planted.tables(), planted, config(tiny_model), tmp_path / "whole")
    assert report.training.losses[0] != report.training.losses[-1]

    def kill(step, done, total):
        if (step, done) == ("train", 4):
            raise KeyboardInterrupt

    settings = config(tiny_model, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run_training(planted.tables(), planted, settings, tmp_path / "cut", progress=kill)
    resumed = run_training(planted.tables(), planted, settings, tmp_path / "cut")
    assert resumed.training.resumed_at == 2
    assert resumed.training.losses == report.training.losses
    loaded = SentenceTransformer(str(report.model_folder), device="cpu", local_files_only=True)
    assert (tmp_path / "whole" / "model" / "model.safetensors").exists()
    again = open_model(config(report.model_folder), None)
    texts = ["ask1 word2", "body3 filler4 noise1"]
    vectors = loaded.encode(texts, normalize_embeddings=True)
    assert again.encode(texts, "query") == pytest.approx(vectors, abs=1e-5)


def test_prompts_reach_training_and_travel_with_the_model(tiny_model, tmp_path):
    from sentence_transformers import SentenceTransformer
    from torch.nn import Dropout

    model = open_model(config(tiny_model, query_prompt="ask1 "), None)
    model.save(tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    for dropout in (part for part in model.module.modules() if isinstance(part, Dropout)):
        dropout.p = 0.0
    vector = model.bind(["word2"], "query")(np.array([0])).detach().numpy()
    assert vector == pytest.approx(loaded.encode_query(["word2"], normalize_embeddings=True), abs=1e-5)
    assert vector == pytest.approx(model.encode(["ask1 word2"], "document"), abs=1e-5)


def test_long_texts_are_cut_at_max_length(tiny_model):
    model = open_model(config(tiny_model, max_length=4), None)
    vectors = model.encode(["ask1 word2", "ask1 word2 noise3 noise4"], "document")
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-6)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        open_model(config(tmp_path / "nowhere"), None)


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="safetensors"):
        open_model(config(tmp_path), None)


def test_cut_weights_are_one_line(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "cut")
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot load the model in"):
        open_model(config(folder), None)


def test_a_device_that_is_not_there_is_named(tiny_model):
    with pytest.raises(ConfigError, match=r"train\.device = 'nonsense'"):
        open_model(config(tiny_model, device="nonsense"), None)
