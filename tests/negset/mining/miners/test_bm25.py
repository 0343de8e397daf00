import math
from dataclasses import replace

import bm25s
import numpy as np
import polars as pl
import pytest
import Stemmer

from negset.errors import ConfigError
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.statistics import open_statistics, prepare_statistics
from negset.mining.times import FIRST, LAST
from negset.text import document_texts
from schemas.config import Bm25Config, MineConfig

TEXTS = {
    "d0": "The cat sat on the mat with another cat",
    "d1": "Dogs chase cats",
    "d2": "A dog sleeps on the mat",
    "d3": "",
    "d4": "the of and",
    "d5": "Quantum entanglement of photons in optical fibres",
    "d6": "Cats and dogs and cats and dogs and mats",
}
TITLES = {"d1": "Chasing", "d5": "Physics"}
QUERIES = {"q0": "cat on a mat", "q1": "running dogs, dogs!", "q2": "zzz", "q3": "", "q4": "physics of photons"}
LABELS = [(name, "d0", 1) for name in QUERIES]


@pytest.fixture
def snapshot(memory_snapshot):
    return memory_snapshot(TEXTS, QUERIES, LABELS, titles=TITLES)


def opened(snapshot, store, config=None):
    config = config or Bm25Config()
    statistics = open_statistics(store, prepare_statistics(config, snapshot, store))
    inputs = MiningInputs(snapshot, MineConfig(miners=("bm25",), bm25=config), 13, statistics=statistics)
    return find_miner("bm25").open_miner(inputs), statistics


def everything(snapshot):
    documents, queries = snapshot.documents(), snapshot.queries()
    all_documents = Documents(
        documents["doc_id"], document_texts(documents), np.arange(documents.height), np.full(documents.height, FIRST)
    )
    rows = np.arange(queries.height)
    return all_documents, Queries(
        rows, queries["query_id"], queries["text"], np.full(len(rows), 100), np.full(len(rows), LAST)
    )


def by_pair(hits):
    return dict(zip(zip(hits.query.tolist(), hits.doc.tolist(), strict=True), hits.score.tolist(), strict=True))


@pytest.mark.parametrize(
    "config", [Bm25Config(), Bm25Config(k1=1.5, b=0.75), Bm25Config(stemmer="", stopwords=""), Bm25Config(k1=2, b=0)]
)
def test_scores_are_those_of_bm25s(snapshot, store, config):
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store, config)
    found = by_pair(miner.open_partition(documents)(queries))
    stemmer = Stemmer.Stemmer(config.stemmer) if config.stemmer else None
    tokens = bm25s.tokenize(
        documents.text.to_list(),
        stopwords=config.stopwords or [],
        stemmer=stemmer,
        show_progress=False,
        return_ids=False,
    )
    reference = bm25s.BM25(method="lucene", k1=config.k1, b=config.b)
    reference.index(tokens, show_progress=False)
    asked = bm25s.tokenize(
        queries.text.to_list(), stopwords=config.stopwords or [], stemmer=stemmer, show_progress=False, return_ids=False
    )
    expected = {}
    for query, terms in enumerate(asked):
        scores = reference.get_scores(terms) if terms else np.zeros(len(TEXTS))
        expected |= {(query, doc): score for doc, score in enumerate(scores.tolist()) if score > 0}
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_weight_is_the_formula(snapshot, store):
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store)
    score = by_pair(miner.open_partition(documents)(queries))[4, 5]
    # d5 has the terms physic, quantum, entangl, photon, optic, fibr; "of" and "in" are stop words. All seven
    # documents have 4+4, 2+2, 3, 0, 0, 6 and 5 terms: cat sat mat anoth cat; chase dog chase cat; dog sleep mat; ...
    lengths = [5, 4, 3, 0, 0, 6, 5]
    idf = math.log(1 + (7 - 1 + 0.5) / (1 + 0.5))
    weight = idf / (1 + 0.9 * (1 - 0.4 + 0.4 * 6 / (sum(lengths) / 7)))
    assert score == pytest.approx(2 * weight, abs=1e-6)


def test_only_documents_with_a_shared_term_are_proposed(snapshot, store):
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store)
    hits = miner.open_partition(documents)(queries)
    assert set(hits.query.tolist()) == {0, 1, 4}
    assert not {3, 4} & set(hits.doc.tolist())
    assert (hits.score > 0).all()


def test_ties_go_to_the_smaller_document_and_cuts_keep_the_best(memory_snapshot, store):
    snapshot = memory_snapshot(
        {f"d{n:02d}": "tin can" for n in range(40)} | {"d40": "tin tin"}, {"q": "tin"}, [("q", "d00", 1)]
    )
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store)
    hits = miner.open_partition(documents)(replace(queries, depths=np.array([5])))
    assert hits.doc.tolist() == [40, 0, 1, 2, 3]


def test_a_pair_scores_the_same_alone_in_a_list_and_in_a_part_of_the_corpus(snapshot, store):
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store)
    found = by_pair(miner.open_partition(documents)(queries))
    pairs = [(query, doc) for query in range(5) for doc in range(7)]
    query, doc = np.array(pairs[::-1]).T
    scores = miner.score_pairs(queries, documents, query, doc)
    assert scores.tolist() == [found.get(pair, 0.0) for pair in pairs[::-1]]
    part = Documents(
        documents.doc_id.gather([1, 5]), documents.text.gather([1, 5]), np.array([1, 5]), np.full(2, FIRST)
    )
    in_part = by_pair(miner.open_partition(part)(queries))
    assert in_part == {(query, [1, 5].index(doc)): score for (query, doc), score in found.items() if doc in (1, 5)}


def test_statistics_do_not_depend_on_partitions_and_are_stored_once(memory_snapshot, store, tmp_path):
    refs = [
        prepare_statistics(Bm25Config(), memory_snapshot(TEXTS, QUERIES, LABELS, partitions, titles=TITLES), store)
        for partitions in (1, 3)
    ]
    assert refs[0].content == refs[1].content
    sums = [store.folder("statistics", ref.fingerprint) / "terms.parquet" for ref in refs]
    assert sums[0].read_bytes() == sums[1].read_bytes()
    other = prepare_statistics(Bm25Config(k1=1.2), memory_snapshot(TEXTS, QUERIES, LABELS), store)
    assert other.content != refs[0].content
    calls = []
    again = prepare_statistics(
        Bm25Config(), memory_snapshot(TEXTS, QUERIES, [], titles=TITLES), store, lambda *step: calls.append(step)
    )
    assert again == refs[0]  # other labels, same documents
    assert not calls


def test_a_corpus_without_a_term_gives_nothing(memory_snapshot, store):
    snapshot = memory_snapshot({"d0": "", "d1": "the"}, QUERIES, LABELS)
    documents, queries = everything(snapshot)
    miner, statistics = opened(snapshot, store)
    assert statistics.terms.is_empty()
    assert len(miner.open_partition(documents)(queries)) == 0
    assert miner.score_pairs(queries, documents, np.array([0]), np.array([1])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Bm25Config(stemmer="englsh"), r"stemmer 'englsh' does not exist \(did you mean 'english'\?\)"),
        (Bm25Config(stopwords="klingon"), "stopwords 'klingon' does not exist"),
    ],
)
def test_an_unknown_language_is_a_mistake_of_the_config(snapshot, store, config, message):
    with pytest.raises(ConfigError, match=message):
        prepare_statistics(config, snapshot, store)


def test_texts_that_cannot_be_encoded_are_counted_without_the_odd_letter(memory_snapshot, store):
    snapshot = memory_snapshot({"d0": "tin ☃ can", "d1": "été été"}, {"q": "ÉTÉ tin"}, [("q", "d0", 1)])
    documents, queries = everything(snapshot)
    miner, _ = opened(snapshot, store)
    assert set(miner.open_partition(documents)(queries).doc.tolist()) == {0, 1}


@pytest.mark.data
def test_scifact_ranks_as_bm25_does(shared_data, memory_snapshot, store):
    import ir_measures

    from negset.mining.cells import query_blocks

    corpus, queries, qrels = (
        pl.read_parquet(shared_data / "scifact" / f"{name}.parquet") for name in ("corpus", "queries", "qrels")
    )
    snapshot = memory_snapshot(
        dict(corpus.select("doc_id", "text").rows()),
        dict(queries.select("query_id", "text").rows()),
        qrels.select("query_id", "doc_id", "relevance", "split").rows(),
        splits=dict(queries.select("query_id", "split").rows()),
        titles=dict(corpus.select("doc_id", "title").rows()),
    )
    documents, _ = everything(snapshot)
    _, statistics = opened(snapshot, store)
    config = MineConfig(miners=("bm25",), splits=("test",))
    inputs = MiningInputs(snapshot, config, 13, statistics=statistics)
    (block,) = query_blocks(inputs, "bm25")
    hits = find_miner("bm25").open_miner(inputs).open_partition(documents)(block)
    run = [
        ir_measures.ScoredDoc(block.query_id[query], documents.doc_id[doc], score)
        for query, doc, score in zip(hits.query.tolist(), hits.doc.tolist(), hits.score.tolist(), strict=True)
    ]
    labels = [
        ir_measures.Qrel(query, doc, rel)
        for query, doc, rel, split in qrels.select("query_id", "doc_id", "relevance", "split").rows()
        if split == "test"
    ]
    assert ir_measures.calc_aggregate([ir_measures.nDCG @ 10], labels, run)[ir_measures.nDCG @ 10] == pytest.approx(
        0.676, abs=0.005
    )
