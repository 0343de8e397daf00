"""Poisoned rows: a few that somebody slipped in, which change what a model learns of one topic.

Fifty rows of fifty thousand move no average. They show inside their topic, where a property that should not go by
topic is far more frequent than elsewhere, and inside their source, where the same words recur that no other has.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from scipy.stats import hypergeom

from negset.gates.verdict import verdict
from negset.mining.duplicates import split_words, text_shingles
from negset.text import normalise_text
from schemas.expectations import CheckResult
from schemas.gates import PoisonConfig

LEAST_Z: Final = 5.0
LEAST_LIFT: Final = 10.0
LEAST_ROWS: Final = 5
RUN: Final = 5
"""Words of a recurring run: enough that no phrase of a language has so many."""
ALARMS: Final = 0.01
"""False alarms expected of all the tests of one check together, by Bonferroni."""
TOPIC_ROWS: Final = 10
"""Rows of a topic, at the least; a topic of more than half of the rows is none."""

_WORD: Final = r"\w+"
_CHUNK: Final = 8192
SKEW: Final = {
    "topic": pl.String,
    "property": pl.String,
    "rows": pl.Int64,
    "marked": pl.Int64,
    "rate": pl.Float64,
    "rest": pl.Float64,
    "z": pl.Float64,
}
RUNS: Final = {"source": pl.String, "words": pl.String, "rows": pl.Int64, "lift": pl.Float64, "doc_id": pl.String}


def poison_checks(
    queries: pl.DataFrame, positives: pl.DataFrame, documents: pl.DataFrame, config: PoisonConfig
) -> tuple[CheckResult, ...]:
    """Look for skewed topics of `queries` and inserted words in `documents`, where `config` names columns.

    `queries` has query_id, text and property; `positives` query_id and doc_id; `documents` doc_id, text, property and
    source. A query has the properties of its own row and of its positives; a null one is none. Where sources are
    compared, a document without one is named: nobody can say where it comes from.
    """
    if config.policy == "off":
        return ()
    skewed = (_skew_check(queries, positives, documents, config),) if config.property else ()
    by_source = (_inserted_check(documents, config), _source_check(documents, config)) if config.source else ()
    return (*skewed, *by_source)


def word_topics(rows: pl.DataFrame) -> pl.DataFrame:
    """Give topic and id: each word that at least TOPIC_ROWS and at most half of `rows` (id, text) have is a topic."""
    words = rows.select("id", topic=pl.col("text").str.to_lowercase().str.extract_all(_WORD)).explode("topic")
    words = words.drop_nulls().unique()
    size = pl.len().over("topic")
    return words.filter((size >= TOPIC_ROWS) & (size * 2 <= rows.height)).select("topic", "id").sort("topic", "id")


def skewed_topics(topics: pl.DataFrame, marked: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Give the `topics` (topic, id) in which a property of `marked` (id, property) is too frequent, as SKEW says.

    Each is compared with the rest of all `rows` rows: by the z of two proportions, and, since z means little for a few
    rows, by the exact chance of so many (Fisher), times the number of comparisons. Largest z first.
    """
    pairs = marked.unique()
    total = pairs.group_by("property").len("total")
    sizes = topics.group_by("topic").len("rows")
    joined = topics.join(pairs, on="id").group_by("topic", "property").len("marked")
    table = joined.join(sizes, on="topic").join(total, on="property")
    if not table.height:
        return pl.DataFrame(schema=SKEW)
    inside, size, among = (table.get_column(name).cast(pl.Int64).to_numpy() for name in ("marked", "rows", "total"))
    rate, rest = inside / size, (among - inside) / np.maximum(rows - size, 1)
    pooled = among / rows
    error = np.sqrt(pooled * (1 - pooled) * (1 / size + 1 / np.maximum(rows - size, 1)))
    z = (rate - rest) / np.where(error > 0, error, np.inf)
    chance = hypergeom.sf(inside - 1, rows, among, size) * sizes.height * total.height
    found = table.with_columns(rate=rate, rest=rest, z=z).filter(pl.Series((z > LEAST_Z) & (chance <= ALARMS)))
    return found.select(*(pl.col(name).cast(kind) for name, kind in SKEW.items())).sort(
        "z", "topic", "property", descending=[True, False, False]
    )


def inserted_runs(documents: pl.DataFrame) -> pl.DataFrame:
    """Give the runs of words that one source of `documents` (doc_id, text, source) repeats and the rest has not.

    A run counts once for each document; LEAST_ROWS documents of a source must have it, LEAST_LIFT times as many as
    elsewhere, and more than chance makes likely. Of runs in the same documents the first is given, as RUNS says,
    with the first document that has it.
    """
    ordered = documents.sort("doc_id")
    runs = _repeated(ordered)
    grouped = runs.group_by("source", "key").agg(
        rows=pl.len(), row=pl.col("row").min(), holders=pl.col("row").hash().sum()
    )
    sizes = ordered.group_by("source").len("size")
    table = grouped.join(runs.group_by("key").len("total"), on="key").join(sizes, on="source")
    table = table.filter(pl.col("rows") >= LEAST_ROWS)
    if not table.height:
        return pl.DataFrame(schema=RUNS)
    inside, size, among = (table.get_column(name).cast(pl.Int64).to_numpy() for name in ("rows", "size", "total"))
    # Where no other document has it, one is assumed to, so that a lift is a number.
    rest = np.maximum(among - inside, 1) / np.maximum(documents.height - size, 1)
    lift = (inside / size) / rest
    chance = hypergeom.sf(inside - 1, documents.height, among, size) * table.height
    found = table.with_columns(lift=lift).filter(pl.Series((lift >= LEAST_LIFT) & (chance <= ALARMS)))
    together = found.group_by("source", "holders").agg(pl.col("key"), pl.col("row", "rows", "lift").first())
    texts, ids = ordered.get_column("text"), ordered.get_column("doc_id")
    words = [_first_run(texts[row], keys) for row, keys in together.select("row", "key").iter_rows()]
    named = together.with_columns(words=pl.Series(words, dtype=pl.String), doc_id=ids.gather(together["row"]))
    return named.select(*(pl.col(name).cast(kind) for name, kind in RUNS.items())).sort(
        "rows", "source", "words", descending=[True, False, False]
    )


def _repeated(documents: pl.DataFrame) -> pl.DataFrame:
    """Give source, key and row of each run that at least LEAST_ROWS of `documents` have, once for each document."""
    parts = []
    for start in range(0, documents.height, _CHUNK):
        shingles = text_shingles(documents.get_column("text").slice(start, _CHUNK), RUN)
        rows = start + np.repeat(np.arange(len(shingles.sizes)), shingles.sizes)
        parts.append(pl.DataFrame({"key": shingles.keys, "row": rows}))
    runs = pl.concat([pl.DataFrame(schema={"key": pl.UInt64, "row": pl.Int64}), *parts])
    often = runs.group_by("key").len().filter(pl.col("len") >= LEAST_ROWS)
    kept = runs.join(often, on="key", how="semi")
    return kept.with_columns(source=documents.get_column("source").gather(kept.get_column("row")))


def _first_run(text: str, keys: Sequence[int]) -> str:
    """Give the words of the first run in `text` whose hash is among `keys`."""
    words = split_words([normalise_text(text)])[0].to_list()
    runs = [" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)]
    hashes = text_shingles(pl.Series(runs, dtype=pl.String), RUN).keys
    return next(run for run, key in zip(runs, hashes.tolist(), strict=True) if key in set(keys))


def _skew_check(
    queries: pl.DataFrame, positives: pl.DataFrame, documents: pl.DataFrame, config: PoisonConfig
) -> CheckResult:
    of_documents = positives.join(documents.select("doc_id", "property"), on="doc_id")
    marked = pl.concat([queries.select("query_id", "property"), of_documents.select("query_id", "property")])
    topics = word_topics(queries.select(id="query_id", text="text"))
    found = skewed_topics(topics, marked.drop_nulls().rename({"query_id": "id"}), queries.height)
    return verdict(
        "queries_skewed_topic",
        "No topic has a property far more often than the rest",
        config.policy,
        table="queries",
        found=found,
        scope=f"{config.property} of {queries.height} queries by {topics.get_column('topic').n_unique()} words",
        value=found.item(0, "z") if found.height else None,
        threshold=LEAST_Z if found.height else None,
        advice="read the queries with this word, and take out the rows that somebody slipped in",
    )


def _inserted_check(documents: pl.DataFrame, config: PoisonConfig) -> CheckResult:
    known = documents.drop_nulls("source").select("doc_id", "text", "source")
    found = inserted_runs(known)
    return verdict(
        "documents_inserted_words",
        "No source repeats words that no other source has",
        config.policy,
        table="documents",
        found=found,
        scope=f"{known.height} documents of {known.get_column('source').n_unique()} sources by {config.source}",
        value=found.get_column("lift").cast(pl.Float64).max() if found.height else None,  # type: ignore[arg-type]
        threshold=LEAST_LIFT if found.height else None,
        advice="read these documents: strip what is boilerplate of a source, take out what somebody inserted",
    )


def _source_check(documents: pl.DataFrame, config: PoisonConfig) -> CheckResult:
    nameless = pl.col("source").fill_null("").str.strip_chars() == ""
    return verdict(
        "documents_without_source",
        "Each document says where it comes from",
        config.policy,
        table="documents",
        found=documents.filter(nameless).select("doc_id").sort("doc_id"),
        scope=f"{documents.height} documents by {config.source}",
        advice=f"give these documents a {config.source}, or take them out",
    )
