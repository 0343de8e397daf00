"""Open what plans read of a published set: its tables by number, and vectors, scores and places where asked for."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from negset.arrays import Floats, Matrix
from negset.batching.inputs import PlanInputs, ScoredPairs
from negset.batching.making import make_plan, visits_per_query
from negset.batching.planner import PlanSettings, find_plan, plan_params
from negset.batching.reading import PAPER
from negset.batching.versions import listed_versions
from negset.errors import ArtifactError, ConfigError, hint
from negset.fingerprint import file_digest, fingerprint
from negset.lots import id_keys
from negset.metadata import metadata_values, require_columns
from negset.mining.places import query_degrees
from negset.mining.positives import known_pairs
from negset.progress import Progress, no_progress
from negset.publishing.manifest import version_id
from negset.publishing.reading import PublishedSet
from negset.snapshot import Snapshot
from negset.store import Store, write_durably
from negset.training.examples import Examples, SetTables, build_examples, number_documents
from negset.vectors import find_vectors, open_vectors, vectors_fingerprint
from schemas.batches import PlanManifest, PlanRequest
from schemas.config import GeoConfig
from schemas.refs import EncoderRef

VERSION: Final = 1
"""Raised when the room gives other tables for the same plan and request."""


@dataclass(frozen=True)
class SetView:
    """A published set as a training run sees it, with the snapshot and the store that it was made from."""

    published: PublishedSet
    snapshot: Snapshot
    store: Store
    tables: SetTables
    examples: Examples


def view_set(
    published: PublishedSet, snapshot: Snapshot, store: Store, *, split: str, held_out: str, in_batch: bool = True
) -> SetView:
    """Number the queries of `split` that a training run could use, and their documents, as it would."""
    names = ("queries", "documents", "positives", "negatives")
    tables = SetTables(**{name: published.table(name) for name in names})
    queries = snapshot.queries()
    held_out_texts = queries.filter(pl.col("split") == held_out).get_column("text")
    return SetView(
        published,
        snapshot,
        store,
        tables,
        build_examples(tables, known_pairs(snapshot), held_out_texts, split=split, in_batch=in_batch),
    )


def plan_inputs(view: SetView) -> PlanInputs:
    """Give what plans read of the set in `view`; vectors, scores and the rest are opened where a plan asks for them."""
    examples = view.examples
    return PlanInputs(
        query_ids=examples.query_ids,
        keys_Q=id_keys(examples.query_ids),
        document_ids=examples.document_ids,
        positives=examples.positives,
        known=examples.known,
        negatives=examples.negatives,
        vectors=cache(lambda: query_vectors(view)),
        pairs=cache(lambda by: scored_pairs(view, by)),
        column=lambda name: query_column(view, name),
        places=lambda latitude, longitude: query_places(view, latitude, longitude),
    )


def query_vectors(view: SetView) -> Matrix:
    """Give the vectors that the set was mined with, of the planned queries, (Q, D), scaled to length one.

    Raises ConfigError where the set was mined without vectors, ArtifactError where they are not in the store.
    """
    encoder = view.published.manifest.encoder
    if encoder is None:
        message = (
            f"{view.published.folder} was mined without vectors, and this plan needs them: "
            "build the set with the miner 'dense', or choose the plan 'shuffled' or 'task-pure'"
        )
        raise ConfigError(message)
    named = EncoderRef(fingerprint=encoder.fingerprint, content=encoder.fingerprint, rows=0)
    ref = find_vectors(view.store, vectors_fingerprint(named, view.snapshot.content, "query"))
    if ref is None:
        message = (
            f"the query vectors of encoder {encoder.fingerprint[:16]} are not in {view.store.root}; build the set there"
        )
        raise ArtifactError(message)
    vectors_QD = open_vectors(view.store, ref).gather(view.examples.query_texts)
    length_Q1 = np.sqrt(np.einsum("qd,qd->q", vectors_QD, vectors_QD, dtype=np.float64))[:, None]
    vectors_QD /= np.where(length_Q1 > 0, length_Q1, 1).astype(np.float32)
    return vectors_QD


def scored_pairs(view: SetView, by: str) -> ScoredPairs:
    """Give all pairs of a positive and a hard negative of a query that have scores of `by`, and how far these differ.

    Empty `by` is the score that the set's recipe compared; where the set gives a positive none, it counts as the
    lowest of its query's. Raises ConfigError for a scorer that the set has no scores of.
    """
    negatives, positives = _own_scores(view) if not by else _named_scores(view, by)
    numbered = _numbers(view)
    left = positives.join(numbered, on="doc_id").select("query_id", pl.col("score").alias("high"), positive="document")
    right = negatives.join(numbered, on="doc_id").select("query_id", "score", "lowest", negative="document")
    pairs = (
        left.join(right, on="query_id")
        .join(_query_rows(view), on="query_id")
        .with_columns(margin=pl.coalesce("high", "lowest").cast(pl.Float64) - pl.col("score").cast(pl.Float64))
        .filter(pl.col("margin").is_not_null() & (pl.col("positive") != pl.col("negative")))
        .unique(["query", "positive", "negative"], keep="first")
        .sort("query", "positive", "negative")
    )
    query_P, positive_P, negative_P = (
        pairs.get_column(name).cast(pl.Int64).to_numpy() for name in ("query", "positive", "negative")
    )
    return ScoredPairs(query_P, positive_P, negative_P, pairs.get_column("margin").to_numpy())


def _own_scores(view: SetView) -> tuple[pl.DataFrame, pl.DataFrame]:
    negatives = view.tables.negatives.select("query_id", "doc_id", "score", lowest="positive_score")
    return negatives.filter(pl.col("score").is_not_null()), view.tables.positives.select("query_id", "doc_id", "score")


def _named_scores(view: SetView, by: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the scores of the scorer `by`: those of the positives are in the candidates, where these are published."""
    rows = view.published.table("candidates").select("query_id", "doc_id", "is_positive", "scores")
    named = rows.explode("scores").unnest("scores").filter(pl.col("value").is_not_null())
    known = named.get_column("name").unique().sort().to_list()
    if by not in known:
        message = f"the set has no scores of {by!r}{hint(by, known)}; it has: {', '.join(known) or 'none'}"
        raise ConfigError(message)
    chosen = named.filter(pl.col("name") == by).select("query_id", "doc_id", "is_positive", score="value")
    negatives = view.tables.negatives.select("query_id", "doc_id")
    scored = negatives.join(chosen.filter(~pl.col("is_positive")), on=["query_id", "doc_id"])
    lowest = pl.lit(None, dtype=pl.Float32)
    return (
        scored.select("query_id", "doc_id", "score", lowest=lowest),
        chosen.filter("is_positive").select("query_id", "doc_id", "score"),
    )


def _numbers(view: SetView) -> pl.DataFrame:
    """Give each `doc_id` with the number of the `document` that it, or its twin, is."""
    rows = number_documents(view.tables.documents).select("doc_id", "row")
    first = rows.sort("doc_id").unique("row", keep="first", maintain_order=True)
    used = pl.DataFrame({"first": view.examples.document_ids}).with_row_index("document")
    first = first.join(used, left_on="doc_id", right_on="first").select("row", "document")
    return rows.join(first, on="row").select("doc_id", "document")


def _query_rows(view: SetView) -> pl.DataFrame:
    return pl.DataFrame({"query_id": view.examples.query_ids}).with_row_index("query")


def query_column(view: SetView, name: str) -> pl.Series:
    """Give the field `name` of each planned query's metadata as text, null where it has none.

    Raises ConfigError where no query has it.
    """
    queries = _query_rows(view).join(
        view.snapshot.queries().select("query_id", "metadata"), on="query_id", how="left", maintain_order="left"
    )
    metadata = queries.get_column("metadata")
    require_columns(metadata, (name,), "the plan", "queries")
    values = [None if value is None else str(value) for value in metadata_values(metadata, (name,))[name]]
    return pl.Series(name, values, dtype=pl.String)


def query_places(view: SetView, latitude: str, longitude: str) -> Floats:
    """Give latitude and longitude of each planned query in degrees, (Q, 2), NaN where it has none.

    Raises ConfigError for a column that no query has, InputError for what is no coordinate.
    """
    degrees = query_degrees(view.snapshot, GeoConfig(latitude=latitude, longitude=longitude))
    ids = view.snapshot.queries().get_column("query_id")
    rows = _query_rows(view).join(
        pl.DataFrame({"query_id": ids}).with_row_index("row"), on="query_id", how="left", maintain_order="left"
    )
    return np.asarray(degrees[rows.get_column("row").to_numpy()], dtype=np.float64)


def plan_identity(request: PlanRequest, set_folder: Path, set_version: str) -> str:
    """Name the plan that `request` makes of the version `set_version` of the set: options, files and versions read.

    Raises ConfigError for a plan, option or file that does not exist.
    """
    found = find_plan(request.plan)
    params = plan_params(found, request.options)
    files = [(name, _digest(str(getattr(params, name)))) for name in found.files if getattr(params, name)]
    older = (
        [(one.version, one.age, one.folder is not None) for one in listed_versions(set_folder)]
        if found.versions
        else []
    )
    return fingerprint("batches", VERSION, found.version, set_version, request, params.model_dump(), files, older)


def _digest(path: str) -> str:
    try:
        return file_digest(Path(path))
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise ConfigError(message) from error


def plan_set(view: SetView, request: PlanRequest, folder: Path, progress: Progress = no_progress) -> PlanManifest:
    """Make the plan of `request` from the set in `view`: its tables and, last, `plan.json`, in `folder`.

    Raises ConfigError for a plan or option that does not exist or lacks what it needs.
    """
    found = find_plan(request.plan)
    params = plan_params(found, request.options)
    settings = PlanSettings(request.seed, request.batch_size, request.epochs, request.in_batch)
    inputs = plan_inputs(view)
    counts, visits_Q = make_plan(inputs, found, params, settings, folder, progress)
    manifest = PlanManifest(
        strategy=found.name,
        version=found.version,
        options=params.model_dump(),
        seed=request.seed,
        batch_size=request.batch_size,
        in_batch=request.in_batch,
        split=request.split,
        dataset=view.published.manifest.dataset,
        set_version=version_id(view.published.manifest),
        queries=len(inputs.query_ids),
        left_out=dict(view.examples.left_out),
        never_visited=int((visits_Q == 0).sum()),
        visits_per_query=visits_per_query(visits_Q, request.epochs),
        epochs=tuple(counts),
    )
    write_durably(folder / PAPER, f"{manifest.model_dump_json(indent=2)}\n".encode())
    return manifest
