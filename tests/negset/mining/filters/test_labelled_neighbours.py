import polars as pl

from negset.mining.filters.labelled_neighbours import LabelledNeighboursParams, labelled_neighbours


def test_more_than_the_share_goes_equality_stays(candidates):
    frame = candidates([0.9] * 4).with_columns(score_neighbours=pl.Series([0.11, 0.1, 0.0, None]))
    judged = labelled_neighbours(frame.lazy(), LabelledNeighboursParams()).collect()
    assert judged["rejected_by"].to_list() == ["labelled_neighbours", None, None, "labelled_neighbours"]
    assert judged["rejected_threshold"].to_list() == [0.1, None, None, 0.1]
    judged = labelled_neighbours(frame.lazy(), LabelledNeighboursParams(share=0.6)).collect()
    assert judged["rejected_by"].to_list() == [None, None, None, "labelled_neighbours"]
