"""Spend a budget of queries where a model does worst (PASER, arXiv 2502.12594, with queries in place of instructions).

Queries are clustered, each cluster gets a share of the budget by its mean degradation, and in a cluster the queries
that degraded most for their cost are kept. Unlike the authors' code no unit of the budget is lost by rounding, and a
cluster never gets more than it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Rows
from negset.errors import ConfigError, ContractError
from negset.mining.concept_graph import ConceptGraph

_SLACK: Final = 1e-9
"""A share this little below a whole number is that number."""


@dataclass(frozen=True)
class QueryBudget:
    """How a budget was spent: size, mean degradation and share of each cluster, and which queries are kept.

    Those in `conflict_Q` were skipped while their cluster had room.
    """

    size_C: Rows
    degradation_C: Floats
    budget_C: Rows
    kept_Q: NDArray[np.bool_]
    conflict_Q: NDArray[np.bool_]


def spend_budget(
    budget: int,
    cluster_Q: Rows,
    degradation_Q: Floats,
    keys_Q: NDArray[np.uint64],
    cost_Q: Floats | None = None,
    concepts: Sequence[Sequence[str]] | None = None,
) -> QueryBudget:
    """Keep `budget` queries, or all if there are fewer, by the degradation of their clusters and their own.

    `degradation_Q` is what the model lost or still misses on each query, for example 1 less the reciprocal rank of
    its positive; below 0 it counts as 0. `cost_Q` is what a query costs to train on (tokens), 1 for all without it.
    Ties go to the smaller key (`negset.lots.id_keys`), so the order of rows does not matter.

    With `concepts`, those of each query, all queries are taken by falling degradation for their cost, whatever their
    cluster, and one that contradicts those before it (`ConceptGraph`) is skipped. The next of its cluster takes its
    place; where none is left, the budget is not spent to the end.
    Raises ContractError for a degradation or a cost that is not finite, or a cost that is not above 0.
    """
    cost_Q = np.ones(len(cluster_Q)) if cost_Q is None else cost_Q
    _check_finite(degradation_Q, cost_Q)
    need_Q = np.maximum(degradation_Q, 0.0)
    clusters = int(cluster_Q.max(initial=-1)) + 1
    size_C = np.bincount(cluster_Q, minlength=clusters)
    # Summed in the order of keys, since the last bits of a sum depend on its order.
    in_order = np.argsort(keys_Q, kind="stable")
    total_C = np.bincount(cluster_Q[in_order], weights=need_Q[in_order], minlength=clusters)
    mean_C = total_C / np.maximum(size_C, 1)
    budget_C = share_budget(budget, size_C, mean_C)
    worst_first = np.lexsort((keys_Q, -need_Q / cost_Q))
    kept_Q, conflict_Q = _take(worst_first, cluster_Q, budget_C, concepts)
    return QueryBudget(size_C, mean_C, budget_C, kept_Q, conflict_Q)


def _take(
    order: Rows, cluster_Q: Rows, budget_C: Rows, concepts: Sequence[Sequence[str]] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Go through the rows in `order`; give those that their cluster has room for, and those that are skipped."""
    graph, left_C = ConceptGraph(), budget_C.copy()
    kept_Q, conflict_Q = np.zeros(len(order), dtype=bool), np.zeros(len(order), dtype=bool)
    for row in order.tolist():
        if not left_C[cluster_Q[row]]:
            continue
        if concepts is not None and not graph.is_consistent(concepts[row]):
            conflict_Q[row] = True
            continue
        if concepts is not None:
            graph.add(concepts[row])
        kept_Q[row] = True
        left_C[cluster_Q[row]] -= 1
    return kept_Q, conflict_Q


def _check_finite(degradation_Q: Floats, cost_Q: Floats) -> None:
    for name, values_Q, wrong_Q in (
        ("degradation", degradation_Q, ~np.isfinite(degradation_Q)),
        ("cost", cost_Q, ~np.isfinite(cost_Q) | (cost_Q <= 0)),
    ):
        if wrong_Q.any():
            row = int(np.flatnonzero(wrong_Q)[0])
            message = f"{int(wrong_Q.sum())} queries have no usable {name}, row {row} among them: {values_Q[row]}"
            raise ContractError(message)


def share_budget(budget: int, size_C: Rows, weight_C: Floats) -> Rows:
    """Share `budget` whole units by `weight_C`, none above its size, each weighted cluster at least 1 if they suffice.

    What a full cluster cannot take goes to the others by their weights, and where these are full, or none has any
    weight, to the clusters without by their sizes. Units left by rounding down go to the largest remainders, then to
    the larger weight, then to the first. The sum is the budget, or all there are.
    """
    if budget < 0:
        message = f"a budget of {budget} queries cannot be spent; it is 0 or more"
        raise ConfigError(message)
    budget = min(budget, int(size_C.sum()))
    weighted_C = (weight_C > 0) & (size_C > 0)
    given_C = _fill(budget, size_C, np.where(weighted_C, weight_C, 0.0), np.zeros(len(size_C), dtype=np.int64))
    given_C = _fill(budget, size_C, size_C.astype(np.float64), given_C)
    empty_C = weighted_C & (given_C == 0)
    if weighted_C.sum() <= budget:
        for cluster in np.flatnonzero(empty_C):
            given_C[given_C.argmax()] -= 1
            given_C[cluster] = 1
    return given_C


def _fill(budget: int, size_C: Rows, weight_C: Floats, given_C: Rows) -> Rows:
    """Share what `given_C` leaves of `budget` among clusters with weight that have nothing yet, up to their sizes."""
    given_C = given_C.copy()
    open_C = (weight_C > 0) & (given_C == 0) & (size_C > 0)
    while open_C.any() and (units := budget - int(given_C.sum())) > 0:
        ideal_C = np.where(open_C, units * (weight_C / weight_C[open_C].sum()), 0.0)
        full_C = open_C & (ideal_C >= size_C)
        if not full_C.any():
            return given_C + _round(units, ideal_C, open_C, weight_C)
        given_C[full_C] = size_C[full_C]
        open_C &= ~full_C
    return given_C


def _round(units: int, ideal_C: Floats, open_C: NDArray[np.bool_], weight_C: Floats) -> Rows:
    """Round ideal shares, whose sum is `units`, to whole ones by largest remainder; only of the open clusters."""
    rounded_C = np.floor(ideal_C + _SLACK).astype(np.int64)
    rest_C = np.where(open_C, np.round(ideal_C - rounded_C, 9), -np.inf)
    order = np.lexsort((np.arange(len(rest_C)), -weight_C, -rest_C))
    rounded_C[order[: units - int(rounded_C.sum())]] += 1
    return rounded_C
