import polars as pl

from negset.mining.filters.stale_event import StaleEventParams, stale_event


def test_the_own_event_goes_an_older_one_stays_and_what_is_not_known_goes(candidates):
    frame = candidates([0.9, 0.8, 0.7, 0.6], score_event=[1.0, 0.5, 0.0, None])
    judged = stale_event(frame.lazy(), StaleEventParams()).collect()
    assert judged["rejected_by"].to_list() == ["stale_event", None, None, "stale_event"]
    assert judged["rejected_value"].to_list() == [1.0, None, None, None]
    assert judged.filter(pl.col("rejected_threshold").is_not_null())["doc"].to_list() == [0, 3]
