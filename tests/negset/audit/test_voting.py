import math

import numpy as np
import polars as pl
import pytest

from negset.audit.voting import agreement, judge_set, vote_shares, weighted_share
from negset.errors import InputError

SCHEMA = ["query_id", "doc_id", "rater", "vote", "drawn"]


def votes_of(*counts):
    """Give votes on pairs d0, d1, …: counts of (yes, no, unsure) for each."""
    rows = [
        (f"q{number}", f"d{number}", f"r{voter}", word, True)
        for number, (yes, no, unsure) in enumerate(counts)
        for voter, word in enumerate(["yes"] * yes + ["no"] * no + ["unsure"] * unsure)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_a_distribution_is_kept_and_never_becomes_its_majority():
    """The two examples of DICES: the majority calls both of them the same."""
    found = vote_shares(votes_of((5, 60, 0), (32, 33, 0))).to_dicts()
    assert found[0]["soft"] == pytest.approx(1 - 0.923, abs=1e-3)
    assert found[0]["entropy"] == pytest.approx(0.391, abs=1e-3)
    assert found[1]["soft"] == pytest.approx(1 - 0.508, abs=1e-3)
    assert found[1]["entropy"] == pytest.approx(1.0, abs=1e-3)
    assert [row["status"] for row in found] == ["clear", "ambiguous"]


def test_few_votes_are_never_clear_and_unsure_counts_half():
    found = vote_shares(votes_of((4, 0, 0), (0, 0, 6), (5, 1, 0))).to_dicts()
    assert [row["status"] for row in found] == ["ambiguous", "clear", "clear"]
    assert [row["soft"] for row in found] == [1.0, 0.5, pytest.approx(5 / 6)]
    assert found[1]["entropy"] == 0


def world(share, sizes=(900, 100), seed=1):
    """Give negatives in two strata of these sizes and the set of the false ones among them, by share."""
    rng = np.random.default_rng(seed)
    rows, false = [], set()
    for miner, size, rate in zip(("dense", "run"), sizes, share, strict=True):
        for number in range(size):
            rows.append((f"{miner}{number}", f"d{miner}{number}", 2, miner, "train"))
            if rng.random() < rate:
                false.add(f"d{miner}{number}")
    return pl.DataFrame(rows, schema=["query_id", "doc_id", "rank", "miner", "split"], orient="row"), false


def judged(negatives, false, sample):
    rows = [(query, doc, "ann", "yes" if doc in false else "no", True) for query, doc in sample.iter_rows()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_strata_weigh_by_their_size_not_by_how_many_were_judged():
    """Half of the votes are on a tenth of the set, in which all is false: a plain mean would say a half."""
    negatives, false = world((0.0, 1.0))
    sample = pl.concat([negatives.head(50), negatives.tail(50)]).select("query_id", "doc_id")
    report = judge_set(judged(negatives, false, sample), negatives, "set", "v")
    assert report.false_share.share == pytest.approx(0.1)
    shares = {one.stratum: one.false_share.share for one in report.strata}
    assert shares == {"train | dense | others": 0.0, "train | run | others": 1.0}
    assert report.covered == 1


def test_a_stratum_without_votes_is_named_and_left_out():
    negatives, false = world((0.2, 0.9))
    report = judge_set(judged(negatives, false, negatives.head(60).select("query_id", "doc_id")), negatives, "s", "v")
    assert report.covered == pytest.approx(0.9)
    assert [one.false_share is None for one in report.strata] == [False, True]
    assert report.false_share.share < 0.5


def test_the_interval_of_a_stratified_sample_covers():
    covered = 0
    for seed in range(200):
        negatives, false = world((0.05, 0.6), seed=seed)
        rng = np.random.default_rng([seed, 5])
        rows = np.concatenate([rng.choice(900, 60, replace=False), 900 + rng.choice(100, 40, replace=False)])
        sample = negatives[rows].select("query_id", "doc_id")
        ends = judge_set(judged(negatives, false, sample), negatives, "set", "v").false_share
        covered += ends.low <= len(false) / 1000 <= ends.high
    assert covered >= 0.93 * 200


def test_no_false_negative_among_few_is_no_proof():
    negatives, _ = world((0.0, 0.0))
    report = judge_set(judged(negatives, set(), negatives.head(30).select("query_id", "doc_id")), negatives, "s", "v")
    assert report.false_share.share == report.false_share.low == 0
    assert 0.1 < report.false_share.high < 0.2


def test_unsure_votes_have_their_bounds():
    negatives, _ = world((0.0, 0.0), (10, 2))
    votes = pl.DataFrame(
        [(f"dense{n}", f"ddense{n}", "ann", "unsure" if n < 4 else "no", True) for n in range(10)],
        schema=SCHEMA,
        orient="row",
    )
    report = judge_set(votes, negatives, "set", "v")
    assert (report.false_share_low, report.false_share.share, report.false_share_high) == (0.0, 0.2, 0.4)
    assert report.votes == {"yes": 0, "no": 6, "unsure": 4}


def test_votes_on_picked_negatives_are_counted_and_estimate_nothing():
    """Ten suspicious ones that a rater looked for are all false: among those drawn by lot none is."""
    negatives, _ = world((0.0, 0.0))
    drawn = judged(negatives, set(), negatives[10:40].select("query_id", "doc_id"))
    ids = negatives.head(10).get_column("doc_id").to_list()
    looked_for = judged(negatives, set(ids), negatives.head(10).select("query_id", "doc_id"))
    picked = looked_for.with_columns(drawn=pl.lit(value=False))
    report = judge_set(pl.concat([drawn, picked]), negatives, "set", "v")
    assert report.false_share == judge_set(drawn, negatives, "set", "v").false_share
    assert (report.pairs, report.votes["yes"], report.picked) == (30, 0, {"yes": 10, "no": 0, "unsure": 0})
    with pytest.raises(InputError, match=r"all 10 votes are on negatives that the raters picked \(10 yes, 0 no"):
        judge_set(picked, negatives, "set", "v")


def test_pairs_of_one_query_are_a_cluster():
    rows = [(f"q{number // 10}", "s", 1000, float(number < 50)) for number in range(100)]
    frame = pl.DataFrame(rows, schema=["query_id", "stratum", "size", "soft"], orient="row")
    apart = frame.with_columns(query_id=pl.int_range(pl.len()).cast(pl.String))
    assert weighted_share(frame).effective < 15
    assert weighted_share(apart).effective > 90


def test_agreement_is_krippendorffs():
    """By hand: pairs (yes, yes), (no, no), (yes, no). Six votes, three of each word; observed disagreement 2/6."""
    found = agreement(votes_of((2, 0, 0), (0, 2, 0), (1, 1, 0), (1, 0, 0)))
    expected = 2 * 3 * 3 / (6 * 5)
    assert found.pairs_with_several == 3
    assert found.same == pytest.approx(2 / 3)
    assert found.alpha == pytest.approx(1 - (2 / 6) / expected)


def test_agreement_at_its_ends():
    assert agreement(votes_of((3, 0, 0), (0, 3, 0))).alpha == pytest.approx(1)
    assert agreement(votes_of((1, 0, 0))).alpha is None
    assert agreement(votes_of((2, 0, 0))).same == 1
    assert agreement(votes_of((2, 0, 0))).alpha is None
    assert agreement(votes_of((1, 1, 0), (1, 1, 0))).alpha < 0
    assert math.isclose(agreement(votes_of((1, 1, 0))).same, 0)
