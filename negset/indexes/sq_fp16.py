"""Inverted lists of vectors in float16: half the memory."""

import faiss
import numpy as np
from numpy.typing import NDArray

from negset.arrays import Matrix
from negset.indexes import lists
from negset.indexes.kind import Propose, Setting
from negset.indexes.scalar_lists import build_scalar_lists, open_scalar_lists

VERSION = 1
FEWEST = lists.FEWEST
KNOBS = ("nprobe",)


def build_index(documents_ND: Matrix, seed: int) -> faiss.Index:
    """Cut the documents into lists of float16."""
    return build_scalar_lists(documents_ND, seed, faiss.ScalarQuantizer.QT_fp16)


def settings(documents: int, fixed: Setting) -> list[Setting]:
    """List numbers of lists to look into."""
    return lists.probe_settings(documents, fixed)


def open_index(index: faiss.Index, documents_ND: Matrix) -> Propose:
    """Propose as many as are wanted: the error of float16 is smaller than the steps between neighbours."""
    return open_scalar_lists(index, documents_ND, _decode, 1.0)


def _decode(codes_NC: NDArray[np.uint8]) -> Matrix:
    return codes_NC.view(np.float16).astype(np.float32)
