"""Contamination: training rows that repeat what a model is evaluated on.

A text repeats another exactly where both are equal once normalised (`negset/text.py`), and nearly where their words
are the same, 13 of their words in a row are (the usual measure of contamination since Brown et al. 2020), or the
Jaccard similarity of their three-word shingles is at least 0.8. Documents of a shared corpus may be evaluation
documents, but no training row may be an evaluation query.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.gates.verdict import verdict
from negset.mining.duplicates import WORDS, Shingles, similar_pairs, text_shingles
from negset.mining.selection_inputs import HELD_OUT
from negset.text import text_digests
from schemas.expectations import CheckResult
from schemas.gates import ContaminationConfig, GatesConfig, Policy

QUERY_LEAK: Final = "query_leak"
NEAR_LEAK: Final = "near_leak"
PAIRS: Final = {
    "id": pl.String,
    "file": pl.String,
    "evaluation": pl.String,
    "how": pl.String,
}
"""A pair: our id, the evaluation text's file, its id or first words, and what both share."""

_CHUNK: Final = 8192
_WORD: Final = r"\w+"
_SHOWN_TEXT: Final = 60
_ADVICE: Final = (
    "take these out of the source's training split, or let the build drop them: gates.query_leaks and "
    "gates.contamination.near take 'drop'"
)


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


def drops(config: GatesConfig) -> bool:
    """Tell whether a selection under `config` must look for contaminated queries.

    Equal texts in two splits of a source are found without this (`selection_inputs.query_leaks`).
    """
    return config.contamination.near == "drop" or (bool(config.evaluation) and config.query_leaks == "drop")


def leaking_queries(queries: pl.DataFrame, evaluation: pl.DataFrame, config: GatesConfig) -> pl.DataFrame:
    """Give query_id and reason of the training `queries` that the gates of `config` say to drop."""
    found = find_pairs(training_queries(queries), evaluation, config.contamination)
    exact = pl.col("how") == "exact"
    reasons = pl.when(exact).then(pl.lit(QUERY_LEAK)).otherwise(pl.lit(NEAR_LEAK))
    dropped = (exact & pl.lit(config.query_leaks == "drop")) | (~exact & pl.lit(config.contamination.near == "drop"))
    return (
        found.filter(dropped)
        .select(query_id="id", reason=reasons)
        .unique("query_id", keep="first", maintain_order=True)
    )


def find_pairs(ours: pl.DataFrame, evaluation: pl.DataFrame, config: ContaminationConfig) -> pl.DataFrame:
    """Give for each of `ours` (id, text) the evaluation text that it repeats, as PAIRS says, sorted by id.

    Exact matches come before the same words, these before runs of words and similar shingles; a row of ours is
    there once. Ties go to the first evaluation text.
    """
    places = [
        _exact(ours, evaluation),
        _same_words(ours, evaluation),
        _shared_runs(ours, evaluation, config.words),
        _similar(ours, evaluation, config.similarity),
    ]
    first = pl.concat(places).unique("ours", keep="first", maintain_order=True)
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


_MATCH: Final = {"ours": pl.Int64, "theirs": pl.Int64, "how": pl.String}


def _match(ours: NDArray[np.int64], theirs: NDArray[np.int64], how: str) -> pl.DataFrame:
    pairs = pl.DataFrame({"ours": ours, "theirs": theirs}, schema={"ours": pl.Int64, "theirs": pl.Int64})
    return pairs.with_columns(how=pl.lit(how)).sort("ours", "theirs").select(*_MATCH)


def _joined(ours: pl.Series, theirs: pl.Series, how: str) -> pl.DataFrame:
    """Match the rows of `ours` and `theirs` with equal keys that are not null."""
    left = pl.DataFrame({"key": ours}).with_row_index("ours")
    right = pl.DataFrame({"key": theirs}).with_row_index("theirs").unique("key", keep="first", maintain_order=True)
    met = left.drop_nulls("key").join(right.drop_nulls("key"), on="key").select(pl.col("ours", "theirs").cast(pl.Int64))
    return _match(met["ours"].to_numpy(), met["theirs"].to_numpy(), how)


def _exact(ours: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    digests = pl.Series(text_digests(ours.get_column("text")), dtype=pl.Binary)
    return _joined(digests, evaluation.get_column("text_sha256"), "exact")


def _same_words(ours: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    return _joined(_words(ours.get_column("text")), _words(evaluation.get_column("text")), "all words")


def _words(texts: pl.Series) -> pl.Series:
    """Hash the words of each of `texts`; null where it has none."""
    words = pl.col("text").str.normalize("NFKC").str.to_lowercase().str.extract_all(_WORD)
    hashed = pl.when(words.list.len() > 0).then(words.list.join(" ").hash())
    return pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(hashed).to_series()


def _shared_runs(ours: pl.DataFrame, evaluation: pl.DataFrame, words: int) -> pl.DataFrame:
    theirs = text_shingles(evaluation.get_column("text"), words)
    if not len(theirs.keys):
        return pl.DataFrame(schema=_MATCH)
    order = np.lexsort((_owners(theirs), theirs.keys))
    keys, owners = theirs.keys[order], _owners(theirs)[order]
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for start, part in _chunks(ours.get_column("text")):
        mine = text_shingles(part, words)
        place = np.minimum(np.searchsorted(keys, mine.keys), len(keys) - 1)
        hit = np.flatnonzero(keys[place] == mine.keys)
        found.append((start + _owners(mine)[hit], owners[place[hit]]))
    left, right = (np.concatenate([np.zeros(0, np.int64), *(pair[side] for pair in found)]) for side in (0, 1))
    return _match(left, right, f"{words} words in a row")


def _similar(ours: pl.DataFrame, evaluation: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Match by Jaccard similarity of three-word shingles; a text of fewer words has none."""
    theirs = text_shingles(evaluation.get_column("text"), WORDS)
    known = np.unique(theirs.keys)
    rows, kept = [np.zeros(0, np.int64)], [theirs]
    for start, part in _chunks(ours.get_column("text")):
        mine = text_shingles(part, WORDS)
        # |A and B| >= t |A or B| asks that a share t of A is in B: few of ours have that many of all their shingles.
        shared = np.bincount(_owners(mine)[_among(mine.keys, known)], minlength=len(part))
        near = np.flatnonzero((mine.sizes > 0) & (shared >= threshold * mine.sizes - 1e-9))
        rows.append(start + near)
        kept += [mine.take(slice(row, row + 1)) for row in near]
    together = Shingles(
        np.concatenate([one.keys for one in kept]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([one.sizes for one in kept]))]),
    )
    left, right = similar_pairs(together, threshold)
    cross = (left < evaluation.height) & (right >= evaluation.height)
    mine_at = np.concatenate(rows)[right[cross] - evaluation.height]
    return _match(mine_at, left[cross], "three-word shingles")


def _among(keys: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell of each of `keys` whether it is in `known`, which ascends."""
    if not len(known):
        return np.zeros(len(keys), bool)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys
    return found


def _owners(shingles: Shingles) -> NDArray[np.int64]:
    """Give the text of each shingle."""
    return np.repeat(np.arange(len(shingles.sizes)), shingles.sizes)


def _chunks(texts: pl.Series) -> list[tuple[int, pl.Series]]:
    return [(start, texts.slice(start, _CHUNK)) for start in range(0, len(texts), _CHUNK)]


def _named(evaluation: pl.DataFrame) -> pl.Series:
    return evaluation.select(pl.coalesce("id", pl.col("text").str.slice(0, _SHOWN_TEXT))).to_series()


def _check(name: str, description: str, policy: Policy, found: pl.DataFrame, scope: str) -> CheckResult:
    table = name.partition("_")[0]
    key = "query_id" if table == "queries" else "doc_id"
    return verdict(name, description, policy, table=table, found=found.rename({"id": key}), scope=scope, advice=_ADVICE)
