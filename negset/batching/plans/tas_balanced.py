"""Batches of one topic, and pairs balanced over their margins (TAS-Balanced: Hofstätter et al. 2021, arXiv 2104.06967).

The authors' code draws a cluster for each batch with equal chances, so queries of small clusters come more often, and
fails where all margins of a query are equal. Here each query comes once an epoch unless asked otherwise, equal
margins are one bin, and a query without pairs is visited with all negatives that it has.
"""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from negset.arrays import Rows
from negset.batching.centroids import cluster_vectors
from negset.batching.inputs import PlanInputs
from negset.batching.margins import BinnedPairs, bin_margins, draw_pairs, own_or_drawn
from negset.batching.packing import concatenated, cut, even_parts, grouped
from negset.batching.planner import (
    Coverage,
    PlanEpoch,
    PlanParams,
    PlanSettings,
    Visits,
    each_epoch,
    lots,
    plan,
    shuffled,
    uniform,
)
from negset.training.examples import Groups


class TasParams(PlanParams):
    """Options of TAS-Balanced."""

    clusters: int = Field(0, ge=0)
    """Topics that queries are put into; 0 for one for each 200 queries, 2,000 at the most."""
    draw: Literal["once", "uniform", "size"] = "once"
    """`once`: each query once an epoch. `uniform`: each batch from a cluster drawn with equal chances, as the authors
    do; `size`: with chances by size. With these two some queries come several times an epoch and others not at all."""
    pairs: bool = True
    """Draw one positive and one negative for each visit, balanced over margins; else take turns and all negatives."""
    bins: int = Field(10, ge=1)
    """Bins of equal width between the smallest and the largest margin of a query."""
    equal_counts: bool = False
    """Bins of equal counts in place of equal width: a single outlier then does not empty the others."""
    by: str = ""
    """Scorer whose margins are binned; empty for the score that the set's recipe compared."""


def _coverage(params: TasParams) -> Coverage:
    return "every" if params.draw == "once" else "some"


def _repeats(params: TasParams) -> bool:
    return params.draw != "once"


def _unsteady(_positives: Groups, params: TasParams) -> str:
    return (
        "each cluster falls into batches of its own; set plan_options.draw = 'uniform'" if params.draw == "once" else ""
    )


@plan(
    "tas-balanced",
    params=TasParams,
    coverage=_coverage,
    repeats=_repeats,
    from_vectors=each_epoch,
    unsteady=_unsteady,
)
def tas_balanced(inputs: PlanInputs, settings: PlanSettings, params: TasParams) -> PlanEpoch:
    """Batch queries of one topic cluster; draw each one's pair evenly over easy and hard margins."""
    count = len(inputs.query_ids)
    wanted = params.clusters or min(max(round(count / 200), 1), 2000)
    cluster_Q = cluster_vectors(inputs.vectors(), inputs.keys_Q, wanted, settings.seed)
    pairs = (
        bin_margins(inputs.pairs(params.by), params.bins, equal_counts=params.equal_counts) if params.pairs else None
    )
    build = once_batches if params.draw == "once" else partial(drawn_batches, by_size=params.draw == "size")

    def visit(epoch: int) -> Visits:
        query_V, batch_V = build(cluster_Q, inputs.keys_Q, settings, epoch)
        visits = Visits(
            query_V,
            batch_V,
            np.full(int(batch_V[-1]) + 1 if len(batch_V) else 0, settings.in_batch),
            kind="cluster",
            group_V=cluster_Q[query_V],
        )
        if pairs is None:
            return visits
        # A query that comes again in an epoch draws again.
        keys_V = lots(
            inputs.keys_Q[query_V] + batch_V.astype(np.uint64) * np.uint64(_repeats(params)),
            settings.seed,
            epoch,
            "pair",
        )
        return _with_pairs(visits, pairs, keys_V, inputs)

    return visit


def once_batches(cluster_Q: Rows, keys_Q: NDArray[np.uint64], settings: PlanSettings, epoch: int) -> tuple[Rows, Rows]:
    """Give the queries of an epoch, each once, and their batches.

    A cluster that fills a batch falls into batches of its own, whose sizes differ by one. Smaller ones follow each
    other in an order drawn each epoch and are cut at the batch size.
    """
    seed, size = settings.seed, settings.batch_size
    query_V, starts_C = grouped(cluster_Q, shuffled(keys_Q, seed, epoch, "in cluster"))
    sizes_C = np.diff(np.r_[starts_C, len(query_V)])
    large_V = np.repeat(sizes_C >= size, sizes_C)
    own_V = even_parts(sizes_C[sizes_C >= size], size)
    small_V = query_V[~large_V]
    order_C = shuffled(np.arange(len(sizes_C), dtype=np.uint64), seed, epoch, "clusters")
    labels_V = np.repeat(np.arange(len(sizes_C)), sizes_C)[~large_V]
    mixed = small_V[concatenated(labels_V, order_C)]
    batches = int(own_V[-1]) + 1 if len(own_V) else 0
    batch_V = np.r_[own_V, batches + cut(len(mixed), size)]
    return _in_drawn_order(np.r_[query_V[large_V], mixed], batch_V, seed, epoch)


def drawn_batches(
    cluster_Q: Rows, keys_Q: NDArray[np.uint64], settings: PlanSettings, epoch: int, *, by_size: bool
) -> tuple[Rows, Rows]:
    """Give as many batches as an epoch over all queries has, each from a cluster that is drawn.

    A cluster smaller than what is missing is taken whole and another one drawn, until the batch is full. No query
    comes twice in a batch.
    """
    seed, size = settings.seed, min(settings.batch_size, len(cluster_Q))
    order, starts_C = grouped(cluster_Q, np.argsort(keys_Q, kind="stable"))
    members = np.split(order, starts_C[1:]) if len(order) else []
    weight_C = np.array([len(rows) if by_size else 1 for rows in members], dtype=np.float64)
    filled = []
    for batch in range(-(-len(cluster_Q) // settings.batch_size)):
        # The smallest exponential over its weight is a draw by weight, the next ones draws among the rest.
        first_C = -np.log(uniform(np.arange(len(members), dtype=np.uint64), seed, epoch, batch, "cluster")) / weight_C
        filled.append(_fill([members[c] for c in np.argsort(first_C, kind="stable")], keys_Q, size, seed, epoch, batch))
    query_V = np.concatenate(filled) if filled else np.empty(0, dtype=np.int64)
    return query_V, cut(len(query_V), max(size, 1))


def _fill(clusters: list[Rows], keys_Q: NDArray[np.uint64], size: int, seed: int, epoch: int, batch: int) -> Rows:
    """Take `size` queries from `clusters`, from each in turn all that fit."""
    taken: list[Rows] = []
    missing = size
    for rows in clusters:
        taken.append(rows[shuffled(keys_Q[rows], seed, epoch, batch, "member")[:missing]])
        missing -= len(taken[-1])
        if not missing:
            break
    return np.concatenate(taken)


def _in_drawn_order(query_V: Rows, batch_V: Rows, seed: int, epoch: int) -> tuple[Rows, Rows]:
    """Give the visits with their batches in an order that is drawn, numbered anew."""
    batches = int(batch_V[-1]) + 1 if len(batch_V) else 0
    order_B = shuffled(np.arange(batches, dtype=np.uint64), seed, epoch, "batches")
    place = concatenated(batch_V, order_B)
    rank_B = np.empty(batches, dtype=np.int64)
    rank_B[order_B] = np.arange(batches)
    return query_V[place], rank_B[batch_V[place]]


def _with_pairs(visits: Visits, pairs: BinnedPairs, keys_V: NDArray[np.uint64], inputs: PlanInputs) -> Visits:
    """Draw a pair for each visit of a query that has one; the others take turns and have all their negatives."""
    pair_V, chance_V = draw_pairs(pairs, visits.query_V, keys_V, inputs.document_keys_D)
    has_V = pair_V >= 0
    drawn = pairs.negative_P[pair_V[has_V]]
    return replace(
        visits,
        positive_V=np.where(has_V, pairs.positive_P[pair_V], -1) if len(pairs.query_P) else np.full(len(pair_V), -1),
        negatives=own_or_drawn(inputs.negatives, visits.query_V, has_V, drawn),
        probability_V=np.where(has_V, chance_V, np.nan),
        notes={"visits_without_a_scored_pair": int((~has_V).sum())},
    )
