"""Speed against recall of every kind of index, beside exact search, on real and on generated vectors.

    python -m benchmarks.indexes [--quick] [--threads 1] [--kinds ivf-flat,hnsw] [--sizes 200000,1000000]
                                 [--documents FILE.npy --queries FILE.npy]

The real vectors are those of LSA of the collections ottqa and oewn, read from the folder NEGSET_DATA, or unit
vectors given as .npy; sizes above theirs are generated: clusters of unequal size, whose own directions fade like
those of real vectors do. Recall at depth 100 is computed here, from ids of a bare faiss search and without the
code that negset measures it with. Times are CPU seconds, so that neighbours do not count; each setting is timed next
to an exact search, and only the ratios mean anything. The last line is one JSON object.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from negset.arrays import Matrix
from negset.encoders.lsa import LsaEncoder
from negset.encoders.lsa_fitting import fit_lsa
from negset.indexes.choosing import CANDIDATES
from negset.indexes.kind import Setting, find_kind
from negset.indexes.recall import choose_setting
from negset.indexes.search import OpenIndex, search_index
from negset.search import Hits, search_exact
from negset.text import document_texts

DEPTH = 100
_QUERIES = 4096
_CHOOSING = 256
_CLUSTERS = 1000  # whatever the size: more documents are more of the same
_SPREAD = np.float32(1.1)  # 64 of 1,024 lists find about .95 of 200,000 documents, as of the real ones
_TIMED = 1024  # queries that exact search is timed on, and recall computed for
_PROBES = (16, 32, 64, 128, 256)
_CURVES = {
    "hnsw": [Setting(ef_search=width) for width in (100, 140, 200, 280, 400, 560)],
    "ivf-pq": [Setting(nprobe=lists, refine_factor=factor) for lists in (64, 128) for factor in (2, 4, 8)],
}


def main() -> None:
    """Measure, print a line for each setting and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 generated vectors of 64 dimensions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(CANDIDATES))
    parser.add_argument("--sizes", default="200000,1000000")
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--queries", type=Path)
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    sizes = [20_000] if options.quick else [int(size) for size in options.sizes.split(",")]
    rows = []
    with threadpool_limits(options.threads):
        for size in sizes:
            what, documents_ND, queries_QD = vectors_of(size, options)
            rows += measure(what, documents_ND, queries_QD, options.kinds.split(","))
    print(json.dumps({"depth": DEPTH, "threads": options.threads, "rows": rows, "best": best_rows(rows)}))


def vectors_of(size: int, options: argparse.Namespace) -> tuple[str, Matrix, Matrix]:
    """Give what the vectors are, and vectors of `size` documents and of queries."""
    if options.quick:
        return "generated", *generated(size, 512, 64)
    if options.documents:
        documents_ND, queries_QD = np.load(options.documents, mmap_mode="r"), np.load(options.queries)
    elif size <= 200_000:
        documents_ND, queries_QD = encoded(size)
    if (options.documents or size <= 200_000) and size <= len(documents_ND):
        chosen = np.random.default_rng(1).permutation(len(queries_QD))[:_QUERIES]
        return "real", np.ascontiguousarray(documents_ND[:size]), np.ascontiguousarray(queries_QD[chosen])
    return "generated", *generated(size, _QUERIES, 384)


def encoded(size: int) -> tuple[Matrix, Matrix]:
    """Encode documents of ottqa and oewn, and their queries, by LSA fitted on the documents."""
    folder = Path(os.environ.get("NEGSET_DATA", Path(__file__).parents[2] / "shared" / "data"))
    corpora = [pl.read_parquet(folder / name / "corpus.parquet", columns=["title", "text"]) for name in _REAL]
    asked = [pl.read_parquet(folder / name / "queries.parquet", columns=["text"]) for name in _REAL]
    corpus = pl.concat(corpora).head(size).with_columns(doc_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(7))
    digests = [hashlib.sha256(repr(row).encode()).digest() for row in corpus.select("title", "text").iter_rows()]
    corpus = corpus.with_columns(text_sha256=pl.Series(digests))
    model = LsaEncoder("", fit_lsa(corpus, 384))
    texts = pl.concat(asked)["text"].head(20_000).to_list()
    documents = document_texts(corpus).to_list()
    return model.encode(documents, documents, "document"), model.encode(texts, texts, "query")


_REAL = ("ottqa", "oewn")


def generated(documents: int, queries: int, dimensions: int) -> tuple[Matrix, Matrix]:
    """Give unit vectors in clusters of unequal weight; queries lie where documents lie."""
    chance = np.random.default_rng(7)
    fading = ((1 + np.arange(dimensions)) ** -0.5).astype(np.float32)
    centres = chance.standard_normal((_CLUSTERS, dimensions), dtype=np.float32) * fading
    weights = (1 + np.arange(_CLUSTERS)) ** -0.5

    def draw(rows: int) -> Matrix:
        where = chance.choice(_CLUSTERS, rows, p=weights / weights.sum())
        vectors_ND = np.empty((rows, dimensions), dtype=np.float32)
        for start in range(0, rows, 65_536):
            part = where[start : start + 65_536]
            noise = chance.standard_normal((len(part), dimensions), dtype=np.float32)
            block = centres[part] + _SPREAD * fading * noise
            vectors_ND[start : start + len(part)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        return vectors_ND

    return draw(documents), draw(queries)


def measure(what: str, documents_ND: Matrix, queries_QD: Matrix, kinds: list[str]) -> list[dict[str, object]]:
    """Build each of `kinds` and search it at every setting of its curve and at the one that negset would choose."""
    k_Q = np.full(len(queries_QD), DEPTH)
    share = len(queries_QD) / min(_TIMED, len(queries_QD))
    begun = time.process_time()
    true_QK = faiss.knn(queries_QD[:_TIMED], documents_ND, DEPTH, metric=faiss.METRIC_INNER_PRODUCT)[1]
    bare = (time.process_time() - begun) * share
    rows = []
    for kind in kinds:
        begun = time.process_time()
        module = find_kind(kind)
        propose = module.open_index(module.build_index(documents_ND, 13), documents_ND)
        built = time.process_time() - begun
        for setting, chosen in _settings(kind, propose, documents_ND, queries_QD):
            opened = OpenIndex(propose, documents_ND, setting)
            exact, _ = timed(lambda: search_exact(queries_QD[:_TIMED], documents_ND, k_Q[:_TIMED], "faiss"), 1)
            taken, found = timed(lambda: search_index(opened, queries_QD, k_Q)[0])  # noqa: B023 - called at once
            row = {
                "vectors": what,
                "documents": len(documents_ND),
                "kind": kind,
                "setting": str(setting),
                "chosen": chosen,
                "recall": round(overlap(true_QK, found), 4),
                "times_exact": round(exact * share / taken, 2),
                "times_faiss": round(bare / taken, 2),
                "build_seconds": round(built, 1),
                "build_in_exact_searches": round(built / exact * min(_TIMED, len(queries_QD))),
            }
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def timed(act: Callable[[], Hits], runs: int = 2) -> tuple[float, Hits]:
    """Give the shortest of the times that `act` takes, and what it gives."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        found = act()
        times.append(time.process_time() - begun)
    return min(times), found


def overlap(true_QK: np.ndarray, found: Hits) -> float:
    """Give the share of the true ids among the found ones, by sets."""
    got: list[set[int]] = [set() for _ in true_QK]
    first = found.query < len(true_QK)
    for query, doc in zip(found.query[first].tolist(), found.doc[first].tolist(), strict=True):
        got[query].add(doc)
    return float(np.mean([len(got[query] & set(true)) / DEPTH for query, true in enumerate(true_QK.tolist())]))


def best_rows(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Give, for each size and kind, the fastest setting whose recall is at least .95."""
    frame = pl.DataFrame(rows).filter(pl.col("recall") >= 0.95)
    return frame.sort("times_exact", descending=True).unique(["documents", "kind"], keep="first").to_dicts()


def _settings(kind: str, propose: Callable[..., object], documents_ND: Matrix, queries_QD: Matrix) -> list[tuple]:
    curve = [(one, False) for one in _CURVES.get(kind, [Setting(nprobe=lists) for lists in _PROBES])]
    some_QD = queries_QD[:_CHOOSING]
    k_Q = np.full(len(some_QD), DEPTH)
    chosen = choose_setting(
        find_kind(kind).settings(len(documents_ND), Setting()),
        search_exact(some_QD, documents_ND, k_Q),
        len(some_QD),
        0.95,
        lambda setting: search_index(OpenIndex(propose, documents_ND, setting), some_QD, k_Q)[0],
    )
    return [*curve, (chosen, True)]


if __name__ == "__main__":
    main()
