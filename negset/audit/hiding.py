"""Which known positives are hidden, and when.

The positives of a query are put into an order by lot and cut into parts. Each part is hidden once; then each is
hidden together with the next one, to learn what a difference it makes how many are hidden.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
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

    `positives` has query, unit, and whether the pair is `audited`, that is hidden at some time: for every positive
    of every asked query.
    """

    hidden: pl.DataFrame
    positives: pl.DataFrame

    @property
    def worlds(self) -> pl.DataFrame:
        """Give `query` and `world` of the copies that the plan asks for."""
        return self.hidden.select("query", "world").unique().sort("query", "world")


def plan_hiding(evidence: Evidence, share: float, seed: int, repeats: int = 0) -> HidingPlan:
    """Plan to hide a `share` of the positives of each query at a time, at least one, in an order drawn by `seed`.

    Every query keeps at least one label at any time, so that one with a single positive hides none. After `repeats`
    parts it ends, or with 0 when every positive was hidden. Raises ConfigError for a share outside (0, 0.5].
    """
    if not 0 < share <= MOST:
        message = f"the share to hide is {share}; it must be above 0 and at most {MOST}"
        raise ConfigError(message)
    asked = evidence.queries.filter("asked").select("query", "cluster")
    owned = evidence.labels.join(asked, on="query").select("cluster", "query", "unit").unique()
    positives = evidence.known.join(asked, on="query").select("cluster", "query", "unit").unique()
    sized = positives.select("cluster", "unit").unique()
    lots = _lots(sized, evidence, seed).sort("cluster", "lot", "unit")
    several = lots.filter(pl.len().over("cluster") > 1)
    rows: list[tuple[int, int, int, int]] = []
    owners = owned.filter(pl.col("cluster").is_in(several["cluster"].unique().implode()))
    by_cluster = {key[0]: frame for key, frame in owners.group_by("cluster")}
    for (cluster,), frame in several.group_by("cluster", maintain_order=True):
        units = frame["unit"].to_list()
        size = max(1, math.floor(share * len(units)))
        rows += _plan_cluster(units, size, repeats, by_cluster[cluster])
    schema = {"query": pl.UInt32, "unit": pl.UInt32, "world": pl.Int32, "parts": pl.Int32}
    hidden = pl.DataFrame(rows, schema=schema, orient="row").join(
        positives.select("query", "unit"), on=["query", "unit"], how="semi"
    )
    once = hidden.filter(pl.col("parts") == ONCE).select("query", "unit").with_columns(audited=pl.lit(value=True))
    marked = positives.select("query", "unit").join(once, on=["query", "unit"], how="left")
    return HidingPlan(
        hidden.sort("query", "world", "unit"),
        marked.with_columns(pl.col("audited").fill_null(value=False)).sort("query", "unit"),
    )


def _lots(units: pl.DataFrame, evidence: Evidence, seed: int) -> pl.DataFrame:
    """Draw a number for each of `units` from `seed` and the ids of its first query and document."""
    first = evidence.known.group_by("unit").agg(pl.col("query", "doc").sort_by("query", "doc").first())
    salt = id_keys([f"{seed}:audit"])
    query, doc = (first[name].to_numpy() for name in ("query", "doc"))
    bits = mix(mix(evidence.query_keys[query] ^ salt) + evidence.doc_keys[doc])
    return units.join(first.select("unit").with_columns(lot=pl.Series(bits)), on="unit")


def _plan_cluster(units: list[int], size: int, repeats: int, owners: pl.DataFrame) -> list[tuple[int, int, int, int]]:
    """Give (query, unit, world, parts) of each hiding among `units`, in order, of queries of one text."""
    labels = {query: set(frame["unit"]) for (query,), frame in owners.group_by("query")}
    parts = [units[start : start + size] for start in range(0, len(units), size)]
    rounds = range(min(repeats, len(parts)) if repeats else len(parts))
    rows = []
    for number in rounds:
        single = parts[number]
        double = single + parts[(number + 1) % len(parts)]
        rows += _hide(single, labels, number, ONCE)
        if len(parts) > TWICE:
            rows += _hide(double, labels, len(parts) + number, TWICE)
    return rows


def _hide(units: list[int], labels: dict[int, set[int]], world: int, parts: int) -> list[tuple[int, int, int, int]]:
    """Hide of `units` what leaves every query a label, in order."""
    gone: set[int] = set()
    for unit in units:
        if all(owned - gone - {unit} for owned in labels.values()):
            gone.add(unit)
    return [(query, unit, world, parts) for query in labels for unit in units if unit in gone]


def participation(plan: HidingPlan) -> dict[str, int]:
    """Count queries and positives, and those of them that take part."""
    audited = plan.positives.filter("audited")
    return {
        "queries": plan.positives["query"].n_unique(),
        "queries_taking_part": audited["query"].n_unique(),
        "positives": plan.positives.height,
        "positives_hidden": audited.height,
    }


def copies_needed(plan: HidingPlan) -> int:
    """Count the copies of queries that the plan selects from."""
    return int(np.int64(plan.worlds.height))
