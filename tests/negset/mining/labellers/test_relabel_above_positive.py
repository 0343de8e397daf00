from negset.mining.labellers.relabel_above_positive import RelabelAbovePositiveParams, relabel_above_positive


def relabelled(frame, **options):
    judged = relabel_above_positive(frame.lazy(), RelabelAbovePositiveParams(**options)).collect()
    return judged.filter("relabelled")["doc"].to_list()


def test_at_or_above_the_positive_it_becomes_one(candidates):
    frame = candidates([0.1] * 4, score_cross_encoder=[0.9, 0.8, 0.79, 0.1], positive_score_cross_encoder=0.8)
    assert relabelled(frame) == [0, 1]
    assert relabelled(frame, margin=0.05) == [0]


def test_each_query_has_its_own_positive(candidates):
    # a limit for all, such as 0.7, would relabel both or neither of the two at 0.6
    frame = candidates(
        [0.1] * 4,
        query=[0, 0, 1, 1],
        doc=[0, 1, 0, 1],
        score_cross_encoder=[0.6, 0.4, 0.6, 0.4],
        positive_score_cross_encoder=[0.5, 0.5, 0.9, 0.9],
    )
    judged = relabel_above_positive(frame.lazy(), RelabelAbovePositiveParams()).collect()
    assert judged["relabelled"].to_list() == [True, False, False, False]


def test_above_a_positive_that_the_teacher_misses_it_takes_a_score_of_its_own(candidates):
    frame = candidates([0.1] * 3, score_cross_encoder=[0.6, 0.4, 0.2], positive_score_cross_encoder=0.1)
    assert relabelled(frame) == [0]
    assert relabelled(frame, least=0.3) == [0, 1]
    judged = relabel_above_positive(frame.lazy(), RelabelAbovePositiveParams()).collect()
    assert judged["rejected_by"].to_list() == ["relabel_above_positive", None, None]


def test_without_a_score_it_stays_a_candidate(candidates):
    frame = candidates([0.1] * 2, score_cross_encoder=[None, 0.9], positive_score_cross_encoder=[0.5, None])
    judged = relabel_above_positive(frame.lazy(), RelabelAbovePositiveParams()).collect()
    assert judged["rejected_by"].to_list() == [None, None]


def test_people_overrule_it(candidates):
    frame = candidates([0.1], score_cross_encoder=0.9, positive_score_cross_encoder=0.5, judged=True)
    assert relabelled(frame) == []


def test_score_and_positive_are_written_down(candidates):
    frame = candidates([0.1], score_cross_encoder=0.9, positive_score_cross_encoder=0.5)
    judged = relabel_above_positive(frame.lazy(), RelabelAbovePositiveParams()).collect()
    expected = ("relabel_above_positive", 0.9, 0.5)
    assert judged.select("rejected_by", "rejected_value", "rejected_threshold").row(0) == expected
