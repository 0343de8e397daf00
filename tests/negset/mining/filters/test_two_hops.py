import polars as pl

from negset.mining.filters.two_hops import TwoHopsParams, two_hops


def test_what_is_two_hops_away_or_unknown_goes(candidates):
    frame = candidates([0.9] * 3).with_columns(score_hops=pl.Series([1.0, 0.0, None]))
    judged = two_hops(frame.lazy(), TwoHopsParams()).collect()
    assert judged["rejected_by"].to_list() == ["two_hops", None, "two_hops"]
    assert judged["rejected_threshold"].to_list() == [0.5, None, 0.5]
