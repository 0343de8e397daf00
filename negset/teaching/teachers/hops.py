"""Whether a document is two labels away from the query, a positive of one of its positives, or seldom cited with it.

For collections whose queries are documents, by their ids, such as co-cited papers (Contrastive learning and mixture of
experts leaves pairs within two hops out of its negatives). The filter `two_hops` takes such documents out.
"""

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from negset.arrays import Floats, Rows
from negset.mining.positives import doc_ids
from negset.sources.citations import SELDOM
from negset.teaching.teacher import OpenTeacher, Pairs, TeachingInputs, pack
from schemas.config import MineConfig
from schemas.teach import TeachConfig

if TYPE_CHECKING:
    from negset.mining.miner import MiningInputs

VERSION: Final = 1
PER_PAIR: Final = False
"""A pair's hops depend on the labels of others."""


def check(_config: TeachConfig, _mine: MineConfig) -> None:
    """Accept all: labels and ids are always there."""


def identity(_inputs: "MiningInputs", config: TeachConfig) -> object:
    """Give the options; there is nothing beside labels and ids."""
    return {"options": config.hops}


def depth(config: TeachConfig) -> int:
    """Give how many first ranks are scored."""
    return config.hops.depth


def open_teacher(inputs: TeachingInputs) -> OpenTeacher:
    """Read the labels as a graph; a pair scores 1 where the document is next to a positive of the query, else 0.

    Two documents are next to each other where one of them, as a query, has the other as a positive. What a source of
    citations names in a query's metadata as cited with it, but too seldom for a positive, scores 1 too.
    """
    query_ids, documents = inputs.mining.snapshot.queries().get_column("query_id"), doc_ids(inputs.mining.snapshot)
    place_Q = documents.search_sorted(query_ids).to_numpy().astype(np.int64).clip(0, max(len(documents) - 1, 0))
    is_document_Q = (documents.gather(place_Q) == query_ids).to_numpy()
    query, doc = inputs.labelled.query, inputs.labelled.doc
    shape = (len(query_ids), len(documents))
    positives_QN = _graph(query, doc, shape)
    inner = is_document_Q[query]
    ends = (place_Q[query[inner]], doc[inner])
    seldom = _seldom(inputs.mining.snapshot.queries(), documents)
    next_NN = _graph(np.concatenate(ends), np.concatenate(ends[::-1]), (shape[1], shape[1]))

    def score(pairs: Pairs) -> Floats:
        shared_P = np.asarray(positives_QN[pairs.query].multiply(next_NN[pairs.doc]).sum(axis=1)).ravel()
        seldom_P = np.isin(pack(pairs, shape[1]), seldom)
        return ((shared_P > 0) | seldom_P).astype(np.float64)

    return OpenTeacher(score, block=1 << 14)


def _seldom(queries: pl.DataFrame, documents: pl.Series) -> Rows:
    """Pack the pairs that metadata name under `SELDOM`."""
    named = queries.with_row_index("query").filter(pl.col("metadata").str.contains(f'"{SELDOM}"', literal=True))
    others = [json.loads(about).get(SELDOM, []) for about in named.get_column("metadata")]
    pairs = pl.DataFrame({"query": named.get_column("query"), "doc_id": pl.Series(others, dtype=pl.List(pl.String))})
    rows = pl.DataFrame({"doc_id": documents}).with_row_index("doc")
    placed = pairs.explode("doc_id", empty_as_null=True).drop_nulls().join(rows, on="doc_id")
    query, doc = (placed.get_column(name).to_numpy().astype(np.int64) for name in ("query", "doc"))
    return pack(Pairs(query, doc), len(documents))


def _graph(start: Rows, end: Rows, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(start)), (start, end)), shape=shape)
