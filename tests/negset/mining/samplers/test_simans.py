import math

import pytest
from scipy.stats import chisquare

from negset.mining.samplers.simans import SimansParams, simans

QUERIES = 20_000
SCORES = [0.8, 0.6, 0.4, 0.2]
RAW = {"units": "raw", "sharpness": 10.0}


def draw(frame, **options):
    return simans(frame.lazy(), SimansParams(**options)).collect()


def first_chances(candidates, scores=SCORES, positive=0.8, **options):
    """Give the chance of each candidate to be drawn first, with a `k` that draws them all."""
    drawn = draw(candidates(scores, positive_score_dense=positive), k=len(scores), **options)
    return drawn["sample_prob"].to_list()


def test_the_chances_of_the_formula(candidates):
    weights = [math.exp(-10 * (score - 0.8) ** 2) for score in SCORES]
    expected = [weight / sum(weights) for weight in weights]
    assert first_chances(candidates, **RAW) == pytest.approx(expected)
    assert expected == pytest.approx([0.526, 0.353, 0.106, 0.014], abs=6e-4)


def test_draws_follow_the_chances(candidates):
    rows = len(SCORES) * QUERIES
    frame = candidates(
        SCORES * QUERIES,
        query=[at // 4 for at in range(rows)],
        doc=[0, 1, 2, 3] * QUERIES,
        positive_score_dense=0.8,
    )
    drawn = draw(frame, k=1, **RAW).drop_nulls("position")
    counts = dict(drawn["doc"].value_counts().iter_rows())
    expected = [chance * QUERIES for chance in first_chances(candidates, **RAW)]
    assert chisquare([counts[doc] for doc in range(4)], expected).pvalue > 0.001


def test_a_greater_offset_makes_harder_ones_likelier(candidates):
    # The authors' README subtracts b, their code adds it; with (.8, .6, .4, .2) and b = .2 that is .744 or .264.
    assert first_chances(candidates, offset=0.2, **RAW)[0] == pytest.approx(0.744, abs=1e-3)
    assert first_chances(candidates, offset=-0.2, **RAW)[0] == pytest.approx(0.264, abs=1e-3)


def test_the_distance_counts_squared(candidates):
    # one variant of the authors' code falls with the distance itself: exp(-3 |distance|)
    linear = [math.exp(-3 * abs(score - 0.8)) for score in SCORES]
    found = first_chances(candidates, units="raw", sharpness=3.0)
    assert found != pytest.approx([weight / sum(linear) for weight in linear], abs=0.02)


def test_units_of_the_spread_make_the_scale_irrelevant(candidates):
    narrow = first_chances(candidates)
    wide = first_chances(candidates, [score * 40 + 3 for score in SCORES], 0.8 * 40 + 3)
    assert wide == pytest.approx(narrow)
    # raw, the usual .5 hardly tells cosines apart
    flat = first_chances(candidates, units="raw", sharpness=0.5)
    assert max(flat) / min(flat) < 1.3
    assert max(narrow) / min(narrow) > 10


def test_candidates_that_score_alike_have_equal_chances(candidates):
    assert first_chances(candidates, [0.5, 0.5], 0.5) == [0.5, 0.5]


def test_the_pool_is_the_hardest_survivors(candidates):
    frame = candidates([0.9, 0.8, 0.7, 0.1], positive_score_dense=0.1, rejected_by=["margin", None, None, None])
    drawn = draw(frame, k=4, size=2)
    assert drawn["position"].to_list() == [None, 1, 2, None]


def test_what_is_rejected_is_not_in_the_spread(candidates):
    alone = draw(candidates([0.8, 0.6], positive_score_dense=0.8), k=2)["sample_prob"].to_list()
    beside = candidates([0.8, 0.6, 99.0], positive_score_dense=0.8, rejected_by=[None, None, "margin"])
    assert draw(beside, k=2)["sample_prob"].to_list()[:2] == pytest.approx(alone)


def test_without_a_positives_score_the_easiest_of_the_pool_are_taken(candidates):
    frame = candidates([0.9, 0.8, 0.7, 0.6, 0.5, None], positive_score_dense=None)
    drawn = draw(frame, k=2, size=4)
    assert drawn["position"].to_list() == [None, None, 1, 2, None, None]
    assert drawn["sample_prob"].null_count() == 6


def test_more_wanted_than_there_are_gives_all(candidates):
    assert draw(candidates(SCORES, positive_score_dense=0.8), k=9)["position"].to_list() == [1, 2, 3, 4]


def test_far_away_everything_is_still_drawn(candidates):
    # each weight underflows: exp(-1000)
    frame = candidates([0.3, 0.2, 0.1], positive_score_dense=10.0)
    drawn = draw(frame, k=2, units="raw", sharpness=1000.0)
    assert drawn["position"].to_list() == [1, 2, None]
    assert drawn["sample_prob"][0] == pytest.approx(1.0)


def test_another_miners_scores(candidates):
    frame = candidates([0.9, 0.8], score_bm25=[1.0, 9.0], positive_score_bm25=9.0, positive_score_dense=0.9)
    drawn = draw(frame, k=1, by="bm25", units="raw", sharpness=50.0)
    assert drawn["position"].to_list() == [None, 1]
