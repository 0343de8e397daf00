import numpy as np
import pytest

from negset.encoders.pair_model import load_pair_model
from negset.errors import ContractError
from negset.rounds.cross_ranker import train_ranker
from negset.training.examples import Examples, Groups
from schemas.rounds import RoundsConfig
from schemas.teach import CrossEncoderConfig
from schemas.train import TrainConfig

WORDS = "amber birch cedar delta ember fjord grove heron".split()
MODEL = CrossEncoderConfig(device="cpu")


@pytest.fixture
def examples() -> Examples:
    """Give twelve queries whose positive always holds the word amber, and one to three negatives that never do."""
    count = 12
    texts = [
        f"amber {WORDS[1 + row % 7]}" if row < count else f"{WORDS[1 + row % 7]} birch" for row in range(3 * count)
    ]
    negatives = [[count + row + step for step in range(1 + row % 3)] for row in range(count)]
    return Examples(
        query_ids=[f"q{row:02}" for row in range(count)],
        query_texts=[WORDS[1 + row % 7] for row in range(count)],
        document_ids=[f"d{row:02}" for row in range(3 * count)],
        document_texts=texts,
        positives=Groups(np.arange(count + 1), np.arange(count)),
        negatives=Groups(np.r_[0, np.cumsum([len(one) for one in negatives])], np.concatenate(negatives)),
        negative_weights=np.ones(sum(map(len, negatives)), dtype=np.float32),
        known=Groups(np.arange(count + 1), np.arange(count)),
        left_out={},
    )


def ranks_first(folder, examples) -> float:
    """Give the share of negatives that score below their query's positive."""
    model = load_pair_model(folder, MODEL)
    query, negative = examples.negatives.take(np.arange(len(examples.query_ids)))

    def scores(documents):
        return model.log_odds([examples.query_texts[q] for q in query], [examples.document_texts[d] for d in documents])

    return float((scores(negative) < scores(examples.positives.rows[query])).mean())


def test_the_ranker_learns_to_put_positives_above_what_was_proposed(cross_encoder, examples, tmp_path):
    before = ranks_first(cross_encoder, examples)
    options = RoundsConfig(strategy="ar2", ranker_epochs=30, ranker_learning_rate=0.02)
    train_ranker(examples, cross_encoder, MODEL, TrainConfig(), options, tmp_path)
    assert ranks_first(tmp_path / "ranker", examples) > max(0.95, before)
    assert (tmp_path / "ranked.json").is_file()


def test_one_seed_gives_one_ranker_whatever_was_there_before(cross_encoder, examples, tmp_path):
    options = RoundsConfig(strategy="ar2", ranker_learning_rate=0.02)
    (tmp_path / "b" / "ranker").mkdir(parents=True)
    (tmp_path / "b" / "ranker" / "half.safetensors").write_text("left by a kill")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_ranker(examples, cross_encoder, MODEL, TrainConfig(seed=seed), options, tmp_path / name)
    records = [(tmp_path / name / "ranked.json").read_text() for name in "abc"]
    assert records[0] == records[1]
    assert records[0] != records[2]


def test_a_rate_that_breaks_the_model_is_named(cross_encoder, examples, tmp_path):
    options = RoundsConfig(strategy="ar2", ranker_epochs=20, ranker_learning_rate=1e30)
    with pytest.raises(ContractError, match="ranker_learning_rate"):
        train_ranker(examples, cross_encoder, MODEL, TrainConfig(), options, tmp_path)
