import numpy as np
import pytest

from negset import building
from negset.errors import ConfigError
from negset.mining.miner import MiningInputs
from negset.teaching.teacher import Pairs
from negset.teaching.teachers import prototype
from schemas.config import BuildConfig, MineConfig
from schemas.teach import PrototypeConfig, TeachConfig


class Table:
    """Vectors of texts, written down."""

    def __init__(self, vectors):
        self.vectors, self.dimensions = vectors, len(next(iter(vectors.values())))

    def gather(self, texts):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32).reshape(-1, self.dimensions)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def opened(teaching_inputs, memory_snapshot):
    """Give a function from vectors of queries and documents, and labels, to an open teacher."""

    def make(queries_QD, documents_ND, labelled, **options):
        documents = {f"d{n:04}": f"document {n}" for n in range(len(documents_ND))}
        queries = {f"q{n:04}": f"query {n}" for n in range(len(queries_QD))}
        snapshot = memory_snapshot(documents, queries, [])
        mining = MiningInputs(
            snapshot,
            MineConfig(),
            13,
            "encoder",
            Table(dict(zip(queries.values(), queries_QD, strict=True))),
            Table(dict(zip(documents.values(), documents_ND, strict=True))),
        )
        inputs = teaching_inputs(
            list(queries.values()),
            list(documents.values()),
            labelled,
            config=TeachConfig(prototype=PrototypeConfig(**options)),
            mining=mining,
        )
        return prototype.open_teacher(inputs)

    return make


def paraphrase_world(topics=40, each=10, wide=48, seed=2):
    """Give documents of `topics`, the first two of each a positive and its paraphrase, and a query for each topic."""
    draw = np.random.default_rng(seed)
    centre = unit(draw.standard_normal((topics, wide)))
    documents = unit(centre[:, None] + 0.09 * draw.standard_normal((topics, each, wide)))
    documents[:, 1] = unit(documents[:, 0] + 0.03 * draw.standard_normal((topics, wide)))
    return centre, documents.reshape(-1, wide)


def test_at_least_nine_of_ten_paraphrases_share_the_prototype_of_the_positive(opened):
    centre, documents = paraphrase_world()
    topics = np.arange(len(centre))
    teacher = opened(centre, documents, Pairs(topics, topics * 10))
    assert teacher.score(Pairs(topics, topics * 10 + 1)).mean() >= 0.9
    assert teacher.score(Pairs(topics, np.roll(topics, 1) * 10)).tolist() == [0.0] * len(topics)
    assert teacher.score(Pairs(topics, topics * 10)).tolist() == [1.0] * len(topics)


def test_every_positive_counts_and_not_the_last_one_alone(opened):
    documents = np.repeat(np.eye(3), 2, axis=0)
    labelled = Pairs(np.array([0, 0]), np.array([0, 2]))
    teacher = opened(np.eye(3)[2:], documents, labelled, clusters=3)
    assert teacher.score(Pairs(np.zeros(3, np.int64), np.array([1, 3, 5]))).tolist() == [1.0, 1.0, 0.0]


def test_the_own_prototype_of_the_query_counts_where_asked(opened):
    documents = np.repeat(np.eye(3), 2, axis=0)
    labelled, pair = Pairs(np.array([0]), np.array([0])), Pairs(np.array([0]), np.array([5]))
    assert opened(np.eye(3)[2:], documents, labelled, clusters=3).score(pair).tolist() == [0.0]
    assert opened(np.eye(3)[2:], documents, labelled, clusters=3, query="own").score(pair).tolist() == [1.0]


def test_across_a_modality_gap_the_clusters_of_queries_are_translated(opened):
    """Queries are documents plus one constant: the nearest centroid is wrong for all but one topic.

    Each query's labelled positive is of another topic, so that only its own prototype can be right.
    """
    topics, each = 6, 10
    draw = np.random.default_rng(4)
    centre = np.eye(topics + 1)[:topics]
    documents = unit(np.repeat(centre, 4, axis=0) + 0.01 * draw.standard_normal((topics * 4, topics + 1)))
    gap = np.zeros(topics + 1)
    gap[0], gap[-1] = 3, 2
    truth = np.repeat(np.arange(topics), each)
    queries = unit(centre[truth] + 0.01 * draw.standard_normal((topics * each, topics + 1)) + gap)
    labelled = Pairs(np.arange(len(truth)), truth * 4)
    odd = np.arange(0, len(truth), each)  # one query of each topic is labelled with a document of the next
    labelled.doc[odd] = (truth[odd] + 1) % topics * 4
    pairs = Pairs(odd, truth[odd] * 4 + 1)
    right = opened(queries, documents, labelled, clusters=topics, query="translated").score(pairs)
    near = opened(queries, documents, labelled, clusters=topics, query="own").score(pairs)
    assert right.tolist() == [1.0] * topics
    assert near.sum() == 1


def test_a_sample_is_fitted_and_every_document_has_a_prototype(opened):
    centre, documents = paraphrase_world()
    topics = np.arange(len(centre))
    teacher = opened(centre, documents, Pairs(topics, topics * 10), sample=150, clusters=40)
    assert teacher.score(Pairs(topics, topics * 10 + 1)).mean() >= 0.9


@pytest.mark.parametrize(("name", "rule"), [("prototype", "same_prototype"), ("neighbours", "labelled_neighbours")])
def test_a_recipe_that_needs_vectors_says_so_before_any_room_runs(name, rule, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(f'[[rules]]\nname = "{rule}"\n[[rules]]\nname = "top"\n')
    config = {"name": "x", "source": {"format": "beir"}, "recipe": {"name": str(path)}, "mine": {"miners": ["bm25"]}}
    with pytest.raises(ConfigError, match=f"{name}.*mine.miners"):
        building.bind(BuildConfig.model_validate(config))


def test_in_a_build_what_shares_a_prototype_with_a_positive_is_a_suspect(select, store, beir, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('[[rules]]\nname = "same_prototype"\n[[rules]]\nname = "top"\nk = 3\n')
    config = {
        "name": "small",
        "source": {"format": "beir", "path": str(beir)},
        "encoder": {"dimensions": 16},
        "mine": {"miners": ["dense"], "depth": 20},
        "recipe": {"name": str(path)},
        "teach": {"prototype": {"clusters": 4}},
    }
    selected = select(BuildConfig.model_validate(config), store)
    suspects = selected.table("false_negatives")
    assert suspects.height
    assert set(suspects["reason"].cast(str)) == {"same_prototype"}
    chosen = selected.table("negatives")
    assert chosen.height
    scores = chosen.explode("scores").unnest("scores")
    assert scores.filter(scores["name"] == "prototype")["value"].to_list() == [0.0] * chosen.height
