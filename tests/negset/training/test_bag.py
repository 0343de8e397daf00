import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.encoders.tokens import tokenise
from negset.errors import ConfigError
from negset.training.bag import count_words, open_bag, word_tokenizer
from negset.training.model import StaticStart
from schemas.train import TrainConfig

START = StaticStart(["blue", "green", "red"], np.array([[3, 0], [0, 3], [3, 3]], dtype=np.float32))


def bag(**changes):
    return open_bag(TrainConfig(device="cpu", **changes), START)


def test_a_text_is_the_sum_of_its_known_words_scaled_to_length_one():
    vectors = bag().encode(["Red, red and blue!", "green", "", "?!"], "query")
    assert vectors == pytest.approx(np.array([[9 / 117**0.5, 6 / 117**0.5], [0, 1], [0, 0], [0, 0]]), abs=1e-6)


def test_a_text_of_unknown_words_has_a_direction_of_its_own_and_mixed_texts_do_not_care():
    vectors = bag().encode(["nothing known", "green", "green nothing known"], "query")
    assert np.linalg.norm(vectors[0]) == pytest.approx(1)
    assert vectors[1].tolist() == vectors[2].tolist()


def test_words_are_counted_once_each_in_the_order_of_the_vocabulary():
    counted = count_words(word_tokenizer(START), ["red red blue x", "", "green"])
    assert counted.toarray().tolist() == [[0, 1, 0, 2], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_rows_are_embedded_in_the_order_asked_for_and_as_encode_does():
    texts = ["red", "", "blue green", "green green red"]
    model = bag()
    rows = np.array([3, 0, 1, 3])
    with torch.no_grad():
        vectors = model.bind(texts, "document")(rows).numpy()
    assert vectors.tolist() == model.encode([texts[row] for row in rows], "document").tolist()


def test_a_step_moves_only_the_words_of_the_batch():
    model = bag()
    before = model.module.embedding.detach().clone()
    optimizers = model.optimizers()
    (model.bind(["blue red"], "query")(np.array([0])) * torch.tensor([1.0, 2.0])).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    moved = (model.module.embedding.detach() != before).any(dim=1)
    assert moved.tolist() == [False, True, False, True]


def test_both_rates_follow_the_one_that_is_asked_for():
    rates = [
        [group["lr"] for o in bag(learning_rate=rate).optimizers() for group in o.param_groups] for rate in (0, 0.01)
    ]
    assert rates == [[0.005, 0.03], [0.01, 0.06]]


def test_a_prompt_is_part_of_the_text():
    model = bag(query_prompt="blue ")
    assert model.encode(["blue"], "query")[0].tolist() == [1, 0]
    assert model.encode(["red"], "query")[0, 0] > model.encode(["red"], "document")[0, 0]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (StaticStart(["a1", "a1"], np.ones((2, 2), dtype=np.float32)), "not distinct"),
        (StaticStart(["a1"], np.ones((2, 2), dtype=np.float32)), "shape"),
        (StaticStart(["a1"], np.zeros((1, 2), dtype=np.float32)), "mean length of 0"),
        (StaticStart(["a1"], np.full((1, 2), np.nan, dtype=np.float32)), "mean length of nan"),
    ],
)
def test_a_start_that_cannot_be_trained_is_refused(start, words):
    with pytest.raises(ConfigError, match=words):
        open_bag(TrainConfig(device="cpu"), start)


def test_words_are_cut_as_the_lsa_encoder_cuts_them():
    texts = ["ΟΔΟΣ Σ ΣΑΣ", "İstanbul's ẞ_x1 a b2", "naïve cafe\u0301 हिन्दी", "²½ 3.14 foo-bar", "zero\u200dwidth"]
    tokenizer = word_tokenizer(START)
    cut = [
        [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]
        for text in texts
    ]
    assert cut == tokenise(texts).to_list()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_words_of_any_text_are_cut_as_the_lsa_encoder_cuts_them(text):
    tokenizer = word_tokenizer(START)
    cut = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
    assert [word for word, _ in cut] == tokenise([text])[0].to_list()


def test_the_saved_folder_gives_the_same_vectors_in_sentence_transformers(tmp_path):
    from sentence_transformers import SentenceTransformer

    model = bag(query_prompt="blue ")
    with torch.no_grad():
        model.module.log_weight[3] = 0.7
    model.save(tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    texts = ["Red unknown words and BLUE", "green red", "green", "what is this", ""]
    for role, encode in (("document", loaded.encode_document), ("query", loaded.encode_query)):
        assert encode(texts) == pytest.approx(model.encode(texts, role), abs=1e-6)


def test_saving_twice_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        bag().save(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert [str(file) for file in files] == [
        "0_StaticEmbedding/model.safetensors",
        "0_StaticEmbedding/tokenizer.json",
        "config_sentence_transformers.json",
        "modules.json",
    ]
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
