"""Shortcuts: what tells negatives from positives to a model that never reads the query.

A classifier sees documents alone, their words and their form, and learns which side they come from. What it can tell
on documents that it was not trained on is an artefact of how the set was made: a marker left by a generator, one
side's length, one side's source. A model trained on the set may learn the artefact in place of relevance.

Every text is in one fold with all its copies, and counts once on each side that it is on: a popular positive is no
artefact, and to recognise it is memory. A text that is on both sides says nothing either way.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from negset.gates.verdict import verdict
from negset.lots import id_keys, mix
from schemas.expectations import CheckResult
from schemas.gates import ShortcutConfig

FOLDS: Final = 3
LEAST_TEXTS: Final = 50
"""Texts on one side below which nothing is said."""
CHARACTERS: Final = 2000
"""Characters of a text whose words are read; encoders read about as much. Its length is that of all of it."""
_BUCKETS: Final = 1 << 18
_ERRORS: Final = 1.64
"""Standard errors that an AUC is lowered by: 95 of 100 sets without an artefact stay below."""
_WORDS_SHOWN: Final = 8
_WORD: Final = r"\w+|[^\w\s]"
_WANTED: Final = ["doc_id", "text", "positive", "negative"]


@dataclass(frozen=True)
class Separation:
    """How well documents alone tell the sides apart.

    `auc` is the classifier's on held-out texts, `lower` that less its error; `forms` is the AUC of each single
    property of form, at least 0.5; `words` are those that speak most for a negative, and `scores` the classifier's
    for each text, high for a negative.
    """

    auc: float
    lower: float
    forms: dict[str, float]
    words: tuple[str, ...]
    scores: NDArray[np.float64]


def shortcut_checks(documents: pl.DataFrame, config: ShortcutConfig, seed: int) -> tuple[CheckResult, ...]:
    """Hold `documents` (doc_id, text, `positive` and `negative`: whether it is one of some query) to the limits."""
    if config.policy == "off":
        return ()
    texts = sample_texts(documents, config.sample, seed)
    if min(texts.get_column(side).sum() for side in ("positive", "negative")) < LEAST_TEXTS:
        return (_verdict(config, f"fewer than {LEAST_TEXTS} texts on a side: not measured", None, texts.clear()),)
    found = separate(texts)
    worst = texts.with_columns(score=found.scores).filter("negative").sort("score", "doc_id", descending=[True, False])
    shown = worst.select("doc_id", "score").head(20)
    scope = f"{texts.get_column('positive').sum()} positives and {texts.get_column('negative').sum()} negatives"
    return (_verdict(config, scope, found, shown),)


def sample_texts(documents: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """Draw up to `most` texts of each side, copies taken as one, in an order that depends on texts and `seed` alone."""
    sides = [pl.col(side).any() for side in ("positive", "negative")]
    texts = documents.group_by("text").agg(pl.col("doc_id").min(), *sides).sort("doc_id")
    lot = mix(id_keys(texts.get_column("doc_id")) ^ id_keys([f"{seed}:shortcut"]))
    drawn = texts.with_columns(lot=lot).sort("lot")
    first = [pl.col(side).cum_sum() <= most for side in ("positive", "negative")]
    kept = (pl.col("positive") & first[0]) | (pl.col("negative") & first[1])
    return drawn.filter(kept).select(*_WANTED, fold=pl.col("lot") % FOLDS)


def separate(texts: pl.DataFrame) -> Separation:
    """Learn from the folds of `texts` (text, positive, negative, fold) which side a text is on; see Separation."""
    words, names = word_counts(texts.get_column("text"))
    forms = form_of(texts.get_column("text"))
    shape = np.column_stack(list(forms.values()))
    features = _narrow(sparse.hstack([words, sparse.csr_array(_standard(shape))], format="csr"))
    positive, negative = (texts.get_column(side).to_numpy() for side in ("positive", "negative"))
    fold = texts.get_column("fold").to_numpy()
    scores = np.zeros(texts.height)
    weights = np.zeros(features.shape[1])
    with threadpool_limits(1):
        for held in range(FOLDS):
            model, offset = _fit(features, positive & (fold != held), negative & (fold != held))
            scores[fold == held] = features[fold == held] @ model + offset
            weights += model
    auc = _auc(scores, positive, negative)
    return Separation(
        auc=auc,
        lower=auc - _ERRORS * _auc_error(auc, int(positive.sum()), int(negative.sum())),
        forms={name: _either_way(_auc(column, positive, negative)) for name, column in forms.items()},
        words=_telling(weights[: words.shape[1]], names),
        scores=scores,
    )


def word_counts(texts: pl.Series) -> tuple[sparse.csr_array, list[str]]:
    """Give the words of each of `texts` as rows of unit length, and the word of each column; words of one text go."""
    lowered = pl.col("text").str.slice(0, CHARACTERS).str.to_lowercase().str.extract_all(_WORD)
    rows = pl.DataFrame({"text": texts}).select(row=pl.int_range(pl.len()), word=lowered).explode("word").drop_nulls()
    rows = rows.unique(["row", "word"])
    known = rows.group_by("word").len().filter(pl.col("len") > 1).sort("len", "word", descending=[True, False])
    known = known.head(_BUCKETS).with_row_index("column")
    cells = rows.join(known, on="word").sort("row", "column")
    values = cells.select((1 / pl.len().over("row")).sqrt()).to_series().to_numpy()
    places = (cells.get_column("row").to_numpy(), cells.get_column("column").to_numpy().astype(np.int64))
    matrix = sparse.coo_array((values, places), shape=(len(texts), known.height)).tocsr()
    return matrix, known.get_column("word").to_list()


def form_of(texts: pl.Series) -> dict[str, NDArray[np.float64]]:
    """Measure the form of each of `texts`: length, layout, kinds of characters, how it begins and ends."""
    text = pl.col("text")
    length = text.str.len_chars().clip(1)

    def share(pattern: str) -> pl.Expr:
        return text.str.count_matches(pattern) / length

    measured = pl.DataFrame({"text": texts}).select(
        length=length.log1p(),
        words=text.str.count_matches(r"\S+").log1p(),
        lines=text.str.count_matches("\n").log1p(),
        sentences=text.str.count_matches(r"[.!?](\s|$)").log1p(),
        punctuation=share(r"[^\w\s]"),
        digits=share(r"\d"),
        capitals=share(r"\p{Lu}"),
        spaces=share(r"\s"),
        begins_small=text.str.contains(r"^\s*\p{Ll}").cast(pl.Float64),
        ends_sentence=text.str.contains(r"[.!?]\s*$").cast(pl.Float64),
    )
    return {name: measured.get_column(name).cast(pl.Float64).to_numpy() for name in measured.columns}


def _narrow(matrix: sparse.csr_array) -> sparse.csr_array:
    """Give `matrix` with indices of 32 bits, the only ones that liblinear takes."""
    parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return sparse.csr_array(parts, shape=matrix.shape)


def _standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each of `columns` to mean 0 and deviation 1/2, so that form weighs about as much as a word."""
    spread = columns.std(axis=0)
    scaled: NDArray[np.float64] = (columns - columns.mean(axis=0)) / np.where(spread > 0, 2 * spread, 1.0)
    return scaled


def _fit(
    features: sparse.csr_array, positive: NDArray[np.bool_], negative: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Give the weight of each feature for a negative, and the offset, by logistic regression with balanced sides."""
    rows = np.concatenate([np.flatnonzero(positive), np.flatnonzero(negative)])
    side = np.repeat([0, 1], [positive.sum(), negative.sum()])
    if len(np.unique(side)) < 2:
        return np.zeros(features.shape[1]), 0.0
    model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear", max_iter=200)
    fitted = model.fit(features[rows], side)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _auc(scores: NDArray[np.float64], positive: NDArray[np.bool_], negative: NDArray[np.bool_]) -> float:
    """Give the chance that a negative scores above a positive, ties by half."""
    high, low = scores[negative], scores[positive]
    ranks = rankdata(np.concatenate([high, low]))
    return float((ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    """Give the standard error of an AUC (Hanley and McNeil 1982)."""
    first, second = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = auc * (1 - auc) + (negatives - 1) * (first - auc * auc) + (positives - 1) * (second - auc * auc)
    return float(np.sqrt(max(variance, 0.0) / (positives * negatives)))


def _either_way(auc: float) -> float:
    return max(auc, 1 - auc)


def _telling(weights: NDArray[np.float64], names: list[str]) -> tuple[str, ...]:
    order = np.lexsort((np.arange(len(weights)), -weights))[:_WORDS_SHOWN]
    return tuple(names[place] for place in order if weights[place] > 0)


def _verdict(config: ShortcutConfig, scope: str, found: Separation | None, shown: pl.DataFrame) -> CheckResult:
    lower = found.lower if found is not None else 0.0
    failed = config.policy == "fail" and lower > config.fail_above
    return verdict(
        "negatives_shortcut",
        "Documents alone do not tell negatives from positives: the AUC of a classifier that sees no query",
        "fail" if failed else "warn",
        table="negatives",
        found=shown,
        broken=lower > min(config.warn_above, config.fail_above),
        scope=scope,
        value=found.auc if found is not None else None,
        threshold=config.fail_above if failed else config.warn_above,
        advice=_advice(found) if found is not None else "",
    )


def _advice(found: Separation) -> str:
    form, auc = max(found.forms.items(), key=lambda item: item[1])
    words = ", ".join(word[:20] for word in found.words)
    return (
        f"words that speak for a negative: {words}; most telling form: {form} (AUC {auc:.2f}). Take the artefact out "
        "of the texts, or mine negatives among documents like the positives"
    )
