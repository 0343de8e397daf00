"""Drift: how far a set is from its previous version.

A source that lost half of its rows still makes a set that keeps every promise about its rows. Only the version before
it shows that something broke upstream. What is found here depends on history, so it stops a set, and is no part of
what identifies it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from negset.gates.verdict import verdict
from negset.publishing.parts import read_parts
from schemas.expectations import CheckResult
from schemas.gates import DriftConfig
from schemas.manifest import SetCounts

LEAST_NEW: Final = 20
"""New queries below which their topics say nothing."""
RARER: Final = 10.0
"""How much rarer a word must be among the old queries to be a topic of the new ones."""
_WORD: Final = r"\w+"
_SETTINGS: Final = ("source", "encoder", "mine", "teach", "recipe", "rules", "leaving out", "seed")
"""What explains other negatives when it changed; a change of the first explains other rows of the source."""
LEAVE_OUT: Final = ("query_leaks", "contamination", "poison")
"""Options of the gates by which queries are left out of a set."""
_WEAKER: Final = "warn"
"""What a topic does where settings changed: another recipe keeps other queries, so it may be theirs and no drift."""
_ADVICE: Final = "look for what changed in the source; if it is meant, build once with --set gates.drift.policy=warn"


@dataclass(frozen=True)
class Version:
    """What is compared of a version: its `folder` of tables, what was counted of it and of its `source`."""

    folder: Path
    counts: SetCounts
    source: Mapping[str, int]
    """How many documents, queries and qrels were read."""
    settings: Mapping[str, object]
    """What decides the rows by name, as `settings_of` gives it."""


def settings_of(config: Mapping[str, object], rules: str) -> dict[str, object]:
    """Give what decides the rows of a version beside its input: its `config`, and the fingerprint of its `rules`.

    A recipe file can change under one name, and so can a rule. Of the gates, the options that leave rows out count.
    """
    gates = config.get("gates")
    leaving_out = {name: gates.get(name) for name in LEAVE_OUT} if isinstance(gates, Mapping) else {}
    return {**config, "rules": rules, "leaving out": leaving_out}


def first_version() -> tuple[CheckResult, ...]:
    """Say that there is nothing to compare."""
    return (
        verdict(
            "drift",
            "The set is near its previous version",
            "warn",
            table="negatives",
            scope="the first version: nothing to compare",
        ),
    )


def unreadable(name: str, why: str) -> tuple[CheckResult, ...]:
    """Say that the previous version `name` cannot be compared with, and `why`."""
    return (
        verdict(
            "drift",
            "The previous version can be compared with",
            "warn",
            table="negatives",
            broken=True,
            scope=f"against version {name}",
            advice=why,
        ),
    )


def drift_checks(now: Version, before: Version, name: str, config: DriftConfig) -> tuple[CheckResult, ...]:
    """Compare `now` with the version `before`, called `name`; what other settings explain is not compared."""
    scope = f"against version {name}"
    changed = [key for key in _SETTINGS if now.settings.get(key) != before.settings.get(key)]
    skipped = f"{scope}: not compared, since {', '.join(changed)} changed"
    topic = _topic_check(now, before, scope, config if not changed else config.model_copy(update={"policy": _WEAKER}))
    if "source" in changed:
        return (_not_compared("drift_source", "The source is", skipped), topic)
    source = _rows_check("drift_source", "source", _source_rows(now), _source_rows(before), scope, config)
    if changed:
        return (source, topic, _not_compared("drift_set", "The set is", skipped))
    rows = _rows_check("drift_rows", "set", _set_rows(now), _set_rows(before), scope, config)
    return (source, topic, rows, *(check(now, before, scope, config) for check in _SAME_SETTINGS))


def _not_compared(name: str, what: str, scope: str) -> CheckResult:
    return verdict(name, f"{what} near its previous version", "warn", table="negatives", scope=scope)


def row_changes(now: Mapping[str, int], before: Mapping[str, int], config: DriftConfig) -> pl.DataFrame:
    """Give the tables (table, before, now, change) that shrank or grew by more than `config` allows."""
    rows = [
        (table, rows, now.get(table, 0), now.get(table, 0) / rows - 1)
        for table, rows in sorted(before.items())
        if rows and not 1 - config.max_shrink <= now.get(table, 0) / rows <= config.max_growth
    ]
    schema = {"table": pl.String, "before": pl.Int64, "now": pl.Int64, "change": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def score_shift(now: pl.Series, before: pl.Series) -> float:
    """Give the change of the mean score in standard deviations of the scores `before`; 0 where either has none."""
    now, before = now.drop_nulls().cast(pl.Float64), before.drop_nulls().cast(pl.Float64)
    if not len(now) or not len(before):
        return 0.0
    shift = abs(_mean(now) - _mean(before))
    spread = before.std(ddof=0)
    return shift / spread if isinstance(spread, float) and spread > 0 else (0.0 if shift == 0 else float("inf"))


def rejected_changes(now: SetCounts, before: SetCounts) -> dict[str, float]:
    """Give for each rule the change of the share of candidates that it rejects."""
    shares = [
        {rule: count / max(counts.candidates.mined, 1) for rule, count in counts.candidates.rejected.items()}
        for counts in (now, before)
    ]
    return {rule: shares[0].get(rule, 0.0) - shares[1].get(rule, 0.0) for rule in sorted({*shares[0], *shares[1]})}


def churn(now: pl.DataFrame, before: pl.DataFrame) -> float:
    """Give the mean share of a query's negatives (query_id, doc_id) `now` that it did not have `before`.

    Queries of both versions count; 0 where there are none.
    """
    both = now.join(before.select("query_id").unique(), on="query_id", how="semi")
    kept = before.select("query_id", "doc_id").unique().with_columns(kept=pl.lit(value=True))
    marked = both.select("query_id", "doc_id").unique().join(kept, on=["query_id", "doc_id"], how="left")
    shares = marked.group_by("query_id").agg(share=pl.col("kept").is_null().mean()).sort("query_id")
    return _mean(shares.get_column("share")) if shares.height else 0.0


def new_topics(now: pl.DataFrame, before: pl.DataFrame, most: float) -> pl.DataFrame:
    """Give the words that more than `most` of the new queries have and few of the old: word, queries, share, before.

    Queries are query_id and text; new are those whose id was not there `before`.
    """
    new = now.join(before, on="query_id", how="anti")
    schema = {"word": pl.String, "queries": pl.Int64, "share": pl.Float64, "before": pl.Float64}
    if new.height < LEAST_NEW:
        return pl.DataFrame(schema=schema)
    old = _word_counts(before).rename({"queries": "old"})
    found = _word_counts(new).join(old, on="word", how="left").with_columns(pl.col("old").fill_null(0))
    return (
        found.with_columns(share=pl.col("queries") / new.height, before=pl.col("old") / max(before.height, 1))
        .filter((pl.col("share") > most) & (pl.col("share") >= RARER * pl.col("before")))
        .select(pl.col(column).cast(kind) for column, kind in schema.items())
        .sort("share", "word", descending=[True, False])
    )


def _word_counts(queries: pl.DataFrame) -> pl.DataFrame:
    words = queries.select("query_id", word=pl.col("text").str.to_lowercase().str.extract_all(_WORD)).explode("word")
    return words.drop_nulls().unique().group_by("word").agg(queries=pl.len())


def _source_rows(version: Version) -> dict[str, int]:
    return {table: version.source.get(table, 0) for table in ("documents", "queries", "qrels")}


def _set_rows(version: Version) -> dict[str, int]:
    return {table: version.counts.rows.get(table, 0) for table in ("documents", "negatives", "positives", "queries")}


def _rows_check(
    name: str, whose: str, now: Mapping[str, int], before: Mapping[str, int], scope: str, config: DriftConfig
) -> CheckResult:
    return verdict(
        name,
        f"No table of the {whose} lost more than {config.max_shrink:.0%} of its rows, or has {config.max_growth:g} "
        "times as many",
        config.policy,
        table="negatives",
        found=row_changes(now, before, config),
        scope=scope,
        value=min((now[table] / rows for table, rows in before.items() if rows), default=1.0),
        threshold=1 - config.max_shrink,
        advice=_ADVICE,
    )


def _full_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    change = abs(_full_share(now.counts) - _full_share(before.counts))
    return _measured("drift_full", "Queries got as many of the negatives they want as before", "fates", change,
                     config.max_full_change, scope, config)  # fmt: skip


def _full_share(counts: SetCounts) -> float:
    wanted = counts.negatives_wanted * (counts.queries.kept + counts.queries.short)
    return counts.candidates.chosen / wanted if wanted else 0.0


def _score_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    scores = [read_parts(one.folder, "negatives", ["score"]).get_column("score") for one in (now, before)]
    return _measured("drift_scores",
        "The mean score of negatives is where it was", "negatives", score_shift(scores[0], scores[1]),
                     config.max_score_shift, scope, config)  # fmt: skip


def _rejected_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    changes = rejected_changes(now.counts, before.counts)
    rows = [(rule, change) for rule, change in changes.items() if abs(change) > config.max_rejected_change]
    return verdict(
        "drift_rejected",
        "Each rule rejects the share of candidates that it rejected before",
        config.policy,
        table="candidates",
        found=pl.DataFrame(rows, schema={"rule": pl.String, "change": pl.Float64}, orient="row"),
        scope=scope,
        value=max((abs(change) for change in changes.values()), default=0.0),
        threshold=config.max_rejected_change,
        advice=_ADVICE,
    )


def _churn_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    pairs = [read_parts(one.folder, "negatives", ["query_id", "doc_id"]) for one in (now, before)]
    return _measured(
        "drift_churn",
        "Queries keep most of their negatives",
        "negatives",
        churn(pairs[0], pairs[1]),
        config.max_churn,
        scope,
        config,
    )


def _topic_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    texts = [read_parts(one.folder, "queries", ["query_id", "text"]) for one in (now, before)]
    found = new_topics(texts[0], texts[1], config.max_topic_share)
    return verdict(
        "drift_topic",
        "New queries are not all of one topic that the old ones hardly have",
        config.policy,
        table="queries",
        found=found,
        scope=scope,
        value=found.item(0, "share") if found.height else None,
        threshold=config.max_topic_share if found.height else None,
        advice=_ADVICE,
    )


_SAME_SETTINGS: Final = (_full_check, _score_check, _rejected_check, _churn_check)
"""Checks that mean nothing under other settings."""


def _measured(
    name: str, description: str, table: str, value: float, limit: float, scope: str, config: DriftConfig
) -> CheckResult:
    return verdict(
        name,
        description,
        config.policy,
        table=table,
        broken=value > limit,
        scope=scope,
        value=value,
        threshold=limit,
        advice=_ADVICE,
    )


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean())
