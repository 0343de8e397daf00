"""Products by torch: float32, and bfloat16 where the processor multiplies it faster."""

import time
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from negset.arrays import Floats, Matrix, Rows
from negset.products import Float32, Loaded, Mask, Scores, places_at_least, row_lengths, shaped

_HALF_ULP: Final = 2.0**-8  # relative error of rounding to bfloat16, which has 8 significant bits
_PROBE: Final = (512, 384, 2048)  # queries, dimensions and documents of the products that are timed
_LOWEST: Final = np.int16(-(2**15))


def _keep_to_one_thread() -> None:
    """Make torch compute on the calling thread alone: OpenMP counts threads for each thread that starts some."""
    torch.get_num_threads()  # torch sets this thread's number when it is first asked, over whatever is set before
    threadpool_limits(1, user_api="openmp")


class BFloat16:
    """Products of vectors rounded to bfloat16, summed in float32, stored as bfloat16.

    Scores are compared as their bits: of two floats that are not negative, the greater has the greater bits.
    """

    name = "bfloat16 (torch)"
    item_bytes = 2

    def load(self, vectors_ND: Matrix) -> Loaded:
        """Round the vectors and measure by how much that moved each."""
        exact = torch.from_numpy(np.require(vectors_ND, np.float32, ["C", "W"]))
        rounded = exact.bfloat16()
        change_N = torch.linalg.vector_norm(exact - rounded.float(), dim=1).double().numpy()
        # The difference is exact in float32; its length is summed there, so a little is added.
        return Loaded(rounded, row_lengths(vectors_ND), np.asarray(change_N * (1 + 1e-4)))

    def keep_to_one_thread(self) -> None:
        """Limit torch's threads."""
        _keep_to_one_thread()

    def scratch(self, queries: int, documents: int) -> Scores:
        """Give room for the bits of bfloat16 scores."""
        return np.empty(queries * documents, dtype=np.int16)

    def multiply(self, queries: Loaded, documents: Loaded, rows: slice, part: slice, out: Scores) -> Scores:
        """Multiply into the memory of `out`."""
        left = cast("torch.Tensor", queries.vectors)[rows]
        right = cast("torch.Tensor", documents.vectors)[part]
        bits_QT = shaped(out, len(left), len(right))
        torch.mm(left, right.T, out=torch.from_numpy(bits_QT).view(torch.bfloat16))
        return bits_QT

    def passing(self, scores_QT: Scores, needed_Q: Matrix, mask: Mask) -> Rows:
        """Compare bits; where a needed score is not above zero, in an order that holds for negative floats too."""
        bits_QT, bits_Q = cast("NDArray[np.int16]", scores_QT), _bits_below(needed_Q)
        if (np.isfinite(needed_Q) & (needed_Q <= 0)).any():
            bits_QT, bits_Q = _ordered(bits_QT), _ordered(bits_Q)
        bits_Q = np.where(needed_Q == -np.inf, _LOWEST, bits_Q)
        return places_at_least(bits_QT, bits_Q, mask)

    def read(self, scores_QT: Scores, place_P: Rows) -> Matrix:
        """Widen the bits to float32."""
        return (scores_QT.reshape(-1)[place_P].view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)

    def stored_error(self, scores_Q: Matrix) -> Floats:
        """Give half a unit in the last place."""
        return np.abs(scores_Q).astype(np.float64) * _HALF_ULP


def bfloat16_speedup() -> float:
    """Measure how many times faster than float32 this processor multiplies bfloat16, on one thread's tile."""
    queries, dimensions, documents = _PROBE
    left, right = torch.rand(queries, dimensions), torch.rand(documents, dimensions)
    seconds = [
        min(_seconds(left.to(kind), right.to(kind)) for _ in range(5)) for kind in (torch.float32, torch.bfloat16)
    ]
    return seconds[0] / seconds[1]


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right.T)
    return time.perf_counter() - start


def _multiply_float32(left: Matrix, right: Matrix, out: Matrix) -> object:
    return torch.mm(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))


def _bits_below(values_Q: Matrix) -> NDArray[np.int16]:
    """Give the bits of a bfloat16 that is not above each value, and not above minus zero for zero."""
    bits_Q = values_Q.view(np.uint32) >> np.uint32(16)
    down_Q = np.where(values_Q == 0, np.uint32(0x8000), bits_Q + ((values_Q < 0) & np.isfinite(values_Q)))
    return down_Q.astype(np.uint16).view(np.int16)


def _ordered(bits: NDArray[np.int16]) -> NDArray[np.int16]:
    """Turn the bits of floats into integers of the same order."""
    return bits ^ ((bits >> np.int16(15)) & np.int16(0x7FFF))


FLOAT32: Final = Float32("float32 (torch)", _multiply_float32, _keep_to_one_thread)
BFLOAT16: Final = BFloat16()
