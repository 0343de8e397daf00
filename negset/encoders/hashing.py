"""Hashed bag of words: every word has a fixed pseudo-random direction. Needs no fitting; meant for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from negset.encoders.encoder import Encoder, FittingCorpus, Role
from negset.encoders.tokens import bag_tokens, count_matrix, normalise_rows, tokenise
from negset.lots import STEP, id_keys, mix
from negset.progress import Progress
from schemas.encoder import EncoderConfig

VERSION = 1
BLOCK = 4096
"""Texts encoded at once: bounds the directions held to those of the block's words."""


@dataclass(frozen=True)
class HashingEncoder:
    """Sum the directions of a text's words."""

    fingerprint: str
    dimensions: int

    def encode(self, texts: Sequence[str], ids: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode `texts`; `ids` and `role` change nothing."""
        return hash_texts(texts, self.dimensions)


def identify(config: EncoderConfig, snapshot_content: str) -> dict[str, object]:
    """Name what the vectors depend on."""
    return {"version": VERSION, "dimensions": config.dimensions}


def prepare(config: EncoderConfig, snapshot: FittingCorpus, staged: Path, progress: Progress) -> int:
    """Prepare nothing."""
    return 0


def open_folder(config: EncoderConfig, folder: Path, fingerprint: str, secrets: Mapping[str, str]) -> Encoder:
    """Give the encoder."""
    return HashingEncoder(fingerprint=fingerprint, dimensions=config.dimensions)


def hash_texts(texts: Sequence[str], dimensions: int) -> NDArray[np.float32]:
    """Give the unit vector of each of `texts`: the sum of its words' directions.

    A text without words, of signs alone, counts as one word; a blank text gives a zero row.
    """
    vectors_ND = np.zeros((len(texts), dimensions), dtype=np.float32)
    for start in range(0, len(texts), BLOCK):
        vectors_ND[start : start + BLOCK] = _hash_block(texts[start : start + BLOCK], dimensions)
    return vectors_ND


def hash_zero_rows(vectors_ND: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
    """Give `vectors_ND` with the hashed vector of its text in each row that is zero.

    A bag of words has nothing to say of a text of signs, or of words that it cuts away; equal ones stay equal so.
    """
    zero = np.flatnonzero(~vectors_ND.any(axis=1))
    if not zero.size:
        return vectors_ND
    filled_ND = vectors_ND.copy()
    filled_ND[zero] = hash_texts([texts[row] for row in zero.tolist()], vectors_ND.shape[1])
    return filled_ND


def _hash_block(texts: Sequence[str], dimensions: int) -> NDArray[np.float32]:
    vocabulary = tokenise(texts).explode().drop_nulls().unique().sort().to_list()
    bags = bag_tokens(texts, vocabulary)
    sums_ND = count_matrix(bags, len(vocabulary)) @ word_directions(vocabulary, dimensions)
    wordless = [row for row in np.flatnonzero(np.diff(bags.offsets) == 0).tolist() if texts[row].strip()]
    sums_ND[wordless] = word_directions([texts[row].strip() for row in wordless], dimensions)
    return normalise_rows(sums_ND)


def word_directions(words: Sequence[str], dimensions: int) -> NDArray[np.float32]:
    """Draw the direction of each of `words`, uniform in [-1, 1) in each dimension, from a hash of the word.

    The draws are splitmix64 (Steele, Lea, Flood 2014) of the word's blake2b and the dimension.
    """
    steps_D = np.arange(dimensions, dtype=np.uint64) * STEP
    mixed_WD = mix(id_keys(words)[:, None] + steps_D)
    # The upper 53 bits fill a float64's mantissa exactly.
    uniform_WD: NDArray[np.float32] = ((mixed_WD >> np.uint64(11)) * 2.0**-52 - 1.0).astype(np.float32)
    return uniform_WD
