"""How far two groups of texts are apart before anything is trained: the proxy A-distance (Ben-David et al. 2007).

A classifier that tells texts of one group from texts of the other is fitted; the worse it does, the nearer they are.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from negset.arrays import Floats, Matrix
from negset.lots import id_keys, mix
from negset.probing.collection import Keys

FOLDS = 5
LIMIT = 1000
"""Texts of each group that are used at the most, by lot."""
_STRENGTH = 1.0


def proxy_distance(one_ND: Matrix, one_keys: Keys, other_MD: Matrix, other_keys: Keys, seed: int) -> float:
    """Give 2 (1 - 2 error), at least 0, of telling `one_ND` from `other_MD`: 0 for alike, 2 for apart.

    As many of each are used, at most LIMIT, drawn by lots of their keys. The error is on texts that the classifier was
    not fitted on: in hundreds of dimensions it learns any few by heart. NaN for fewer than FOLDS of either group.
    """
    size = min(len(one_ND), len(other_MD), LIMIT)
    if size < FOLDS:
        return float("nan")
    folds, rows, labels = [], [], []
    for label, (vectors, keys) in enumerate(((one_ND, one_keys), (other_MD, other_keys))):
        order = np.lexsort((keys, mix(keys ^ id_keys([f"{seed}:similarity"]))))[:size]
        rows.append(vectors[order].astype(np.float64))
        labels.append(np.full(size, label))
        folds.append(np.arange(size) % FOLDS)
    return _distance(np.concatenate(rows), np.concatenate(labels), np.concatenate(folds))


def _distance(rows_SD: Floats, labels_S: np.ndarray, folds_S: np.ndarray) -> float:
    wrong = 0
    for fold in range(FOLDS):
        inside = folds_S != fold
        mean, spread = rows_SD[inside].mean(axis=0), rows_SD[inside].std(axis=0)
        scaled_SD = (rows_SD - mean) / np.where(spread > 0, spread, 1.0)
        model = LogisticRegression(C=_STRENGTH, max_iter=200).fit(scaled_SD[inside], labels_S[inside])
        wrong += int((model.predict(scaled_SD[~inside]) != labels_S[~inside]).sum())
    return max(0.0, 2.0 * (1.0 - 2.0 * wrong / len(labels_S)))
