"""ADORE (Zhan et al. 2021, arXiv 2104.08051): the query side searches all frozen documents at each step.

What it finds are its negatives of that step. A document is encoded once, so a search a step is all that it costs.
"""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from negset.arrays import Matrix
from negset.fingerprint import fingerprint
from negset.probing.collection import ProbeCollection, group_rows
from negset.search import open_corpus, search_corpus
from negset.training.examples import Examples, Groups, Rows
from negset.training.remining import Remining, Supply, keep_hard, ranks_wanted, with_negatives

if TYPE_CHECKING:
    from negset.training.batches import Planned
    from negset.training.model import Trainable

VERSION: Final = 1


def corpus_examples(collection: ProbeCollection, trained: Rows, suspects: pl.DataFrame) -> Examples:
    """Number the queries `trained` of a collection, with all of its documents and no negatives yet.

    Document rows are those of the collection. `suspects` (query_id, doc_id) are never negatives either.
    """
    pairs = pl.DataFrame({"query_id": collection.queries["query_id"]}).with_row_index("query")
    documents = pl.DataFrame({"doc_id": collection.doc_ids}).with_row_index("doc")
    masked = suspects.join(pairs, on="query_id").join(documents, on="doc_id")
    coded = [part.select(pl.col("query", "doc").cast(pl.Int64)) for part in (collection.known, masked)]
    known = group_rows(pl.concat(coded).unique().sort("query", "doc"), collection.queries.height)
    chosen = collection.queries[trained.tolist()]
    return Examples(
        query_ids=chosen.get_column("query_id").to_list(),
        query_texts=chosen.get_column("text").to_list(),
        document_ids=collection.doc_ids.to_list(),
        document_texts=collection.document_texts,
        positives=_of(collection.positives, trained),
        negatives=Groups(np.zeros(len(trained) + 1, dtype=np.int64), np.empty(0, dtype=np.int64)),
        negative_weights=np.empty(0, dtype=np.float32),
        known=_of(known, trained),
        left_out={},
    )


def step_supply(model: "Trainable", examples: Examples, documents_ND: Matrix, depth: int) -> Supply:
    """Give each batch the `depth` best documents of its queries by the model of that moment, known positives left out.

    Document rows of `examples` are rows of `documents_ND`.
    """
    corpus = open_corpus(documents_ND, 0.0, "cpu")
    options = Remining(depth, depth)

    def find(_epoch: int, planned: "Planned") -> Examples:
        rows = planned.queries_B
        queries_BD = model.encode([examples.query_texts[row] for row in rows.tolist()], "query")
        known = _of(examples.known, rows)
        hits = search_corpus(queries_BD, corpus, ranks_wanted(known, len(documents_ND), options))
        return with_negatives(examples, _placed(keep_hard(hits, known, options), rows, len(examples.query_ids)))

    return Supply(fingerprint("adore", VERSION, depth, _digest(documents_ND)), find)


def _placed(groups: Groups, places: Rows, total: int) -> Groups:
    """Put the rows of each of `places` where it stands among `total` places; the others have none."""
    sizes = np.zeros(total, dtype=np.int64)
    sizes[places] = groups.sizes()
    return replace(groups, offsets=np.r_[0, np.cumsum(sizes)], rows=groups.take(np.argsort(places))[1])


def _of(groups: Groups, places: Rows) -> Groups:
    """Give the groups of `places` alone, in their order."""
    return Groups(np.r_[0, np.cumsum(groups.sizes()[places])].astype(np.int64), groups.take(places)[1])


def _digest(vectors_ND: Matrix) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors_ND).data).hexdigest()
