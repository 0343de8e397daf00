"""How well a run, or an encoder, finds the positives: nDCG@10, MRR@10 and recall@100 by ir-measures.

Ties go to the smaller document id, as everywhere in negset. (trec_eval gives them to the larger one, so it is
handed ranks in place of scores.)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import ir_measures
import numpy as np
import polars as pl
from ir_measures import RR, R, nDCG
from numpy.typing import NDArray

from negset.errors import ConfigError, ContractError, listed
from negset.search import Hits, join_hits, no_hits, search_exact, top_hits
from negset.text import document_texts

MEASURES: Final = {"ndcg_at_10": nDCG @ 10, "mrr_at_10": RR @ 10, "recall_at_100": R @ 100}

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Turn texts into vectors of length one, (n, d)."""


class Collection(Protocol):
    """Documents, queries and qrels: a snapshot, or tables in memory."""

    def partitions(self) -> list[str]:
        """Name the parts of the documents."""

    def documents(self, partition: str | None = None) -> pl.DataFrame:
        """Give `doc_id`, `title` and `text` of one part, or of all, sorted by `doc_id`."""

    def queries(self) -> pl.DataFrame:
        """Give `query_id`, `text` and `split`, sorted by `query_id`."""

    def qrels(self) -> pl.DataFrame:
        """Give `query_id`, `doc_id` and `relevance`."""


@dataclass(frozen=True)
class Metrics:
    """Means over queries, and the value of each.

    `per_query` holds `query_id` and one column for each measure, sorted. `without_positive` counts the queries
    that cannot be measured.
    """

    queries: int
    without_positive: int
    ndcg_at_10: float
    mrr_at_10: float
    recall_at_100: float
    per_query: pl.DataFrame

    def numbers(self) -> dict[str, float | int]:
        """Give counts and means, rounded to 6 digits, as they are written to files."""
        means = {name: round(float(getattr(self, name)), 6) for name in MEASURES}
        return {"queries": self.queries, "without_positive": self.without_positive, **means}


@dataclass(frozen=True)
class Measurement:
    """What an encoder measures, and the run (query_id, doc_id, score) that was measured."""

    metrics: Metrics
    run: pl.DataFrame


def evaluate_run(qrels: pl.DataFrame, run: pl.DataFrame) -> Metrics:
    """Measure `run` (query_id, doc_id, score) against `qrels` (query_id, doc_id, relevance).

    Counts every query with a document of relevance 1 or more; one that the run lacks scores 0. The gain of
    nDCG is the relevance itself (linear, as in trec_eval).
    Raises ContractError for a score that is no finite number, ConfigError where no query has a positive.
    """
    bad = run.filter(~pl.col("score").is_finite().fill_null(value=False))
    if bad.height:
        pairs = [f"{query} {doc}" for query, doc in bad.select("query_id", "doc_id").iter_rows()]
        message = f"the run has {bad.height} scores that are null or not finite: {listed(pairs)}"
        raise ContractError(message)
    positives = qrels.filter(pl.col("relevance") >= 1).group_by("query_id", "doc_id").agg(pl.col("relevance").max())
    judged = positives.get_column("query_id").unique().sort()
    if judged.is_empty():
        message = "nothing to measure: no query of the qrels has a document of relevance 1 or more"
        raise ConfigError(message)
    ordered = (
        run.join(judged.to_frame(), on="query_id", how="semi")
        .sort(["query_id", "score", "doc_id"], descending=[False, True, False])
        .unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        .with_columns(score=-pl.int_range(pl.len()).over("query_id").cast(pl.Float64))
    )
    per_query = _measure(_nested(positives, "relevance"), _nested(ordered, "score"), judged)
    return _summarise(per_query, qrels.get_column("query_id").n_unique() - len(judged))


def evaluate_encoder(
    encode_query: Encode, encode_document: Encode, snapshot: Collection, split: str, depth: int = 100
) -> Metrics:
    """Rank the whole corpus for each query of `split` and measure the run, as `measure_encoder` does."""
    return measure_encoder(encode_query, encode_document, snapshot, split, depth).metrics


def measure_encoder(
    encode_query: Encode, encode_document: Encode, snapshot: Collection, split: str, depth: int = 100
) -> Measurement:
    """Rank the whole corpus for each query of `split` by inner product, exactly; give the run and what it measures.

    Reads one partition of the documents at a time; the `depth` best are kept. Queries without a positive are
    counted and left out.
    Raises ConfigError where `split` has no query with a positive.
    """
    queries = split_queries(snapshot, split)
    positives = snapshot.qrels().filter(pl.col("relevance") >= 1)
    measured = queries.join(positives, on="query_id", how="semi").sort("query_id")
    if measured.is_empty():
        message = f"nothing to measure: none of the {queries.height} queries of split {split!r} has a positive"
        raise ConfigError(message)
    run = rank_corpus(encode_query, encode_document, snapshot, measured, depth)
    metrics = evaluate_run(positives.join(measured, on="query_id", how="semi"), run)
    return Measurement(_summarise(metrics.per_query, queries.height - measured.height), run)


def split_queries(snapshot: Collection, split: str) -> pl.DataFrame:
    """Give the queries of `split`; raise ConfigError naming the splits there are where it has none."""
    queries = snapshot.queries()
    chosen = queries.filter(pl.col("split") == split)
    if chosen.is_empty():
        known = queries.get_column("split").unique().sort().to_list()
        message = f"no query has split {split!r}; the splits are {listed(known)}. Set train.held_out or train.split"
        raise ConfigError(message)
    return chosen


def rank_corpus(
    encode_query: Encode, encode_document: Encode, snapshot: Collection, queries: pl.DataFrame, depth: int
) -> pl.DataFrame:
    """Give the run (query_id, doc_id, score) of the `depth` best documents of each of `queries`."""
    vectors_QD = encode_query(queries.get_column("text").to_list())
    k_Q = np.full(queries.height, depth, dtype=np.int64)
    doc_ids = pl.concat([snapshot.documents(name).get_column("doc_id") for name in snapshot.partitions()]).sort()
    row_of = doc_ids.to_frame().with_row_index("row")
    hits = no_hits()
    for name in snapshot.partitions():
        documents = snapshot.documents(name)
        rows = documents.select("doc_id").join(row_of, on="doc_id", maintain_order="left").get_column("row").to_numpy()
        texts = document_texts(documents).to_list()
        if texts:
            found = search_exact(vectors_QD, encode_document(texts), k_Q)
            found = Hits(found.query, rows[found.doc].astype(np.int64), found.score)
            hits = top_hits(join_hits([hits, found]), k_Q)
    return pl.DataFrame(
        {
            "query_id": queries.get_column("query_id").gather(hits.query),
            "doc_id": doc_ids.gather(hits.doc),
            "score": hits.score,
        }
    )


def restrict_metrics(metrics: Metrics, query_ids: Iterable[str]) -> Metrics | None:
    """Give the means over those of `query_ids` that were measured; None where there is none."""
    wanted = pl.DataFrame({"query_id": sorted(set(query_ids))}, schema={"query_id": pl.String})
    chosen = metrics.per_query.join(wanted, on="query_id", how="semi", maintain_order="left")
    return None if chosen.is_empty() else _summarise(chosen, 0)


def _nested(pairs: pl.DataFrame, value: str) -> dict[str, dict[str, float]]:
    """Give query to document to `value`, the form that ir-measures reads fastest."""
    grouped = pairs.group_by("query_id").agg("doc_id", value)
    return {query: dict(zip(docs, values, strict=True)) for query, docs, values in grouped.iter_rows()}


def _measure(qrels: dict[str, dict[str, float]], run: dict[str, dict[str, float]], judged: pl.Series) -> pl.DataFrame:
    name_of = {measure: name for name, measure in MEASURES.items()}
    rows = [(m.query_id, name_of[m.measure], m.value) for m in ir_measures.iter_calc(list(name_of), qrels, run)]
    long = pl.DataFrame(
        rows, schema={"query_id": pl.String, "measure": pl.String, "value": pl.Float64}, orient="row"
    ).pivot("measure", on_columns=list(MEASURES), index="query_id", values="value")
    return judged.to_frame().join(long, on="query_id", how="left").with_columns(pl.col(list(MEASURES)).fill_null(0.0))


def _summarise(per_query: pl.DataFrame, without_positive: int) -> Metrics:
    ordered = per_query.sort("query_id")
    ndcg, mrr, recall = (float(np.mean(ordered.get_column(name).to_numpy())) for name in MEASURES)
    return Metrics(ordered.height, without_positive, ndcg, mrr, recall, ordered)
