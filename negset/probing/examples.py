"""A negative set as a probe trains on it: as it is, known positives among its negatives included.

A trainer would leave those out. A probe compares sets, and a set that holds them is the worse for it.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.errors import ContractError, MissingColumnsError, listed
from negset.lots import id_keys, mix
from negset.probing.collection import ProbeCollection, group_rows
from negset.training.examples import Groups, Rows

Weights = NDArray[np.float32]
NEGATIVES = 4
"""Negatives of a query in one epoch. A set with more gives others of them in the next."""


@dataclass(frozen=True)
class ProbeSet:
    """Positives and negatives of each query of the collection, by rows; `weights` stand beside the negatives' rows.

    `mistakes` are negatives that are known positives.
    """

    name: str
    positives: Groups
    negatives: Groups
    weights: Weights
    mistakes: int

    def usable(self, rows: Rows) -> Rows:
        """Give those of the query `rows` that have a positive and a negative."""
        return rows[(self.positives.sizes()[rows] > 0) & (self.negatives.sizes()[rows] > 0)]


@dataclass(frozen=True)
class Epoch:
    """What an epoch learns from, in the order of its steps.

    Each query, its positive, its negatives (T, K) and the logarithm of their weights, minus infinity where there is no
    negative.
    """

    queries_T: Rows
    positives_T: Rows
    negatives_TK: Rows
    log_weights_TK: Weights


def number_set(
    collection: ProbeCollection, name: str, negatives: pl.DataFrame, positives: pl.DataFrame | None = None
) -> ProbeSet:
    """Number the `negatives` (query_id, doc_id, and weight if they have one) of a set by the collection's rows.

    Their order does not matter, and a pair that stands there twice counts once, with its first weight. `positives`
    (query_id, doc_id) are the set's own; without them, they are the labelled ones of the collection.
    Raises ContractError naming ids that the collection lacks, and for a weight that is no number of 0 or more.
    """
    coded = _code(collection, name, negatives)
    coded = coded.unique(["query", "doc"], keep="first", maintain_order=True).sort("query", "doc")
    own = collection.positives
    if positives is not None:
        own = group_rows(
            _code(collection, name, positives).unique(["query", "doc"]).sort("query", "doc"), _count(collection)
        )
    mistakes = coded.join(collection.known, on=["query", "doc"], how="semi").height
    return ProbeSet(name, own, group_rows(coded, _count(collection)), _weights(name, coded), mistakes)


def _count(collection: ProbeCollection) -> int:
    return collection.queries.height


def _code(collection: ProbeCollection, name: str, pairs: pl.DataFrame) -> pl.DataFrame:
    if not {"query_id", "doc_id"} <= set(pairs.columns):
        raise MissingColumnsError.from_columns(name, ["query_id", "doc_id"], pairs.columns)
    queries = collection.queries.select("query_id").with_row_index("query")
    documents = collection.doc_ids.to_frame().with_row_index("doc")
    text = pairs.with_columns(pl.col("query_id", "doc_id").cast(pl.String))
    coded = text.join(queries, on="query_id", how="left", maintain_order="left").join(
        documents, on="doc_id", how="left", maintain_order="left"
    )
    for column, missing in (("query_id", "query"), ("doc_id", "doc")):
        lost = coded.filter(pl.col(missing).is_null()).get_column(column).unique().sort()
        if len(lost):
            found = listed(lost.to_list())
            message = f"{name}: {len(lost)} values of {column} are not in the collection it is compared on: {found}"
            raise ContractError(message)
    return coded


def _weights(name: str, coded: pl.DataFrame) -> Weights:
    if "weight" not in coded.columns:
        return np.ones(coded.height, dtype=np.float32)
    weight = coded.get_column("weight").cast(pl.Float64)
    wrong = coded.filter(~(weight.is_finite() & (weight >= 0)).fill_null(value=False))
    if wrong.height:
        pairs = [f"{query} {doc}" for query, doc in wrong.select("query_id", "doc_id").iter_rows()]
        message = f"{name}: {wrong.height} negatives have a weight that is no number of 0 or more: {listed(pairs)}"
        raise ContractError(message)
    return weight.to_numpy().astype(np.float32)


def random_set(collection: ProbeCollection, rows: Rows, seed: int, count: int = NEGATIVES) -> ProbeSet:
    """Give `count` documents of the whole corpus to each of the query `rows`, drawn by lot, no known positive.

    The control that every set should beat. A small corpus gives fewer.
    """
    total = len(collection.doc_ids)
    # More than is needed, since some lots fall on known positives or on the same document.
    tries = min(4 * count + 16, total)
    salt = id_keys([f"{seed}:random negatives"])
    lots_QT = mix(mix(collection.query_keys[rows] ^ salt)[:, None] + np.arange(tries, dtype=np.uint64)[None, :])
    drawn = pl.DataFrame(
        {
            "query": np.repeat(rows, tries).astype(np.uint32),
            "doc": (lots_QT % np.uint64(total)).astype(np.uint32).ravel(),
        }
    )
    fresh = drawn.unique(["query", "doc"], keep="first", maintain_order=True).join(
        collection.known, on=["query", "doc"], how="anti", maintain_order="left"
    )
    kept = fresh.filter(pl.int_range(pl.len()).over("query") < count)
    return ProbeSet(
        "(random documents)",
        collection.positives,
        group_rows(kept, _count(collection)),
        np.ones(kept.height, np.float32),
        0,
    )


def draw_epoch(collection: ProbeCollection, chosen: ProbeSet, rows: Rows, seed: int, epoch: int) -> Epoch:
    """Give what `epoch` learns of the query `rows`, drawn from `seed`, `epoch` and ids alone.

    A query with several positives takes them in turn. Where a set calls the very positive of this turn a negative,
    that negative does not count.
    """
    keys = collection.query_keys[rows]
    order = np.lexsort((rows, mix(keys ^ id_keys([f"{seed}:{epoch}:order"]))))
    rows, keys = rows[order], keys[order]
    sizes = chosen.positives.sizes()[rows]
    turn = ((mix(keys ^ id_keys([f"{seed}:positives"])) >> np.uint64(1)).astype(np.int64) + epoch) % sizes
    positive_T = chosen.positives.rows[chosen.positives.offsets[rows] + turn]
    place, documents = chosen.negatives.take(rows)
    entries = chosen.negatives.entries(rows)
    lots = mix(mix(keys[place] ^ id_keys([f"{seed}:{epoch}:negatives"])) + collection.doc_keys[documents])
    drawn = np.lexsort((lots, place))
    column = np.arange(len(drawn)) - np.repeat(
        np.r_[0, np.cumsum(chosen.negatives.sizes()[rows])[:-1]], np.bincount(place, minlength=len(rows))
    )
    kept = column < NEGATIVES
    negatives_TK = np.zeros((len(rows), NEGATIVES), dtype=np.int64)
    log_weights_TK = np.full((len(rows), NEGATIVES), -np.inf, dtype=np.float32)
    spot = place[drawn][kept], column[kept]
    negatives_TK[spot] = documents[drawn][kept]
    with np.errstate(divide="ignore"):  # a weight of zero is a negative that does not count
        log_weights_TK[spot] = np.log(chosen.weights[entries[drawn][kept]])
    log_weights_TK[negatives_TK == positive_T[:, None]] = -np.inf
    return Epoch(rows, positive_T, negatives_TK, log_weights_TK)
