"""Which known positives are hidden, and when.

The positives of a query are put into an order by lot and cut into parts. Each part is hidden once; then each is
hidden together with the next one, to learn what a difference it makes how many are hidden.
"""

import math
from dataclasses import dataclass
from typing import Final

import polars as pl

from negset.audit.evidence import Evidence
from negset.errors import ConfigError
from negset.lots import id_keys, mix

MOST: Final = 0.5
"""Largest share of a query's positives that may be hidden at once."""
ONCE, TWICE = 1, 2
"""A part by itself, or two at once."""


@dataclass(frozen=True)
class HidingPlan:
    """What is hidden. `hidden` has query, unit, world and `parts` (ONCE or TWICE), a row for each time.

    `positives` has every positive of every query text that asks for negatives, once: cluster, unit, whether it is
    `audited`, that is hidden at some time, and the query from which it is then.
    """

    hidden: pl.DataFrame
    positives: pl.DataFrame

    @property
    def worlds(self) -> pl.DataFrame:
        """Give `query` and `world` of the copies that the plan asks for."""
        return self.hidden.select("query", "world").unique().sort("query", "world")


def plan_hiding(evidence: Evidence, share: float, seed: int, repeats: int = 0) -> HidingPlan:
    """Plan to hide a `share` of the positives of each query at a time, at least one, in an order drawn by `seed`.

    Every query keeps at least one label at any time, so that one with a single positive hides none. Queries of one
    text share their positives and count as one: what is hidden is hidden from the first of them that keeps a label.
    After `repeats` parts it ends, or with 0 when every positive was hidden. Raises ConfigError for a share outside
    (0, 0.5].
    """
    if not 0 < share <= MOST:
        message = f"the share to hide is {share}; it must be above 0 and at most {MOST}"
        raise ConfigError(message)
    asked = evidence.queries.filter("asked").select("query", "cluster")
    owned = evidence.labels.join(asked, on="query").select("cluster", "query", "unit").unique()
    units = _lots(owned, evidence, seed).sort("cluster", "lot", "unit")
    several = units.filter(pl.len().over("cluster") > 1)
    owners = owned.join(several, on=["cluster", "unit"], how="semi").sort("cluster", "query", "unit")
    by_cluster = {key[0]: frame for key, frame in owners.group_by("cluster", maintain_order=True)}
    rows: list[tuple[int, int, int, int]] = []
    for (cluster,), frame in several.group_by("cluster", maintain_order=True):
        order = frame["unit"].to_list()
        size = max(1, math.floor(share * len(order)))
        rows += _plan_cluster(order, size, repeats, by_cluster[cluster])
    schema = {"query": pl.UInt32, "unit": pl.UInt32, "world": pl.Int32, "parts": pl.Int32}
    hidden = pl.DataFrame(rows, schema=schema, orient="row").sort("query", "world", "unit")
    once = hidden.filter(pl.col("parts") == ONCE).select("query", "unit")
    first = owned.group_by("cluster", "unit").agg(pl.col("query").min().alias("owner"))
    marked = first.join(once, on="unit", how="left").select(
        "cluster", "unit", query=pl.coalesce("query", "owner"), audited=pl.col("query").is_not_null()
    )
    return HidingPlan(hidden, marked.sort("cluster", "unit"))


def _lots(owned: pl.DataFrame, evidence: Evidence, seed: int) -> pl.DataFrame:
    """Draw a `lot` for each unit of each cluster from `seed` and the ids of the unit's first query and document."""
    first = evidence.known.group_by("unit").agg(
        pl.col("query").sort_by("query", "doc").first(), pl.col("doc").sort_by("query", "doc").first()
    )
    salt = id_keys([f"{seed}:audit"])
    query, doc = (first[name].to_numpy() for name in ("query", "doc"))
    bits = mix(mix(evidence.query_keys[query] ^ salt) + evidence.doc_keys[doc])
    units = owned.select("cluster", "unit").unique()
    return units.join(first.select("unit").with_columns(lot=pl.Series(bits)), on="unit")


def _plan_cluster(units: list[int], size: int, repeats: int, owners: pl.DataFrame) -> list[tuple[int, int, int, int]]:
    """Give (query, unit, world, parts) of each hiding among `units`, in order, of queries of one text."""
    labels = {key[0]: set(frame["unit"]) for key, frame in owners.group_by("query", maintain_order=True)}
    parts = [units[start : start + size] for start in range(0, len(units), size)]
    rows = []
    for number in range(min(repeats, len(parts)) if repeats else len(parts)):
        single = parts[number]
        rows += _hide(single, labels, number, ONCE)
        if len(parts) > TWICE:
            rows += _hide(single + parts[(number + 1) % len(parts)], labels, len(parts) + number, TWICE)
    return rows


def _hide(units: list[int], labels: dict[int, set[int]], world: int, parts: int) -> list[tuple[int, int, int, int]]:
    """Hide `units` from the first query that then keeps a label of its own; of what every query needs, nothing."""
    keeper = next((query for query, owned in labels.items() if owned - set(units)), None)
    return [] if keeper is None else [(keeper, unit, world, parts) for unit in units]


def participation(plan: HidingPlan) -> dict[str, int]:
    """Count query texts and positives, and those of them that take part."""
    audited = plan.positives.filter("audited")
    return {
        "queries": plan.positives["cluster"].n_unique(),
        "queries_taking_part": audited["cluster"].n_unique(),
        "positives": plan.positives.height,
        "positives_hidden": audited.height,
    }
