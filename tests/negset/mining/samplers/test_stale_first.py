from negset.mining.samplers.stale_first import StaleFirstParams, stale_first

SCORES = [0.9, 0.8, 0.7, 0.6, 0.5]
EVENTS = [0.0, None, 0.5, 0.0, 0.5]


def chosen(frame, **options):
    found = stale_first(frame.lazy(), StaleFirstParams(**options)).collect().drop_nulls("position").sort("position")
    return found["doc"].to_list()


def test_older_events_are_taken_first_and_positions_go_by_hardness(candidates):
    frame = candidates(SCORES, score_event=EVENTS)
    assert chosen(frame, k=1) == [2]
    assert chosen(frame, k=3) == [0, 2, 4]  # the hardest of all would be 0, 1 and 2
    assert chosen(frame, k=9) == [0, 1, 2, 3, 4]


def test_at_most_so_many_because_they_are_stale(candidates):
    assert chosen(candidates(SCORES, score_event=EVENTS), k=3, most=1) == [0, 1, 2]


def test_what_was_rejected_takes_no_turn(candidates):
    frame = candidates(SCORES, score_event=EVENTS, rejected_by=[None, None, "earlier", None, None])
    assert chosen(frame, k=2, most=1) == [0, 4]
