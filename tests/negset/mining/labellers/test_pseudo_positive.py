from negset.mining.filters.denoise import DenoiseParams, denoise
from negset.mining.labellers.pseudo_positive import PseudoPositiveParams, pseudo_positive


def relabelled(frame, **options):
    judged = pseudo_positive(frame.lazy(), PseudoPositiveParams(**options)).collect()
    return judged.filter("relabelled")["doc"].to_list()


def test_what_the_teacher_is_sure_of_becomes_a_positive(candidates):
    assert relabelled(candidates([0.5] * 4, score_cross_encoder=[0.95, 0.9, 0.5, None])) == [0]


def test_it_is_no_negative_and_says_why(candidates):
    judged = pseudo_positive(candidates([0.5], score_cross_encoder=0.95).lazy(), PseudoPositiveParams()).collect()
    assert judged.select("rejected_by", "rejected_value", "rejected_threshold").row(0) == ("pseudo_positive", 0.95, 0.9)


def test_people_overrule_it_and_so_do_earlier_rules(candidates):
    frame = candidates(
        [0.5] * 3, score_cross_encoder=0.95, judged=[True, False, False], rejected_by=[None, "own_text", None]
    )
    assert relabelled(frame) == [2]


def test_denoising_before_it_leaves_nothing_to_relabel(candidates):
    # the order of the recipe rocketqa: label first, then reject the unsure
    frame = candidates([0.5] * 3, score_cross_encoder=[0.95, 0.5, 0.05]).lazy()
    after = denoise(pseudo_positive(frame, PseudoPositiveParams()), DenoiseParams()).collect()
    assert after["rejected_by"].to_list() == ["pseudo_positive", "denoise", None]
    before = pseudo_positive(denoise(frame, DenoiseParams()), PseudoPositiveParams()).collect()
    assert not before["relabelled"].any()
