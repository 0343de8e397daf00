"""Inverted lists of whole vectors: what is proposed is exact within the lists that are looked into."""

from functools import partial
from typing import cast

import faiss
import numpy as np
from numpy.typing import NDArray

from negset.arrays import Matrix, Rows
from negset.indexes import lists
from negset.indexes.kind import Propose, Setting

VERSION = 1
FEWEST = lists.FEWEST
KNOBS = ("nprobe",)


def build_index(documents_ND: Matrix, seed: int) -> faiss.Index:
    """Cut the documents into lists."""
    width, number = documents_ND.shape[1], lists.list_count(len(documents_ND))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, number, faiss.METRIC_INNER_PRODUCT)
    lists.train_lists(index, documents_ND, seed)
    return index


def settings(documents: int, fixed: Setting) -> list[Setting]:
    """List numbers of lists to look into."""
    return lists.probe_settings(documents, fixed)


def open_index(index: faiss.Index, documents_ND: Matrix) -> Propose:
    """Read the lists where they lie in memory."""
    return partial(_propose, lists.open_lists(cast("faiss.IndexIVF", index), _decode, lists.longest(documents_ND)))


def _propose(opened: lists.Lists, queries_QD: Matrix, count: int, how: Setting) -> Rows:
    return lists.search_lists(opened, queries_QD, count, how.nprobe)


def _decode(codes_NC: NDArray[np.uint8]) -> Matrix:
    return codes_NC.view(np.float32)
