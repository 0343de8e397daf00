import pytest

from negset.mining.samplers.mixture import MixtureParams, mixture

SCORES = [0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1]
RANDOM = [None, None, None, None, 1, 2, 3]


def counts(frame, **options):
    drawn = mixture(frame.lazy(), MixtureParams(**options)).collect().drop_nulls("position")
    randoms = drawn["rank_random"].is_not_null().sum()
    return drawn.height - randoms, randoms


@pytest.mark.parametrize(
    ("k", "ratio", "expected"),
    [(4, 0.5, (2, 2)), (5, 0.5, (2, 3)), (4, 0.0, (4, 0)), (3, 1.0, (0, 3)), (4, 0.25, (3, 1))],
)
def test_the_ratio_holds(candidates, k, ratio, expected):
    assert counts(candidates(SCORES, rank_random=RANDOM), k=k, random_ratio=ratio) == expected


def test_one_kind_never_fills_the_gap_of_the_other(candidates):
    assert counts(candidates(SCORES, rank_random=RANDOM), k=8) == (4, 3)
    assert counts(candidates(SCORES), k=4) == (2, 0)


def test_the_hard_half_may_be_the_hardest(candidates):
    frame = candidates(SCORES, rank_random=RANDOM, rejected_by=["margin", *[None] * 6])
    drawn = mixture(frame.lazy(), MixtureParams(k=4, hard="top")).collect()
    assert drawn["position"].to_list()[:4] == [None, 1, 2, None]
    assert drawn["sample_prob"].to_list()[1:3] == [None, None]
    assert drawn.drop_nulls("sample_prob")["sample_prob"].to_list() == [pytest.approx(2 / 3)] * 2


def test_the_hard_half_is_drawn_from_all_by_default(candidates):
    queries = 500
    frame = candidates(
        SCORES * queries,
        query=[query for query in range(queries) for _ in SCORES],
        doc=list(range(7)) * queries,
        rank_random=RANDOM * queries,
    )
    drawn = mixture(frame.lazy(), MixtureParams(k=4)).collect().drop_nulls("position")
    found = dict(drawn["doc"].value_counts().iter_rows())
    assert all(abs(found[doc] - queries / 2) < 56 for doc in range(4))
    assert all(abs(found[doc] - queries * 2 / 3) < 53 for doc in range(4, 7))
