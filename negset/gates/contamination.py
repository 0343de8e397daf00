"""Contamination: training rows that repeat what a model is evaluated on.

A text repeats another exactly where both are equal once normalised (`negset/text.py`), and nearly where their words
are the same, 13 of their words in a row are (the usual measure of contamination since Brown et al. 2020), or the
Jaccard similarity of their three-word shingles is at least 0.8. Documents of a shared corpus may be evaluation
documents, but no training row may be an evaluation query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.gates.verdict import verdict
from negset.mining.duplicates import WORDS, Rows, Shingles, similar_pairs, split_words, word_shingles
from negset.mining.selection_inputs import HELD_OUT
from negset.text import normalise_text
from schemas.expectations import CheckResult
from schemas.gates import ContaminationConfig, GatesConfig, Policy

PAIRS: Final = {
    "id": pl.String,
    "file": pl.String,
    "evaluation": pl.String,
    "how": pl.String,
}
"""A pair: our id, the evaluation text's file, its id or first words, and what both share."""

_CHUNK: Final = 8192
_NONE: Final = np.zeros(0, np.int64)
_SHOWN_TEXT: Final = 60
_ADVICE: Final = {
    "queries_evaluated": "take them out of the source's training split, or build with gates.query_leaks = 'drop'",
    "queries_nearly_evaluated": "read them; to drop them, build with gates.contamination.near = 'drop'",
    "queries_evaluated_id": "one id for two texts is chance or a leak: read them",
    "documents_evaluated": "take these documents out of the source, or the evaluation text if it is no query",
    "documents_nearly_evaluated": "read them: a document that quotes a query gives its answer away",
}


def contamination_checks(
    queries: pl.DataFrame, documents: pl.DataFrame, evaluation: pl.DataFrame, config: GatesConfig
) -> tuple[CheckResult, ...]:
    """Hold the training `queries` (query_id, text, split) and `documents` (id, text) against `evaluation`.

    `evaluation` is as `evaluation.SCHEMA` says; queries of held-out splits are no training rows.
    """
    options, ours = config.contamination, training_queries(queries)
    near: Policy = "fail" if options.near == "drop" else options.near
    asked, told = find_pairs(ours, evaluation, options), find_pairs(documents, evaluation, options)
    exact = pl.col("how") == "exact"
    by_id = same_ids(ours, evaluation)
    checks: tuple[tuple[str, str, Policy, pl.DataFrame, pl.DataFrame], ...] = (
        ("queries_evaluated", "No training query is an evaluation text", "fail", ours, asked.filter(exact)),
        (
            "queries_nearly_evaluated",
            "No training query nearly is an evaluation text",
            near,
            ours,
            asked.filter(~exact),
        ),
        ("queries_evaluated_id", "No training query has the id of a text in an evaluation file", "warn", ours, by_id),
        ("documents_evaluated", "No document is an evaluation text", options.documents, documents, told.filter(exact)),
        (
            "documents_nearly_evaluated",
            "No document nearly is an evaluation text",
            options.near_documents,
            documents,
            told.filter(~exact),
        ),
    )
    return tuple(
        _check(name, description, policy, found, f"{rows.height} against {evaluation.height} evaluation texts")
        for name, description, policy, rows, found in checks
        if policy != "off"
    )


def training_queries(queries: pl.DataFrame) -> pl.DataFrame:
    """Give id and text of those of `queries` that are in no held-out split."""
    return queries.filter(~pl.col("split").is_in(list(HELD_OUT))).select(id="query_id", text="text")


def find_pairs(ours: pl.DataFrame, evaluation: pl.DataFrame, config: ContaminationConfig) -> pl.DataFrame:
    """Give for each of `ours` (id, text) the evaluation text that it repeats, as PAIRS says, sorted by id.

    Exact matches come before the same words, these before runs of words and similar shingles; a row of ours is
    there once. Ties go to the first evaluation text.
    """
    if not evaluation.height:
        return pl.DataFrame(schema=PAIRS)
    first = pl.concat(_matches(ours.get_column("text"), evaluation.get_column("text"), config))
    first = first.unique("ours", keep="first", maintain_order=True)
    return (
        first.with_columns(
            id=ours.get_column("id").gather(first.get_column("ours")),
            file=evaluation.get_column("file").gather(first.get_column("theirs")),
            evaluation=_named(evaluation).gather(first.get_column("theirs")),
        )
        .select(*PAIRS)
        .sort("id")
    )


def same_ids(ours: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    """Give the pairs of `ours` and texts of evaluation files that have one id, as PAIRS says."""
    files = evaluation.filter(~pl.col("file").str.starts_with("split ") & pl.col("id").is_not_null())
    found = ours.join(files.select("id", "file").unique("id", keep="first", maintain_order=True), on="id")
    return found.select("id", "file", evaluation="id", how=pl.lit("id")).sort("id")


@dataclass(frozen=True)
class _Texts:
    """What texts are compared by; the texts themselves are gone."""

    exact: pl.Series
    words: pl.Series
    runs: Shingles
    shingles: Shingles


def _prepare(texts: pl.Series, run: int) -> _Texts:
    normalised = [normalise_text(text) for text in texts]
    words = split_words(normalised)
    joined = pl.when(pl.col("words").list.len() > 0).then(pl.col("words").list.join(" ").hash())
    return _Texts(
        exact=pl.Series(normalised, dtype=pl.String).hash(),
        words=pl.DataFrame({"words": words}).select(joined).to_series(),
        runs=word_shingles(words, run),
        shingles=word_shingles(words, WORDS),
    )


def _matches(texts: pl.Series, evaluation: pl.Series, config: ContaminationConfig) -> list[pl.DataFrame]:
    """Give the rows of `texts` and of `evaluation` that match, strongest measure first, each sorted by rows."""
    theirs = _prepare(evaluation, config.words)
    known = np.unique(theirs.shingles.keys)
    found: dict[str, list[pl.DataFrame]] = {"exact": [], "all words": [], f"{config.words} words in a row": []}
    rows, near = [np.zeros(0, np.int64)], [theirs.shingles]
    for start in range(0, len(texts), _CHUNK):
        ours = _prepare(texts.slice(start, _CHUNK), config.words)
        pairs = (_joined(ours.exact, theirs.exact), _joined(ours.words, theirs.words), _shared(ours.runs, theirs.runs))
        for parts, (left, right) in zip(found.values(), pairs, strict=True):
            parts.append(_match(start + left, right, ""))
        # |A and B| >= t |A or B| asks that a share t of A is in B: few of ours have that many of all their shingles.
        mine = ours.shingles
        shared = np.bincount(_owners(mine)[_among(mine.keys, known)], minlength=len(mine.sizes))
        alike = np.flatnonzero((mine.sizes > 0) & (shared >= config.similarity * mine.sizes - 1e-9))
        rows.append(start + alike)
        near += [mine.take(slice(row, row + 1)) for row in alike]
    by_shingles = _similar(np.concatenate(rows), near, len(evaluation), config.similarity)
    measured = [
        pl.concat([_match(_NONE, _NONE, ""), *parts]).with_columns(how=pl.lit(how)) for how, parts in found.items()
    ]
    return [*measured, _match(*by_shingles, "three-word shingles")]


def _match(ours: Rows, theirs: Rows, how: str) -> pl.DataFrame:
    pairs = pl.DataFrame({"ours": ours, "theirs": theirs}, schema={"ours": pl.Int64, "theirs": pl.Int64})
    return pairs.sort("ours", "theirs").with_columns(how=pl.lit(how))


def _joined(ours: pl.Series, theirs: pl.Series) -> tuple[Rows, Rows]:
    """Give the rows with equal keys that are not null, theirs each key's first."""
    left = pl.DataFrame({"key": ours}).with_row_index("ours").drop_nulls("key")
    right = pl.DataFrame({"key": theirs}).with_row_index("theirs").drop_nulls("key")
    met = left.join(right.unique("key", keep="first", maintain_order=True), on="key")
    return met["ours"].to_numpy().astype(np.int64), met["theirs"].to_numpy().astype(np.int64)


def _shared(ours: Shingles, theirs: Shingles) -> tuple[Rows, Rows]:
    """Give the rows of each of `ours` and of the first of `theirs` for each shingle that both have."""
    if not len(theirs.keys):
        return _NONE, _NONE
    owners = _owners(theirs)
    order = np.lexsort((owners, theirs.keys))
    keys = theirs.keys[order]
    place = np.minimum(np.searchsorted(keys, ours.keys), len(keys) - 1)
    hit = np.flatnonzero(keys[place] == ours.keys)
    return _owners(ours)[hit], owners[order][place[hit]]


def _similar(rows: Rows, shingles: Sequence[Shingles], theirs: int, threshold: float) -> tuple[Rows, Rows]:
    """Give the pairs of Jaccard `threshold` among `shingles`: those of `theirs` texts, then one for each of `rows`."""
    if not len(rows):
        return _NONE, _NONE
    sizes = np.concatenate([one.sizes for one in shingles])
    together = Shingles(
        np.concatenate([one.keys for one in shingles]), np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    )
    left, right = similar_pairs(together, threshold)
    cross = (left < theirs) & (right >= theirs)
    return rows[right[cross] - theirs], left[cross]


def _among(keys: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell of each of `keys` whether it is in `known`, which ascends."""
    if not len(known):
        return np.zeros(len(keys), bool)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys
    return found


def _owners(shingles: Shingles) -> NDArray[np.int64]:
    """Give the text of each shingle."""
    return np.repeat(np.arange(len(shingles.sizes)), shingles.sizes)


def _named(evaluation: pl.DataFrame) -> pl.Series:
    return evaluation.select(pl.coalesce("id", pl.col("text").str.slice(0, _SHOWN_TEXT))).to_series()


def _check(name: str, description: str, policy: Policy, found: pl.DataFrame, scope: str) -> CheckResult:
    table = name.partition("_")[0]
    key = "query_id" if table == "queries" else "doc_id"
    return verdict(
        name, description, policy, table=table, found=found.rename({"id": key}), scope=scope, advice=_ADVICE[name]
    )
