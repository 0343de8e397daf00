"""From votes to an estimate: how many of a set's negatives people call relevant, and how far they agree.

Several votes on a pair are a distribution and stay one (DICES, arXiv 2306.11247): a pair counts as false by the
share of its votes that say so, never by their majority.
"""

import math
from typing import Final

import numpy as np
import polars as pl

from negset.audit.estimates import Estimate
from negset.audit.intervals import ClusteredShare, share_interval
from negset.audit.sampling import strata_of
from negset.audit.votes import WORDS
from negset.errors import InputError
from schemas.manifest import Record

UNSURE: Final = 0.5
"""What an unsure vote counts (DICES)."""
CLEAR_SHARE: Final = 0.8
CLEAR_VOTES: Final = 5
"""A pair is clear if so many votes agree to this share (DICES)."""


class VotedStratum(Record):
    """What people say of one stratum."""

    stratum: str
    negatives: int
    pairs: int
    false_share: Estimate | None
    """None where nobody voted on any of its pairs."""


class Agreement(Record):
    """How far raters agree on pairs that several judged; None where there are none."""

    raters: int
    pairs_with_several: int
    same: float | None
    """Share of the pairs of votes on one negative that are equal."""
    alpha: float | None
    """Krippendorff's alpha for names: 1 is perfect, 0 is chance."""


class VoteReport(Record):
    """What votes say of a set."""

    dataset: str
    version: str
    negatives: int
    votes: dict[str, int]
    pairs: int
    false_share: Estimate
    """An unsure vote counts half."""
    false_share_low: float
    """The share if every unsure vote meant no."""
    false_share_high: float
    """The share if every unsure vote meant yes."""
    clear: int
    """Pairs with five votes or more of which four in five agree."""
    ambiguous: int
    covered: float
    """Share of the set's negatives whose stratum has a vote; the estimate is for these."""
    strata: tuple[VotedStratum, ...]
    agreement: Agreement
    picked: dict[str, int]
    """Votes on negatives that raters picked, such as the most suspicious: they are in nothing else here."""


def vote_shares(votes: pl.DataFrame) -> pl.DataFrame:
    """Give each pair's distribution of votes: counts, `votes`, `soft` (share of yes), `entropy` in bits, `status`."""
    counts = votes.group_by("query_id", "doc_id").agg(
        pl.len().alias("votes"), *((pl.col("vote") == word).sum().alias(word) for word in WORDS)
    )
    shares = [pl.col(word) / pl.col("votes") for word in WORDS]
    bits = [pl.when(share > 0).then(-share * share.log(2)).otherwise(0.0) for share in shares]
    clear = (pl.max_horizontal(shares) >= CLEAR_SHARE) & (pl.col("votes") >= CLEAR_VOTES)
    return counts.with_columns(
        soft=(pl.col("yes") + UNSURE * pl.col("unsure")) / pl.col("votes"),
        entropy=pl.sum_horizontal(bits),
        status=pl.when(clear).then(pl.lit("clear")).otherwise(pl.lit("ambiguous")),
    ).sort("query_id", "doc_id")


def judge_set(votes: pl.DataFrame, negatives: pl.DataFrame, dataset: str, version: str) -> VoteReport:
    """Estimate from `votes` the share of the set's `negatives` that are false; strata count by their size.

    Votes on negatives that raters picked tell nothing of the others and are only counted: those not `drawn`. Raises
    InputError where there are no others.
    """
    picked = _counted(votes.filter(~pl.col("drawn")))
    votes = votes.filter("drawn")
    if votes.is_empty():
        message = (
            f"all {sum(picked.values()):,} votes are on negatives that the raters picked ("
            + ", ".join(f"{count:,} {word}" for word, count in picked.items())
            + "): they say nothing of the others. Vote on negatives drawn by lot too"
        )
        raise InputError(message)
    strata = strata_of(negatives)
    sizes = strata.group_by("stratum").agg(size=pl.len())
    pairs = vote_shares(votes).join(strata, on=["query_id", "doc_id"]).join(sizes, on="stratum")
    covered = sizes.filter(pl.col("stratum").is_in(pairs["stratum"].unique().implode()))["size"].sum()
    ends = [
        float(
            weighted_share(
                pairs.with_columns(soft=(pl.col("yes") + all_yes * pl.col("unsure")) / pl.col("votes"))
            ).share
        )
        for all_yes in (0.0, 1.0)
    ]
    parts = {str(key[0]): part for key, part in pairs.group_by("stratum")}
    return VoteReport(
        dataset=dataset,
        version=version,
        negatives=negatives.height,
        votes=_counted(votes),
        pairs=pairs.height,
        false_share=_estimate(weighted_share(pairs)),
        false_share_low=ends[0],
        false_share_high=ends[1],
        clear=int((pairs["status"] == "clear").sum()),
        ambiguous=int((pairs["status"] == "ambiguous").sum()),
        covered=covered / negatives.height,
        strata=tuple(
            VotedStratum(
                stratum=stratum,
                negatives=size,
                pairs=parts[stratum].height if stratum in parts else 0,
                false_share=_estimate(weighted_share(parts[stratum])) if stratum in parts else None,
            )
            for stratum, size in sizes.sort("stratum").iter_rows()
        ),
        agreement=agreement(votes),
        picked=picked,
    )


def _counted(votes: pl.DataFrame) -> dict[str, int]:
    return {word: votes.filter(pl.col("vote") == word).height for word in WORDS} if votes.height else {}


def weighted_share(pairs: pl.DataFrame) -> ClusteredShare:
    """Estimate the share of false negatives from `pairs` (query_id, stratum, size, soft).

    A stratum weighs as much as it has negatives. Pairs of one query are a cluster. A stratum with one pair has no
    spread of its own and takes the spread around the whole share.
    """
    total = pairs.select("stratum", "size").unique()["size"].sum()
    weighed = pairs.with_columns(
        weight=pl.col("size") / total / pl.len().over("stratum"),
        centre=pl.col("soft").mean().over("stratum"),
        alone=pl.len().over("stratum") == 1,
    )
    share = float((weighed["weight"] * weighed["soft"]).sum())
    centre = pl.when("alone").then(share).otherwise(pl.col("centre"))
    rests = weighed.with_columns(rest=pl.col("weight") * (pl.col("soft") - centre))
    sums = rests.group_by("query_id").agg(pl.col("rest").sum())["rest"].to_numpy()
    clusters = len(sums)
    variance = float((sums**2).sum()) * clusters / max(clusters - 1, 1)
    # Unequal weights make trials worth less (Kish); no sample is worth more than that.
    kish = 1 / float((weighed["weight"] ** 2).sum())
    spread = share * (1 - share)
    effective = min(kish, spread / variance) if variance > 0 and spread > 0 else kish
    return ClusteredShare(min(max(share, 0.0), 1.0), pairs.height, effective, clusters)


def _estimate(found: ClusteredShare) -> Estimate:
    ends = share_interval(found)
    return Estimate(share=found.share, low=ends.low, high=ends.high)


def agreement(votes: pl.DataFrame) -> Agreement:
    """Measure how far raters agree: the share of equal pairs of votes, and Krippendorff's alpha (nominal)."""
    counts = votes.group_by("query_id", "doc_id").agg(*((pl.col("vote") == word).sum().alias(word) for word in WORDS))
    table_PW = counts.sort("query_id", "doc_id").select(WORDS).to_numpy().astype(np.float64)
    table_PW = table_PW[table_PW.sum(axis=1) > 1]
    raters = votes["rater"].n_unique()
    if not len(table_PW):
        return Agreement(raters=raters, pairs_with_several=0, same=None, alpha=None)
    n_P = table_PW.sum(axis=1)
    same_P = (table_PW * (table_PW - 1)).sum(axis=1)
    same = float(same_P.sum() / (n_P * (n_P - 1)).sum())
    total, words_W = float(n_P.sum()), table_PW.sum(axis=0)
    observed = 1 - float((same_P / (n_P - 1)).sum()) / total
    expected = 1 - float((words_W * (words_W - 1)).sum()) / (total * (total - 1))
    alpha = 1 - observed / expected if not math.isclose(expected, 0.0) else None
    return Agreement(raters=raters, pairs_with_several=len(table_PW), same=same, alpha=alpha)
