"""A tiny set, made by hand: five queries, twelve documents, two negatives wanted."""

import sys
from dataclasses import dataclass, replace  # noqa: F401 - tests change drafts by it
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from negset.fingerprint import file_digest
from negset.publishing.assembly import assemble_set
from negset.publishing.publish import Draft, publish_set
from negset.tables import write_table
from negset.text import document_text, text_digest
from schemas.expectations import CheckResult, GateReport
from schemas.manifest import (
    Builder,
    EncoderIdentity,
    RecipeIdentity,
    RuleIdentity,
    SetCounts,
    SetFacts,
    SourceIdentity,
)

DOCUMENTS = [
    ("d01", "Red", "a colour of blood"),
    ("d02", None, "the colour at the long end"),
    ("d03", "RED", "a  colour of blood"),  # the same as d01 once normalised
    ("d04", None, "how to bake bread"),
    ("d05", None, "green is a colour <script>alert('d05')</script>"),
    ("d06", "Blue", "the colour of the sky"),
    ("d07", None, "wine may be red"),
    ("d08", "Diving", "is not swimming"),
    ("d09", None, "move your arms and legs"),
    ("d10", None, "sharks swim"),
    ("d11", "", "what is red"),  # the same as q1 once normalised
    ("d12", None, "nobody refers to this one"),
]
QUERIES = [
    ("q1", "What is red", "train"),
    ("q2", "what is  RED", "train"),  # the same as q1 once normalised
    ("q3", "how to swim", "test"),
    ("q4", "nothing is near", "train"),
    ("q5", "which fish swim", "train"),
]
QRELS = [
    ("q1", "d01", 1, "train"),
    ("q2", "d02", 2, "train"),
    ("q3", "d09", 1, "test"),
    ("q3", "d04", 0, "test"),
    ("q4", "d04", 1, "train"),
    ("q5", "d10", 1, "train"),
]
# query, document, miner, rank, score, positive's score, is_positive, rejected by, value, threshold, position
CANDIDATES = [
    ("q1", "d01", "dense", 1, 0.9, 0.9, True, "known_positive", None, None, None),
    ("q1", "d02", "dense", 2, 0.88, 0.9, True, "known_positive", None, None, None),
    ("q1", "d07", "dense", 3, 0.87, 0.9, False, "percent_of_positive", 0.87, 0.855, None),
    ("q1", "d05", "dense", 4, 0.8, 0.9, False, None, None, None, 1),
    ("q1", "d06", "bm25", 5, 0.7, 0.9, False, None, None, None, 2),
    ("q1", "d08", "bm25", 6, 0.6, 0.9, False, None, None, None, None),
    ("q2", "d05", "dense", 1, 0.8, 0.95, False, None, None, None, 1),
    ("q2", "d07", "dense", 2, 0.5, 0.95, False, None, None, None, 2),
    ("q3", "d06", "dense", 1, 0.4, 0.8, False, None, None, None, 1),
    ("q3", "d08", "random", None, None, 0.8, False, None, None, None, 2),
    ("q5", "d05", "dense", 1, 0.3, 0.7, False, None, None, None, 1),
]
FATES = [
    ("q1", "kept", None, 2, 2, 6, "train"),
    ("q2", "kept", None, 2, 2, 2, "train"),
    ("q3", "kept", None, 2, 2, 2, "test"),
    ("q4", "dropped", "no_candidates", 2, 0, 0, "train"),
    ("q5", "short", "percent_of_positive", 2, 1, 1, "train"),
]


@dataclass(frozen=True)
class HandMade:
    """A snapshot of the tables above, cut into `parts` partitions."""

    parts: int = 2
    document_rows: tuple = tuple(DOCUMENTS)
    query_rows: tuple = tuple(QUERIES)
    qrel_rows: tuple = tuple(QRELS)
    asked: tuple = ()
    created: tuple = ()
    """Pairs of id and time, where they are not the usual ones: no time, and the first of 2026."""

    def partitions(self):
        return [f"b{number}" for number in range(self.parts)]

    def documents(self, partition=None):
        rows = [
            {
                "doc_id": doc_id,
                "title": title,
                "text": text,
                "created_at": dict(self.created).get(doc_id, datetime(2026, 1, 1, tzinfo=UTC)),
                "metadata": None,
                "text_sha256": text_digest(document_text(title, text)),
            }
            for number, (doc_id, title, text) in enumerate(self.document_rows)
            if partition is None or number % self.parts == int(partition[1:])
        ]
        return pl.DataFrame(
            rows, schema_overrides={"title": pl.String, "metadata": pl.String, "created_at": pl.Datetime("us", "UTC")}
        )

    def document_columns(self, *columns):
        return self.documents().select(columns)

    def queries(self):
        rows = [
            {
                "query_id": query_id,
                "text": text,
                "split": split,
                "asked_at": dict(self.asked).get(query_id),
                "metadata": None,
                "text_sha256": text_digest(text),
            }
            for query_id, text, split in self.query_rows
        ]
        return pl.DataFrame(rows, schema_overrides={"asked_at": pl.Datetime("us", "UTC"), "metadata": pl.String})

    def qrels(self):
        return pl.DataFrame(
            list(self.qrel_rows),
            schema={"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32, "split": pl.String},
            orient="row",
        )


def candidate_frame():
    names = ["query_id", "doc_id", "miner", "rank", "score", "positive_score", "is_positive"]
    names += ["rejected_by", "rejected_value", "rejected_threshold", "position"]
    frame = pl.DataFrame(CANDIDATES, schema=names, orient="row", infer_schema_length=None)
    return frame.with_columns(
        scores=pl.concat_list(pl.struct(name=pl.lit("dense"), value=pl.col("score").cast(pl.Float32))).list.filter(
            pl.element().struct.field("value").is_not_null()
        ),
        rejected_by=pl.col("rejected_by").cast(pl.String),
        relabelled=pl.lit(value=False),
    )


def negative_frame():
    chosen = candidate_frame().filter(pl.col("position").is_not_null())
    splits = pl.DataFrame(QUERIES, schema=["query_id", "text", "split"], orient="row").drop("text")
    return chosen.join(splits, on="query_id").select(
        "query_id",
        "doc_id",
        "miner",
        "score",
        "positive_score",
        "scores",
        "split",
        rank=pl.col("position").cast(pl.Int32),
        miner_rank="rank",
        weight=pl.lit(1.0),
        sample_prob=pl.lit(None, dtype=pl.Float32),
        source=pl.when(pl.col("miner") == "random").then(pl.lit("random")).otherwise(pl.lit("mined")),
        positive_id=pl.lit(None, dtype=pl.String),
    )


def fate_frame():
    names = ["query_id", "fate", "reason", "wanted", "got", "candidates", "split"]
    return pl.DataFrame(FATES, schema=names, orient="row")


@dataclass(frozen=True)
class Staged:
    """A staged set: its `folder`, what was counted, its snapshot and the folder of the selection."""

    folder: Path
    counts: SetCounts
    snapshot: HandMade
    selection: Path


def stage(folder: Path, *, parts: int = 2, keep_candidates: bool = True) -> Staged:
    selection = folder.with_name(f"{folder.name}-selection")
    selection.mkdir(parents=True)
    write_table(candidate_frame(), "candidates", selection / "candidates.parquet")
    write_table(negative_frame(), "negatives", selection / "negatives.parquet")
    write_table(fate_frame(), "fates", selection / "fates.parquet")
    snapshot = HandMade(parts)
    counts = assemble_set(
        selection, snapshot, folder, keep_candidates=keep_candidates, suspects=["percent_of_positive"]
    )
    return Staged(folder, counts, snapshot, selection)


@pytest.fixture
def staged(tmp_path):
    """Give the tiny set, staged."""
    return stage(tmp_path / "staged")


def gate_report(folder: Path, **changes):
    """Give a report that lets the files in `folder` pass, as the gates would write it."""
    check = CheckResult(
        name="negatives_present",
        description="The negatives table has rows <b>",
        table="negatives",
        severity="critical",
        passed=True,
        unexpected=0,
    )
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in folder.rglob("*.parquet")}
    return GateReport(**{"expected": 1, "evaluated": 1, "checks": (check,), "files": files} | changes)


def set_facts(**changes):
    rules = (
        RuleIdentity(rule="known_positive", version=1, options={}),
        RuleIdentity(rule="top", version=1, options={"k": 2}),
    )
    facts = {
        "dataset": "tiny",
        "licence": "cc-by-4.0",
        "description": "A tiny set <script>alert('description')</script>",
        "builder": Builder(package="negset", version="0.1.0"),
        "config": {"seed": 13},
        "source": SourceIdentity(format="jsonl", content="c" * 64, counts={"documents": 12, "queries": 5}),
        "encoder": EncoderIdentity(backend="lsa", fingerprint="e" * 64),
        "miners": {"dense": {"depth": 100}},
        "recipe": RecipeIdentity(name="naive", fingerprint="f" * 64, by="dense", seed=13, rules=rules),
    }
    return SetFacts(**{**facts, **changes})


def draft_of(staged: Staged, **changes):
    """Give a draft of `staged` whose gates passed."""
    gates = staged.folder.with_name(f"{staged.folder.name}-gates")
    (gates / "data_docs").mkdir(parents=True)
    (gates / "validation.json").write_text(gate_report(staged.folder).model_dump_json())
    (gates / "data_docs" / "index.html").write_text("<html></html>")
    return Draft(staged.folder, gates, set_facts(**changes), staged.counts, staged.selection, staged.snapshot)


@pytest.fixture
def draft(staged):
    """Give the tiny set, staged and let through by its gates."""
    return draft_of(staged)


@pytest.fixture
def published(draft, tmp_path):
    """Give the folder of the tiny set's one version."""
    ref = publish_set(draft, tmp_path / "sets", by="ada", at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    return Path(ref.path)


@pytest.fixture(scope="session")
def tiny_set():
    """Give this module: its tables and what stages and drafts them."""
    return sys.modules[__name__]
