import pytest

from negset.mining.samplers.uniform import UniformParams, uniform

QUERIES = 5000


def test_every_survivor_has_the_same_chance(candidates):
    frame = candidates(
        [0.9, 0.8, 0.7, 0.6, 0.5] * QUERIES,
        query=[query for query in range(QUERIES) for _ in range(5)],
        doc=[0, 1, 2, 3, 4] * QUERIES,
        rejected_by=["margin", None, None, None, None] * QUERIES,
    )
    drawn = uniform(frame.lazy(), UniformParams(k=2)).collect()
    chosen = drawn.filter(drawn["position"].is_not_null())
    counts = dict(chosen["doc"].value_counts().iter_rows())
    assert sorted(counts) == [1, 2, 3, 4]
    # 2 of 4: p = 0.5, sigma = sqrt(5000 / 4) = 35; five of them
    assert all(abs(count - QUERIES / 2) < 177 for count in counts.values())
    assert chosen["sample_prob"].unique().to_list() == [0.5]
    pairs = chosen.group_by("query").agg("doc")["doc"].list.sort().unique()
    assert len(pairs) == 6  # documents are drawn independently of each other


def test_positions_follow_hardness(candidates):
    drawn = uniform(candidates([0.1, 0.9, 0.5]).lazy(), UniformParams(k=3)).collect()
    assert drawn["position"].to_list() == [3, 1, 2]
    assert drawn["sample_prob"].to_list() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_larger_k_only_adds(candidates, k):
    frame = candidates([0.9, 0.8, 0.7, 0.6]).lazy()
    fewer = uniform(frame, UniformParams(k=k)).collect()
    more = uniform(frame, UniformParams(k=k + 1)).collect()
    assert set(fewer.drop_nulls("position")["doc"]) < set(more.drop_nulls("position")["doc"])


def test_another_seed_draws_otherwise(candidates):
    frame = candidates([0.5] * 40).lazy()
    draws = {tuple(uniform(frame, UniformParams(seed=seed)).collect()["position"].to_list()) for seed in range(5)}
    assert len(draws) == 5
