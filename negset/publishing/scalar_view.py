"""A set's tables as numbers and ids in SQLite, with what the gates ask about worked out anew.

Nothing here believes the selection: known positives come from the snapshot's qrels, twins from its text digests,
sums from the rows. Texts stay out. NaN would turn into NULL on its way into SQLite, so that a column says whether
each number is finite. A row group of negatives is held in memory at a time.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from negset.mining.selection_inputs import query_leaks
from negset.publishing.database import insert_rows
from negset.publishing.flat_view import full_pairs, negatives_wanted
from negset.publishing.parts import part_files, read_parts, scan_parts, whole_queries
from negset.snapshot import Snapshot
from negset.tables import read_table


@dataclass(frozen=True)
class Facts:
    """What the snapshot says of every query and of every document that matters to a set.

    `queries`: query_id, query_split, query_text (group), text_hash, held_out (a split that is held out more has
    its text too), asked_at. `documents`: doc_id, doc_text (group), text_hash, created_at. Equal groups are equal
    normalised texts, of queries and documents alike; times are microseconds since 1970.
    `known_ids`: query_text, doc_id; `known_texts`: query_text, doc_text: the known positives of a query's text.
    `judged`: query_id, doc_id that the qrels call positive.
    """

    queries: pl.DataFrame
    documents: pl.DataFrame
    known_ids: pl.DataFrame
    known_texts: pl.DataFrame
    judged: pl.DataFrame


def build_view(
    folder: Path,
    selection: Path,
    snapshot: Snapshot,
    database: Path,
    splits: Sequence[str] = (),
    *,
    timed: bool = False,
) -> None:
    """Write the scalar view of the set staged in `folder` to the SQLite file `database`.

    The folder `selection` has the candidates, which a set need not publish. Queries of `splits` were asked for
    negatives, those of all splits where it is empty. Negatives have times only in a view that is `timed`.
    """
    database.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(database, check_same_thread=False)) as connection,
        ThreadPoolExecutor(1) as writer,  # inserts rows while the next view is worked out
        ThreadPoolExecutor(2) as readers,  # read the largest tables while the snapshot is read
    ):
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        ledger = readers.submit(candidates_by_query, selection)
        documents = readers.submit(fingerprinted_documents, folder)
        facts = snapshot_facts(folder, snapshot)
        views = _views(folder, documents.result(), ledger, facts, splits, timed=timed)
        writing = writer.submit(connection.commit)
        for table, view in views:
            writing.result()  # one view waits at most
            writing = writer.submit(insert_rows, connection, table, view)
        writing.result()
        connection.commit()


def _views(
    folder: Path,
    documents: pl.DataFrame,
    summed: Future[pl.DataFrame],
    facts: Facts,
    splits: Sequence[str],
    *,
    timed: bool,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each table of the scalar view with its rows, `negatives` in parts."""
    queries = read_parts(folder, "queries")
    fates = read_parts(folder, "fates")
    positives = read_parts(folder, "positives")
    yield "queries", queries_view(queries, positives, fates, facts)
    yield "documents", documents_view(documents, facts)
    yield "positives", positives_view(positives, queries, documents, facts)
    yield "false_negatives", false_negatives_view(folder, queries, documents)
    relabelled = positives.filter(pl.col("source") == "relabelled").select("query_id", "doc_id")
    for part in whole_queries(folder, "negatives"):
        yield "negatives", negatives_view(part, queries, documents, facts, relabelled, timed=timed)
    counted, ledger = negatives_by_query(folder), summed.result()
    yield "fates", fates_view(fates, queries, counted, ledger, facts, splits)
    yield "candidates", candidates_view(ledger, counted)
    yield "ntuples", ntuples_view(folder, queries, positives, fates)


def snapshot_facts(folder: Path, snapshot: Snapshot) -> Facts:
    """Gather what the checks need of `snapshot`, for the documents that the set in `folder` or the qrels name."""
    qrels = snapshot.qrels().filter(pl.col("relevance") >= 1)
    judged = qrels.select("query_id", "doc_id").unique()
    named = [
        judged.select("doc_id"),
        read_parts(folder, "documents", ["doc_id"]),
        read_parts(folder, "negatives", ["doc_id"]),
    ]
    wanted = pl.concat(named).unique()
    found = pl.concat(
        snapshot.documents(name)
        .join(wanted, on="doc_id", how="semi")
        .select("doc_id", "text_sha256", text_hash=_text_hash(), created_at=pl.col("created_at").dt.epoch("us"))
        for name in snapshot.partitions()
    )
    everything = snapshot.queries()
    held_out = pl.col("query_id").is_in(query_leaks(everything).get_column("query_id").implode())
    asked = everything.select(
        "query_id",
        "text_sha256",
        query_split="split",
        text_hash=pl.col("text").hash(),
        held_out=held_out,
        asked_at=pl.col("asked_at").dt.epoch("us"),
    )
    digests = pl.concat([asked.select("text_sha256"), found.select("text_sha256")])
    groups = digests.unique().sort("text_sha256").with_row_index("group")
    queries = asked.join(groups, on="text_sha256").rename({"group": "query_text"}).drop("text_sha256")
    documents = found.join(groups, on="text_sha256").rename({"group": "doc_text"}).drop("text_sha256")
    known = judged.join(queries, on="query_id").join(documents, on="doc_id")
    return Facts(
        queries=queries,
        documents=documents,
        known_ids=known.select("query_text", "doc_id").unique(),
        known_texts=known.select("query_text", "doc_text").unique(),
        judged=judged,
    )


def queries_view(queries: pl.DataFrame, positives: pl.DataFrame, fates: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Give each published query with what it should agree with."""
    alive = fates.filter(pl.col("fate").is_in(["kept", "short"])).select("query_id").unique()
    counted = positives.group_by("query_id").len("positives")
    return (
        queries.join(facts.queries, on="query_id", how="left", suffix="_read")
        .join(counted, on="query_id", how="left")
        .join(_marked(alive, "published_fate"), on="query_id", how="left")
        .select(
            "query_id",
            "split",
            text_length=pl.col("text").str.len_chars(),
            copies=pl.len().over("query_id"),
            positives=pl.col("positives").fill_null(0),
            published_fate=_flag("published_fate"),
            same_text=pl.col("text").is_null() | (pl.col("text").hash() == pl.col("text_hash")).fill_null(value=False),
            held_out=_flag("held_out"),
            splits_of_text=pl.col("split").n_unique().over("query_text"),
        )
    )


def documents_view(documents: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Give each published document with whether its text is the snapshot's."""
    return documents.join(facts.documents, on="doc_id", how="left", suffix="_read").select(
        "doc_id",
        "text_length",
        copies=pl.len().over("doc_id"),
        same_text=pl.col("text_length").is_null()
        | (pl.col("text_hash") == pl.col("text_hash_read")).fill_null(value=False),
    )


def positives_view(
    positives: pl.DataFrame, queries: pl.DataFrame, documents: pl.DataFrame, facts: Facts
) -> pl.DataFrame:
    """Give each positive with whether its ids resolve, the qrels know it and its score is finite."""
    pair = ["query_id", "doc_id"]
    return (
        _resolved(positives, queries, documents)
        .join(_marked(facts.judged, "judged"), on=pair, how="left")
        .join(facts.documents.select("doc_id", "doc_text"), on="doc_id", how="left")
        .select(
            *pair,
            "relevance",
            "score",
            "source",
            "split",
            copies=pl.len().over(pair),
            query_known=_flag("query_known"),
            doc_known=_flag("doc_known"),
            judged=_flag("judged"),
            finite=pl.col("score").is_finite().fill_null(value=True),
            splits_of_text=pl.col("split").n_unique().over("doc_text"),
        )
    )


def false_negatives_view(folder: Path, queries: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Give each pair that a trainer is to mask, with whether its ids resolve and the set calls it a negative."""
    pair = ["query_id", "doc_id"]
    doubtful = read_parts(folder, "false_negatives")
    negatives = read_parts(folder, "negatives", pair).join(doubtful, on=pair, how="semi")
    return (
        _resolved(doubtful, queries, documents)
        .join(_marked(negatives.unique(), "negative"), on=pair, how="left")
        .select(
            *pair,
            "reason",
            copies=pl.len().over(pair),
            query_known=_flag("query_known"),
            doc_known=_flag("doc_known"),
            negative=_flag("negative"),
        )
    )


def negatives_view(
    part: pl.DataFrame,
    queries: pl.DataFrame,
    documents: pl.DataFrame,
    facts: Facts,
    relabelled: pl.DataFrame,
    *,
    timed: bool = False,
) -> pl.DataFrame:
    """Give each negative of a `part` with every flag that the checks ask about; a query's rows lie in one part.

    Only a `timed` view has `asked_at` and `created_at`: writing them takes an eighth of the whole table's time.
    """
    numbers = ("score", "positive_score", "weight", "sample_prob")
    named = pl.col("scores").list.eval(pl.element().struct.field("value").is_finite()).list.all()
    finite = pl.all_horizontal(*(pl.col(name).is_finite().fill_null(value=True) for name in numbers), named)
    texts = ["query_text", "doc_text"]
    joined = (
        _resolved(part.with_columns(finite=finite).drop("scores"), queries, documents)
        .join(facts.queries.select("query_id", "query_text", "asked_at"), on="query_id", how="left")
        .join(facts.documents.select("doc_id", "doc_text", "created_at"), on="doc_id", how="left")
        .join(_marked(facts.known_ids, "known_positive"), on=["query_text", "doc_id"], how="left")
        .join(_marked(facts.known_texts, "known_text"), on=texts, how="left")
        .join(_marked(relabelled, "relabelled"), on=["query_id", "doc_id"], how="left")
        .join(queries.select("query_id", query_split="split").unique("query_id"), on="query_id", how="left")
        .sort("query_id", "rank", "score", descending=[False, False, True], nulls_last=True)
    )
    before = pl.col("score").shift(1).over("query_id")
    later = pl.int_range(pl.len()).over("query_id") > 0
    known = pl.col("known_positive").fill_null(value=False) | pl.col("relabelled").fill_null(value=False)
    return joined.select(
        "query_id",
        "doc_id",
        "rank",
        "miner",
        "score",
        "positive_score",
        "weight",
        "source",
        "split",
        *(["asked_at", "created_at"] if timed else []),
        weight_null=pl.col("weight").is_null(),
        previous_score=before,
        after_unscored=later & before.is_null(),
        rank_copies=pl.len().over("query_id", "rank"),
        doc_copies=pl.len().over("query_id", "doc_id"),
        query_known=_flag("query_known"),
        doc_known=_flag("doc_known"),
        finite=pl.col("finite"),
        known_positive=known,
        positive_text=pl.col("known_text").fill_null(value=False) & ~known,
        query_text=(pl.col("query_text") == pl.col("doc_text")).fill_null(value=False),
        split_matches=(pl.col("split") == pl.col("query_split")).fill_null(value=True),
    )


def fates_view(
    fates: pl.DataFrame,
    queries: pl.DataFrame,
    counted: pl.DataFrame,
    ledger: pl.DataFrame,
    facts: Facts,
    splits: Sequence[str],
) -> pl.DataFrame:
    """Give each fate, and each asked query without one, beside what the rows themselves say."""
    sums = ["negatives", "candidate_rows"]
    asked = facts.queries.filter(pl.col("query_split").is_in(list(splits))) if splits else facts.queries
    if not fates.height:
        asked = asked.clear()  # an empty table is reported as such, not as a row for each query
    joined = (
        fates.join(_marked(asked.select("query_id"), "query_known"), on="query_id", how="full", coalesce=True)
        .join(_marked(queries.select("query_id").unique(), "published"), on="query_id", how="left")
        .join(counted, on="query_id", how="left")
        .join(ledger.select("query_id", "candidate_rows"), on="query_id", how="left")
        .with_columns(pl.col(sums).fill_null(0))
    )
    mined = joined.filter(pl.col("candidates") > 0)
    share = (mined.get_column("fate") == "kept").mean() if mined.height else 1.0
    return joined.select(
        "query_id",
        "fate",
        "reason",
        "wanted",
        "got",
        "candidates",
        *sums,
        "lowest_rank",
        "highest_rank",
        "ranks",
        copies=pl.len().over("query_id"),
        query_known=_flag("query_known"),
        published=_flag("published"),
        full_share=pl.lit(share, dtype=pl.Float64),
    )


def candidates_view(ledger: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
    """Give the sums over each query's candidates beside the number of its negatives."""
    return ledger.join(counted.select("query_id", "negatives"), on="query_id", how="left").with_columns(
        pl.col("negatives").fill_null(0)
    )


def ntuples_view(folder: Path, queries: pl.DataFrame, positives: pl.DataFrame, fates: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of the flat view by split folder beside the rows that the tables call for."""
    wanted = negatives_wanted(fates)
    ranks = read_parts(folder, "negatives", ["query_id", "rank"])
    expected = full_pairs(queries.unique("query_id"), positives, ranks, wanted).height
    files = part_files(folder, "ntuples")
    rows = sum(pq.read_metadata(path).num_rows for path in files)
    found = [("all", rows, expected)] if files else []
    return pl.DataFrame(found, schema={"split": pl.String, "rows": pl.Int64, "expected_rows": pl.Int64}, orient="row")


def negatives_by_query(folder: Path) -> pl.DataFrame:
    """Count the negatives and their ranks for each query."""
    ranks = read_parts(folder, "negatives", ["query_id", "rank"])
    return ranks.group_by("query_id").agg(
        negatives=pl.len(),
        lowest_rank=pl.col("rank").min(),
        highest_rank=pl.col("rank").max(),
        ranks=pl.col("rank").n_unique(),
    )


def candidates_by_query(selection: Path) -> pl.DataFrame:
    """Sum up the candidates of `selection` for each query, streaming."""
    chosen = pl.col("position").is_not_null()
    unfit = chosen & (pl.col("is_positive") | pl.col("rejected_by").is_not_null())
    finite = pl.all_horizontal(pl.col(name).is_finite().fill_null(value=True) for name in ("score", "positive_score"))
    return (
        scan_parts(selection, "candidates")
        .group_by("query_id")
        .agg(
            candidate_rows=pl.len(),
            documents=pl.col("doc_id").hash().n_unique(),  # two ids of one hash would fail the check, not pass it
            chosen=chosen.sum(),
            chosen_unfit=unfit.sum(),
            not_finite=(~finite).sum(),
        )
        .sort("query_id")
        .collect(engine="streaming")
    )


def fingerprinted_documents(folder: Path) -> pl.DataFrame:
    """Give doc_id, length and hash of each document of the set, read a file at a time."""
    length = pl.col("text").str.len_chars() + pl.col("title").fill_null("").str.len_chars()
    return pl.concat(
        read_table(part).select("doc_id", text_length=length, text_hash=_text_hash())
        for part in part_files(folder, "documents")
    )


def _text_hash() -> pl.Expr:
    return pl.struct("title", "text").hash()


def _resolved(frame: pl.DataFrame, queries: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Mark the rows of `frame` whose query and document are published."""
    return frame.join(
        _marked(queries.select("query_id").unique(), "query_known"), on="query_id", how="left", maintain_order="left"
    ).join(_marked(documents.select("doc_id").unique(), "doc_known"), on="doc_id", how="left", maintain_order="left")


def _marked(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value=True).alias(name))


def _flag(name: str) -> pl.Expr:
    return pl.col(name).fill_null(value=False)
