"""Fit the word embeddings of `lsa`: truncated SVD of a TF-IDF matrix.

1. Term frequencies are saturated as in BM25, tf * 2.2 / (tf + 1.2), weighted by Lucene's idf, and each document's
   row is scaled to length 1. Saturation touches the fit alone: encoding counts words linearly, as a bag must.
2. Randomised SVD (Halko, Martinsson, Tropp 2011, in scikit-learn) of that matrix gives right singular vectors V
   and singular values S.
3. `embeddings = idf**3 * V * S`, scaled to a mean length of 1.

The exponents were measured, since any weight of a word or of a direction keeps the bag a bag. nDCG@10 at 256
dimensions, all queries with a positive:

    embeddings      scifact  npl  cranfield  cacm  cosqa  tldr  esco_occ  er_products  se_quantum
    idf * V            .497 .204       .375  .255   .132  .124      .389         .768        .279
    idf**2 * V         .546 .233       .354  .311   .166  .161      .414         .794        .304
    idf**2 * V * S     .511 .272       .368  .337   .171  .154      .412         .772        .300
    idf**3 * V         .564 .262       .302  .304   .211  .191      .411         .816        .310
    idf**3 * V * S     .560 .306       .341  .357   .219  .189      .429         .806        .318

A fit on plain or logarithmic term frequencies is worse: .446 and .499 on scifact, .265 and .277 on npl for
idf**2 * V * S. All of TF-IDF without SVD has .551, .266, .326, .348, .199 on the first five. In 100,000 or more
documents about names (oewn .029, ottqa .045) it finds little: take a trained encoder there.

Multiplying by S also silences directions of a rank-deficient corpus, which are rounding noise.
"""

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from negset.encoders.lsa import LsaModel
from negset.encoders.tokens import bag_tokens, count_matrix, tokenise
from negset.errors import InputError
from negset.progress import Progress, no_progress
from negset.text import document_texts

MOST_TEXTS = 200_000
"""Distinct texts fitted on at most, those of smallest digest: bounds memory on a large corpus."""
MOST_TOKENS = 50_000
RARE_FROM = 1000
"""Texts from which a word must stand in two of them."""
SATURATION = 1.2
WEIGHT_POWER = 3
SMALLEST_WEIGHT = 0.01
"""Keeps a word that stands in every document from a weight that the third power would make vanish."""
POWER_ITERATIONS = 2
"""As good as 4 on the sets above and a third quicker."""
BLOCK = 16_384


def fit_lsa(documents: pl.DataFrame, dimensions: int, progress: Progress = no_progress) -> LsaModel:
    """Fit embeddings of at most `dimensions` on the distinct texts of `documents`.

    The result depends on the documents alone: not on their order, on threads, or on the hash seed.
    Raises InputError where no word is left.
    """
    texts = fitting_texts(documents)
    tokens = choose_tokens(texts)
    if not tokens:
        message = f"lsa finds no word in the {len(texts)} documents: words are runs of two or more letters or digits"
        raise InputError(message)
    progress("fit lsa", 1, 3)
    counts = sp.vstack([count_matrix(bag_tokens(block, tokens), len(tokens)) for block in _blocks(texts)], format="csr")
    weights_W = inverse_document_frequency(counts)
    progress("fit lsa", 2, 3)
    strengths_D, directions_DW = _decompose(_weigh(counts, weights_W), dimensions)
    scaled_WD = (weights_W**WEIGHT_POWER)[:, None] * directions_DW.T * strengths_D
    scaled_WD /= np.linalg.norm(scaled_WD, axis=1).mean()
    progress("fit lsa", 3, 3)
    return LsaModel(tokens=tokens, embeddings=np.ascontiguousarray(scaled_WD, dtype=np.float32))


def fitting_texts(documents: pl.DataFrame) -> list[str]:
    """Give the texts of `documents` to fit on, sorted by doc_id: twins once, at most MOST_TEXTS."""
    distinct = documents.sort("doc_id").unique("text_sha256", keep="first", maintain_order=True)
    kept = distinct.sort("text_sha256").head(MOST_TEXTS).sort("doc_id")
    return document_texts(kept).to_list()


def choose_tokens(texts: list[str]) -> list[str]:
    """Give the words of `texts`, sorted: the MOST_TOKENS that stand in most of them, ties to the earlier word."""
    fewest = 2 if len(texts) >= RARE_FROM else 1
    parts = [_document_frequency(block) for block in _blocks(texts)]
    if not parts:
        return []
    total = pl.concat(parts).group_by("token").agg(pl.col("texts").sum()).filter(pl.col("texts") >= fewest)
    kept = total.sort(["texts", "token"], descending=[True, False]).head(MOST_TOKENS)
    return kept.get_column("token").sort().to_list()


def inverse_document_frequency(counts: sp.csr_matrix) -> NDArray[np.float64]:
    """Weigh each column of `counts` by Lucene's ln(1 + (N - n + .5) / (n + .5)), never under SMALLEST_WEIGHT."""
    texts_W = np.bincount(counts.indices, minlength=counts.shape[1])
    weights_W: NDArray[np.float64] = np.maximum(np.log((counts.shape[0] + 1) / (texts_W + 0.5)), SMALLEST_WEIGHT)
    return weights_W


def _blocks(texts: list[str]) -> list[list[str]]:
    return [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]


def _document_frequency(texts: list[str]) -> pl.DataFrame:
    words = pl.DataFrame({"row": np.arange(len(texts), dtype=np.uint32), "token": tokenise(texts)})
    distinct = words.with_columns(pl.col("token").list.unique()).explode("token").drop_nulls("token")
    return distinct.group_by("token").agg(pl.len().cast(pl.Int64).alias("texts"))


def _weigh(counts: sp.csr_matrix, weights_W: NDArray[np.float64]) -> sp.csr_matrix:
    weighed = counts.astype(np.float64)
    weighed.data = weighed.data * (1 + SATURATION) / (weighed.data + SATURATION) * weights_W[weighed.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(weighed.indptr))
    lengths_N = np.sqrt(np.bincount(rows, weights=weighed.data**2, minlength=counts.shape[0]))
    weighed.data /= lengths_N[rows]
    return weighed


def _decompose(matrix: sp.csr_matrix, dimensions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # One thread: with several, BLAS splits its sums differently and the last bits change.
    with threadpool_limits(1):
        _, strengths_D, directions_DW = randomized_svd(
            matrix, min(dimensions, *matrix.shape), n_iter=POWER_ITERATIONS, random_state=0, flip_sign=True
        )
    return strengths_D, directions_DW
