"""How much of the training each domain was: rows, words, and its share of what was drawn."""

from dataclasses import asdict, dataclass

import polars as pl


@dataclass(frozen=True)
class DomainShare:
    """What a domain gave to training. `rows` are pairs of a query and a positive.

    `sampled` is the domain's share of the pairs that steps were taken on, each counted once an epoch, which a plan of
    batches may make other than its share of the queries.
    """

    domain: str
    queries: int
    rows: int
    negatives: int
    words: int
    share: float
    sampled: float

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values."""
        return asdict(self)


def domain_shares(trained: pl.DataFrame, domains: pl.DataFrame, pair_stats: pl.DataFrame | None) -> list[DomainShare]:
    """Count what was `trained` (query_id, positives, negatives, words) by `domains` (query_id, domain), largest first.

    What was drawn is counted in `pair_stats` (a row for each pair and epoch); without it every query is taken to be
    drawn once an epoch.
    """
    drawn = trained.select("query_id") if pair_stats is None else pair_stats.select("query_id")
    steps = drawn.group_by("query_id").agg(drawn=pl.len())
    counted = (
        trained.join(domains, on="query_id", how="left")
        .join(steps, on="query_id", how="left")
        .group_by("domain")
        .agg(
            pl.len().alias("queries"),
            pl.col("positives").sum(),
            pl.col("negatives").sum(),
            pl.col("words").sum(),
            pl.col("drawn").fill_null(0).sum(),
        )
        .sort(["queries", "domain"], descending=[True, False])
    )
    queries, total = counted.get_column("queries").sum() or 1, counted.get_column("drawn").sum() or 1
    return [
        DomainShare(
            row["domain"],
            row["queries"],
            row["positives"],
            row["negatives"],
            row["words"],
            row["queries"] / queries,
            row["drawn"] / total,
        )
        for row in counted.to_dicts()
    ]
