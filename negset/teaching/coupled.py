"""Learn relevance and selection together from pooled labels (CET, Cai et al., CIKM 2022, arXiv 2209.05072).

An unlabelled document was judged irrelevant, or it was never judged. Two linear scorers are trained on the same
triples of a query, a labelled positive and an unlabelled negative. A negative counts more for relevance the likelier
annotators saw it, and more for selection the more relevant it is. Features are linear and weights are not learned
through, so each turn is a convex problem with one solution; the paper trains two neural rankers by turns instead.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from negset.arrays import Floats, Rows
from negset.errors import ContractError

LARGEST_EXPONENT: Final = 8.0
"""Scores over lambda are cut here: exp(8) is 2981."""
_RIDGE: Final = 1e-3
"""Penalty on squared weights, per triple: the solution is finite where a feature separates the triples."""
_STEPS: Final = 50
_TOLERANCE: Final = 1e-10


@dataclass(frozen=True)
class Triples:
    """Rows of the features that are the positive and the negative of a query, triple by triple."""

    positive: Rows
    negative: Rows


@dataclass(frozen=True)
class Coupled:
    """Weights of two linear scorers: of features of relevance, and of features of selection."""

    relevance_F: Floats
    selection_G: Floats


def coupled_weights(scores: Floats, smoothing: float) -> Floats:
    """Give 1 / (1 - sigmoid(score / `smoothing`)) as 1 + exp(score / `smoothing`), the exponent cut at 8."""
    weights: Floats = 1.0 + np.exp(np.minimum(scores / smoothing, LARGEST_EXPONENT))
    return weights


def fit_coupled(
    relevance_NF: Floats, selection_NG: Floats, triples: Triples, *, smoothing: float = 2.0, passes: int = 5
) -> Coupled:
    """Fit both scorers by turns, `passes` times, each under the weights that the other gives; from unweighted ones.

    Features should be standardised. Give selection only what annotators' pools were made from (lexical scores,
    ranks): with the same features for both, the two cannot be told apart. A triple's weight depends on its negative
    alone, so neither batches nor order matter beyond rounding.
    Raises ContractError where there is no triple, or where selection has no feature that differs.
    """
    if not len(triples.positive):
        message = "no triple of a query, a labelled positive and an unlabelled negative to learn selection from"
        raise ContractError(message)
    if not selection_NG.size or not np.ptp(selection_NG, axis=0).any():
        message = (
            "the features of selection are the same for all pairs: without anything that pools were made from "
            "(ranks or scores of the annotators' search), selection cannot be learned"
        )
        raise ContractError(message)
    gaps_TF = relevance_NF[triples.positive] - relevance_NF[triples.negative]
    gaps_TG = selection_NG[triples.positive] - selection_NG[triples.negative]
    even_T = np.ones(len(triples.positive))
    found = Coupled(fit_pairwise(gaps_TF, even_T), fit_pairwise(gaps_TG, even_T))
    for _ in range(passes):
        trust_T = coupled_weights(selection_NG[triples.negative] @ found.selection_G, smoothing)
        relevance_F = fit_pairwise(gaps_TF, trust_T)
        doubt_T = coupled_weights(relevance_NF[triples.negative] @ relevance_F, smoothing)
        found = Coupled(relevance_F, fit_pairwise(gaps_TG, doubt_T))
    return found


def fit_pairwise(gaps_TF: Floats, weights_T: Floats) -> Floats:
    """Minimise the mean of log(1 + exp(-gap)) over triples, each with its weight, by Newton's method."""
    even_T: Floats = np.divide(weights_T, weights_T.mean())
    found_F: Floats = np.zeros(gaps_TF.shape[1])
    loss = _loss(gaps_TF, even_T, found_F)
    for _ in range(_STEPS):
        step_F = _newton_step(gaps_TF, even_T, found_F)
        scale = 1.0
        while (tried := _loss(gaps_TF, even_T, found_F - scale * step_F)) > loss and scale > _TOLERANCE:
            scale /= 2
        if loss - tried < _TOLERANCE:
            return found_F
        found_F = found_F - scale * step_F
        loss = tried
    return found_F


def _newton_step(gaps_TF: Floats, weights_T: Floats, at_F: Floats) -> Floats:
    miss_T = 1.0 / (1.0 + np.exp(np.clip(gaps_TF @ at_F, -500, 500)))
    triples = len(weights_T)
    gradient_F = -gaps_TF.T @ (weights_T * miss_T) / triples + _RIDGE * at_F
    bend_T = weights_T * miss_T * (1 - miss_T)
    hessian_FF = (gaps_TF * bend_T[:, None]).T @ gaps_TF / triples + _RIDGE * np.eye(len(at_F))
    return np.asarray(np.linalg.solve(hessian_FF, gradient_F), dtype=np.float64)


def _loss(gaps_TF: Floats, weights_T: Floats, at_F: Floats) -> float:
    softplus_T = np.logaddexp(0.0, -(gaps_TF @ at_F))
    return float((weights_T * softplus_T).mean() + _RIDGE / 2 * (at_F @ at_F))
