"""BM25 mining beside bm25s: seconds to build, queries a second, peak memory, and how often the lists are the same.

    python -m benchmarks.lexical [--quick] [--source FOLDER] [--queries 20000] [--depth 100] [--partitions 1]

FOLDER holds corpus.parquet (doc_id, title, text) and queries.parquet (text); queries are repeated up to their number.
Without it texts are generated, whose words are as frequent as Zipf and Mandelbrot say. Each side runs in a process of
its own on one thread, one after the other, on the same texts. Ours builds in a store on disk, as a build does, and
searches in blocks; both count the terms of documents and queries themselves. The last line is one JSON object.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from negset.fingerprint import rows_digest
from negset.text import document_texts

_BLOCK = 4096
_WORDS = 200_000  # of which texts are generated
_K1, _B = 0.9, 0.4
_ROUNDING = 2e-5  # what sums in float32 are off by, and ours are rounded by


def main() -> None:
    """Prepare the texts, run both sides and compare them."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.side:
            print(json.dumps(_SIDES[options.side](Path(options.source), options)))
            return
        _write_texts(options, folder)
        found = {side: _run(side, folder, options) for side in _SIDES}
        same = _compare(*(pl.read_parquet(folder / f"{side}.parquet") for side in _SIDES))
    sizes = {"documents": options.documents, "queries": options.queries, "depth": options.depth}
    ratios = {
        "build": found["bm25s"]["build_s"] / found["ours"]["build_s"],
        "queries_per_second": found["ours"]["queries_per_second"] / found["bm25s"]["queries_per_second"],
        "peak_memory": found["ours"]["peak_mb"] / found["bm25s"]["peak_mb"],
    }
    rounded = {name: round(value, 3) for name, value in ratios.items()}
    print(json.dumps({**sizes, "partitions": options.partitions, **found, "ratios": rounded, **same}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 documents and 1,000 queries")
    parser.add_argument("--source", default="")
    parser.add_argument("--documents", type=int, default=200_000, help="at most so many")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--side", choices=["", *_SIDES], default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.documents, options.queries = min(options.documents, 20_000), min(options.queries, 1_000)
    return options


def _write_texts(options: argparse.Namespace, folder: Path) -> None:
    """Write `documents.parquet` and `asked.parquet`, and set the number of documents there are."""
    if options.source:
        corpus = pl.read_parquet(Path(options.source) / "corpus.parquet").head(options.documents)
        asked = pl.read_parquet(Path(options.source) / "queries.parquet").get_column("text")
    else:
        corpus = _generated(options.documents, 40)
        asked = _generated(options.queries, 8).get_column("text")
    corpus = corpus.select("doc_id", text=document_texts(corpus.select("title", "text"))).sort("doc_id")
    corpus.write_parquet(folder / "documents.parquet")
    repeated = asked.gather(np.arange(options.queries) % len(asked))
    pl.DataFrame({"text": repeated}).write_parquet(folder / "asked.parquet")
    options.documents = corpus.height


def _generated(texts: int, words: int) -> pl.DataFrame:
    """Give `texts` of about so many `words`; the frequency of a word falls with its rank as after stop words."""
    draw = np.random.default_rng(texts)
    lengths = draw.poisson(words, texts) + 1
    share = np.cumsum((np.arange(_WORDS) + 20.0) ** -1.05)
    word = np.searchsorted(share, draw.random(lengths.sum()) * share[-1])
    frame = pl.DataFrame({"text": np.repeat(np.arange(texts), lengths), "word": "w" + pl.Series(word).cast(pl.String)})
    joined = frame.group_by("text", maintain_order=True).agg(pl.col("word").str.join(" "))
    return pl.DataFrame({"doc_id": [f"d{n:08}" for n in range(texts)], "title": "", "text": joined["word"]})


def _run(side: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    numbers = [f"--{name}={getattr(options, name)}" for name in ("depth", "partitions")]
    command = [sys.executable, "-m", "benchmarks.lexical", f"--side={side}", f"--source={folder}", *numbers]
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    run = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    print(side, json.dumps(measured), flush=True)
    return measured


@dataclass(frozen=True)
class _Corpus:
    """What counting reads of a snapshot."""

    parts: dict[str, pl.DataFrame]

    @property
    def partition_contents(self) -> dict[str, str]:
        return {name: rows_digest(part, ["doc_id"]) for name, part in self.parts.items()}

    def documents(self, name: str) -> pl.DataFrame:
        return self.parts[name]

    def document_columns(self, *columns: str) -> pl.DataFrame:
        return pl.concat(list(self.parts.values())).sort("doc_id").select(columns)


def _ours(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    from negset.mining.miner import Documents, MiningInputs, Queries, find_miner
    from negset.mining.statistics import open_statistics, prepare_statistics
    from negset.mining.times import FIRST, LAST
    from negset.search import join_hits, top_hits
    from negset.store import Store
    from schemas.config import Bm25Config, MineConfig

    importlib.import_module("negset.mining.tokens")
    documents, asked, loaded = _read(folder)
    frame = documents.with_columns(title=pl.lit("")).with_row_index("row")
    names = pl.Series(np.arange(frame.height) % options.partitions)
    parts = {f"p{name:04}": frame.filter(names == name) for name in range(options.partitions)}
    snapshot, config = _Corpus(parts), Bm25Config(k1=_K1, b=_B)
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place))
        start = time.perf_counter()
        statistics = open_statistics(store, prepare_statistics(config, snapshot, store))
        inputs = MiningInputs(snapshot, MineConfig(miners=("bm25",)), 13, statistics=statistics)
        miner = find_miner("bm25").open_miner(inputs)
        searches = []
        for part in parts.values():
            rows = part.get_column("row").to_numpy().astype(np.int64)
            opened = Documents(part["doc_id"], part["text"], rows, np.full(len(rows), FIRST))
            searches.append((rows, miner.open_partition(opened)))
        built = time.perf_counter()
        blocks = []
        for first in range(0, len(asked), _BLOCK):
            text = asked.slice(first, _BLOCK)
            rows = np.arange(first, first + len(text))
            depths, until = np.full(len(rows), options.depth), np.full(len(rows), LAST)
            queries = Queries(rows, rows.astype(str), text, depths, until)
            hits = [(of, search(queries)) for of, search in searches]
            joined = join_hits([type(found)(found.query, of[found.doc], found.score) for of, found in hits])
            blocks.append((first, top_hits(joined, depths)))
        done = time.perf_counter()
    frames = [
        pl.DataFrame({"query": hits.query + first, "doc": hits.doc, "score": hits.score}) for first, hits in blocks
    ]
    pl.concat(frames).write_parquet(folder / "ours.parquet")
    return _measured(built - start, len(asked) / (done - built), loaded)


def _bm25s(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    import bm25s
    import Stemmer

    documents, asked, loaded = _read(folder)
    start = time.perf_counter()
    settings = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    index = bm25s.BM25(method="lucene", k1=_K1, b=_B)
    index.index(bm25s.tokenize(documents["text"].to_list(), **settings), show_progress=False)
    built = time.perf_counter()
    tokens = bm25s.tokenize(asked.to_list(), **settings)
    doc_QK, score_QK = index.retrieve(tokens, k=min(options.depth, documents.height), show_progress=False)
    done = time.perf_counter()
    query = np.repeat(np.arange(len(asked)), doc_QK.shape[1])
    found = pl.DataFrame({"query": query, "doc": doc_QK.ravel().astype(np.int64), "score": score_QK.ravel()})
    found.filter(pl.col("score") > 0).write_parquet(folder / "bm25s.parquet")
    return _measured(built - start, len(asked) / (done - built), loaded)


def _read(folder: Path) -> tuple[pl.DataFrame, pl.Series, float]:
    documents, asked = pl.read_parquet(folder / "documents.parquet"), pl.read_parquet(folder / "asked.parquet")
    return documents, asked.get_column("text"), _peak()


def _peak() -> float:
    """Give the most megabytes that this process has held; `getrusage` begins with what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def _measured(build: float, rate: float, loaded: float) -> dict[str, float]:
    figures = {"build_s": build, "queries_per_second": rate, "peak_mb": _peak(), "peak_mb_before": loaded}
    return {name: round(value, 1) for name, value in figures.items()}


def _compare(ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, float]:
    """Give the share of queries with the same documents, and of those with the same scores by rank.

    bm25s adds in float32 and cuts ties as they come: where documents tie with the last of a list, ids may differ, the
    scores may not.
    """
    lists = [frame.group_by("query").agg(pl.col("doc").sort()) for frame in (ours, theirs)]
    both = lists[0].join(lists[1], on="query", how="full", suffix="_theirs")
    same = (both["doc"] == both["doc_theirs"]).fill_null(value=False)
    ranked = [
        frame.sort("query", "score", descending=[False, True]).with_columns(rank=pl.int_range(pl.len()).over("query"))
        for frame in (ours, theirs)
    ]
    by_rank = ranked[0].join(ranked[1], on=["query", "rank"], how="full", suffix="_theirs", coalesce=True)
    close = ((by_rank["score"] - by_rank["score_theirs"]).abs() < _ROUNDING).fill_null(value=False)
    alike = by_rank.select("query", close=close).group_by("query").agg(pl.col("close").all())
    return {
        "same_ids": round(float(same.sum()) / len(same), 4),
        "same_scores": alike.get_column("close").sum() / alike.height,
    }


_SIDES = {"ours": _ours, "bm25s": _bm25s}

if __name__ == "__main__":
    main()
