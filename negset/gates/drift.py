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
_SETTINGS: Final = ("encoder", "mine", "recipe", "seed")
_ADVICE: Final = "look for what changed in the source; if it is meant, build once with --set gates.drift.policy=warn"


@dataclass(frozen=True)
class Version:
    """What is compared of a version: its tables' `folder`, what was counted, its corpus and its `settings`."""

    folder: Path
    counts: SetCounts
    documents: int
    """Documents in the corpus."""
    settings: Mapping[str, object]
    """The build's configuration by section, as the manifest has it."""


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
    skipped = f"{scope}: not compared, since {', '.join(changed)} changed" if changed else ""
    return (
        _rows_check(now, before, scope, config),
        _full_check(now, before, scope, config),
        *(
            check(now, before, scope, config) if not skipped else verdict(
                title, description, config.policy, table="negatives", scope=skipped
            )
            for title, description, check in _SAME_SETTINGS
        ),
        _topic_check(now, before, scope, config),
    )  # fmt: skip


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


def _rows_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    tables = ("queries", "documents", "positives", "negatives")
    sizes = [
        {"corpus": one.documents, **{table: one.counts.rows.get(table, 0) for table in tables}} for one in (now, before)
    ]
    return verdict(
        "drift_rows",
        f"No table lost more than {config.max_shrink:.0%} of its rows or became {config.max_growth:g} times as large",
        config.policy,
        table="negatives",
        found=row_changes(sizes[0], sizes[1], config),
        scope=scope,
        value=min(sizes[0][table] / rows for table, rows in sizes[1].items() if rows),
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
    return _measured(*_SAME_SETTINGS[0][:2], "negatives", score_shift(scores[0], scores[1]),
                     config.max_score_shift, scope, config)  # fmt: skip


def _rejected_check(now: Version, before: Version, scope: str, config: DriftConfig) -> CheckResult:
    changes = rejected_changes(now.counts, before.counts)
    rows = [(rule, change) for rule, change in changes.items() if abs(change) > config.max_rejected_change]
    return verdict(
        *_SAME_SETTINGS[1][:2],
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
    return _measured(*_SAME_SETTINGS[2][:2], "negatives", churn(pairs[0], pairs[1]), config.max_churn, scope, config)


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


_SAME_SETTINGS: Final = (
    ("drift_scores", "The mean score of negatives is where it was", _score_check),
    ("drift_rejected", "Each rule rejects the share of candidates that it rejected before", _rejected_check),
    ("drift_churn", "Queries keep most of their negatives", _churn_check),
)
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
