"""How many of the negatives of each recipe are positives that nobody labelled, and how hard the negatives are.

    python -m benchmarks.false_negatives --data FOLDER --vectors FOLDER [--collections cranfield,cacm,npl,ottqa]
                                         [--recipes a,b] [--negatives 10] [--seed 1] [--quick]

Half of the positives of each query that has several are hidden, by a seeded draw; each recipe, and each mode of
sentence-transformers' `mine_hard_negatives`, then chooses negatives on the same vectors, knowing the other half.
`rate` is the share of hidden positives among the negatives, `gap` the mean cosine of the lowest known positive less
that of the negatives (less is harder), `rank` the median place of a negative among all documents that are no known
positive, `queries` those that got a negative. A collection is a folder of `--data` with corpus, queries and qrels as
Parquet; `--vectors` has query_vectors.parquet and document_vectors.parquet (id, vector) in a folder of the same name.
`--quick` makes a small collection of its own. The last line is one JSON object.
"""

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.mining import stand_in
from benchmarks.vectors import RowEncoder, generate
from flows.session import prefect_session
from negset.arrays import Matrix
from negset.errors import NegsetError
from negset.mining.recipe import shipped_recipes
from schemas.config import BuildConfig

MODES: Final[Mapping[str, Mapping[str, object]]] = {
    "top": {},
    "skip 10": {"range_min": 10},
    "sampled from 50": {"range_max": 50, "sampling_strategy": "random"},
    "relative margin .05": {"relative_margin": 0.05},
    "absolute margin .05": {"absolute_margin": 0.05},
    "max score .7": {"max_score": 0.7},
    "relative margin .05, skip 10": {"relative_margin": 0.05, "range_min": 10},
}
"""Modes of mine_hard_negatives, by what they change."""
CONTENT_GATES: Final = ("hubs", "shortcut", "poison", "drift")
"""Gates that look at what a recipe chooses: here each set is measured, whatever they say."""
PAIR: Final = ["query_id", "doc_id"]


@dataclass(frozen=True)
class World:
    """A collection with half of its labels hidden; scores are cosines of all queries and documents."""

    folder: Path
    query_ids: list[str]
    doc_ids: list[str]
    queries_QD: Matrix
    documents_ND: Matrix
    known: pl.DataFrame
    hidden: pl.DataFrame


def main() -> None:
    """Measure every collection and print a table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--collections", default="cranfield,cacm,npl,ottqa")
    parser.add_argument("--recipes", default=",".join(shipped_recipes()))
    parser.add_argument("--negatives", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="generated vectors, a minute")
    options = parser.parse_args()
    if not options.quick and not (options.data and options.vectors):
        parser.error("--data and --vectors, or --quick")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEGSET_HOME"] = str(Path(folder) / "home")
        with prefect_session():
            for name in ["generated"] if options.quick else options.collections.split(","):
                world = open_world(name, options, Path(folder) / name)
                found[name] = measure_world(name, world, options)
                print(table(found[name]), flush=True)
    print(json.dumps({"seed": options.seed, "negatives": options.negatives, "collections": found}))


def open_world(name: str, options: argparse.Namespace, folder: Path) -> World:
    """Read or make the collection `name`, hide half of its labels, and write what a user would have to `folder`."""
    if options.quick:
        corpus, queries, qrels, documents_ND, queries_QD = generated()
    else:
        place, given = options.data / name, options.vectors / name
        corpus, queries, qrels = (pl.read_parquet(place / f"{one}.parquet") for one in ("corpus", "queries", "qrels"))
        documents_ND = _vectors_of(given / "document_vectors.parquet", corpus["doc_id"])
        queries_QD = _vectors_of(given / "query_vectors.parquet", queries["query_id"])
    known, hidden = hide_half(qrels.filter(pl.col("relevance") >= 1).select(PAIR).unique(), options.seed)
    folder.mkdir(parents=True)
    corpus.select("doc_id", *(c for c in ("title",) if c in corpus.columns), "text").write_parquet(
        folder / "corpus.parquet"
    )
    queries.select("query_id", "text").write_parquet(folder / "queries.parquet")
    known.with_columns(relevance=pl.lit(1)).write_parquet(folder / "qrels.parquet")
    vectors = {"query": (queries["query_id"], queries_QD), "document": (corpus["doc_id"], documents_ND)}
    for role, (ids, vectors_MD) in vectors.items():
        pl.DataFrame({"id": ids, "vector": vectors_MD.tolist()}).write_parquet(folder / f"{role}_vectors.parquet")
    return World(
        folder, queries["query_id"].to_list(), corpus["doc_id"].to_list(), queries_QD, documents_ND, known, hidden
    )


def _vectors_of(path: Path, ids: pl.Series) -> Matrix:
    frame = pl.DataFrame({"id": ids}).join(pl.read_parquet(path), on="id", how="left", maintain_order="left")
    vectors_ND = np.array(frame["vector"].to_list(), dtype=np.float32)
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True))


def generated() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, Matrix, Matrix]:
    """Make 2,000 documents around 200 topics, and 100 queries whose positives are the ten nearest."""
    documents_ND, queries_QD = generate(2000, 64, 2, clusters=200), generate(100, 64, 3, clusters=200)
    doc_ids, query_ids = [f"d{row:04d}" for row in range(2000)], [f"q{row:03d}" for row in range(100)]
    nearest = np.argsort(-(queries_QD @ documents_ND.T), axis=1)[:, :10]
    pairs = [(query_ids[q], doc_ids[d], 1) for q, row in enumerate(nearest) for d in row]
    schema = {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32}
    return (
        pl.DataFrame({"doc_id": doc_ids, "text": [f"text number {row}" for row in range(2000)]}),
        pl.DataFrame({"query_id": query_ids, "text": [f"question {row}" for row in range(100)]}),
        pl.DataFrame(pairs, schema=schema, orient="row"),
        documents_ND,
        queries_QD,
    )


def hide_half(positives: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Hide half of each query's positives, rounded down, by the hash of seed and pair; give known and hidden ones."""

    def lot(pair: tuple[str, ...]) -> bytes:
        return hashlib.sha256(f"{seed}\0{pair[0]}\0{pair[1]}".encode()).digest()

    drawn = positives.with_columns(_lot=pl.Series([lot(row) for row in positives.iter_rows()], dtype=pl.Binary))
    place = pl.col("_lot").rank("ordinal").over("query_id")
    drawn = drawn.with_columns(_hidden=place <= pl.len().over("query_id") // 2).sort(PAIR)
    return drawn.filter(~pl.col("_hidden")).select(PAIR), drawn.filter("_hidden").select(PAIR)


def measure_world(name: str, world: World, options: argparse.Namespace) -> dict[str, dict[str, float | str]]:
    """Measure each recipe and each mode on `world`."""
    rows: dict[str, dict[str, float | str]] = {}
    for recipe in options.recipes.split(","):
        try:
            rows[recipe] = judge(world, built_negatives(name, world, recipe, options))
        except NegsetError as error:
            rows[recipe] = {"error": str(error).splitlines()[0][:160]}
    for mode, changes in MODES.items():
        rows[f"sentence-transformers: {mode}"] = judge(world, mined_negatives(world, changes, options.negatives))
    return rows


def built_negatives(name: str, world: World, recipe: str, options: argparse.Namespace) -> pl.DataFrame:
    """Build the set of `recipe` as a user would and read its negatives."""
    from flows.build import build
    from negset.publishing.reading import read_set

    config = BuildConfig.model_validate(
        {
            "name": name,
            "source": {"format": "parquet", "path": str(world.folder)},
            "encoder": {
                "backend": "precomputed",
                "query_vectors": str(world.folder / "query_vectors.parquet"),
                "document_vectors": str(world.folder / "document_vectors.parquet"),
            },
            "mine": {"miners": ["dense", "bm25", "random"]},
            "recipe": {"name": recipe, "negatives": options.negatives},
            "gates": {"min_full_share": 0.0, **{name: {"policy": "off"} for name in CONTENT_GATES}},
        }
    )
    return read_set(Path(build(config).path)).table("negatives").select(PAIR)


def mined_negatives(world: World, changes: Mapping[str, object], wanted: int) -> pl.DataFrame:
    """Mine by sentence-transformers, a row for each known positive, with the vectors in place of a model."""
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    query_row = {one: row for row, one in enumerate(world.query_ids)}
    doc_row = {one: row for row, one in enumerate(world.doc_ids)}
    corpus = [f"document #{row}" for row in range(len(world.doc_ids))]
    data = Dataset.from_dict(
        {
            "anchor": [f"query #{query_row[query]}" for query in world.known["query_id"]],
            "positive": [corpus[doc_row[doc]] for doc in world.known["doc_id"]],
        }
    )
    model = stand_in(SentenceTransformer, RowEncoder({"query": world.queries_QD, "document": world.documents_ND}))
    settings = {"range_max": 100, **changes}
    mined = mine_hard_negatives(
        data, model, corpus=corpus, num_negatives=wanted, output_format="n-tuple", verbose=False, **settings
    ).to_dict()
    pairs = {
        (world.query_ids[_row(anchor)], world.doc_ids[_row(mined[f"negative_{place}"][at])])
        for at, anchor in enumerate(mined["anchor"])
        for place in range(1, wanted + 1)
    }
    return pl.DataFrame(sorted(pairs), schema={name: pl.String for name in PAIR}, orient="row")


def _row(text: str) -> int:
    return int(text.rsplit("#", 1)[1])


def judge(world: World, negatives: pl.DataFrame) -> dict[str, float | str]:
    """Count the hidden positives among `negatives` and say how hard they are."""
    returned = negatives.join(world.hidden, on=PAIR, how="semi").height
    known = negatives.join(world.known, on=PAIR, how="semi").height
    if negatives.is_empty():
        return {"negatives": 0, "queries": 0}
    scores, ranks, lowest = _places(world, negatives)
    return {
        "rate": round(returned / negatives.height, 4),
        "returned": round(returned / max(world.hidden.height, 1), 4),
        "gap": round(float(np.mean(lowest - scores)), 4),
        "rank": float(np.median(ranks)),
        "queries": negatives["query_id"].n_unique(),
        "negatives": negatives.height,
        "known_positives": known,
    }


def _places(world: World, negatives: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each negative's cosine, its place among the documents that are no known positive, the lowest positive's."""
    rows = {one: row for row, one in enumerate(world.doc_ids)}
    positives: dict[str, list[int]] = {}
    for query, doc in world.known.iter_rows():
        positives.setdefault(query, []).append(rows[doc])
    chosen: dict[str, list[int]] = {}
    for query, doc in negatives.iter_rows():
        chosen.setdefault(query, []).append(rows[doc])
    scores, ranks, lowest = [], [], []
    for row, query in enumerate(world.query_ids):
        if query not in chosen:
            continue
        all_N = world.documents_ND @ world.queries_QD[row]
        others_N = np.delete(all_N, positives[query])
        mine = all_N[chosen[query]]
        scores.append(mine)
        ranks.append(1 + len(others_N) - np.searchsorted(np.sort(others_N), mine, side="right"))
        lowest.append(np.full(len(mine), all_N[positives[query]].min()))
    return np.concatenate(scores), np.concatenate(ranks), np.concatenate(lowest)


def table(rows: Mapping[str, Mapping[str, float | str]]) -> str:
    """Write the rows for people, the lowest rate first."""
    columns: Sequence[str] = ("rate", "returned", "gap", "rank", "queries", "negatives")
    lines = [f"{'':<55}" + "".join(f"{name:>11}" for name in columns)]
    for name, row in sorted(rows.items(), key=lambda item: float(item[1].get("rate", 9))):
        cells = "".join(f"{row.get(column, ''):>11}" for column in columns)
        lines.append(f"{name:<55}" + (f" {row['error']}" if "error" in row else cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
