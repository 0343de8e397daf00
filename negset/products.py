"""Matrix products of a first pass: cheap scores of many pairs, with a bound on how far off they can be.

A product only says which pairs could matter; who uses it fetches all of these and scores them again. There are
three: float32 by numpy, which needs no import; float32 by torch, somewhat faster; bfloat16 by torch, several times
faster where the processor has instructions for it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Floats, Matrix, Rows

Precision = Literal["auto", "float32", "bfloat16"]
Scores = NDArray[np.generic]
Mask = NDArray[np.bool_]

TORCH_PAYS: Final = 2e12
"""Operations of a search from which on importing torch, which takes seconds, is worth its faster products."""
TORCH_HELPS: Final = 1e11
"""The same where torch is imported already: below, what it takes to prepare is more than it saves."""
BFLOAT16_PAYS: Final = 1.5
"""How many times faster than float32 a bfloat16 product must be to be chosen, since it leaves longer lists."""

_UNIT: Final = 2.0**-24  # relative error of one float32 operation
_PART: Final = 4096  # vectors whose lengths are summed at once


@dataclass(frozen=True)
class Loaded:
    """Vectors in the form that is multiplied; how long each is, and how much rounding to that form moved it."""

    vectors: object
    length_N: Floats
    change_N: Floats


class Product(Protocol):
    """A kind of matrix product of queries and documents, and how its scores are compared."""

    @property
    def name(self) -> str:
        """Say what it computes in, and by what."""

    @property
    def item_bytes(self) -> int:
        """Give the bytes of one loaded number."""

    def load(self, vectors_ND: Matrix) -> Loaded:
        """Bring vectors into the form that is multiplied."""

    def keep_to_one_thread(self) -> None:
        """Make products that the calling thread asks for run on it alone."""

    def scratch(self, queries: int, documents: int) -> Scores:
        """Give room for the scores of one tile."""

    def multiply(self, queries: Loaded, documents: Loaded, rows: slice, part: slice, out: Scores) -> Scores:
        """Score the queries in `rows` with the documents in `part`, writing to `out`; gives (Q, T)."""

    def passing(self, scores_QT: Scores, needed_Q: Matrix, mask: Mask) -> Rows:
        """Give the places in the flattened scores that are at least `needed_Q` of their row, ascending."""

    def read(self, scores_QT: Scores, place_P: Rows) -> Matrix:
        """Give the scores at places as float32."""

    def stored_error(self, scores_Q: Matrix) -> Floats:
        """Bound by how much storing a score of this size changed it."""


def error_bound(queries: Loaded, length: float, change: float, dimensions: int) -> Floats:
    """Bound how far a score of each query is from the inner product, before it is stored.

    `length` and `change` are the greatest among the documents. Rounded inputs are bounded by Cauchy and Schwarz; each
    product and sum in float32 is off by one part in 2**24 at most, in whatever order it is summed (Higham 2002,
    section 3.1), and the rest is for the second order.
    """
    rounded_Q = queries.length_N + queries.change_N
    inputs_Q = queries.change_N * length + rounded_Q * change
    sums_Q = rounding(dimensions) * rounded_Q * (length + change)
    return np.asarray(inputs_Q * (1 + 1e-6) + sums_Q + 1e-30)


def rounding(dimensions: int) -> float:
    """Bound the error of a float32 inner product, per unit of the sum of the absolute products."""
    return (1.01 * dimensions + 4) * _UNIT


def row_lengths(vectors_ND: Matrix) -> Floats:
    """Give the length of each vector, summed in float64 a part at a time."""
    lengths_N = np.empty(len(vectors_ND))
    for start in range(0, len(vectors_ND), _PART):
        part = np.asarray(vectors_ND[start : start + _PART], dtype=np.float64)
        lengths_N[start : start + _PART] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return lengths_N


@dataclass(frozen=True)
class Float32:
    """Products in float32 by `matmul`, which writes the product of its first two arguments to the third."""

    name: str
    matmul: Callable[[Matrix, Matrix, Matrix], object]
    keep_to_one_thread: Callable[[], None]
    item_bytes: int = 4

    def load(self, vectors_ND: Matrix) -> Loaded:
        """Take the vectors as they are; a memory map is read, since torch warns of memory that it may not write."""
        vectors_ND = np.require(vectors_ND, np.float32, ["C", "W"])
        return Loaded(vectors_ND, row_lengths(vectors_ND), np.zeros(len(vectors_ND)))

    def scratch(self, queries: int, documents: int) -> Scores:
        """Give room for float32 scores."""
        return np.empty(queries * documents, dtype=np.float32)

    def multiply(self, queries: Loaded, documents: Loaded, rows: slice, part: slice, out: Scores) -> Scores:
        """Multiply in float32."""
        left, right = cast("Matrix", queries.vectors)[rows], cast("Matrix", documents.vectors)[part]
        scores_QT = shaped(out, len(left), len(right))
        self.matmul(left, right.T, cast("Matrix", scores_QT))
        return scores_QT

    def passing(self, scores_QT: Scores, needed_Q: Matrix, mask: Mask) -> Rows:
        """Compare float32 with float32."""
        return places_at_least(scores_QT, needed_Q, mask)

    def read(self, scores_QT: Scores, place_P: Rows) -> Matrix:
        """Take the scores."""
        return cast("Matrix", scores_QT.reshape(-1)[place_P])

    def stored_error(self, scores_Q: Matrix) -> Floats:
        """Give zero: a float32 sum is stored as it is."""
        return np.zeros(len(scores_Q))


def shaped(out: Scores, queries: int, documents: int) -> Scores:
    """Give the beginning of the scratch room `out` as a (`queries`, `documents`) array."""
    return out[: queries * documents].reshape(queries, documents)


def places_at_least(scores_QT: Scores, needed_Q: Scores, mask: Mask) -> Rows:
    """Give the places in the flattened scores that reach `needed_Q` of their row; writes to the scratch room `mask`."""
    flat_P = mask[: scores_QT.size]
    np.greater_equal(scores_QT, needed_Q[:, None], out=flat_P.reshape(scores_QT.shape))
    return np.flatnonzero(flat_P)


def find_product(precision: Precision, operations: float) -> Product:
    """Choose a product for a search of this many `operations`; `auto` times what this processor does faster."""
    pays = operations >= (TORCH_HELPS if "torch" in sys.modules else TORCH_PAYS)
    large = pays and importlib.util.find_spec("torch") is not None
    if precision == "bfloat16" or (precision == "auto" and large and _bfloat16_pays()):
        return _torch_product("BFLOAT16")
    return _torch_product("FLOAT32") if large else NUMPY


def _numpy_matmul(left: Matrix, right: Matrix, out: Matrix) -> object:
    return np.matmul(left, right, out=out)


def _nothing_to_limit() -> None:
    """Do nothing: numpy's library has one number of threads for all, which who shares out the work has limited."""


NUMPY: Final = Float32("float32 (numpy)", _numpy_matmul, _nothing_to_limit)


@cache
def _bfloat16_pays() -> bool:
    """Time both products once in this process."""
    speedup = cast("Callable[[], float]", importlib.import_module("negset.products_torch").bfloat16_speedup)
    return speedup() >= BFLOAT16_PAYS


def _torch_product(name: str) -> Product:
    return cast("Product", getattr(importlib.import_module("negset.products_torch"), name))
