import shutil

import numpy as np
import polars as pl
import pytest
import torch

from negset.errors import ConfigError, InputError
from negset.training import transformer
from negset.training.examples import build_examples
from negset.training.loop import train_encoder
from negset.training.model import open_model
from negset.training.run import run_training
from schemas.train import TrainConfig

NO_KNOWN = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String})


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


def fit(planted, folder, model, **changes):
    examples = build_examples(planted.tables(), NO_KNOWN, pl.Series([], dtype=pl.String), split="train")
    settings = config(model, epochs=1, **changes)
    opened = open_model(settings, None)
    training = train_encoder(opened, examples, settings, folder)
    return training.losses, {name: tensor.clone() for name, tensor in opened.module.state_dict().items()}


def test_gradient_checkpointing_changes_no_bit(planted, tiny_model, tmp_path):
    """With dropout, whose draws the second pass over a layer must repeat."""
    losses, parameters = fit(planted, tmp_path / "a", tiny_model)
    again, same = fit(planted, tmp_path / "b", tiny_model, gradient_checkpointing=True)
    assert again == losses
    assert all(torch.equal(parameters[name], same[name]) for name in parameters)


def test_gradient_checkpointing_drops_activations(tiny_model):
    def kept(settings):
        """Count the numbers that autograd keeps for the way back."""
        model, seen = open_model(settings, None), []

        def keep(tensor):
            seen.append(tensor.numel())
            return tensor

        embed = model.bind(["ask1 word2 noise3"] * 20, "query")
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            embed(np.arange(20))
        return sum(seen)

    assert kept(config(tiny_model, gradient_checkpointing=True)) < 0.6 * kept(config(tiny_model))


def test_bfloat16_is_asked_for_or_comes_with_cuda(planted, tiny_model, tmp_path):
    losses, parameters = fit(planted, tmp_path / "a", tiny_model, precision="float32")
    auto, _ = fit(planted, tmp_path / "b", tiny_model)
    coarse, moved = fit(planted, tmp_path / "c", tiny_model, precision="bfloat16")
    assert auto == losses
    assert coarse != losses
    assert coarse == pytest.approx(losses, abs=0.05)
    # Products alone are in bfloat16; what is kept and saved is not.
    assert all(tensor.dtype == parameters[name].dtype for name, tensor in moved.items())


def test_sophia_moves_a_transformer(planted, tiny_model, tmp_path):
    losses, _ = fit(planted, tmp_path / "a", tiny_model)
    by_sophia, _ = fit(planted, tmp_path / "b", tiny_model, optimizer="sophia")
    assert by_sophia[0] == losses[0]
    assert by_sophia[1:] != losses[1:]


def test_a_compiled_model_learns_the_same_and_is_saved_as_any_other(planted, tiny_model, tmp_path, monkeypatch):
    """By the compiler's own tracing alone: writing and building programs takes a minute and is torch's affair."""
    from sentence_transformers import SentenceTransformer

    called, whole = [], torch.nn.Module.compile

    def traced(self, **options):
        called.append(options)
        whole(self, backend="aot_eager", **options)

    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    losses, parameters = fit(planted, tmp_path / "a", tiny_model)
    again, same = fit(planted, tmp_path / "b", tiny_model, compile=True)
    assert called == [{"dynamic": True}]
    assert again == pytest.approx(losses, abs=1e-3)
    assert same.keys() == parameters.keys()
    SentenceTransformer(str(tmp_path / "b" / "model"), device="cpu", local_files_only=True)


def test_compiling_needs_a_compiler(tiny_model, monkeypatch):
    monkeypatch.setattr(transformer, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"train\.compile = true needs a C\+\+ compiler"):
        open_model(config(tiny_model, compile=True), None)


@pytest.mark.parametrize("key", ["gradient_checkpointing", "compile", "precision"])
def test_a_static_encoder_refuses_what_is_for_transformers(planted, key):
    settings = TrainConfig(**{key: "bfloat16" if key == "precision" else True})
    with pytest.raises(ConfigError, match=rf"train\.{key} is for transformers"):
        open_model(settings, planted.start())


def test_rows_come_back_in_their_order_though_texts_are_embedded_by_length(tiny_model):
    """With repeats, and more texts than are embedded at once."""
    from torch.nn import Dropout

    model = open_model(config(tiny_model), None)
    for dropout in (part for part in model.module.modules() if isinstance(part, Dropout)):
        dropout.p = 0.0
    texts = [" ".join(f"word{(place * 7 + turn) % 6}" for turn in range(1 + place * 5 % 13)) for place in range(30)]
    rows = np.array([29, 3, 3, *range(0, 30, 2), 17, 8, 1])
    vectors = model.bind(texts, "document")(rows).detach().numpy()
    alone = np.concatenate([model.bind(texts, "document")(np.array([row])).detach().numpy() for row in rows])
    assert vectors == pytest.approx(alone, abs=1e-5)
