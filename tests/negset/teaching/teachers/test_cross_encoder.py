import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from negset import building
from negset.errors import ConfigError, InputError
from negset.store import Store
from negset.teaching import scoring
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import cross_encoder
from schemas.config import BuildConfig, MineConfig
from schemas.teach import TeachConfig

WORDS = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch marsh north oxbow".split()


def save_model(folder: Path, outputs: int = 1) -> Path:
    """Save a BERT with random weights, of two layers and few words, as a cross-encoder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), **sizes, num_labels=outputs, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CrossEncoder(str(folder), device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("cross") / "model")


@pytest.fixture
def model(saved, tmp_path):
    """Give a copy of the saved model that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def teach_config(model, **options):
    return TeachConfig.model_validate({"cross_encoder": {"model": str(model), "device": "cpu", **options}})


def world(teaching_inputs, config, count=40):
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(WORDS, size)) for size in draw.integers(1, 30, count)]
    return teaching_inputs(texts[:5], texts, config=config)


def some_pairs(count=60):
    draw = np.random.default_rng(2)
    return Pairs(draw.integers(0, 5, count), draw.integers(0, 40, count))


def scores(teaching_inputs, model, pairs=None, **options):
    return cross_encoder.open_teacher(world(teaching_inputs, teach_config(model, **options))).score(
        some_pairs() if pairs is None else pairs
    )


def test_a_score_is_the_sigmoid_of_what_the_model_gives(teaching_inputs, saved):
    from sentence_transformers import CrossEncoder

    inputs, pairs = world(teaching_inputs, teach_config(saved)), some_pairs()
    texts = list(zip(inputs.query_texts(pairs.query), inputs.document_texts(pairs.doc), strict=True))
    right = CrossEncoder(str(saved), device="cpu").predict(texts)
    given = cross_encoder.open_teacher(inputs).score(pairs)
    np.testing.assert_allclose(given, right, atol=1e-6)
    assert np.ptp(given) > 0.1
    np.testing.assert_allclose(expit(scores(teaching_inputs, saved, activation="none")), given, atol=1e-12)


def test_batches_and_their_order_move_no_score(teaching_inputs, saved):
    pairs = some_pairs()
    order = np.random.default_rng(3).permutation(len(pairs))
    one = scores(teaching_inputs, saved, batch_size=1)
    np.testing.assert_allclose(scores(teaching_inputs, saved, batch_size=64), one, atol=1e-5)
    np.testing.assert_allclose(scores(teaching_inputs, saved, pairs[order], batch_size=7), one[order], atol=1e-5)


def test_the_query_comes_first_and_long_pairs_are_cut(teaching_inputs, saved):
    inputs = teaching_inputs(["amber"], ["birch cedar delta"], config=teach_config(saved))
    turned = teaching_inputs(["birch cedar delta"], ["amber"], config=teach_config(saved))
    pair = Pairs(np.array([0]), np.array([0]))
    assert abs(cross_encoder.open_teacher(inputs).score(pair) - cross_encoder.open_teacher(turned).score(pair)) > 1e-4
    cut = teaching_inputs(["amber"], ["birch"], config=teach_config(saved))
    short = teaching_inputs(["amber"], ["birch cedar delta"], config=teach_config(saved, max_length=5))
    np.testing.assert_allclose(
        cross_encoder.open_teacher(short).score(pair), cross_encoder.open_teacher(cut).score(pair), atol=1e-6
    )


def test_its_files_are_its_identity_and_its_place_is_not(model, tmp_path):
    def name(folder, **options):
        return json.dumps(cross_encoder.identity(None, teach_config(folder, **options)))

    first = name(model)
    assert str(tmp_path) not in first
    assert name(shutil.copytree(model, tmp_path / "elsewhere")) == first
    assert name(model, batch_size=3, shard_size=9, depth=3) == first
    options = ({"max_length": 9}, {"dtype": "bfloat16"}, {"activation": "none"})
    assert len({first, *(name(model, **changed) for changed in options)}) == 4
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert name(model) != first


def test_without_a_model_it_says_what_to_set(tmp_path):
    with pytest.raises(ConfigError, match=r"teach\.cross_encoder\.model is empty.*folder"):
        cross_encoder.check(TeachConfig(), MineConfig())
    with pytest.raises(ConfigError, match=r"teach\.cross_encoder\.model: there is no folder"):
        cross_encoder.identity(None, teach_config(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"teach\.cross_encoder\.model: no local copy of 'who/what'"):
        cross_encoder.identity(None, teach_config("who/what"))


def test_a_model_with_several_outputs_is_refused(teaching_inputs, tmp_path):
    with pytest.raises(InputError, match="gives 3 numbers for a pair"):
        scores(teaching_inputs, save_model(tmp_path / "three", outputs=3))


def test_pickled_weights_are_refused(teaching_inputs, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no \.safetensors file"):
        scores(teaching_inputs, model)


@pytest.fixture
def build(beir, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[rules]]\nname = "max_score"\nby = "cross_encoder"\n[[rules]]\nname = "top"\n')

    def make(model, **options):
        return BuildConfig.model_validate(
            {
                "name": "small",
                "source": {"format": "beir", "path": str(beir)},
                "mine": {"miners": ["bm25"], "depth": 20},
                "recipe": {"name": str(recipe)},
                "teach": {"cross_encoder": {"model": str(model), "device": "cpu", **options}},
            }
        )

    return make


def test_shards_leave_no_trace_and_no_pair_is_scored_twice(select, store, saved, build, tmp_path, monkeypatch):
    selected = select(build(saved, shard_size=32, depth=5), store)
    (ref,) = selected.refs.scores.values()
    first = scoring.open_scores(store, ref)
    other = Store(tmp_path / "other")
    single = scoring.open_scores(
        other, select(build(saved, shard_size=5000, depth=5), other).refs.scores["cross_encoder"]
    )
    np.testing.assert_array_equal(first.pairs, single.pairs)
    np.testing.assert_allclose(first.score, single.score, atol=1e-5)
    assert len(list((store.root / "pair_scores").iterdir())) > 2

    asked = []
    real = cross_encoder._load
    model = real(build(saved).teach.cross_encoder)

    class Counting:
        def log_odds(self, queries, documents):
            asked.extend(zip(queries, documents, strict=True))
            return model.log_odds(queries, documents)

    monkeypatch.setattr(cross_encoder, "_load", lambda _options: Counting())
    deeper = build(saved, depth=8)
    building.teach(deeper, selected.refs, "cross_encoder", store)
    assert 0 < len(asked) < len(first.pairs)
    before = len(asked)
    building.teach(build(saved, depth=7), selected.refs, "cross_encoder", store)
    assert len(asked) == before


def test_where_a_model_lies_is_in_no_manifest(select, store, saved, build):
    config = build(saved, depth=3)
    selected = select(config, store)
    facts = building.describe(config, selected.refs, store).model_dump_json()
    assert str(saved) not in facts
    assert '"activation":"sigmoid"' in facts
    assert "batch_size" not in facts
