"""Inverted lists of scalar-quantised vectors, which `sq_fp16.py` and `sq_int8.py` share.

A list is turned back into floats when it is read, once for all queries of a block, so that memory is saved and
hardly any time is lost.
"""

from collections.abc import Callable
from typing import cast

import faiss
import numpy as np
from numpy.typing import NDArray

from negset.arrays import Matrix, Rows
from negset.indexes import lists
from negset.indexes.kind import Propose, Setting

Decode = Callable[[NDArray[np.uint8]], Matrix]
"""Turn codes of documents into their vectors, as faiss would, but without starting threads for each list."""


def build_scalar_lists(documents_ND: Matrix, seed: int, quantizer: int) -> faiss.Index:
    """Cut the documents into lists and keep each number of a vector as `quantizer` of faiss says."""
    width, number = documents_ND.shape[1], lists.list_count(len(documents_ND))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, number, quantizer, faiss.METRIC_INNER_PRODUCT, False
    )
    lists.train_lists(index, documents_ND, seed)
    return index


def open_scalar_lists(index: faiss.Index, documents_ND: Matrix, decode: Decode, widening: float) -> Propose:
    """Give a search that proposes `widening` times the documents wanted, since what it compares is rounded."""
    # Rounding moves a vector by less than its own length.
    opened = lists.open_lists(cast("faiss.IndexIVF", index), decode, 2 * lists.longest(documents_ND))

    def propose(queries_QD: Matrix, count: int, how: Setting) -> Rows:
        return lists.search_lists(opened, queries_QD, int(count * widening), how.nprobe)

    return propose
