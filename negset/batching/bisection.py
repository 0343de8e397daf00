"""Balanced clusters by halving: spherical 2-means whose halves are equal, applied again to each half (NGAME).

All sizes of clusters come from one order: the halves of the halves of a part lie inside it. A part is fitted on at most
so many of its points, and then all of it is split at the median. Nothing depends on the order of rows, on the number
of threads, or on anything but vectors, keys and seed: products have fixed shapes and are rounded to 6 digits.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from negset.arrays import Matrix, Rows
from negset.indexes.kernels import one_thread
from negset.lots import id_keys, mix
from negset.search import canonical, usable_threads

_GAIN: Final = 1e-4  # of the mean cosine to the own centre: below it a fit ends, as in the authors' code
_STEPS: Final = 20
_SAMPLE: Final = 16_384  # points that the halves of a large part are fitted on
_SMALL: Final = 4096  # points of a part that is gathered once and halved to the end: 2 MB at 128 dimensions
_BLOCK: Final = 8192

_Flags = NDArray[np.bool_]


def halvings(points: int, size: int) -> int:
    """Give how often `points` are halved for clusters of about `size`: their number is rounded up to a power of 2."""
    return max(int(np.ceil(np.log2(max(points, 1) / max(size, 1)))), 0)


def part_sizes(points: int, depth: int) -> Rows:
    """Give the sizes of the parts after `depth` halvings, in their order; they differ by one at the most."""
    sizes = np.array([points], dtype=np.int64)
    for _ in range(depth):
        sizes = np.stack([sizes // 2, sizes - sizes // 2], axis=1).reshape(-1)
    return sizes


def bisect(vectors_ND: Matrix, keys_N: NDArray[np.uint64], depth: int, seed: int) -> Rows:
    """Give the rows in an order whose parts of `part_sizes` are clusters, for every depth up to `depth`.

    Vectors have length one. Inside a part rows stand in the order of their keys.
    """
    order = np.argsort(keys_N, kind="stable")
    with one_thread(), ThreadPoolExecutor(usable_threads()) as pool:
        level = 0
        while level < depth and len(order) / 2**level > _SMALL:
            for start, end in _parts(len(order), level):
                order[start:end] = _halve_large(vectors_ND, order[start:end], _salt(seed, level, start), pool)
            level += 1
        if level < depth:
            parts = list(_parts(len(order), level))
            done = pool.map(
                lambda part: _halve_small(vectors_ND, order[slice(*part)], level, depth, (seed, part[0])), parts
            )
            for (start, end), rows in zip(parts, done, strict=True):
                order[start:end] = rows
    return order


def _parts(points: int, depth: int) -> Iterator[tuple[int, int]]:
    borders = np.r_[0, np.cumsum(part_sizes(points, depth))]
    return zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)


def _salt(seed: int, level: int, start: int) -> NDArray[np.uint64]:
    """Give the bits that the seeds of a part are drawn by."""
    return id_keys([f"{seed}:bisection:{level}:{start}"])


def _halve_large(vectors_ND: Matrix, rows: Rows, salt: NDArray[np.uint64], pool: Executor) -> Rows:
    """Give `rows` with those of the first half before those of the second, each in the order they had."""
    sample_1SD = vectors_ND[rows[:_SAMPLE]][None]
    across_D = _fit(sample_1SD, salt)[0]
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    parts = list(pool.map(lambda block: vectors_ND[block] @ across_D, blocks))
    upper_N = _upper_half(canonical(np.concatenate(parts).astype(np.float64))[None])[0]
    return np.concatenate([rows[~upper_N], rows[upper_N]])


def _halve_small(vectors_ND: Matrix, rows: Rows, level: int, depth: int, salt: tuple[int, int]) -> Rows:
    """Halve a part that fits into the cache down to `depth`, all parts of one size at once."""
    vectors_PD = np.ascontiguousarray(vectors_ND[rows], dtype=np.float32)
    place = np.arange(len(rows))
    for at in range(depth - level):
        sizes = part_sizes(len(rows), at)
        starts = np.cumsum(sizes) - sizes
        for size in np.unique(sizes).tolist():
            if size < 2:
                continue
            chosen = starts[sizes == size]
            slots_GM = chosen[:, None] + np.arange(size)
            bits = mix(_salt(salt[0], level + at, salt[1]) ^ chosen.astype(np.uint64))
            place[slots_GM] = _halved(vectors_PD, place[slots_GM], bits)
    return rows[place]


def _halved(vectors_PD: Matrix, place_GM: Rows, bits_G: NDArray[np.uint64]) -> Rows:
    vectors_GMD = vectors_PD[place_GM]
    across_GD = _fit(vectors_GMD, bits_G)
    side_GM = canonical((vectors_GMD @ across_GD[:, :, None])[:, :, 0].astype(np.float64))
    by_half = np.argsort(_upper_half(side_GM), axis=1, kind="stable")
    return np.take_along_axis(place_GM, by_half, axis=1)


def _upper_half(side_GM: NDArray[np.float64]) -> _Flags:
    """Tell of each row which of its entries are not among the smaller half; ties go by place."""
    order_GM = np.argsort(side_GM, axis=1, kind="stable")
    upper_GM = np.zeros(side_GM.shape, dtype=np.bool_)
    np.put_along_axis(upper_GM, order_GM[:, side_GM.shape[1] // 2 :], values=True, axis=1)
    return upper_GM


def _fit(vectors_GMD: Matrix, bits_G: NDArray[np.uint64]) -> Matrix:
    """Fit two centres of length one to each group, its halves being equal; give the second minus the first, (G, D)."""
    size = vectors_GMD.shape[1]
    first_G = (bits_G % np.uint64(size)).astype(np.int64)
    other_G = (first_G + 1 + (mix(bits_G) % np.uint64(max(size - 1, 1))).astype(np.int64)) % size
    group = np.arange(len(vectors_GMD))
    centres_G2D = np.stack([vectors_GMD[group, first_G], vectors_GMD[group, other_G]], axis=1)
    total_GD = vectors_GMD.sum(axis=1)
    before = -np.inf
    for _ in range(_STEPS):
        cosines_GM2 = vectors_GMD @ centres_G2D.transpose(0, 2, 1)
        side_GM = cosines_GM2[:, :, 1] - cosines_GM2[:, :, 0]
        upper_GM = np.zeros(side_GM.shape, dtype=np.float32)
        top = np.argpartition(side_GM, size // 2 - 1, axis=1)[:, size // 2 :]
        np.put_along_axis(upper_GM, top, 1.0, axis=1)
        fitness = float((cosines_GM2[:, :, 0] + upper_GM * side_GM).mean())
        if fitness - before < _GAIN:
            break
        before = fitness
        upper_GD = (upper_GM[:, None, :] @ vectors_GMD)[:, 0]
        centres_G2D = _lengthened(np.stack([total_GD - upper_GD, upper_GD], axis=1))
    return np.asarray(centres_G2D[:, 1] - centres_G2D[:, 0], dtype=np.float32)


def _lengthened(vectors_G2D: Matrix) -> Matrix:
    length = np.sqrt(np.einsum("gkd,gkd->gk", vectors_G2D, vectors_G2D))[:, :, None]
    return np.asarray(vectors_G2D / np.maximum(length, np.finfo(np.float32).tiny), dtype=np.float32)
