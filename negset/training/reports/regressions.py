"""How each group of queries changed by training, with intervals: the regressions that a mean hides."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Final

import polars as pl

from negset.probing.bootstrap import Difference, Interval, measure_changes
from negset.training.reports.groups import Kind, QueryGroup

MEASURE: Final = "ndcg_at_10"
"""What groups are compared by."""
SEED: Final = 13
"""Of the resamples: a report is the same each time."""


@dataclass(frozen=True)
class GroupChange:
    """A group of queries before and after training. `change` is after less before, paired by query.

    Holm's correction is for all groups of the same kind.
    """

    kind: Kind
    name: str
    queries: int
    before: Interval
    after: Interval
    change: Difference

    @property
    def fell(self) -> bool:
        """Say whether the whole 95 % interval of the change lies below 0."""
        return self.change.difference.high < 0

    def numbers(self) -> dict[str, object]:
        """Give everything as plain values, with `fell` and whether it holds after the correction."""
        return {**asdict(self), "fell": self.fell, "real": self.change.real}


def compare_groups(per_query: pl.DataFrame, groups: Sequence[QueryGroup]) -> list[GroupChange]:
    """Compare `per_query` (query_id, nDCG@10 before and after) in each of `groups` that has a query there."""
    found: list[GroupChange] = []
    for _, same in groupby(groups, key=lambda group: group.kind):
        parts = [(group, _rows(per_query, group)) for group in same]
        parts = [(group, rows) for group, rows in parts if rows.height]
        pairs = [
            (rows.get_column(f"{MEASURE}_before").to_numpy(), rows.get_column(f"{MEASURE}_after").to_numpy())
            for _, rows in parts
        ]
        found += [
            GroupChange(group.kind, group.name, rows.height, one.before, one.after, one.change)
            for (group, rows), one in zip(parts, measure_changes(pairs, SEED), strict=True)
        ]
    return found


def regressions(changes: Sequence[GroupChange]) -> list[GroupChange]:
    """List the groups that fell, whatever the mean did, worst first."""
    return sorted((one for one in changes if one.fell), key=lambda one: (one.change.difference.mean, one.name))


def _rows(per_query: pl.DataFrame, group: QueryGroup) -> pl.DataFrame:
    wanted = pl.DataFrame({"query_id": list(group.query_ids)}, schema={"query_id": pl.String})
    return per_query.join(wanted, on="query_id", how="semi", maintain_order="left").sort("query_id")
