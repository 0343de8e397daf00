"""Apply a bound recipe to candidates, a block of queries at a time, and account for every query.

Rules see the candidate frame of mining with these columns added: `rejected_by`, `rejected_value`,
`rejected_threshold`, `relabelled`, `weight`, `position`, `sample_prob`, `hardness` (the place among all candidates
of the query: score descending, nulls last, then document), the ids' hashes `query_key` and `doc_key`, and, where a
rule reads them, `near_group` and `near_positive`. Rows are in the order of query and document, which no rule changes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from negset.errors import ContractError, MissingColumnsError, listed
from negset.mining.recipe import BoundRecipe
from negset.mining.selection_inputs import SelectionInputs, near_known_positive
from negset.progress import Progress, no_progress
from schemas.frames import FATES, SCORED_CANDIDATES, SET_NEGATIVES

_TABLE = "candidates"
FATE: Final = pl.Enum(["kept", "short", "dropped"])
SOURCE: Final = pl.Enum(["mined", "random", "judged"])
INPUT_REASONS: Final = ("no_positive", "query_leak", "near_leak", "faulty_pair", "low_quality", "conflict", "budget")
"""Reasons to drop a query before its candidates are looked at."""
SUPPLY_REASONS: Final = ("no_candidates", "few_candidates")
"""Reasons for a gap that no rule made: nothing was mined, or less than was wanted."""
_NO_CANDIDATES: Final[dict[str, type[pl.DataType]]] = {
    **{"query": pl.UInt32, "doc": pl.UInt32, "query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
    **{"score": pl.Float64, "positive_score": pl.Float64, "is_positive": pl.Boolean, "judged": pl.Boolean},
}
BLANK: Final[dict[str, pl.Expr]] = {
    "rejected_by": pl.lit(None, dtype=pl.String),
    "rejected_value": pl.lit(None, dtype=pl.Float64),
    "rejected_threshold": pl.lit(None, dtype=pl.Float64),
    "relabelled": pl.lit(value=False),
    "weight": pl.lit(1.0),
    "position": pl.lit(None, dtype=pl.Int32),
    "sample_prob": pl.lit(None, dtype=pl.Float64),
}
"""Columns that the rules fill."""


@dataclass(frozen=True)
class Selection:
    """What became of some consecutive queries: tables in the columns of `schemas.frames`, each sorted by its key."""

    candidates: pl.DataFrame
    negatives: pl.DataFrame
    fates: pl.DataFrame


def select_blocks(
    blocks: Iterable[pl.DataFrame],
    inputs: SelectionInputs,
    recipe: BoundRecipe,
    progress: Progress = no_progress,
    span: tuple[int, int] | None = None,
) -> Iterator[Selection]:
    """Select from each of `blocks` (whole, consecutive queries) by `recipe`; every asked query gets its one fate.

    With a `span`, `blocks` are those of the queries from one row to before another, which alone get a fate. A query
    without a positive gets negatives only where a rule relabels a candidate of it.

    Raises ContractError for blocks out of order, and for a score that is not finite.
    """
    done, total = span or (0, inputs.queries.height)
    miner = pl.Enum([recipe.by])
    for block in blocks:
        if not block.height:
            continue
        first, last = block.select(first=pl.col("query").min(), last=pl.col("query").max()).row(0)
        if first < done:
            message = f"candidates of query {first} come in a block after those of query {done - 1}"
            raise ContractError(message)
        miner = pl.Enum(_miners(block))
        yield _select(block, inputs, recipe, inputs.queries[done : last + 1])
        done = last + 1
        progress("select", done, total)
    yield _nothing(_dropped_as_bare(inputs.queries[done:total], inputs.unlabelled), recipe, miner)
    progress("select", total, total)


def _select(block: pl.DataFrame, inputs: SelectionInputs, recipe: BoundRecipe, queries: pl.DataFrame) -> Selection:
    _check_scores(block, inputs)
    judged = apply_rules(attach(block, inputs, queries), recipe)
    if len(bare := _bare(inputs, judged.filter("relabelled").get_column("query"))):
        kept = ~pl.col("query").is_in(bare.implode())
        judged = judged.with_columns(pl.when(kept).then(name).alias(name) for name in ("position", "sample_prob"))
        queries = _dropped_as_bare(queries, bare)
    judged = judged.with_columns(
        pl.col("rejected_by").cast(_reasons(recipe)),
        query_id=inputs.queries["query_id"].gather(judged["query"]),
        doc_id=inputs.doc_ids.gather(judged["doc"]),
        scores=_scores(judged),
    )
    return Selection(_to_candidates(judged), _to_negatives(judged, inputs), _to_fates(judged, queries, recipe))


def _nothing(queries: pl.DataFrame, recipe: BoundRecipe, miner: pl.Enum) -> Selection:
    """Give the fates of `queries` that have no candidates, beside empty tables."""
    schema: dict[str, pl.DataType | type[pl.DataType]] = {"miner": miner, **_NO_CANDIDATES}
    empty = pl.DataFrame(schema={**schema, f"rank_{recipe.by}": pl.Int32})
    empty = empty.with_columns(**BLANK).with_columns(
        pl.col("rejected_by").cast(_reasons(recipe)), scores=_scores(empty)
    )
    negatives = _negatives(empty.with_columns(split=pl.lit("")))
    return Selection(_to_candidates(empty), negatives, _to_fates(empty, queries, recipe))


def _check_scores(block: pl.DataFrame, inputs: SelectionInputs) -> None:
    lacking = [
        name for name in ("query", "doc", "miner", "rank", "score", "positive_score") if name not in block.columns
    ]
    if lacking:
        raise MissingColumnsError.from_columns(_TABLE, lacking, block.columns)
    floats = [name for name, kind in block.schema.items() if kind.is_float()]
    wrong = block.filter(pl.any_horizontal(~pl.col(floats).is_finite()))
    if wrong.height:
        pairs = wrong.select("query", "doc").head(20).rows()
        names = [f"({inputs.queries['query_id'][query]}, {inputs.doc_ids[doc]})" for query, doc in pairs]
        message = f"{wrong.height} candidates have a score that is not finite: {listed(names)}"
        raise ContractError(message)


def attach(block: pl.DataFrame, inputs: SelectionInputs, queries: pl.DataFrame) -> pl.DataFrame:
    """Keep the candidates of asked queries without a reason to drop them, and add what rules read and fill."""
    taken = queries.filter(pl.col("asked") & pl.col("reason").is_null())["query"]
    kept = _in_order(block.filter(pl.col("query").is_in(taken.implode())))
    query, doc = kept["query"].to_numpy(), kept["doc"].to_numpy()
    added = []
    if inputs.keys is not None:
        query_keys, doc_keys = inputs.keys
        added = [pl.Series("query_key", query_keys[query]), pl.Series("doc_key", doc_keys[doc])]
    if inputs.near_group is not None:
        group = inputs.near_group[doc]
        known = near_known_positive(inputs, query, group)
        added += [pl.Series("near_group", group, dtype=pl.UInt32), pl.Series("near_positive", known, dtype=pl.Boolean)]
    attached = kept.with_columns(*added, **BLANK, hardness=_hardness())
    return attached if inputs.weights is None else attached.with_columns(weight=pl.Series(inputs.weights[query]))


def _in_order(block: pl.DataFrame) -> pl.DataFrame:
    """Give `block` in the order of query and document, in which a ledger gives it already."""
    pairs = (block["query"].to_numpy().astype(np.uint64) << np.uint64(32)) | block["doc"].to_numpy()
    return block if bool((pairs[1:] > pairs[:-1]).all()) else block.sort("query", "doc")


def _hardness() -> pl.Expr:
    """Number the candidates of each query by falling score, those without one last; equals keep their order."""
    return (-pl.col("score").fill_null(-np.inf)).rank("ordinal").over("query").cast(pl.Int32)


def apply_rules(candidates: pl.DataFrame, recipe: BoundRecipe) -> pl.DataFrame:
    """Run the rules of `recipe` in order. Raises ContractError where they change the number of rows."""
    frame = candidates.lazy()
    for bound in recipe.rules:
        frame = bound.rule.apply(frame, bound.params)
    judged = frame.collect()
    if judged.height != candidates.height:
        names = ", ".join(bound.rule.name for bound in recipe.rules)
        message = f"{candidates.height} candidates became {judged.height} under the rules {names}, which may drop none"
        raise ContractError(message)
    return judged


def _bare(inputs: SelectionInputs, relabelled: pl.Series) -> pl.Series:
    """Give the queries that have no positive, neither labelled nor among those for which a rule `relabelled` one."""
    return inputs.unlabelled.filter(~inputs.unlabelled.is_in(relabelled.implode()))


def _dropped_as_bare(queries: pl.DataFrame, bare: pl.Series) -> pl.DataFrame:
    named = pl.when(pl.col("query").is_in(bare.implode())).then(pl.lit("no_positive"))
    return queries.with_columns(reason=named.otherwise("reason"))


def _reasons(recipe: BoundRecipe) -> pl.Enum:
    return pl.Enum(sorted({bound.rule.name for bound in recipe.rules}))


def _scores(frame: pl.DataFrame) -> pl.Series:
    """List the scores of each candidate that are not null, by name: columns `score_<name>` in their order."""
    names = [name for name in frame.columns if name.startswith("score_")]
    values_NM = frame.select(pl.col(names).cast(pl.Float32)).to_numpy() if names else np.zeros((frame.height, 0))
    there_NM = ~np.isnan(values_NM)
    offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(there_NM.sum(axis=1), dtype=np.int32)])
    which = np.broadcast_to(np.arange(len(names)), there_NM.shape)[there_NM]
    labels = pa.array([name.removeprefix("score_") for name in names], pa.string()).take(pa.array(which, pa.int32()))
    pairs = pa.StructArray.from_arrays([labels, pa.array(values_NM[there_NM], pa.float32())], names=["name", "value"])
    return pl.Series("scores", pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs))


def _to_candidates(judged: pl.DataFrame) -> pl.DataFrame:
    narrow = ("score", "positive_score", "rejected_value", "rejected_threshold")
    return judged.select(SCORED_CANDIDATES.names).with_columns(pl.col(narrow).cast(pl.Float32))


def _to_negatives(judged: pl.DataFrame, inputs: SelectionInputs) -> pl.DataFrame:
    chosen = judged.filter(pl.col("position").is_not_null()).sort("query", "position")
    return _negatives(chosen.with_columns(split=inputs.queries["split"].gather(chosen["query"])))


def _negatives(chosen: pl.DataFrame) -> pl.DataFrame:
    miners = [name for name in _miners(chosen) if f"rank_{name}" in chosen.columns]
    own_rank = [pl.when(pl.col("miner") == name).then(pl.col(f"rank_{name}")) for name in miners]
    source = (
        pl.when("judged")
        .then(pl.lit("judged"))
        .when(pl.col("miner").cast(pl.String) == "random")
        .then(pl.lit("random"))
    )
    narrow = ("score", "positive_score", "sample_prob", "weight")
    return (
        chosen.with_columns(
            rank=pl.col("position"),
            miner_rank=pl.coalesce(*own_rank),
            source=source.otherwise(pl.lit("mined")).cast(SOURCE),
            positive_id=pl.lit(None, dtype=pl.String),
        )
        .select(SET_NEGATIVES.names)
        .with_columns(pl.col(narrow).cast(pl.Float32))
    )


def _miners(frame: pl.DataFrame) -> list[str]:
    kind = frame.schema["miner"]
    return kind.categories.to_list() if isinstance(kind, pl.Enum) else []


def _to_fates(judged: pl.DataFrame, queries: pl.DataFrame, recipe: BoundRecipe) -> pl.DataFrame:
    """Give each asked query its fate, the reason of a gap, and counts: candidates, and how many were got."""
    counts = judged.group_by("query").agg(
        candidates=pl.len().cast(pl.Int32),
        got=pl.col("position").count().cast(pl.Int32),
        rejected=pl.col("rejected_by").count().cast(pl.Int32),
    )
    # Only a gap asks for the rule that made it.
    short = counts.filter(pl.col("got") < recipe.wanted)["query"]
    worst = _worst_rules(judged.filter(pl.col("query").is_in(short.implode())))
    names = [*INPUT_REASONS, *SUPPLY_REASONS, *_reasons(recipe).categories]
    wanted, got = pl.lit(recipe.wanted, dtype=pl.Int32), pl.col("got")
    return (
        queries.filter("asked")
        .join(counts, on="query", how="left", maintain_order="left")
        .join(worst, on="query", how="left", maintain_order="left")
        .with_columns(pl.col("candidates", "got", "rejected").fill_null(0), wanted=wanted)
        .with_columns(
            fate=pl.when(got >= wanted)
            .then(pl.lit("kept"))
            .when(got > 0)
            .then(pl.lit("short"))
            .otherwise(pl.lit("dropped"))
            .cast(FATE),
            reason=pl.coalesce("reason", pl.when(got < wanted).then(_gap(recipe))).cast(pl.Enum(names)),
        )
        .select(FATES.names)
    )


def _worst_rules(judged: pl.DataFrame) -> pl.DataFrame:
    """Give the rule that rejected most candidates of each query, the first by name among equals."""
    return (
        judged.filter(pl.col("rejected_by").is_not_null())
        .group_by("query", pl.col("rejected_by").cast(pl.String).alias("worst"))
        .len()
        .sort("query", pl.col("len").cast(pl.Int64) * -1, "worst")
        .unique("query", keep="first", maintain_order=True)
        .select("query", "worst")
    )


def _gap(recipe: BoundRecipe) -> pl.Expr:
    """Say why a query got less than wanted: nothing mined, the sampler's quotas, the worst rule, too little mined."""
    survivors = pl.col("candidates") - pl.col("rejected")
    return (
        pl.when(pl.col("candidates") == 0)
        .then(pl.lit("no_candidates"))
        .when(survivors >= pl.col("wanted"))
        .then(pl.lit(recipe.rules[-1].rule.name))
        .otherwise(pl.coalesce("worst", pl.lit("few_candidates")))
    )
