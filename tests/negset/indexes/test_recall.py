import numpy as np
import polars as pl
import pytest

from negset.indexes import recall
from negset.indexes.kind import Setting
from negset.search import Hits


def hits(*rows):
    query, doc, score = zip(*rows, strict=True) if rows else ((), (), ())
    return Hits(np.array(query, dtype=np.int64), np.array(doc, dtype=np.int64), np.array(score, dtype=np.float64))


def test_a_document_that_ties_with_the_last_one_counts_as_found():
    exact = hits((0, 1, 0.9), (0, 2, 0.5), (1, 1, 0.7), (1, 4, 0.6), (3, 0, 0.1))
    found = hits((0, 1, 0.9), (0, 8, 0.5), (1, 1, 0.7), (1, 9, 0.59))
    assert recall.found_shares(exact, found, 4).tolist() == [1.0, 0.5, 0.0]  # query 2 has no candidate at all


def test_more_than_all_is_all():
    assert recall.found_shares(hits((0, 1, 0.5)), hits((0, 2, 0.5), (0, 3, 0.5)), 1).tolist() == [1.0]
    assert len(recall.found_shares(hits(), hits(), 3)) == 0


def test_the_queries_that_choose_do_not_judge(monkeypatch):
    monkeypatch.setattr(recall, "SAMPLE", 10)
    ids = pl.Series([f"q{n}" for n in range(100)])
    choosing, judging = recall.sampled_queries(ids, 13)
    assert (len(choosing), len(judging)) == (10, 10)
    assert not set(choosing.tolist()) & set(judging.tolist())
    assert recall.sampled_queries(ids, 14)[1].tolist() != judging.tolist()
    # The same queries whatever others stand beside them.
    drawn = ids.gather(pl.Series(np.sort(np.r_[choosing, judging])))
    again = recall.sampled_queries(drawn, 13)[1]
    assert drawn.gather(pl.Series(again)).to_list() == ids.gather(pl.Series(judging)).to_list()


def test_one_query_does_both():
    choosing, judging = recall.sampled_queries(pl.Series(["only"]), 13)
    assert choosing.tolist() == judging.tolist() == [0]
    assert [len(rows) for rows in recall.sampled_queries(pl.Series([], dtype=pl.String), 13)] == [0, 0]


def test_the_first_setting_that_is_enough_is_chosen():
    exact = hits((0, 1, 0.9), (0, 2, 0.5))
    shares = {4: hits(), 8: hits((0, 1, 0.9)), 16: exact, 32: exact}
    tried = []

    def search(setting):
        tried.append(setting.nprobe)
        return shares[setting.nprobe]

    settings = [Setting(nprobe=number) for number in shares]
    assert recall.choose_setting(settings, exact, 1, 0.95, search).nprobe == 16
    assert tried == [4, 8, 16]
    assert recall.choose_setting(settings, exact, 1, 0.5, search).nprobe == 8
    assert recall.choose_setting(settings[:2], exact, 1, 0.95, search).nprobe == 8


@pytest.mark.parametrize(
    ("shares", "enough"),
    [([0.96] * 100, True), ([0.94] * 100, False), ([0.92, 1.0] * 50, False), ([0.955, 0.965] * 50, True), ([], True)],
)
def test_chance_is_taken_off(shares, enough):
    """.96 on average with a deviation of .04 on 100 queries may be .952 in truth: two errors are .008."""
    assert recall.is_enough(np.array(shares), 0.955 if shares == [0.92, 1.0] * 50 else 0.95) is enough
