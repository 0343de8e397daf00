import polars as pl

from negset.mining.filters.same_prototype import SamePrototypeParams, same_prototype


def test_the_prototype_of_a_positive_goes_and_so_does_what_has_none(candidates):
    frame = candidates([0.9, 0.8, 0.7]).with_columns(score_prototype=pl.Series([1.0, 0.0, None]))
    judged = same_prototype(frame.lazy(), SamePrototypeParams()).collect()
    assert judged["rejected_by"].to_list() == ["same_prototype", None, "same_prototype"]
    assert judged["rejected_value"].to_list() == [1.0, None, None]
