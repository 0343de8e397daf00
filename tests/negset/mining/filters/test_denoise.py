import polars as pl

from negset.mining.filters.denoise import DenoiseParams, denoise
from negset.mining.filters.max_score import MaxScoreParams, max_score
from negset.mining.samplers.top import TopParams, top


def kept(frame, **options):
    judged = denoise(frame.lazy(), DenoiseParams(**options)).collect()
    return judged.filter(judged["rejected_by"].is_null())["doc"].to_list()


def test_only_confident_negatives_stay_and_the_border_is_not_confident(candidates):
    assert kept(candidates([0.9] * 4, score_cross_encoder=[0.099999, 0.1, 0.5, None])) == [0]


def test_a_limit_that_keeps_equality_is_another_rule(candidates):
    frame = candidates([0.9], score_cross_encoder=[0.1]).lazy()
    limit = MaxScoreParams(by="cross_encoder", threshold=0.1)
    assert max_score(frame, limit).collect()["rejected_by"].to_list() == [None]
    assert kept(frame) == []


def test_the_first_four_confident_negatives_of_fifty(candidates):
    scores = [0.9 - 0.01 * place for place in range(50)]
    sure = [0.05 if place % 2 else 0.5 for place in range(50)]
    judged = top(denoise(candidates(scores, score_cross_encoder=sure).lazy(), DenoiseParams()), TopParams(k=4))
    assert judged.collect().drop_nulls("position").sort("position")["doc"].to_list() == [1, 3, 5, 7]


def test_scores_belong_to_pairs_whatever_the_order_of_their_file(candidates):
    plain = candidates([0.9, 0.8, 0.7, 0.6]).drop("score_cross_encoder")
    file = pl.DataFrame(
        {"doc": [0, 1, 2, 3], "score_cross_encoder": [0.5, 0.05, 0.5, 0.05]}, schema_overrides={"doc": pl.UInt32}
    )
    shuffled = file[[2, 0, 3, 1]]
    for scores in (file, shuffled):
        assert kept(plain.join(scores, on="doc", maintain_order="left")) == [1, 3]
    # aligned by line, the shuffled file would keep others
    by_line = plain.with_columns(shuffled["score_cross_encoder"])
    assert kept(by_line) == [2, 3]


def test_what_decided_is_written_down(candidates):
    judged = denoise(candidates([0.9], score_cross_encoder=[0.7]).lazy(), DenoiseParams()).collect()
    assert judged.select("rejected_by", "rejected_value", "rejected_threshold").row(0) == ("denoise", 0.7, 0.1)
