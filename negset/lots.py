"""Numbers drawn from identities: the same name gives the same bits on every machine, in any order of rows."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

STEP = np.uint64(0x9E3779B97F4A7C15)
"""What splitmix64 adds to its state for each number."""


def id_keys(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Hash each of `ids` to 64 bits."""
    digests = b"".join(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread each of `values` over 64 bits: a bijection (one step of splitmix64, Steele, Lea, Flood 2014)."""
    mixed = values + STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
