"""The rule `margin` by a guide is the mask of GISTEmbed's loss, over mined candidates in place of a batch."""

import numpy as np
import pytest

from negset.mining.filters.margin import MarginParams, margin
from negset.mining.filters.percent_of_positive import PercentOfPositiveParams, percent_of_positive

TOPICS, WIDE = 4, 16
PLANTED = {(2 * topic, 2 * topic + 1) for topic in range(TOPICS)}
"""The other paraphrase's positive is nearer to the first query than its own; not the other way round."""


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def guide_world():
    """Cosines of a guide: 4 orthogonal topics of 2 paraphrased queries, whose positives are at .90 and .97."""
    chance = np.random.default_rng(3)
    topic_TD = np.eye(WIDE)[:TOPICS]
    aside_TD = np.eye(WIDE)[TOPICS : 3 * TOPICS].reshape(TOPICS, 2, WIDE)
    cosine = np.array([0.90, 0.97])[None, :, None]
    positives = (cosine * topic_TD[:, None] + np.sqrt(1 - cosine**2) * aside_TD).reshape(-1, WIDE)
    queries = unit(np.repeat(topic_TD, 2, axis=0) + 0.01 * chance.standard_normal((2 * TOPICS, WIDE)))
    return np.round(queries @ positives.T, 6)


def student_world():
    chance = np.random.default_rng(5)
    queries, positives = (unit(chance.standard_normal((2 * TOPICS, WIDE))) for _ in range(2))
    return queries @ positives.T


def frame_of(candidates, score_QQ):
    """Give each query the positives of all as candidates, with the guide's scores."""
    count = len(score_QQ)
    return candidates(
        [0.5] * count**2,
        query=np.repeat(np.arange(count), count).tolist(),
        doc=list(range(count)) * count,
        score_guide=score_QQ.ravel().tolist(),
        positive_score_guide=np.repeat(score_QQ.diagonal(), count).tolist(),
    )


def masked(judged):
    rejected = judged.filter(judged["rejected_by"].is_not_null())
    return set(rejected.select("query", "doc").rows())


def by_guide(candidates, score_QQ, allowed=0.0):
    return masked(margin(frame_of(candidates, score_QQ).lazy(), MarginParams(by="guide", margin=allowed)).collect())


def test_the_querys_own_threshold_masks_the_planted_pairs(candidates):
    assert by_guide(candidates, guide_world()) == PLANTED


def test_the_threshold_of_the_other_query_would_mask_others(candidates):
    score_QQ = guide_world()
    of_column = score_QQ > score_QQ.diagonal()[None, :]
    assert {(int(query), int(doc)) for query, doc in np.argwhere(of_column)} != PLANTED


def test_the_student_would_mask_at_random(candidates):
    found = by_guide(candidates, student_world())
    assert len(found) > 2 * len(PLANTED)
    assert len(found & PLANTED) < len(PLANTED)


def test_what_equals_the_positive_is_not_masked(candidates):
    # `>=` would mask each query's own positive, which stands among these candidates
    score_QQ = guide_world()
    at_least = {(int(query), int(doc)) for query, doc in np.argwhere(score_QQ >= score_QQ.diagonal()[:, None])}
    assert {(query, query) for query in range(len(score_QQ))} < at_least
    assert not {(query, query) for query in range(len(score_QQ))} & by_guide(candidates, score_QQ)


@pytest.mark.parametrize("allowed", [0.01, 0.05])
def test_margins_are_absolute_or_relative(candidates, allowed):
    score_QQ = guide_world()
    own_Q1 = score_QQ.diagonal()[:, None]
    absolute = {(int(query), int(doc)) for query, doc in np.argwhere(score_QQ > own_Q1 - allowed + 1e-6)}
    assert by_guide(candidates, score_QQ, allowed) == absolute
    relative = {
        (int(query), int(doc)) for query, doc in np.argwhere(score_QQ > own_Q1 - np.abs(own_Q1) * allowed + 1e-6)
    }
    params = PercentOfPositiveParams(by="guide", share=1 - allowed)
    assert masked(percent_of_positive(frame_of(candidates, score_QQ).lazy(), params).collect()) == relative
