import pytest

from negset.mining.samplers.score_strata import ScoreStrataParams, score_strata

STRATA = {"k": 20, "borders": "0.25,0.5,0.75"}


def draw(frame, **options):
    return score_strata(frame.lazy(), ScoreStrataParams(**options)).collect()


def of_strata(drawn):
    scores = drawn.drop_nulls("position")["score"].to_list()
    return [
        sum(low <= score < high for score in scores) for low, high in [(-9, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 9)]
    ]


def test_a_border_belongs_to_the_stratum_above(candidates):
    drawn = draw(candidates([0.25, 0.2499, 0.24]), k=4, borders="0.25")
    assert of_strata(drawn) == [2, 1, 0, 0]
    # One of each stratum is wanted: with the border below, both would be of one.
    assert draw(candidates([0.25, 0.2499]), k=2, borders="0.25")["position"].to_list() == [1, 2]


def test_quotas_are_equal_whatever_the_population_and_a_gap_stays(candidates):
    scores = [0.1] * 40 + [0.3] * 10 + [0.6] * 3 + [0.9] * 30
    drawn = draw(candidates(scores), **STRATA)
    assert of_strata(drawn) == [5, 5, 3, 5]
    assert drawn["position"].count() == 18


def test_what_is_left_after_division_goes_to_the_hardest(candidates):
    scores = [at / 40 for at in range(40)]
    assert of_strata(draw(candidates(scores), k=6, borders="0.25,0.5,0.75")) == [1, 1, 2, 2]
    assert of_strata(draw(candidates(scores), k=2, borders="0.25,0.5,0.75")) == [0, 0, 1, 1]


def test_chances_are_those_within_the_stratum(candidates):
    drawn = draw(candidates([0.9] * 4 + [0.1]), k=4, borders="0.5")
    by_score = dict(drawn.drop_nulls("position").select("score", "sample_prob").unique().iter_rows())
    assert by_score == {0.9: 0.5, 0.1: 1.0}


def test_a_survivor_without_a_score_is_in_no_stratum_and_the_rejected_leave_room(candidates):
    frame = candidates([None, 0.9, 0.8, 0.1], rejected_by=[None, "margin", None, None])
    assert draw(frame, k=2, borders="0.5")["position"].to_list() == [None, None, 1, 2]


@pytest.mark.parametrize("borders", ["0.5,0.25", "0.5,0.5", "nan", "", "a", "0.5,inf,inf"])
def test_borders_that_do_not_rise_are_refused(borders):
    with pytest.raises(ValueError, match="borders"):
        ScoreStrataParams(borders=borders)
