import math
from dataclasses import replace

import bm25s
import numpy as np
import polars as pl
import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from negset.errors import ConfigError
from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
from negset.mining.statistics import open_statistics, prepare_statistics
from negset.mining.times import FIRST, LAST
from negset.search import join_hits, top_hits
from negset.store import Store
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
    statistics = open_statistics(store, prepare_statistics(config, snapshot, store, dataset="test"))
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


def test_a_pair_scores_the_same_however_little_memory_there_is(memory_snapshot, store):
    texts = {f"d{n:03d}": f"word{n % 7} word{n % 5} word{n % 3} common common" for n in range(150)}
    queries = {f"q{n:02d}": f"word{n % 7} common word{n % 7} zzz" for n in range(12)}
    snapshot = memory_snapshot(texts, queries, [], 3)
    miner, _ = opened(snapshot, store)
    documents, asked = everything(snapshot)
    found = by_pair(miner.open_partition(documents)(replace(asked, depths=np.full(12, 150))))
    query, doc = np.divmod(np.random.default_rng(0).permutation(12 * 150), 150)
    expected = [found.get(pair, 0.0) for pair in zip(query.tolist(), doc.tolist(), strict=True)]
    score, sizes = find_miner("bm25")._score, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_miner("bm25"), "_score", lambda *given: sizes.append(len(given[-1])) or score(*given))
        for memory, portions in ((1, 12 * 150), (4000, None), (1 << 24, 3)):
            sizes.clear()
            assert miner.score_pairs(asked, documents, query, doc, memory=memory).tolist() == expected
            assert sum(sizes) == 12 * 150
            assert len(sizes) == (portions or len(sizes))
            assert 3 <= len(sizes)


words = st.lists(st.sampled_from("alpha beta gamma delta eta theta".split()), max_size=6).map(" ".join)


@settings(max_examples=40)
@given(st.lists(words, max_size=20), st.lists(words, min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 6))
def test_partitions_change_neither_scores_nor_ids(memory_snapshot, tmp_path_factory, texts, asked, partitions, depth):
    store = Store(tmp_path_factory.mktemp("store"))
    documents = {f"d{n:02d}": text for n, text in enumerate(texts)}
    queries = {f"q{n}": text for n, text in enumerate(asked)}
    whole = memory_snapshot(documents, queries, [])
    all_documents, block = everything(whole)
    block = replace(block, depths=np.full(len(asked), depth))
    miner, _ = opened(whole, store)
    expected = miner.open_partition(all_documents)(block)

    cut = memory_snapshot(documents, queries, [], partitions)
    miner, _ = opened(cut, store)
    parts = []
    for name in cut.partitions():
        ids = cut.documents(name)["doc_id"]
        rows = np.flatnonzero(all_documents.doc_id.is_in(ids.to_list()).to_numpy())
        part = Documents(ids, all_documents.text.gather(rows), rows, np.full(len(rows), FIRST))
        hits = miner.open_partition(part)(block)
        parts.append(replace(hits, doc=rows[hits.doc]))
    assert by_row(top_hits(join_hits(parts), block.depths)) == by_row(expected)
    assert by_row(miner.open_partition(all_documents)(block)) == by_row(expected)


def by_row(hits):
    return [hits.query.tolist(), hits.doc.tolist(), hits.score.tolist()]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.lists(st.integers(-1, 4), min_size=1, max_size=3))
def test_a_query_gets_the_best_of_what_it_may_know(memory_snapshot, tmp_path_factory, created, until):
    texts = {f"d{n:02d}": "tin " * (n % 4) + "can" for n in range(len(created))}
    snapshot = memory_snapshot(texts, {f"q{n}": "tin can" for n in range(len(until))}, [])
    documents, block = everything(snapshot)
    miner, _ = opened(snapshot, Store(tmp_path_factory.mktemp("store")))
    everyone = miner.open_partition(documents)(block)
    allowed = [
        (query, doc, score) for query, doc, score in zip(*by_row(everyone), strict=True) if created[doc] <= until[query]
    ]
    expected = [row for query in range(len(until)) for row in [one for one in allowed if one[0] == query][:3]]
    dated = replace(documents, created=np.array(created))
    limited = replace(block, until=np.array(until), depths=np.full(len(until), 3))
    hits = miner.open_partition(dated)(limited)
    assert list(zip(*by_row(hits), strict=True)) == expected


def test_a_term_that_came_after_the_pin_is_found_and_weighs_as_in_no_document(memory_snapshot, store):
    pinned = Bm25Config(pin="2024")
    opened(memory_snapshot({"d0": "tin can", "d1": "tin mug"}, QUERIES, []), store, pinned)
    grown = memory_snapshot({"d0": "tin can", "d1": "tin mug", "d2": "tin kettle"}, {"q": "kettle"}, [], 2)
    miner, _ = opened(grown, store, pinned)
    documents, queries = everything(grown)
    # Two documents of two tokens were counted; the new one has two tokens as well.
    expected = round(math.log(1 + (2 - 0 + 0.5) / (0 + 0.5)) / (1 + 0.9), 6)
    assert by_pair(miner.open_partition(documents)(queries)) == {(0, 2): expected}
    assert miner.score_pairs(queries, documents, np.array([0, 0]), np.array([0, 2])).tolist() == [0.0, expected]


def test_the_terms_of_a_block_are_counted_once_for_all_partitions(snapshot, store, monkeypatch):
    miner, _ = opened(snapshot, store)
    documents, queries = everything(snapshot)
    count, asked = find_miner("bm25").count_texts, []
    monkeypatch.setattr(find_miner("bm25"), "count_texts", lambda *given: asked.append(1) or count(*given))
    for _ in range(3):
        miner.open_partition(documents)(queries)
    miner.score_pairs(queries, documents, np.array([0]), np.array([0]))
    assert len(asked) == 1


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
