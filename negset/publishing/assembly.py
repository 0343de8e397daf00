"""Lay out the tables of a version from a selection and the snapshot that it was made from."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from negset.mining.diagnostics import score_statistics
from negset.publishing.flat_view import full_queries, negatives_wanted, write_tuples
from negset.publishing.parts import as_strings, part_files, part_path, read_parts, scan_parts, write_parts
from negset.snapshot import Snapshot
from negset.tables import Told, told_nobody
from schemas.manifest import CandidateFunnel, QueryFunnel, SetCounts

SELECTED = ("negatives", "fates", "candidates")
"""Tables that a selection gives; the others are made here."""


def assemble_set(
    selection: Path,
    snapshot: Snapshot,
    folder: Path,
    *,
    keep_candidates: bool = True,
    suspects: Sequence[str] = (),
    told: Told = told_nobody,
) -> SetCounts:
    """Write the tables of a set below `folder`/data and give what was counted.

    The folder `selection` holds candidates, negatives and fates, as data/<table>/part-*.parquet or
    <table>.parquet; their files are copied, unless `folder` is the same. Only queries that were kept or are
    short are published, with their texts, positives and every document that they refer to. What one of the rules
    `suspects` rejected is published as a false negative where the set has the document, since a trainer may meet it
    as another query's.
    """
    fates = read_parts(selection, "fates")
    negatives = read_parts(selection, "negatives", ["query_id", "doc_id", "rank", "split", "score", "positive_score"])
    candidates = scan_parts(selection, "candidates")
    queries = published_queries(snapshot, fates)
    positives = published_positives(snapshot, queries, candidates)
    documents = referenced_documents(snapshot, positives, negatives)
    wanted = negatives_wanted(fates)
    for table in SELECTED if keep_candidates else SELECTED[:2]:
        copy_parts(selection, table, folder)
    doubtful = false_negatives(candidates, queries, documents, suspects)
    made = {
        "queries": queries,
        "documents": documents,
        "positives": positives,
        "false_negatives": doubtful,
        "diagnostics": score_statistics(negatives),
    }
    with ThreadPoolExecutor(2) as workers:  # Parquet is written on one thread a file
        flat = workers.submit(write_tuples, queries, documents, positives, negatives, wanted, folder, told)
        tables = [workers.submit(write_parts, frame, table, folder, told) for table, frame in made.items()]
        funnel = candidate_funnel(candidates)
        tuples, _ = flat.result(), [written.result() for written in tables]
    rows = {table: frame.height for table, frame in {**made, "negatives": negatives, "fates": fates}.items()}
    with_split = {
        "queries": queries,
        "positives": positives,
        "false_negatives": doubtful,
        "negatives": negatives,
        "fates": fates,
    }
    return SetCounts(
        negatives_wanted=wanted,
        rows={**rows, "ntuples": sum(tuples.values())} | ({"candidates": funnel.mined} if keep_candidates else {}),
        rows_by_split={**{name: counts(frame["split"]) for name, frame in with_split.items()}, "ntuples": tuples},
        queries=query_funnel(fates),
        candidates=funnel,
        queries_without_tuple=queries.join(full_queries(negatives, wanted), on="query_id", how="anti").height,
    )


def copy_parts(selection: Path, table: str, folder: Path) -> None:
    """Copy the files of `table` from `selection` to `folder`, unless they are there."""
    if selection.resolve() == folder.resolve():
        return
    place = folder / "data" / table
    place.mkdir(parents=True)
    for number, path in enumerate(part_files(selection, table)):
        shutil.copyfile(path, part_path(place, number))


def published_queries(snapshot: Snapshot, fates: pl.DataFrame) -> pl.DataFrame:
    """Give the queries of `snapshot` that were kept or are short by `fates`."""
    alive = fates.filter(pl.col("fate").is_in(["kept", "short"])).select("query_id")
    return snapshot.queries().join(alive, on="query_id", how="semi").drop("text_sha256", "asked_at")


def published_positives(snapshot: Snapshot, queries: pl.DataFrame, candidates: pl.LazyFrame) -> pl.DataFrame:
    """Give each positive of `queries` once, with its score where it is among the `candidates`.

    A pair that is judged in several splits counts in its query's own; failing that, in the first by name. What a
    rule relabelled comes with relevance 1, in its query's split.
    """
    scores = candidates.filter(pl.col("is_positive")).select("query_id", "doc_id", "score")
    labelled = (
        snapshot.qrels()
        .filter(pl.col("relevance") >= 1)
        .join(queries.select("query_id", own=pl.col("split")), on="query_id")
        .sort("query_id", "doc_id", pl.col("split") != pl.col("own"), "split")
        .unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        .join(scores.collect(engine="streaming"), on=["query_id", "doc_id"], how="left", maintain_order="left")
        .select("query_id", "doc_id", "relevance", "score", pl.lit("labelled").alias("source"), "split")
    )
    found = candidates.filter("relabelled").select("query_id", "doc_id", "score").collect(engine="streaming")
    relabelled = found.join(queries.select("query_id", "split"), on="query_id").select(
        "query_id",
        "doc_id",
        pl.lit(1, dtype=labelled.schema["relevance"]).alias("relevance"),
        "score",
        pl.lit("relabelled").alias("source"),
        "split",
    )
    return pl.concat([labelled, relabelled]).sort("query_id", "doc_id") if relabelled.height else labelled


def false_negatives(
    candidates: pl.LazyFrame, queries: pl.DataFrame, documents: pl.DataFrame, suspects: Sequence[str]
) -> pl.DataFrame:
    """Give the pairs of `queries` and `documents` that one of the rules `suspects` rejected, sorted by pair."""
    doubtful = (
        candidates.filter(pl.col("rejected_by").is_in(list(suspects)) & ~pl.col("is_positive") & ~pl.col("relabelled"))
        .select("query_id", "doc_id", reason="rejected_by", value="rejected_value", threshold="rejected_threshold")
        .collect(engine="streaming")
    )
    return (
        as_strings(doubtful)
        .join(documents.select("doc_id"), on="doc_id", how="semi")
        .join(queries.select("query_id", "split"), on="query_id")
        .sort("query_id", "doc_id")
    )


def referenced_documents(snapshot: Snapshot, *referring: pl.DataFrame) -> pl.DataFrame:
    """Give every document whose doc_id stands in the `referring` frames, once, a partition at a time."""
    wanted = pl.concat([frame.select("doc_id") for frame in referring]).unique()
    found = [
        snapshot.documents(partition).join(wanted, on="doc_id", how="semi").select("doc_id", "title", "text")
        for partition in snapshot.partitions()
    ]
    return pl.concat(found).sort("doc_id")


def query_funnel(fates: pl.DataFrame) -> QueryFunnel:
    """Count `fates`: kept, short, dropped by reason."""
    dropped = fates.filter(pl.col("fate") == "dropped").get_column("reason").fill_null("unknown")
    return QueryFunnel(
        total=fates.height,
        kept=fates.filter(pl.col("fate") == "kept").height,
        short=fates.filter(pl.col("fate") == "short").height,
        dropped=counts(dropped),
    )


def candidate_funnel(candidates: pl.LazyFrame) -> CandidateFunnel:
    """Count where each of the `candidates` ended: positive, else rejected, else chosen, else not sampled."""
    found = candidates.select("rejected_by", "is_positive", taken=pl.col("position").is_not_null())
    end = (
        pl.when("is_positive")
        .then(pl.lit("positive"))
        .when(pl.col("rejected_by").is_not_null())
        .then(pl.lit("rejected"))
        .when("taken")
        .then(pl.lit("chosen"))
        .otherwise(pl.lit("not_sampled"))
    )
    kinds = found.group_by("rejected_by", "is_positive", "taken").len().collect(engine="streaming")
    counted = kinds.with_columns(pl.col("rejected_by").cast(pl.String), end=end)
    totals = {str(name): int(rows) for name, rows in counted.group_by("end").agg(pl.col("len").sum()).iter_rows()}
    rejected = counted.filter(pl.col("end") == "rejected").group_by("rejected_by").agg(pl.col("len").sum())
    return CandidateFunnel(
        mined=sum(totals.values()),
        positives=totals.get("positive", 0),
        rejected={str(rule): int(rows) for rule, rows in rejected.sort("rejected_by").iter_rows()},
        not_sampled=totals.get("not_sampled", 0),
        chosen=totals.get("chosen", 0),
    )


def counts(values: pl.Series) -> dict[str, int]:
    """Count each of `values`, in order."""
    counted = values.rename("value").value_counts().sort("value")
    return {str(value): int(count) for value, count in counted.iter_rows()}
