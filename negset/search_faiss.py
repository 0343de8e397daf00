"""Fetch candidates by faiss' flat inner product."""

import faiss
import numpy as np
from numpy.typing import NDArray


def fetch(
    queries_QD: NDArray[np.float32], documents_ND: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give scores and rows of the `count` best documents of each query, both (Q, count); no index is copied."""
    scores_QK, rows_QK = faiss.knn(queries_QD, documents_ND, count, metric=faiss.METRIC_INNER_PRODUCT)
    return scores_QK, rows_QK
