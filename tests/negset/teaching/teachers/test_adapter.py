from dataclasses import replace

import numpy as np
import pytest

from negset.errors import ConfigError
from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import adapter
from schemas.config import BuildConfig, MineConfig
from schemas.teach import TeachConfig

STYLES = 4


class PlantedVectors:
    """Unit vectors of texts: the part that says what a text is about is shorter than the part that does not matter."""

    def __init__(self, dimensions: int = 48) -> None:
        self.dimensions = dimensions

    def gather(self, texts):
        rows = [sum(self._word(word) for word in text.split()) for text in texts]
        vectors = np.array(rows, dtype=np.float64).reshape(len(rows), self.dimensions)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def _word(self, word: str) -> np.ndarray:
        kind, number = word[0], int(word[1:])
        drawn = np.random.default_rng(number + {"t": 0, "s": 500, "n": 900}[kind]).standard_normal(self.dimensions)
        half, weight = self.dimensions // 2, {"t": 1.0, "s": 1.6, "n": 0.15}[kind]
        drawn[half:] *= kind == "n" or kind == "s"
        drawn[:half] *= kind == "n" or kind == "t"
        return weight * drawn / np.linalg.norm(drawn)


def world(teaching_inputs, memory_snapshot, *, topics=20, per_topic=6, nonsense=False, seed=1, **options):
    """Give topics whose documents come in styles that the encoder takes for more than topics.

    Each topic has two queries; a third of its documents are labelled for each. All documents are candidates. With
    `nonsense`, queries speak of topics that no document has, and both queries of a topic have the same positives.
    """
    documents, queries, labels = {}, {}, []
    for topic in range(topics):
        for place in range(per_topic):
            documents[f"d{topic:02}{place}"] = f"t{topic} s{(place + topic) % STYLES} n{topic * per_topic + place}"
        for ask in range(2):
            word = f"t{topic + 200 * nonsense}"
            queries[f"q{topic:02}{ask}"] = f"{word} s{(ask * 2 + topic) % STYLES} n{9000 + topic * 2 + ask}"
            labels += [(f"q{topic:02}{ask}", f"d{topic:02}{ask * (not nonsense) + step}", 1) for step in (0, 3)]
    snapshot = memory_snapshot(documents, queries, labels)
    query_ids, doc_ids = sorted(queries), sorted(documents)
    vectors = PlantedVectors()
    mining = MiningInputs(snapshot, MineConfig(), seed, "encoder", vectors, vectors)
    rows = [(query_ids.index(query), doc_ids.index(doc)) for query, doc, _ in labels]
    labelled = Pairs(*(np.array([row[side] for row in sorted(rows)]) for side in (0, 1)))
    every = Pairs(np.repeat(np.arange(len(query_ids)), len(doc_ids)), np.tile(np.arange(len(doc_ids)), len(query_ids)))
    blocks = [every[every.query // 8 == block] for block in range(-(-len(query_ids) // 8))]
    config = TeachConfig.model_validate({"adapter": {"epochs": 30, "learning_rate": 5e-3, **options}})
    inputs = teaching_inputs(
        [queries[name] for name in query_ids],
        [documents[name] for name in doc_ids],
        labelled,
        blocks,
        config,
        mining=mining,
    )
    same = np.array([[query[1:3] == doc[1:3] for doc in doc_ids] for query in query_ids])
    told = np.zeros_like(same)
    told[labelled.query, labelled.doc] = True
    return inputs, every, same, told


def auc(positive, other):
    gaps = np.subtract.outer(positive, other)
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


def cosines(inputs, every, shape):
    queries = inputs.mining.query_vectors.gather(inputs.query_texts(range(shape[0])))
    documents = inputs.mining.document_vectors.gather(inputs.document_texts(range(shape[1])))
    return (queries @ documents.T).reshape(shape)


def test_it_tells_unlabelled_positives_that_the_encoder_cannot_tell(teaching_inputs, memory_snapshot):
    inputs, every, same, told = world(teaching_inputs, memory_snapshot)
    score = adapter.open_teacher(inputs).score(every).reshape(same.shape)
    base = cosines(inputs, every, same.shape)
    assert auc(base[same & ~told], base[~same]) < 0.87
    assert auc(score[same & ~told], score[~same]) > 0.97


def test_a_query_is_scored_by_a_map_that_did_not_see_its_labels(teaching_inputs, memory_snapshot, monkeypatch):
    """With labels that mean nothing, a map that saw them knows them; ours must not.

    Both queries of a topic are about the same documents, so folds by query alone would give them away.
    """
    inputs, every, same, told = world(teaching_inputs, memory_snapshot, nonsense=True)
    score = adapter.open_teacher(inputs).score(every).reshape(same.shape)
    assert auc(score[told], score[~told]) < 0.6
    monkeypatch.setattr(adapter, "_folds", lambda *_: np.arange(len(told)) % 2)  # the two queries of a topic apart
    leaking = adapter.open_teacher(inputs).score(every).reshape(same.shape)
    assert auc(leaking[told], leaking[~told]) > 0.7


def test_blocks_and_threads_leave_no_trace(teaching_inputs, memory_snapshot):
    inputs, every, _, _ = world(teaching_inputs, memory_snapshot, epochs=3)
    whole = adapter.open_teacher(inputs).score(every)
    one_block = replace(inputs, candidates=lambda: iter([every]))
    again = adapter.open_teacher(one_block)
    parts = np.concatenate([again.score(every[slice(start, start + 77)]) for start in range(0, len(every), 77)])
    assert np.round(whole, 6).tolist() == np.round(parts, 6).tolist()
    assert len(again.score(every[slice(0, 0)])) == 0


def test_a_known_positive_is_never_learned_as_a_negative(teaching_inputs, memory_snapshot):
    inputs, _, _, told = world(teaching_inputs, memory_snapshot)
    examples, query_U = adapter._examples(inputs)
    query, place = np.nonzero(examples.negatives_EK >= 0)
    pairs = examples.query_E[query] * len(examples.documents_ND) + examples.negatives_EK[query, place]
    assert len(pairs)
    assert not np.isin(pairs, examples.known).any()
    assert len(query_U) == len(told)


def test_seed_and_options_and_encoder_are_in_the_identity(teaching_inputs, memory_snapshot):
    inputs = world(teaching_inputs, memory_snapshot)[0].mining
    plain = adapter.identity(inputs, TeachConfig())
    assert adapter.identity(replace(inputs, seed=2), TeachConfig()) != plain
    assert adapter.identity(inputs, TeachConfig.model_validate({"adapter": {"share": 0.9}})) != plain
    assert adapter.identity(replace(inputs, encoder_content="other"), TeachConfig()) != plain


def test_one_labelled_query_is_not_enough(teaching_inputs, memory_snapshot):
    inputs, _, _, _ = world(teaching_inputs, memory_snapshot)
    alone = replace(inputs, labelled=inputs.labelled[inputs.labelled.query == 0])
    with pytest.raises(ConfigError, match="labelled positives of two queries"):
        adapter.open_teacher(alone)


def test_without_vectors_it_says_what_is_lacking():
    with pytest.raises(ConfigError, match=r"add 'dense' to mine\.miners"):
        adapter.check(TeachConfig(), MineConfig(miners=("bm25",)))


def test_the_recipe_orders_and_cuts_by_the_adapted_scores(select, store, beir):
    config = {
        "name": "small",
        "source": {"format": "beir", "path": str(beir)},
        "encoder": {"dimensions": 16},
        "mine": {"miners": ["dense"], "depth": 20},
        "recipe": {"name": "adapted", "negatives": 2},
    }
    selected = select(BuildConfig.model_validate(config), store)
    candidates = selected.table("candidates").with_row_index("row")
    scores = candidates.explode("scores").unnest("scores")
    named = scores.filter(scores["name"] == "adapter").select("row", adapted="value")
    candidates = candidates.join(named, on="row", how="left")
    for _, rows in candidates.filter(~candidates["is_positive"]).group_by("query_id"):
        chosen = rows.filter(rows["position"].is_not_null())
        left = rows.filter(rows["position"].is_null() & rows["rejected_by"].is_null())
        if chosen.height and left.height:
            assert chosen["adapted"].min() >= left["adapted"].max()
    rejected = candidates.filter(candidates["rejected_by"].cast(str) == "percent_of_positive")
    assert (rejected["adapted"] > rejected["rejected_threshold"]).all()
