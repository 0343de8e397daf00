import pytest

from negset.errors import MissingColumnsError
from negset.mining.samplers.ensemble import EnsembleParams, ensemble

DENSE = [0.9, 0.8, 0.7, 0.6, 0.5]
LEXICAL = [1.0, 5.0, 2.0, 4.0, 3.0]


def taken(frame, **options):
    drawn = ensemble(frame.lazy(), EnsembleParams(**options)).collect()
    return drawn.drop_nulls("position")["doc"].to_list()


def test_they_take_turns_in_a_query(candidates):
    frame = candidates(DENSE, score_bm25=LEXICAL, rank_bm25=1)
    assert taken(frame, k=2) == [0, 1]  # the first of each
    assert taken(frame, k=3) == [0, 1, 3]  # dense's second is taken already, and not made up for
    assert taken(frame, k=3, miners="bm25,dense") == [0, 1, 3]
    assert taken(frame, k=1, miners="bm25,dense") == [1]


def test_the_two_best_of_one_are_not_an_ensemble(candidates):
    frame = candidates(DENSE, score_bm25=LEXICAL[::-1], rank_bm25=1)
    assert taken(frame, k=2, miners="dense") == [0, 1]
    assert taken(frame, k=2) == [0, 3]


def test_places_are_those_among_survivors(candidates):
    frame = candidates(DENSE, score_bm25=LEXICAL, rank_bm25=1, rejected_by=["margin", "margin", None, None, None])
    assert taken(frame, k=2) == [2, 3]


def test_one_of_them_drawn_takes_a_whole_query(candidates):
    queries = 2000
    rows = 5 * queries
    frame = candidates(
        DENSE * queries,
        query=[at // 5 for at in range(rows)],
        doc=[0, 1, 2, 3, 4] * queries,
        score_bm25=LEXICAL * queries,
        rank_bm25=1,
    )
    drawn = ensemble(frame.lazy(), EnsembleParams(k=2, how="cross")).collect().drop_nulls("position")
    sets = [tuple(part["doc"].to_list()) for part in drawn.partition_by("query")]
    assert set(sets) == {(0, 1), (1, 3)}  # never a mixture such as (0, 3)
    assert abs(sets.count((0, 1)) - queries / 2) < 112  # five sigma
    by_doc = dict(drawn.select("doc", "sample_prob").unique().iter_rows())
    assert by_doc == {0: 0.5, 1: 1.0, 3: 0.5}


def test_teachers_must_be_named_and_have_no_say_where_they_did_not_look(candidates):
    frame = candidates(DENSE, score_cross_encoder=[None, None, 0.1, 0.2, None])
    assert taken(frame, k=4, miners="cross_encoder") == [2, 3]
    with pytest.raises(MissingColumnsError, match="score_nobody"):
        taken(frame, miners="dense,nobody")
