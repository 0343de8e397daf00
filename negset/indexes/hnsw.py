"""A navigable small-world graph over unit vectors: by far the slowest to build, and no training."""

from functools import partial
from typing import Final

import faiss
import numpy as np

from negset.arrays import Matrix, Rows
from negset.indexes.kernels import one_thread
from negset.indexes.kind import Propose, Setting

VERSION = 1
FEWEST = 10_000
KNOBS = ("ef_search",)

_NEIGHBOURS: Final = 32
_EF_CONSTRUCTION: Final = 80  # 200,000 vectors take half a minute to link


def build_index(documents_ND: Matrix, seed: int) -> faiss.Index:
    """Link the documents one after the other, on one thread: a graph depends on the order in which it grows."""
    index = faiss.IndexHNSWFlat(documents_ND.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _EF_CONSTRUCTION
    with one_thread():
        index.add(np.ascontiguousarray(documents_ND))
    return index


def settings(documents: int, fixed: Setting) -> list[Setting]:
    """List widths of the walk."""
    if fixed.ef_search:
        return [fixed]
    return [Setting(ef_search=round(64 * 2 ** (step / 3))) for step in range(20)]


def open_index(index: faiss.Index, documents_ND: Matrix) -> Propose:
    """Search the graph."""
    return partial(_propose, index)


def _propose(index: faiss.Index, queries_QD: Matrix, count: int, how: Setting) -> Rows:
    # A walk that keeps fewer documents in view than are wanted cannot find them.
    walk = faiss.SearchParametersHNSW(efSearch=max(how.ef_search, count))  # type: ignore[attr-defined] # their stubs lack it
    _, rows_QK = index.search(np.ascontiguousarray(queries_QD), count, params=walk)
    return rows_QK
