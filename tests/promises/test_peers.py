"""Ten fixtures on which other miners fail, each a test named after its row."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import polars as pl
import pytest

from negset.encoders.encoder import open_encoder, prepare_encoder
from negset.errors import ContractError
from negset.snapshot import build_snapshot, open_snapshot
from negset.vectors import embed_texts, open_vectors, vectors_fingerprint
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig
from schemas.encoder import EncoderConfig

_WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty", "knoll", "larch"]


def _documents(count):
    rows = np.random.default_rng(3).integers(0, len(_WORDS), size=(count, 6))
    return {f"d{place:04}": " ".join(_WORDS[word] for word in row) + f" n{place}" for place, row in enumerate(rows)}


def _config(folder, miners=("dense",), **sections):
    return BuildConfig(
        name="peers",
        source=SourceConfig(format="parquet", path=str(folder)),
        encoder=sections.pop("encoder", EncoderConfig(backend="hashing", dimensions=64)),
        mine=MineConfig(miners=miners, depth=sections.pop("depth", 20)),
        recipe=RecipeConfig(**{"name": "naive", "negatives": 3, **sections}),
    )


def test_same_query_two_rows_two_positives(tmp_path, store, select, collection):
    """No cross use: what is positive for a text under one id is no negative for it under another."""
    documents = _documents(30) | {"p1": "the first answer amber", "p2": "the second answer birch"}
    queries = {"q1": "Which answer?", "q2": "which  ANSWER?"}
    found = select(_config(collection(tmp_path / "c", documents, queries, [("q1", "p1", 1), ("q2", "p2", 1)])), store)
    for query in ("q1", "q2"):
        assert not {"p1", "p2"} & set(found.negatives()[query])
        assert found.rejections(query).get("p1", "known_positive") == "known_positive"
    assert found.rejections("q1")["p2"] == "known_positive"


def test_duplicate_text_under_a_second_id_margin_off(tmp_path, store, select, collection):
    """The twin of a positive is excluded by its text, without the help of a margin."""
    documents = _documents(30) | {"p": "Moss grows on the north side", "twin": "moss grows  on the NORTH side"}
    folder = collection(tmp_path / "c", documents, {"q": "moss on the north side"}, [("q", "p", 1)])
    found = select(_config(folder), store)
    assert "twin" not in found.negatives()["q"]
    assert found.rejections("q")["twin"] == "known_positive"


class _Broken:
    """An encoder that gives NaN for one text."""

    fingerprint, dimensions = "broken", 4

    def encode(self, texts, ids, role):
        vectors = np.full((len(texts), 4), 0.5, dtype=np.float32)
        vectors[[name == "d0007" for name in ids]] = np.nan
        return vectors


def test_nan_vector_in_the_corpus(tmp_path, store, select, collection):
    """The build fails and names the document."""
    folder = collection(tmp_path / "c", _documents(20), {"q": "amber birch"}, [("q", "d0001", 1)])
    with pytest.raises(ContractError, match="d0007"):
        select(_config(folder), store, _Broken())


def _write_precomputed(folder, documents, queries, seed):
    draw = np.random.default_rng(seed)
    paths = []
    for name, ids in (("documents", documents), ("queries", queries)):
        vectors = draw.normal(size=(len(ids), 8)).astype(np.float32)
        path = folder / f"{name}.parquet"
        pl.DataFrame({"id": list(ids), "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, 8))}).write_parquet(path)
        paths.append(str(path))
    return EncoderConfig(backend="precomputed", document_vectors=paths[0], query_vectors=paths[1])


def test_second_checkpoint_same_cache_dir(tmp_path, store, select, collection):
    """Another checkpoint under the same name is embedded again, never served from the first one's cache."""
    documents, queries = _documents(30), {"q": "amber"}
    folder = collection(tmp_path / "c", documents, queries, [("q", "d0000", 1)])
    first = select(_config(folder, encoder=_write_precomputed(tmp_path, documents, queries, 1)), store)
    second = select(_config(folder, encoder=_write_precomputed(tmp_path, documents, queries, 2)), store)
    assert first.refs.mining.encoder != second.refs.mining.encoder
    assert first.negatives() != second.negatives()


class _Counting:
    """An encoder that keeps the ids it was asked to encode."""

    dimensions = 64

    def __init__(self, inner):
        self.inner, self.fingerprint, self.asked = inner, inner.fingerprint, []

    def encode(self, texts, ids, role):
        self.asked += ids
        return self.inner.encode(texts, ids, role)


def test_corpus_plus_two_docs_resume(tmp_path, store, collection):
    """Rows stay aligned and only the new documents are embedded."""
    config = EncoderConfig(backend="hashing", dimensions=64)
    documents = _documents(40)
    grown = {"a-first": "quite another text", **documents, "z-last": "and one more"}
    asked = []
    for name, rows in (("small", documents), ("grown", grown)):
        source = SourceConfig(
            format="parquet", path=str(collection(tmp_path / name, rows, {"q": "x"}, [("q", "d0000", 1)]))
        )
        snapshot = open_snapshot(store, build_snapshot(source, store))
        prepared = prepare_encoder(config, snapshot, store)
        encoder = _Counting(open_encoder(config, store, prepared))
        ids, texts = snapshot.documents()["doc_id"].to_list(), snapshot.documents()["text"].to_list()
        key = vectors_fingerprint(prepared, snapshot.content, "document")
        vectors = open_vectors(store, embed_texts(encoder, ids, texts, "document", store, 16, key))
        asked.append(sorted(encoder.asked))
        np.testing.assert_array_equal(vectors.gather(texts), encoder.inner.encode(texts, ids, "document"))
    assert asked == [sorted(documents), ["a-first", "z-last"]]


def test_2000_positives_on_one_query(tmp_path, store, select, collection):
    """Memory stays flat: the lists of the other queries do not grow with the one, and it still gets its negatives."""
    documents = _documents(2600)
    queries = {f"q{place:03}": " ".join(_WORDS[place % 7 : place % 7 + 3]) + f" q{place}" for place in range(200)}
    few = [(query, f"d{place:04}", 1) for place, query in enumerate(queries)]
    many = [("q000", f"d{place:04}", 1) for place in range(1, 2000)]
    peaks = []
    for name, qrels in (("few", few), ("many", few + many)):
        config = _config(collection(tmp_path / name, documents, queries, qrels), depth=20)
        tracemalloc.start()
        found = select(config, store)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(found.negatives()["q000"]) == 3
    mined = found.table("candidates").group_by("query_id").len().filter(pl.col("query_id") != "q000")
    assert mined["len"].max() <= 21
    assert peaks[1] < 2 * peaks[0]


def test_margin_rejects_all_but_one(tmp_path, store, select, collection):
    """The query is short, with its reason, and nothing fills the gap."""
    vectors = {"q": [1.0, 0.0], "p": [0.8, 0.6], "far": [0.6, 0.8], "n1": [0.9, 0.4359], "n2": [0.85, 0.5268]}
    found = _from_vectors(tmp_path, store, select, collection, vectors, "margin-pos")
    assert found.negatives() == {"q": ["far"]}
    fate = found.table("fates").row(0, named=True)
    assert (fate["fate"], fate["reason"], fate["wanted"], fate["got"]) == ("short", "margin", 3, 1)
    assert found.rejections("q") == {"n1": "margin", "n2": "margin", "p": "known_positive"}


def test_positive_score_minus_a_half(tmp_path, store, select, collection):
    """With a negative positive score nothing above the ceiling passes: 95 % of -0.5 lies below it, not above."""
    vectors = {
        "q": [1.0, 0.0],
        "p": [-0.5, 0.866],
        "near": [-0.49, 0.8717],
        "below": [-0.6, 0.8],
        "above": [0.3, 0.954],
    }
    found = _from_vectors(tmp_path, store, select, collection, vectors, "perc-pos")
    assert found.negatives() == {"q": ["below"]}
    assert found.rejections("q") == {
        "above": "percent_of_positive",
        "near": "percent_of_positive",
        "p": "known_positive",
    }


def _from_vectors(tmp_path, store, select, collection, vectors, recipe):
    documents = {name: f"text of {name}" for name in vectors if name != "q"}
    folder = collection(tmp_path / "c", documents, {"q": "the query"}, [("q", "p", 1)])
    paths = {}
    for role, names in (("query", ["q"]), ("document", list(documents))):
        paths[role] = tmp_path / f"{role}.parquet"
        rows = pl.Series([vectors[name] for name in names], dtype=pl.List(pl.Float32))
        pl.DataFrame({"id": names, "vector": rows}).write_parquet(paths[role])
    encoder = EncoderConfig(
        backend="precomputed", query_vectors=str(paths["query"]), document_vectors=str(paths["document"])
    )
    return select(_config(folder, encoder=encoder, name=recipe), store)


_TWO_RUNS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import select_set
from negset.store import Store
from schemas.config import BuildConfig
config = BuildConfig.model_validate_json(sys.argv[2])
folder = select_set(config, Store(Path(sys.argv[3]))).folder
print((folder / "manifest.json").read_text())
"""


def test_two_runs_two_hash_seeds_two_backends(tmp_path, collection):
    """The tables are byte-identical: every file has the same digest."""
    folder = collection(
        tmp_path / "c",
        _documents(300),
        {f"q{n}": f"{_WORDS[n]} {_WORDS[n + 1]}" for n in range(9)},
        [(f"q{n}", f"d{n:04}", 1) for n in range(9)],
    )
    manifests = set()
    for number, (seed, backend, threads) in enumerate([("0", "faiss", "1"), ("1", "torch", "2"), ("77", "faiss", "2")]):
        config = _config(folder, miners=("dense", "bm25", "random"), name="star")
        config = config.model_copy(
            update={
                "mine": config.mine.model_copy(
                    update={"dense": config.mine.dense.model_copy(update={"backend": backend})}
                )
            }
        )
        arguments = [str(_tests_folder()), config.model_dump_json(), str(tmp_path / f"store{number}")]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", _TWO_RUNS, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        manifests.add(run.stdout)
    assert len(manifests) == 1


def _tests_folder():
    import pathlib

    return pathlib.Path(__file__).parents[1]


class _Dying:
    """An encoder that dies in its third shard."""

    dimensions = 64

    def __init__(self, inner):
        self.inner, self.fingerprint, self.calls = inner, inner.fingerprint, 0

    def encode(self, texts, ids, role):
        self.calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return self.inner.encode(texts, ids, role)


def test_kill_mid_embed(tmp_path, store, collection):
    """What was embedded before the kill is not embedded again."""
    config = EncoderConfig(backend="hashing", dimensions=64)
    folder = collection(tmp_path / "c", _documents(80), {"q": "x"}, [("q", "d0000", 1)])
    snapshot = open_snapshot(store, build_snapshot(SourceConfig(format="parquet", path=str(folder)), store))
    prepared = prepare_encoder(config, snapshot, store)
    inner = open_encoder(config, store, prepared)
    ids, texts = snapshot.documents()["doc_id"].to_list(), snapshot.documents()["text"].to_list()
    key = vectors_fingerprint(prepared, snapshot.content, "document")
    with pytest.raises(KeyboardInterrupt):
        embed_texts(_Dying(inner), ids, texts, "document", store, 16, key)
    counting = _Counting(inner)
    vectors = open_vectors(store, embed_texts(counting, ids, texts, "document", store, 16, key))
    assert len(counting.asked) == 80 - 2 * 16
    np.testing.assert_array_equal(vectors.gather(texts), inner.encode(texts, ids, "document"))
