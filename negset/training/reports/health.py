"""What can be said of a checkpoint beside its measures: how its vectors look without labels, how flat its place is.

Both are looked at on a sample: some held-out queries, and as documents the first results of the model before training
with their positives, the same before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl
import torch

from negset.arrays import Matrix
from negset.encoders.encoder import Role
from negset.lots import id_keys, mix
from negset.probing.bootstrap import Values
from negset.text import document_texts
from negset.training.reports.label_free import LabelFreeScore, score_vectors
from negset.training.reports.weight_noise import measure_shaken

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

EXAMINED: Final = 200
"""Held-out queries of the sample at the most, by lot."""
SEED: Final = 13


class Encoding(Protocol):
    """An encoder whose weights can be shaken."""

    @property
    def module(self) -> torch.nn.Module:
        """Give what holds the parameters."""

    def encode(self, texts: Sequence[str], role: Role) -> Matrix:
        """Give the vectors of `texts`, of length one."""


@dataclass(frozen=True)
class Sample:
    """Texts to examine a model on; `positive_QC` is true where a document is a positive of a query."""

    queries: list[str]
    documents: list[str]
    positive_QC: np.ndarray


@dataclass(frozen=True)
class Health:
    """A model on a sample: nDCG@10 among its documents, the mean of that with shaken weights, the label-free score."""

    ndcg_at_10: float
    shaken: float
    label_free: LabelFreeScore

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values, rounded to 6 digits."""
        parts = {name: round(value, 6) for name, value in self.label_free.numbers().items()}
        return {"ndcg_at_10": round(self.ndcg_at_10, 6), "shaken": round(self.shaken, 6), "label_free": parts}


def draw_sample(run: pl.DataFrame, positives: pl.DataFrame, snapshot: "Snapshot", depth: int) -> Sample | None:
    """Draw queries of `run` (query_id, doc_id, score) with their `depth` first documents and `positives`.

    None where there are fewer than two queries or documents.
    """
    ids = run.get_column("query_id").unique().sort()
    keys = id_keys(ids.to_list())
    chosen = ids.gather(np.sort(np.lexsort((keys, mix(keys ^ id_keys([f"{SEED}:examined"]))))[:EXAMINED]))
    mine = run.join(chosen.to_frame(), on="query_id", how="semi")
    ordered = mine.sort(["query_id", "score", "doc_id"], descending=[False, True, False])
    first = ordered.filter(pl.int_range(pl.len()).over("query_id") < depth).select("query_id", "doc_id")
    own = positives.join(chosen.to_frame(), on="query_id", how="semi").select("query_id", "doc_id").unique()
    wanted = pl.concat([first, own]).select("doc_id").unique().sort("doc_id")
    documents = snapshot.documents().join(wanted, on="doc_id", how="semi").sort("doc_id")
    if len(chosen) < 2 or documents.height < 2:
        return None
    positive_QC = np.zeros((len(chosen), documents.height), dtype=np.bool_)
    places = own.join(chosen.to_frame().with_row_index("row"), on="query_id").join(
        documents.select("doc_id").with_row_index("column"), on="doc_id"
    )
    positive_QC[places.get_column("row").to_numpy(), places.get_column("column").to_numpy()] = True
    queries = snapshot.queries().join(chosen.to_frame(), on="query_id", how="semi").sort("query_id")
    return Sample(queries.get_column("text").to_list(), document_texts(documents).to_list(), positive_QC)


def examine(model: Encoding, sample: Sample) -> Health:
    """Examine `model` on `sample`; its weights are shaken meanwhile, and afterwards what they were."""
    queries_QD, documents_CD = _vectors(model, sample)

    def measure() -> float:
        return float(pool_ndcg(*_vectors(model, sample), sample.positive_QC).mean())

    return Health(
        float(pool_ndcg(queries_QD, documents_CD, sample.positive_QC).mean()),
        float(np.mean(measure_shaken(model.module, measure, SEED))),
        score_vectors(queries_QD, documents_CD, SEED),
    )


def _vectors(model: Encoding, sample: Sample) -> tuple[Matrix, Matrix]:
    return model.encode(sample.queries, "query"), model.encode(sample.documents, "document")


def pool_ndcg(queries_QD: Matrix, documents_CD: Matrix, positive_QC: np.ndarray) -> Values:
    """Give nDCG@10 of each query among the documents, every positive counting the same; ties to the earlier document.

    A query without a positive among them has 0.
    """
    order_QC = np.argsort(-(queries_QD @ documents_CD.T), axis=1, kind="stable")[:, :10]
    discount_K = 1.0 / np.log2(np.arange(order_QC.shape[1]) + 2.0)
    got_Q = (np.take_along_axis(positive_QC, order_QC, axis=1) * discount_K).sum(axis=1)
    counts_Q = np.minimum(positive_QC.sum(axis=1), len(discount_K))
    best_Q = np.r_[0.0, np.cumsum(discount_K)][counts_Q]
    return np.asarray(np.divide(got_Q, best_Q, out=np.zeros(len(got_Q)), where=best_Q > 0))
