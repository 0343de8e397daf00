"""Mining beside what else a user could pick: the same vectors, the same rules, the same negatives out.

    python -m benchmarks.mining [--quick] [--queries 20000] [--documents 200000] [--threads 1] [--rounds 3]
                                [--document-vectors FILE.npy --query-vectors FILE.npy] [--only NAME,NAME]

Every contender runs in a process of its own, in turn, `rounds` times; imports, reading the corpus and encoding are
not timed. `product` is the bare matrix product of the machine's fastest library, `faiss_flat` faiss' own search at
its best block of queries, `float32` and `certified` ours (the second multiplies in bfloat16 first and publishes the
same hits), to 100 documents. `negset_*` mine and select five negatives of the first fifty with the known positive
left out, as `st_faiss` and `st_default` (mine_hard_negatives of sentence-transformers) do; `blocks_of_64` searches
as FlagEmbedding's miner does. The last line is one JSON object.
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.vectors import RowEncoder, document_id, embed_collection, generate, write_collection
from negset.arrays import Matrix

DEPTH, RANGE, NEGATIVES = 100, 50, 5
SEARCHES = ("product", "faiss_flat", "float32", "certified")
MINERS = ("negset_float32", "negset_certified", "st_faiss", "st_default", "blocks_of_64")


def main() -> None:
    """Run the contenders in turn and print their medians and ratios."""
    options = parse()
    if options.contender:
        print(json.dumps(run_contender(options.contender, Path(options.folder))))
        return
    names = options.only.split(",") if options.only else [*SEARCHES, *MINERS]
    with tempfile.TemporaryDirectory() as folder:
        prepare(options, Path(folder))
        rows: dict[str, list[dict[str, float | str]]] = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                rows[name].append(start_contender(name, Path(folder), options.threads))
                print(name, json.dumps(rows[name][-1]), flush=True)
        shared = shared_negatives(Path(folder), [name for name in names if name in MINERS])
    print(json.dumps(summary(rows, options, shared)))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 queries, 20,000 documents, one round")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--document-vectors", type=Path)
    parser.add_argument("--query-vectors", type=Path)
    parser.add_argument("--only", default="")
    for hidden in ("--contender", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.queries, options.documents, options.rounds = 2_000, 20_000, 1
    return options


def prepare(options: argparse.Namespace, folder: Path) -> None:
    """Put vectors into `folder`, and a collection with them into a store there."""
    documents_ND, queries_QD = given_vectors(options)
    np.save(folder / "documents.npy", documents_ND)
    np.save(folder / "queries.npy", queries_QD)
    from negset.store import Store

    row_of = {document_id(row): row for row in range(len(documents_ND))}
    source = write_collection(folder / "source", row_of, len(queries_QD))
    encoder = RowEncoder({"query": queries_QD, "document": documents_ND})
    refs = embed_collection(source, encoder, Store(folder / "store"))
    (folder / "refs.json").write_text(refs.model_dump_json())


def given_vectors(options: argparse.Namespace) -> tuple[Matrix, Matrix]:
    """Give document and query vectors: the files named, or generated ones."""
    if options.document_vectors:
        documents_ND, queries_QD = np.load(options.document_vectors), np.load(options.query_vectors)
        return documents_ND[: options.documents], queries_QD[: options.queries]
    return generate(options.documents, options.dimensions, 2), generate(options.queries, options.dimensions, 3)


def start_contender(name: str, folder: Path, threads: int) -> dict[str, float | str]:
    """Run one contender in a process of its own and read what it measured."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "benchmarks.mining", "--contender", name, "--folder", str(folder)]
    done = subprocess.run(command, env={**os.environ, **limits}, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float | str] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def run_contender(name: str, folder: Path) -> dict[str, float | str]:
    """Prepare, time the work of one contender, and say how much memory it took beyond what it began with."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    queries_QD, documents_ND = np.load(folder / "queries.npy"), np.load(folder / "documents.npy")
    work = CONTENDERS[name](queries_QD, documents_ND, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    negatives = found.pop("negatives", None)
    if negatives is not None:
        np.save(folder / f"negatives_{name}.npy", np.array(sorted(negatives)))  # type: ignore[arg-type]
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "extra_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        **found,
    }


Work = Callable[[], dict[str, object]]


def product(queries_QD: Matrix, documents_ND: Matrix, _: Path) -> Work:
    """Multiply all queries with all documents, by the faster of two libraries, and keep nothing."""
    import torch

    queries, out = torch.from_numpy(queries_QD), np.empty((1024, 2048), dtype=np.float32)
    documents, place = torch.from_numpy(documents_ND), torch.from_numpy(out)

    def by_torch(left: slice, right: slice) -> None:
        torch.mm(queries[left], documents[right].T, out=place[: left.stop - left.start, : right.stop - right.start])

    def by_numpy(left: slice, right: slice) -> None:
        np.matmul(
            queries_QD[left], documents_ND[right].T, out=out[: left.stop - left.start, : right.stop - right.start]
        )

    tiles = [
        (slice(a, min(a + 1024, len(queries_QD))), slice(b, min(b + 2048, len(documents_ND))))
        for a in range(0, len(queries_QD), 1024)
        for b in range(0, len(documents_ND), 2048)
    ]

    def work() -> dict[str, object]:
        seconds = {}
        for multiply in (by_torch, by_numpy):
            start = time.perf_counter()
            for left, right in tiles:
                multiply(left, right)
            seconds[multiply.__name__] = time.perf_counter() - start
        return {"best_s": min(seconds.values()), **seconds}

    return work


def faiss_flat(queries_QD: Matrix, documents_ND: Matrix, _: Path) -> Work:
    """Search by faiss in blocks of several sizes; the best of them counts."""
    import faiss

    index = faiss.IndexFlatIP(documents_ND.shape[1])
    index.add(documents_ND)
    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def work() -> dict[str, object]:
        seconds = {}
        for block in (1024, 4096, len(queries_QD)):
            start = time.perf_counter()
            for first in range(0, len(queries_QD), block):
                index.search(queries_QD[first : first + block], DEPTH)
            seconds[f"block_{block}"] = time.perf_counter() - start
        return {"best_s": min(seconds.values()), **seconds}

    return work


def exact(precision: str) -> Callable[[Matrix, Matrix, Path], Work]:
    """Search by negset."""

    def prepared(queries_QD: Matrix, documents_ND: Matrix, _: Path) -> Work:
        from negset.search import search_exact

        def work() -> dict[str, object]:
            depths = np.full(len(queries_QD), DEPTH)
            hits = search_exact(queries_QD, documents_ND, depths, "cpu", precision=precision)  # type: ignore[arg-type]
            return {"digest": digest(hits.query, hits.doc, hits.score)}

        return work

    return prepared


def negset(precision: str) -> Callable[[Matrix, Matrix, Path], Work]:
    """Mine the cells of a collection and select five negatives for each query."""

    def prepared(queries_QD: Matrix, documents_ND: Matrix, folder: Path) -> Work:
        import shutil

        from negset import building
        from negset.mining.cells import mine_cells
        from negset.mining.ledger import candidate_blocks
        from negset.mining.selection import select_blocks
        from negset.mining.selection_inputs import open_selection_inputs
        from negset.store import Store
        from schemas.config import BuildConfig, DenseConfig, MineConfig, RecipeConfig, SourceConfig
        from schemas.refs import MiningRefs

        store = Store(folder / "store")
        recipe = folder / "top.toml"
        recipe.write_text('description = "The first candidates."\nsource = ""\n[[rules]]\nname = "top"\nk = 5\n')
        for kind in ("cell", "cells", "members", "lineage"):
            shutil.rmtree(store.root / kind, ignore_errors=True)
        config = BuildConfig(
            name="mining",
            source=SourceConfig(format="parquet", path=str(folder / "source")),
            mine=MineConfig(depth=RANGE, dense=DenseConfig(precision=precision)),  # type: ignore[arg-type]
            recipe=RecipeConfig(name=str(recipe), negatives=NEGATIVES),
        )
        refs = MiningRefs.model_validate_json((folder / "refs.json").read_text())
        inputs, bound = building.open_inputs(config, refs, store), building.bind(config)

        def work() -> dict[str, object]:
            start = time.perf_counter()
            cells = {"dense": mine_cells(inputs, "dense", store)}
            mined = time.perf_counter()
            known = open_selection_inputs(inputs.snapshot, bound)
            chosen = [part.negatives for part in select_blocks(candidate_blocks(inputs, cells, store), known, bound)]
            after = time.perf_counter() - mined
            negatives = [(row[0], row[1]) for part in chosen for row in part.select("query_id", "doc_id").iter_rows()]
            return {"mine_s": mined - start, "after_s": after, "negatives": negatives}

        return work

    return prepared


def sentence_transformers(*, faiss: bool) -> Callable[[Matrix, Matrix, Path], Work]:
    """Mine by mine_hard_negatives with the vectors in place of a model."""

    def prepared(queries_QD: Matrix, documents_ND: Matrix, folder: Path) -> Work:
        import polars as pl
        from datasets import Dataset, disable_progress_bars
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.util import mine_hard_negatives

        disable_progress_bars()
        corpus = pl.read_parquet(folder / "source" / "corpus.parquet")["text"].to_list()
        asked = pl.read_parquet(folder / "source" / "queries.parquet")["text"].to_list()
        data = Dataset.from_dict({"anchor": asked, "positive": [corpus[0]] * len(asked)})
        model = stand_in(SentenceTransformer, RowEncoder({"query": queries_QD, "document": documents_ND}))

        def work() -> dict[str, object]:
            mined = mine_hard_negatives(
                data,
                model,
                corpus=corpus,
                range_max=RANGE,
                num_negatives=NEGATIVES,
                output_format="n-tuple",
                use_faiss=faiss,
                verbose=False,
            )
            rows = mined.to_dict()
            columns = [rows[f"negative_{place}"] for place in range(1, NEGATIVES + 1)]
            negatives = [
                (f"q{int(anchor.rsplit('#', 1)[1]):07d}", f"d{int(text.rsplit('#', 1)[1]):08d}")
                for at, anchor in enumerate(rows["anchor"])
                for text in (column[at] for column in columns)
            ]
            return {"negatives": negatives}

        return work

    return prepared


def stand_in(kind: type, encoder: RowEncoder) -> object:
    """Give an object that mine_hard_negatives takes for a model; it looks vectors up."""
    import torch

    class Model(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.prompts: dict[str, str] = {}
            self._similarity_fn_name = "cosine"

        device = property(lambda self: torch.device("cpu"))
        similarity = staticmethod(lambda left, right: torch.as_tensor(left) @ torch.as_tensor(right).T)
        similarity_pairwise = staticmethod(lambda left, right: (torch.as_tensor(left) * torch.as_tensor(right)).sum(1))

        def get_embedding_dimension(self) -> int:
            return encoder.dimensions

        def encode_document(self, texts: list[str], **_: object) -> object:
            return self._encoded(texts, "document", **_)

        def encode_query(self, texts: list[str], **_: object) -> object:
            return self._encoded(texts, "query", **_)

        def _encoded(self, texts: list[str], role: str, **options: object) -> object:
            vectors = encoder.encode(texts, texts, role)  # type: ignore[arg-type]
            return torch.from_numpy(vectors) if options.get("convert_to_tensor") else vectors

    return Model()


def blocks_of_64(queries_QD: Matrix, documents_ND: Matrix, _: Path) -> Work:
    """Search 64 queries at a time, which faiss does in another way, and leave the positive out in a loop."""
    import faiss

    index = faiss.IndexFlatIP(documents_ND.shape[1])
    index.add(documents_ND)

    def work() -> dict[str, object]:
        negatives = []
        for first in range(0, len(queries_QD), 64):
            _, found = index.search(queries_QD[first : first + 64], RANGE + 1)
            for query, row in enumerate(found, first):
                kept = [doc for doc in row.tolist() if doc != 0][:NEGATIVES]
                negatives += [(f"q{query:07d}", f"d{doc:08d}") for doc in kept]
        return {"negatives": negatives}

    return work


def digest(*arrays: np.ndarray) -> str:
    """Hash arrays."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


CONTENDERS: dict[str, Callable[[Matrix, Matrix, Path], Work]] = {
    "product": product,
    "faiss_flat": faiss_flat,
    "float32": exact("float32"),
    "certified": exact("bfloat16"),
    "negset_float32": negset("float32"),
    "negset_certified": negset("bfloat16"),
    "st_faiss": sentence_transformers(faiss=True),
    "st_default": sentence_transformers(faiss=False),
    "blocks_of_64": blocks_of_64,
}


def shared_negatives(folder: Path, miners: list[str]) -> dict[str, float]:
    """Give the share of negset's negatives that each miner has too: near-ties fall either way elsewhere."""
    found = {name: {tuple(pair) for pair in np.load(folder / f"negatives_{name}.npy").tolist()} for name in miners}
    ours = found.get("negset_float32", set())
    return {name: round(len(ours & pairs) / max(len(ours), 1), 5) for name, pairs in found.items()}


def summary(
    rows: dict[str, list[dict[str, float | str]]], options: argparse.Namespace, shared: dict[str, float]
) -> dict[str, object]:
    """Give medians, and ratios as medians over the rounds."""
    seconds = {name: [float(row.get("best_s", row["wall_s"])) for row in found] for name, found in rows.items()}

    def ratio(left: str, right: str) -> float | None:
        if left not in seconds or right not in seconds:
            return None
        return round(statistics.median(a / b for a, b in zip(seconds[left], seconds[right], strict=True)), 3)

    operations = 2.0 * options.queries * options.documents * options.dimensions
    return {
        **{name: getattr(options, name) for name in ("queries", "documents", "dimensions", "threads", "rounds")},
        "seconds": {name: round(statistics.median(values), 2) for name, values in seconds.items()},
        "gflops": {
            name: round(operations / statistics.median(seconds[name]) / 1e9) for name in SEARCHES if name in rows
        },
        "extra_mb": {
            name: round(statistics.median(float(r["extra_mb"]) for r in found)) for name, found in rows.items()
        },
        "same_hits": len({row["digest"] for found in rows.values() for row in found if "digest" in row}) <= 1,
        "same_negatives_as_negset": shared,
        "after_search_us": {
            name: round(1e6 * statistics.median(float(row["after_s"]) for row in found) / options.queries, 1)
            for name, found in rows.items()
            if "after_s" in found[0]
        },
        "ratios": {
            f"{left} / {right}": ratio(left, right)
            for left, right in (
                ("faiss_flat", "float32"),
                ("product", "float32"),
                ("certified", "float32"),
                *((other, ours) for other in MINERS[2:] for ours in MINERS[:2]),
            )
        },
    }


if __name__ == "__main__":
    main()
