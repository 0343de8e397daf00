"""A corpus and who cites whom: documents that are cited together are each other's positives (co-citation).

Files are `corpus` and `citations`, Parquet or JSON lines; `source.qrels` names the citations where they are elsewhere.
A document that has a positive is a query by its title, or by its text where it has none. Positives go both ways.
After "Contrastive learning and mixture of experts" for papers; the cap on references, the least count and the split
by connected component are ours.
"""

import hashlib

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from negset.sources.files import Place, digests, find_place, pick
from negset.sources.intake import Add, Adders, Intake, Row, adders, new_intake
from negset.sources.jsonl import take_objects
from negset.sources.parquet import take_parquet
from negset.sources.tables import TIME, Rows, SourceTables
from negset.sources.values import id_of, metadata_of
from schemas.config import ColumnsConfig, SourceConfig

OWN_SPLITS = True
"""The reader holds out whole components itself, so that no query is held out by its text."""
SELDOM = "cited_with"
"""Key of a query's metadata: documents that are cited with it, but less often than counts. They are neither."""
CORPUS_FILES = ("corpus.parquet", "corpus/*.parquet", "corpus.jsonl", "corpus.jsonl.gz")
CITATIONS_FILES = ("citations.parquet", "citations/*.parquet", "citations.jsonl", "citations.jsonl.gz")
_CITATIONS = {"citing": pl.String, "cited": pl.String, "file": pl.String, "line": pl.Int64}


def read(source: SourceConfig) -> SourceTables:
    """Read corpus and citations; what they say of itself, of missing documents or in a long list is passed over."""
    place, intake, columns = find_place(source.path), new_intake(source), source.columns
    corpus, citations = _files(place, source)
    citing = Rows(_CITATIONS)
    to: Adders = adders(intake, columns)
    for name in corpus:
        _take(place, name, intake, to.document, (columns.doc_id, columns.doc_text))
    for name in citations:
        _take(place, name, intake, _citation_adder(citing, columns), (columns.citing_id, columns.cited_id))
    documents = _documents(intake.corpus.frame())
    usable = _usable(citing.frame(), documents, source.max_citations, intake)
    together = cocited(usable, documents, source.min_cocitations)
    pairs = together.filter("enough").drop("enough")
    others = _lists(together.filter(~pl.col("enough")))
    splits = component_splits(pairs, source.held_out, source.split)
    for row in documents.join(splits, on="doc_id").sort("doc_id").iter_rows(named=True):
        seldom = others.get(row["doc_id"])
        about = metadata_of({SELDOM: seldom}) if seldom else None
        intake.queries.add((row["doc_id"], row["query"], row["split"], None, about, row["file"], row["line"]))
    both = pl.concat([pairs, pairs.rename({"first": "second", "second": "first"}).select(pairs.columns)])
    for row in both.join(splits, left_on="first", right_on="doc_id").sort("first", "second").iter_rows(named=True):
        intake.qrels.add((row["first"], row["second"], 1, row["split"], row["file"], row["line"], row["judged_at"]))
    return intake.tables()


def contents(source: SourceConfig) -> dict[str, str]:
    """Hash the files that would be read."""
    place = find_place(source.path)
    return digests(place, [name for group in _files(place, source) for name in group])


def cocited(citations: pl.DataFrame, documents: pl.DataFrame, least: int) -> pl.DataFrame:
    """Give the pairs `first` < `second` that some document cites both, sorted, each once; `enough` where `least` do.

    `file` and `line` are of the first citation that shows the pair; `judged_at` is when the pair had been cited `least`
    times, by the creation of the citing documents, null where enough of them have no date.
    """
    dated = citations.join(
        documents.select(pl.col("doc_id").alias("citing"), "created_at"), on="citing", how="left", maintain_order="left"
    )
    return (
        dated.join(dated.select("citing", pl.col("cited").alias("second")), on="citing")
        .rename({"cited": "first"})
        .filter(pl.col("first") < pl.col("second"))
        .sort("first", "second", "file", "line")
        .group_by("first", "second", maintain_order=True)
        .agg(
            pl.col("file", "line").first(),
            pl.len().alias("count"),
            pl.col("created_at").sort(nulls_last=False).get(least - 1, null_on_oob=True).alias("judged_at"),
        )
        .with_columns(pl.col("judged_at").cast(TIME), enough=pl.col("count") >= least)
        .drop("count")
    )


def component_splits(pairs: pl.DataFrame, held_out: float, split: str) -> pl.DataFrame:
    """Give `doc_id` and `split` of every document in `pairs`: a connected component is held out whole, or not at all.

    The hash of its smallest id decides, so that what happens elsewhere in the graph moves nothing.
    """
    ids = pl.concat([pairs["first"], pairs["second"]]).unique().sort()
    ends = [ids.search_sorted(pairs[side]).to_numpy() for side in ("first", "second")]
    graph = coo_array((np.ones(pairs.height), tuple(ends)), shape=(len(ids), len(ids)))
    label = connected_components(graph, directed=False)[1] if len(ids) else np.empty(0, dtype=np.int32)
    named = pl.DataFrame({"doc_id": ids, "component": pl.Series(label, dtype=pl.Int32)})
    smallest = named.group_by("component").agg(pl.col("doc_id").min().alias("smallest"))
    edge = int(held_out * 2**64)
    moved = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < edge for name in smallest["smallest"]]
    chosen = pl.when(pl.Series("moved", moved, dtype=pl.Boolean)).then(pl.lit("test")).otherwise(pl.lit(split))
    return named.join(smallest.with_columns(split=chosen), on="component").select("doc_id", "split").sort("doc_id")


def _lists(pairs: pl.DataFrame) -> dict[str, list[str]]:
    """Give the ascending partners of each document in `pairs`."""
    partners: dict[str, list[str]] = {}
    for first, second in pairs.select("first", "second").iter_rows():
        partners.setdefault(first, []).append(second)
        partners.setdefault(second, []).append(first)
    return {name: sorted(found) for name, found in partners.items()}


def _usable(citations: pl.DataFrame, documents: pl.DataFrame, most: int, intake: Intake) -> pl.DataFrame:
    """Give each citation that counts once, and note how many of the others there are, by why."""
    once = citations.sort("file", "line").unique(["citing", "cited"], keep="first", maintain_order=True)
    other = once.filter(pl.col("citing") != pl.col("cited"))
    short = other.filter(pl.len().over("citing") <= most)
    kept = short.join(documents.select("doc_id"), left_on="cited", right_on="doc_id", how="semi", maintain_order="left")
    for what, before, after in (
        ("repeated citations", citations, once),
        ("citations of itself", once, other),
        ("citations by documents that cite too many", other, short),
        ("citations of documents that are missing or empty", short, kept),
    ):
        if before.height > after.height:
            intake.notes[what] = before.height - after.height
    return kept


def _documents(corpus: pl.DataFrame) -> pl.DataFrame:
    """Give each document with a text once, `query` being its title or else its text."""
    title, text = (pl.col(name).fill_null("").str.strip_chars() for name in ("title", "text"))
    return (
        corpus.sort("file", "line")
        .unique("doc_id", keep="first", maintain_order=True)
        .with_columns(query=pl.when(title != "").then("title").otherwise("text"))
        .filter((title != "") | (text != ""))
        .select("doc_id", "query", "created_at", "file", "line")
    )


def _citation_adder(citations: Rows, columns: ColumnsConfig) -> Add:
    def add(row: Row, name: str, line: int) -> None:
        ends = (id_of(row.get(column), column) for column in (columns.citing_id, columns.cited_id))
        citations.add((*ends, name, line))

    return add


def _take(place: Place, name: str, intake: Intake, add: Add, needed: tuple[str, ...]) -> None:
    take = take_parquet if name.endswith(".parquet") else take_objects
    take(place, name, intake, add, needed)


def _files(place: Place, source: SourceConfig) -> tuple[list[str], list[str]]:
    return (
        pick(place, source.corpus, CORPUS_FILES, "corpus"),
        pick(place, source.qrels, CITATIONS_FILES, "qrels"),
    )
