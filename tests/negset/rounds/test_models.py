import numpy as np
import pytest

from negset.errors import ArtifactError
from negset.rounds.models import FrozenDocuments, checkpoint_digest, open_folder, static_start
from negset.training.model import open_model
from schemas.train import TrainConfig

CONFIG = TrainConfig(device="cpu")


@pytest.fixture
def saved(words, tmp_path):
    """Give a bag whose words weigh differently, and the folder that it is saved in."""
    import torch

    bag = open_model(CONFIG, words)
    with torch.no_grad():
        bag.module.log_weight.copy_(torch.linspace(-1, 1, len(bag.module.log_weight)))
    bag.save(tmp_path / "model")
    return bag, tmp_path / "model"


def test_a_saved_bag_goes_on_with_the_same_vectors(saved):
    bag, folder = saved
    texts = ["ask0 body1 body1", "ask0", "unheard of"]
    again = open_folder(CONFIG, folder)
    assert np.allclose(again.encode(texts, "query"), bag.encode(texts, "query"), atol=1e-6)
    lengths = np.linalg.norm(again.module.embedding.detach().numpy()[1:], axis=1)
    assert lengths.mean() == pytest.approx(1, abs=1e-4)


def test_a_bag_that_is_opened_and_saved_again_is_the_same_bag(saved, tmp_path):
    _, folder = saved
    once, twice = tmp_path / "once", tmp_path / "twice"
    open_folder(CONFIG, folder).save(once)
    open_folder(CONFIG, once).save(twice)
    texts = ["ask0 word1", "body0"]
    assert np.allclose(*(open_folder(CONFIG, place).encode(texts, "query") for place in (once, twice)), atol=1e-6)


def test_a_folder_that_is_none_of_our_bags_is_left_to_the_library(tmp_path):
    assert static_start(tmp_path) is None
    (tmp_path / "0_StaticEmbedding").mkdir()
    (tmp_path / "0_StaticEmbedding" / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    assert static_start(tmp_path) is None


def test_weights_of_another_vocabulary_are_refused(words, saved, tmp_path):
    _, folder = saved
    fewer = type(words)(words.tokens[:-1], words.embeddings_VD[:-1])
    open_model(CONFIG, fewer).save(tmp_path / "fewer")
    name = "0_StaticEmbedding/model.safetensors"
    (folder / name).write_bytes((tmp_path / "fewer" / name).read_bytes())
    with pytest.raises(ArtifactError, match="words and embeddings of shape"):
        static_start(folder)


def test_a_model_is_named_by_its_bytes_not_its_place(saved, tmp_path):
    bag, folder = saved
    bag.save(tmp_path / "elsewhere")
    assert checkpoint_digest(tmp_path / "elsewhere") == checkpoint_digest(folder)
    (folder / "modules.json").write_text("[]")
    assert checkpoint_digest(tmp_path / "elsewhere") != checkpoint_digest(folder)


def test_frozen_documents_are_looked_up_and_never_embedded(saved):
    bag, _ = saved
    vectors = np.eye(3, 16, dtype=np.float32)
    frozen = FrozenDocuments(bag, vectors)
    rows = frozen.bind(["a", "b", "c"], "document")(np.array([2, 0]))
    assert np.array_equal(rows.numpy(), vectors[[2, 0]])
    with pytest.raises(ArtifactError, match="frozen"):
        frozen.encode(["a"], "document")
    with pytest.raises(ArtifactError, match="2 documents to look up among 3"):
        frozen.bind(["a", "b"], "document")
