"""Inverted lists of vectors in 8 bits a number, between the smallest and largest of each dimension."""

from functools import partial
from typing import cast

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
    """Cut the documents into lists of 8 bits a number."""
    return build_scalar_lists(documents_ND, seed, faiss.ScalarQuantizer.QT_8bit)


def settings(documents: int, fixed: Setting) -> list[Setting]:
    """List numbers of lists to look into."""
    return lists.probe_settings(documents, fixed)


def open_index(index: faiss.Index, documents_ND: Matrix) -> Propose:
    """Propose a quarter more than is wanted, which makes up for the rounding."""
    trained = faiss.vector_to_array(cast("faiss.IndexIVFScalarQuantizer", index).sq.trained)
    lowest_D, width_D = trained.reshape(2, index.d)
    return open_scalar_lists(index, documents_ND, partial(_decode, lowest_D, width_D), 1.25)


def _decode(lowest_D: Matrix, width_D: Matrix, codes_NC: NDArray[np.uint8]) -> Matrix:
    # A code stands for the middle of its step.
    vectors_ND: Matrix = (codes_NC + np.float32(0.5)) * (width_D / np.float32(255)) + lowest_D
    return vectors_ND
