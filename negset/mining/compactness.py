"""How surely each view puts a query nearer to its positive than to its negatives (after POT, arXiv 2309.13944).

POT certifies node compactness by bounds through a graph network; no such bound exists for text encoders, so this is
its empirical form and proves nothing: the least margin over several views of the same query. Views are the miners
and teachers that scored the candidates.
"""

from collections.abc import Sequence

import polars as pl

from negset.mining.rules import survives


def add_compactness(candidates: pl.LazyFrame, views: Sequence[str]) -> pl.LazyFrame:
    """Add `_compactness` of each row's query: the least over `views` of its positive's score less its negatives' mean.

    Negatives are the survivors that the view scored. A view's margin is in units of the deviation of all candidates
    that it scored (population; 1 where all score alike), else views of different scales could not be compared. Null
    where no view has the score of a positive and of a survivor.
    """
    margins = {f"_margin_{view}": _margin(view) for view in views}
    return (
        candidates.with_columns(**margins).with_columns(_compactness=pl.min_horizontal(*margins)).drop(margins.keys())
    )


def _margin(view: str) -> pl.Expr:
    score = pl.col(f"score_{view}")
    spread = score.std(ddof=0).over("query")
    negatives = pl.when(survives()).then(score).mean().over("query")
    return (pl.col(f"positive_score_{view}") - negatives) / pl.when(spread > 0).then(spread).otherwise(1.0)


def compact_queries(candidates: pl.DataFrame, views: Sequence[str]) -> pl.DataFrame:
    """Give the `compactness` of each query, and whether it is `untrained`: not above 0, its negatives as near."""
    found = add_compactness(candidates.lazy(), views).select("query", compactness="_compactness").unique().sort("query")
    return found.with_columns(untrained=pl.col("compactness") <= 0).collect()
