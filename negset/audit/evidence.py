"""What an audit reads: the candidates of a build, and what every label says of them.

A label may be taken away without mining again. Lists are longer than a build with fewer labels would have them, so
cutting them gives that build's lists; scores of pairs do not depend on labels at all.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from negset.lots import id_keys, mix
from negset.mining.ledger import Ledger, candidate_blocks, computed_scores, open_ledger
from negset.mining.miner import MiningInputs
from negset.mining.positives import doc_ids, doc_texts, known_positives, labelled_positives, query_texts
from negset.mining.selection_inputs import query_leaks
from negset.store import Store
from negset.teaching.scoring import Scores, with_scores
from negset.teaching.teacher import Pairs, find_teacher, pack
from schemas.refs import CellsRef
from schemas.teach import TeachConfig

Blocks = Callable[[], Iterator[pl.DataFrame]]


@dataclass(frozen=True)
class Evidence:
    """Candidates and labels of one build. Queries and documents are rows of its snapshot.

    A unit is a positive that can be known or not: all labels of queries of equal normalised text for documents of
    equal normalised text, since one label tells of all of them.
    """

    blocks: Blocks
    """Give the candidate frames of a build with all labels, in the order of the queries."""
    queries: pl.DataFrame
    """query, query_id, split, `cluster` (equal for equal texts), `words` (in the text) and `asked`: whether it gets
    negatives, having a label, a mined split and no text of a held-out query."""
    labels: pl.DataFrame
    """query, doc, unit, and the score of the pair by each miner: `score_<miner>`, null where it has none."""
    known: pl.DataFrame
    """query, doc, unit of every pair that follows from a label."""
    depths: Mapping[str, int]
    """Documents that each miner lists for a query, beside one for each of its labels."""
    looked: Mapping[str, int]
    """First ranks of each miner that each teacher scores; 0 for all. Labelled pairs it scores at any rank."""
    by: str
    doc_ids: pl.Series
    query_keys: NDArray[np.uint64]
    doc_keys: NDArray[np.uint64]
    near_group: NDArray[np.uint32] | None


def sample_queries(evidence: Evidence, most: int, seed: int) -> Evidence:
    """Give the evidence with `most` of the queries that get negatives, drawn by `seed`; all where there are no more.

    Queries of one text come or go together.
    """
    asked = evidence.queries.filter("asked")
    if not most or asked.height <= most:
        return evidence
    lots = mix(evidence.query_keys[asked["query"].to_numpy()] ^ id_keys([f"{seed}:sample"]))
    first = asked.with_columns(lot=pl.Series(lots)).with_columns(lot=pl.col("lot").min().over("cluster"))
    taken = first.sort("lot", "query").head(most)["query"].sort().implode()

    def blocks() -> Iterator[pl.DataFrame]:
        for block in evidence.blocks():
            yield block.filter(pl.col("query").is_in(taken))

    queries = evidence.queries.with_columns(asked=pl.col("asked") & pl.col("query").is_in(taken))
    return replace(evidence, blocks=blocks, queries=queries)


def open_evidence(
    inputs: MiningInputs,
    cells: Mapping[str, CellsRef],
    store: Store,
    by: str = "",
    near_group: NDArray[np.uint32] | None = None,
    scores: Mapping[str, Scores] | None = None,
    teach: TeachConfig | None = None,
    *,
    drop_leaks: bool = True,
) -> Evidence:
    """Gather what an audit of the build of `inputs` reads; nothing is mined.

    `by` is the miner whose scores recipes compare, `near_group` the near-duplicate group of each document, `scores`
    what teachers gave, under the options `teach`.
    """
    given, options = scores or {}, teach or TeachConfig()
    with store.staging() as folder:
        ledger = open_ledger(inputs, cells, store, folder, by)
        labels = _scored_labels(ledger, labelled_positives(inputs.snapshot), given)
    ids = doc_ids(inputs.snapshot)
    known = _with_units(known_positives(inputs.snapshot), inputs)
    queries = _queries(inputs, drop_leaks=drop_leaks)
    return Evidence(
        blocks=lambda: _blocks(inputs, cells, store, by, given),
        queries=queries,
        labels=labels.join(known, on=["query", "doc"], maintain_order="left"),
        known=known,
        depths={
            miner: inputs.config.random.depth if miner == "random" else inputs.config.depth for miner in ledger.miners
        },
        looked={teacher: find_teacher(teacher).depth(options) for teacher in given},
        by=ledger.by,
        doc_ids=ids,
        query_keys=id_keys(queries["query_id"]),
        doc_keys=id_keys(ids),
        near_group=near_group,
    )


def _blocks(
    inputs: MiningInputs, cells: Mapping[str, CellsRef], store: Store, by: str, scores: Mapping[str, Scores]
) -> Iterator[pl.DataFrame]:
    labelled = labelled_positives(inputs.snapshot)
    shape = (inputs.snapshot.queries().height, len(doc_ids(inputs.snapshot)))
    yield from with_scores(candidate_blocks(inputs, cells, store, by), scores, labelled, shape)


def _scored_labels(ledger: Ledger, labels: pl.DataFrame, scores: Mapping[str, Scores]) -> pl.DataFrame:
    """Give each of the `labels` of mined queries its score by every miner and teacher."""
    mined = np.concatenate([block.rows for block in ledger.blocks[ledger.miners[0]]])
    mine = labels.select("query", "doc").filter(pl.col("query").is_in(pl.Series(mined, dtype=pl.UInt32).implode()))
    packed = pack(Pairs(mine["query"].to_numpy(), mine["doc"].to_numpy()), len(ledger.documents))
    found = {miner: computed_scores(ledger, miner, packed) for miner in ledger.miners}
    found |= {teacher: given.of(packed) for teacher, given in scores.items()}
    return mine.with_columns(
        **{f"score_{name}": pl.Series(values, dtype=pl.Float64, nan_to_null=True) for name, values in found.items()}
    )


def _with_units(known: pl.DataFrame, inputs: MiningInputs) -> pl.DataFrame:
    """Number the units: pairs of equal texts, of query and of document, are one."""
    query_text, doc_text = query_texts(inputs.snapshot), doc_texts(inputs.snapshot)
    return known.with_columns(
        unit=pl.struct(
            query_text["text_sha256"].gather(known["query"]).alias("query_text"),
            doc_text["text_sha256"].gather(known["doc"]).alias("doc_text"),
        )
        .rank("dense")
        .cast(pl.UInt32)
    )


def _queries(inputs: MiningInputs, *, drop_leaks: bool) -> pl.DataFrame:
    frame = inputs.snapshot.queries().with_columns(query=pl.int_range(pl.len(), dtype=pl.UInt32))
    splits = list(inputs.config.splits) or frame["split"].unique().to_list()
    leaks = query_leaks(frame)["query_id"] if drop_leaks else pl.Series([], dtype=pl.String)
    labelled = labelled_positives(inputs.snapshot)["query"].unique()
    asked = (
        pl.col("split").is_in(splits)
        & pl.col("query").is_in(labelled.implode())
        & ~pl.col("query_id").is_in(leaks.implode())
    )
    return frame.select(
        "query",
        "query_id",
        "split",
        cluster=pl.col("text_sha256").rank("dense").cast(pl.UInt32),
        words=pl.col("text").str.split(" ").list.len(),
        asked=asked,
    )
