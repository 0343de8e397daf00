"""A published set as a training run sees it: its queries and documents by number, and their vectors."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from negset.arrays import Matrix, Rows
from negset.batching.planner import find_plan
from negset.batching.versions import with_replay
from negset.encoders.encoder import Role
from negset.errors import ArtifactError, ConfigError
from negset.mining.positives import known_pairs
from negset.publishing.reading import PublishedSet
from negset.snapshot import Snapshot
from negset.store import Store
from negset.training.examples import Examples, SetTables, build_examples
from negset.training.examples import document_rows as number_documents
from negset.vectors import Vectors, find_vectors, open_vectors, vectors_fingerprint
from schemas.batches import PlanRequest
from schemas.refs import EncoderRef


@dataclass(frozen=True)
class SetView:
    """A published set as a training run sees it, with the snapshot and the store that it was made from."""

    published: PublishedSet
    snapshot: Snapshot
    store: Store
    tables: SetTables
    examples: Examples


def view_set(published: PublishedSet, snapshot: Snapshot, store: Store, request: PlanRequest) -> SetView:
    """Number the queries of the split that a training run could use, and their documents, as it would.

    Where the plan of `request` replays older versions of the set, their negatives are numbered too.
    """
    names = ("queries", "documents", "positives", "negatives")
    tables = SetTables(**{name: published.table(name) for name in names})
    if find_plan(request.plan).versions:
        tables = with_replay(tables, published.folder, snapshot)
    queries = snapshot.queries()
    held_out_texts = queries.filter(pl.col("split") == request.held_out).get_column("text")
    examples = build_examples(
        tables,
        known_pairs(snapshot),
        held_out_texts,
        split=request.split,
        negatives=request.negatives,
        in_batch=request.in_batch,
    )
    return SetView(published, snapshot, store, tables, examples)


def document_rows(view: SetView) -> pl.DataFrame:
    """Give each `doc_id` that is used with the number of the `document` that it, or its twin, is."""
    return number_documents(view.tables.documents, view.examples).rename({"doc": "document"})


def query_rows(view: SetView) -> pl.DataFrame:
    """Give each planned `query_id` with its number, `query`."""
    return pl.DataFrame({"query_id": view.examples.query_ids}).with_row_index("query")


def query_vectors(view: SetView) -> Matrix:
    """Give the vectors that the set was mined with, of the planned queries, (Q, D), scaled to length one.

    Raises ConfigError where the set was mined without vectors, ArtifactError where they are not in the store.
    """
    return _lengthened(_vectors(view, "query").gather(view.examples.query_texts))


def document_vectors(view: SetView, rows: Rows) -> Matrix:
    """Give the vectors of the documents `rows`, scaled to length one; raises as `query_vectors` does."""
    texts = view.examples.document_texts
    return _lengthened(_vectors(view, "document").gather([texts[row] for row in rows.tolist()]))


def _vectors(view: SetView, role: Role) -> Vectors:
    encoder = view.published.manifest.encoder
    if encoder is None:
        message = (
            f"{view.published.folder} was mined without vectors, and this plan needs them: "
            "build the set with the miner 'dense', or choose the plan 'shuffled' or 'task-pure'"
        )
        raise ConfigError(message)
    named = EncoderRef(fingerprint=encoder.fingerprint, content=encoder.fingerprint, rows=0)
    ref = find_vectors(view.store, vectors_fingerprint(named, view.snapshot.content, role))
    if ref is None:
        message = (
            f"the {role} vectors of encoder {encoder.fingerprint[:16]} are not in {view.store.root}; "
            "build the set there again"
        )
        raise ArtifactError(message)
    return open_vectors(view.store, ref)


def _lengthened(vectors_ND: Matrix) -> Matrix:
    length_N1 = np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64))[:, None]
    vectors_ND /= np.where(length_N1 > 0, length_N1, 1).astype(np.float32)
    return vectors_ND
