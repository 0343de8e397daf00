"""A small scorer that is fitted on the labels of a corpus and never scores a query that it was fitted on.

Queries are dealt into folds; a pair is scored by the model that was fitted on the other folds. Without that, a
scorer knows which documents of a query are labelled, and every other candidate of it looks safe.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from negset.arrays import Floats, Rows
from negset.errors import ConfigError
from negset.lots import id_keys

if TYPE_CHECKING:
    from negset.snapshot import Snapshot

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LogisticModel:
    """A logistic regression over features in units of their deviation."""

    mean_F: Floats
    deviation_F: Floats
    coefficient_F: Floats
    intercept: float

    def log_odds(self, features_PF: Floats) -> Floats:
        """Give the log of the odds that each row is relevant, among as many relevant rows as others."""
        odds_P: Floats = ((features_PF - self.mean_F) / self.deviation_F) @ self.coefficient_F + self.intercept
        return odds_P


@dataclass(frozen=True)
class CrossFitted:
    """A model for each fold, fitted on the others, and the fold of each query."""

    models: tuple[LogisticModel, ...]
    fold_Q: Rows

    def log_odds(self, features_PF: Floats, query_P: Rows) -> Floats:
        """Give the log of the odds that each pair is relevant, by the model that never saw its query."""
        odds_P, fold_P = np.empty(len(query_P)), self.fold_Q[query_P]
        for fold, model in enumerate(self.models):
            odds_P[fold_P == fold] = model.log_odds(features_PF[fold_P == fold])
        return odds_P

    def probability(self, features_PF: Floats, query_P: Rows, prior: float = 0.5) -> Floats:
        """Give how likely each pair is relevant where `prior` of all are."""
        probability_P: Floats = expit(self.log_odds(features_PF, query_P) + logit(prior))
        return probability_P


def deal_folds(snapshot: "Snapshot", labelled: Rows, folds: int, seed: int) -> Rows:
    """Give each query of `snapshot` its fold; queries of equal text share one.

    Texts of `labelled` queries are dealt out in turn, in an order drawn by `seed`, so that every fold has some;
    there are no more folds than such texts. Raises ConfigError where there are not two.
    """
    texts = np.array([digest.hex() for digest in snapshot.queries()["text_sha256"]])
    names, text_Q = np.unique(texts, return_inverse=True)
    taught = np.unique(text_Q[labelled])
    if len(taught) < 2:
        message = (
            f"a scorer fitted on the labels needs labelled positives of two queries of different text; there are "
            f"{len(taught)} among those that are mined. Use another teacher, or more of the queries (mine.splits)"
        )
        raise ConfigError(message)
    folds = min(folds, len(taught))
    lot = id_keys([f"{seed}:fold:{name}" for name in names])
    fold_T = (lot % np.uint64(folds)).astype(np.int64)
    fold_T[taught[np.argsort(lot[taught])]] = np.arange(len(taught)) % folds
    return fold_T[text_Q]


def fit_folds(features_PF: Floats, relevant_P: Flags, query_P: Rows, fold_Q: Rows) -> CrossFitted:
    """Fit a model for each fold on the rows of all other folds.

    Raises ConfigError where these have no relevant or no other rows.
    """
    fold_P, folds = fold_Q[query_P], int(fold_Q.max()) + 1
    return CrossFitted(
        tuple(fit_logistic(features_PF[fold_P != fold], relevant_P[fold_P != fold]) for fold in range(folds)), fold_Q
    )


def fit_logistic(features_PF: Floats, relevant_P: Flags) -> LogisticModel:
    """Fit by Newton's method with a ridge of 1; both classes weigh the same, whatever their size."""
    if relevant_P.all() or not relevant_P.any():
        message = (
            f"a scorer fitted on the labels needs relevant pairs and others; it has {len(relevant_P)} pairs, "
            f"{int(relevant_P.sum())} of them relevant"
        )
        raise ConfigError(message)
    mean_F, deviation_F = features_PF.mean(axis=0), features_PF.std(axis=0)
    deviation_F = np.where(deviation_F > 0, deviation_F, 1.0)
    fitted = LogisticRegression(solver="newton-cholesky", class_weight="balanced", tol=1e-10, max_iter=100)
    fitted.fit((features_PF - mean_F) / deviation_F, relevant_P)
    return LogisticModel(mean_F, deviation_F, fitted.coef_[0], float(fitted.intercept_[0]))
