"""Arrow schema of every table that is written to disk.

Nothing is written in any other shape: `negset.tables.write_table` casts to the schema registered here.
Timestamps are UTC microseconds, ids are strings, `rank` counts from 1.
"""

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = "1.3.0"
"""Semantic version of the tables. A removed or retyped column raises the first number."""

_IDS: Final = pa.string()
_HASH: Final = pa.binary(32)
_WORD: Final = pa.dictionary(pa.int32(), pa.string())
_TIME: Final = pa.timestamp("us", tz="UTC")
_SCORES: Final = pa.list_(
    pa.field(
        "element",
        pa.struct([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.float32(), nullable=False)]),
        nullable=False,
    )
)
_RANK_NOTE: Final = {"note": "counts from 1"}


def _required(name: str, kind: pa.DataType, note: dict[str, str] | None = None) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata=note)


CORPUS: Final = pa.schema(
    [
        _required("doc_id", _IDS),
        pa.field("title", pa.string()),
        _required("text", pa.string()),
        pa.field("created_at", _TIME),
        pa.field("metadata", pa.string(), metadata={"note": "other source columns as canonical JSON"}),
        _required("text_sha256", _HASH, {"note": "of the normalised title and text"}),
    ]
)
QUERIES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("text", pa.string()),
        _required("split", pa.string()),
        pa.field("asked_at", _TIME),
        pa.field("metadata", pa.string(), metadata={"note": "other source columns as canonical JSON"}),
        _required("text_sha256", _HASH, {"note": "of the normalised text"}),
    ]
)
QRELS: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("relevance", pa.int32(), {"note": ">= 1 positive, 0 judged negative, < 0 as the source defines"}),
        _required("split", pa.string()),
        pa.field("judged_at", _TIME, metadata={"note": "earliest judgement of this relevance; null: always known"}),
    ]
)
QUARANTINE: Final = pa.schema(
    [
        _required("file", pa.string()),
        pa.field("line", pa.int64(), metadata={"note": "counts from 1; null where the file has no lines"}),
        pa.field("column", pa.string()),
        _required("reason", pa.string()),
        _required("sha256", pa.string(), {"note": "of the raw row, in hex"}),
    ]
)
SCORED_CANDIDATES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("miner", _WORD, {"note": "first miner, in the configured order, that proposed the document"}),
        pa.field("rank", pa.int32(), metadata=_RANK_NOTE),
        pa.field("score", pa.float32()),
        pa.field("positive_score", pa.float32(), metadata={"note": "lowest score among the query's positives"}),
        _required("is_positive", pa.bool_()),
        _required("scores", _SCORES),
        pa.field("rejected_by", _WORD),
        pa.field("rejected_value", pa.float32()),
        pa.field("rejected_threshold", pa.float32()),
        _required("relabelled", pa.bool_(), {"note": "rejected as a negative and published as a positive"}),
        pa.field("position", pa.int32(), metadata={"note": "place among the chosen, from 1; null if not chosen"}),
    ]
)
SET_QUERIES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("text", pa.string()),
        _required("split", pa.string()),
        pa.field("metadata", pa.string()),
    ]
)
SET_DOCUMENTS: Final = pa.schema(
    [_required("doc_id", _IDS), pa.field("title", pa.string()), _required("text", pa.string())]
)
SET_POSITIVES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("relevance", pa.int32()),
        pa.field("score", pa.float32()),
        _required("source", _WORD, {"note": "labelled by the source, or relabelled by a rule"}),
        _required("split", pa.string()),
    ]
)
SET_FALSE_NEGATIVES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("reason", _WORD, {"note": "the rule that suspects the document to be relevant"}),
        pa.field("value", pa.float32()),
        pa.field("threshold", pa.float32()),
        _required("split", pa.string()),
    ]
)
SET_DIAGNOSTICS: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("split", pa.string()),
        _required("negatives", pa.int32(), {"note": "that have a score"}),
        pa.field("positive", pa.float64(), metadata={"note": "lowest score among the positives"}),
        pa.field("negative_mean", pa.float64()),
        pa.field("negative_variance", pa.float64()),
        pa.field("negative_log_mean_exp", pa.float64(), metadata={"note": "of scores / 0.05"}),
        pa.field("positive_log_exp", pa.float64(), metadata={"note": "positive / 0.05"}),
    ]
)
SET_NEGATIVES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("rank", pa.int32(), {"note": "by hardness, counts from 1"}),
        _required("miner", _WORD),
        pa.field("miner_rank", pa.int32(), metadata=_RANK_NOTE),
        pa.field("score", pa.float32()),
        pa.field("positive_score", pa.float32()),
        _required("scores", _SCORES),
        _required("weight", pa.float32()),
        pa.field("sample_prob", pa.float32()),
        _required("source", _WORD, {"note": "mined, random, generated or judged"}),
        pa.field("positive_id", _IDS),
        _required("split", pa.string()),
    ]
)
FATES: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("fate", _WORD, {"note": "kept, short or dropped"}),
        pa.field("reason", _WORD),
        _required("wanted", pa.int32()),
        _required("got", pa.int32()),
        _required("candidates", pa.int32()),
        _required("split", pa.string()),
    ]
)
PAIR_STATS: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("positive_id", _IDS),
        _required("epoch", pa.int32(), {"note": "counts from 0"}),
        _required("loss", pa.float64(), {"note": "of the query with this positive, the mean where it came twice"}),
    ]
)
RANKINGS: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("model", _WORD, {"note": "before or after training"}),
        _required("rank", pa.int32(), _RANK_NOTE),
        _required("score", pa.float32()),
    ]
)
TRAINED: Final = pa.schema(
    [
        _required("query_id", _IDS),
        _required("positives", pa.int32()),
        _required("negatives", pa.int32()),
        _required("words", pa.int64(), {"note": "of the query, its positives and its negatives"}),
    ]
)
BATCH_PLAN: Final = pa.schema(
    [
        _required("epoch", pa.int32(), {"note": "counts from 0"}),
        _required("batch", pa.int32(), {"note": "in its epoch, counts from 0"}),
        _required("slot", pa.int32(), {"note": "in its batch, counts from 0"}),
        _required("query_id", _IDS),
        _required("positive_id", _IDS),
        pa.field(
            "negative_ids",
            pa.list_(pa.field("element", _IDS, nullable=False)),
            metadata={"note": "the hard negatives of this visit; null: all that the set has"},
        ),
        pa.field("group_id", _IDS, metadata={"note": "what the queries of a group share, or the query it grew around"}),
        _required("group_kind", _WORD, {"note": "cluster, geo, knn, prototype, task, level, version or none"}),
        _required("in_batch", pa.bool_(), {"note": "whether what the other queries of the batch bring is a negative"}),
        pa.field("neighbour_rank", pa.int32(), metadata={"note": "of the group's first query: 0 itself, then from 1"}),
        pa.field("distance", pa.float32(), metadata={"note": "to the group's first query: km, or 1 - cosine"}),
        pa.field("sample_prob", pa.float32(), metadata={"note": "chance with which the row, or its pair, was drawn"}),
        _required("weight", pa.float32()),
        pa.field("stage", _WORD, metadata={"note": "phase of a curriculum"}),
        pa.field("set_version", _IDS, metadata={"note": "whose negatives these are, where not the set's own version"}),
        _required("strategy", _WORD),
    ]
)
BATCH_MASKS: Final = pa.schema(
    [
        _required("epoch", pa.int32()),
        _required("batch", pa.int32()),
        _required("slot", pa.int32()),
        _required("query_id", _IDS),
        _required("doc_id", _IDS),
        _required("reason", _WORD, {"note": "known_positive, or suspect: too alike to count as a negative"}),
        pa.field("value", pa.float32(), metadata={"note": "of a suspect, what was compared"}),
    ]
)
SHARD_TEXTS: Final = pa.schema([_required("sha256", _HASH, {"note": "of the exact text, with its role"})])
COUNTED_DOCUMENTS: Final = pa.schema([_required("doc_id", _IDS)])
TERMS: Final = pa.schema(
    [_required("term", pa.string()), _required("documents", pa.int64(), {"note": "that hold the term"})]
)

REGISTERED: Final[dict[str, pa.Schema]] = {
    "corpus": CORPUS,
    "snapshot_queries": QUERIES,
    "qrels": QRELS,
    "quarantine": QUARANTINE,
    "candidates": SCORED_CANDIDATES,
    "queries": SET_QUERIES,
    "documents": SET_DOCUMENTS,
    "positives": SET_POSITIVES,
    "false_negatives": SET_FALSE_NEGATIVES,
    "negatives": SET_NEGATIVES,
    "diagnostics": SET_DIAGNOSTICS,
    "fates": FATES,
    "batch_plan": BATCH_PLAN,
    "batch_masks": BATCH_MASKS,
    "shard_texts": SHARD_TEXTS,
    "counted_documents": COUNTED_DOCUMENTS,
    "terms": TERMS,
    "pair_stats": PAIR_STATS,
    "rankings": RANKINGS,
    "trained": TRAINED,
}
"""Table name to schema. `ntuples` is not here: its width follows the number of negatives (`ntuples_schema`)."""

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "corpus": ("doc_id",),
    "snapshot_queries": ("query_id",),
    "qrels": ("query_id", "doc_id", "split"),
    "quarantine": ("file", "line", "reason", "sha256"),
    "candidates": ("query_id", "doc_id"),
    "queries": ("query_id",),
    "documents": ("doc_id",),
    "positives": ("query_id", "doc_id"),
    "false_negatives": ("query_id", "doc_id"),
    "negatives": ("query_id", "rank"),
    "diagnostics": ("query_id",),
    "fates": ("query_id",),
    "ntuples": (),
    "batch_plan": ("epoch", "batch", "slot"),
    "batch_masks": ("epoch", "batch", "slot", "doc_id"),
    "shard_texts": ("sha256",),
    "counted_documents": ("doc_id",),
    "terms": ("term",),
    "pair_stats": ("query_id", "positive_id", "epoch"),
    "rankings": ("query_id", "model", "rank"),
    "trained": ("query_id",),
}
"""Sort key of each table: unique, so that the order of its rows is one order."""


def ntuples_schema(negatives: int) -> pa.Schema:
    """Give the schema of the flat view: query, positive and `negatives` columns of texts, in that order."""
    names = ["query", "positive", *(f"negative_{place}" for place in range(1, negatives + 1))]
    return pa.schema([_required(name, pa.string()) for name in names])
