import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from negset.encoders.encoder import encoder_fingerprint, open_encoder, prepare_encoder
from negset.encoders.model_folder import check_model, find_model, folder_digests
from negset.errors import ArtifactError, ConfigError, InputError
from schemas.encoder import EncoderConfig


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory) -> Path:
    """Give the folder of a static embedding model over six words, saved by sentence-transformers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "cat", "dog", "fish", "find", "store"]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = torch.tensor([[0, 0, 1], [3, 4, 0], [0, 1, 0], [1, 0, 0], [0, 0, 2], [0, 5, 0]], dtype=torch.float32)
    folder = tmp_path_factory.mktemp("model") / "static"
    embedding = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[embedding], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def model(saved_model, tmp_path) -> Path:
    """Give a copy of the saved model that a test may change."""
    return Path(shutil.copytree(saved_model, tmp_path / "model"))


def config_of(model: Path | str, **options) -> EncoderConfig:
    return EncoderConfig(backend="sentence-transformers", model=str(model), device="cpu", **options)


def open_model(store, corpus, model, **options):
    config = config_of(model, **options)
    return open_encoder(config, store, prepare_encoder(config, corpus, store))


def test_a_local_model_encodes_to_unit_vectors_in_the_order_of_its_texts(store, corpus, model):
    encoder = open_model(store, corpus, model, batch_size=2)

    vectors = encoder.encode(["fish", "cat", "dog dog dog dog", "cat dog"], list("abcd"), "document")

    assert encoder.dimensions == 3
    assert vectors.dtype == np.float32
    expected = [[1, 0, 0], [0.6, 0.8, 0], [0, 1, 0], np.array([1.5, 2.5, 0]) / np.hypot(1.5, 2.5)]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert encoder.encode([], [], "query").shape == (0, 3)


def test_each_role_has_its_prompt_in_front(store, corpus, model):
    encoder = open_model(store, corpus, model, query_prompt="find ", document_prompt="store ")

    query = encoder.encode(["fish"], ["q"], "query")[0]
    document = encoder.encode(["fish"], ["d"], "document")[0]

    np.testing.assert_allclose(query, np.array([1, 0, 2]) / np.sqrt(5), atol=1e-6)
    np.testing.assert_allclose(document, np.array([1, 5, 0]) / np.sqrt(26), atol=1e-6)


def test_an_empty_prompt_leaves_the_models_own(store, corpus, model):
    path = model / "config_sentence_transformers.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"prompts": {"query": "find ", "document": ""}}))

    query = open_model(store, corpus, model).encode(["fish"], ["q"], "query")[0]

    np.testing.assert_allclose(query, np.array([1, 0, 2]) / np.sqrt(5), atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_float32_vectors(store, corpus, model, dtype):
    vectors = open_model(store, corpus, model, dtype=dtype).encode(["cat"], ["d"], "document")

    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8, 0]], atol=1e-2)


@pytest.mark.parametrize(
    "changed",
    [
        {"query_prompt": "find "},
        {"document_prompt": "store "},
        {"max_length": 12},
        {"dtype": "bfloat16"},
        {"revision": "v2"},
    ],
)
def test_prompt_length_dtype_and_revision_change_the_fingerprint(saved_model, changed):
    """D13: a cache that ignores one of these serves stale vectors."""
    assert encoder_fingerprint(config_of(saved_model, **changed), "c") != encoder_fingerprint(
        config_of(saved_model), "c"
    )


@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "modules.json", "config_sentence_transformers.json"]
)
def test_one_changed_byte_of_the_model_changes_the_fingerprint(model, file):
    path = next(model.rglob(file))
    before = encoder_fingerprint(config_of(model), "c")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))

    assert encoder_fingerprint(config_of(model), "c") != before


def test_the_place_of_the_model_its_papers_and_other_formats_are_not_in_the_fingerprint(saved_model, model):
    (model / "README.md").write_text("a model")
    (model / ".gitattributes").write_text("x")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"weights")

    assert encoder_fingerprint(config_of(model), "c") == encoder_fingerprint(config_of(saved_model), "c")
    assert folder_digests(model) == folder_digests(saved_model)


def test_a_second_checkpoint_in_the_same_folder_is_another_encoder(store, corpus, model):
    from safetensors.numpy import load_file, save_file

    config = config_of(model)
    first = prepare_encoder(config, corpus, store)
    weights = next(model.rglob("model.safetensors"))
    save_file({name: array + 1 for name, array in load_file(weights).items()}, weights)

    with pytest.raises(ArtifactError, match="changed since it was prepared"):
        open_encoder(config, store, first)
    second = prepare_encoder(config, corpus, store)
    assert second.content != first.content
    assert open_encoder(config, store, second).encode(["fish"], ["d"], "document")[0].tolist() != [1, 0, 0]


def test_weights_in_other_formats_are_refused(store, corpus, model):
    weights = next(model.rglob("model.safetensors"))
    weights.rename(weights.with_name("pytorch_model.bin"))

    with pytest.raises(InputError, match=r"holds no \.safetensors file"):
        prepare_encoder(config_of(model), corpus, store)


def test_a_part_with_pickled_weights_alone_is_refused(model):
    (model / "2_Dense").mkdir()
    (model / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")

    with pytest.raises(InputError, match=r"2_Dense/pytorch_model.bin has no model.safetensors beside it"):
        check_model(model)


def test_a_model_that_asks_for_foreign_code_is_refused(model):
    path = model / "modules.json"
    modules = json.loads(path.read_text())
    path.write_text(json.dumps([modules[0] | {"type": "os.system"}]))

    with pytest.raises(InputError, match=r"asks for the class 'os.system'"):
        check_model(model)
    path.write_text("[1]")
    with pytest.raises(InputError, match="does not list the modules"):
        check_model(model)


def test_a_damaged_model_gets_one_line(store, corpus, model):
    weights = next(model.rglob("model.safetensors"))
    weights.write_bytes(b"nothing")

    with pytest.raises(InputError, match="cannot load the model in"):
        open_model(store, corpus, model)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "encoder.model is empty"),
        ("./nowhere", "there is no folder"),
        ("/no/such/folder", "there is no folder"),
        ("somebody/no-such-model", "no local copy of 'somebody/no-such-model'"),
        ("not a name", "no folder 'not a name'"),
    ],
)
def test_a_model_that_is_not_there_gets_one_line(name, said):
    with pytest.raises(ConfigError, match=said):
        find_model(name, "")


def test_a_device_that_is_not_there_gets_one_line(store, corpus, saved_model):
    config = EncoderConfig(backend="sentence-transformers", model=str(saved_model), device="cuda:77")

    with pytest.raises(ConfigError, match="'cuda:77' cannot be used here"):
        open_encoder(config, store, prepare_encoder(config, corpus, store))


def test_texts_are_cut_at_the_shorter_of_both_limits(store, corpus, saved_model, monkeypatch):
    from sentence_transformers import SentenceTransformer

    limits = []
    monkeypatch.setattr(
        SentenceTransformer,
        "max_seq_length",
        property(lambda model: 128, lambda model, value: limits.append(value)),
    )

    open_model(store, corpus, saved_model, max_length=64)
    open_model(store, corpus, saved_model, max_length=500)

    assert limits == [64]
