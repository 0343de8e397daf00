"""The work after the search beside that of sentence-transformers, for `python -m benchmarks.select --peers`.

Both are given the same finished search and make the same table of texts: n-tuples with 5 negatives of the first 50,
then n-tuples and triplets with 100 negatives of the first 100, the known positive left out. Theirs is the whole of
mine_hard_negatives with the index of faiss, and the encoder, replaced by look-ups in what was found before; ours
reads the cells, ranks, selects, accounts for every candidate and puts the texts together. One process for each, in
turn; reading the corpus is timed for neither.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.mining import given_vectors, stand_in
from benchmarks.vectors import RowEncoder, document_id, embed_collection, write_collection
from negset import building
from negset.arrays import Matrix, Rows
from negset.mining.cells import mine_cells
from negset.mining.ledger import candidate_blocks
from negset.mining.selection import select_blocks
from negset.mining.selection_inputs import open_selection_inputs
from negset.publishing.assembly import published_queries
from negset.publishing.flat_view import flat_rows, full_pairs
from negset.search import search_exact
from negset.snapshot import Snapshot
from negset.store import Store
from negset.text import document_texts
from schemas.config import BuildConfig, MineConfig, RecipeConfig, SourceConfig
from schemas.refs import CellsRef, MiningRefs


class Case(NamedTuple):
    """What is asked for: the format of the table, negatives for each query, and how many documents they are among."""

    form: str
    negatives: int
    depth: int


CASES = (Case("n-tuple", 5, 50), Case("n-tuple", 100, 100), Case("triplet", 100, 100))
CONTENDERS = ("negset", "sentence_transformers")


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Prepare one search for each depth, run both in turn on every case, and give medians and ratios."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        prepare(options, folder)
        rows: dict[tuple[Case, str], list[dict[str, float]]] = {}
        for _ in range(options.repetitions):
            for case in CASES:
                for name in CONTENDERS:
                    rows.setdefault((case, name), []).append(_start(name, case, folder, options.threads))
                    print(*case, name, json.dumps(rows[case, name][-1]), flush=True)
    names = ("queries", "documents", "dimensions", "threads", "repetitions")
    return {
        **{name: getattr(options, name) for name in names},
        "cases": [_compared(case, [rows[case, name] for name in CONTENDERS], options.queries) for case in CASES],
    }


def _compared(case: Case, rows: list[list[dict[str, float]]], queries: int) -> dict[str, object]:
    def medians(measure: str, scale: float = 1.0) -> dict[str, float]:
        found = (statistics.median(row[measure] for row in each) for each in rows)
        return {name: round(scale * value, 1) for name, value in zip(CONTENDERS, found, strict=True)}

    ours, theirs = rows
    pairs = list(zip(ours, theirs, strict=True))
    return {
        **case._asdict(),
        "wall_us_a_query": medians("wall_s", 1e6 / queries),
        "cpu_us_a_query": medians("cpu_s", 1e6 / queries),
        "extra_mb": medians("extra_mb"),
        "rows": medians("rows"),
        "times_as_fast": round(statistics.median(b["wall_s"] / a["wall_s"] for a, b in pairs), 2),
        "times_as_fast_cpu": round(statistics.median(b["cpu_s"] / a["cpu_s"] for a, b in pairs), 2),
    }


def prepare(options: argparse.Namespace, folder: Path) -> None:
    """Put vectors, a collection, and for each depth what was searched and the cells of it into `folder`."""
    documents_ND, queries_QD = given_vectors(options)
    options.queries, options.documents = len(queries_QD), len(documents_ND)
    np.save(folder / "documents.npy", documents_ND)
    np.save(folder / "queries.npy", queries_QD)
    store = Store(folder / "store")
    row_of = {document_id(row): row for row in range(len(documents_ND))}
    source = write_collection(folder / "source", row_of, len(queries_QD))
    refs = embed_collection(source, RowEncoder({"query": queries_QD, "document": documents_ND}), store)
    (folder / "refs.json").write_text(refs.model_dump_json())
    for depth in sorted({case.depth for case in CASES}):
        hits = search_exact(queries_QD, documents_ND, np.full(len(queries_QD), depth + 1))
        np.save(folder / f"doc_{depth}.npy", hits.doc.reshape(-1, depth + 1))
        np.save(folder / f"score_{depth}.npy", hits.score.reshape(-1, depth + 1).astype(np.float32))
        inputs = building.open_inputs(_config(folder, Case("n-tuple", 1, depth)), refs, store)
        (folder / f"cells_{depth}.json").write_text(mine_cells(inputs, "dense", store).model_dump_json())


def _config(folder: Path, case: Case) -> BuildConfig:
    recipe = folder / "top.toml"
    recipe.write_text(
        'description = "The first."\nsource = ""\n[[rules]]\nname = "known_positive"\n[[rules]]\nname = "top"\n'
    )
    return BuildConfig(
        name="peers",
        source=SourceConfig(format="parquet", path=str(folder / "source")),
        mine=MineConfig(depth=case.depth),
        recipe=RecipeConfig(name=str(recipe), negatives=case.negatives),
    )


def _start(name: str, case: Case, folder: Path, threads: int) -> dict[str, float]:
    limited = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    command = [sys.executable, "-m", "benchmarks.select_peers", name, json.dumps(case), str(folder)]
    environment = {**os.environ, **dict.fromkeys(limited, str(threads))}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def run_contender(name: str, case: Case, folder: Path) -> dict[str, float]:
    """Prepare, time the work of one contender, and say how much memory it took beyond what it began with."""
    import torch

    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    if threads == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    work = (_ours if name == "negset" else _theirs)(case, folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: what preparing took is not asked
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "extra_mb": (_peak() - before) / 1024,
        "rows": rows,
    }


def _peak() -> int:
    """Give this process's peak of resident memory in kilobytes, on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _ours(case: Case, folder: Path) -> Callable[[], int]:
    store, config = Store(folder / "store"), _config(folder, case)
    refs = MiningRefs.model_validate_json((folder / "refs.json").read_text())
    cells = {"dense": CellsRef.model_validate_json((folder / f"cells_{case.depth}.json").read_text())}
    inputs, bound = building.open_inputs(config, refs, store), building.bind(config)
    documents = inputs.snapshot.documents()
    texts = documents.select("doc_id", document_texts(documents))

    def work() -> int:
        known = open_selection_inputs(inputs.snapshot, bound)
        chosen = list(select_blocks(candidate_blocks(inputs, cells, store), known, bound))
        negatives = pl.concat([part.negatives for part in chosen]).select("query_id", "doc_id", "rank")
        fates = pl.concat([part.fates for part in chosen])
        return _table(case, negatives, fates, texts, inputs.snapshot).height

    return work


def _table(
    case: Case, negatives: pl.DataFrame, fates: pl.DataFrame, texts: pl.DataFrame, snapshot: Snapshot
) -> pl.DataFrame:
    """Put the texts of the chosen negatives together as `case` asks."""
    queries = published_queries(snapshot, fates)
    positives = snapshot.qrels().select("query_id", "doc_id", "split")
    if case.form == "n-tuple":
        return flat_rows(full_pairs(queries, positives, negatives, case.negatives), texts, negatives, case.negatives)
    place = texts.select("doc_id", row=pl.int_range(pl.len(), dtype=pl.UInt32))
    pairs = positives.join(queries, on="query_id").join(place, on="doc_id").select("query_id", "text", positive="row")
    rows = negatives.join(pairs, on="query_id").join(place, on="doc_id")
    text = texts.get_column("text")
    return rows.select(
        anchor="text",
        positive=text.gather(rows.get_column("positive")),
        negative=text.gather(rows.get_column("row")),
    )


def _theirs(case: Case, folder: Path) -> Callable[[], int]:
    import faiss
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    corpus = pl.read_parquet(folder / "source" / "corpus.parquet")["text"].to_list()
    asked = pl.read_parquet(folder / "source" / "queries.parquet")["text"].to_list()
    data = Dataset.from_dict({"anchor": asked, "positive": [corpus[0]] * len(asked)})
    encoder = WholeEncoder({"query": np.load(folder / "queries.npy"), "document": np.load(folder / "documents.npy")})
    model = stand_in(SentenceTransformer, encoder)
    found = Found(np.load(folder / f"score_{case.depth}.npy"), np.load(folder / f"doc_{case.depth}.npy"))
    faiss.IndexFlatIP = lambda _: found

    def work() -> int:
        mined = mine_hard_negatives(
            data,
            model,
            corpus=corpus,
            range_max=case.depth,
            num_negatives=case.negatives,
            output_format=case.form,
            use_faiss=True,
            verbose=False,
        )
        return len(mined)

    return work


class WholeEncoder(RowEncoder):
    """Give all vectors of a role as they lie, when all texts are asked for in their order."""

    def encode(self, texts: list[str], ids: list[str], role: str) -> Matrix:  # type: ignore[override]
        """Give the vectors of `texts`."""
        whole: Matrix = self.vectors[role]  # type: ignore[index]
        return whole if len(texts) == len(whole) else super().encode(texts, ids, role)  # type: ignore[arg-type]


class Found:
    """What a search found, in place of an index that would search."""

    def __init__(self, score_QK: Matrix, doc_QK: Rows) -> None:
        self.score_QK, self.doc_QK, self.done = score_QK, doc_QK, 0

    def add(self, vectors_ND: Matrix) -> None:
        """Need nothing."""

    def search(self, queries_QD: Matrix, k: int) -> tuple[Matrix, Rows]:
        """Give the hits of the next queries."""
        part = slice(self.done, self.done + len(queries_QD))
        self.done += len(queries_QD)
        return self.score_QK[part, :k], self.doc_QK[part, :k]


if __name__ == "__main__":
    print(json.dumps(run_contender(sys.argv[1], Case(*json.loads(sys.argv[2])), Path(sys.argv[3]))))
