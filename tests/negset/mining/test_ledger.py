import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from threadpoolctl import threadpool_limits

from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.errors import ArtifactError, ConfigError
from negset.mining.cell_files import CANDIDATES
from negset.mining.cells import listed_cells, mine_cells
from negset.mining.ledger import candidate_blocks
from negset.mining.miner import MiningInputs
from negset.mining.statistics import open_statistics, prepare_statistics
from negset.snapshot import build_snapshot, open_snapshot
from negset.store import Store
from negset.text import document_texts
from negset.vectors import embed_texts, open_vectors
from schemas.config import MineConfig, RandomConfig, RunConfig, SourceConfig
from schemas.encoder import EncoderConfig

DOCUMENTS = {f"d{n:02d}": f"word{n % 7} word{n % 5} word{n % 3} common" for n in range(30)}
QUERIES = {f"q{n}": f"word{n % 7} word{n % 5} word{n}" for n in range(7)}
LABELS = [
    ("q0", "d03", 1),
    ("q0", "d11", 2),
    ("q1", "d29", 1),
    ("q2", "d02", 1),
    ("q3", "d05", 0),
    ("q3", "d04", 1),
    ("q5", "d07", 1),
]


def mine(store, snapshot, vectors, by="", seed=13, **mine):
    config = MineConfig(**{"miners": ("dense", "bm25", "random"), "depth": 4, "random": RandomConfig(depth=3), **mine})
    statistics = None
    if "bm25" in config.miners:
        statistics = open_statistics(store, prepare_statistics(config.bm25, snapshot, store))
    inputs = MiningInputs(snapshot, config, seed, "encoder", vectors, vectors, statistics)
    cells = {miner: mine_cells(inputs, miner, store) for miner in config.miners}
    return inputs, cells


def candidates(store, snapshot, vectors, by="", **changes):
    inputs, cells = mine(store, snapshot, vectors, **changes)
    return pl.concat(candidate_blocks(inputs, cells, store, by))


@pytest.fixture(scope="module")
def frame(memory_snapshot, memory_vectors, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return candidates(store, memory_snapshot(DOCUMENTS, QUERIES, LABELS), memory_vectors())


def test_the_columns_are_the_contract(frame):
    ranks = {f"rank_{miner}": pl.Int32 for miner in ("dense", "bm25", "random")} | {"rank": pl.Int32}
    scores = {
        f"{name}_{miner}": pl.Float64 for miner in ("dense", "bm25", "random") for name in ("score", "positive_score")
    }
    flags = dict.fromkeys(("is_positive", "is_own_text", "judged"), pl.Boolean)
    first = {"query": pl.UInt32, "doc": pl.UInt32, "miner": pl.Enum(["dense", "bm25", "random"])}
    assert dict(frame.schema) == first | ranks | scores | {"score": pl.Float64, "positive_score": pl.Float64} | flags
    assert frame.columns[:3] == ["query", "doc", "miner"]
    assert frame.sort("query", "doc").equals(frame)
    assert not frame.select("query", "doc").is_duplicated().any()


def test_ranks_and_scores_are_those_of_a_search_of_everything(frame, memory_vectors):
    vectors = memory_vectors()
    texts, queries = list(DOCUMENTS.values()), list(QUERIES.values())
    cosine = np.round(vectors.gather(queries).astype(np.float64) @ vectors.gather(texts).astype(np.float64).T, 6)
    for query, doc, rank, score in frame.select("query", "doc", "rank_dense", "score_dense").rows():
        better = sorted(range(30), key=lambda other: (-cosine[query, other], other))
        depth = 4 + sum(name == f"q{query}" and relevance > 0 for name, _, relevance in LABELS)
        place = better.index(doc) + 1
        assert rank == (place if place <= depth else None)
        assert score == pytest.approx(cosine[query, doc], abs=1e-9)


def test_every_candidate_of_a_miner_is_there_once_with_the_first_that_proposed_it(frame):
    for query, positives in ((0, 2), (1, 1), (2, 1), (3, 1), (5, 1)):
        part = frame.filter(pl.col("query") == query)
        assert part["rank_dense"].drop_nulls().sort().to_list() == list(range(1, 5 + positives))
        assert part["rank_bm25"].drop_nulls().sort().to_list() == list(range(1, 5 + positives))
        assert part["rank_random"].drop_nulls().sort().to_list() == list(range(1, 4 + positives))
    assert frame["query"].unique().to_list() == [0, 1, 2, 3, 5]  # q4 and q6 have no positive
    expected = pl.coalesce(
        *(pl.when(pl.col(f"rank_{miner}").is_not_null()).then(pl.lit(miner)) for miner in ("dense", "bm25", "random"))
    )
    assert frame.select((pl.col("miner").cast(pl.String) == expected).all()).item()


def test_every_pair_has_a_dense_and_a_bm25_score_and_none_of_the_lots(frame):
    assert frame["score_dense"].null_count() == frame["score_bm25"].null_count() == 0
    assert frame["score_random"].null_count() == frame["positive_score_random"].null_count() == frame.height
    matched = frame.filter(pl.col("rank_bm25").is_not_null())
    assert (matched["score_bm25"] > 0).all()
    order = matched.sort("query", pl.col("score_bm25").neg(), "doc").select("query", "rank_bm25")
    assert (
        order["rank_bm25"].to_list() == order.select(pl.int_range(1, pl.len() + 1).over("query")).to_series().to_list()
    )


def test_the_positive_score_is_the_lowest_of_the_labelled_positives_retrieved_or_not(
    memory_snapshot, memory_vectors, store
):
    labels = [("q0", "d00", 1), ("q0", "d13", 1), ("q1", "d01", 1)]
    snapshot, vectors = memory_snapshot(DOCUMENTS, QUERIES, labels), memory_vectors()
    frame = candidates(store, snapshot, vectors, miners=("dense", "bm25"), depth=1)
    alone = candidates(store, snapshot, vectors, miners=("dense",), depth=1)  # scores only what it missed itself
    dense = ("query", "doc", "score_dense", "positive_score_dense")
    assert_frame_equal(alone.select(dense), frame.drop_nulls("rank_dense").select(dense))
    # A deep list holds the scores of all documents, the positives among them.
    deep = candidates(store, snapshot, vectors, miners=("dense", "bm25"), depth=100)
    assert frame.filter((pl.col("query") == 0) & (pl.col("doc") == 13)).is_empty()  # not retrieved
    for miner in ("dense", "bm25"):
        lowest = {
            query: min(deep.filter((pl.col("query") == query) & pl.col("doc").is_in(docs))[f"score_{miner}"].to_list())
            for query, docs in ((0, [0, 13]), (1, [1]))
        }
        found = frame.group_by("query").agg(pl.col(f"positive_score_{miner}").unique()).sort("query")
        assert found[f"positive_score_{miner}"].to_list() == [[lowest[0]], [lowest[1]]]


def test_labels_and_texts_are_flagged(memory_snapshot, memory_vectors, store):
    documents = {"d0": "tin can", "d1": "Tin  Can", "d2": "tin", "d3": "lead", "d4": "tin pot", "d5": "iron"}
    queries = {"q0": "tin", "q1": "TIN", "q2": "lead"}
    labels = [("q0", "d0", 1), ("q1", "d4", 1), ("q2", "d5", 1), ("q2", "d2", 0), ("q0", "d3", -1)]
    frame = candidates(store, memory_snapshot(documents, queries, labels), memory_vectors(), miners=("dense",), depth=9)
    assert frame.height == 18

    def flagged(name):
        return frame.filter(name).select("query", "doc").sort("query", "doc").rows()

    # q0 and q1 are one text: both have d0 and d4, and d1, the twin of d0.
    assert flagged("is_positive") == [(0, 0), (0, 1), (0, 4), (1, 0), (1, 1), (1, 4), (2, 5)]
    assert flagged("is_own_text") == [(0, 2), (1, 2), (2, 3)]
    assert flagged("judged") == [(0, 3), (2, 2)]


@given(
    documents=st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=4), min_size=3, max_size=40),
    labels=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 39)), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    depth=st.integers(1, 8),
)
@settings(max_examples=4, deadline=None)
def test_cutting_order_blocks_and_threads_change_nothing(
    memory_snapshot, memory_vectors, tmp_path_factory, documents, labels, order, depth
):
    corpus = {f"d{n:02d}": " ".join(words) for n, words in enumerate(documents)}  # short words: ties abound
    queries = {f"q{n}": text for n, text in enumerate(["a b", "c", "d e f", "g a", "b", "a"])}
    judged = sorted({(f"q{query}", f"d{doc % len(corpus):02d}", 1) for query, doc in labels})
    vectors = memory_vectors(4)
    frames = []
    for partitions, block, threads in ((1, 100, 1), (3, 2, 2), (7, 4, 1)):
        store = Store(tmp_path_factory.mktemp("store"))
        snapshot = memory_snapshot(corpus, queries, judged, partitions)
        with threadpool_limits(threads):
            frames.append(candidates(store, snapshot, vectors, depth=depth, query_block=block))
        corpus, queries, judged = (
            dict(order.sample(list(corpus.items()), len(corpus))),
            dict(order.sample(list(queries.items()), len(queries))),
            order.sample(judged, len(judged)),
        )
    assert_frame_equal(frames[0], frames[1], check_exact=True)
    assert_frame_equal(frames[0], frames[2], check_exact=True)


def test_a_run_stands_beside_the_other_miners_and_scores_only_what_it_has(
    memory_snapshot, memory_vectors, store, tmp_path
):
    path = tmp_path / "run.trec"
    path.write_text("q0 Q0 d05 1 9.5 x\nq0 Q0 d03 2 3.0 x\nq2 Q0 d09 1 1.0 x\n")
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, LABELS)
    frame = candidates(store, snapshot, memory_vectors(), "run", miners=("dense", "run"), run=RunConfig(path=str(path)))
    scored = frame.filter(pl.col("score_run").is_not_null()).select("query", "doc", "rank", "score")
    assert scored.sort("query", "rank").rows() == [(0, 5, 1, 9.5), (0, 3, 2, 3.0), (2, 9, 1, 1.0)]
    # q0 has two positives, of which the run has one; the one of q2 is not in the run.
    assert frame.filter(pl.col("query") == 0)["positive_score"].unique().to_list() == [3.0]
    assert frame.filter(pl.col("query") == 2)["positive_score"].unique().to_list() == [None]
    first = frame.filter(pl.col("query") == 0)
    assert first.drop_nulls("score").sort("score").select("doc", "score").rows() == [(3, 3.0), (5, 9.5)]
    assert first["doc"].is_sorted()


@pytest.mark.parametrize(
    ("miners", "by", "basis"),
    [(("random", "bm25"), "", "bm25"), (("dense", "bm25"), "bm25", "bm25"), (("random",), "", "random")],
)
def test_the_basis_is_the_one_named_or_the_first_with_scores(memory_snapshot, memory_vectors, store, miners, by, basis):
    snapshot = memory_snapshot(DOCUMENTS, QUERIES, LABELS)
    frame = candidates(store, snapshot, memory_vectors(), by, miners=miners)
    for name in ("rank", "score", "positive_score"):
        assert frame[name].equals(frame[f"{name}_{basis}"])


def test_an_unknown_basis_is_a_mistake_of_the_config(memory_snapshot, memory_vectors, store):
    with pytest.raises(ConfigError, match=r"recipe\.by is 'bm52'"):
        candidates(store, memory_snapshot(DOCUMENTS, QUERIES, LABELS), memory_vectors(), "bm52", miners=("dense",))


def test_a_damaged_cell_is_named(memory_snapshot, memory_vectors, store):
    inputs, cells = mine(store, memory_snapshot(DOCUMENTS, QUERIES, LABELS), memory_vectors())
    path = store.folder("cell", listed_cells(store, cells["bm25"])[0].fingerprint) / CANDIDATES
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=str(path)):
        list(candidate_blocks(inputs, cells, store))


def test_no_query_gives_no_block(memory_snapshot, memory_vectors, store):
    inputs, cells = mine(store, memory_snapshot(DOCUMENTS, QUERIES, []), memory_vectors())
    assert list(candidate_blocks(inputs, cells, store)) == []


def test_two_thousand_positives_on_one_query_keep_the_memory_flat(memory_snapshot, memory_vectors, store):
    chance = np.random.default_rng(0)
    documents = {f"d{n:04d}": f"w{chance.integers(300)} w{chance.integers(300)}" for n in range(3000)}
    queries = {f"q{n:04d}": f"w{n % 300}" for n in range(1500)}
    labels = [(name, f"d{n:04d}", 1) for n, name in enumerate(queries)]
    vectors, peaks, rows = memory_vectors(8), [], []
    for more in ([], [("q0000", f"d{n:04d}", 1) for n in range(1, 2000)]):
        snapshot = memory_snapshot(documents, queries, labels + more)
        inputs = MiningInputs(snapshot, MineConfig(depth=50), 13, "encoder", vectors, vectors)
        tracemalloc.start()
        cells = {"dense": mine_cells(inputs, "dense", store)}
        found = pl.concat(candidate_blocks(inputs, cells, store))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        rows.append(found.height)
    assert rows == [1500 * 51, 1500 * 51 + 1999]
    # A list as deep for all of them would take 1,500 * 2,000 * 20 bytes: 60 MB.
    assert peaks[1] < peaks[0] + 10_000_000


def test_it_reads_what_ingest_and_embed_wrote(store, tmp_path):
    pl.DataFrame({"doc_id": list(DOCUMENTS), "text": list(DOCUMENTS.values())}).write_parquet(
        tmp_path / "corpus.parquet"
    )
    pl.DataFrame({"query_id": list(QUERIES), "text": list(QUERIES.values())}).write_parquet(
        tmp_path / "queries.parquet"
    )
    pl.DataFrame(LABELS, schema=["query_id", "doc_id", "relevance"], orient="row").write_parquet(
        tmp_path / "qrels.parquet"
    )
    frames = []
    for partitions in (1, 3):
        source = SourceConfig(format="parquet", path=str(tmp_path), partitions=partitions)
        snapshot = open_snapshot(store, build_snapshot(source, store))
        config = EncoderConfig(backend="hashing", dimensions=32)
        encoder = open_encoder(config, store, prepare_encoder(config, snapshot, store))
        documents, queries = snapshot.documents(), snapshot.queries()
        vectors = [
            open_vectors(
                store,
                embed_texts(encoder, table[key].to_list(), texts.to_list(), role, store, 16, f"{role}{partitions}"),
            )
            for table, key, texts, role in (
                (queries, "query_id", queries["text"], "query"),
                (documents, "doc_id", document_texts(documents), "document"),
            )
        ]
        inputs = MiningInputs(snapshot, MineConfig(miners=("dense",), depth=4), 13, encoder.fingerprint, *vectors)
        frames.append(pl.concat(candidate_blocks(inputs, {"dense": mine_cells(inputs, "dense", store)}, store)))
    assert_frame_equal(*frames, check_exact=True)
    assert frames[0].height == 5 * 4 + 6
