"""How good vectors look without a label: clustered queries, confident and varied answers, documents spread apart.

The transferability score of unsupervised domain adaptation (arXiv 2307.09022): a Hopkins statistic of the features,
the mutual information of inputs and predictions, and how near the classifier's weights are to a simplex. A retriever
has no classes; documents stand for them, so a score compares checkpoints on the same queries and documents alone.
"""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import log_softmax

from negset.arrays import Floats, Matrix
from negset.lots import id_keys

SHARE: Final = 0.05
"""Share of the points that the Hopkins statistic draws."""
TEMPERATURE: Final = 0.05


@dataclass(frozen=True)
class LabelFreeScore:
    """The score and its parts: `hopkins` and `information` are better if higher, `angles` if lower."""

    hopkins: float
    information: float
    angles: float

    @property
    def score(self) -> float:
        """Add what is good and take off what is bad."""
        return self.hopkins + self.information - self.angles

    def numbers(self) -> dict[str, float]:
        """Give the parts and the score."""
        return {**asdict(self), "score": self.score}


def score_vectors(queries_QD: Matrix, documents_CD: Matrix, seed: int) -> LabelFreeScore:
    """Score the vectors of queries and of the documents that they are answered from, all of length one.

    Raises ValueError for fewer than 2 of either.
    """
    queries, documents = queries_QD.astype(np.float64), documents_CD.astype(np.float64)
    return LabelFreeScore(
        hopkins_statistic(queries, seed),
        mutual_information(queries @ documents.T / TEMPERATURE),
        angle_deviation(documents),
    )


def hopkins_statistic(points_ND: Floats, seed: int) -> float:
    """Tell how clustered the points are: .5 for points without structure, up to 1 for tight clusters.

    Distances of SHARE of the points (2 at least) to their nearest other point, against those of as many points drawn
    uniformly in the box of all: what these sum to, as a share of both (Hopkins and Skellam 1954). Points that all
    coincide give 1. Raises ValueError for fewer than 2.
    """
    if len(points_ND) < 2:
        message = f"{len(points_ND)} points have no neighbours to measure"
        raise ValueError(message)
    count = max(2, round(SHARE * len(points_ND)))
    chance = np.random.default_rng(int(id_keys([f"{seed}:hopkins"])[0]))
    drawn = chance.choice(len(points_ND), count, replace=False)
    uniform = chance.uniform(points_ND.min(axis=0), points_ND.max(axis=0), size=(count, points_ND.shape[1]))
    own_SN = cdist(points_ND[drawn], points_ND)
    own_SN[np.arange(count), drawn] = np.inf
    inside, outside = float(own_SN.min(axis=1).sum()), float(cdist(uniform, points_ND).min(axis=1).sum())
    return outside / (inside + outside) if inside + outside > 0 else 1.0


def mutual_information(logits_NC: Floats) -> float:
    """Give how much predictions depend on their inputs, from 0 (all alike) to 1 (sure, and each class as often).

    The entropy of the mean prediction less the mean entropy, over log C.
    """
    log_shares_NC = log_softmax(logits_NC, axis=1)
    shares_NC = np.exp(log_shares_NC)
    mean_C = shares_NC.mean(axis=0)
    of_mean = -float((mean_C * np.log(np.maximum(mean_C, np.finfo(np.float64).tiny))).sum())
    mean_of = -float((shares_NC * log_shares_NC).sum(axis=1).mean())
    return (of_mean - mean_of) / float(np.log(logits_NC.shape[1]))


def angle_deviation(weights_CD: Floats) -> float:
    """Give the mean squared deviation of the angles between weights, in radians, from those of a regular simplex.

    There each two are at arccos(-1 / (C - 1)), as far apart as C directions can be from each other.
    """
    count = len(weights_CD)
    length_C1 = np.linalg.norm(weights_CD, axis=1, keepdims=True)
    unit_CD = weights_CD / np.where(length_C1 > 0, length_C1, 1.0)
    cosines = (unit_CD @ unit_CD.T)[np.triu_indices(count, 1)]
    wanted = np.arccos(-1.0 / (count - 1))
    return float(((np.arccos(np.clip(cosines, -1.0, 1.0)) - wanted) ** 2).mean())
