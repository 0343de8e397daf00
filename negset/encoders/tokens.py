"""Words of a text, as the bag-of-words encoders count them.

A word is a run of two or more Unicode word characters (letters, digits, underscore) of the lower-cased text.
Scripts that put no space between words give whole phrases, which a bag of words serves badly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

WORD = r"\w\w+"


@dataclass(frozen=True)
class TokenBags:
    """Known words of several texts, in text order: those of text `i` are `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


def tokenise(texts: Sequence[str]) -> pl.Series:
    """Split each of `texts` into its words: a series of lists of strings."""
    return pl.Series("token", list(texts), dtype=pl.String).str.to_lowercase().str.extract_all(WORD)


def bag_tokens(texts: Sequence[str], vocabulary: Sequence[str]) -> TokenBags:
    """Look up the words of `texts` in `vocabulary`, which gives each its index; unknown words are left out."""
    rows = pl.Series("row", np.arange(len(texts), dtype=np.uint32))
    known = pl.DataFrame({"token": pl.Series(list(vocabulary), dtype=pl.String)}).with_row_index("id")
    words = pl.DataFrame([rows, tokenise(texts)]).explode("token").drop_nulls("token")
    found = words.join(known, on="token", how="inner", maintain_order="left")
    lengths = np.bincount(found.get_column("row").to_numpy(), minlength=len(texts))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenBags(ids=found.get_column("id").to_numpy().astype(np.int32), offsets=offsets)


def count_matrix(bags: TokenBags, width: int) -> sp.csr_matrix:
    """Count each word of `bags`: float32, one row for each text, `width` columns, columns ascending in a row."""
    shape = (len(bags.offsets) - 1, width)
    counts = sp.csr_matrix((np.ones(len(bags.ids), dtype=np.float32), bags.ids, bags.offsets), shape=shape)
    counts.sum_duplicates()
    return counts


def normalise_rows(vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale each row of `vectors_ND` to length 1 (in float64); rows that are zero or not finite stay so."""
    wide_ND = np.asarray(vectors_ND, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        # Scaled by the largest entry first, so that the squares of huge and denormal values stay in range.
        largest_N1 = np.abs(wide_ND).max(axis=1, keepdims=True, initial=0.0)
        scaled_ND = wide_ND / np.where(largest_N1 > 0, largest_N1, 1.0)
        length_N1 = np.sqrt(np.einsum("nd,nd->n", scaled_ND, scaled_ND))[:, None]
        unit_ND: NDArray[np.float32] = (scaled_ND / np.where(length_N1 > 0, length_N1, 1.0)).astype(np.float32)
    return unit_ND
