import polars as pl

from negset.mining.filters.neighbours import NeighboursParams, neighbours


def test_more_than_the_share_goes_equality_stays(candidates):
    frame = candidates([0.9] * 4).with_columns(score_neighbours=pl.Series([0.51, 0.5, 0.0, None]))
    judged = neighbours(frame.lazy(), NeighboursParams()).collect()
    assert judged["rejected_by"].to_list() == ["neighbours", None, None, "neighbours"]
    assert judged["rejected_threshold"].to_list() == [0.5, None, None, 0.5]
    judged = neighbours(frame.lazy(), NeighboursParams(share=0.6)).collect()
    assert judged["rejected_by"].to_list() == [None, None, None, "neighbours"]
